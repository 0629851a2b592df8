"""Ratios of two groups' rates: four-fifths on the favourable outcome, ratio, odds ratio.

Intervals are crossed Welch on the log scale: log rates and log odds are linearised at the two rates (delta
method), so names, templates and their degrees of freedom count as they do for the gap. :func:`pigeonhole` is
the bootstrap that resamples names and templates, for those who want an answer free of the linearisation.

Not here: differences (comparison.py), which stay the headline: ratios explode where the reference is near 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from typing import Literal

import numpy as np

from servicegap.disparity.additive import TooLittleError, fit
from servicegap.disparity.cells import Cells, Floats
from servicegap.disparity.crossed import contrast
from servicegap.disparity.selection import Selection, select
from servicegap.errors import DataError
from servicegap.records import Estimate

Kind = Literal["four_fifths", "ratio", "odds_ratio"]


@dataclass(frozen=True, slots=True)
class LogScale:
    """A function of one rate whose difference between groups is a log ratio, and its slope."""

    value: Callable[[float], float]
    slope: Callable[[float], float]


LOG_SCALES: dict[Kind, LogScale] = {
    "four_fifths": LogScale(lambda p: log(1 - p), lambda p: -1 / (1 - p)),
    "ratio": LogScale(log, lambda p: 1 / p),
    "odds_ratio": LogScale(lambda p: log(p / (1 - p)), lambda p: 1 / (p * (1 - p))),
}

#: Half-widths on the log scale beyond this (a factor of five hundred million) are no limits at all.
_WIDEST = 20.0


def ratio_of(
    cells: Cells,
    group: str,
    reference: str,
    kind: Kind,
    *,
    level: float = 0.95,
    outcome_name: str = "outcome",
) -> Estimate:
    """Estimate a ratio between two groups' rates of a yes/no outcome.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates, of a yes/no outcome or a proportion.
    group, reference : str
        The groups compared.
    kind : {"four_fifths", "ratio", "odds_ratio"}
        ``four_fifths``: (1 - rate) / (1 - reference's rate), for an unfavourable outcome such as a refusal;
        below 0.8 is what the US four-fifths rule calls adverse impact. ``ratio``: rate over reference's rate.
        ``odds_ratio``: of the rates, not of the responses within a name (a marginal one).
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimate.

    Returns
    -------
    Estimate
        1 = no difference; p is that of the log ratio. Where a rate is 0 or 1 and the ratio needs its
        logarithm, half an event and half a non-event are added to each group, there is no p and no interval,
        and the note says so.

    Raises
    ------
    DataError
        A numeric outcome; a group that is not there.
    """
    _check(cells, group, reference)
    base = Estimate(
        kind=kind,
        outcome=outcome_name,
        value=None,
        level=level,
        group=group,
        reference=reference,
        method="crossed Welch, log scale",
    )
    try:
        chosen = select(cells, [group, reference], [np.arange(len(cells.template))])
        tables = [row[0] for row in chosen.tables()]
        rates = [fit(table).mean for table in tables]
    except TooLittleError as reason:
        return replace(base, note=str(reason))
    base = replace(
        base,
        n_responses=chosen.count(cells.responses),
        n_missing=chosen.count(cells.missing),
        n_events=chosen.count(cells.events) if cells.scale == "yes/no" else None,
        n_signals=chosen.n_signals,
        n_templates=chosen.n_templates,
    )
    scale = LOG_SCALES[kind]
    if not all(0 < p < 1 for p in rates):
        return _with_half_events(chosen, base, scale)
    value = scale.value(rates[0]) - scale.value(rates[1])
    crossed = contrast(
        [[scale.slope(p) * table] for p, table in zip(rates, tables, strict=True)], [[1], [-1]]
    )
    # The linearised contrast has the variance of the log ratio; its value is not the log ratio's.
    crossed = replace(crossed, value=value)
    if crossed.variance <= 0:
        return replace(base, value=exp(value), note="no interval and no p: nothing varies")
    half = crossed.half_width(level)
    if half > _WIDEST:
        return replace(
            base, value=exp(value), p=crossed.p, note="no interval: a rate is too near 0 or 1 to limit it"
        )
    return replace(
        base,
        value=exp(value),
        low=exp(value - half),
        high=exp(value + half),
        se=crossed.se,
        df=crossed.df,
        p=crossed.p,
        note="se is that of the logarithm",
    )


def pigeonhole(
    cells: Cells, group: str, reference: str, kind: Kind, rng: np.random.Generator, *, draws: int = 4_000
) -> Floats:
    """Resample names (within each group) and templates, and return the ratio in each resample.

    Parameters
    ----------
    cells, group, reference, kind
        As in :func:`ratio_of`.
    rng : numpy Generator
        Draws the resamples.
    draws : int
        How many.

    Returns
    -------
    (n,) float
        The resampled ratios, those left out in which a rate of 0 or 1 leaves none; its quantiles are the
        interval.

    Raises
    ------
    TooLittleError
        Nothing to resample; the message says why.

    References
    ----------
    Owen (2007), Annals of Applied Statistics 1(2), 386-411: the bootstrap of rows and columns.
    """
    _check(cells, group, reference)
    chosen = select(cells, [group, reference], [np.arange(len(cells.template))])
    templates = rng.multinomial(
        chosen.n_templates, np.full(chosen.n_templates, 1 / chosen.n_templates), draws
    )
    rates = []
    for row in chosen.tables():
        table = _completed(row[0])
        names = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), draws)
        rates.append(np.einsum("bk,kt,bt->b", names, table, templates) / table.size)
    inside = np.all([(p > 0) & (p < 1) for p in rates], axis=0)
    one, other = (p[inside] for p in rates)
    ratios: dict[Kind, Floats] = {
        "four_fifths": (1 - one) / (1 - other),
        "ratio": one / other,
        "odds_ratio": one / (1 - one) * (1 - other) / other,
    }
    return ratios[kind]


def _completed(table: Floats) -> Floats:
    """Put what names and templates make one expect into the empty cells."""
    found = fit(table)
    expected = found.names[:, None] + found.templates[None, :] - found.mean
    return np.where(np.isnan(table), expected, table)


def _with_half_events(chosen: Selection, base: Estimate, scale: LogScale) -> Estimate:
    if chosen.cells.scale != "yes/no":
        return replace(base, note="a rate of 0 or 1 has no ratio")
    rates = [
        (chosen.count(chosen.cells.events, place) + 0.5) / (chosen.count(chosen.cells.responses, place) + 1)
        for place in (0, 1)
    ]
    steady = [chosen.steady_sentence(place) for place in (0, 1) if chosen.steady(place) in (0, 1)]
    note = "; ".join(
        [*steady, "half an event and half a non-event added to each group; no interval and no p"]
    )
    return replace(base, value=exp(scale.value(rates[0]) - scale.value(rates[1])), note=note)


def _check(cells: Cells, group: str, reference: str) -> None:
    known: Sequence[str] = cells.groups
    problems = [
        f"group {name!r} is not among the groups; there are: {', '.join(map(repr, known))}"
        for name in (group, reference)
        if name not in known
    ]
    if cells.scale == "number":
        problems.append(
            "the outcome is a number without limits; ratios of rates need a yes/no outcome or a proportion"
        )
    if problems:
        raise DataError(*problems)
