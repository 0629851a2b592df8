"""Corrected rates, gaps and ratios of this corpus alone: these names, these templates, these responses.

If people had labelled every response, nothing would be left to estimate for the corpus; so the only
uncertainty is which responses they labelled, and the interval is much narrower than one that holds for new
names and templates. It says nothing about those.

Within each group the responses fall into strata: by automatic label, or as given. In stratum h with N_h
responses of which n_h are labelled, W_h = N_h / N:

    rate = sum_h W_h (mean of f over all + mean of Y - f over the labelled)
    variance = sum_h W_h^2 (1 - n_h / N_h) s_h^2 / n_h,   s_h^2 = variance of Y - f among the labelled

the difference estimator with finite population correction. Where probabilities differ within a stratum, means
over the labelled are weighted by 1 / probability.

Not here: figures for new names and templates (correction/).

References
----------
Cochran (1977), Sampling Techniques, 3rd edition, sections 5.9 and 7.9; Saerndal, Swensson and Wretman (1992),
Model Assisted Survey Sampling, section 6.3 (difference estimator).
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, inf

import numpy as np
import polars as pl
from numpy.typing import NDArray

from servicegap.correction.human_sample import YES, HumanSample, human_sample
from servicegap.correction.post_stratification import Figure
from servicegap.correction.prediction_powered import described
from servicegap.correction.stratified import corpus_figure, difference, logarithm
from servicegap.disparity.columns import Column, labels
from servicegap.disparity.group_rates import check_level
from servicegap.disparity.rare import Limits
from servicegap.disparity.ratios import Kind
from servicegap.errors import DataError
from servicegap.records import Estimate

_TARGET = "this corpus alone (finite population)"
_CERTAIN = "every response is labelled by people: for this corpus there is nothing to estimate"


def corpus_rates(
    score: Column,
    label: Column,
    probability: Column,
    group: Column,
    *,
    strata: Column | None = None,
    level: float = 0.95,
    template: Column | None = None,
    fitted_on: Column | None = None,
    fold: Column | None = None,
    outcome_name: str = "outcome",
) -> dict[str, Estimate]:
    """Estimate each group's rate in this corpus, every response counting the same.

    Parameters
    ----------
    score, label, probability, group, level, fitted_on, fold, outcome_name
        As in ``correction.corrected_rates``.
    strata : one-dimensional, length n, optional
        Strata within each group, from which people's sample was drawn; without it, the automatic label.
    template : one-dimensional, length n, optional
        Needed with `fold`.

    Returns
    -------
    dict of str to Estimate
        For each group, kind ``rate``. Valid for these responses, not for new names or templates.

    Raises
    ------
    DataError
        Arrays that cannot be used; every mistake is told. Labels that would correct the scores they taught.

    Examples
    --------
    >>> score, people = [0.9, 0.2, 0.8, 0.4], [1, 0, 1, 1]
    >>> corpus_rates(score, people, [1] * 4, ["a"] * 4)["a"].value
    0.75
    """
    sample = human_sample(score, label, probability, group, template, fitted_on=fitted_on, fold=fold)
    return corpus_rates_of_sample(sample, strata=strata, level=level, outcome_name=outcome_name)


def corpus_rates_of_sample(
    sample: HumanSample, *, strata: Column | None = None, level: float, outcome_name: str
) -> dict[str, Estimate]:
    """Estimate each group's rate, as :func:`corpus_rates`, from a sample already read."""
    check_level(level)
    within = _strata(sample, strata)
    return {
        name: _estimate(
            Estimate(kind="rate", outcome=outcome_name, value=None, level=level, group=name),
            corpus_figure(sample, name, within),
            sample,
            [name],
            Limits(0.0, 1.0),
        )
        for name in sample.groups
    }


def corpus_gaps(
    score: Column,
    label: Column,
    probability: Column,
    group: Column,
    *,
    reference: object,
    strata: Column | None = None,
    level: float = 0.95,
    template: Column | None = None,
    fitted_on: Column | None = None,
    fold: Column | None = None,
    outcome_name: str = "outcome",
) -> dict[str, Estimate]:
    """Estimate each group's gap to the reference group in this corpus, every response counting the same.

    Parameters
    ----------
    score, label, probability, group, strata, level, template, fitted_on, fold, outcome_name
        As in :func:`corpus_rates`.
    reference : str
        The group that the others are compared with.

    Returns
    -------
    dict of str to Estimate
        For each group but the reference, kind ``gap``. Its p asks whether *these* responses differ by group.

    Raises
    ------
    DataError
        As in :func:`corpus_rates`; `reference` not among the groups, or one group only.
    """
    sample = human_sample(score, label, probability, group, template, fitted_on=fitted_on, fold=fold)
    return corpus_gaps_of_sample(
        sample, str(reference), strata=strata, level=level, outcome_name=outcome_name
    )


