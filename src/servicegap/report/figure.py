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


def axis_ends(rows: Sequence[Row], step: float = 10.0) -> tuple[float, float]:
    """Return the ends of an axis that holds zero and all intervals, at whole steps, at least two apart."""
    ends = _ends(rows)
    low, high = math.floor(min(ends) / step), math.ceil(max(ends) / step)
    if high - low < 2:
        low, high = low - 1, high + 1
    # Rounded, as 3 x 0.1 is no 0.3.
    return round(low * step, 9), round(high * step, 9)


def fine_step(rows: Sequence[Row]) -> float:
    """Return the step of an axis for figures of any size: the power of ten below the largest of them.

    Examples
    --------
    >>> fine_step([Row("", value=0.034)]), fine_step([Row("", value=0.0)])
    (0.01, 0.1)
    """
    most = max(abs(end) for end in _ends(rows))
    return 10.0 ** math.floor(math.log10(most)) if most else 0.1


def _ends(rows: Sequence[Row]) -> list[float]:
    found = (end for row in rows for end in (row.value, row.low, row.high, row.naive_low, row.naive_high))
    return [0.0, *(end for end in found if end is not None)]


def told(rows: Sequence[Row], unit: str) -> str:
    """Return what rows show, for those who do not see the plot."""
    return "; ".join(f"{row.label}: {row.text}" if row.text else row.label for row in rows) + f" ({unit})."
