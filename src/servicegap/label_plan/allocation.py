"""Which responses people should label: more where the annotator is unsure and where a label moves the gap.

Labels correct f by (Y - f) / chance; what that adds to the variance of a group's rate is

    sum over its responses of u (1 - chance) / chance / N^2,     u = expected (Y - f)^2,

so that, for a number of labels, chances in proportion to sqrt(u) / N add least (Neyman's allocation). A part
of the labels is spread evenly all the same: only that finds where the annotator is wrong and does not know.

Not here: what names and templates add, which no label takes away (outlook.py).

References
----------
Cochran (1977), Sampling Techniques, 3rd edition, sections 5.5 (Neyman) and 8.1 (systematic sampling).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from servicegap.disparity.cells import Floats

#: The part of the labels that is spread evenly over all responses.
EVEN_SHARE = 0.3
_LEAST_URGENCY = 1e-6
_STEPS = 80


def chances(urgency: Floats, already: NDArray[np.bool_], labels: int) -> Floats:
    """Return each response's chance of being drawn for so many labels.

    Parameters
    ----------
    urgency : (n,) float
        How much a label of the response takes from the variance: sqrt(u) / N, 0 or more.
    already : (n,) bool
        Responses that people have labelled: they may be drawn, and cost nothing.
    labels : int
        New labels that are expected, at most as many as responses without one.

    Returns
    -------
    (n,) float
        Above 0, at most 1; over the responses without a label they sum to `labels`.

    Examples
    --------
    >>> chances(np.array([0.0, 1.0, 1.0, 2.0]), np.zeros(4, dtype=bool), 2).round(2).tolist()
    [0.15, 0.5, 0.5, 0.85]
    """
    n, new = len(urgency), int((~already).sum())
    if labels >= new:
        return np.ones(n)
    even = EVEN_SHARE * labels / new
    if not urgency[~already].any():
        return np.full(n, labels / new)
    # Nothing is so sure that a label could not matter. Shares of the most urgent keep the search within what
    # numbers hold; the scale of urgency plays no part.
    urgency = np.maximum(urgency, np.finfo(np.float64).tiny)
    urgency = np.maximum(urgency / urgency.max(), _LEAST_URGENCY)
    low, high = 0.0, 2 / float(urgency.min())
    for _ in range(_STEPS):  # chances grow with the scale, so bisection finds the one with the right sum
        scale = (low + high) / 2
        found = np.minimum(even + scale * urgency, 1.0)
        low, high = (scale, high) if found[~already].sum() < labels else (low, scale)
    return np.asarray(np.minimum(even + high * urgency, 1.0), dtype=np.float64)


def draw(chance: Floats, stratum: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw responses with given chances, as evenly over the strata as can be.

    Systematic sampling: in the order of strata, and by lot within them, a response is drawn where the running
    sum of the chances passes a whole number from a random start. Each has exactly its chance; the number
    drawn from a stratum is off from what is expected by less than 1.

    Parameters
    ----------
    chance : (n,) float
        0 to 1.
    stratum : (n,) int
    rng : numpy Generator
    """
    order = np.lexsort((rng.random(len(chance)), stratum))
    sums = np.cumsum(chance[order]) + rng.random()
    # A sum of chances of 1 is a whole number but for rounding.
    passed = np.floor(np.round(sums, 9))
    drawn = np.zeros(len(chance), dtype=np.bool_)
    drawn[order] = np.diff(passed, prepend=np.floor(np.round(sums[0] - chance[order][0], 9))) > 0
    return drawn
