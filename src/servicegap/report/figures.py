"""Which plots a report shows of a run: estimates -> drawings, captions, tables of numbers."""

from __future__ import annotations

from collections.abc import Iterator

from servicegap.notation import UNDEFINED, count, interval, number, percent, value_text
from servicegap.records import CATEGORIES, CONTROL, OUTCOMES, Estimate
from servicegap.report import plots
from servicegap.report.annotator_figures import annotator_figures
from servicegap.report.beside_figures import beside_figures
from servicegap.report.correction import correction_figure
from servicegap.report.figure import Figure, as_percent, told
from servicegap.report.gap_figures import gap_figures, target_figures
from servicegap.report.measures import length_figure
from servicegap.report.people import agreement_figure
from servicegap.report.reading import ANY, Results, Run
from servicegap.report.rows import Row
from servicegap.report.toxicity import toxicity_figures
from servicegap.report.words import read_as, sentence_start
from servicegap.visible import visible_text

_CATEGORY_NAMES: dict[str, str] = {category: category.replace("_", " ") for category in CATEGORIES}


def figures(results: Results, run: Run) -> Iterator[Figure]:
    """Yield the figures of a run, in the order of the report; what has no estimates has no figure."""
    yield from gap_figures(results, run)
    made = (
        _categories(results, run),
        _per_name(results, run),
        *(_heat_map(results, run, group) for group in (*results.groups, CONTROL)),
    )
    yield from (figure for figure in made if figure is not None)
    yield from target_figures(results, run)
    yield from beside_figures(results, run)
    # How far people agree is of the whole study: it is drawn once.
    once = agreement_figure(results) if run is results.runs[0] else None
    found = (correction_figure(results, run), length_figure(results, run), once)
    yield from (figure for figure in found if figure is not None)
    if run is results.runs[0]:  # of the whole study, too
        yield from annotator_figures(results)
    yield from toxicity_figures(results, run)


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
    described = "; ".join(
        f"{label}: " + ", ".join(f"{_CATEGORY_NAMES[c]} {number(share)} %" for c, share in bar.items())
        for label, bar in bars.items()
    )
    return Figure(
        section="categories",
        name="categories",
        title="Share of each category, by group",
        caption="Every labelled response is in one category. Shares under 6 % have no number in the bar.",
        description=described,
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
    groups = [group for group in results.groups if _names(run, results.primary, group)]
    if not groups:
        return None
    if run.one("rate", results.primary, CONTROL):
        groups.append(CONTROL)
    rows = [_name_row(results, run, group) for group in groups]
    return Figure(
        section="names",
        name="names",
        title=f"The outcome “{results.primary}” name by name",
        caption=(
            "Names of one group differ, and a gap can be mostly one name: look for circles far from the "
            "others. A single name's rate rests on few responses."
        ),
        description=told(rows, "%"),
        drawing=plots.intervals(
            rows,
            axis=f"{results.primary}, % of prompts",
            key=["○ one name", "◆ on a line: the group's rate and its interval"],
            domain=(0.0, 100.0),
        ),
        head=["Group", "Rate", "Interval", "Names", "Name by name, most first"],
        body=[_name_cells(results, run, group) for group in groups],
    )


def _name_row(results: Results, run: Run, group: str) -> Row:
    names = _names(run, results.primary, group)
    rate = run.one("rate", results.primary, group)
    most = f"; most: {percent(names[0].value, 0)}, {names[0].signal}" if names else ""
    return Row(
        label=visible_text(read_as(results, group)),
        short=visible_text(group),
        text=visible_text((value_text(rate) if rate else UNDEFINED) + most),
        value=as_percent(rate.value) if rate else None,
        low=as_percent(rate.low) if rate else None,
        high=as_percent(rate.high) if rate else None,
        dots=[100 * name.value for name in names if name.value is not None],
    )


def _name_cells(results: Results, run: Run, group: str) -> list[str]:
    names = _names(run, results.primary, group)
    rate = run.one("rate", results.primary, group)
    return [
        read_as(results, group),
        value_text(rate) if rate else UNDEFINED,
        interval(rate) if rate else "",
        count(len(names)),
        ", ".join(f"{name.signal} {percent(name.value, 0)}" for name in names),
    ]


def _heat_map(results: Results, run: Run, group: str) -> Figure | None:
    columns = [
        outcome for outcome in run.outcomes("rate") if outcome in OUTCOMES and _names(run, outcome, group)
    ]
    if not columns:
        return None
    first = results.primary if results.primary in columns else columns[0]
    order = [name.signal for name in _names(run, first, group)]
    by_outcome = {c: {name.signal: name.value for name in _names(run, c, group)} for c in columns}
    rows = {visible_text(str(s)): [as_percent(by_outcome[c].get(s)) for c in columns] for s in order}
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
