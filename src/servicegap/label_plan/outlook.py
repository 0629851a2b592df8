"""How wide a corrected gap will be after more labels.

Its variance is what names, templates and chance leave even if people label everything, taken from the
automatic labels, plus what correcting from a sample adds (allocation.py). Degrees of freedom are those of the
automatic gap. An outlook, not a promise: with few labels the real interval is wider, as the variance is then
estimated from few errors. Not here: the corrected interval itself (correction/).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import stdtrit

from servicegap.disparity.cells import Floats

#: With so many labels of a stratum, what they show counts as much as the annotator's own doubt.
_PRIOR_LABELS = 10.0
#: Scores between these are unsure; they make strata of their own.
UNSURE = (0.1, 0.9)
#: No stratum is taken to be surer than an annotator that is wrong once in a hundred.
_LEAST_UNCERTAINTY = 0.01


@dataclass(frozen=True, slots=True)
class PlannedGap:
    """One planned gap: its two groups' responses, and what labels cannot take away.

    Attributes
    ----------
    model, condition, group, reference : str
    rows, reference_rows : (n,) int
        Places of the responses among all.
    fixed_variance : float
        Crossed variance of the gap with every response labelled.
    df : float
    """

    model: str
    condition: str
    group: str
    reference: str
    rows: NDArray[np.int64]
    reference_rows: NDArray[np.int64]
    fixed_variance: float
    df: float

    def half_width(self, uncertainty: Floats, chance: Floats, level: float) -> float:
        """Return half the width of the interval that is expected."""
        added = sum(
            float((uncertainty[rows] * (1 - chance[rows]) / chance[rows]).sum()) / len(rows) ** 2
            for rows in (self.rows, self.reference_rows)
        )
        return float(stdtrit(self.df, (1 + level) / 2)) * sqrt(self.fixed_variance + added)

    def least_half_width(self, level: float) -> float:
        """Return half the width with every response labelled by people."""
        return float(stdtrit(self.df, (1 + level) / 2)) * sqrt(self.fixed_variance)


def strata_of(frame: pl.DataFrame, score: pl.Series) -> pl.Series:
    """Name each response's stratum: run, group, automatic label, and whether the score is unsure.

    Parameters
    ----------
    frame : polars.DataFrame
        ``model, condition, group, automatic``.
    score : polars.Series
        Probability of the primary outcome; null = the annotator abstained, which is unsure.
    """
    unsure = score.is_between(*UNSURE).fill_null(True)
    return frame.select(
        stratum=pl.concat_str(
            pl.col("model"),
            pl.col("condition"),
            pl.col("group").fill_null("no signal"),
            pl.col("automatic").fill_null("abstained"),
            pl.when(unsure).then(pl.lit("unsure")).otherwise(pl.lit("sure")),
            separator=" / ",
        )
    )["stratum"]


def uncertainty_of(score: Floats, people: Floats, stratum: pl.Series) -> Floats:
    """Return the expected squared error of each score, from its doubt and people's labels of its stratum.

    Parameters
    ----------
    score : (n,) float
        Probability of the outcome, 0 to 1.
    people : (n,) float
        0 or 1; NaN = not labelled.
    stratum : (n,) str

    Returns
    -------
    (n,) float
        The stratum's mean of f (1 - f), as if from 10 labels, put together with (Y - f)^2 of its labels.
    """
    table = pl.DataFrame(
        {
            "stratum": stratum,
            "doubt": score * (1 - score),
            "wrong": pl.Series((people - score) ** 2).fill_nan(None),
        }
    )
    wrong = pl.col("wrong").sum().over("stratum")
    labels = pl.col("wrong").count().over("stratum")
    mean = (_PRIOR_LABELS * pl.col("doubt").mean().over("stratum") + wrong) / (_PRIOR_LABELS + labels)
    found = table.select(uncertainty=mean.clip(lower_bound=_LEAST_UNCERTAINTY))["uncertainty"]
    return found.to_numpy().astype(np.float64)


def urgency_of(gaps: list[PlannedGap], uncertainty: Floats) -> Floats:
    """Return how much a label of each response takes from the planned gaps' variances, as a square root.

    A response counts 1 / N of its group, in every gap that the group takes part in.
    """
    counts = np.zeros(len(uncertainty))
    for gap in gaps:
        for rows in (gap.rows, gap.reference_rows):
            counts[rows] += 1 / len(rows) ** 2
    return np.asarray(np.sqrt(counts * uncertainty), dtype=np.float64)


def combined(former: Floats, chance: Floats) -> Floats:
    """Return the chance of being drawn at least once, by earlier rounds or by the new one."""
    return 1 - (1 - former) * (1 - chance)
