"""What people say about a study's responses, beside the texts: what annotators learn from and are checked by.

Gold labels first; labels that came with an import where there is none. Not here: automatic labels.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
import sqlalchemy as sa

from servicegap.counting import latest, planned
from servicegap.labels import people_labels
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, PROMPTS, RESPONSES, SIGNALS

#: ``gold``: what people settled on in this study; ``imported``: labels that came with the responses, too.
WhichLabels = Literal["gold", "imported"]
#: A query of responses.
Responses = sa.Select[tuple[str]]


def read_texts(study: Study, store: Store, among: Responses | None = None) -> pl.DataFrame:
    """Return the responses that an annotator can read.

    Parameters
    ----------
    study : Study
    store : Store
    among : Select, optional
        A query of responses: only these. All that the plan asks for, without it.

    Returns
    -------
    polars.DataFrame
        ``response, template, signal, group, prompt, text`` (not masked); answers without a text, and what a
        provider blocked, are left out. Sorted by response.
    """
    query = (
        sa.select(
            RESPONSES.c.id,
            PROMPTS.c.template,
            PROMPTS.c.signal,
            SIGNALS.c.group,
            PROMPTS.c.text.label("prompt"),
            RESPONSES.c.text,
        )
        .join(PROMPTS, PROMPTS.c.id == RESPONSES.c.prompt)
        .join(SIGNALS, SIGNALS.c.text == PROMPTS.c.signal)
        .where(*planned(study), *latest(store), *readable())
        .order_by(RESPONSES.c.id)
    )
    if among is not None:
        query = query.where(RESPONSES.c.id.in_(among))
    columns = ("response", "template", "signal", "group", "prompt", "text")
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


def readable() -> tuple[sa.ColumnElement[bool], ...]:
    """Return what is asked of responses so that an annotator reads them."""
    return (
        RESPONSES.c.text.is_not(None),
        sa.func.coalesce(RESPONSES.c.error_kind, "") != "content_filter",
    )


def read_people(store: Store, labels: WhichLabels, among: Responses | None = None) -> pl.DataFrame:
    """Return people's categories; imported ones of the responses `among` alone, where it is given.

    Returns
    -------
    polars.DataFrame
        ``response, people, source`` (how a gold label came about, or ``imported``) and ``chance`` of being
        asked (0 to 1; null = not drawn by chance). Sorted by response.
    """
    gold = people_labels(store).select(
        "response", "source", people="category", chance=pl.col("probability").cast(pl.Float64)
    )
    if labels == "gold":
        return gold.sort("response")
    superseded = sa.select(ANNOTATIONS.c.supersedes).where(ANNOTATIONS.c.supersedes.is_not(None))
    query = (
        sa.select(ANNOTATIONS.c.response, ANNOTATIONS.c.category)
        .where(
            ANNOTATIONS.c.kind == "imported",
            ANNOTATIONS.c.category.is_not(None),
            ANNOTATIONS.c.id.not_in(superseded),
        )
        .order_by(ANNOTATIONS.c.id)
    )
    if among is not None:
        query = query.where(ANNOTATIONS.c.response.in_(among))
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    imported = (
        pl.DataFrame(rows, schema=dict.fromkeys(("response", "people"), pl.String), orient="row")
        .unique("response", keep="last")
        .join(gold, on="response", how="anti")
        .with_columns(source=pl.lit("imported"), chance=pl.lit(None, dtype=pl.Float64))
    )
    return pl.concat([gold, imported.select(gold.columns)]).sort("response")
