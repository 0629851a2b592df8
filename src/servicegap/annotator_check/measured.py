"""Figures of an annotator with intervals over templates: answers to one template are alike.

Not here: what is measured (checks.py, annotator_fit/comparison.py), the resampling (agreement/bootstrap.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from servicegap.agreement.bootstrap import LEAST_CLUSTERS, resample_clusters
from servicegap.disparity.cells import Floats
from servicegap.records import CATEGORIES

REPLICATES = 1000
_N = len(CATEGORIES)


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure; None where it is undefined, and ``note`` says why. ``n`` labels stand behind it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str | None = None


def over_templates(
    template: Sequence[object] | NDArray[np.object_],
    sums: Floats,
    figures: Callable[[Floats], Floats],
    rng: np.random.Generator,
    level: float,
) -> list[Measured]:
    """Compute figures from sums over responses, and their intervals by resampling templates.

    Parameters
    ----------
    template : (n,)
        Each response's template.
    sums : (n, n_sums) float
        What is summed up.
    figures : function of (m, n_sums) float to (m, n_figures) float
        Figures from totals; NaN = undefined.
    rng : numpy Generator
    level : float
        Confidence, between 0 and 1.
    """
    place = np.unique(np.asarray(template, dtype=str), return_inverse=True)[1]
    n_templates = int(place.max(initial=-1)) + 1
    table = np.zeros((max(n_templates, 1), sums.shape[1]))
    np.add.at(table, place, sums)
    n_figures = figures(table.sum(axis=0)[None, :]).shape[1]
    drawn = resample_clusters(
        csr_array(table),
        figures,
        np.full(n_figures, n_templates),
        rng,
        level=level,
        replicates=REPLICATES,
    )
    return [
        _measured(value, low, high, n_templates, len(place))
        for value, low, high in zip(drawn.value, drawn.low, drawn.high, strict=True)
    ]


def _measured(value: float, low: float, high: float, n_templates: int, n: int) -> Measured:
    if np.isnan(value):
        return Measured(None, n=n, note="undefined: people, or the annotator, give one category only")
    if not np.isnan(low):
        return Measured(float(value), float(low), float(high), n)
    note = (
        f"labels of {n_templates} templates; an interval needs {LEAST_CLUSTERS} or more"
        if n_templates < LEAST_CLUSTERS
        else "resampling templates gives no interval: hardly any of them differ"
    )
    return Measured(float(value), n=n, note=note)


def confusion_sums(people: NDArray[np.int64], found: NDArray[np.int64], weight: Floats) -> Floats:
    """Return each response's entry in the confusion matrix of people x annotator, (n, 36)."""
    sums = np.zeros((len(people), _N * _N))
    sums[np.arange(len(people)), people * _N + found] = weight
    return sums


def kappas(totals: Floats) -> Floats:
    """Return Cohen's kappa of confusion matrices, (m, 36) -> (m,); NaN where chance alone would agree.

    Examples
    --------
    >>> both = np.zeros((1, 36))
    >>> both[0, [0, 1, 7]] = [2, 1, 1]
    >>> kappas(both).tolist()
    [0.5]
    """
    matrix = totals.reshape(-1, _N, _N)
    whole = matrix.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.trace(matrix, axis1=1, axis2=2) / whole
        chance = (matrix.sum(axis=2) * matrix.sum(axis=1)).sum(axis=1) / whole**2
        kappa: Floats = np.where(chance < 1, (observed - chance) / (1 - chance), np.nan)
    return kappa
