"""Several tests or intervals at once, so that a family of them can be read together.

Holm for the planned family (the chance of even one false finding), Benjamini-Hochberg for what is exploratory
(the share of false findings among those called). An undefined p stays undefined and does not count into the
family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import stdtrit

from servicegap.disparity.cells import Floats
from servicegap.errors import DataError
from servicegap.records import Estimate


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Adjust p values by Holm's step-down method.

    Parameters
    ----------
    p : sequence of float or None, length n
        Each in 0 to 1; None = undefined.

    Returns
    -------
    list of float or None, length n
        Calling those <= alpha makes even one false finding with a chance of at most alpha, however the tests
        depend on each other.

    Raises
    ------
    DataError
        A value outside 0 to 1.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """

    def adjust(ordered: Floats) -> Floats:
        multiplied: Floats = np.maximum.accumulate(ordered * np.arange(len(ordered), 0, -1))
        return multiplied

    return _adjusted(p, adjust)


def benjamini_hochberg(p: Sequence[float | None]) -> list[float | None]:
    """Adjust p values by Benjamini and Hochberg's step-up method.

    Parameters
    ----------
    p : sequence of float or None, length n
        Each in 0 to 1; None = undefined.

    Returns
    -------
    list of float or None, length n
        Of those called <= q, on average at most the share q is false, for independent or positively dependent
        tests.

    Raises
    ------
    DataError
        A value outside 0 to 1.

    References
    ----------
    Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.

    Examples
    --------
    >>> benjamini_hochberg([0.01, None, 0.04, 0.03])
    [0.03, None, 0.04, 0.04]
    """

    def adjust(ordered: Floats) -> Floats:
        n = len(ordered)
        multiplied: Floats = np.minimum.accumulate((ordered * n / np.arange(1, n + 1))[::-1])[::-1]
        return multiplied

    return _adjusted(p, adjust)


def simultaneous(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Widen intervals so that all of them hold at once with the confidence that each had alone.

    Parameters
    ----------
    estimates : sequence of Estimate
        Gaps or other differences on the t scale, at one level; those without a standard error stay as they
        are.

    Returns
    -------
    list of Estimate
        Kind with ``_simultaneous`` added; limits at 1 - alpha over the number of intervals (Bonferroni), for
        yes/no outcomes within -1 to 1. `p` is left out: see :func:`holm`; so is that a gap was planned.

    Raises
    ------
    DataError
        Levels that differ.
    """
    known = [e for e in estimates if e.se is not None and e.df is not None and e.value is not None]
    levels = {e.level for e in known}
    if len(levels) > 1:
        raise DataError(
            f"the intervals have different levels: {', '.join(map(str, sorted(map(str, levels))))}"
        )
    return [_widened(e, len(known)) for e in estimates]


def _widened(estimate: Estimate, together: int) -> Estimate:
    kind, value = f"{estimate.kind}_simultaneous", estimate.value
    if estimate.se is None or estimate.df is None or value is None or estimate.level is None:
        return replace(estimate, kind=kind, p=None, p_adjusted=None, planned=False)
    half = float(stdtrit(estimate.df, 1 - (1 - estimate.level) / (2 * together))) * estimate.se
    low, high = value - half, value + half
    if estimate.n_events is not None and estimate.kind == "gap":
        low, high = max(low, -1.0), min(high, 1.0)
    method = f"{estimate.method}, {together} intervals together (Bonferroni)"
    return replace(
        estimate, kind=kind, low=low, high=high, p=None, p_adjusted=None, method=method, planned=False
    )


def _adjusted(p: Sequence[float | None], adjust: Callable[[Floats], Floats]) -> list[float | None]:
    wrong = [
        f"p[{i}] is {v}; a p value lies in 0 to 1"
        for i, v in enumerate(p)
        if v is not None and not 0 <= v <= 1
    ]
    if wrong:
        raise DataError(*wrong)
    known = [i for i, v in enumerate(p) if v is not None]
    values = np.array([v for v in p if v is not None], dtype=float)
    order = np.argsort(values, kind="stable")
    result: list[float | None] = [None] * len(p)
    for place, value in zip(order, adjust(values[order]), strict=True):
        result[known[place]] = float(min(value, 1.0))
    return result
