"""Automatic scores of all responses, and people's labels of a random sample of them.

A correction is only as good as its sample: each label must have been drawn by chance, with a probability that
was known beforehand, and must not have taught the annotator whose score it corrects. This module reads the
columns, refuses what cannot be used, and says in words what makes a sample doubtful.

Not here: the corrected figures (correction/, corpus.py), out-of-fold scores (crossfit.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtr

from servicegap.correction.crossfit import own_label_problems
from servicegap.disparity.cells import Floats
from servicegap.disparity.columns import Column, labels, length_problems, numbers
from servicegap.errors import DataError

#: With fewer labels of a group than this, no interval here is known to cover as often as it says.
FEWEST_LABELS = 30
#: With fewer disagreements of people and annotator in a group, their variance cannot be had from them.
FEWEST_DISAGREEMENTS = 5
#: The score from which an annotator is taken to say "yes".
YES = 0.5

# A sample is called not random when its probabilities would give one as odd this rarely.
_ALARM = 0.001

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HumanSample:
    """Scores and labels, one entry a response.

    Attributes
    ----------
    groups : tuple of str
        The groups, sorted.
    code : (n,) int
        Each response's group, as its place in `groups`.
    score : (n,) float
        Probability of the outcome by the automatic annotator, 0 to 1; NaN = the response is missing. Where
        the annotator abstained, the mean score of the group, which uses no label.
    label : (n,) float
        People's 0 or 1; NaN = no label, or one that cannot be used.
    probability : (n,) float
        The known chance of being labelled, 0 to 1; NaN = not known, which is allowed without a label.
    hard : bool
        Whether every score is 0 or 1.
    set_aside : (n,) bool
        Labels left unused, because the probability they were drawn with is not known.
    abstained : (n,) bool
        Responses that could be labelled but have no score of the annotator's own.
    """

    groups: tuple[str, ...]
    code: NDArray[np.int64]
    score: Floats
    label: Floats
    probability: Floats
    hard: bool
    set_aside: Flags
    abstained: Flags

    def rows(self, group: str) -> Flags:
        """Return which responses are of a group, missing ones left out."""
        return np.asarray((self.code == self.groups.index(group)) & ~np.isnan(self.score), dtype=np.bool_)

    @property
    def labelled(self) -> Flags:
        """Which responses have a label that can be used."""
        return ~np.isnan(self.label)

    def counts(self, group: str) -> tuple[int, int]:
        """Return the labelled responses of a group, and all of its responses."""
        rows = self.rows(group)
        return int((rows & self.labelled).sum()), int(rows.sum())

    def missing(self, group: str) -> int:
        """Count the responses of a group that have neither score nor label."""
        return int(((self.code == self.groups.index(group)) & np.isnan(self.score)).sum())

    def disagreements(self, group: str) -> int:
        """Count the labelled responses of a group where the annotator says something else than people."""
        rows = self.rows(group) & self.labelled
        return int(((self.score[rows] >= YES) != (self.label[rows] == 1)).sum())

    def few_disagreements(self, group: str) -> bool:
        """Whether a group has unlabelled responses and too few disagreements to know their variance."""
        labelled, responses = self.counts(group)
        return labelled < responses and self.disagreements(group) < FEWEST_DISAGREEMENTS

    def obstacle(self, group: str) -> str | None:
        """Return why a group's automatic scores cannot be corrected at all; None = they can."""
        labelled, responses = self.counts(group)
        never = int((self.rows(group) & (self.probability == 0)).sum())
        if not responses:
            return f"no response of {group} has a score or a label"
        if never:
            return (
                f"{never} of {responses} responses of {group} had no chance to be labelled (probability 0): "
                "nothing is known of the annotator's errors there; draw from all responses"
            )
        if not labelled:
            return f"no response of {group} has a human label with a known sampling probability"
        return None

    def cautions(self, group: str) -> list[str]:
        """Return what makes the correction of a group doubtful, in words."""
        labelled, responses = self.counts(group)
        if labelled == responses or self.obstacle(group):
            return []
        told = []
        abstained = int((self.rows(group) & self.abstained).sum())
        if abstained:
            told.append(f"{abstained} responses of {group} without a score enter with the group's mean score")
        if labelled < FEWEST_LABELS:
            told.append(
                f"only {labelled} responses of {group} are labelled by people, fewer than {FEWEST_LABELS}: "
                "the interval may cover too rarely"
            )
        if self.few_disagreements(group):
            told.append(
                f"people and annotator disagree on {self.disagreements(group)} labelled responses of {group}"
                f", fewer than {FEWEST_DISAGREEMENTS}: post-stratified by automatic label, Jeffreys interval"
            )
        return told + self._not_random(group)

    @property
    def hard_caution(self) -> list[str]:
        """What is to be said where the scores are labels and no probabilities."""
        if not self.hard or self.labelled[~np.isnan(self.score)].all():
            return []
        return [
            "the scores are all 0 or 1: such intervals cover too rarely; give the annotator's probabilities"
        ]

    def warnings(self) -> list[str]:
        """Return all that is wrong or doubtful with the sample, group by group."""
        told = list(self.hard_caution)
        for group in self.groups:
            obstacle = self.obstacle(group)
            told += [obstacle] if obstacle else self.cautions(group)
        return told

    def _not_random(self, group: str) -> list[str]:
        told = []
        aside = int((self.set_aside & (self.code == self.groups.index(group))).sum())
        if aside:
            told.append(
                f"{aside} labels of {group} come without a sampling probability and are not used: "
                "such labels are no random sample"
            )
        rows = self.rows(group)
        labelled = rows & self.labelled
        for weight, told_as in (
            (np.ones_like(self.score), "responses"),
            (self.score, "of the outcome's scores"),
        ):
            found = float((weight[labelled] / self.probability[labelled]).sum())
            true = float(weight[rows].sum())
            z = _departure(weight[rows], self.labelled[rows], self.probability[rows])
            if 2 * ndtr(-abs(z)) < _ALARM:
                told.append(
                    f"the labels of {group} are no random sample with the stated probabilities: they stand "
                    f"for {found:.0f} {told_as}, where there are {true:.0f} (z {z:.1f})"
                )
                break
        return told


