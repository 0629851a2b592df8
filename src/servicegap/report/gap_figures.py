"""The figures of gaps: of the primary outcome, of the others, and by the target of the templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from servicegap.notation import MINUS, interval, p_value, points
from servicegap.records import Estimate
from servicegap.report import plots
from servicegap.report.figure import Figure, as_percent, axis_ends, told
from servicegap.report.reading import ANY, Results, Run
from servicegap.report.rows import Row
from servicegap.report.words import (
    VERDICTS,
    means,
    more,
    planned_gaps,
    read_as,
    sentence_start,
    verdict,
)
from servicegap.visible import visible_text

_KEY_INTERVAL = "● on a thick line: gap with its interval, which holds for new names and templates"
_KEY_NAIVE = "thin dashed line: pooled two-proportion interval, wrong for this design, for contrast only"


def gap_figures(results: Results, run: Run) -> Iterator[Figure]:
    """Yield the figures of gaps over all templates."""
    yield from (figure for figure in (_primary(results, run), _others(results, run)) if figure)


def target_figures(results: Results, run: Run) -> Iterator[Figure]:
    """Yield a figure for each group: its gap by the template's target."""
    yield from (figure for group in results.groups if (figure := _by_target(results, run, group)))


def _primary(results: Results, run: Run) -> Figure | None:
    gaps = planned_gaps(results, run)
    if not gaps:
        return None
    return _gap_figure(
        results,
        run,
        gaps,
        section="gaps",
        name="gaps",
        title=f"Gaps in the outcome “{results.primary}” ({means(results.primary)})",
        caption=_against(results),
        axis=_axis(results, more(results.primary)),
    )


def _others(results: Results, run: Run) -> Figure | None:
    found = [
        gap
        for outcome in run.outcomes("gap")
        if outcome != results.primary
        for gap in _in_order(results, run.pick("gap", outcome=outcome))
    ]
    if not found:
        return None
    said = "; ".join(
        f"{outcome} = {means(outcome)}" for outcome in dict.fromkeys(gap.outcome for gap in found)
    )
    return _gap_figure(
        results,
        run,
        found,
        section="gaps",
        name="gaps-other-outcomes",
        title="Gaps in the other outcomes",
        caption=f"{_against(results)} {said}. Exploratory: not part of the planned comparison.",
        axis=_axis(results, "more often"),
        headings=True,
    )


def _against(results: Results) -> str:
    return (
        f"Each gap is the rate of a group minus that of {read_as(results, results.reference)}, "
        "in percentage points."
    )


def _axis(results: Results, right: str) -> str:
    return f"difference to {read_as(results, results.reference)}, points (right of 0: {right})"


def _by_target(results: Results, run: Run, group: str) -> Figure | None:
    gaps = [gap for gap in run.pick("gap", outcome=results.primary, group=group, target=ANY) if gap.target]
    if not gaps:
        return None
    contrasts = run.pick("contrast", outcome=results.primary, group=group, target=ANY)
    return _gap_figure(
        results,
        run,
        [*gaps, *contrasts],
        section="targets",
        name=f"targets-{results.groups.index(group)}",
        title=f"{sentence_start(read_as(results, group))}: the gap by the template's target",
        caption=(
            f"The gap in “{results.primary}” to {read_as(results, results.reference)}, on templates whose "
            "stereotype is aimed at each target; neutral templates carry none. Below them, differences "
            "between such gaps. Few templates stand behind each line, so the intervals are wide."
        ),
        axis=f"points (right of 0: {more(results.primary)})",
        by_target=True,
    )


def _gap_figure(
    results: Results,
    run: Run,
    gaps: Sequence[Estimate],
    *,
    section: str,
    name: str,
    title: str,
    caption: str,
    axis: str,
    headings: bool = False,
    by_target: bool = False,
) -> Figure:
    naive = {
        (row.outcome, row.group): row
        for row in run.pick("naive_gap")
        if not by_target and row.low is not None
    }
    rows: list[Row] = []
    for before, gap in zip([None, *gaps], gaps, strict=False):
        if headings and (before is None or before.outcome != gap.outcome):
            rows.append(Row(gap.outcome, heading=True))
        rows.append(_gap_row(results, gap, naive.get((gap.outcome, gap.group)), by_target=by_target))
    key = [_KEY_INTERVAL] + ([_KEY_NAIVE] if any(row.naive_low is not None for row in rows) else [])
    return Figure(
        section=section,
        name=name,
        title=title,
        caption=caption,
        description=told(rows, "points"),
        drawing=plots.intervals(rows, axis=axis, key=key, domain=axis_ends(rows)),
        head=["Gap", "Points", "Interval", "p", "Adjusted p", "Reading", "Naive interval (wrong)", "Note"],
        body=[
            _gap_cells(results, gap, naive.get((gap.outcome, gap.group)), by_target=by_target) for gap in gaps
        ],
    )


def _gap_row(results: Results, gap: Estimate, naive: Estimate | None, *, by_target: bool) -> Row:
    limits = f" ({interval(gap)})" if interval(gap) else ""
    return Row(
        label=visible_text(_target(gap) if by_target else read_as(results, gap.group)),
        short=visible_text(_target(gap) if by_target else str(gap.group)),
        text=points(gap.value) + limits,
        value=as_percent(gap.value),
        low=as_percent(gap.low),
        high=as_percent(gap.high),
        naive_low=as_percent(naive.low) if naive else None,
        naive_high=as_percent(naive.high) if naive else None,
    )


def _gap_cells(results: Results, gap: Estimate, naive: Estimate | None, *, by_target: bool) -> list[str]:
    what = _target(gap) if by_target else f"{gap.outcome}: {read_as(results, gap.group)}"
    return [
        what,
        points(gap.value),
        interval(gap),
        p_value(gap.p),
        "" if gap.p_adjusted is None else p_value(gap.p_adjusted),
        VERDICTS[verdict(gap, results.level)],
        interval(naive) if naive else "",
        gap.note or "",
    ]


def _target(gap: Estimate) -> str:
    target = (gap.target or "all").replace(" - ", f" {MINUS} ")
    if gap.kind == "contrast":
        return f"difference: {target}"
    return f"{target} (its own)" if target == gap.group else target


def _in_order(results: Results, gaps: Iterable[Estimate]) -> list[Estimate]:
    found = {gap.group: gap for gap in gaps}
    return [found[group] for group in results.groups if group in found]
