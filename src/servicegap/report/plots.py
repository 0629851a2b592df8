"""The plots, as static SVG and as Vega-Lite: all that knows Altair and vl-convert.

Every plot is drawn for two widths, a page's and a phone's, from the same rows; labels stand beside the marks
on a page and above them on a phone. What the plots show is decided in figures.py.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

from servicegap.report.palette import FILLS, GRID, INK, MARK, MUTED, NAIVE, PAPER

Chart = alt.LayerChart
# Fonts of one width, so that text is as long on every machine as vl-convert measured it.
FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


@dataclass(frozen=True, slots=True)
class Width:
    """How wide the plotting area is, and what stands beside it (pixels)."""

    plot: int
    label: int
    text: int
    characters: int

    @property
    def ends(self) -> tuple[int, int]:
        """Return where the drawing begins and ends, seen from the left of the plotting area."""
        return -self.label, self.plot + self.text

    @property
    def beside(self) -> bool:
        """Whether labels stand beside the marks, or above them."""
        return self.label > 0


PAGE = Width(plot=400, label=180, text=190, characters=100)
PHONE = Width(plot=312, label=0, text=0, characters=48)
WIDTHS = {"page": PAGE, "phone": PHONE}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a plot. A row without `value` is a heading, or has nothing to show but its text.

    ``dots`` are single figures (one a name) drawn around the row; all in the units of the axis.
    """

    label: str
    text: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    naive_low: float | None = None
    naive_high: float | None = None
    dots: Sequence[float] = ()
    heading: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row goes: the middle of its marks, of its label (pixels from the top), and its dots."""

    row: Row
    at: float
    label_at: float
    dots: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plot drawn: SVG by width, and the Vega-Lite specification of the wide one."""

    svg: Mapping[str, str]
    specification: Mapping[str, Any]


def _layer(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.Data(values=[dict(row) for row in rows]))


def _down(height: float) -> alt.Y:
    """Places on the y axis are pixels from the top."""
    return alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[height, 0], nice=False, zero=False))


def _text(rows: Sequence[Mapping[str, Any]], x: float, y: alt.Y, **style: Any) -> alt.Chart:
    return _layer(rows).mark_text(baseline="middle", **style).encode(x=alt.value(x), y=y, text="text:N")


def intervals(rows: Sequence[Row], *, axis: str, key: Sequence[str], domain: tuple[float, float]) -> Drawing:
    """Draw a forest plot: a point and its interval on each row, the naive interval thin and dashed below.

    Parameters
    ----------
    rows : sequence of Row
        From top to bottom.
    axis, key : str, sequence of str
        Title of the axis; what the marks mean, one line each.
    domain : (float, float)
        Ends of the axis; zero is marked where it lies inside.
    """
    return _drawn(lambda width: _interval_chart(rows, axis, key, domain, width))


def _interval_chart(
    rows: Sequence[Row], axis: str, key: Sequence[str], domain: tuple[float, float], width: Width
) -> Chart:
    placed, height = _places(rows, width, apart=7 * (domain[1] - domain[0]) / width.plot)
    dots = [{"y": place.at + down, "value": dot} for place in placed for dot, down in place.dots]
    marks = [
        {"y": place.at, "value": place.row.value, "low": place.row.low, "high": place.row.high}
        for place in placed
        if place.row.value is not None
    ]
    limits = [mark for mark in marks if mark["low"] is not None and mark["high"] is not None]
    naive = [
        {"y": place.at + 8, "low": place.row.naive_low, "high": place.row.naive_high}
        for place in placed
        if place.row.naive_low is not None and place.row.naive_high is not None
    ]
    ends = [{"y": row["y"], "value": row[end]} for row in naive for end in ("low", "high")]
    y = _down(height)

    def x(field: str) -> alt.X:
        return alt.X(
            field,
            scale=alt.Scale(domain=list(domain), nice=False, clamp=True),
            axis=alt.Axis(title=textwrap.wrap(axis, width.characters), tickCount=6 if width.beside else 4, format="d"),
        )

    def line(rows: Sequence[Mapping[str, Any]], **style: Any) -> alt.Chart:
        return _layer(rows).mark_rule(**style).encode(x=x("low:Q"), x2="high:Q", y=y)

    def point(rows: Sequence[Mapping[str, Any]], **style: Any) -> alt.Chart:
        return _layer(rows).mark_point(opacity=1, **style).encode(x=x("value:Q"), y=y)

    layers = [
        _layer([{"value": 0.0}]).mark_rule(color=INK, strokeWidth=1).encode(x=x("value:Q")),
        line(limits, color=MARK, strokeWidth=3),
        line(naive, color=NAIVE, strokeWidth=1.5, strokeDash=[3, 2]),
        point(ends, color=NAIVE, shape="stroke", angle=90, size=36),
        point(dots, color=INK, size=34, strokeWidth=1.2, fill=PAPER),
        point(marks, shape="diamond" if dots else "circle", size=110 if dots else 70, fill=MARK, color=MARK),
        *_row_texts(placed, width, y),
    ]
    return _finished(layers, width.plot, height, key, width)


