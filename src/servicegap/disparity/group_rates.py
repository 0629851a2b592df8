"""Rates of one group with their crossed interval, from cells.

Not here: gaps between groups (comparison.py), the public functions of arrays (disparity/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit, stdtrit

from servicegap.disparity.additive import TooLittleError
from servicegap.disparity.cells import Cells
from servicegap.disparity.crossed import Crossed, contrast
from servicegap.disparity.rare import Limits, effective_size, no_event_limit
from servicegap.disparity.selection import Selection, WeightedParts, select, weighted_parts
from servicegap.errors import DataError
from servicegap.records import Estimate

#: Variances below this are rounding, for outcomes about 1 in size.
NOTHING = 1e-20


@dataclass(frozen=True, slots=True)
class _Rate:
    """A rate, and what its group is worth."""

    estimate: Estimate
    selection: Selection | None = None
    crossed: Crossed | None = None


def rates_of(
    cells: Cells,
    *,
    level: float = 0.95,
    outcome_name: str = "outcome",
    weights: Mapping[str, float] | None = None,
) -> dict[str, Estimate]:
    """Estimate each group's rate, as ``servicegap.disparity.rates``, from cells.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates.
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimates.
    weights : mapping of part to share, optional
        As in ``comparison.gaps_of``.

    Raises
    ------
    DataError
        `level` outside 0 to 1; weights that do not fit the parts.
    """
    check_level(level)
    parts = weighted_parts(cells, weights)
    found = {group: _rate(cells, group, level, outcome_name, parts) for group in cells.groups}
    known = [design_effect(r.selection, r.crossed) for r in found.values() if r.selection and r.crossed]
    effects = [effect for effect in known if effect is not None]
    typical = float(np.mean(effects)) if effects else None
    return {group: _with_no_event_limit(rate, typical, level) for group, rate in found.items()}


def check_level(level: float) -> None:
    """Raise DataError unless `level` is a confidence level."""
    if not 0 < level < 1:
        raise DataError(f"level is {level}; give a confidence level between 0 and 1, such as 0.95")


def design_effect(selection: Selection, crossed: Crossed) -> float | None:
    """Return the crossed variance of a rate over that of as many independent responses.

    Parameters
    ----------
    selection : Selection
        The one group on one part that the rate is of.
    crossed : Crossed
        Its estimate.

    Returns
    -------
    float or None
        576 responses with a design effect of 20 are worth 29. None for outcomes that are not yes/no.
    """
    responses = selection.count(selection.cells.responses)
    chance = crossed.value * (1 - crossed.value) / responses
    return crossed.variance / chance if selection.cells.scale == "yes/no" and chance > 0 else None


def interval(value: float, crossed: Crossed, level: float, *, bounded: bool) -> Limits:
    """Return the interval of a rate.

    Parameters
    ----------
    value : float
        The rate.
    crossed : Crossed
        Its variance and degrees of freedom.
    level : float
        Confidence level.
    bounded : bool
        Whether the outcome lies in 0 to 1: the interval is then built on the logit scale, which keeps it
        inside. In simulated worlds (8 to 24 names, 10 to 64 templates, rates of 2 to 20 %) it covers 94 to
        97 %; a symmetric one cut off at 0 covers 79 to 94 %.
    """
    if not bounded:
        return Limits(value - crossed.half_width(level), value + crossed.half_width(level))
    if not 0 < value < 1:  # least squares can pass the edge in an incomplete design
        half = crossed.half_width(level)
        return Limits(max(value - half, 0.0), min(value + half, 1.0))
    half = float(stdtrit(crossed.df, (1 + level) / 2)) * crossed.se / (value * (1 - value))
    return Limits(float(expit(logit(value) - half)), float(expit(logit(value) + half)))


def _rate(cells: Cells, group: str, level: float, outcome_name: str, parts: WeightedParts) -> _Rate:
    rows = cells.rows(group)
    estimate = Estimate(
        kind="rate",
        outcome=outcome_name,
        value=None,
        level=level,
        group=group,
        method="crossed",
        n_responses=int(cells.responses[rows].sum()),
        n_missing=int(cells.missing[rows].sum()),
        n_events=int(cells.events[rows].sum()) if cells.scale == "yes/no" else None,
        n_signals=len(rows),
        n_templates=len(cells.template),
    )
    try:
        selection = select(cells, [group], parts.columns)
    except TooLittleError as reason:
        return _Rate(replace(estimate, note=str(reason)))
    estimate = replace(estimate, n_signals=selection.n_signals, n_templates=selection.n_templates)
    tables = selection.tables()[0]
    means = [share * float(table.mean()) for share, table in zip(parts.shares, tables, strict=True)]
    plain = sum(means) if not np.isnan(means).any() else selection.steady(0)
    try:
        crossed = contrast([tables], [parts.shares], heavy_tails=True)
    except TooLittleError as reason:
        return _Rate(replace(estimate, value=plain, note="; ".join((*selection.notes, str(reason)))))
    if crossed.variance <= NOTHING * max(1.0, crossed.value**2):
        note = "; ".join((*selection.notes, "no interval: neither names nor templates differ"))
        return _Rate(replace(estimate, value=crossed.value, note=note), selection)
    bounded = cells.scale != "number"
    value = min(max(crossed.value, 0.0), 1.0) if bounded else crossed.value
    limits = interval(value, crossed, level, bounded=bounded)
    return _Rate(
        replace(
            estimate,
            value=value,
            low=limits.low,
            high=limits.high,
            se=crossed.se,
            df=crossed.df,
            method="crossed, logit scale" if bounded else "crossed",
            note="; ".join(selection.notes) or None,
        ),
        selection,
        crossed,
    )


def _with_no_event_limit(rate: _Rate, typical: float | None, level: float) -> Estimate:
    """Give a group in which all yes/no outcomes are the same the limit that the rule of three gives."""
    selection, steady = rate.selection, rate.estimate.value
    if (
        selection is None
        or rate.crossed is not None
        or selection.cells.scale != "yes/no"
        or steady not in (0, 1)
    ):
        return rate.estimate
    size = effective_size(
        selection.count(selection.cells.responses), typical, len(selection.rows[0]), selection.n_templates
    )
    limit = no_event_limit(size, level)
    low, high = (0.0, limit) if steady == 0 else (1 - limit, 1.0)
    note = (
        f"{selection.steady_sentence(0)}: the interval is the rule of three on the {size:.0f} "
        "independent responses that they are worth"
    )
    return replace(
        rate.estimate, low=low, high=high, method="rule of three", note="; ".join((*selection.notes, note))
    )
