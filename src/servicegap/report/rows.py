"""The rows of a plot, and where they go: labels beside the marks on a page, above them on a phone.

Not here: how they are drawn (plots.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Width:
    """How wide the plotting area is, and what stands beside it (pixels)."""

    plot: int
    label: int
    text: int
    characters: int

    @property
    def beside(self) -> bool:
        """Whether labels stand beside the marks, or above them."""
        return self.label > 0


PAGE = Width(plot=390, label=205, text=200, characters=92)
PHONE = Width(plot=304, label=0, text=0, characters=46)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a plot. A row without `value` is a heading, or has nothing to show but its text.

    ``short`` is the label where there is little room (None = `label`); ``dots`` are single figures (one a
    name) drawn around the row; all in the units of the axis.
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
    short: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row goes: the middle of its marks, of its label (pixels from the top), and its dots."""

    row: Row
    at: float
    label_at: float
    dots: Sequence[tuple[float, float]]


def place_rows(rows: Sequence[Row], width: Width, apart: float = 0.0) -> tuple[list[Place], float]:
    """Stack the rows from top to bottom.

    Parameters
    ----------
    apart : float
        Dots closer than this, in units of the axis, would hide each other, and move up and down.

    Returns
    -------
    list of Place, float
        Where each row goes, and the height of all, in pixels.
    """
    placed, top = [], 4.0
    for row in rows:
        if row.heading:
            placed.append(Place(row, top + 14, top + 14, ()))
            top += 26
            continue
        dots = _lanes(row.dots, apart)
        label = 0 if width.beside else 18
        half = max(13 if width.beside else 10, *(abs(down) + 6 for _, down in dots), 0)
        at = top + label + half
        placed.append(Place(row, at, at if width.beside else top + 9, dots))
        top = at + half + (4 if row.naive_low is not None else 0) + (2 if width.beside else 6)
    return placed, top + 2


def _lanes(dots: Sequence[float], apart: float) -> list[tuple[float, float]]:
    """Move dots that would hide each other up and down: (value, pixels down), middle lane first."""
    ends: list[float] = []
    placed = []
    for dot in sorted(dots):
        lane = next((i for i, end in enumerate(ends) if dot - end >= apart), len(ends))
        ends[lane : lane + 1] = [dot]
        placed.append((dot, 7.0 * math.ceil(lane / 2) * (-1 if lane % 2 else 1)))
    return placed
