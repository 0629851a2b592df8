"""What people say about a study's responses, beside the texts: what annotators learn from and are checked by.

Gold labels first; labels that came with an import where there is none. Not here: automatic labels.
"""

from __future__ import annotations

from typing import Literal

import polars as pl
import sqlalchemy as sa

from servicegap.annotators import SignalMask
from servicegap.labels import labelled_responses, people_labels
from servicegap.store import Store, latest_responses
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, PROMPTS, SIGNALS

#: ``gold``: what people settled on in this study; ``imported``: labels that came with the responses, too.
WhichLabels = Literal["gold", "imported"]


def read_texts(study: Study, store: Store) -> pl.DataFrame:
    """Return the responses that an annotator can read.

    Returns
    -------
    polars.DataFrame
        ``response, model, condition, template, signal, group, target, prompt, text`` (not masked); answers
        without a text, and what a provider blocked, are left out. Sorted by response.
    """
    latest = latest_responses()
    query = (
        sa.select(latest.c.id, PROMPTS.c.text.label("prompt"), latest.c.text)
        .join(PROMPTS, PROMPTS.c.id == latest.c.prompt)
        .where(latest.c.text.is_not(None), sa.func.coalesce(latest.c.error_kind, "") != "content_filter")
    )
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    texts = pl.DataFrame(rows, schema=dict.fromkeys(("response", "prompt", "text"), pl.String), orient="row")
    known = labelled_responses(study, store).select(
        "response", "model", "condition", "template", "signal", "group", "target"
    )
    return known.join(texts, on="response", how="inner").sort("response")


def read_people(store: Store, labels: WhichLabels) -> pl.DataFrame:
    """Return people's categories.

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
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    imported = (
        pl.DataFrame(rows, schema=dict.fromkeys(("response", "people"), pl.String), orient="row")
        .unique("response", keep="last")
        .join(gold, on="response", how="anti")
        .with_columns(source=pl.lit("imported"), chance=pl.lit(None, dtype=pl.Float64))
    )
    return pl.concat([gold, imported.select(gold.columns)]).sort("response")


def read_mask(store: Store) -> SignalMask:
    """Return the mask of a study's signals."""
    with store.reading() as connection:
        signals = connection.execute(sa.select(SIGNALS.c.text).where(SIGNALS.c.group.is_not(None)))
        return SignalMask(signals.scalars().all())
