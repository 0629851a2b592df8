"""How the automatic labels were corrected by people's: the passage, and its figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from servicegap.notation import interval, percent, points, value_text
from servicegap.records import Estimate
from servicegap.report import plots
from servicegap.report.figure import Figure, as_percent, axis_ends
from servicegap.report.passage import Passage, Table
from servicegap.report.reading import Results, Run
from servicegap.report.rows import Row
from servicegap.report.words import joined, more, planned_gaps, read_as, sentence_start
from servicegap.visible import visible_text


def correction(results: Results, run: Run) -> Passage | None:
    """Return how a run's automatic labels were corrected, or None where they were not."""
    gaps = [gap for gap in planned_gaps(results, run) if gap.labels == "corrected"]
    if not gaps:
        return None
    return Passage(
        key="correction",
        early=True,
        heading="Automatic labels, corrected by people",
        lead=_lead(results, run, gaps),
        points=[
            *_sources(results, run),
            *_uneven(results, run),
            *[(sentence_start(read_as(results, gap.group)), gap.note) for gap in gaps if gap.note],
        ],
        tables=[_errors(results, run), _rates(results, run)],
    )


def correction_figure(results: Results, run: Run) -> Figure | None:
    """Return corrected gaps with what the automatic labels alone say, or None."""
    gaps = [gap for gap in planned_gaps(results, run) if gap.labels == "corrected"]
    if not gaps:
        return None
    rows = [_row(results, gap, run.one("automatic_gap", gap.outcome, gap.group)) for gap in gaps]
    table = _gaps(results, run, gaps)
    return Figure(
        section="correction",
        name="correction",
        title=f"Gaps in “{results.primary}”, corrected and not",
        caption=(
            "The automatic labels alone give the circle and the dashed line; a random sample that people "
            "labelled moves them to the thick line, whose interval knows that only a sample was labelled."
        ),
        description="; ".join(f"{row[0]}: corrected {row[1]}, uncorrected {row[3]}" for row in table.body)
        + " (points).",
        drawing=plots.intervals(
            rows,
            axis=f"difference to {read_as(results, results.reference)}, points "
            f"(right of 0: {more(results.primary)})",
            key=[
                "◆ on a thick line: corrected gap with its interval",
                "○ and thin dashed line: automatic labels alone, uncorrected",
            ],
            domain=axis_ends(rows),
        ),
        head=table.head,
        body=table.body,
    )


def _row(results: Results, gap: Estimate, alone: Estimate | None) -> Row:
    return Row(
        label=visible_text(read_as(results, gap.group)),
        short=visible_text(str(gap.group)),
        text=_with_interval(gap),
        value=as_percent(gap.value),
        low=as_percent(gap.low),
        high=as_percent(gap.high),
        naive_low=as_percent(alone.low) if alone else None,
        naive_high=as_percent(alone.high) if alone else None,
        dots=[100 * alone.value] if alone and alone.value is not None else [],
    )


def _lead(results: Results, run: Run, gaps: Sequence[Estimate]) -> str:
    moved = [
        (abs(gap.value - alone.value), gap, alone)
        for gap in gaps
        if (alone := run.one("automatic_gap", gap.outcome, gap.group))
        if gap.value is not None and alone.value is not None
    ]
    if not moved:
        return "No gap could be corrected; the reasons stand below."
    _, gap, alone = max(moved, key=lambda each: each[0])
    return (
        f"The correction changes most the gap of {read_as(results, gap.group)}: from {points(alone.value)} "
        f"points by the automatic labels alone to {points(gap.value)} points."
    )


def source_of(results: Results, run: Run) -> Mapping[str, Any] | None:
    """Return what results.json says of the correction of a run."""
    rows = results.part("labels").get("correction") or ()
    return next(
        (row for row in rows if (row.get("model"), row.get("condition")) == (run.model, run.condition)), None
    )


def _sources(results: Results, run: Run) -> list[tuple[str, str]]:
    source = source_of(results, run)
    if source is None:
        return []
    fitted = (
        ", fitted on labels of this study; each response was scored without the labels of its template"
        if source.get("cross_fitted")
        else ""
    )
    version = f", version {source['version']}" if source.get("version") else ""
    labelled = ", ".join(
        f"{read_as(results, row['group'])} {row['labelled']} of {row['n']}"
        for row in source.get("groups") or ()
    )
    return [
        ("Scores", f"From annotator {source['annotator']}{version}{fitted}."),
        ("Labelled by people", f"{labelled} responses."),
    ]


def _uneven(results: Results, run: Run) -> list[tuple[str, str]]:
    """Say where the annotator errs differently on a group, beyond what chance in the labels can make."""
    said = []
    for kind, what in (("sensitivity", "finds the outcome"), ("specificity", "sees that it is not there")):
        reference = run.one(kind, results.primary, results.reference)
        apart = [
            read_as(results, e.group)
            for e in run.pick(kind, outcome=results.primary)
            if e.group is not None and reference is not None and _apart(e, reference)
        ]
        if apart and reference is not None:
            said.append(
                (
                    f"Errors differ by group ({kind})",
                    f"The annotator {what} in another share of responses for {joined(apart)} than for "
                    f"{read_as(results, results.reference)} (intervals do not overlap): uncorrected gaps are "
                    "off by it.",
                )
            )
    return said


def _apart(one: Estimate, other: Estimate) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low > other.high or one.high < other.low


def _gaps(results: Results, run: Run, gaps: Sequence[Estimate]) -> Table:
    def cell(kind: str, gap: Estimate) -> str:
        e = run.one(kind, gap.outcome, gap.group)
        return "" if e is None else _with_interval(e)

    return Table(
        "Gaps, points",
        [
            "Group",
            "Corrected, new names and templates",
            "Corrected, this corpus alone",
            "Automatic, uncorrected",
        ],
        [
            [str(gap.group), _with_interval(gap), cell("corpus_gap", gap), cell("automatic_gap", gap)]
            for gap in gaps
        ],
    )


def _errors(results: Results, run: Run) -> Table:
    groups: list[str | None] = [*results.groups, None]
    found = {
        group: [run.one(kind, results.primary, group) for kind in ("sensitivity", "specificity")]
        for group in groups
    }
    return Table(
        "How often the annotator is right, against people: sensitivity (of what people call "
        f"“{results.primary}”), specificity (of the rest)",
        ["Group", "Sensitivity", "Labels", "Specificity", "Labels"],
        [
            [
                "all" if group is None else group,
                *(
                    cell
                    for e in both
                    if e is not None
                    for cell in (_with_interval(e), str(e.n_responses or 0))
                ),
            ]
            for group, both in found.items()
            if None not in both
        ],
    )


def _rates(results: Results, run: Run) -> Table:
    kinds = {
        "Corrected, new names and templates": "rate",
        "Corrected, this corpus alone": "corpus_rate",
        "Cross-check (Rogan and Gladen)": "rogan_gladen",
    }
    body = []
    for group in results.groups:
        found = [run.one(kind, results.primary, group) for kind in kinds.values()]
        if any(found):
            body.append([group, *("" if e is None else _with_interval(e) for e in found)])
    return Table("Rates: another formula should not say something else", ["Group", *kinds], body)


def _with_interval(e: Estimate) -> str:
    if e.value is None:
        return value_text(e)
    text = percent(e.value) if e.kind not in ("gap", "corpus_gap", "automatic_gap") else points(e.value)
    return f"{text} ({interval(e)})" if interval(e) else text
