"""Pseudo-outcomes from automatic scores and a human sample, and what is said of figures made from them.

Not here: the figures (correction/, corpus.py), the sample (human_sample.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from servicegap.correction.human_sample import HumanSample
from servicegap.correction.post_stratification import Proportion, post_stratify
from servicegap.disparity.cells import Floats
from servicegap.records import Estimate


@dataclass(frozen=True, slots=True)
class Corrected:
    """What takes the place of people's labels.

    Attributes
    ----------
    powered : (n,) float
        Each response's pseudo-outcome; NaN = missing.
    outcome : (n,) float
        The same, but what post-stratification fills in for the groups it was used for.
    proportions : dict of str to tuple of Proportion
        For each group the counted shares in its rate; empty where it was not post-stratified.
    """

    powered: Floats
    outcome: Floats
    proportions: dict[str, tuple[Proportion, ...]]


def correct(sample: HumanSample) -> Corrected:
    """Correct every response; groups with too few disagreements are post-stratified.

    Parameters
    ----------
    sample : HumanSample
        Scores and labels. Groups that cannot be corrected keep their scores.
    """
    powered = pseudo_outcomes(sample)
    outcome = powered.copy()
    proportions: dict[str, tuple[Proportion, ...]] = dict.fromkeys(sample.groups, ())
    for group in sample.groups:
        if sample.obstacle(group) is None and sample.few_disagreements(group):
            filled = post_stratify(sample, group)
            outcome[sample.rows(group)] = filled.outcome
            proportions[group] = filled.proportions
    return Corrected(powered, outcome, proportions)


def pseudo_outcomes(sample: HumanSample) -> Floats:
    """Return f + (S / pi) (Y - f) for each response; NaN = missing.

    Parameters
    ----------
    sample : HumanSample
        Scores and labels.

    Returns
    -------
    (n,) float
        May lie outside 0 to 1. People's label itself where they were certain to be asked.
    """
    labelled = sample.labelled
    outcome = sample.score.copy()
    off = sample.label[labelled] - sample.score[labelled]
    outcome[labelled] += off / sample.probability[labelled]
    # Not left to rounding: with every response labelled the outcomes are yes/no again.
    certain = labelled & (sample.probability == 1)
    outcome[certain] = sample.label[certain]
    return outcome


def described(estimate: Estimate, sample: HumanSample, groups: Sequence[str], target: str) -> Estimate:
    """Add to an estimate who labelled and what is doubtful; take its figures away where there is an obstacle.

    Parameters
    ----------
    estimate : Estimate
        The figure.
    sample : HumanSample
        What it was corrected by.
    groups : sequence of str
        The groups in the figure.
    target : str
        What the interval is about, for the method's name.
    """
    counts = [sample.counts(group) for group in groups]
    labelled, responses = (sum(of) for of in zip(*counts, strict=True))
    obstacles = [told for told in map(sample.obstacle, groups) if told]
    if obstacles:
        estimate = replace(
            estimate, value=None, low=None, high=None, se=None, df=None, p=None, note="; ".join(obstacles)
        )
    notes = [
        f"{labelled} of {responses} responses labelled by people",
        *sample.hard_caution,
        *(told for group in groups for told in sample.cautions(group)),
        *([estimate.note] if estimate.note else []),
    ]
    few = [sample.few_disagreements(group) for group in groups]
    used = (("prediction-powered", not all(few)), ("post-stratified", any(few)))
    how = " and ".join(name for name, applies in used if applies)
    return replace(
        estimate,
        method=target if labelled == responses else f"{how}, {target}",
        n_responses=responses,
        n_missing=sum(map(sample.missing, groups)),
        labels="corrected",
        note="; ".join(notes),
    )