def human_sample(
    score: Column,
    label: Column,
    probability: Column,
    group: Column,
    template: Column | None = None,
    *,
    fitted_on: Column | None = None,
    fold: Column | None = None,
) -> HumanSample:
    """Read automatic scores and human labels, one entry a response.

    Parameters
    ----------
    score : one-dimensional, length n
        The annotator's probability of the outcome, 0 to 1; None or NaN = it abstained.
    label : one-dimensional, length n
        What people say, true/false or 0/1; None or NaN = nobody was asked.
    probability : one-dimensional, length n
        The chance, known beforehand, that people would be asked, 0 to 1. Needed for each label; 1 = certain
        to be asked (or known without asking). A response without score, label and probability is missing.
    group : one-dimensional, length n
        Whom the response is about.
    template : one-dimensional, length n, optional
        Needed with `fold`.
    fitted_on : one-dimensional, length n, optional
        True where the response's label taught the annotator. Refused, unless `fold` is given.
    fold : one-dimensional, length n, optional
        For out-of-fold scores (crossfit.py): the score of a response is by an annotator that learned from
        the labels of the other folds alone.

    Raises
    ------
    DataError
        Columns that cannot be used; every mistake is told. A label that taught the annotator.
    """
    problems: list[str] = []
    columns = {
        "score": numbers(score, "score", problems),
        "label": numbers(label, "label", problems),
        "probability": numbers(probability, "probability", problems),
        "group": labels(group, "group", problems),
    }
    for name, values in (("template", template), ("fold", fold)):
        if values is not None:
            columns[name] = labels(values, name, problems)
    if fitted_on is not None:
        columns["fitted_on"] = numbers(fitted_on, "fitted_on", problems)
    problems += length_problems(columns)
    _check_values(columns, problems)
    if not problems:
        problems += own_label_problems(columns)
    if problems:
        raise DataError(*problems)
    return _sample(columns)


def _sample(columns: dict[str, pl.Series]) -> HumanSample:
    score, label, probability = (
        columns[name].to_numpy().astype(np.float64) for name in ("score", "label", "probability")
    )
    kinds = columns["group"].unique().sort()
    code = columns["group"].replace_strict(kinds, np.arange(len(kinds)), return_dtype=pl.Int64).to_numpy()
    aside = ~np.isnan(label) & np.isnan(probability)
    abstained = np.isnan(score) & ~(np.isnan(label) & np.isnan(probability))
    return HumanSample(
        groups=tuple(str(kind) for kind in kinds.to_list()),
        code=code,
        score=np.where(abstained, _group_means(score, code)[code], score),
        label=np.where(aside | (probability == 0), np.nan, label),
        probability=probability,
        hard=bool(np.isin(score[~np.isnan(score)], (0.0, 1.0)).all()),
        set_aside=aside,
        abstained=abstained,
    )


def _group_means(score: Floats, code: NDArray[np.int64]) -> Floats:
    """Mean score of each group; one half where the annotator always abstained."""
    known = ~np.isnan(score)
    count = np.bincount(code, weights=known)
    total = np.bincount(code, weights=np.where(known, score, 0.0))
    means: Floats = np.divide(total, count, out=np.full(len(count), YES), where=count > 0)
    return means


def _departure(weight: Floats, labelled: Flags, probability: Floats) -> float:
    """How many standard errors the sample's total of `weight` is off the one it was drawn from.

    For labels drawn one by one; samples of fixed size depart less, so the check is safe for them.
    """
    if np.isnan(probability).any():  # known for the labels alone: Horvitz and Thompson's variance
        p = probability[labelled]
        variance = float((weight[labelled] ** 2 * (1 - p) / p**2).sum())
        off = float((weight[labelled] / p).sum() - weight.sum())
    else:
        variance = float((weight**2 * (1 - probability) / probability).sum())
        off = float((weight[labelled] / probability[labelled]).sum() - weight.sum())
    return float(off / variance**0.5) if variance > 0 else 0.0


def _check_values(columns: dict[str, pl.Series], problems: list[str]) -> None:
    for name, allowed in (
        ("score", "the annotator's probability of the outcome, 0 to 1"),
        ("probability", "a chance of being labelled, 0 to 1"),
    ):
        values = columns[name]
        _tell_first(values, (values < 0) | (values > 1), allowed, problems)
    for name, allowed in (
        ("label", "true/false or 0/1, and None where nobody was asked"),
        ("fitted_on", "true where the label taught the annotator, else false"),
    ):
        if name in columns:
            _tell_first(columns[name], ~columns[name].is_in([0.0, 1.0]), allowed, problems)


def _tell_first(values: pl.Series, wrong: pl.Series, allowed: str, problems: list[str]) -> None:
    entries = wrong.fill_null(False).arg_true()
    if len(entries):
        problems.append(
            f"{values.name}[{entries[0]}] is {values[entries[0]]:g} ({len(entries)} such entries); "
            f"give {allowed}"
        )
