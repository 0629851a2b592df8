"""Which plots a report shows of a run: estimates -> drawings, captions, tables of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from servicegap.records import CATEGORIES, OUTCOMES, Estimate
from servicegap.report import plots
from servicegap.report.notation import (
    MINUS,
    UNDEFINED,
    count,
    figure,
    interval,
    number,
    p_value,
    percent,
    points,
)
from servicegap.report.plots import Drawing, Row
from servicegap.report.reading import ANY, CONTROL, Results, Run
from servicegap.report.visible import visible_text
from servicegap.report.words import (
    VERDICTS,
    means,
    more,
    naive_contrast,
    planned_gaps,
    read_as,
    sentence_start,
    verdict,
)

_CATEGORY_NAMES: dict[str, str] = {category: category.replace("_", " ") for category in CATEGORIES}
_KEY_INTERVAL = "● on a thick line: gap with its interval, which holds for new names and templates"
_KEY_NAIVE = "thin dashed line: pooled two-proportion interval, wrong for this design, for contrast only"


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with everything that lets it be read without seeing it.

    ``section`` is where it belongs (gaps, categories, names, targets); ``description`` tells what the plot
    shows in words; ``head`` and ``body`` are its numbers as a table.
    """

    section: str
    name: str
    title: str
    caption: str
    description: str
    drawing: Drawing
    head: Sequence[str]
    body: Sequence[Sequence[str]]


def figures(results: Results, run: Run) -> Iterator[Figure]:
    """Yield the figures of a run, in the order of the report; what has no estimates has no figure."""
    made = (
        _primary(results, run),
        _others(results, run),
        _categories(results, run),
        _per_name(results, run),
        *(_heat_map(results, run, group) for group in (*results.groups, CONTROL)),
        *(_by_target(results, run, group) for group in results.groups),
    )
    yield from (figure for figure in made if figure is not None)


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
        caption=" ".join(filter(None, [_against(results), naive_contrast(results, run)])),
        axis=_axis(results, more(results.primary)),
    )


