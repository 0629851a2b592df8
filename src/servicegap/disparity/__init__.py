"""Rates and gaps between groups, valid for names and templates that were not in the study.

Every function takes arrays with one entry a response and gives :class:`servicegap.records.Estimate`; the
method is the crossed Welch estimator (crossed.py) on names x templates (cells.py). :func:`naive_gaps` is what
an ordinary test would say, shown beside it as a contrast.

Not here: which responses belong into an analysis, adjusting p values (multiplicity.py), wording for readers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from servicegap.disparity.cells import aggregate
from servicegap.disparity.columns import Column
from servicegap.disparity.comparison import contrasts_of, gaps_of
from servicegap.disparity.group_rates import rates_of
from servicegap.disparity.naive import naive_gaps_of
from servicegap.records import Estimate


def rates(
    outcome: Column,
    group: Column,
    signal: Column,
    template: Column,
    *,
    level: float = 0.95,
    weight: Column | None = None,
    outcome_name: str = "outcome",
) -> dict[str, Estimate]:
    """Estimate each group's rate (or mean) with an interval that holds for new names and templates.

    Parameters
    ----------
    outcome : one-dimensional, length n
        True/false, 0/1 or a finite number for each response; None or NaN = no label.
    group, signal, template : one-dimensional, length n
        Whom the response is about, by which signal (the name), in which template.
    level : float
        Confidence level, between 0 and 1.
    weight : one-dimensional, length n, optional
        A number >= 0 for each response; the mean of a name in a template is weighted by it.
    outcome_name : str
        What the outcome is called in the estimates.

    Returns
    -------
    dict of str to Estimate
        For each group, kind ``rate``: the mean over its names and templates, each name and each template
        counting the same. No p: a rate is not compared with anything.

    Raises
    ------
    DataError
        Arrays that cannot be used; every mistake is told.

    Notes
    -----
    One-group analogue of :func:`gaps`, with degrees of freedom lowered where a few templates or names carry
    the rate (kurtosis), as they do when an outcome is rare. Intervals of yes/no outcomes and proportions are
    built on the logit scale (delta method, t quantile) and so stay within 0 to 1; a rate of exactly 0 or 1
    has the exact rule-of-three limit on as many responses as the group's are worth.

    Examples
    --------
    >>> found = rates([1, 0, 1, 1], ["a"] * 4, ["Ann", "Ann", "Bea", "Bea"], [1, 2, 1, 2])
    >>> found["a"].value
    0.75
    """
    cells = aggregate(outcome, group, signal, template, weight=weight)
    return rates_of(cells, level=level, outcome_name=outcome_name)


def gaps(
    outcome: Column,
    group: Column,
    signal: Column,
    template: Column,
    *,
    reference: object,
    level: float = 0.95,
    weight: Column | None = None,
    strata: Column | Mapping[str, Column] | None = None,
    outcome_name: str = "outcome",
    rng: np.random.Generator | None = None,
) -> dict[str, Estimate]:
    """Estimate each group's gap to the reference group, valid for new names and templates.

    Parameters
    ----------
    outcome, group, signal, template, level, weight, outcome_name
        As in :func:`rates`. Give the responses on the templates that the gap is to be about.
    reference : str
        The group that the others are compared with.
    strata : one-dimensional, length n, or a mapping of such arrays, optional
        What is known of each response's name (gender, commonness, ...): the strata of the permutation that
        stands in the note of a rare outcome.
    rng : numpy Generator, optional
        For permutations too many to list; without it one with a fixed seed, so that a result can be had
        again.

    Returns
    -------
    dict of str to Estimate
        For each group but the reference, kind ``gap``: its rate minus the reference's, every name and every
        template counting the same; above 0 = the group has more of the outcome. p is two-sided and not
        adjusted. What cannot be had is None, with the reason in ``note``.

    Raises
    ------
    DataError
        Arrays that cannot be used, `reference` not among the groups, one group only, `level` outside 0 to 1.

    Notes
    -----
    Crossed Welch (see :mod:`servicegap.disparity.crossed`). Assumes that the names of each group and the
    templates are like random draws from those the claim is to be about, and that missing labels are
    missing by chance.

    Examples
    --------
    >>> y = [1, 0, 1, 1, 0, 0, 1, 0]
    >>> g = ["a"] * 4 + ["b"] * 4
    >>> gaps(y, g, [1, 1, 2, 2, 3, 3, 4, 4], [1, 2] * 4, reference="b")["a"].value
    0.5
    """
    cells = aggregate(outcome, group, signal, template, weight=weight, strata=strata)
    return gaps_of(cells, reference=reference, level=level, outcome_name=outcome_name, rng=rng)


def contrasts(
    outcome: Column,
    group: Column,
    signal: Column,
    template: Column,
    part: Column,
    *,
    reference: object,
    minuend: object,
    subtrahend: object,
    level: float = 0.95,
    weight: Column | None = None,
    strata: Column | Mapping[str, Column] | None = None,
    outcome_name: str = "outcome",
    rng: np.random.Generator | None = None,
) -> dict[str, Estimate]:
    """Estimate how much larger each group's gap is on one part of the templates than on another.

    Parameters
    ----------
    outcome, group, signal, template, reference, level, weight, strata, outcome_name, rng
        As in :func:`gaps`.
    part : one-dimensional, length n
        The part of the study that the response's template belongs to (``own``, ``other``, ``neutral``, ...);
        other parts than the two named are left aside.
    minuend, subtrahend : str
        The parts: the estimate is the gap on `minuend` minus the gap on `subtrahend`.

    Returns
    -------
    dict of str to Estimate
        For each group but the reference, kind ``contrast``: above 0 = the gap is larger on `minuend`. Each
        name is compared with itself, so what it does in both parts cancels; the templates of the parts are
        independent.

    Raises
    ------
    DataError
        As :func:`gaps`; a part that no template belongs to; a template in two parts.
    """
    cells = aggregate(outcome, group, signal, template, weight=weight, strata=strata, part=part)
    return contrasts_of(
        cells,
        reference=reference,
        minuend=minuend,
        subtrahend=subtrahend,
        level=level,
        outcome_name=outcome_name,
        rng=rng,
    )


def naive_gaps(
    outcome: Column,
    group: Column,
    signal: Column,
    template: Column,
    *,
    reference: object,
    level: float = 0.95,
    outcome_name: str = "outcome",
) -> dict[str, Estimate]:
    """Compare pooled proportions as if all responses were independent: wrong here, for contrast only.

    Parameters
    ----------
    outcome, group, signal, template, reference, level, outcome_name
        As in :func:`gaps`; the outcome must be yes/no.

    Returns
    -------
    dict of str to Estimate
        For each group but the reference, kind ``naive_gap``. Calls 43 to 46 % of true nulls a difference at a
        nominal 5 % in worlds like the published pilot's.

    Raises
    ------
    DataError
        As :func:`gaps`.
    """
    cells = aggregate(outcome, group, signal, template)
    return naive_gaps_of(cells, reference=reference, level=level, outcome_name=outcome_name)
