"""What every plot is drawn on: the look, the layers, SVG for a page's and a phone's width.

With plots.py all that knows Altair and vl-convert. Not here: the plots themselves.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import vl_convert

from servicegap.report.palette import GRID, INK, MUTED, PAPER
from servicegap.report.rows import PAGE, PHONE, Place, Width

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

TEXT = alt.Text("text:N")
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
class Canvas:
    """A plot in the making. The y axis counts pixels from the top."""

    width: Width
    height: float
    data: dict[str, list[Record]] = field(default_factory=dict)

    @property
    def y(self) -> alt.Y:
        """The y axis: pixels from the top, not shown."""
        return alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[self.height, 0], nice=False, zero=False))

    def layer(self, rows: Sequence[Record]) -> Layer:
        """Return a layer with rows of its own."""
        # Altair copies a chart at every step; with the rows kept apart that costs nothing.
        name = f"rows{len(self.data)}"
        self.data[name] = list(rows)
        return alt.Chart(alt.NamedData(name=name))

    def text(self, rows: Sequence[Record], x: float, **style: Any) -> Layer:
        """Return a layer of texts, all at the same place from left to right."""
        return self.layer(rows).mark_text(**style).encode(x=_ANY.XValue(x), y=self.y, text=TEXT)

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


def drawn(
    specify: Callable[[Width], dict[str, Any]], page: Width = PAGE, phone: Width | None = PHONE
) -> Drawing:
    """Draw what `specify` gives for each width."""
    widths = {"page": page} | ({"phone": phone} if phone else {})
    # Checking every part against the schema takes longer than drawing it; the tests check the whole.
    with alt.utils.schemapi.debug_mode(False):
        specifications = {name: specify(width) for name, width in widths.items()}
    return Drawing(
        svg={name: vl_convert.vegalite_to_svg(spec) for name, spec in specifications.items()},
        specification=specifications["page"],
    )


def row_texts(canvas: Canvas, placed: Sequence[Place]) -> list[Layer]:
    """Return the labels and texts of rows: beside the marks on a page, above them on a phone."""
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
