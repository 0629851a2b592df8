"""The responses of each model under each condition, on the primary templates, counted.

Primary templates are those that carry a stereotype; where none does, all of them. The no-signal control is
left out: no gap is about it.

Not here: what is estimated from the counts.
"""

from __future__ import annotations

import polars as pl

from servicegap.disparity.categories import CategoryCells, count_categories


def primary_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the responses about a group, on the templates that planned gaps are about.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a response, as :func:`servicegap.labels.labelled_responses` gives.
    """
    named = frame.filter(pl.col("group").is_not_null())
    targeted = named.filter(pl.col("target").is_not_null())
    return targeted if targeted.height else named


def primary_runs(frame: pl.DataFrame) -> dict[tuple[str, str], CategoryCells]:
    """Count the primary responses of every run, by name, template and category.

    Parameters
    ----------
    frame : polars.DataFrame
        As in :func:`primary_rows`.

    Returns
    -------
    dict of (model, condition) to CategoryCells
        In order of model and condition; runs without a response about a group are absent.
    """
    runs = {}
    for (model, condition), part in frame.group_by("model", "condition"):
        rows = primary_rows(part)
        if rows.height:
            counted = count_categories(rows["category"], rows["group"], rows["signal"], rows["template"])
            runs[str(model), str(condition)] = counted
    return dict(sorted(runs.items()))
