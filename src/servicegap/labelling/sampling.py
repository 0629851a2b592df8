"""Which responses people are asked about, and with what chance each could have been.

The chance is what correction weighs a label by; so it is kept for every response, drawn or not.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from servicegap.records import CONTROL
from servicegap.study import SamplePlan

#: The stratum of plans without strata.
ONE_STRATUM = "all"
_NO_LABEL = "no label"


def draw(responses: pl.DataFrame, plan: SamplePlan, rng: np.random.Generator) -> pl.DataFrame:
    """Draw the responses that people label.

    Parameters
    ----------
    responses : polars.DataFrame
        All that can be drawn, each once: ``response``, ``group`` (null = the control), ``automatic`` (the
        automatic label, null = none).
    plan : SamplePlan
        All; each with the same chance, independently; or a number of each group x automatic label, drawn
        without replacement.
    rng : numpy.random.Generator

    Returns
    -------
    polars.DataFrame
        One row for each response, sorted by it: ``response, stratum, probability`` (0 to 1, the chance that
        it would be drawn) and ``drawn``. The order of the input does not matter.
    """
    table = responses.sort("response")
    if plan.kind == "stratified":
        return _stratified(table, plan.per_stratum, rng)
    chance = 1.0 if plan.kind == "all" else plan.fraction
    return table.select(
        "response",
        stratum=pl.lit(ONE_STRATUM),
        probability=pl.lit(chance),
        drawn=pl.Series(rng.random(len(table)) < chance, dtype=pl.Boolean),
    )


def _stratified(table: pl.DataFrame, wanted: int, rng: np.random.Generator) -> pl.DataFrame:
    named = table.with_columns(
        stratum=pl.concat_str(
            pl.col("group").fill_null(CONTROL), pl.col("automatic").fill_null(_NO_LABEL), separator=" / "
        ),
        lot=pl.Series(rng.random(len(table)), dtype=pl.Float64),
    )
    size = pl.len().over("stratum")
    return named.select(
        "response",
        "stratum",
        # The least lots of a stratum: each set of so many is equally likely.
        probability=pl.min_horizontal(pl.lit(1.0), wanted / size),
        drawn=pl.col("lot").rank("ordinal").over("stratum") <= wanted,
    )
