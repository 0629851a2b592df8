"""Two models, two conditions or two versions of a study: what differs, paired by cell.

Every name in every template is its own control; a change of a gap is a difference of differences. What is
in one of the two only is left out and counted.

Changes nothing in a study.

Not here: the formulas (disparity/paired.py), the studies (sides.py), the wording (words.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from servicegap.compare.sides import (
    Run,
    Side,
    belonging_runs,
    check_plans,
    differences_beside,
    listed,
)
from servicegap.disparity.categories import CategoryCells
from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.equivalence import equivalence
from servicegap.disparity.multiplicity import benjamini_hochberg, holm
from servicegap.disparity.paired import differences, gap_changes, rate_changes
from servicegap.errors import DataError
from servicegap.labels import kind_of_labels
from servicegap.records import OUTCOMES, Estimate, Labels
from servicegap.runs import primary_runs
from servicegap.study import AnalysisPlan

_SAME = "both have the same outcome in every shared cell, so there is neither an interval nor a p"


@dataclass(frozen=True, slots=True)
class Shared:
    """The labelled cells that both runs have, and how many only one of them has."""

    names: int
    templates: int
    cells: int
    only_baseline: int
    only_compared: int


@dataclass(frozen=True, slots=True)
class GapPair:
    """The gap of one group on the shared cells, in both runs (-1 to 1; None = undefined)."""

    group: str
    baseline: float | None
    compared: float | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs compared.

    Attributes
    ----------
    baseline, compared : (model, condition)
    shared : Shared
        What the comparison rests on.
    different : tuple of str
        What differs between the runs besides the answers, and what was left out.
    gaps : tuple of GapPair
        Of the primary outcome.
    estimates : tuple of Estimate
        Kinds ``gap_change``, ``rate_change`` and, with a margin, ``noninferiority``; model and condition
        are written "compared - baseline" where they differ.
    """

    baseline: Run
    compared: Run
    shared: Shared
    different: tuple[str, ...]
    gaps: tuple[GapPair, ...]
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All pairs of runs of two sides, the baseline's plan, and what readers must know first."""

    baseline: str
    compared: str
    plan: AnalysisPlan
    margin: float | None
    labels: Labels | None
    pairs: tuple[Pair, ...]
    warnings: tuple[str, ...]


def compare(baseline: Side, compared: Side, *, margin: float | None = None) -> Comparison:
    """Estimate what changes from the baseline to the other, for every pair of runs that belong together.

    Runs belong together as :func:`servicegap.compare.sides.belonging_runs` says.

    Parameters
    ----------
    baseline, compared : Side
        Changes are compared minus baseline.
    margin : float, optional
        The smallest growth of a gap that matters, above 0 (0.05 = 5 points): asks for non-inferiority.

    Returns
    -------
    Comparison
        p of the primary outcome's gap changes is adjusted by Holm over the groups of a pair, that of the
        other outcomes by Benjamini-Hochberg.

    Raises
    ------
    DataError
        Reference or level differ; no runs belong together; no name and template in common.
    """
    plan = baseline.study.plan.plan
    check_plans(baseline, compared)
    runs = belonging_runs(baseline, compared)
    pairs = tuple(_pair(baseline, compared, one, other, margin) for one, other in runs)
    alone = [
        f"{side.name}: {listed([run])} is not in the other and was left out"
        for side, place in ((baseline, 0), (compared, 1))
        for run in side.runs
        if run not in [each[place] for each in runs]
    ]
    other_primary = compared.study.plan.plan.primary
    if other_primary != plan.primary:
        alone.append(
            f"the primary outcome is {plan.primary!r} in {baseline.name} and {other_primary!r} in "
            f"{compared.name}; {plan.primary!r} is taken"
        )
    labels = kind_of_labels(pl.concat([baseline.frame.select("kind"), compared.frame.select("kind")]))
    return Comparison(baseline.name, compared.name, plan, margin, labels, pairs, tuple(alone))


