"""The plot of `servicegap plan`: the smallest gap that designs detect, by names and templates.

Not here: the figures (servicegap.plan).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt

from servicegap.power.question import Line, Planned
from servicegap.report import svg
from servicegap.report.canvas import TEXT, Canvas, Drawing, drawn
from servicegap.report.palette import INK, MARK, MUTED, NAIVE
from servicegap.report.rows import Width
from servicegap.study import write_text_whole

_PLOT = Width(plot=560, label=0, text=120, characters=88)
_HEIGHT = 340
#: The least distance of two labels, in pixels.
_LINE = 15
_COLOURS = (MARK, NAIVE, MUTED)
_DASHES = ((1, 0), (6, 3), (2, 2))


def write_plan_plot(planned: Planned, path: Path) -> None:
    """Draw what designs around the one asked about detect, as SVG.

    Parameters
    ----------
    planned : Planned
        The answer of planning; each source of variance is a panel's kind of line.
    path : Path
        The SVG file; replaced if it is there.

    Raises
    ------
    StudyError
        If the file cannot be written.
    """
    title = "The smallest gap that designs detect, by names and templates"
    drawing = _drawing(planned)
    write_text_whole(path, svg.for_file(drawing.svg["page"], "plan", title, _description(planned)))


def _drawing(planned: Planned) -> Drawing:
    return drawn(lambda width: _specified(planned, width), page=_PLOT, phone=None)


def _lines(planned: Planned) -> list[tuple[int, int, list[dict[str, float]]]]:
    """Return source, templates, and the detectable gap at each number of names."""
    templates = sorted({line.templates for line in planned.grid})
    found = []
    for source in range(len(planned.sources)):
        for number in templates:
            points = [
                {"names": float(line.names), "gap": 100 * gap}
                for line in planned.grid
                if line.templates == number and (gap := line.expected[source].detectable) is not None
            ]
            if points:
                found.append((source, number, points))
    return found


def _specified(planned: Planned, width: Width) -> dict[str, Any]:
    lines = _lines(planned)
    most_names = max((point["names"] for *_, points in lines for point in points), default=32.0)
    most_gap = max((point["gap"] for *_, points in lines for point in points), default=10.0)
    top = 5 * (most_gap // 5 + 1)
    canvas = Canvas(width, _HEIGHT)
    x = alt.X(
        "names:Q",
        scale=alt.Scale(domain=[0, most_names * 1.02], nice=False),
        axis=alt.Axis(title="names a group", tickCount=8, format="d"),
    )
    y = alt.Y(
        "gap:Q",
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(title="smallest gap found, points", tickCount=8, format="d"),
    )
    layers = []
    thickness = {number: 1 + place for place, number in enumerate(sorted({number for _, number, _ in lines}))}
    for source, number, points in lines:
        style: dict[str, Any] = {
            "color": _COLOURS[source % len(_COLOURS)],
            "strokeDash": list(_DASHES[source % len(_DASHES)]),
            "strokeWidth": min(thickness[number], 4),
        }
        points_too = {"filled": True, "color": style["color"]}
        layers.append(canvas.layer(points).mark_line(point=points_too, **style).encode(x=x, y=y))
    labels = canvas.layer(_labels(lines, apart=_LINE / _HEIGHT * top))
    layers.append(labels.mark_text(align="left", dx=8).encode(x=x, y=y, text=TEXT))
    wanted = [{"gap": 100 * planned.question.gap}]
    layers.append(canvas.layer(wanted).mark_rule(color=INK, strokeWidth=1).encode(y=y))
    key = [f"[{number}] {source.source}" for number, source in enumerate(planned.sources, 1)]
    key.append(
        f"found in {planned.question.power:.0%} of studies, {_asked(planned)}; horizontal line: the gap that "
        f"matters, {100 * planned.question.gap:g} points; lines below it find it"
    )
    return canvas.specification(layers, key)


def _labels(
    lines: Sequence[tuple[int, int, list[dict[str, float]]]], apart: float
) -> list[dict[str, float | str]]:
    """Return what stands at the right end of each line, the upper ones moved up where they would touch."""
    ends = [
        (max(points, key=lambda point: point["names"]), f"[{source + 1}] {number} templates")
        for source, number, points in lines
    ]
    placed: list[dict[str, float | str]] = []
    lowest = -apart
    for end, text in sorted(ends, key=lambda each: each[0]["gap"]):
        lowest = max(end["gap"], lowest + apart)
        placed.append({"names": end["names"], "gap": lowest, "text": text})
    return placed


def _asked(planned: Planned) -> str:
    asked: Line = planned.asked
    labelled = "" if asked.label_share == 1 else f", {asked.label_share:.0%} of responses labelled by people"
    return f"each prompt asked {asked.samples} time{'s'[: asked.samples != 1]}{labelled}"


def _description(planned: Planned) -> str:
    return "; ".join(
        f"[{source + 1}] {number} templates: "
        + ", ".join(f"{point['names']:.0f} names {point['gap']:.1f} points" for point in points)
        for source, number, points in _lines(planned)
    )
