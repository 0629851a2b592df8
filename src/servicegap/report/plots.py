"""The plots, as static SVG and as Vega-Lite: all that knows Altair and vl-convert.

Every plot is drawn for two widths, a page's and a phone's, from the same rows; labels stand beside the marks
on a page and above them on a phone. What the plots show is decided in figures.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import vl_convert

from servicegap.report.palette import FILLS, GRID, INK, MARK, MUTED, NAIVE, PAPER
from servicegap.report.rows import PAGE, PHONE, Place, Row, Width, place_rows

# Fonts of one width, so that text is as long on every machine as vl-convert measured it.
FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
_LOOK = {
    "font": FONT,
    "background": "white",
    "padding": 2,
    "view": {"stroke": None},
    "text": {"color": INK, "fontSize": 13, "font": FONT, "baseline": "middle"},
    "title": {"color": MUTED, "fontSize": 13, "fontWeight": "normal", "lineHeight": 17, "frame": "group"},
    "legend": {"labelColor": INK, "labelFontSize": 13, "labelLimit": 200},
    "axis": {
        "gridColor": GRID, "domainColor": MUTED, "tickColor": MUTED, "labelColor": MUTED, "titleColor": MUTED,
        "labelFontSize": 13, "titleFontSize": 13, "titleFontWeight": "normal", "labelFlush": False,
    },
}  # fmt: skip

_TEXT = alt.Text("text:N")
_ANY: Any = alt  # for what Altair leaves without types

Record = Mapping[str, Any]
# Altair types its charts loosely: what mark_* and encode return is Any to a strict reader.
Layer = Any


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plot drawn: SVG by width, and the Vega-Lite specification of the wide one."""

    svg: Mapping[str, str]
    specification: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A plot in the making. The y axis counts pixels from the top."""

    width: Width
    height: float
    data: dict[str, list[Record]] = field(default_factory=dict)

    @property
    def y(self) -> alt.Y:
        return alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[self.height, 0], nice=False, zero=False))

    def layer(self, rows: Sequence[Record]) -> Layer:
        # Altair copies a chart at every step; with the rows kept apart that costs nothing.
        name = f"rows{len(self.data)}"
        self.data[name] = list(rows)
        return alt.Chart(alt.NamedData(name=name))

    def text(self, rows: Sequence[Record], x: float, **style: Any) -> Layer:
        return self.layer(rows).mark_text(**style).encode(x=_ANY.XValue(x), y=self.y, text=_TEXT)

    def specification(self, layers: Sequence[Layer], key: Sequence[str] = ()) -> dict[str, Any]:
        """Lay the layers over each other, with the report's look."""
        # An invisible line from end to end: the size does not hang on how a machine's font measures text.
        extent = self.layer([{}]).mark_rule(opacity=0)
        extent = extent.encode(
            x=_ANY.XValue(-self.width.label),
            x2=_ANY.X2Value(self.width.plot + self.width.text),
            y=_ANY.YValue(0),
        )
        lines = [line for entry in key for line in textwrap.wrap(entry, self.width.characters)]
        title = {"title": {"text": lines, "anchor": "start", "offset": 8}} if lines else {}
        return {
            "$schema": alt.SCHEMA_URL,
            "config": _LOOK,
            "datasets": self.data,
            "width": self.width.plot,
            "height": self.height,
            **title,
            # What alt.layer would do, without its copies of everything.
            "layer": [
                each.to_dict(validate=False, context={"top_level": False}) for each in (*layers, extent)
            ],
        }


def _drawn(
    specify: Callable[[Width], dict[str, Any]], page: Width = PAGE, phone: Width | None = PHONE
) -> Drawing:
    widths = {"page": page} | ({"phone": phone} if phone else {})
    # Checking every part against the schema takes longer than drawing it; the tests check the whole.
    with alt.utils.schemapi.debug_mode(False):
        specifications = {name: specify(width) for name, width in widths.items()}
    return Drawing(
        svg={name: vl_convert.vegalite_to_svg(spec) for name, spec in specifications.items()},
        specification=specifications["page"],
    )


def intervals(rows: Sequence[Row], *, axis: str, key: Sequence[str], domain: tuple[float, float]) -> Drawing:
    """Draw a forest plot: a point and its interval on each row, the naive interval thin and dashed below.

    Parameters
    ----------
    rows : sequence of Row
        From top to bottom.
    axis, key : str, sequence of str
        Title of the axis; what the marks mean, one line each.
    domain : (float, float)
        Ends of the axis; zero lies inside and is marked.
    """
    return _drawn(lambda width: _intervals(rows, axis, key, domain, width))