def _places(rows: Sequence[Row], width: Width, apart: float = 0.0) -> tuple[list[_Place], float]:
    """Stack the rows; dots closer than `apart` would hide each other, and move up and down."""
    placed, top = [], 4.0
    for row in rows:
        if row.heading:
            placed.append(_Place(row, top + 14, top + 14, ()))
            top += 26
            continue
        dots = _lanes(row.dots, apart)
        label = 0 if width.beside else 18
        half = max(13 if width.beside else 10, *(abs(down) + 6 for _, down in dots), 0)
        at = top + label + half
        placed.append(_Place(row, at, at if width.beside else top + 9, dots))
        top = at + half + (4 if row.naive_low is not None else 0) + (2 if width.beside else 6)
    return placed, top + 2


def _row_texts(placed: Sequence[_Place], width: Width, y: alt.Y) -> list[alt.Chart]:
    headings = [{"y": place.at, "text": place.row.label} for place in placed if place.row.heading]
    labels = [{"y": place.label_at, "text": place.row.label} for place in placed if not place.row.heading]
    texts = [{"y": place.label_at, "text": place.row.text} for place in placed if place.row.text]
    beside = width.beside
    # Above the marks, text crosses the grid: an outline in the colour of the paper keeps it legible.
    halo = {} if beside else {"stroke": PAPER, "strokeWidth": 3}
    left, right = (-10, width.plot + 10) if beside else (0, width.plot)
    return [
        _text(headings, width.ends[0], y, align="left", fontWeight="bold", **halo),
        _text(labels, left, y, align="right" if beside else "left", limit=width.label - 12 if beside else 160, **halo),
        _text(texts, right, y, align="left" if beside else "right", limit=width.text - 12 if beside else 160, **halo),
    ]


def _lanes(dots: Sequence[float], apart: float) -> list[tuple[float, float]]:
    """Move dots that would hide each other up and down: (value, pixels down), middle lane first."""
    ends: list[float] = []
    placed = []
    for dot in sorted(dots):
        lane = next((i for i, end in enumerate(ends) if dot - end >= apart), len(ends))
        ends[lane:] = [dot, *ends[lane + 1 :]]
        placed.append((dot, 7.0 * math.ceil(lane / 2) * (-1 if lane % 2 else 1)))
    return placed


def shares(bars: Mapping[str, Mapping[str, float]], labels: Mapping[str, str], *, axis: str) -> Drawing:
    """Draw one stacked bar for each group.

    Parameters
    ----------
    bars : mapping of group to (mapping of category to percent)
        Categories in the order in which they are stacked.
    labels : mapping of category to str
        How categories are called.
    """
    return _drawn(lambda width: _share_chart(bars, labels, axis, width))


def _share_chart(
    bars: Mapping[str, Mapping[str, float]], labels: Mapping[str, str], axis: str, width: Width
) -> Chart:
    placed, height = _places([Row(group) for group in bars], width)
    y = _down(height)
    pieces: list[dict[str, Any]] = []
    for place, bar in zip(placed, bars.values(), strict=True):
        start = 0.0
        for category, share in bar.items():
            pieces.append(
                {"y": place.at - 9, "y2": place.at + 9, "start": start, "end": start + share, "category": labels[category]}
                | {"middle": start + share / 2, "label": f"{share:.0f}" if share >= 6 else ""}
            )
            start += share
    used = [category for category in FILLS if category in labels]
    x = alt.X(
        "start:Q", scale=alt.Scale(domain=[0, 100], clamp=True), axis=alt.Axis(title=axis, tickCount=5)
    )
    colour = alt.Color(
        "category:N",
        scale=alt.Scale(domain=[labels[c] for c in used], range=[FILLS[c].colour for c in used]),
        legend=alt.Legend(
            orient="top", columns=3 if width.beside else 2, title=None, symbolType="square", symbolSize=200
        ),
    )
    numbers = [{"y": (p["y"] + p["y2"]) / 2, "start": p["middle"], "text": p["label"]} for p in pieces]
    layers = [
        _layer(pieces)
        .mark_rect(stroke=INK, strokeWidth=0.5)
        .encode(x=x, x2="end:Q", y=y, y2="y2:Q", color=colour),
        _layer(numbers).mark_text(color=INK, stroke=PAPER, strokeWidth=3).encode(x=x, y=y, text="text:N"),
        *_row_texts(placed, width, y),
    ]
    return _finished(layers, width.plot, height, (), width)


