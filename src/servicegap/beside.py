"""What always stands beside the planned gaps: how robust they are, what they rest on, what could hide.

All of it is exploratory, about the primary outcome on the primary templates. Each part is a module of
its own; here they are only called together, and what they say in words becomes remarks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from servicegap.corrected import RATIOS
from servicegap.disparity.additive import TooLittleError
from servicegap.disparity.categories import CategoryCells, omnibus_test
from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import gaps_of, permutation_of
from servicegap.disparity.components import design_effect_of_gap, variance_components
from servicegap.disparity.equivalence import equivalence
from servicegap.disparity.extremes import largest_gap
from servicegap.disparity.leave_out import leave_one_out
from servicegap.disparity.missingness import missingness_test, worst_case
from servicegap.disparity.mixed import fit_mixed
from servicegap.disparity.multiplicity import simultaneous
from servicegap.disparity.ratios import ratio_of
from servicegap.disparity.single import template_gaps
from servicegap.disparity.subgroups import between_levels, interaction, placebo
from servicegap.errors import DataError
from servicegap.records import OUTCOMES, Estimate
from servicegap.study import AnalysisPlan

#: Drawn arrangements and splits must be the same whenever the same labels are analysed.
SEED = 20240313
#: Names x templates up to which the mixed model, a sensitivity check, is worth its seconds.
MIXED_CELLS = 3_000


@dataclass(frozen=True, slots=True)
class Remark:
    """What figures come to, in one sentence; ``about`` is the kind of estimate behind it."""

    about: str
    text: str
    group: str | None = None
    model: str | None = None
    condition: str | None = None


@dataclass(slots=True)
class Beside:
    """Estimates and remarks, in the order in which they were made."""

    estimates: list[Estimate] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def stand_beside(
    counted: CategoryCells, plan: AnalysisPlan, planned: Sequence[Estimate], *, ratios: bool = True
) -> Beside:
    """Return everything beside the planned gaps of one run.

    Parameters
    ----------
    counted : CategoryCells
        The responses on the primary templates, with those of the reference among them.
    plan : AnalysisPlan
        Primary outcome, reference, level and margin.
    planned : sequence of Estimate
        The planned gaps.
    ratios : bool
        Whether to add ratios, from the labels as they are.
    """
    rng = np.random.default_rng(SEED)
    cells = counted.outcome(OUTCOMES[plan.primary])
    found = Beside()
    found.estimates += simultaneous(planned)
    if plan.margin is not None:
        found.estimates += [equivalence(gap, plan.margin) for gap in planned]
    for gap in gaps_of(cells, reference=plan.reference, level=plan.level, outcome_name=plan.primary).values():
        _add_pair(found, cells, gap, plan, rng)
        if ratios:
            found.estimates += _ratios(cells, str(gap.group), plan)
    found.estimates += _of_all_groups(cells, counted, plan, rng)
    return found


def _add_pair(
    found: Beside, cells: Cells, gap: Estimate, plan: AnalysisPlan, rng: np.random.Generator
) -> None:
    """Add what is about one group and the reference."""
    group = str(gap.group)
    outcome = plan.primary
    left = leave_one_out(cells, group, plan.reference, level=plan.level, outcome_name=outcome)
    found.estimates += [*left.names, *left.templates]
    # What a gap owes to one name is worth a sentence only where there is a gap to speak of.
    noticed = gap.p is not None and gap.p <= 1 - plan.level
    if noticed and (sentence := left.sentence()):
        found.remarks.append(Remark("gap_without", sentence, group))
    try:
        shares = variance_components(cells, group, plan.reference).shares()
        effect = design_effect_of_gap(cells, group, plan.reference)
    except TooLittleError as reason:
        found.remarks.append(Remark("variance_share", f"variance components are undefined: {reason}", group))
    else:
        found.estimates += [
            Estimate(
                kind="variance_share",
                outcome=outcome,
                group=group,
                reference=plan.reference,
                target=component,
                value=share,
                method="expected mean squares of the crossed design",
            )
            for component, share in shares.items()
        ]
        if effect is not None:
            found.remarks.append(Remark("design_effect", effect.sentence(), group))
    found.estimates.append(permutation_of(cells, group, plan.reference, rng, outcome_name=outcome))
    found.estimates.append(worst_case(cells, group, plan.reference, outcome_name=outcome))
    found.estimates += template_gaps(cells, group, plan.reference, level=plan.level, outcome_name=outcome)
    for attribute, levels in _two_levels(cells):
        found.estimates.append(
            interaction(
                cells, group, plan.reference, attribute, levels, level=plan.level, outcome_name=outcome
            )
        )
    found.estimates.append(placebo(cells, group, rng, level=plan.level))


def _ratios(cells: Cells, group: str, plan: AnalysisPlan) -> list[Estimate]:
    return [
        ratio_of(cells, group, plan.reference, kind, level=plan.level, outcome_name=plan.primary)
        for kind in RATIOS
    ]


def _of_all_groups(
    cells: Cells, counted: CategoryCells, plan: AnalysisPlan, rng: np.random.Generator
) -> Iterator[Estimate]:
    outcome = plan.primary
    yield largest_gap(cells, rng, level=plan.level, outcome_name=outcome).estimate
    yield omnibus_test(counted, rng)
    yield missingness_test(cells, rng)
    for attribute, levels in _two_levels(cells):
        found = between_levels(cells, attribute, reference=levels[1], level=plan.level, outcome_name=outcome)
        for by_level in found.values():
            yield from by_level.values()
    yield from _mixed(cells, plan)


def _two_levels(cells: Cells) -> Iterable[tuple[str, tuple[str, str]]]:
    """Yield the attributes of names that have two levels, with the levels in order."""
    for attribute, known in cells.attributes.items():
        levels = sorted({level for level in known if level is not None})
        if len(levels) == 2:
            yield attribute, (levels[0], levels[1])


def _mixed(cells: Cells, plan: AnalysisPlan) -> list[Estimate]:
    if int(cells.responses.max()) < 2:
        return [_no_mixed(plan, "needs two or more responses a cell, to tell name x template from chance")]
    if cells.mean.size > MIXED_CELLS:
        return [_no_mixed(plan, f"is not fitted to more than {MIXED_CELLS:,} cells: it would take minutes")]
    try:
        fit = fit_mixed(cells, plan.reference, level=plan.level, outcome_name=plan.primary)
    except (DataError, TooLittleError) as reason:
        return [_no_mixed(plan, f"cannot be fitted: {reason}")]
    return list(fit.gaps.values())


def _no_mixed(plan: AnalysisPlan, reason: str) -> Estimate:
    return Estimate(
        kind="mixed_gap",
        outcome=plan.primary,
        reference=plan.reference,
        value=None,
        note=f"the mixed logistic model {reason}",
    )
