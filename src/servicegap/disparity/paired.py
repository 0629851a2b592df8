"""The same prompts under two conditions, or given to two models: differences within each cell.

A safeguard's effect on a gap is a difference of differences: the gap with it minus the gap without. Every
cell is its own control, so what a name or a template does under both cancels; the crossed Welch estimator
then runs on the differences.

Not here: parts of the templates under one condition (comparison.contrasts_of).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.group_rates import rates_of
from servicegap.errors import DataError
from servicegap.records import Estimate


def differences(cells: Cells, baseline: Cells) -> Cells:
    """Subtract one condition's cells from another's, name by name and template by template.

    Parameters
    ----------
    cells, baseline : Cells
        The outcome under two conditions, of the same groups.

    Returns
    -------
    Cells
        `mean` is the difference where both conditions have labels, NaN elsewhere, for names and templates of
        both; responses, missing and events are the sums over both. Its scale is ``number``: a difference can
        be negative.

    Raises
    ------
    DataError
        No name or no template in common, or a signal that belongs to different groups.
    """
    rows = _shared(
        list(zip(cells.group, cells.signal, strict=True)),
        list(zip(baseline.group, baseline.signal, strict=True)),
    )
    columns = _shared(list(cells.template), list(baseline.template))
    problems = []
    group_of = dict(zip(baseline.signal, baseline.group, strict=True))
    for group, signal in zip(cells.group, cells.signal, strict=True):
        if group_of.get(signal, group) != group:
            problems.append(
                f"signal {signal!r} is in {group!r} here and in {group_of[signal]!r} in the baseline"
            )
    if not rows[0].size or not columns[0].size:
        problems.append("the two conditions share no name and template; ask both the same prompts")
    if problems:
        raise DataError(*problems)
    one, other = cells.take(rows[0], columns[0]), baseline.take(rows[1], columns[1])
    return replace(
        one,
        mean=one.mean - other.mean,
        responses=one.responses + other.responses,
        missing=one.missing + other.missing,
        events=one.events + other.events,
        scale="number",
    )


def gap_changes(
    cells: Cells, baseline: Cells, *, reference: object, level: float = 0.95, outcome_name: str = "outcome"
) -> dict[str, Estimate]:
    """Estimate how each group's gap changes from the baseline: the difference in differences.

    Parameters
    ----------
    cells, baseline : Cells
        The outcome under two conditions or of two models; the same prompts.
    reference : str
        The group that the others are compared with.
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimates.

    Returns
    -------
    dict of str to Estimate
        Kind ``gap_change``: the gap in `cells` minus the gap in `baseline`; above 0 = the gap is larger than
        at baseline.

    Raises
    ------
    DataError
        As :func:`differences` and :func:`servicegap.disparity.gaps`.
    """
    both = differences(cells, baseline)
    found = gaps_of(both, reference=reference, level=level, outcome_name=outcome_name)
    return {
        group: _told(gap, "gap_change", both, 2.0, cells.scale == "number") for group, gap in found.items()
    }


def rate_changes(
    cells: Cells, baseline: Cells, *, level: float = 0.95, outcome_name: str = "outcome"
) -> dict[str, Estimate]:
    """Estimate how each group's rate changes from the baseline.

    Parameters
    ----------
    cells, baseline, level, outcome_name
        As in :func:`gap_changes`.

    Returns
    -------
    dict of str to Estimate
        Kind ``rate_change``: above 0 = more of the outcome than at baseline.

    Raises
    ------
    DataError
        As :func:`differences`.
    """
    both = differences(cells, baseline)
    found = rates_of(both, level=level, outcome_name=outcome_name)
    return {
        group: _told(rate, "rate_change", both, 1.0, cells.scale == "number") for group, rate in found.items()
    }


def _told(found: Estimate, kind: str, both: Cells, limit: float, unlimited: bool) -> Estimate:
    """Name it a change, and keep limits within what differences of proportions can be."""
    low, high = found.low, found.high
    if not unlimited and low is not None and high is not None:
        low, high = max(low, -limit), min(high, limit)
    empty = int(np.isnan(both.mean).sum())
    note = f"{empty} cells have labels under one condition only" if empty else None
    # What is the same in all cells is here a change.
    said = re.sub(r"all (\d+) outcomes of", r"all changes (of \1 responses) of", found.note or "") or None
    return replace(
        found,
        kind=kind,
        low=low,
        high=high,
        method=f"{found.method}, paired by cell",
        note="; ".join(filter(None, [said, note])) or None,
    )


def _shared(one: Sequence[object], other: Sequence[object]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places, in both lists, of what is in both, in the order of the first."""
    place = {key: i for i, key in enumerate(other)}
    pairs = [(i, place[key]) for i, key in enumerate(one) if key in place]
    first, second = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(first, dtype=np.intp), np.array(second, dtype=np.intp)
