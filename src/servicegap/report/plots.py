"""The plots, as static SVG and as Vega-Lite.

Every plot is drawn for two widths, a page's and a phone's, from the same rows; labels stand beside the marks
on a page and above them on a phone. What the plots show is decided in figures.py and its neighbours.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import altair as alt

from servicegap.report.canvas import TEXT, Canvas, Drawing, Layer, Record, drawn, row_texts
from servicegap.report.palette import FILLS, GRID, INK, MARK, MUTED, NAIVE, PAPER, Fill
from servicegap.report.rows import Row, Width, place_rows


def intervals(
    rows: Sequence[Row], *, axis: str, key: Sequence[str], domain: tuple[float, float], ticks: str = "d"
) -> Drawing:
    """Draw a forest plot: a point and its interval on each row, the naive interval thin and dashed below.

    Parameters
    ----------
    rows : sequence of Row
        From top to bottom.
    axis, key : str, sequence of str
        Title of the axis; what the marks mean, one line each.
    domain : (float, float)
        Ends of the axis; zero lies inside and is marked.
    ticks : str
        How numbers on the axis are written, as d3-format has it; without it as whole numbers.
    """
    return drawn(lambda width: _intervals(rows, axis, key, domain, ticks, width))


def _intervals(
    rows: Sequence[Row],
    axis: str,
    key: Sequence[str],
    domain: tuple[float, float],
    ticks: str,
    width: Width,
) -> dict[str, Any]:
    placed, height = place_rows(rows, width, apart=7 * (domain[1] - domain[0]) / width.plot)
    canvas = Canvas(width, height)
    scale = alt.Scale(domain=list(domain), nice=False, clamp=True)
    titled = alt.Axis(
        title=textwrap.wrap(axis, width.characters), tickCount=6 if width.beside else 4, format=ticks
    )

    def line(records: Sequence[Record], **style: Any) -> Layer:
        x = alt.X("low:Q", scale=scale, axis=titled)
        return canvas.layer(records).mark_rule(**style).encode(x=x, x2=alt.X2("high:Q"), y=canvas.y)

    def point(records: Sequence[Record], **style: Any) -> Layer:
        x = alt.X("value:Q", scale=scale, axis=titled)
        return canvas.layer(records).mark_point(opacity=1, **style).encode(x=x, y=canvas.y)

    dots = [{"y": place.at + down, "value": dot} for place in placed for dot, down in place.dots]
    marks = [{"y": place.at, "value": place.row.value} for place in placed if place.row.value is not None]
    limits = _limits((place.at, place.row.low, place.row.high) for place in placed)
    naive = _limits((place.at + 8, place.row.naive_low, place.row.naive_high) for place in placed)
    ends = [{"y": row["y"], "value": row[end]} for row in naive for end in ("low", "high")]
    layers = [
        canvas.layer([{"value": 0.0}])
        .mark_rule(color=INK, strokeWidth=1)
        .encode(x=alt.X("value:Q", scale=scale, axis=titled)),
        line(limits, color=MARK, strokeWidth=3),
        line(naive, color=NAIVE, strokeWidth=1.5, strokeDash=[3, 2]),
        point(ends, color=NAIVE, shape="stroke", angle=90, size=36),
        point(dots, color=INK, size=34, strokeWidth=1.2, fill=PAPER),
        point(marks, shape="diamond" if dots else "circle", size=110 if dots else 70, fill=MARK, color=MARK),
        *row_texts(canvas, placed),
    ]
    return canvas.specification(layers, key)


def _limits(rows: Any) -> list[dict[str, float]]:
    return [
        {"y": y, "low": low, "high": high} for y, low, high in rows if low is not None and high is not None
    ]


def strips(rows: Sequence[Row], *, axis: str, key: Sequence[str], domain: tuple[float, float]) -> Drawing:
    """Draw strips: on each row a thin stroke for each of its `dots`, and a thick one for its `value`.

    Parameters
    ----------
    rows, axis, key, domain
        As for :func:`intervals`.
    """
    return drawn(lambda width: _strips(rows, axis, key, domain, width))


def _strips(
    rows: Sequence[Row], axis: str, key: Sequence[str], domain: tuple[float, float], width: Width
) -> dict[str, Any]:
    # Strokes may cover one another: a strip is no higher for having many of them.
    placed, height = place_rows([replace(row, dots=()) for row in rows], width)
    canvas = Canvas(width, height)
    x = alt.X(
        "value:Q",
        scale=alt.Scale(domain=list(domain), nice=False, clamp=True),
        axis=alt.Axis(
            title=textwrap.wrap(axis, width.characters), tickCount=6 if width.beside else 4, format="d"
        ),
    )

    def strokes(records: Sequence[Record], half: float, **style: Any) -> Layer:
        records = [{**record, "y": record["at"] - half, "y2": record["at"] + half} for record in records]
        return canvas.layer(records).mark_rule(**style).encode(x=x, y=canvas.y, y2=alt.Y2("y2:Q"))

    places = [place.at for place in placed]
    single = [{"at": at, "value": dot} for at, row in zip(places, rows, strict=True) for dot in row.dots]
    whole = [
        {"at": at, "value": row.value} for at, row in zip(places, rows, strict=True) if row.value is not None
    ]
    zero = canvas.layer([{"value": 0.0}]).mark_rule(color=INK, strokeWidth=1).encode(x=x)
    layers = [
        zero,
        strokes(single, 6, color=INK, strokeWidth=1.2),
        strokes(whole, 11, color=MARK, strokeWidth=3),
        *row_texts(canvas, placed),
    ]
    return canvas.specification(layers, key)


def shares(
    bars: Mapping[str, Mapping[str, float]],
    labels: Mapping[str, str],
    *,
    axis: str,
    fills: Mapping[str, Fill] = FILLS,
) -> Drawing:
    """Draw one stacked bar for each group; a part says what it is where there is room.

    Parameters
    ----------
    bars : mapping of group to (mapping of part to percent)
        Parts (categories, say) in the order in which they are stacked.
    labels : mapping of part to str
        How parts are called.
    fills : mapping of part to Fill
        How parts are filled.
    """
    return drawn(lambda width: _shares(bars, labels, axis, fills, width))


def _shares(
    bars: Mapping[str, Mapping[str, float]],
    labels: Mapping[str, str],
    axis: str,
    fills: Mapping[str, Fill],
    width: Width,
) -> dict[str, Any]:
    placed, height = place_rows([Row(group) for group in bars], width)
    canvas = Canvas(width, height)
    pieces: list[Record] = []
    numbers: list[Record] = []
    for place, bar in zip(placed, bars.values(), strict=True):
        start, y = 0.0, place.at
        for part, share in bar.items():
            ends = {"start": start, "end": start + share}
            pieces.append({"y": y - 9, "y2": y + 9, "part": labels[part], **ends})
            if share >= 6:
                text = _direct_label(labels[part], share, width.plot)
                numbers.append({"y": y, "start": start + share / 2, "text": text})
            start += share
    x = alt.X("start:Q", scale=alt.Scale(domain=[0, 100], clamp=True), axis=alt.Axis(title=axis, tickCount=5))
    colour = alt.Color(
        "part:N",
        scale=alt.Scale(domain=list(labels.values()), range=[fills[part].colour for part in labels]),
        legend=alt.Legend(
            orient="top", columns=_legend_columns(labels.values(), width), title=None,
            symbolType="square", symbolSize=200, symbolStrokeWidth=0.5,
        ),
    )  # fmt: skip
    bar_layer = canvas.layer(pieces).mark_rect(stroke=INK, strokeWidth=0.5)
    number_layer = canvas.layer(numbers).mark_text(stroke=PAPER, strokeWidth=3)
    return canvas.specification(
        [
            bar_layer.encode(x=x, x2=alt.X2("end:Q"), y=canvas.y, y2=alt.Y2("y2:Q"), color=colour),
            number_layer.encode(x=x, y=canvas.y, text=TEXT),
            *row_texts(canvas, placed),
        ]
    )


def _legend_columns(labels: Iterable[str], width: Width) -> int:
    """Return how many parts stand side by side in the legend: so many as fit, in a wide font too."""
    widest = 25 + 8 * max(map(len, labels), default=0)
    return max(1, min(3, (width.plot + width.text) // widest))


def _direct_label(label: str, share: float, plot: int) -> str:
    """Return what stands in a part of a bar: its name where it fits (8 pixels a letter), and its percent."""
    named = f"{label} {share:.0f}"
    return named if 8 * len(named) <= share / 100 * plot else f"{share:.0f}"


def heat_map(rows: Mapping[str, Sequence[float | None]], columns: Sequence[str]) -> Drawing:
    """Draw a table of percentages, darker = more, the number in every cell (one drawing for all widths).

    Parameters
    ----------
    rows : mapping of label to percentages
        One entry for each column; None = not defined.
    """
    cell, line, label, top = 62, 20, 116, 22
    width = Width(plot=label + cell * len(columns), label=0, text=0, characters=0)
    canvas = Canvas(width, top + line * len(rows))
    places = [
        (label + cell * i, top + line * j, value)
        for j, values in enumerate(rows.values())
        for i, value in enumerate(values)
    ]
    cells = [
        {"x": x, "x2": x + cell - 2, "y": y, "y2": y + line - 2, "share": value or 0.0}
        for x, y, value in places
    ]
    numbers = [
        {"x": x + cell / 2, "y": y + line / 2, "text": "–" if value is None else f"{value:.0f}"}
        for x, y, value in places
    ]
    heads = [{"x": label + cell * (i + 0.5), "y": top / 2, "text": name} for i, name in enumerate(columns)]
    names = [{"y": top + line * (j + 0.5), "text": name} for j, name in enumerate(rows)]
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, width.plot], nice=False))
    opacity = alt.FillOpacity("share:Q", scale=alt.Scale(domain=[0, 100], range=[0.0, 0.6]), legend=None)
    squares = canvas.layer(cells).mark_rect(fill=MARK, stroke=GRID, strokeWidth=1)
    layers = [
        squares.encode(x=x, x2=alt.X2("x2:Q"), y=canvas.y, y2=alt.Y2("y2:Q"), fillOpacity=opacity),
        canvas.layer(numbers).mark_text().encode(x=x, y=canvas.y, text=TEXT),
        canvas.layer(heads).mark_text(color=MUTED).encode(x=x, y=canvas.y, text=TEXT),
        canvas.text(names, 0, align="left", limit=label - 8),
    ]
    return drawn(lambda _: canvas.specification(layers), page=width, phone=None)
