"""How far automatic annotators can be trusted: the passage and its plots, from what annotator_check/ found.

All models of a study together; the errors that enter a run's correction are in correction.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from servicegap.notation import UNDEFINED, number, percent
from servicegap.report import plots
from servicegap.report.figure import Figure, told
from servicegap.report.passage import Passage, Table
from servicegap.report.reading import Results
from servicegap.report.rows import Row
from servicegap.report.words import joined, read_as
from servicegap.visible import visible_text

_KEY = "annotators"
_KINDS = ("sensitivity", "specificity")
_WHOSE = {"gold": "people's settled labels", "imported": "imported labels"}
Check = Mapping[str, Any]


def annotator_passage(results: Results) -> Passage | None:
    """Return how far annotators agree with people, or None where none labelled anything."""
    found = results.rows("annotator_check")
    if not found:
        return None
    compared = [check for check in found if check["labels"]]
    tables = [_summary(found), *(table for check in compared for table in _tables(results, check))]
    return Passage(
        key=_KEY,
        heading="Automatic annotators against people",
        lead=_lead(found, compared),
        points=[
            *_uneven(results, compared),
            *((check["annotator"], "; ".join(check["notes"]) + ".") for check in found if check["notes"]),
        ],
        tables=[table for table in tables if table.body],
    )


def annotator_figures(results: Results) -> Iterator[Figure]:
    """Yield, for each annotator that people's labels can judge: errors by group, calibration, confusions."""
    for number_, check in enumerate(results.rows("annotator_check"), start=1):
        if check["labels"]:
            made = (
                _errors(results, check, number_),
                _calibration(check, number_),
                _confusion(check, number_),
            )
            yield from (figure for figure in made if figure is not None)


def _lead(found: Sequence[Check], compared: Sequence[Check]) -> str:
    if not compared:
        names = joined([check["annotator"] for check in found])
        return f"People have labelled nothing that {names} judged, so nobody knows how often that is wrong."
    said = [f"{check['annotator']} {_told(check['kappa'])}" for check in compared]
    return (
        f"Kappa with people over the six categories: {'; '.join(said)}. It is 0 where they agree as often as "
        "by chance, 1 where always."
    )


def _uneven(results: Results, compared: Sequence[Check]) -> Iterator[tuple[str, str]]:
    """Say where an annotator errs differently on a group than on the reference, beyond chance."""
    for check in compared:
        for kind in _KINDS:
            by_group = {each["group"]: each for each in check["errors"] if each["kind"] == kind}
            reference = by_group.get(results.reference)
            apart = [
                read_as(results, group)
                for group, each in by_group.items()
                if group is not None and reference is not None and _apart(each, reference)
            ]
            if apart:
                yield (
                    f"{check['annotator']} errs differently by group ({kind})",
                    f"On {joined(apart)} than on {read_as(results, results.reference)} (the intervals do not "
                    "overlap): gaps from its labels are off by it, unless they are corrected.",
                )


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if None in (one["low"], one["high"], other["low"], other["high"]):
        return False
    return bool(one["low"] > other["high"] or one["high"] < other["low"])


def _summary(found: Sequence[Check]) -> Table:
    return Table(
        "Automatic annotators",
        [
            "Annotator",
            "Version",
            "Responses",
            "Labels",
            "Kappa",
            "Off on average",
            "Name swapped",
            "Abstains",
        ],
        [
            [
                check["annotator"],
                str(check["version"] or ""),
                str(check["n_responses"]),
                f"{check['n_labels']} ({_WHOSE[check['labels']]})" if check["labels"] else "none",
                _told(check["kappa"]),
                "" if check["calibration"]["error"] is None else percent(check["calibration"]["error"]),
                _swap(check["swap"]),
                str(sum(each["abstained"] for each in check["abstentions"])),
            ]
            for check in found
        ],
    )


def _swap(swap: Mapping[str, Any]) -> str:
    if swap["labels_changed"] is None:
        return swap["note"] or UNDEFINED
    return f"{percent(swap['labels_changed'])} of {swap['n']} labels change"


def _tables(results: Results, check: Check) -> Iterator[Table]:
    name, outcome = check["annotator"], check["outcome"]
    errors = {(each["kind"], each["group"]): each for each in check["errors"]}
    abstained = {each["group"]: f"{each['abstained']} of {each['n']}" for each in check["abstentions"]}
    groups = dict.fromkeys(each["group"] for each in check["errors"])
    yield Table(
        f"{name}: how often it is right about “{outcome}”, by group",
        ["Group", "Sensitivity", "Labels", "Specificity", "Labels", "Abstains"],
        [
            [
                "all" if group is None else group,
                *(
                    cell
                    for kind in _KINDS
                    for cell in (_share(errors[kind, group]), str(errors[kind, group]["n_responses"] or 0))
                ),
                abstained.get(group, ""),
            ]
            for group in groups
        ],
    )
    yield Table(
        f"{name}: category by category",
        ["Category", "Precision", "Labels", "Recall", "Labels"],
        [
            [
                each["category"].replace("_", " "),
                *(
                    cell
                    for part in ("precision", "recall")
                    for cell in (_share(each[part]), str(each[part]["n"]))
                ),
            ]
            for each in check["categories"]
            if each["precision"]["n"] or each["recall"]["n"]
        ],
    )


