"""Figures that hang on a few counted labels: post-stratification with Jeffreys intervals.

Where people and annotator hardly ever disagree, the few disagreements (or none) do not tell their variance,
and a t interval may be far too narrow. Counted as proportions they do: among the responses to which the
annotator says "yes", and among those to which it says "no", the share that people call "yes" has a Jeffreys
interval; unlabelled responses are taken to have that share, and the interval goes into the figure with its
weight.

Not here: when to do so (human_sample.py), the corrected figures (correction/, corpus.py).

References
----------
Brown, Cai and DasGupta (2001), Statistical Science 16, 101-133, section 4.3 (Jeffreys intervals, and their
ends at 0 and at all). Zou and Donner (2008), Statistics in Medicine 27, 1693-1702 (limits added in square).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv, stdtrit

from servicegap.correction.human_sample import YES, HumanSample
from servicegap.disparity.cells import Floats
from servicegap.disparity.rare import Limits

# A p below this is told as this.
_LEAST_P = 1e-12


def jeffreys(events: float, size: float, level: float) -> Limits:
    """Return the Jeffreys interval of a proportion.

    Parameters
    ----------
    events, size : float
        Counts; need not be whole, as effective numbers are not.
    level : float
        Confidence level.

    Examples
    --------
    >>> limits = jeffreys(0, 50, 0.95)
    >>> limits.low, round(limits.high, 3)
    (0.0, 0.049)
    """
    tail = (1 - level) / 2
    a, b = events + 0.5, size - events + 0.5
    low = 0.0 if size > 0 and events <= 0 else float(betaincinv(a, b, tail))
    high = 1.0 if size > 0 and events >= size else float(betaincinv(a, b, 1 - tail))
    return Limits(low, high)


def effective_number(weight: Floats) -> float:
    """Return how many equally weighted responses are as good as these: (sum w)^2 / sum w^2 (Kish)."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0


@dataclass(frozen=True, slots=True)
class Proportion:
    """A counted proportion, as a part of a figure.

    Attributes
    ----------
    value : float
        The proportion as it was put into the figure.
    events, size : float
        What it was counted from, in effective numbers.
    weight : float
        How much the figure changes when the proportion goes from 0 to 1; below 0 in what is subtracted.
    """

    value: float
    events: float
    size: float
    weight: float

    def scaled(self, factor: float) -> Proportion:
        """Return the same proportion in a figure that is `factor` times this one."""
        return replace(self, weight=self.weight * factor)

    def reach(self, level: float) -> Limits:
        """Return how far the figure may be below and above its value because of this, both >= 0."""
        limits = jeffreys(self.events, self.size, level)
        below, above = max(self.value - limits.low, 0.0), max(limits.high - self.value, 0.0)
        if self.weight < 0:
            below, above = above, below
        return Limits(abs(self.weight) * below, abs(self.weight) * above)

    @property
    def variance(self) -> float:
        """What it adds to the figure's variance (that of the Jeffreys posterior)."""
        a, b = self.events + 0.5, self.size - self.events + 0.5
        return self.weight**2 * a * b / ((a + b) ** 2 * (a + b + 1))


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure whose uncertainty is part Student's t, part counted proportions.

    Attributes
    ----------
    value : float
    variance, df : float
        Of the t part; 0 = there is none.
    proportions : tuple of Proportion
    """

    value: float
    variance: float
    df: float
    proportions: tuple[Proportion, ...] = ()

    @property
    def se(self) -> float:
        """The standard error, all parts together."""
        return sqrt(self.variance + sum(part.variance for part in self.proportions))

    @property
    def certain(self) -> bool:
        """Whether nothing is uncertain about it."""
        return self.variance <= 0 and not self.proportions

    def limits(self, level: float) -> Limits:
        """Return the interval at confidence `level`; the parts' limits are added in square."""
        half = float(stdtrit(self.df, (1 + level) / 2)) * sqrt(self.variance) if self.variance > 0 else 0.0
        return add_reaches(self.value, Limits(self.value - half, self.value + half), self.proportions, level)

    @property
    def p(self) -> float:
        """Two-sided p of "it is zero": one minus the level at which the interval just touches zero."""

        def beyond_zero(level: float) -> float:
            limits = self.limits(level)
            return limits.low if self.value > 0 else -limits.high

        if self.value == 0 or beyond_zero(0.0) <= 0:
            return 1.0
        if beyond_zero(1 - _LEAST_P) > 0:
            return _LEAST_P
        return 1 - float(brentq(beyond_zero, 0.0, 1 - _LEAST_P, xtol=_LEAST_P))


def add_reaches(value: float, limits: Limits, proportions: Sequence[Proportion], level: float) -> Limits:
    """Widen an interval by what counted proportions add to it."""
    reaches = [part.reach(level) for part in proportions]
    below = sqrt((value - limits.low) ** 2 + sum(reach.low**2 for reach in reaches))
    above = sqrt((limits.high - value) ** 2 + sum(reach.high**2 for reach in reaches))
    return Limits(value - below, value + above)


@dataclass(frozen=True, slots=True)
class PostStratified:
    """The outcomes of a group, filled in by stratum.

    Attributes
    ----------
    outcome : (n of the group,) float
        People's label where there is one, else the share of "yes" in the stratum.
    proportions : tuple of Proportion
        The strata's shares, with their weights in the mean over the group's responses.
    """

    outcome: Floats
    proportions: tuple[Proportion, ...]


def post_stratify(sample: HumanSample, group: str) -> PostStratified:
    """Fill a group's unlabelled responses in by automatic label.

    Parameters
    ----------
    sample : HumanSample
        Scores and labels.
    group : str
        One of its groups.

    Notes
    -----
    Shares are weighted by 1 / probability and counted in effective numbers (Kish). A stratum's weight is its
    share of the responses times the root of its unlabelled share (finite population correction): nothing is
    uncertain where all are labelled. A stratum without labels may have any share; its mean score is put in.
    """
    rows = sample.rows(group)
    score, label, probability = sample.score[rows], sample.label[rows], sample.probability[rows]
    outcome, proportions = label.copy(), []
    for stratum in (score >= YES, score < YES):
        known = stratum & ~np.isnan(label)
        if known.sum() == stratum.sum():
            continue
        weight = 1 / probability[known]
        size = effective_number(weight)
        share = float(np.average(label[known], weights=weight)) if size else float(score[stratum].mean())
        outcome[stratum & ~known] = share
        unlabelled = 1 - known.sum() / stratum.sum()
        share_of_group = float(stratum.sum() / len(score) * np.sqrt(unlabelled))
        proportions.append(Proportion(share, share * size, size, share_of_group))
    return PostStratified(outcome, tuple(proportions))
