"""Outcomes that are numbers, in the report: means by group and their gaps, in the outcome's own unit."""

from __future__ import annotations

from servicegap.notation import interval, number, p_value, value_text
from servicegap.records import Estimate
from servicegap.report import plots
from servicegap.report.figure import Figure, told
from servicegap.report.passage import Passage
from servicegap.report.reading import Results, Run
from servicegap.report.rows import Row
from servicegap.report.words import joined, read_as
from servicegap.visible import visible_text

_WORDS = "words"


def lengths(results: Results, run: Run) -> Passage | None:
    """Return the passage on how long responses are, or None where that is not known."""
    gaps = run.pick("mean_gap", outcome=_WORDS)
    if not gaps:
        return None
    apart = [
        f"{read_as(results, gap.group)} ({number(gap.value)})"
        for gap in gaps
        if gap.p_adjusted is not None and gap.p_adjusted <= 1 - results.level
    ]
    found = (
        f"longer or shorter by a number of words that is unlikely to be chance, for {joined(apart)}"
        if apart
        else "not of another length than chance could make"
    )
    return Passage(
        key="lengths",
        heading="How long responses are",
        lead=f"Exploratory: compared with {read_as(results, results.reference)}, responses are {found}.",
        points=[("What is counted", f"{gaps[0].note}.")] if gaps[0].note else [],
    )


def length_figure(results: Results, run: Run) -> Figure | None:
    """Return the means of words by group, or None."""
    means = {e.group: e for e in run.pick("mean", outcome=_WORDS) if e.group is not None}
    gaps = {e.group: e for e in run.pick("mean_gap", outcome=_WORDS)}
    shown = [means[group] for group in results.groups if group in means]
    if not shown:
        return None
    rows = [_row(results, e) for e in shown]
    most = max((row.high or row.value or 0.0) for row in rows)
    return Figure(
        section="lengths",
        name="lengths",
        title="Words per response, by group",
        caption="Means over names and templates; the gaps to the reference stand in the table.",
        description=told(rows, _WORDS),
        drawing=plots.intervals(
            rows,
            axis="words per response",
            key=["● on a line: mean with its interval"],
            domain=(0.0, 10 * float(int(most / 10) + 1)),
        ),
        head=["Group", "Mean", "Interval", "Gap", "Interval of the gap", "Adjusted p"],
        body=[
            [read_as(results, e.group), value_text(e), interval(e), *_gap(gaps.get(e.group))] for e in shown
        ],
    )


def _gap(gap: Estimate | None) -> list[str]:
    if gap is None:
        return ["", "", ""]
    return [value_text(gap), interval(gap), "" if gap.p_adjusted is None else p_value(gap.p_adjusted)]


def _row(results: Results, e: Estimate) -> Row:
    return Row(
        label=visible_text(read_as(results, e.group)),
        short=visible_text(str(e.group)),
        text=value_text(e) + (f" ({interval(e)})" if interval(e) else ""),
        value=e.value,
        low=e.low,
        high=e.high,
    )
