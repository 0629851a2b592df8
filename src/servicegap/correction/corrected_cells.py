"""Rates, gaps and ratios from corrected cells, for new names and templates: which interval is used when.

Groups that are prediction-powered have the crossed interval of their pseudo-outcomes. Where a group was
post-stratified, the Jeffreys limits of its shares are added in square, and the interval is never narrower
than the prediction-powered one. Where neither people nor annotator saw the outcome in a group, its rate has
the limit of the rule of three.

Not here: the public functions of arrays (correction/), pseudo-outcomes (prediction_powered.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log

from scipy.special import stdtr, stdtrit

from servicegap.correction.post_stratification import Figure, Proportion, add_reaches
from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.group_rates import rates_of
from servicegap.disparity.rare import Limits, effective_size, no_event_limit, square_and_add
from servicegap.disparity.ratios import LOG_SCALES, Kind, ratio_of
from servicegap.records import Estimate


@dataclass(frozen=True, slots=True)
class CorrectedCells:
    """What stands for people's labels, name by template.

    Attributes
    ----------
    filled : Cells
        Pseudo-outcomes, and post-stratified outcomes in the groups that needed it.
    powered : Cells
        Pseudo-outcomes in every group.
    shares : dict of str to tuple of Proportion
        For each group the counted shares in its rate; empty where it was not post-stratified.
    """

    filled: Cells
    powered: Cells
    shares: dict[str, tuple[Proportion, ...]]


def rates_of_corrected(
    cells: CorrectedCells, level: float, outcome_name: str, weights: Mapping[str, float] | None = None
) -> dict[str, Estimate]:
    """Estimate each group's rate, as ``correction.corrected_rates``; `weights` as in ``gaps_of``."""
    found, wide = (
        rates_of(table, level=level, outcome_name=outcome_name, weights=weights)
        for table in (cells.filled, cells.powered)
    )
    effects = [effect for effect in map(_design_effect, found.values()) if effect is not None]
    typical = sum(effects) / len(effects) if effects else None
    return {
        name: _rate(_with_limits(rate, typical), wide[name], cells.shares[name])
        for name, rate in found.items()
    }


def gaps_of_corrected(
    cells: CorrectedCells,
    reference: str,
    level: float,
    outcome_name: str,
    weights: Mapping[str, float] | None = None,
) -> dict[str, Estimate]:
    """Estimate each group's gap, as ``correction.corrected_gaps``; `weights` as in ``gaps_of``."""
    found, wide = (
        gaps_of(table, reference=reference, level=level, outcome_name=outcome_name, weights=weights)
        for table in (cells.filled, cells.powered)
    )
    rates = rates_of_corrected(cells, level, outcome_name, weights)
    subtracted = tuple(share.scaled(-1) for share in cells.shares[reference])
    return {
        name: _gap(gap, wide[name], cells.shares[name] + subtracted, [rates[name], rates[reference]])
        for name, gap in found.items()
    }


def ratio_of_corrected(
    cells: CorrectedCells, group: str, reference: str, kind: Kind, level: float, outcome_name: str
) -> Estimate:
    """Estimate a ratio of two groups' rates, as ``correction.corrected_ratio``."""
    found, wide = (
        ratio_of(table, group, reference, kind, level=level, outcome_name=outcome_name)
        for table in (cells.filled, cells.powered)
    )
    rates = rates_of(cells.filled, level=level)
    shares = [
        share.scaled(sign * LOG_SCALES[kind].slope(rate))
        for name, sign in ((group, 1), (reference, -1))
        if (rate := rates[name].value) is not None and 0 < rate < 1
        for share in cells.shares[name]
    ]
    return _ratio(found, wide, shares)


def _design_effect(rate: Estimate) -> float | None:
    """Crossed variance over that of as many independent responses."""
    if rate.value is None or rate.se is None or not rate.n_responses or not 0 < rate.value < 1:
        return None
    return rate.se**2 / (rate.value * (1 - rate.value) / rate.n_responses)


