"""Gaps between two groups, and differences of gaps, from cells.

Not here: rates of one group (group_rates.py), the public functions of arrays (disparity/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from servicegap.disparity.additive import TooLittleError, fit
from servicegap.disparity.cells import Cells
from servicegap.disparity.crossed import Crossed, contrast
from servicegap.disparity.group_rates import NOTHING, check_level, design_effect, interval
from servicegap.disparity.permutation import Permutation, permute_names
from servicegap.disparity.rare import Limits, effective_size, no_event_limit, square_and_add
from servicegap.disparity.selection import Selection, select, weighted_parts
from servicegap.errors import DataError
from servicegap.records import Estimate

#: Where the rate of both groups together is below this (or above 1 minus it), the crossed interval covers too
#: rarely, and the permutation answers.
RARE = 0.03

_SEED = 20240601


def gaps_of(
    cells: Cells,
    *,
    reference: object,
    level: float = 0.95,
    outcome_name: str = "outcome",
    rng: np.random.Generator | None = None,
    weights: Mapping[str, float] | None = None,
) -> dict[str, Estimate]:
    """Estimate each group's gap, as ``servicegap.disparity.gaps``, from cells.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates.
    reference, level, outcome_name, rng
        As there.
    weights : mapping of part to share, optional
        What each part of the templates contributes to the gap, all templates of a part the same; summing
        to 1. Without it every template counts the same.

    Raises
    ------
    DataError
        As there; weights that do not fit the parts.
    """
    base = base_estimate("gap", cells, reference, level, outcome_name)
    weighted = weighted_parts(cells, weights)
    return _each(cells, base, weighted.columns, weighted.shares, rng)


def contrasts_of(
    cells: Cells,
    *,
    reference: object,
    minuend: object,
    subtrahend: object,
    level: float = 0.95,
    outcome_name: str = "outcome",
    rng: np.random.Generator | None = None,
) -> dict[str, Estimate]:
    """Estimate differences of gaps, as ``servicegap.disparity.contrasts``, from cells that have parts.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates.
    reference, minuend, subtrahend, level, outcome_name, rng
        As there.

    Raises
    ------
    DataError
        As there.
    """
    base = base_estimate("contrast", cells, reference, level, outcome_name)
    there = sorted(set(cells.part or ()))
    problems = [
        f"part {str(part)!r} has no template; there are: {', '.join(map(repr, there)) or 'no parts'}"
        for part in (minuend, subtrahend)
        if str(part) not in there
    ]
    if str(minuend) == str(subtrahend):
        problems.append(f"minuend and subtrahend are both {str(minuend)!r}; give two different parts")
    if problems:
        raise DataError(*problems)
    parts = [cells.columns(str(minuend)), cells.columns(str(subtrahend))]
    return _each(cells, replace(base, target=f"{minuend} - {subtrahend}"), parts, [1, -1], rng)


def base_estimate(kind: str, cells: Cells, reference: object, level: float, outcome_name: str) -> Estimate:
    """Return an empty estimate for gaps to a reference, once level and reference are seen to be right."""
    check_level(level)
    groups = cells.groups
    told = ", ".join(map(repr, groups))
    if str(reference) not in groups:
        raise DataError(f"reference {str(reference)!r} is not among the groups; choose one of: {told}")
    if len(groups) < 2:
        raise DataError(f"there is one group only ({told}); a gap needs a reference and another group")
    return Estimate(
        kind=kind,
        outcome=outcome_name,
        value=None,
        level=level,
        reference=str(reference),
        method="crossed Welch",
    )


def _each(
    cells: Cells,
    base: Estimate,
    parts: list[NDArray[np.intp]],
    signs: list[float],
    rng: np.random.Generator | None,
) -> dict[str, Estimate]:
    return {
        group: _compare(cells, replace(base, group=group), parts, signs, rng or np.random.default_rng(_SEED))
        for group in cells.groups
        if group != base.reference
    }


def _compare(
    cells: Cells,
    base: Estimate,
    parts: list[NDArray[np.intp]],
    part_signs: list[float],
    rng: np.random.Generator,
) -> Estimate:
    """Estimate the signed sum over parts of the gap between two groups."""
    groups = (str(base.group), str(base.reference))
    base = counted(base, cells, groups, parts)
    try:
        chosen = select(cells, groups, parts)
    except TooLittleError as reason:
        return replace(base, note=str(reason))
    base = replace(base, n_signals=chosen.n_signals, n_templates=chosen.n_templates)
    signs = [part_signs, [-sign for sign in part_signs]]
    tables = chosen.tables()
    notes = list(chosen.notes)
    try:
        crossed = contrast(tables, signs)
    except TooLittleError as reason:
        complete = not any(np.isnan(table).any() for row in tables for table in row)
        value = sum(
            s * float(t.mean())
            for row, ss in zip(tables, signs, strict=True)
            for t, s in zip(row, ss, strict=True)
        )
        return replace(base, value=value if complete else None, note="; ".join([*notes, str(reason)]))
    base = replace(base, value=crossed.value)
    steady = [group for group in (0, 1) if chosen.steady(group) is not None]
    if steady or crossed.variance <= NOTHING * max(1.0, float(np.nanmax(np.abs(cells.mean))) ** 2):
        found = _without_variance(chosen, crossed, base, steady, part_signs)
    else:
        found = _with_interval(chosen, crossed, base)
    if found.note:
        notes.append(found.note)
    if _is_rare(chosen):
        if found.low is not None:
            share = chosen.count(cells.events) / chosen.count(cells.responses)
            notes.append(
                f"with {share:.1%} of responses having the outcome, the interval may cover too rarely"
            )
        notes += _permutation(chosen, part_signs, rng)
    return replace(found, note="; ".join(notes) or None)


def counted(
    base: Estimate, cells: Cells, groups: Sequence[str], parts: Sequence[NDArray[np.intp]]
) -> Estimate:
    """Count all responses of two groups on some parts, those that a comparison must leave out included."""
    whole = np.ix_(np.concatenate([cells.rows(g) for g in groups]), np.concatenate(parts))
    return replace(
        base,
        n_responses=int(cells.responses[whole].sum()),
        n_missing=int(cells.missing[whole].sum()),
        n_events=int(cells.events[whole].sum()) if cells.scale == "yes/no" else None,
    )


def _with_interval(chosen: Selection, crossed: Crossed, base: Estimate) -> Estimate:
    half = crossed.half_width(float(base.level or 0))
    low, high = crossed.value - half, crossed.value + half
    if base.kind == "gap" and chosen.cells.scale != "number":
        low, high = max(low, -1.0), min(high, 1.0)
    return replace(base, low=low, high=high, se=crossed.se, df=crossed.df, p=crossed.p)


def _without_variance(
    chosen: Selection, crossed: Crossed, base: Estimate, steady: list[int], part_signs: list[float]
) -> Estimate:
    """No p; an interval only where one group varies and the other's limit is known."""
    level = float(base.level or 0)
    if not steady:
        return replace(base, note="no interval and no p: names, templates and groups do not differ at all")
    limits = {group: _steady_limits(chosen, group, level) for group in steady}
    notes = [
        chosen.steady_sentence(group)
        + (f" (its rate lies within {own.low:.1%} to {own.high:.1%}, by the rule of three)" if own else "")
        for group, own in limits.items()
    ]
    notes.append("so there is no p" if len(steady) == 1 else "so there is neither an interval nor a p")
    note = "; ".join(notes)
    own = limits[steady[0]]
    if len(steady) == 2 or own is None or base.kind != "gap":
        return replace(base, note=note)
    other = 1 - steady[0]
    varied = contrast([chosen.tables()[other]], [part_signs], heavy_tails=True)
    value = min(max(varied.value, 0.0), 1.0)
    both = {steady[0]: (chosen.steady(steady[0]) or 0.0, own)}
    both[other] = (value, interval(value, varied, level, bounded=True))
    joint = square_and_add(*both[0], *both[1])
    return replace(
        base, low=joint.low, high=joint.high, method="square-and-add of crossed and rule of three", note=note
    )


