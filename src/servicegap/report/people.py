"""How far the people who labelled agree, in words, a table and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from servicegap.notation import UNDEFINED, number, percent
from servicegap.report import plots
from servicegap.report.figure import Figure, told
from servicegap.report.passage import Passage, Table
from servicegap.report.reading import Results
from servicegap.report.rows import Row
from servicegap.report.words import read_as, sentence_start
from servicegap.visible import visible_text

_NAMES = {
    "percent": "percent",
    "cohen": "Cohen's kappa",
    "fleiss": "Fleiss' kappa",
    "alpha": "Krippendorff's alpha",
    "ac1": "Gwet's AC1",
}
_PARTS = ("group", "round", "background")


def agreement_of_people(results: Results) -> Passage | None:
    """Return how far people agree, or None where no two labelled the same responses."""
    rows = results.rows("agreement")
    whole = [row for row in rows if _is_whole(row) and row["category"] is None]
    if not whole:
        return None
    return Passage(
        key="agreement",
        heading="How far the people who labelled agree",
        lead=_lead(whole),
        points=[
            (
                "Reading",
                "Percent is the share of pairs of labels that are the same; the others are 0 where people "
                "agree as often as by chance, 1 where always. No automatic annotator can agree better with "
                "people than people do. Where agreement differs by group, labels may bias gaps.",
            )
        ],
        tables=_tables(results, rows, whole),
    )


def agreement_figure(results: Results) -> Figure | None:
    """Return Krippendorff's alpha, overall and by group, as a plot."""
    shown = [
        row
        for row in results.rows("agreement")
        if row["measure"] == "alpha" and row["category"] is None and row["value"] is not None
        if row["round"] is None and row["background"] is None
    ]
    if not shown:
        return None
    plotted = [_row(results, row) for row in shown]
    lowest = min(row.low if row.low is not None else row.value or 0.0 for row in plotted)
    return Figure(
        section="agreement",
        name="agreement",
        title="Krippendorff's alpha, overall and by group",
        caption="In hundredths; intervals speak of other templates labelled by the same people.",
        description=told(plotted, "hundredths"),
        drawing=plots.intervals(
            plotted,
            axis="alpha, hundredths (0: as by chance, 100: always)",
            key=["● on a line: alpha with its interval"],
            domain=(min(0.0, 10.0 * (lowest // 10)), 100.0),
        ),
        head=["Of", "Alpha", "Interval", "Responses", "Note"],
        body=[
            [_of(results, row), _figure(row), _limits(row), str(row["n_items"]), row["note"] or ""]
            for row in shown
        ],
    )


def _is_whole(row: Mapping[str, Any]) -> bool:
    return all(row[part] is None for part in _PARTS) and row["annotators"] is None


def _lead(whole: Sequence[Mapping[str, Any]]) -> str:
    by_measure = {(row["pass"], row["measure"]): row for row in whole}
    pass_ = whole[0]["pass"]
    same, alpha = by_measure.get((pass_, "percent")), by_measure.get((pass_, "alpha"))
    if same is None or same["value"] is None:
        return "People labelled the same responses, but how far they agree is not defined."
    beyond = (
        f"; beyond what chance would make, alpha is {number(alpha['value'], 2)}"
        if alpha and alpha["value"] is not None
        else ""
    )
    return (
        f"Of {same['n_pairs']} pairs of labels by {same['n_annotators']} people on {same['n_items']} "
        f"responses, {percent(same['value'])} are the same{beyond}."
    )


def _tables(
    results: Results, rows: Sequence[Mapping[str, Any]], whole: Sequence[Mapping[str, Any]]
) -> list[Table]:
    head = ["Pass", "Measure", "Figure", "Interval", "Responses", "Note"]
    tables = [
        Table(
            "All responses that two or more labelled",
            head,
            [[row["pass"], _NAMES[row["measure"]], *_figures(row)] for row in whole],
        )
    ]
    by_category = [row for row in rows if _is_whole(row) and row["category"] and row["measure"] == "alpha"]
    if by_category:
        body = [[row["pass"], row["category"].replace("_", " "), *_figures(row)] for row in by_category]
        tables.append(Table("Each category against the rest (alpha)", ["Pass", "Category", *head[2:]], body))
    parts = [
        row
        for row in rows
        if any(row[part] is not None for part in _PARTS)
        and row["category"] is None
        and row["measure"] in ("percent", "alpha")
    ]
    if parts:
        body = [[_of(results, row), _NAMES[row["measure"]], *_figures(row)] for row in parts]
        tables.append(Table("By group, round and annotators' background", ["Of", "Measure", *head[2:]], body))
    return tables


def _figures(row: Mapping[str, Any]) -> list[str]:
    return [_figure(row), _limits(row), str(row["n_items"]), row["note"] or ""]


def _figure(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return UNDEFINED
    return percent(row["value"]) if row["measure"] == "percent" else number(row["value"], 2)


def _limits(row: Mapping[str, Any]) -> str:
    if row["low"] is None or row["high"] is None:
        return ""
    scale = 100 if row["measure"] == "percent" else 1
    decimals = 1 if row["measure"] == "percent" else 2
    return f"{number(scale * row['low'], decimals)} to {number(scale * row['high'], decimals)}"


def _of(results: Results, row: Mapping[str, Any]) -> str:
    if row["group"] is not None:
        return read_as(results, row["group"])
    if row["round"] is not None:
        return f"round {row['round']}"
    if row["other_background"] is not None:
        return f"{row['background']} with {row['other_background']}"
    return f"background {row['background']}" if row["background"] is not None else "all"


def _row(results: Results, row: Mapping[str, Any]) -> Row:
    low, high = row["low"], row["high"]
    return Row(
        label=visible_text(sentence_start(_of(results, row)) + f", {row['pass']}"),
        text=_figure(row) + (f" ({_limits(row)})" if _limits(row) else ""),
        value=100 * row["value"],
        low=None if low is None else 100 * low,
        high=None if high is None else 100 * high,
    )
