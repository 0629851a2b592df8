"""One run's automatic scores and people's labels -> corrected rates, gaps and ratios, and the checks of them.

Corrected gaps take the place of the plan's gaps; beside them stands what the automatic labels alone say.

Not here: where scores and labels come from (scores.py, formats/table.py), the formulas (correction/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

import polars as pl

from servicegap.correction.annotator_errors import errors_of_sample, rogan_gladen_of_sample
from servicegap.correction.corpus import corpus_gaps_of_sample, corpus_rates_of_sample
from servicegap.correction.corrected_cells import CorrectedCells
from servicegap.correction.human_sample import YES, HumanSample, human_sample
from servicegap.correction.sampled import (
    cells_of_sample,
    contrasts_of_sample,
    gaps_of_sample,
    rates_of_sample,
    ratio_of_sample,
)
from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.ratios import Kind
from servicegap.records import Estimate
from servicegap.study import AnalysisPlan


class _Told(TypedDict):
    level: float
    outcome_name: str


RATIOS: tuple[Kind, ...] = ("four_fifths", "ratio", "odds_ratio")


@dataclass(frozen=True, slots=True)
class Scored:
    """Some responses of one run, for one outcome.

    Attributes
    ----------
    sample : HumanSample
        Scores and labels.
    cells : CorrectedCells
        What stands for people's labels, name by template, with the parts of the templates.
    automatic : Cells
        The annotator's yes or no alone.
    """

    sample: HumanSample
    cells: CorrectedCells
    automatic: Cells

    def correctable(self, reference: str) -> bool:
        """Whether the reference and another group have labels to correct by."""
        fit = [group for group in self.sample.groups if self.sample.obstacle(group) is None]
        return reference in fit and len(fit) > 1


def scored(
    rows: pl.DataFrame, score: pl.Series, label: pl.Series, part: pl.Series, *, cross_fitted: bool
) -> Scored:
    """Read scores and labels of responses.

    Parameters
    ----------
    rows : polars.DataFrame
        ``group, signal, template, chance`` and, for out-of-fold scores, ``fold``.
    score, label : polars.Series
        The annotator's probability of the outcome; people's 0 or 1.
    part : polars.Series
        The part of the study that each response's template belongs to.
    cross_fitted : bool
        Whether the scores are out of fold.

    Raises
    ------
    DataError
        Columns that cannot be used.
    """
    group, signal, template = rows["group"], rows["signal"], rows["template"]
    fold = rows["fold"] if cross_fitted else None
    sample = human_sample(score, label, rows["chance"], group, template, fold=fold)
    cells = cells_of_sample(sample, group, signal, template, part=part)
    automatic = aggregate(score >= YES, group, signal, template, part=part)
    return Scored(sample, cells, automatic)


def corrected_rates_and_gaps(
    found: Scored, plan: AnalysisPlan, outcome: str, weights: Mapping[str, float] | None
) -> list[Estimate]:
    """Return corrected rates and gaps, and the gaps by the automatic labels alone (kind `automatic_gap`)."""
    told = _Told(level=plan.level, outcome_name=outcome)
    rates = rates_of_sample(found.sample, found.cells, weights=weights, **told)
    gaps = gaps_of_sample(found.sample, found.cells, plan.reference, weights=weights, **told)
    alone = gaps_of(found.automatic, reference=plan.reference, weights=weights, **told)
    return [
        *rates.values(),
        *gaps.values(),
        *(replace(e, kind="automatic_gap", labels="automatic-uncorrected") for e in alone.values()),
    ]


def corrected_contrasts(
    found: Scored, plan: AnalysisPlan, outcome: str, minuend: str, subtrahend: str
) -> list[Estimate]:
    """Return how much larger corrected gaps are on one part of the templates than on another."""
    told = _Told(level=plan.level, outcome_name=outcome)
    contrasts = contrasts_of_sample(found.sample, found.cells, plan.reference, minuend, subtrahend, **told)
    return list(contrasts.values())


def beside_the_correction(found: Scored, plan: AnalysisPlan, outcome: str) -> Iterator[Estimate]:
    """Yield ratios, the figures of this corpus alone, how often the annotator errs, and the cross-check."""
    told = _Told(level=plan.level, outcome_name=outcome)
    for group in found.sample.groups:
        for kind in RATIOS:
            if group != plan.reference:
                yield ratio_of_sample(found.sample, found.cells, group, plan.reference, kind, **told)
    for rate in corpus_rates_of_sample(found.sample, **told).values():
        yield replace(rate, kind="corpus_rate")
    for gap in corpus_gaps_of_sample(found.sample, plan.reference, **told).values():
        yield replace(gap, kind="corpus_gap")
    yield from errors_of_sample(found.sample, **told)
    yield from rogan_gladen_of_sample(found.sample, **told).values()
