"""How figures are written: percent, points, p values, intervals.

A point is a percentage point. None is written "not defined", never 0.
"""

from __future__ import annotations

import math

from servicegap.records import Estimate

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"
NO_BREAK = "\N{NO-BREAK SPACE}"
UNDEFINED = "not defined"

#: Kinds of estimate that are proportions, and those that are differences of proportions.
PROPORTIONS = frozenset(
    {
        *("rate", "share", "name_rate", "name_rate_shrunk", "variance_share", "placebo", "missingness"),
        *("corpus_rate", "sensitivity", "specificity", "rogan_gladen"),
    }
)
DIFFERENCES = frozenset(
    {
        *("gap", "naive_gap", "contrast", "gap_without", "gap_simultaneous", "gap_bounds", "template_gap"),
        *("equivalence", "noninferiority", "interaction", "level_gap", "largest_gap", "mixed_gap"),
        *("automatic_gap", "corpus_gap", "gap_unweighted", "gap_change", "rate_change"),
    }
)


def number(value: float | None, decimals: int = 1) -> str:
    """Write a number with a typographic minus.

    Examples
    --------
    >>> number(-0.04), number(None)
    ('0.0', 'not defined')
    """
    if value is None or not math.isfinite(value):
        return UNDEFINED
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def percent(proportion: float | None, decimals: int = 1) -> str:
    """Write a proportion (0 to 1) in percent."""
    return UNDEFINED if proportion is None else f"{number(100 * proportion, decimals)}{THIN}%"


def points(difference: float | None) -> str:
    """Write a difference of proportions (-1 to 1) in points, without the word."""
    return number(None if difference is None else 100 * difference)


def p_value(p: float | None) -> str:
    """Write a p value with as many digits as it deserves.

    Examples
    --------
    >>> [p_value(p) for p in (0.2345, 0.0152, 0.00004, None)]
    ['0.23', '0.015', '< 0.0001', 'not defined']
    """
    if p is None:
        return UNDEFINED
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.3f}" if p >= 0.001 else f"{p:.4f}"


def value_text(estimate: Estimate) -> str:
    """Write the value of an estimate in the unit of its kind."""
    return _in_unit(estimate, estimate.value)


def interval(estimate: Estimate) -> str:
    """Write both limits of an estimate's interval; empty where there is none."""
    if estimate.low is None and estimate.high is None:
        return ""
    low, high = (
        _in_unit(estimate, limit).removesuffix(f"{THIN}%") for limit in (estimate.low, estimate.high)
    )
    return f"{low} to {high}"


def _in_unit(estimate: Estimate, value: float | None) -> str:
    if estimate.kind in PROPORTIONS:
        return percent(value)
    if estimate.kind in DIFFERENCES:
        return points(value)
    return number(value, 2 if estimate.kind.startswith("mean") else 3)


def count(n: int | None) -> str:
    """Write a count; thousands apart."""
    return "" if n is None else f"{n:,}".replace(",", THIN)
