"""A plot with its words and its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from servicegap.report.canvas import Drawing
from servicegap.report.rows import Row


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with everything that lets it be read without seeing it.

    ``section`` is where it belongs (gaps, categories, names, targets, or the key of a passage);
    ``description`` tells what the plot shows in words; ``head`` and ``body`` are its numbers as a table.
    """

    section: str
    name: str
    title: str
    caption: str
    description: str
    drawing: Drawing
    head: Sequence[str]
    body: Sequence[Sequence[str]]


def as_percent(proportion: float | None) -> float | None:
    """Return a proportion, or a difference of proportions, in the unit of the axes."""
    return None if proportion is None else 100 * proportion


def axis_ends(rows: Sequence[Row]) -> tuple[float, float]:
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


def told(rows: Sequence[Row], unit: str) -> str:
    """Return what rows show, for those who do not see the plot."""
    return "; ".join(f"{row.label}: {row.text}" if row.text else row.label for row in rows) + f" ({unit})."