def _intervals(
    rows: Sequence[Row], axis: str, key: Sequence[str], domain: tuple[float, float], width: Width
) -> dict[str, Any]:
    placed, height = place_rows(rows, width, apart=7 * (domain[1] - domain[0]) / width.plot)
    canvas = _Canvas(width, height)
    scale = alt.Scale(domain=list(domain), nice=False, clamp=True)
    titled = alt.Axis(
        title=textwrap.wrap(axis, width.characters), tickCount=6 if width.beside else 4, format="d"
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
        *_row_texts(canvas, placed),
    ]
    return canvas.specification(layers, key)


def _limits(rows: Any) -> list[dict[str, float]]:
    return [
        {"y": y, "low": low, "high": high} for y, low, high in rows if low is not None and high is not None
    ]


def _row_texts(canvas: _Canvas, placed: Sequence[Place]) -> list[Layer]:
    width = canvas.width
    headings = [{"y": place.at, "text": place.row.label} for place in placed if place.row.heading]
    labels = [
        {"y": place.label_at, "text": place.row.label if width.beside else place.row.short or place.row.label}
        for place in placed
        if not place.row.heading
    ]
    texts = [{"y": place.label_at, "text": place.row.text} for place in placed if place.row.text]
    if width.beside:
        return [
            canvas.text(headings, -width.label, align="left", fontWeight="bold"),
            canvas.text(labels, -10, align="right", limit=width.label - 12),
            canvas.text(texts, width.plot + 10, align="left", limit=width.text - 12),
        ]
    # Above the marks, text crosses the grid: an outline in the colour of the paper keeps it legible.
    halo = {"stroke": PAPER, "strokeWidth": 3}
    return [
        canvas.text(headings, 0, align="left", fontWeight="bold", **halo),
        canvas.text(labels, 0, align="left", limit=width.plot * (0.35 if texts else 1), **halo),
        canvas.text(texts, width.plot, align="right", limit=width.plot * 0.65, **halo),
    ]


def shares(bars: Mapping[str, Mapping[str, float]], labels: Mapping[str, str], *, axis: str) -> Drawing:
    """Draw one stacked bar for each group.

    Parameters
    ----------
    bars : mapping of group to (mapping of category to percent)
        Categories in the order in which they are stacked.
    labels : mapping of category to str
        How categories are called.
    """
    return _drawn(lambda width: _shares(bars, labels, axis, width))


def _shares(
    bars: Mapping[str, Mapping[str, float]], labels: Mapping[str, str], axis: str, width: Width
) -> dict[str, Any]:
    placed, height = place_rows([Row(group) for group in bars], width)
    canvas = _Canvas(width, height)
    pieces: list[Record] = []
    numbers: list[Record] = []
    for place, bar in zip(placed, bars.values(), strict=True):
        start, y = 0.0, place.at
        for category, share in bar.items():
            ends = {"start": start, "end": start + share}
            pieces.append({"y": y - 9, "y2": y + 9, "category": labels[category], **ends})
            if share >= 6:
                numbers.append({"y": y, "start": start + share / 2, "text": f"{share:.0f}"})
            start += share
    x = alt.X("start:Q", scale=alt.Scale(domain=[0, 100], clamp=True), axis=alt.Axis(title=axis, tickCount=5))
    colour = alt.Color(
        "category:N",
        scale=alt.Scale(domain=list(labels.values()), range=[FILLS[category].colour for category in labels]),
        legend=alt.Legend(
            orient="top", columns=3 if width.beside else 2, title=None, symbolType="square", symbolSize=200,
            symbolStrokeWidth=0.5,
        ),
    )  # fmt: skip
    bar_layer = canvas.layer(pieces).mark_rect(stroke=INK, strokeWidth=0.5)
    number_layer = canvas.layer(numbers).mark_text(stroke=PAPER, strokeWidth=3)
    return canvas.specification(
        [
            bar_layer.encode(x=x, x2=alt.X2("end:Q"), y=canvas.y, y2=alt.Y2("y2:Q"), color=colour),
            number_layer.encode(x=x, y=canvas.y, text=_TEXT),
            *_row_texts(canvas, placed),
        ]
    )


def heat_map(rows: Mapping[str, Sequence[float | None]], columns: Sequence[str]) -> Drawing:
    """Draw a table of percentages, darker = more, the number in every cell (one drawing for all widths).

    Parameters
    ----------
    rows : mapping of label to percentages
        One entry for each column; None = not defined.
    """
    cell, line, label, top = 62, 20, 116, 22
    width = Width(plot=label + cell * len(columns), label=0, text=0, characters=0)
    canvas = _Canvas(width, top + line * len(rows))
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
        canvas.layer(numbers).mark_text().encode(x=x, y=canvas.y, text=_TEXT),
        canvas.layer(heads).mark_text(color=MUTED).encode(x=x, y=canvas.y, text=_TEXT),
        canvas.text(names, 0, align="left", limit=label - 8),
    ]
    return _drawn(lambda _: canvas.specification(layers), page=width, phone=None)