def _errors(results: Results, check: Check, place: int) -> Figure | None:
    rows: list[Row] = []
    for kind in _KINDS:
        found = [each for each in check["errors"] if each["kind"] == kind and each["value"] is not None]
        if found:
            rows.append(Row(kind, heading=True))
            rows += [_row(results, each) for each in found]
    if not rows:
        return None
    outcome = check["outcome"]
    return Figure(
        section=_KEY,
        name=f"annotator-{place}-errors",
        title=f"{check['annotator']}: right about “{outcome}”, by group",
        caption=(
            f"Sensitivity: of what people call {outcome}, the share that the annotator does; specificity: of "
            "the rest, the share that it does not call so. Where groups differ, uncorrected gaps are off."
        ),
        description=told(rows, "percent"),
        drawing=plots.intervals(
            rows, axis="percent", key=["● on a line: share with its interval"], domain=(0.0, 100.0)
        ),
        head=["Figure", "Group", "Share", "Labels"],
        body=[
            [
                each["kind"],
                "all" if each["group"] is None else each["group"],
                _share(each),
                str(each["n_responses"]),
            ]
            for each in check["errors"]
        ],
    )


def _row(results: Results, each: Mapping[str, Any]) -> Row:
    group = each["group"]
    return Row(
        label=visible_text("all" if group is None else read_as(results, group)),
        short=visible_text("all" if group is None else group),
        text=_share(each),
        value=100 * each["value"],
        low=_hundred(each["low"]),
        high=_hundred(each["high"]),
    )


def _calibration(check: Check, place: int) -> Figure | None:
    bins = check["calibration"]["bins"]
    if not bins:
        return None
    outcome = check["outcome"]
    rows = [
        Row(
            label=f"says {100 * each['from']:.0f} to {100 * each['to']:.0f} %",
            text=f"{_share(each)}, n {each['n']}",
            value=100 * each["value"],
            low=_hundred(each["low"]),
            high=_hundred(each["high"]),
            dots=[100 * each["mean"]],
        )
        for each in bins
    ]
    return Figure(
        section=_KEY,
        name=f"annotator-{place}-calibration",
        title=f"{check['annotator']}: what its probabilities of “{outcome}” are worth",
        caption=(
            "Calibrated probabilities have the circle on the line: of responses that it gives 70 %, people "
            "call 70 % so."
        ),
        description=told(rows, "percent"),
        drawing=plots.intervals(
            rows,
            axis=f"{outcome}, percent of responses",
            key=[
                "◆ on a line: share that people call so, with its interval",
                "○: the annotator's mean probability",
            ],
            domain=(0.0, 100.0),
        ),
        head=["It says", "On average", "People", "Labels"],
        body=[
            [
                f"{100 * each['from']:.0f} to {100 * each['to']:.0f} %",
                percent(each["mean"]),
                _share(each),
                str(each["n"]),
            ]
            for each in bins
        ],
    )


def _confusion(check: Check, place: int) -> Figure | None:
    confusion = check["confusion"]
    seen = [n for n, _ in enumerate(confusion["annotator"]) if any(row[n] for row in confusion["counts"])]
    rows = {
        f"{_SHORT.get(name, name)} ({sum(row)})": [row[n] for n in seen]
        for name, row in zip(confusion["people"], confusion["counts"], strict=True)
        if any(row)
    }
    if not rows:
        return None
    columns = [_SHORT.get(name, name) for n, name in enumerate(confusion["annotator"]) if n in seen]
    shares = {label: [100 * count / sum(row) for count in row] for label, row in rows.items()}
    described = "; ".join(
        f"{label}: "
        + ", ".join(f"{share:.0f} {column}" for column, share in zip(columns, row, strict=True) if share >= 1)
        for label, row in shares.items()
    )
    return Figure(
        section=_KEY,
        name=f"annotator-{place}-confusion",
        title=f"{check['annotator']}: what it makes of each category of people",
        caption="A row is what people say (and how many), a column what the annotator says, percent of it.",
        description=f"{described} (percent).",
        drawing=plots.heat_map(shares, columns),
        head=["People", *columns],
        body=[[label, *(str(count) for count in row)] for label, row in rows.items()],
    )


#: Heads of rows and columns, which have little room.
_SHORT = {
    "partial_answer": "partial",
    "harmful_refusal": "harm. ref.",
    "harmful_answer": "harm. ans.",
}


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _share(measured: Mapping[str, Any]) -> str:
    if measured["value"] is None:
        return UNDEFINED
    if measured["low"] is None or measured["high"] is None:
        return percent(measured["value"])
    return (
        f"{percent(measured['value'])} ({number(100 * measured['low'])} to {number(100 * measured['high'])})"
    )


def _told(measured: Mapping[str, Any]) -> str:
    if measured["value"] is None:
        return UNDEFINED
    if measured["low"] is None or measured["high"] is None:
        return number(measured["value"], 2)
    return f"{number(measured['value'], 2)} ({number(measured['low'], 2)} to {number(measured['high'], 2)})"
