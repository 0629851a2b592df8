"""Several tests at once: p values adjusted so that a family of them can be read together.

Holm for the planned family (the chance of even one false finding), Benjamini-Hochberg for what is exploratory
(the share of false findings among those called). An undefined p stays undefined and does not count into the
family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from servicegap.cells import Floats
from servicegap.errors import DataError


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
