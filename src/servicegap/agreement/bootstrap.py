"""Intervals by resampling clusters, for any function of sums over clusters.

Labels of one template are alike, so templates are drawn, never labels. A plain percentile interval is too
short here (70 to 95 % instead of 95 % in simulations); see docs/agreement.md for what is done about it.

Not here: what the sums are (agreement_coefficients.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import csr_array

Floats = NDArray[np.float64]

#: Fewer clusters than this have too few different resamples.
LEAST_CLUSTERS = 5
#: The share of resamples in which a figure must be defined to have an interval.
MOST_DEFINED = 0.9

#: Numbers held at once while resampling (32 MB).
_AT_ONCE = 4_000_000
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Resampled:
    """Each figure with its limits, NaN where there are none, and what the resamples were like.

    Attributes
    ----------
    value : (n_figures,) float
        The figure from the data; NaN = undefined.
    low, high : (n_figures,) float
        Limits of the interval.
    defined : (n_figures,) float
        Share of the resamples in which the figure is defined.
    varied : (n_figures,) bool
        Whether resamples differ from one another.
    """

    value: Floats
    low: Floats
    high: Floats
    defined: Floats
    varied: NDArray[np.bool_]


def resample_clusters(
    table: csr_array,
    figures: Callable[[Floats], Floats],
    n_clusters: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    level: float,
    replicates: int,
) -> Resampled:
    """Draw clusters with replacement and return bias-corrected accelerated intervals.

    Parameters
    ----------
    table : (n_rows, n_sums) sparse float
        The sums of each cluster.
    figures : function of (n, n_sums) float to (n, n_figures) float
        The figures, from sums over clusters; NaN = undefined.
    n_clusters : (n_figures,) int
        Clusters that tell something of each figure; those below LEAST_CLUSTERS get no interval.
    rng : numpy Generator
        Draws the resamples.
    level : float
        Confidence, between 0 and 1.
    replicates : int
        Resamples.

    References
    ----------
    Efron (1987), Better bootstrap confidence intervals; acceleration by the jackknife. The tails are
    widened for few clusters as in the expanded percentile interval of Hesterberg (2015), What teachers
    should know about the bootstrap: Phi(-sqrt(n/(n-1)) t) in place of (1 - level) / 2, t with n - 1 degrees
    of freedom.
    """
    value = figures(np.asarray(table.sum(axis=0), dtype=float)[None, :])[0]
    drawn = _drawn(table, figures, rng, replicates)
    skewness = _skewness(table, figures, value)
    low, high = np.full(len(value), np.nan), np.full(len(value), np.nan)
    defined = (~np.isnan(drawn)).mean(axis=0)
    varied = np.zeros(len(value), dtype=bool)
    for number in np.flatnonzero(~np.isnan(value) & (n_clusters >= LEAST_CLUSTERS)):
        seen = drawn[~np.isnan(drawn[:, number]), number]
        varied[number] = len(seen) > 0 and np.ptp(seen) > _SAME
        if varied[number] and defined[number] >= MOST_DEFINED:
            tails = _tails(seen, value[number], skewness[number], int(n_clusters[number]), level)
            low[number], high[number] = np.quantile(seen, tails)
    return Resampled(value, low, high, defined, varied)


def _drawn(
    table: csr_array, figures: Callable[[Floats], Floats], rng: np.random.Generator, replicates: int
) -> Floats:
    """Compute the figures in each resample."""
    n_rows = table.shape[0]
    step = max(1, _AT_ONCE // max(table.shape))
    parts = []
    for start in range(0, replicates, step):
        count = min(step, replicates - start)
        picked = rng.integers(n_rows, size=(count, n_rows)) + np.arange(count)[:, None] * n_rows
        times = np.bincount(picked.ravel(), minlength=count * n_rows).reshape(count, n_rows)
        parts.append(figures((table.T @ times.T.astype(float)).T))
    return np.concatenate(parts)


def _skewness(table: csr_array, figures: Callable[[Floats], Floats], value: Floats) -> Floats:
    """Efron's acceleration of each figure, from leaving out one cluster at a time."""
    total = np.asarray(table.sum(axis=0), dtype=float)
    step = max(1, _AT_ONCE // table.shape[1])
    without = np.concatenate(
        [figures(total - table[start : start + step].toarray()) for start in range(0, table.shape[0], step)]
    )
    without = np.where(np.isnan(without), value, without)
    influence = without.mean(axis=0) - without
    size = (influence**2).sum(axis=0) ** 1.5
    skewness: Floats = np.divide(
        (influence**3).sum(axis=0), 6 * size, out=np.zeros_like(size), where=size > 0
    )
    return skewness


def _tails(seen: Floats, value: float, skewness: float, n: int, level: float) -> Floats:
    """Which quantiles of the resamples are the limits."""
    below = ((seen < value - _SAME).sum() + (seen <= value + _SAME).sum() + 1) / (2 * len(seen) + 2)
    centre = stats.norm.ppf(below)
    reach = np.sqrt(n / (n - 1)) * stats.t.ppf((1 + level) / 2, n - 1)
    shifted = centre + np.array([-reach, reach])
    tails: Floats = stats.norm.cdf(centre + shifted / np.maximum(1 - skewness * shifted, _SAME))
    return tails
