"""Rates, gaps and ratios from automatic scores, corrected by a human sample; for new names and templates.

An automatic annotator errs, and errs differently by group, so that its gaps are not the true ones however
many responses it reads. People label a random sample; each response then counts as its pseudo-outcome

    y~ = f + (S / pi) (Y - f)

with f the annotator's probability of the outcome, S = 1 where people said Y, and pi the known chance of being
asked. Whatever f is, y~ is right on average over the draw of the sample; a good f makes it vary little. The
pseudo-outcomes go into the crossed Welch estimator (crossed.py) like outcomes, so that the chance of who was
labelled enters the interval by itself, beside names and templates. f enters in full (lambda = 1): a lambda
tuned on few labels covers too rarely.

Where people and annotator disagree on fewer than 5 labelled responses of a group, the few errors do not tell
their variance: that group is post-stratified instead (post_stratification.py).

Not here: figures about this corpus alone (corpus_correction.py), what makes a sample doubtful
(human_sample.py), how often the annotator errs (annotator_errors.py).

References
----------
Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), Science 382, 669-674 (prediction-powered inference);
Robins, Rotnitzky and Zhao (1994), JASA 89, 846-866, with known probabilities. Departure: names and templates
are clusters, and lambda is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log

from servicegap.cells import Cells, aggregate
from servicegap.columns import Column
from servicegap.comparison import gaps_of
from servicegap.human_sample import human_sample
from servicegap.post_stratification import Figure, Proportion, add_reaches
from servicegap.prediction_powered import LOG_SCALES, Corrected, correct, described
from servicegap.rare import Limits, effective_size, no_event_limit, square_and_add
from servicegap.rates import rates_of
from servicegap.ratios import Kind, ratio_of
from servicegap.records import Estimate


def corrected_rates(
    score: Column,
    label: Column,
    probability: Column,
    group: Column,
    signal: Column,
    template: Column,
    *,
    level: float = 0.95,
    fitted_on: Column | None = None,
    fold: Column | None = None,
    outcome_name: str = "outcome",
) -> dict[str, Estimate]:
    """Estimate each group's rate for new names and templates.

    Parameters
    ----------
    score : one-dimensional, length n
        The annotator's probability of the outcome for each response, 0 to 1; None or NaN = it abstained.
        Probabilities, not labels: 0/1 scores are accepted, but their intervals cover too rarely.
    label : one-dimensional, length n
        What people say, true/false or 0/1; None or NaN = nobody was asked.
    probability : one-dimensional, length n
        The chance, known beforehand, that people would be asked (the stored sampling probability), above 0
        to 1. Needed for every label; may be None without one. Without score, label and probability the
        response is missing.
    group, signal, template : one-dimensional, length n
        Whom the response is about, by which signal (the name), in which template.
    level : float
        Confidence level, between 0 and 1.
    fitted_on : one-dimensional, length n, optional
        True where the response's label taught the annotator: such a label never corrects its scores.
    fold : one-dimensional, length n, optional
        For out-of-fold scores: which fold the response is in (``crossfit.crossfit_scores`` gives both).
    outcome_name : str
        What the outcome is called in the estimates.

    Returns
    -------
    dict of str to Estimate
        For each group, kind ``rate``, ``labels`` "corrected"; ``n_responses`` counts all responses with a
        score or label, and the note says how many of them people labelled. What cannot be corrected is
        None, with its reason.

    Raises
    ------
    DataError
        Arrays that cannot be used; every mistake is told. Labels that would correct the scores they taught.

    Examples
    --------
    >>> score, names = [0.9, 0.2, 0.8, 0.4], ["Ann", "Ann", "Bea", "Bea"]
    >>> found = corrected_rates(score, [1, 0, 1, 1], [1] * 4, ["a"] * 4, names, [1, 2, 1, 2])
    >>> found["a"].value, found["a"].labels
    (0.75, 'corrected')
    """
    sample = human_sample(score, label, probability, group, template, fitted_on=fitted_on, fold=fold)
    corrected = correct(sample)
    cells = _cells(corrected, group, signal, template)
    found = _rates(cells, corrected, level, outcome_name)
    return {name: described(rate, sample, [name], rate.method or "") for name, rate in found.items()}


def corrected_gaps(
    score: Column,
    label: Column,
    probability: Column,
    group: Column,
    signal: Column,
    template: Column,
    *,
    reference: object,
    level: float = 0.95,
    fitted_on: Column | None = None,
    fold: Column | None = None,
    outcome_name: str = "outcome",
) -> dict[str, Estimate]:
    """Estimate each group's gap to the reference group, for new names and templates.

    Parameters
    ----------
    score, label, probability, group, signal, template, level, fitted_on, fold, outcome_name
        As in :func:`corrected_rates`.
    reference : str
        The group that the others are compared with.

    Returns
    -------
    dict of str to Estimate
        For each group but the reference, kind ``gap``, as ``disparity.gaps`` gives it: above 0 = the group
        has more of the outcome; ``labels`` "corrected". With every response labelled it is that gap.

    Raises
    ------
    DataError
        As in :func:`corrected_rates`; `reference` not among the groups, or one group only.

    Notes
    -----
    Where a group is post-stratified, the Jeffreys limits of its strata are added to the crossed half-width
    in square, and p is one minus the level at which the interval just touches zero.

    Examples
    --------
    >>> score = [0.9, 0.2, 0.8, 0.4] + [0.1, 0.3, 0.7, 0.2]
    >>> people = [1, 0, 1, 1, 0, 0, 1, 0]
    >>> g, names, templates = ["a"] * 4 + ["b"] * 4, [1, 1, 2, 2, 3, 3, 4, 4], [1, 2] * 4
    >>> corrected_gaps(score, people, [1] * 8, g, names, templates, reference="b")["a"].value
    0.5
    """
    sample = human_sample(score, label, probability, group, template, fitted_on=fitted_on, fold=fold)
    corrected = correct(sample)
    cells = _cells(corrected, group, signal, template)
    found = gaps_of(cells, reference=reference, level=level, outcome_name=outcome_name)
    rates = _rates(cells, corrected, level, outcome_name)
    other = str(reference)
    gaps = {
        name: _gap(estimate, corrected.between(name, other), [rates[name], rates[other]])
        for name, estimate in found.items()
    }
    return {name: described(gap, sample, [name, other], gap.method or "") for name, gap in gaps.items()}


def corrected_ratio(
    score: Column,
    label: Column,
    probability: Column,
    group: Column,
    signal: Column,
    template: Column,
    *,
    of: str,
    reference: str,
    kind: Kind,
    level: float = 0.95,
    fitted_on: Column | None = None,
    fold: Column | None = None,
    outcome_name: str = "outcome",
) -> Estimate:
    """Estimate a ratio between two groups' rates, for new names and templates.

    Parameters
    ----------
    score, label, probability, group, signal, template, level, fitted_on, fold, outcome_name
        As in :func:`corrected_rates`.
    of, reference : str
        The group, and the one it is compared with.
    kind : {"four_fifths", "ratio", "odds_ratio"}
        As in ``ratios.ratio_of``.

    Returns
    -------
    Estimate
        1 = no difference. Undefined where a corrected rate is not strictly within 0 to 1.

    Raises
    ------
    DataError
        As in :func:`corrected_rates`; a group that is not there.
    """
    sample = human_sample(score, label, probability, group, template, fitted_on=fitted_on, fold=fold)
    corrected = correct(sample)
    cells = _cells(corrected, group, signal, template)
    found = ratio_of(cells, of, reference, kind, level=level, outcome_name=outcome_name)
    rates = rates_of(cells, level=level)
    parts = [
        part.scaled(sign * LOG_SCALES[kind].slope(rate))
        for name, sign in ((of, 1), (reference, -1))
        if (rate := rates[name].value) is not None and 0 < rate < 1
        for part in corrected.proportions[name]
    ]
    return described(_ratio(found, parts), sample, [of, reference], found.method or "")


def _cells(corrected: Corrected, group: Column, signal: Column, template: Column) -> Cells:
    """Sum pseudo-outcomes up; their means are proportions, though single ones lie outside 0 to 1."""
    cells = aggregate(corrected.outcome, group, signal, template)
    return cells if cells.scale == "yes/no" else replace(cells, scale="proportion")


def _rates(cells: Cells, corrected: Corrected, level: float, outcome_name: str) -> dict[str, Estimate]:
    found = rates_of(cells, level=level, outcome_name=outcome_name)
    effects = [effect for effect in map(_design_effect, found.values()) if effect is not None]
    typical = sum(effects) / len(effects) if effects else None
    return {
        name: _widened_rate(_with_limits(rate, typical), corrected.proportions[name])
        for name, rate in found.items()
    }


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


def _widened_rate(rate: Estimate, parts: Sequence[Proportion]) -> Estimate:
    if rate.value is None or rate.low is None or rate.high is None or rate.level is None or not parts:
        return rate
    limits = add_reaches(rate.value, Limits(rate.low, rate.high), parts, rate.level)
    se = Figure(rate.value, rate.se**2, 1.0, tuple(parts)).se if rate.se is not None else None
    return replace(rate, low=max(limits.low, 0.0), high=min(limits.high, 1.0), se=se)


def _gap(gap: Estimate, parts: Sequence[Proportion], rates: Sequence[Estimate]) -> Estimate:
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
    limit = figure.limits(gap.level)
    return replace(gap, low=max(limit.low, -1.0), high=min(limit.high, 1.0), se=figure.se, p=figure.p)


def _ratio(ratio: Estimate, parts: Sequence[Proportion]) -> Estimate:
    if ratio.value is None or ratio.se is None or ratio.df is None or ratio.level is None or not parts:
        return ratio
    figure = Figure(log(ratio.value), ratio.se**2, ratio.df, tuple(parts))
    limits = figure.limits(ratio.level)
    return replace(ratio, low=exp(limits.low), high=exp(limits.high), se=figure.se, p=figure.p)
