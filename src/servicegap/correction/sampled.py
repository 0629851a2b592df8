"""Corrected figures for new names and templates from a sample that is already read.

The functions of arrays in correction/ read the columns anew for every figure; these take them read, so that
all figures of a study come from one sample and one summing up.

Not here: the intervals (corrected_cells.py), figures of this corpus alone (corpus.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from servicegap.correction.corrected_cells import (
    CorrectedCells,
    gaps_of_corrected,
    rates_of_corrected,
    ratio_of_corrected,
)
from servicegap.correction.human_sample import HumanSample
from servicegap.correction.prediction_powered import correct, described
from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.columns import Column
from servicegap.disparity.comparison import contrasts_of
from servicegap.disparity.ratios import Kind
from servicegap.records import Estimate


def cells_of_sample(
    sample: HumanSample, group: Column, signal: Column, template: Column, *, part: Column | None = None
) -> CorrectedCells:
    """Sum up what stands for people's labels, name by template.

    Parameters
    ----------
    sample : HumanSample
        Scores and labels.
    group, signal, template, part : one-dimensional, length n
        As in ``disparity.cells.aggregate``, in the order of the sample.
    """
    corrected = correct(sample)
    return CorrectedCells(
        filled=_proportions(aggregate(corrected.outcome, group, signal, template, part=part)),
        powered=_proportions(aggregate(corrected.powered, group, signal, template, part=part)),
        shares=corrected.proportions,
    )


def rates_of_sample(
    sample: HumanSample,
    cells: CorrectedCells,
    *,
    level: float,
    outcome_name: str,
    weights: Mapping[str, float] | None = None,
) -> dict[str, Estimate]:
    """Estimate each group's rate, as ``correction.corrected_rates``; `weights` as in ``gaps_of``."""
    found = rates_of_corrected(cells, level, outcome_name, weights)
    return {name: described(rate, sample, [name], rate.method or "") for name, rate in found.items()}


def gaps_of_sample(
    sample: HumanSample,
    cells: CorrectedCells,
    reference: str,
    *,
    level: float,
    outcome_name: str,
    weights: Mapping[str, float] | None = None,
) -> dict[str, Estimate]:
    """Estimate each group's gap, as ``correction.corrected_gaps``; `weights` as in ``gaps_of``."""
    found = gaps_of_corrected(cells, reference, level, outcome_name, weights)
    return {name: described(gap, sample, [name, reference], gap.method or "") for name, gap in found.items()}


def ratio_of_sample(
    sample: HumanSample,
    cells: CorrectedCells,
    group: str,
    reference: str,
    kind: Kind,
    *,
    level: float,
    outcome_name: str,
) -> Estimate:
    """Estimate a ratio of two groups' rates, as ``correction.corrected_ratio``."""
    found = ratio_of_corrected(cells, group, reference, kind, level, outcome_name)
    return described(found, sample, [group, reference], found.method or "")


def contrasts_of_sample(
    sample: HumanSample,
    cells: CorrectedCells,
    reference: str,
    minuend: str,
    subtrahend: str,
    *,
    level: float,
    outcome_name: str,
) -> dict[str, Estimate]:
    """Estimate how much larger corrected gaps are on one part of the templates than on another.

    Returns
    -------
    dict of str to Estimate
        Kind ``contrast``, from pseudo-outcomes. Undefined where a group has too few disagreements of people
        and annotator: their variance is then not known, and post-stratified shares are not known by part.
    """
    found = contrasts_of(
        cells.powered,
        reference=reference,
        minuend=minuend,
        subtrahend=subtrahend,
        level=level,
        outcome_name=outcome_name,
    )
    return {
        name: described(
            _unless_few(contrast, sample, [name, reference]),
            sample,
            [name, reference],
            contrast.method or "",
        )
        for name, contrast in found.items()
    }


def _unless_few(contrast: Estimate, sample: HumanSample, groups: Sequence[str]) -> Estimate:
    few = [group for group in groups if sample.few_disagreements(group)]
    if not few:
        return contrast
    note = (
        f"people and annotator disagree too rarely on responses of {' and '.join(few)}: what the errors add "
        "to a difference of gaps is not known"
    )
    return replace(contrast, value=None, low=None, high=None, se=None, df=None, p=None, note=note)


def _proportions(cells: Cells) -> Cells:
    """Say that the means are proportions, though single pseudo-outcomes lie outside 0 to 1."""
    return cells if cells.scale == "yes/no" else replace(cells, scale="proportion")
