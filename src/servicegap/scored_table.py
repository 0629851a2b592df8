"""A table of automatic scores and people's labels -> every corrected estimate of its one outcome.

Not here: reading the table (formats/table.py), studies (estimates.py).
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from servicegap.corrected import beside_the_correction, corrected_rates_and_gaps, scored
from servicegap.disparity.equivalence import equivalence
from servicegap.disparity.multiplicity import simultaneous
from servicegap.estimates import Estimated, check_groups
from servicegap.families import adjusted
from servicegap.runs import NEUTRAL, by_run, primary_rows
from servicegap.study import AnalysisPlan


def estimate_scored(frame: pl.DataFrame, plan: AnalysisPlan, outcome: str) -> Estimated:
    """Return every estimate of a table of scores and people's labels, model by model.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a response: ``model, condition, group, signal, template, target, score, human, chance`` and,
        for out-of-fold scores, ``fold``.
    plan : AnalysisPlan
        Reference, level, margin, weights and family; the outcome is the one that was scored.
    outcome : str
        What it is called.

    Raises
    ------
    DataError
        Columns that cannot be used; the reference or another group missing.
    """
    check_groups(frame, plan.reference)
    found = Estimated([], [], [])
    for model, condition, rows in by_run(frame):
        named = primary_rows(rows.filter(pl.col("group").is_not_null()))
        part = named["target"].fill_null(NEUTRAL)
        judged = scored(named, named["score"], named["human"], part, cross_fitted="fold" in frame.columns)
        made = corrected_rates_and_gaps(judged, plan, outcome, plan.shares)
        made = [replace(e, planned=e.kind == "gap" and plan.in_family(e.group)) for e in made]
        planned = [e for e in made if e.planned]
        made += simultaneous(planned)
        if plan.margin is not None:
            made += [equivalence(gap, plan.margin) for gap in planned]
        made += beside_the_correction(judged, plan, outcome)
        found.estimates.extend(replace(e, model=model, condition=condition) for e in adjusted(made))
        found.doubts.extend(f"{model}: {text}" if model else text for text in judged.sample.warnings())
    return found
