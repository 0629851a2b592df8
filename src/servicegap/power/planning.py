"""Designs for a budget: what each could detect, what it costs, and which is best.

Built on the closed form of power/; :func:`simulated_power` checks it by running the crossed Welch test
itself on simulated cells. Human labels can cover a part of the responses where an automatic annotator,
corrected by them, covers the rest.

Not here: the command line and its tables; variance components from a study (components.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from servicegap.disparity.crossed import contrast
from servicegap.errors import DataError
from servicegap.power import Components, detectable_gap, power_of

#: What is tried unless the caller says otherwise: names a group, templates, samples.
NAMES = (4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64)
TEMPLATES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192)
SAMPLES = (1, 2, 3, 5)


@dataclass(frozen=True, slots=True)
class Labelling:
    """How responses get their labels.

    Attributes
    ----------
    share : float
        Share of responses that a person labels, above 0 to 1; 1 = all, and no automatic annotator is needed.
    annotator_error : float
        Mean squared error of the automatic annotator's score (0 to 1) against people; 0.25 = worth nothing.
    minutes_per_label : float
        A person's time for one label.
    """

    share: float = 1.0
    annotator_error: float = 0.05
    minutes_per_label: float = 0.5


@dataclass(frozen=True, slots=True)
class Option:
    """A design, its price, and the gap it detects.

    Attributes
    ----------
    names, templates, samples : int
        Names a group, templates, repeats of each call.
    label_share : float
        Share of responses labelled by people.
    calls, labels, label_minutes : int, int, float
        Calls to each model, labels by people, and their time.
    detectable : float or None
        Smallest gap found with the power asked for, 0 to 1; None = none.
    """

    names: int
    templates: int
    samples: int
    label_share: float
    calls: int
    labels: int
    label_minutes: float
    detectable: float | None


def with_labelling(components: Components, labelling: Labelling) -> Components:
    """Add to the chance within cells what labelling only a part of the responses costs.

    A response labelled with probability q enters as f + (S/q) (Y - f), f the annotator's score; its variance
    grows by (1/q - 1) times the mean squared error of f.

    Parameters
    ----------
    components : Components
        Variance components with every response labelled by people.
    labelling : Labelling
        The share that people label, and the annotator's error.

    Raises
    ------
    DataError
        A share outside (0, 1], a negative error or time.
    """
    problems = []
    if not 0 < labelling.share <= 1:
        problems.append(f"label share is {labelling.share}; people must label some: above 0, at most 1")
    if not labelling.annotator_error >= 0:
        problems.append(f"annotator error is {labelling.annotator_error}; a mean squared error is >= 0")
    if not labelling.minutes_per_label >= 0:
        problems.append(f"minutes per label is {labelling.minutes_per_label}; give a time >= 0")
    if problems:
        raise DataError(*problems)
    added = (1 / labelling.share - 1) * labelling.annotator_error
    return replace(components, repeat=components.repeat + added)


def price(
    components: Components,
    *,
    groups: int,
    names: int,
    templates: int,
    samples: int = 1,
    labelling: Labelling | None = None,
    level: float = 0.95,
    power: float = 0.8,
) -> Option:
    """Say what a design costs and detects.

    Parameters
    ----------
    components : Components
        Variance components.
    groups : int
        Groups, the reference included; at least 2.
    names, templates, samples : int
        As in :func:`servicegap.power.gap_variance`.
    labelling : Labelling, optional
        Without it every response is labelled by people.
    level, power : float
        Of the test of one gap; no correction for testing several.

    Raises
    ------
    DataError
        A design too small, or figures out of range.
    """
    if groups < 2:
        raise DataError(f"groups is {groups}; a gap needs the reference and at least one more")
    labelling = labelling or Labelling()
    parts = with_labelling(components, labelling)
    calls = groups * names * templates * samples
    labels = round(calls * labelling.share)
    return Option(
        names=names,
        templates=templates,
        samples=samples,
        label_share=labelling.share,
        calls=calls,
        labels=labels,
        label_minutes=labels * labelling.minutes_per_label,
        detectable=detectable_gap(parts, names, templates, samples, level=level, power=power),
    )


def best_designs(
    components: Components,
    *,
    groups: int,
    max_calls: int,
    max_label_minutes: float | None = None,
    labellings: Sequence[Labelling] = (Labelling(),),
    names: Iterable[int] = NAMES,
    templates: Iterable[int] = TEMPLATES,
    samples: Iterable[int] = SAMPLES,
    level: float = 0.95,
    power: float = 0.8,
) -> list[Option]:
    """List the designs within a budget, the one that detects the smallest gap first.

    Parameters
    ----------
    components, groups, level, power
        As in :func:`price`.
    max_calls : int
        Calls to each model.
    max_label_minutes : float, optional
        People's time for labels.
    labellings : sequence of Labelling
        Ways of labelling to choose from.
    names, templates, samples : iterables of int
        What to try.

    Returns
    -------
    list of Option
        Designs that detect no gap at all are left out; of equals the cheaper comes first. Empty = nothing
        fits.

    Raises
    ------
    DataError
        As :func:`price`.
    """
    found = []
    for k, t, r, labelling in product(names, templates, samples, labellings):
        calls = groups * k * t * r
        minutes = round(calls * labelling.share) * labelling.minutes_per_label
        if calls > max_calls or (max_label_minutes is not None and minutes > max_label_minutes):
            continue
        option = price(
            components,
            groups=groups,
            names=k,
            templates=t,
            samples=r,
            labelling=labelling,
            level=level,
            power=power,
        )
        if option.detectable is not None:
            found.append(option)
    return sorted(found, key=lambda o: (round(o.detectable or 1.0, 4), o.calls, o.label_minutes))


def simulated_power(
    gap: float,
    components: Components,
    names: int,
    templates: int,
    samples: int,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    datasets: int = 1_500,
) -> float:
    """Return the share of simulated studies in which the crossed Welch test calls a true gap.

    Parameters
    ----------
    gap : float
        True difference of two rates.
    components, names, templates, samples
        As in :func:`servicegap.power.gap_variance`.
    rng : numpy Generator
        Draws the studies.
    level : float
        Confidence level of the interval.
    datasets : int
        How many studies; 1,500 give 2 points of error.

    Notes
    -----
    Effects and chance are normal with the given variances; the test is the one used on data.
    """
    c, called = components, 0
    cell_sd = (c.name_by_template + c.repeat / samples) ** 0.5
    for _ in range(datasets):
        by_name = rng.normal(0, c.name**0.5, (2, names, 1))
        by_template = rng.normal(0, (c.gap_by_template / 2) ** 0.5, (2, 1, templates))
        y = by_name + by_template + rng.normal(0, cell_sd, (2, names, templates))
        called += contrast([[y[0] + gap], [y[1]]], [[1], [-1]]).p < 1 - level
    return called / datasets


def verdict(
    option: Option,
    components: Components,
    wanted: float,
    *,
    level: float = 0.95,
    labelling: Labelling | None = None,
) -> str:
    """Say in words whether a design can support a claim about a gap of some size.

    Parameters
    ----------
    option : Option
        The design.
    components : Components
        As given to :func:`price`.
    wanted : float
        The gap that matters, above 0 to 1.
    level : float
        Confidence level of the interval.
    labelling : Labelling, optional
        As given to :func:`price`.
    """
    parts = with_labelling(components, labelling or Labelling(share=option.label_share))
    chance = power_of(wanted, parts, option.names, option.templates, option.samples, level=level)
    samples = f"{option.samples} sample{'s'[: option.samples != 1]} a prompt"
    size = f"{option.names} names a group, {option.templates} templates, {samples}"
    if option.detectable is not None and option.detectable <= wanted:
        return f"{size}: enough for a gap of {100 * wanted:.0f} points, found in {chance:.0%} of such studies"
    limit = (
        "not even a gap of 100 points is found reliably"
        if option.detectable is None
        else f"gaps below {100 * option.detectable:.0f} points are likely to be missed"
    )
    return (
        f"{size}: cannot support a claim about a gap of {100 * wanted:.0f} points, which it would find in "
        f"only {chance:.0%} of such studies; {limit}"
    )
