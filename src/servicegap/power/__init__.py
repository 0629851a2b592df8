"""What a design can detect: power and smallest detectable gap of the crossed Welch test.

The variance of a gap comes from four components; names and templates divide the large ones, repeats of the
same call only the smallest. Closed form, to be checked by simulation (benchmarks/validity.py): good to about
8 points of power, optimistic with 4 names a group.

Not here: estimating the components from a study (components.py), the cost of a design.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import nctdtr, stdtrit

from servicegap.errors import DataError

#: Gaps beyond this are never looked for: no two rates differ by more.
_LARGEST_GAP = 1.0


@dataclass(frozen=True, slots=True)
class Components:
    """Variance components of a yes/no outcome on the probability scale (0 to 1, squared).

    Attributes
    ----------
    name : float
        Between the names of one group.
    gap_by_template : float
        Of the gap between templates: how differently the two groups react to a template.
    name_by_template : float
        Between cells of name and template, beyond name and template.
    repeat : float
        Between repeats of the same call.
    source : str
        Where the figures come from.
    """

    name: float
    gap_by_template: float
    name_by_template: float
    repeat: float
    source: str


#: Refused = refusal or harmful refusal; 8 names a group, 24 templates, 3 samples.
PILOT_13B = Components(
    name=0.0171,
    gap_by_template=0.0282,
    name_by_template=0.0232,
    repeat=0.0312,
    source="published pilot of Chehbouni et al. (2024), Llama 2-Chat 13B, refused",
)

#: The same without the one name that is refused most. Solved for from the published detectable gaps, which it
#: gives back to 0.1 points.
PILOT_13B_WITHOUT_OUTLIER = Components(
    name=0.0036,
    gap_by_template=0.0338,
    name_by_template=0.0192,
    repeat=0.0312,
    source="the same without its most refused name, solved for from the detectable gaps of 20 designs",
)


@dataclass(frozen=True, slots=True)
class GapVariance:
    """The variance that a gap will have, and the degrees of freedom of its test."""

    variance: float
    df: float


def gap_variance(components: Components, names: float, templates: int, samples: int = 1) -> GapVariance:
    """Return the expected variance of a gap between two groups of equal size.

    V = 2 name/K + gap_by_template/T + 2 (name_by_template + repeat/R) / (K T), with Satterthwaite's degrees
    of freedom of the crossed Welch test (crossed.py) at the expected mean squares.

    Parameters
    ----------
    components : Components
        Variance components, probability scale.
    names : float
        Names a group, K >= 2; of two groups of different size, the harmonic mean.
    templates, samples : int
        Templates (T >= 2), repeats of each call (R >= 1).

    Raises
    ------
    DataError
        A design too small for a test, or components that are negative or all zero.
    """
    _check(components, names, templates, samples)
    cells = (components.name_by_template + components.repeat / samples) / (names * templates)
    from_names = components.name / names + cells
    from_templates = components.gap_by_template / templates + 2 * cells
    variance = 2 * from_names + from_templates - 2 * cells
    spread = (
        2 * from_names**2 / (names - 1)
        + from_templates**2 / (templates - 1)
        + 2 * cells**2 / ((names - 1) * (templates - 1))
    )
    return GapVariance(variance, max(variance**2 / spread, min(names, templates) - 1))


def power_of(
    gap: float, components: Components, names: float, templates: int, samples: int = 1, *, level: float = 0.95
) -> float:
    """Return the chance that a true gap is called different from zero.

    Parameters
    ----------
    gap : float
        True difference of two rates, -1 to 1.
    components, names, templates, samples
        As in :func:`gap_variance`.
    level : float
        Confidence level of the interval; the test's level is 1 - level, two-sided.

    Returns
    -------
    float
        0 to 1; 1 - level when the gap is 0.

    Raises
    ------
    DataError
        As :func:`gap_variance`; `level` outside 0 to 1.
    """
    if not 0 < level < 1:
        raise DataError(f"level is {level}; give a confidence level between 0 and 1, such as 0.95")
    v = gap_variance(components, names, templates, samples)
    shift = abs(gap) / v.variance**0.5
    critical = stdtrit(v.df, (1 + level) / 2)
    # scipy gives NaN where a tail is below about 1e-20: for large shifts only.
    below, up_to = np.nan_to_num(nctdtr(v.df, shift, np.array([-critical, critical])))
    return float(below + 1 - up_to)


def detectable_gap(
    components: Components,
    names: float,
    templates: int,
    samples: int = 1,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> float | None:
    """Return the smallest gap that a design finds with the power asked for.

    Parameters
    ----------
    components, names, templates, samples
        As in :func:`gap_variance`.
    level : float
        Confidence level of the interval.
    power : float
        Chance of calling the gap, above 1 - level and below 1.

    Returns
    -------
    float or None
        A difference of two rates, 0 to 1; None = not even a gap of 1 (100 points) is found with that power.

    Raises
    ------
    DataError
        As :func:`power_of`; `power` out of range.

    Examples
    --------
    The published pilot's design, 8 names a group, 24 templates, 3 samples:

    >>> round(100 * detectable_gap(PILOT_13B, names=8, templates=24, samples=3), 1)
    22.4
    """
    if not 1 - level < power < 1:
        raise DataError(f"power is {power}; give a chance above {1 - level:.3g} and below 1, such as 0.8")

    def lacking(gap: float) -> float:
        return power_of(gap, components, names, templates, samples, level=level) - power

    if lacking(_LARGEST_GAP) < 0:
        return None
    return float(brentq(lacking, 0.0, _LARGEST_GAP, xtol=1e-7))


def _check(components: Components, names: float, templates: int, samples: int) -> None:
    figures = {
        "name": components.name,
        "gap_by_template": components.gap_by_template,
        "name_by_template": components.name_by_template,
        "repeat": components.repeat,
    }
    problems = [f"component {key} is {v}; a variance is >= 0" for key, v in figures.items() if not v >= 0]
    if not problems and not any(figures.values()):
        problems.append("all variance components are 0; a design without variation has no power to speak of")
    for key, n, least in (("names", names, 2), ("templates", templates, 2), ("samples", samples, 1)):
        if n < least:
            problems.append(f"{key} is {n}; a design needs at least {least}")
    if problems:
        raise DataError(*problems)
