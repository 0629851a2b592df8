"""How often the automatic annotator errs, by group, from the human sample; Rogan and Gladen's cross-check.

Sensitivity and specificity are about the annotator's labels (score 0.5 or more = "yes") on *these* responses:
the only chance in them is whom people were asked about. So they have Jeffreys intervals, each label counting
1 / probability, on the effective number of labels (Kish): honest with few labels, and wider than nothing at
0 or 100 %, where a Wald interval is not. They are not about new names or templates; a crossed interval would
need far more labels than a sample has.

Not here: corrected figures (correction/). Rogan and Gladen's rate uses hard labels alone and is wider; it
is a cross-check, since another formula should not say something else.

References
----------
Brown, Cai and DasGupta (2001), Statistical Science 16, 101-133. Rogan and Gladen (1978), American Journal of
Epidemiology 107, 71-76.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from servicegap.correction.human_sample import YES, HumanSample, human_sample
from servicegap.correction.post_stratification import Figure, Proportion, effective_number, jeffreys
from servicegap.disparity.columns import Column
from servicegap.disparity.group_rates import check_level
from servicegap.records import Estimate


def annotator_errors(
    score: Column,
    label: Column,
    probability: Column,
    group: Column,
    *,
    level: float = 0.95,
    template: Column | None = None,
    fitted_on: Column | None = None,
    fold: Column | None = None,
    outcome_name: str = "outcome",
) -> list[Estimate]:
    """Estimate sensitivity and specificity of the automatic labels, by group and for all.

    Parameters
    ----------
    score, label, probability, group, level, fitted_on, fold, outcome_name
        As in ``correction.corrected_rates``.
    template : one-dimensional, length n, optional
        Needed with `fold`.

    Returns
    -------
    list of Estimate
        For each group, then for all together (group None): kind ``sensitivity`` (of the responses that people
        call "yes", the share that the annotator does) and ``specificity`` (the same for "no");
        ``n_responses`` counts the labels behind each; abstentions are left out. Where they differ by group,
        uncorrected gaps are wrong by it.

    Raises
    ------
    DataError
        Arrays that cannot be used; labels that taught the annotator.

    Examples
    --------
    >>> found = annotator_errors([0.9, 0.1, 0.2, 0.3], [1, 1, 0, 0], [1] * 4, ["a"] * 4)
    >>> [(e.kind, e.group, e.value) for e in found[:2]]
    [('sensitivity', 'a', 0.5), ('specificity', 'a', 1.0)]
    """
    sample = human_sample(score, label, probability, group, template, fitted_on=fitted_on, fold=fold)
    return errors_of_sample(sample, level=level, outcome_name=outcome_name)


def errors_of_sample(sample: HumanSample, *, level: float, outcome_name: str) -> list[Estimate]:
    """Estimate sensitivity and specificity, as :func:`annotator_errors`, from a sample already read."""
    check_level(level)
    found = []
    for name in (*sample.groups, None):
        rows = ~np.isnan(sample.score) if name is None else sample.rows(name)
        base = Estimate(
            kind="",
            outcome=outcome_name,
            value=None,
            level=level,
            group=name,
            method="Jeffreys, labels weighted by 1 / probability",
            labels="human",
        )
        found += [_share(replace(base, kind=kind), _counted(sample, rows, kind), level) for kind in _PEOPLE]
    return found


def rogan_gladen_rates(
    score: Column,
    label: Column,
    probability: Column,
    group: Column,
    *,
    level: float = 0.95,
    template: Column | None = None,
    fitted_on: Column | None = None,
    fold: Column | None = None,
    outcome_name: str = "outcome",
) -> dict[str, Estimate]:
    """Correct each group's automatic rate by its sensitivity and specificity: a cross-check.

    Parameters
    ----------
    score, label, probability, group, level, template, fitted_on, fold, outcome_name
        As in :func:`annotator_errors`.

    Returns
    -------
    dict of str to Estimate
        For each group, kind ``rogan_gladen``: (automatic rate + specificity - 1) / (sensitivity + specificity
        - 1), cut to 0 to 1, for this corpus. None where one of the two has no label to count it from, or
        where together they do not pass 1: such an annotator says nothing about the outcome.

    Raises
    ------
    DataError
        As in :func:`annotator_errors`.
    """
    sample = human_sample(score, label, probability, group, template, fitted_on=fitted_on, fold=fold)
    return rogan_gladen_of_sample(sample, level=level, outcome_name=outcome_name)


def rogan_gladen_of_sample(sample: HumanSample, *, level: float, outcome_name: str) -> dict[str, Estimate]:
    """Correct automatic rates, as :func:`rogan_gladen_rates`, from a sample already read."""
    check_level(level)
    base = Estimate(kind="rogan_gladen", outcome=outcome_name, value=None, level=level, method="Rogan-Gladen")
    return {
        name: _rogan_gladen(
            replace(base, group=name, labels="corrected", n_responses=sample.counts(name)[1]), sample, name
        )
        for name in sample.groups
    }


@dataclass(frozen=True, slots=True)
class _Counted:
    """Right labels among those of a kind: weighted share, effective number, and how many there are."""

    share: float
    size: float
    labels: int


#: What people say where the annotator's being right counts.
_PEOPLE = {"sensitivity": 1, "specificity": 0}


def _counted(sample: HumanSample, rows: NDArray[np.bool_], kind: str) -> _Counted:
    said = rows & ~sample.abstained & (sample.label == _PEOPLE[kind])
    weight = 1 / sample.probability[said]
    right = ((sample.score[said] >= YES) == _PEOPLE[kind]).astype(np.float64)
    share = float(np.average(right, weights=weight)) if len(weight) else 0.0
    return _Counted(share, effective_number(weight), len(weight))


def _share(base: Estimate, counted: _Counted, level: float) -> Estimate:
    base = replace(base, n_responses=counted.labels)
    if not counted.labels:
        said = "yes" if _PEOPLE[base.kind] else "no"
        return replace(base, note=f'people call no labelled response "{said}", so there is none to judge by')
    limits = jeffreys(counted.share * counted.size, counted.size, level)
    return replace(base, value=counted.share, low=limits.low, high=limits.high)


def _rogan_gladen(base: Estimate, sample: HumanSample, group: str) -> Estimate:
    rows = sample.rows(group)
    right = {kind: _counted(sample, rows, kind) for kind in _PEOPLE}
    absent = [f"no {kind}" for kind, counted in right.items() if not counted.labels]
    if absent:
        return replace(base, note=f"undefined: {' and '.join(absent)} of {group} can be had from the labels")
    sensitivity, specificity = right["sensitivity"], right["specificity"]
    informed = sensitivity.share + specificity.share - 1
    if informed <= 0:
        return replace(
            base,
            note=f"undefined: sensitivity {sensitivity.share:.2f} and specificity {specificity.share:.2f} of "
            f"{group} add up to no more than 1, so the automatic labels say nothing about the outcome",
        )
    automatic = float((sample.score[rows & ~sample.abstained] >= YES).mean())
    value = (automatic + specificity.share - 1) / informed
    inside = min(max(value, 0.0), 1.0)
    slopes = (-inside / informed, (1 - inside) / informed)
    parts = tuple(
        Proportion(counted.share, counted.share * counted.size, counted.size, slope)
        for counted, slope in zip((sensitivity, specificity), slopes, strict=True)
    )
    figure = Figure(inside, 0.0, inf, parts)
    limits = figure.limits(float(base.level or 0))
    return replace(
        base,
        value=inside,
        low=max(limits.low, 0.0),
        high=min(limits.high, 1.0),
        se=figure.se,
        note=None if inside == value else f"{value:.3f} lies outside 0 to 1 and was cut to it",
    )
