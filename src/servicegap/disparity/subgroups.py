"""Gaps by what else is known of the names (gender, commonness): between levels, and interactions.

Exploratory unless the plan names them. Not here: strata of a permutation (permutation.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from servicegap.disparity.additive import TooLittleError
from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.crossed import contrast
from servicegap.disparity.group_rates import NOTHING, check_level
from servicegap.disparity.selection import select
from servicegap.errors import DataError
from servicegap.records import Estimate

#: Six names have ten splits into halves of three; four have three, which say nothing.
_PLACEBO_NAMES = 6


def between_levels(
    cells: Cells,
    attribute: str,
    *,
    reference: str,
    level: float = 0.95,
    outcome_name: str = "outcome",
) -> dict[str, dict[str, Estimate]]:
    """Compare the levels of an attribute within each group: common with rare names, women's with men's.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates, with attributes.
    attribute : str
        Which attribute.
    reference : str
        The level that others are compared with.
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimates.

    Returns
    -------
    dict of group to dict of level to Estimate
        Kind ``level_gap``: `group` is ``"muslim, gender=woman"`` and `reference` ``"muslim, gender=man"``.
        Groups in which the reference level or any other is missing are left out.

    Raises
    ------
    DataError
        No such attribute; `level` outside 0 to 1.
    """
    values = _values(cells, attribute)
    found: dict[str, dict[str, Estimate]] = {}
    for group in cells.groups:
        rows = np.array([row for row in cells.rows(group) if values[row] is not None], dtype=np.intp)
        levels = tuple(str(values[row]) for row in rows)
        if reference not in levels or len(set(levels)) < 2:
            continue
        inside = replace(cells.take(rows=rows), group=levels)
        found[group] = {
            other: replace(
                gap,
                kind="level_gap",
                group=f"{group}, {attribute}={other}",
                reference=f"{group}, {attribute}={reference}",
            )
            for other, gap in gaps_of(
                inside, reference=reference, level=level, outcome_name=outcome_name
            ).items()
        }
    return found


def interaction(
    cells: Cells,
    group: str,
    reference: str,
    attribute: str,
    levels: tuple[str, str],
    *,
    level: float = 0.95,
    outcome_name: str = "outcome",
) -> Estimate:
    """Estimate how much larger a gap is among names with one level of an attribute than with another.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates, with attributes.
    group, reference : str
        The groups compared.
    attribute : str
        Which attribute, such as gender.
    levels : (str, str)
        The estimate is the gap among names of the first level minus that among names of the second.
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimate.

    Returns
    -------
    Estimate
        Kind ``interaction``; `target` is ``"gender: woman - man"``. Names are independent, templates are
        shared by all four sets of names, so their common effect cancels. Undefined with its reason where a
        set has fewer than two names.

    Raises
    ------
    DataError
        No such attribute; `level` outside 0 to 1.
    """
    check_level(level)
    values = _values(cells, attribute)
    sets = [(own, side) for own in (group, reference) for side in levels]
    cell_of = [f"{cells.group[row]}, {values[row]}" for row in range(len(values))]
    relabelled = replace(cells, group=tuple(cell_of))
    base = Estimate(
        kind="interaction",
        outcome=outcome_name,
        value=None,
        level=level,
        group=group,
        reference=reference,
        target=f"{attribute}: {levels[0]} - {levels[1]}",
        method="crossed Welch",
    )
    try:
        names = [f"{own}, {side}" for own, side in sets]
        chosen = select(relabelled, names, [np.arange(len(cells.template))])
        found = contrast(chosen.tables(), [[1], [-1], [-1], [1]])
    except TooLittleError as reason:
        return replace(base, note=str(reason))
    base = replace(
        base,
        value=found.value,
        n_responses=chosen.count(cells.responses),
        n_missing=chosen.count(cells.missing),
        n_signals=chosen.n_signals,
        n_templates=chosen.n_templates,
        note="; ".join(chosen.notes) or None,
    )
    steady = [chosen.steady_sentence(i) for i in range(4) if chosen.steady(i) is not None]
    if steady or found.variance <= NOTHING:
        return replace(
            base, note="; ".join([*chosen.notes, *steady, "so there is neither an interval nor a p"])
        )
    half = found.half_width(level)
    return replace(base, low=found.value - half, high=found.value + half, se=found.se, df=found.df, p=found.p)


def placebo(
    cells: Cells, group: str, rng: np.random.Generator, *, level: float = 0.95, splits: int = 200
) -> Estimate:
    """Compare random halves of one group's names, between which there is no gap, as if they were two groups.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates.
    group : str
        The group whose names are split; with fewer than six names there are too few splits to say anything.
    rng : numpy Generator
        Draws the halves.
    level : float
        Confidence level, between 0 and 1.
    splits : int
        How many.

    Returns
    -------
    Estimate
        Kind ``placebo``: `value` is the share of splits called a gap at 1 - level. Above 1 - level by much,
        the method does not hold for these data; far below, as usual, it is careful.

    Raises
    ------
    DataError
        `level` outside 0 to 1.
    """
    check_level(level)
    rows = cells.rows(group)
    base = Estimate(
        kind="placebo",
        outcome="gap between halves of one group",
        value=None,
        group=group,
        method="crossed Welch on random halves",
        n_signals=len(rows),
        n_templates=len(cells.template),
    )
    if len(rows) < _PLACEBO_NAMES:
        return replace(
            base, note=f"{len(rows)} names give too few different halves; {_PLACEBO_NAMES} are needed"
        )
    called = defined = 0
    for _ in range(splits):
        half = len(rows) // 2
        halves = ("one",) * half + ("other",) * (len(rows) - half)
        split = replace(cells.take(rows=rng.permutation(rows)), group=halves)
        try:
            chosen = select(split, ["one", "other"], [np.arange(len(cells.template))])
            found = contrast(chosen.tables(), [[1], [-1]])
        except TooLittleError:
            continue
        if found.variance > NOTHING:
            defined += 1
            called += found.p < 1 - level
    if not defined:
        return replace(
            base, note="no split could be tested: the names do not differ, or too many cells are empty"
        )
    return replace(base, value=called / defined, note=f"{called} of {defined} random splits called a gap")


def _values(cells: Cells, attribute: str) -> tuple[str | None, ...]:
    if attribute not in cells.attributes:
        known = ", ".join(map(repr, cells.attributes)) or "none"
        raise DataError(f"attribute {attribute!r} is not known of the names; known: {known}")
    return cells.attributes[attribute]