def corpus_gaps_of_sample(
    sample: HumanSample, reference: str, *, strata: Column | None = None, level: float, outcome_name: str
) -> dict[str, Estimate]:
    """Estimate each group's gap, as :func:`corpus_gaps`, from a sample already read."""
    check_level(level)
    _check_groups(sample, [reference])
    within = _strata(sample, strata)
    figures = {name: corpus_figure(sample, name, within) for name in sample.groups}
    base = Estimate(kind="gap", outcome=outcome_name, value=None, level=level, reference=reference)
    return {
        name: _estimate(
            replace(base, group=name),
            difference(figures[name], figures[reference]),
            sample,
            [name, reference],
            Limits(-1.0, 1.0),
        )
        for name in sample.groups
        if name != reference
    }


def corpus_ratio(
    score: Column,
    label: Column,
    probability: Column,
    group: Column,
    *,
    of: str,
    reference: str,
    kind: Kind,
    strata: Column | None = None,
    level: float = 0.95,
    template: Column | None = None,
    fitted_on: Column | None = None,
    fold: Column | None = None,
    outcome_name: str = "outcome",
) -> Estimate:
    """Estimate a ratio between two groups' rates in this corpus, on the log scale (delta method).

    Parameters
    ----------
    score, label, probability, group, strata, level, template, fitted_on, fold, outcome_name
        As in :func:`corpus_rates`.
    of, reference : str
        The group, and the one it is compared with.
    kind : {"four_fifths", "ratio", "odds_ratio"}
        As in ``ratios.ratio_of``.

    Returns
    -------
    Estimate
        1 = no difference; se is that of the logarithm. Undefined where a corrected rate is not strictly
        within 0 to 1.

    Raises
    ------
    DataError
        As in :func:`corpus_rates`; a group that is not there.
    """
    check_level(level)
    sample = human_sample(score, label, probability, group, template, fitted_on=fitted_on, fold=fold)
    _check_groups(sample, [of, reference])
    within = _strata(sample, strata)
    base = Estimate(kind=kind, outcome=outcome_name, value=None, level=level, group=of, reference=reference)
    rates = [corpus_figure(sample, name, within) for name in (of, reference)]
    if not all(rate is None or 0 < rate.value < 1 for rate in rates):
        base = replace(base, note="a corrected rate is 0 or 1 or beyond: it has no ratio")
        return described(base, sample, [of, reference], _TARGET)
    one, other = (rate and logarithm(rate, kind) for rate in rates)
    found = _estimate(base, difference(one, other), sample, [of, reference], Limits(-inf, inf))
    value, low, high = (None if x is None else exp(x) for x in (found.value, found.low, found.high))
    return replace(found, value=value, low=low, high=high)


def _check_groups(sample: HumanSample, wanted: list[str]) -> None:
    told = ", ".join(map(repr, sample.groups))
    problems = [
        f"group {name!r} is not among the groups; there are: {told}"
        for name in wanted
        if name not in sample.groups
    ]
    if len(sample.groups) < 2:
        problems.append(f"there is one group only ({told}); a comparison needs a reference and another group")
    if problems:
        raise DataError(*problems)


def _strata(sample: HumanSample, strata: Column | None) -> NDArray[np.int64]:
    """Return each response's stratum within its group, as a number."""
    if strata is None:
        return (sample.score >= YES).astype(np.int64)
    problems: list[str] = []
    given = labels(strata, "strata", problems)
    if len(given) != len(sample.score) and not problems:
        problems.append(f"strata has {len(given)} entries and score {len(sample.score)}; give one a response")
    if problems:
        raise DataError(*problems)
    kinds = given.unique().sort()
    numbered = given.replace_strict(kinds, np.arange(len(kinds)), return_dtype=pl.Int64)
    return numbered.to_numpy().astype(np.int64)


def _estimate(
    base: Estimate, figure: Figure | None, sample: HumanSample, groups: list[str], within: Limits
) -> Estimate:
    if figure is not None:
        value = min(max(figure.value, within.low), within.high)
        base = replace(base, value=value)
        if figure.certain:
            labelled, responses = (sum(of) for of in zip(*map(sample.counts, groups), strict=True))
            told = _CERTAIN if labelled == responses else "the labelled errors do not vary: no interval"
            base = replace(base, note=told)
        else:
            limits = figure.limits(float(base.level or 0))
            base = replace(
                base,
                low=max(limits.low, within.low),
                high=min(limits.high, within.high),
                se=figure.se,
                df=figure.df if figure.df < inf else None,
                p=figure.p if base.kind != "rate" else None,
            )
    return described(base, sample, groups, _TARGET)
