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
their variance: that group is post-stratified instead (post_stratification.py). But filling in by automatic
label makes names and templates look more alike than they are, the more so the worse the annotator is; so the
interval is then never narrower than the prediction-powered one.

Not here: figures about this corpus alone (corpus.py), what makes a sample doubtful
(human_sample.py), how often the annotator errs (annotator_errors.py).

References
----------
Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), Science 382, 669-674 (prediction-powered inference);
Robins, Rotnitzky and Zhao (1994), JASA 89, 846-866, with known probabilities. Departure: names and templates
are clusters, and lambda is 1.
"""

from __future__ import annotations

from servicegap.correction.human_sample import human_sample
from servicegap.correction.sampled import (
    cells_of_sample,
    gaps_of_sample,
    rates_of_sample,
    ratio_of_sample,
)
from servicegap.disparity.columns import Column
from servicegap.disparity.ratios import Kind
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
    cells = cells_of_sample(sample, group, signal, template)
    return rates_of_sample(sample, cells, level=level, outcome_name=outcome_name)


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
    cells = cells_of_sample(sample, group, signal, template)
    return gaps_of_sample(sample, cells, str(reference), level=level, outcome_name=outcome_name)


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
    cells = cells_of_sample(sample, group, signal, template)
    return ratio_of_sample(sample, cells, of, reference, kind, level=level, outcome_name=outcome_name)