def _others(results: Results, run: Run) -> Figure | None:
    found = [
        gap
        for outcome in _outcomes(run, "gap")
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
        description=_told(rows, "points"),
        drawing=plots.intervals(rows, axis=axis, key=key, domain=_domain(rows)),
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
        value=_hundred(gap.value),
        low=_hundred(gap.low),
        high=_hundred(gap.high),
        naive_low=_hundred(naive.low) if naive else None,
        naive_high=_hundred(naive.high) if naive else None,
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


def _categories(results: Results, run: Run) -> Figure | None:
    shares = {
        group: {
            share.outcome: share.value for share in run.pick("share", group=group) if share.value is not None
        }
        for group in (*results.groups, CONTROL)
    }
    shares = {group: found for group, found in shares.items() if found}
    if not shares:
        return None
    used = [category for category in CATEGORIES if any(category in found for found in shares.values())]
    bars = {
        visible_text(read_as(results, group)): {str(c): 100 * found.get(c, 0.0) for c in used}
        for group, found in shares.items()
    }
    told = "; ".join(
        f"{label}: " + ", ".join(f"{_CATEGORY_NAMES[c]} {number(share)} %" for c, share in bar.items())
        for label, bar in bars.items()
    )
    return Figure(
        section="categories",
        name="categories",
        title="Share of each category, by group",
        caption="Every labelled response is in one category. Shares under 6 % have no number in the bar.",
        description=told,
        drawing=plots.shares(
            bars, {str(c): _CATEGORY_NAMES[c] for c in used}, axis="% of labelled responses"
        ),
        head=["Group", *(_CATEGORY_NAMES[c] for c in used)],
        body=[
            [read_as(results, group), *(percent(found.get(c)) for c in used)]
            for group, found in shares.items()
        ],
    )


def _per_name(results: Results, run: Run) -> Figure | None:
    rows, body = [], []
    for group in results.groups:
        names = _names(run, results.primary, group)
        if not names:
            continue
        rate = run.one("rate", results.primary, group)
        most = max(names, key=lambda name: name.value or 0.0)
        own = figure(rate) if rate else UNDEFINED
        rows.append(
            Row(
                label=visible_text(read_as(results, group)),
                short=visible_text(group),
                text=visible_text(f"{own}; most: {most.signal} {percent(most.value, 0)}"),
                value=_hundred(rate.value) if rate else None,
                low=_hundred(rate.low) if rate else None,
                high=_hundred(rate.high) if rate else None,
                dots=[100 * name.value for name in names if name.value is not None],
            )
        )
        body.append(
            [
                read_as(results, group),
                own,
                interval(rate) if rate else "",
                count(len(names)),
                ", ".join(f"{name.signal} {percent(name.value, 0)}" for name in names),
            ]
        )
    if not rows:
        return None
    return Figure(
        section="names",
        name="names",
        title=f"The outcome “{results.primary}” name by name",
        caption=(
            "Names of one group differ, and a gap can be mostly one name: look for circles far from the "
            "others. A single name's rate rests on few responses."
        ),
        description=_told(rows, "%"),
        drawing=plots.intervals(
            rows,
            axis=f"{results.primary}, % of prompts",
            key=["○ one name", "◆ on a line: the group's rate and its interval"],
            domain=(0.0, 100.0),
        ),
        head=["Group", "Rate", "Interval", "Names", "Name by name, most first"],
        body=body,
    )


def _heat_map(results: Results, run: Run, group: str) -> Figure | None:
    columns = [
        outcome for outcome in _outcomes(run, "rate") if outcome in OUTCOMES and _names(run, outcome, group)
    ]
    if not columns:
        return None
    first = results.primary if results.primary in columns else columns[0]
    order = [name.signal for name in _names(run, first, group)]
    by_outcome = {c: {name.signal: name.value for name in _names(run, c, group)} for c in columns}
    rows = {visible_text(str(s)): [_hundred(by_outcome[c].get(s)) for c in columns] for s in order}
    return Figure(
        section="heat",
        name=f"heat-{results.groups.index(group) if group in results.groups else 'control'}",
        title=sentence_start(read_as(results, group)),
        caption="",
        description="; ".join(
            f"{name}: " + ", ".join(f"{c} {number(v, 0)} %" for c, v in zip(columns, values, strict=True))
            for name, values in rows.items()
        ),
        drawing=plots.heat_map(rows, columns),
        head=["Name", *columns],
        body=[[str(s), *(percent(by_outcome[c].get(s)) for c in columns)] for s in order],
    )


def _names(run: Run, outcome: str, group: str) -> list[Estimate]:
    """Return the rates of a group's single names, highest first."""
    found = [e for e in run.pick("rate", outcome=outcome, group=group, signal=ANY) if e.signal is not None]
    return sorted(
        found, key=lambda rate: (-(rate.value if rate.value is not None else -1.0), str(rate.signal))
    )


def _outcomes(run: Run, kind: str) -> list[str]:
    return list(dict.fromkeys(estimate.outcome for estimate in run.estimates if estimate.kind == kind))


def _in_order(results: Results, gaps: Iterable[Estimate]) -> list[Estimate]:
    found = {gap.group: gap for gap in gaps}
    return [found[group] for group in results.groups if group in found]


def _hundred(proportion: float | None) -> float | None:
    return None if proportion is None else 100 * proportion


def _domain(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the ends of an axis that holds zero and all intervals, at tens of points."""
    ends = [
        0.0,
        *(
            end
            for row in rows
            for end in (row.value, row.low, row.high, row.naive_low, row.naive_high)
            if end is not None
        ),
    ]
    low, high = math.floor(min(ends) / 10) * 10.0, math.ceil(max(ends) / 10) * 10.0
    return (low, high) if high - low >= 20 else (low - 10, high + 10)


def _told(rows: Sequence[Row], unit: str) -> str:
    return "; ".join(f"{row.label}: {row.text}" if row.text else row.label for row in rows) + f" ({unit})."