def _pair(baseline: Side, compared: Side, one: Run, other: Run, margin: float | None) -> Pair:
    plan = baseline.study.plan.plan
    reworded = sorted(t for t, text in baseline.texts.items() if compared.texts.get(t, text) != text)
    first, second = (_counted(side, run, reworded) for side, run in ((baseline, one), (compared, other)))
    before, after = (each.outcome(OUTCOMES[plan.primary]) for each in (first, second))
    shared = _shared(before, after)
    if not shared.cells:
        raise DataError(
            f"{baseline.name} ({listed([one])}) and {compared.name} ({listed([other])}) share no labelled "
            "name and template; ask both the same prompts, with the same template ids and texts"
        )
    changes = [
        estimate
        for outcome in sorted(OUTCOMES, key=lambda outcome: outcome != plan.primary)
        for estimate in _changes(first, second, outcome, plan)
    ]
    if margin is not None:
        changes += _with_p(
            [
                equivalence(each, margin, sides="above")
                for each in changes
                if each.kind == "gap_change" and each.outcome == plan.primary
            ],
            holm,
        )
    kinds = pl.concat([side.rows(run).select("kind") for side, run in ((baseline, one), (compared, other))])
    model, condition, labels = (
        _change_of(one[0], other[0]),
        _change_of(one[1], other[1]),
        kind_of_labels(kinds),
    )
    different = [*differences_beside(baseline, one, compared, other)]
    if reworded:
        different.append(f"templates of one id and two texts, left out: {', '.join(reworded)}")
    return Pair(
        baseline=one,
        compared=other,
        shared=shared,
        different=tuple(different),
        gaps=_both_gaps(before, after, plan),
        estimates=tuple(replace(each, model=model, condition=condition, labels=labels) for each in changes),
    )


def _counted(side: Side, run: Run, without: Sequence[str]) -> CategoryCells:
    """Count the responses of a run on the primary templates, without some of them."""
    rows = side.rows(run)
    found = primary_runs(rows.filter(~pl.col("template").is_in(list(without)))).get(run)
    if found is None:
        raise DataError(
            f"{side.name}: {listed([run])} has no responses about a group on a template that the other has"
        )
    return found


def _changes(first: CategoryCells, second: CategoryCells, outcome: str, plan: AnalysisPlan) -> list[Estimate]:
    before, after = (each.outcome(OUTCOMES[outcome]) for each in (first, second))
    gaps = gap_changes(after, before, reference=plan.reference, level=plan.level, outcome_name=outcome)
    rates = rate_changes(after, before, level=plan.level, outcome_name=outcome)
    adjust = holm if outcome == plan.primary else benjamini_hochberg
    found = [*_with_p(list(gaps.values()), adjust), *rates.values()]
    if np.nan_to_num(differences(after, before).mean).any():
        return found
    return [replace(each, note=_SAME if each.low is None else each.note) for each in found]


def _with_p(
    estimates: Sequence[Estimate], adjust: Callable[[Sequence[float | None]], list[float | None]]
) -> list[Estimate]:
    adjusted = adjust([each.p for each in estimates])
    return [replace(each, p_adjusted=p) for each, p in zip(estimates, adjusted, strict=True)]


def _change_of(before: str, after: str) -> str:
    return before if before == after else f"{after} - {before}"


def _labelled(cells: Cells) -> set[tuple[str, str, str]]:
    rows, columns = np.nonzero(cells.responses)
    return {
        (cells.group[r], cells.signal[r], cells.template[c])
        for r, c in zip(rows.tolist(), columns.tolist(), strict=True)
    }


def _shared(before: Cells, after: Cells) -> Shared:
    one, other = _labelled(before), _labelled(after)
    both = one & other
    return Shared(
        names=len({cell[:2] for cell in both}),
        templates=len({cell[2] for cell in both}),
        cells=len(both),
        only_baseline=len(one - other),
        only_compared=len(other - one),
    )


def _both_gaps(before: Cells, after: Cells, plan: AnalysisPlan) -> tuple[GapPair, ...]:
    """Return the gaps of both on the cells that both have, so that their difference is the change."""
    both = _labelled(before) & _labelled(after)
    one, other = (
        gaps_of(_only(cells, both), reference=plan.reference, level=plan.level) for cells in (before, after)
    )
    return tuple(GapPair(group, gap.value, other[group].value) for group, gap in one.items())


def _only(cells: Cells, kept: set[tuple[str, str, str]]) -> Cells:
    inside = np.array(
        [
            [(group, signal, template) in kept for template in cells.template]
            for group, signal in zip(cells.group, cells.signal, strict=True)
        ]
    )
    kept_cells = replace(
        cells,
        mean=np.where(inside, cells.mean, np.nan),
        responses=np.where(inside, cells.responses, 0),
        missing=np.where(inside, cells.missing, 0),
        events=np.where(inside, cells.events, 0),
    )
    return kept_cells.take(np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0)))