def _with_limits(rate: Estimate, typical: float | None) -> Estimate:
    """Give a group in which neither annotator nor people saw the outcome (or a lack of it) a limit."""
    if rate.value not in (0, 1) or rate.low is not None or rate.level is None or not rate.n_responses:
        return rate
    size = effective_size(rate.n_responses, typical, rate.n_signals or 1, rate.n_templates or 1)
    limit = no_event_limit(size, rate.level)
    low, high = (0.0, limit) if rate.value == 0 else (1 - limit, 1.0)
    said = "has the outcome" if rate.value == 0 else "lacks it"
    note = (
        f"no response of {rate.group} {said}, by people or annotator: the interval starts from the rule of "
        f"three on the {size:.0f} independent responses that they are worth"
    )
    return replace(rate, low=low, high=high, method="rule of three", note=note)


def _rate(rate: Estimate, wide: Estimate, parts: Sequence[Proportion]) -> Estimate:
    """Widen a rate by its counted shares."""
    if rate.value is None or rate.low is None or rate.high is None or rate.level is None or not parts:
        return rate
    limits = add_reaches(rate.value, Limits(rate.low, rate.high), parts, rate.level)
    limits = _no_narrower(rate.value, limits, wide)
    se = rate.se and max(Figure(rate.value, rate.se**2, 1.0, tuple(parts)).se, wide.se or 0.0)
    return replace(rate, low=max(limits.low, 0.0), high=min(limits.high, 1.0), se=se)


def _gap(gap: Estimate, wide: Estimate, parts: Sequence[Proportion], rates: Sequence[Estimate]) -> Estimate:
    """Widen a gap by its counted shares; where a group shows no outcome at all, add the rates' intervals."""
    if gap.value is not None and gap.low is None:
        steady = [rate for rate in rates if rate.method == "rule of three"]
        known = [
            (rate.value, Limits(rate.low, rate.high))
            for rate in rates
            if rate.value is not None and rate.low is not None and rate.high is not None
        ]
        if len(steady) == 1 and len(known) == 2:
            joint = square_and_add(*known[0], *known[1])
            method = "square-and-add of crossed and rule of three"
            return replace(gap, low=joint.low, high=joint.high, method=method)
    if gap.value is None or gap.se is None or gap.df is None or gap.level is None or not parts:
        return gap
    figure = Figure(gap.value, gap.se**2, gap.df, tuple(parts))
    limits = _no_narrower(gap.value, figure.limits(gap.level), wide)
    return replace(
        gap,
        low=max(limits.low, -1.0),
        high=min(limits.high, 1.0),
        se=max(figure.se, wide.se or 0.0),
        p=max(figure.p, _p_of(gap.value, wide)),
    )


def _ratio(ratio: Estimate, wide: Estimate, parts: Sequence[Proportion]) -> Estimate:
    if ratio.value is None or ratio.se is None or ratio.df is None or ratio.level is None or not parts:
        return ratio
    figure = Figure(log(ratio.value), ratio.se**2, ratio.df, tuple(parts))
    limits = _no_narrower(figure.value, figure.limits(ratio.level), wide)
    return replace(
        ratio,
        low=exp(limits.low),
        high=exp(limits.high),
        se=max(figure.se, wide.se or 0.0),
        p=max(figure.p, _p_of(figure.value, wide)),
    )


def _no_narrower(value: float, limits: Limits, wide: Estimate) -> Limits:
    """Take the prediction-powered half-width where it is the larger one."""
    if wide.se is None or wide.df is None or wide.level is None:
        return limits
    half = float(stdtrit(wide.df, (1 + wide.level) / 2)) * wide.se
    return Limits(min(limits.low, value - half), max(limits.high, value + half))


def _p_of(value: float, wide: Estimate) -> float:
    """Return the p of a value with the prediction-powered standard error."""
    return float(2 * stdtr(wide.df, -abs(value) / wide.se)) if wide.se and wide.df else 0.0
