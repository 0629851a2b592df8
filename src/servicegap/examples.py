"""Which responses a report shows: a few of each category, spread over groups, always the same ones."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import sqlalchemy as sa

from servicegap.labels import labelled_responses
from servicegap.report.example import Example
from servicegap.store import Store, latest_responses
from servicegap.study import Study
from servicegap.tables import PROMPTS

PER_CATEGORY = 4


def read_examples(study: Study, store: Store, per_category: int = PER_CATEGORY) -> list[Example]:
    """Return some responses of each category, model and condition, each of another group where possible."""
    frame = labelled_responses(study, store).filter(pl.col("category").is_not_null())
    chosen = (
        # Identifiers are hashes: their order is as good as chance, and the same every time.
        frame.sort("response")
        .with_columns(turn=pl.int_range(pl.len()).over("model", "condition", "category", "group"))
        .sort("model", "condition", "category", "turn", "response")
        .group_by("model", "condition", "category", maintain_order=True)
        .head(per_category)
    )
    texts = _texts(store, chosen["response"].to_list())
    return [
        Example(
            model=row["model"],
            condition=row["condition"],
            template=row["template"],
            signal=row["signal"],
            group=row["group"],
            prompt=texts[row["response"]][0],
            response=texts[row["response"]][1],
            category=row["category"],
            annotator=row["annotator"],
            flags=row["error_kind"],
        )
        for row in chosen.iter_rows(named=True)
    ]


def _texts(store: Store, responses: Sequence[str]) -> dict[str, tuple[str, str]]:
    latest = latest_responses()
    query = (
        sa.select(latest.c.id, PROMPTS.c.text.label("prompt"), latest.c.text)
        .join(PROMPTS, PROMPTS.c.id == latest.c.prompt)
        .where(latest.c.id.in_(responses))
    )
    with store.reading() as connection:
        return {row.id: (row.prompt, row.text or "") for row in connection.execute(query)}
