"""The responses that people can be asked about: in the plan, with a text, not blocked by the provider."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from servicegap.errors import DataError
from servicegap.labels import labelled_responses, planned_scores
from servicegap.store import Store, latest_responses
from servicegap.study import Study
from servicegap.templates.checks import flagged_words


def read_population(study: Study, store: Store) -> pl.DataFrame:
    """Return what can be drawn.

    Returns
    -------
    polars.DataFrame
        ``response, template, group`` (null = the control), ``automatic`` (the category that an automatic
        annotator gave, null = none) and ``flagged`` (whether the lexicon lists a word of the text, so that
        pages fold it).

    Raises
    ------
    DataError
        If there is none.
    """
    planned = labelled_responses(study, store).select("response", "template", "group")
    automatic = planned_scores(study, store).unique("response", keep="first", maintain_order=True)
    found = (
        planned.join(_texts(store), on="response", how="inner")
        .join(automatic.select("response", automatic="category"), on="response", how="left")
        .sort("response")
    )
    if found.is_empty():
        raise DataError(
            f"{study.folder}: no response with a text to label; ask the models first: "
            f"servicegap collect {study.folder}"
        )
    return found


def _texts(store: Store) -> pl.DataFrame:
    latest = latest_responses()
    query = sa.select(latest.c.id, latest.c.text).where(
        latest.c.text.is_not(None),
        latest.c.text != "",
        sa.func.coalesce(latest.c.error_kind, "") != "content_filter",
    )
    with store.reading() as connection:
        rows = [(row.id, bool(flagged_words(row.text))) for row in connection.execute(query)]
    return pl.DataFrame(rows, schema={"response": pl.String, "flagged": pl.Boolean}, orient="row")
