"""Proportions from groups in which every outcome is the same: "0 of 576".

Such a group shows no variance, so no standard error and no p can be had from it; what can be said is how
large its rate may still be. The rule of three says it for independent responses; here it is applied to the
number of independent responses that the group's are worth.

Not here: rare outcomes that do vary (permutation.py answers for them).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an interval."""

    low: float
    high: float


def effective_size(responses: int, design_effect: float | None, names: int, templates: int) -> float:
    """Return how many independent responses a group's are worth.

    Parameters
    ----------
    responses : int
        Labelled responses of the group, at least 1.
    design_effect : float or None
        Variance of a comparable rate over that of as many independent responses; None = not known, and the
        answer is the smaller of names and templates.
    names, templates : int
        The group's clusters; the answer is at least the smaller of them, at most `responses`.
    """
    fewest = min(names, templates, responses)
    if design_effect is None:
        return float(fewest)
    return min(max(responses / max(design_effect, 1e-9), fewest), responses)


def no_event_limit(size: float, level: float) -> float:
    """Return the largest rate that still gives no event with chance 1 - level: the exact rule of three.

    Parameters
    ----------
    size : float
        Independent responses, above 0.
    level : float
        Confidence level.

    Examples
    --------
    >>> round(no_event_limit(100, 0.95), 4)  # 3 / 100 by the rule
    0.0295
    """
    return float(1 - (1 - level) ** (1 / size))


def square_and_add(value: float, limits: Limits, reference_value: float, reference_limits: Limits) -> Limits:
    """Combine the intervals of two rates into one for their difference.

    Parameters
    ----------
    value, reference_value : float
        The rates, each within its limits.
    limits, reference_limits : Limits
        Their intervals at one confidence level.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 873-890, method 10, with other intervals in it (Zou and Donner
    2008, Statistics in Medicine 27, 1693-1702).
    """
    gap = value - reference_value
    below = hypot(value - limits.low, reference_limits.high - reference_value)
    above = hypot(limits.high - value, reference_value - reference_limits.low)
    return Limits(max(gap - below, -1.0), min(gap + above, 1.0))
