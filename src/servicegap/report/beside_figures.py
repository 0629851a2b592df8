"""The figures of what stands beside the gaps: what they rest on, what varies, who within a group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from servicegap.notation import MINUS, UNDEFINED, interval, number, p_value, percent, points
from servicegap.records import Estimate
from servicegap.report import plots
from servicegap.report.figure import Figure, as_percent, axis_ends, told
from servicegap.report.palette import COMPONENT_FILLS
from servicegap.report.reading import ANY, Results, Run
from servicegap.report.rows import Row
from servicegap.report.words import asked_once, levels_of, more, planned_gaps, read_as
from servicegap.visible import visible_text

_COMPONENTS = {
    "name": "name",
    "template": "template",
    "group x template": "group × template",
    "name x template": "name × template",
    "chance": "chance",
}


def beside_figures(results: Results, run: Run) -> Iterator[Figure]:
    """Yield the figures beside the gaps; what has no estimates has no figure."""
    made = (_without(results, run), _variance(results, run), _within(results, run), _templates(results, run))
    yield from (figure for figure in made if figure is not None)


def _axis(results: Results) -> str:
    against = read_as(results, results.reference)
    return f"difference to {against}, points (right of 0: {more(results.primary)})"


def _without(results: Results, run: Run) -> Figure | None:
    rows: list[Row] = []
    body: list[list[str]] = []
    for gap in planned_gaps(results, run):
        left = run.pick("gap_without", group=gap.group, signal=ANY, template=ANY)
        parts = {
            "one name": [e for e in left if e.signal is not None and e.value is not None],
            "one template": [e for e in left if e.template is not None and e.value is not None],
        }
        if gap.value is None or not any(parts.values()):
            continue
        rows.append(Row(visible_text(f"{read_as(results, gap.group)}, without"), heading=True))
        rows += [_without_row(label, gap, found) for label, found in parts.items() if found]
        body += [_without_cells(results, gap, e) for found in parts.values() for e in found]
    if not rows:
        return None
    return Figure(
        section="without",
        name="without",
        title="The gap without each name, and without each template",
        caption=(
            "A thin stroke far from the thick one is a name or a template that much of the gap rests on; the "
            "one that moves the gap most is named."
        ),
        description=told(rows, "points"),
        drawing=plots.strips(
            rows,
            axis=_axis(results),
            key=["┃ thick: the whole gap", "│ thin: the gap without one name, or without one template"],
            domain=axis_ends([*rows, *(Row("", value=dot) for row in rows for dot in row.dots)]),
        ),
        head=["Gap", "Without", "Points", "Interval", "Whole gap"],
        body=body,
    )


def _without_row(label: str, gap: Estimate, left: Sequence[Estimate]) -> Row:
    """Name the one whose absence moves the gap most."""
    dots = {str(e.signal or e.template): e.value for e in left if e.value is not None}
    most = max(dots, key=lambda name: abs(dots[name] - (gap.value or 0.0)))
    return Row(
        label=label,
        text=visible_text(f"{points(dots[most])} without {most}"),
        value=as_percent(gap.value),
        dots=[100 * dot for dot in dots.values()],
    )


def _without_cells(results: Results, gap: Estimate, left: Estimate) -> list[str]:
    return [
        read_as(results, gap.group),
        str(left.signal or left.template),
        points(left.value),
        interval(left),
        points(gap.value),
    ]


def _variance(results: Results, run: Run) -> Figure | None:
    shares = {
        group: {
            str(e.target): e.value
            for e in run.pick("variance_share", group=group, target=ANY)
            if e.value is not None and e.target in _COMPONENTS
        }
        for group in results.groups
    }
    shares = {group: found for group, found in shares.items() if found}
    if not shares:
        return None
    names = dict(_COMPONENTS)
    if asked_once(results):
        names["name x template"] = "name × template and chance"
    used = [part for part in names if any(found.get(part) for found in shares.values())]
    bars = {
        visible_text(read_as(results, group)): {part: 100 * found.get(part, 0.0) for part in used}
        for group, found in shares.items()
    }
    return Figure(
        section="variance",
        name="variance",
        title=f"Where the variance of “{results.primary}” comes from",
        caption=(
            f"Each bar takes a group and {read_as(results, results.reference)} together. Name: names of one "
            "group differ. Template: templates differ for all. Group × template: a group differs more in "
            "some templates. Name × template: a name does. Chance: the same call answered otherwise."
        ),
        description="; ".join(
            f"{label}: " + ", ".join(f"{names[part]} {number(share, 0)} %" for part, share in bar.items())
            for label, bar in bars.items()
        ),
        drawing=plots.shares(
            bars, {part: names[part] for part in used}, axis="% of the variance", fills=COMPONENT_FILLS
        ),
        head=["Group", *(names[part] for part in used)],
        body=[
            [read_as(results, group), *(percent(found.get(part)) for part in used)]
            for group, found in shares.items()
        ],
    )


def _within(results: Results, run: Run) -> Figure | None:
    rows: list[Row] = []
    body: list[list[str]] = []
    for heading, found in _by_comparison(results, run):
        rows.append(Row(heading, heading=True))
        for group, e in found:
            if e.value is not None:
                rows.append(_within_row(results, group, e))
            adjusted = "" if e.p_adjusted is None else p_value(e.p_adjusted)
            body.append(
                [read_as(results, group), heading, points(e.value), interval(e), adjusted, e.note or ""]
            )
    if not rows:
        return None
    return Figure(
        section="within",
        name="within",
        title=f"Who within a group: “{results.primary}” by what else is known of names",
        caption=(
            "Exploratory. First how much one kind of names of a group differs from the other, then how much "
            "the gap to the reference does. Few names stand behind each line."
        ),
        description=told(rows, "points"),
        drawing=plots.intervals(
            rows,
            axis=f"difference, points (right of 0: {more(results.primary)} for the first named)",
            key=["● on a line: difference with its interval"],
            domain=axis_ends(rows),
        ),
        head=["Group", "Comparison", "Points", "Interval", "Adjusted p", "Note"],
        body=body,
    )


def _within_row(results: Results, group: str, e: Estimate) -> Row:
    return Row(
        label=visible_text(read_as(results, group)),
        short=visible_text(group),
        text=_gap_text(e),
        value=as_percent(e.value),
        low=as_percent(e.low),
        high=as_percent(e.high),
    )


def _by_comparison(results: Results, run: Run) -> Iterator[tuple[str, list[tuple[str, Estimate]]]]:
    """Yield what is compared, and (group, estimate) in the order of the groups."""
    compared: dict[str, dict[str, Estimate]] = {}
    for e in run.pick("level_gap", outcome=results.primary):
        group, heading = levels_of(e)
        compared.setdefault(heading, {})[group] = e
    for e in run.pick("interaction", outcome=results.primary, target=ANY):
        heading = f"gap by {(e.target or '').replace(' - ', f' {MINUS} ')}"
        compared.setdefault(heading, {})[str(e.group)] = e
    for heading, by_group in compared.items():
        known = [(group, by_group[group]) for group in results.groups if group in by_group]
        if known:
            yield visible_text(heading), known


def _templates(results: Results, run: Run) -> Figure | None:
    gaps = [
        gap for gap in planned_gaps(results, run) if run.pick("template_gap", group=gap.group, template=ANY)
    ]
    if not gaps:
        return None
    found = {
        str(gap.group): {str(e.template): e for e in run.pick("template_gap", group=gap.group, template=ANY)}
        for gap in gaps
    }
    rows = [_template_row(results, gap, found[str(gap.group)].values()) for gap in gaps]
    templates = list(dict.fromkeys(template for by_template in found.values() for template in by_template))
    return Figure(
        section="templates",
        name="templates",
        title=f"The gap in “{results.primary}” template by template",
        caption="Exploratory: a single template's gap rests on few responses.",
        description=told(rows, "points"),
        drawing=plots.intervals(
            rows,
            axis=_axis(results),
            key=["○ one template", "◆ on a line: the whole gap and its interval"],
            domain=axis_ends([*rows, *(Row("", value=dot) for row in rows for dot in row.dots)]),
        ),
        head=["Template", *found],
        body=[
            [template, *(_gap_text(by_template.get(template)) for by_template in found.values())]
            for template in templates
        ],
    )


def _template_row(results: Results, gap: Estimate, parts: Iterable[Estimate]) -> Row:
    known = {str(e.template): e.value for e in parts if e.value is not None}
    most = max(known, key=lambda template: abs(known[template]), default=None)
    return Row(
        label=visible_text(read_as(results, gap.group)),
        short=visible_text(str(gap.group)),
        text=UNDEFINED if most is None else visible_text(f"most: {points(known[most])}, {most}"),
        value=as_percent(gap.value),
        low=as_percent(gap.low),
        high=as_percent(gap.high),
        dots=[100 * value for value in known.values()],
    )


def _gap_text(gap: Estimate | None) -> str:
    if gap is None:
        return ""
    return points(gap.value) + (f" ({interval(gap)})" if interval(gap) else "")
