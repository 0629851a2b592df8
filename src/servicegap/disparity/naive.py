"""What an ordinary test of two proportions would say: wrong for this design, and shown as such.

Not here: anything to draw a conclusion from (comparison.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtr, ndtri

from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import base_estimate, counted
from servicegap.records import Estimate


def naive_gaps_of(
    cells: Cells, *, reference: object, level: float = 0.95, outcome_name: str = "outcome"
) -> dict[str, Estimate]:
    """Compare pooled proportions, as ``servicegap.disparity.naive_gaps``, from cells.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates.
    reference, level, outcome_name
        As there.

    Raises
    ------
    DataError
        As there.
    """
    base = replace(
        base_estimate("naive_gap", cells, reference, level, outcome_name),
        method="pooled two-proportion z",
        note="shown as a contrast only: it takes responses for independent, which is false for this design",
    )
    return {
        group: _naive(cells, replace(base, group=group)) for group in cells.groups if group != base.reference
    }


def _naive(cells: Cells, base: Estimate) -> Estimate:
    groups = (str(base.group), str(base.reference))
    base = counted(base, cells, groups, [np.arange(len(cells.template))])
    if cells.scale != "yes/no":
        return replace(base, note="this test is for yes/no outcomes only")
    (x, n), (y, m) = (
        (int(c.events[c_rows].sum()), int(c.responses[c_rows].sum()))
        for c, c_rows in ((cells, cells.rows(g)) for g in groups)
    )
    if not n or not m:
        return replace(base, note="a group has no labelled response")
    gap, pooled = x / n - y / m, (x + y) / (n + m)
    apart = (x / n * (1 - x / n) / n + y / m * (1 - y / m) / m) ** 0.5
    together = (pooled * (1 - pooled) * (1 / n + 1 / m)) ** 0.5
    if not apart:
        return replace(base, value=gap, note=f"{base.note}; all outcomes of each group are the same")
    half = float(ndtri((1 + (base.level or 0)) / 2)) * apart
    return replace(
        base, value=gap, low=gap - half, high=gap + half, se=apart, p=float(2 * ndtr(-abs(gap) / together))
    )