def heat_map(rows: Mapping[str, Sequence[float | None]], columns: Sequence[str]) -> Drawing:
    """Draw a table of percentages, darker = more, the number in every cell (one drawing for all widths).

    Parameters
    ----------
    rows : mapping of label to percentages
        One entry for each column; None = not defined.
    """
    cell, line, label, top = 66, 20, 108, 22
    width, height = label + cell * len(columns), top + line * len(rows)
    places = [
        (label + cell * i, top + line * j, value)
        for j, values in enumerate(rows.values())
        for i, value in enumerate(values)
    ]
    cells = [
        {"x": x, "x2": x + cell - 2, "y": y, "y2": y + line - 2, "share": value or 0.0} for x, y, value in places
    ]
    numbers = [
        {"x": x + cell / 2, "y": y + line / 2, "text": "–" if value is None else f"{value:.0f}"}
        for x, y, value in places
    ]
    names = [{"y": top + line * (j + 0.5), "text": name} for j, name in enumerate(rows)]
    heads = [{"x": label + cell * (i + 0.5), "y": top / 2, "text": name} for i, name in enumerate(columns)]
    across, down = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False)), _down(height)
    opacity = alt.FillOpacity("share:Q", scale=alt.Scale(domain=[0, 100], range=[0.0, 0.6]), legend=None)
    layers = [
        _layer(cells)
        .mark_rect(fill=MARK, stroke=GRID, strokeWidth=1)
        .encode(x=across, x2="x2:Q", y=down, y2="y2:Q", fillOpacity=opacity),
        _layer(numbers).mark_text(baseline="middle").encode(x=across, y=down, text="text:N"),
        _text(names, 0, down, align="left", limit=label - 8),
        _layer(heads).mark_text(color=MUTED, baseline="middle").encode(x=across, y=down, text="text:N"),
    ]
    return _drawn(lambda one: _finished(layers, width, height, (), one), {"page": Width(width, 0, 0, 40)})


def _finished(
    layers: Sequence[alt.Chart], plot: float, height: float, key: Sequence[str], width: Width
) -> Chart:
    """Lay the layers over each other, in pixels from the top, with the report's look."""
    lines = [line for entry in key for line in textwrap.wrap(entry, width.characters)]
    # An invisible line from end to end: the size does not hang on how a machine's font measures text.
    first, last = width.ends
    extent = _layer([{}]).mark_rule(opacity=0).encode(x=alt.value(first), x2=alt.value(last), y=alt.value(0))
    chart = alt.layer(*layers, extent).properties(width=plot, height=height)
    if lines:
        chart = chart.properties(title=alt.TitleParams(text=lines, anchor="start", offset=8))
    return (
        chart.configure(font=FONT, background="white", padding=2)
        .configure_view(stroke=None)
        .configure_text(color=INK, fontSize=12, font=FONT)
        .configure_title(color=MUTED, fontSize=12, fontWeight="normal", lineHeight=16, frame="group")
        .configure_legend(labelColor=INK, labelFontSize=12, labelLimit=200)
        .configure_axis(
            gridColor=GRID, domainColor=MUTED, tickColor=MUTED, labelColor=MUTED, titleColor=MUTED,
            labelFontSize=12, titleFontSize=12, titleFontWeight="normal", labelFlush=False,
        )
    )  # fmt: skip


def _drawn(chart: Any, widths: Mapping[str, Width] = WIDTHS) -> Drawing:
    specifications = {name: chart(width).to_dict() for name, width in widths.items()}
    return Drawing(
        svg={name: vl_convert.vegalite_to_svg(spec) for name, spec in specifications.items()},
        specification=specifications["page"],
    )
