"""The rate of a group in this corpus alone, from strata of its responses, and differences of such rates.

Not here: the public functions and the formulas in words (corpus.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from servicegap.correction.human_sample import HumanSample
from servicegap.correction.post_stratification import Figure, post_stratify
from servicegap.disparity.cells import Floats
from servicegap.disparity.ratios import LOG_SCALES, Kind

#: A stratum with fewer labels than this is put together with another.
FEWEST_IN_STRATUM = 5


def corpus_figure(sample: HumanSample, group: str, within: NDArray[np.int64]) -> Figure | None:
    """Return a group's rate, or None where its scores cannot be corrected.

    Parameters
    ----------
    sample : HumanSample
        Scores and labels.
    group : str
        One of its groups.
    within : (n,) int
        Each response's stratum within its group.
    """
    if sample.obstacle(group) is not None:
        return None
    if sample.few_disagreements(group):
        filled = post_stratify(sample, group)
        return Figure(float(filled.outcome.mean()), 0.0, inf, filled.proportions)
    rows = sample.rows(group)
    stratum = _joined(within[rows], sample.labelled[rows])
    parts = [
        _Stratum(sample.score[rows][own], sample.label[rows][own], sample.probability[rows][own])
        for own in (stratum == number for number in np.unique(stratum))
    ]
    shares = [len(part.score) / int(rows.sum()) for part in parts]
    variances = [share**2 * part.variance for share, part in zip(shares, parts, strict=True)]
    scale = sum(v**2 / max(part.n_labelled - 1, 1) for v, part in zip(variances, parts, strict=True))
    return Figure(
        value=sum(share * part.value for share, part in zip(shares, parts, strict=True)),
        variance=sum(variances),
        df=sum(variances) ** 2 / scale if scale > 0 else inf,
    )


def _joined(stratum: NDArray[np.int64], labelled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Put strata with too few labels together, and then with the one that has most labels."""
    numbers, place = np.unique(stratum, return_inverse=True)
    have = np.bincount(place, weights=labelled, minlength=len(numbers))
    missing = np.bincount(place, weights=~labelled, minlength=len(numbers))
    thin = (have < FEWEST_IN_STRATUM) & (missing > 0)
    if not thin.any():
        return stratum
    if have[thin].sum() < FEWEST_IN_STRATUM:
        thin[int(np.argmax(have))] = True
    joined: NDArray[np.int64] = np.where(thin[place], -1, place)
    return joined


@dataclass(frozen=True, slots=True)
class _Stratum:
    """Scores, labels and probabilities of a stratum's responses; label NaN = none."""

    score: Floats
    label: Floats
    probability: Floats

    @property
    def known(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.label)

    @property
    def n_labelled(self) -> int:
        return int(self.known.sum())

    @property
    def weight(self) -> Floats:
        return 1 / self.probability[self.known]

    @property
    def off(self) -> Floats:
        return self.label[self.known] - self.score[self.known]

    @property
    def value(self) -> float:
        if self.n_labelled == len(self.score):
            return float(self.label.mean())
        return float(self.score.mean() + np.average(self.off, weights=self.weight))

    @property
    def variance(self) -> float:
        """Of the mean of Y - f: s^2 / n (1 - n / N) with equal weights, linearised with others."""
        n = self.n_labelled
        if n == len(self.score):
            return 0.0
        share = self.weight / self.weight.sum()
        around = self.off - float(share @ self.off)
        return float(n / (n - 1) * (share**2 @ around**2) * (1 - n / len(self.score)))


def difference(one: Figure | None, other: Figure | None) -> Figure | None:
    """Subtract two independent figures, None where one is; degrees of freedom by Satterthwaite."""
    if one is None or other is None:
        return None
    scale = sum(figure.variance**2 / figure.df for figure in (one, other))
    variance = one.variance + other.variance
    return Figure(
        one.value - other.value,
        variance,
        variance**2 / scale if scale > 0 else inf,
        one.proportions + tuple(part.scaled(-1) for part in other.proportions),
    )


def logarithm(rate: Figure, kind: Kind) -> Figure:
    """Put a rate, strictly within 0 to 1, on the scale whose differences are log ratios (delta method)."""
    slope = LOG_SCALES[kind].slope(rate.value)
    return Figure(
        LOG_SCALES[kind].value(rate.value),
        rate.variance * slope**2,
        rate.df,
        tuple(part.scaled(slope) for part in rate.proportions),
    )