def _steady_limits(chosen: Selection, group: int, level: float) -> Limits | None:
    """Say how far from 0 or 1 the rate of a group may still be whose outcomes are all the same."""
    steady = chosen.steady(group)
    if chosen.cells.scale != "yes/no" or steady not in (0, 1):
        return None
    other = 1 - group
    effect = None
    if chosen.steady(other) is None and len(chosen.columns) == 1:
        alone = Selection(chosen.cells, (chosen.groups[other],), [chosen.rows[other]], chosen.columns, ())
        effect = design_effect(alone, contrast(alone.tables(), [[1]]))
    size = effective_size(
        chosen.count(chosen.cells.responses, group), effect, len(chosen.rows[group]), chosen.n_templates
    )
    limit = no_event_limit(size, level)
    return Limits(0.0, limit) if steady == 0 else Limits(1 - limit, 1.0)


def _is_rare(chosen: Selection) -> bool:
    if chosen.cells.scale != "yes/no":
        return False
    rate = chosen.count(chosen.cells.events) / chosen.count(chosen.cells.responses)
    steady = any(chosen.steady(group) is not None for group in (0, 1))
    return 0 < rate < 1 and (steady or min(rate, 1 - rate) < RARE)


def permutation_of(
    cells: Cells, group: str, reference: str, rng: np.random.Generator, *, outcome_name: str = "outcome"
) -> Estimate:
    """Test a gap by exchanging names between the two groups: an answer for these templates only.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates; attributes that split both groups become strata.
    group, reference : str
        The groups.
    rng : numpy Generator
        Draws arrangements where there are too many to list.
    outcome_name : str
        What the outcome is called in the estimate.

    Returns
    -------
    Estimate
        Kind ``permutation``: p, with the strata, the arrangements and the smallest p in the note; no value.
    """
    parts = [np.arange(len(cells.template))]
    base = counted(
        base_estimate("permutation", cells, reference, 0.95, outcome_name), cells, (group, reference), parts
    )
    base = replace(base, group=group, level=None, method="permutation of names within strata")
    try:
        found = _permuted(select(cells, (group, reference), parts), [1], rng)
    except TooLittleError as reason:
        return replace(base, note=str(reason))
    return replace(base, p=found.p, note=found.sentence())


def _permutation(chosen: Selection, signs: list[float], rng: np.random.Generator) -> list[str]:
    try:
        return [_permuted(chosen, signs, rng).sentence()]
    except TooLittleError:
        return []


def _permuted(chosen: Selection, signs: list[float], rng: np.random.Generator) -> Permutation:
    """Exchange names between the groups, on the templates in use."""
    tables = chosen.tables()
    values = sum(
        sign * fit(np.vstack([row[part] for row in tables])).names for part, sign in enumerate(signs)
    )
    rows = np.concatenate(chosen.rows)
    in_group = np.arange(len(rows)) < len(chosen.rows[0])
    attributes = {key: [known[row] for row in rows] for key, known in chosen.cells.attributes.items()}
    return permute_names(np.asarray(values), in_group, attributes, rng)
