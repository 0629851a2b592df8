"""The responses of each model under each condition, counted; and the part that planned gaps are about.

Primary templates are those that carry a stereotype; where none does (somebody's own table, say), all of
them. The no-signal control is left out: no gap is about it.

Not here: what is estimated from the counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from servicegap.disparity.categories import CategoryCells, count_categories

#: The part of a template without a stereotype; that of any other template is its target.
NEUTRAL = "neutral"


def by_run(frame: pl.DataFrame) -> Iterator[tuple[str | None, str | None, pl.DataFrame]]:
    """Yield each model and condition with its rows, in their order."""
    runs = frame.select("model", "condition").unique().cast(pl.String).sort("model", "condition")
    for model, condition in runs.rows():
        yield (
            model,
            condition,
            frame.filter(
                pl.col("model").eq_missing(pl.lit(model)) & pl.col("condition").eq_missing(pl.lit(condition))
            ),
        )


def primary_rows(named: pl.DataFrame) -> pl.DataFrame:
    """Return the rows on the primary templates."""
    targeted = named.filter(pl.col("target").is_not_null())
    return targeted if targeted.height else named


def count_run(rows: pl.DataFrame) -> CategoryCells:
    """Count the responses of one run by name, template and category.

    Parameters
    ----------
    rows : polars.DataFrame
        Responses about a group: ``group, signal, template, target, category``, and where known ``gender,
        commonness``.

    Returns
    -------
    CategoryCells
        ``cells.part`` is the target of each template, NEUTRAL where it has none; ``cells.attributes`` what
        is known of each name.
    """
    known = [
        name
        for name in ("gender", "commonness")
        if name in rows.columns and rows[name].null_count() < rows.height
    ]
    return count_categories(
        rows["category"],
        rows["group"],
        rows["signal"],
        rows["template"],
        strata={name: rows[name] for name in known},
        part=rows["target"].fill_null(NEUTRAL),
    )


def on_templates(counted: CategoryCells, wanted: Sequence[bool]) -> CategoryCells:
    """Return the counts on some of the templates, one True or False for each."""
    columns = np.flatnonzero(wanted)
    return replace(counted, cells=counted.cells.take(columns=columns), counts=counted.counts[:, columns])


def primary_part(counted: CategoryCells) -> CategoryCells:
    """Return the counts on the primary templates."""
    targeted = [part != NEUTRAL for part in counted.cells.part or ()]
    return on_templates(counted, targeted) if any(targeted) else counted


def primary_runs(frame: pl.DataFrame) -> dict[tuple[str, str], CategoryCells]:
    """Count the primary responses of every run.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a response, as :func:`servicegap.labels.labelled_responses` gives.

    Returns
    -------
    dict of (model, condition) to CategoryCells
        In order of model and condition; runs without a response about a group are absent.
    """
    named = frame.filter(pl.col("group").is_not_null())
    runs = {
        (str(model), str(condition)): primary_part(count_run(rows))
        for (model, condition), rows in named.group_by("model", "condition")
    }
    return dict(sorted(runs.items()))
