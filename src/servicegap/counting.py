"""The responses of a plan in the database: which they are, counting them, and what their prompts are about.

Not here: their labels (given.py, labels.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import PROMPTS, RESPONSES, SIGNALS, TEMPLATES

if TYPE_CHECKING:
    import polars as pl


def latest(store: Store) -> list[sa.ColumnElement[bool]]:
    """Return what a response must be to be the last attempt at its call."""
    with store.reading() as connection:
        again = sa.select(RESPONSES.c.id).where(RESPONSES.c.attempt > 1).limit(1)
        if connection.execute(again).first() is None:
            return []
    later = RESPONSES.alias("later")
    return [~sa.exists().where(later.c.id == RESPONSES.c.id, later.c.attempt > RESPONSES.c.attempt)]


def planned(study: Study, responses: sa.FromClause = RESPONSES) -> tuple[sa.ColumnElement[bool], ...]:
    """Return what is asked of responses, the table or a query of it, to be those of the plan."""
    return (
        responses.c.model.in_([model.id for model in study.plan.models]),
        responses.c.settings.in_([condition.record().settings for condition in study.plan.conditions]),
        responses.c.sample < study.plan.samples,
    )


def count_rows(store: Store, query: sa.Select[Any]) -> Counter[Any]:
    """Return how often each row comes up in a query."""
    with store.reading() as connection:
        # Straight from the driver: a row object of its own for each would take three times as long.
        rows: Any = connection.execute(query).cursor
        return Counter(map(tuple, rows))


def prompts(store: Store) -> pl.DataFrame:
    """Return ``prompt, template, signal, group, gender, commonness, target`` of every prompt."""
    # Imported here, as `annotate` asks this module only which responses are planned: a fifth of a second.
    import polars as pl  # noqa: PLC0415

    query = (
        sa.select(
            PROMPTS.c.id, PROMPTS.c.template, PROMPTS.c.signal, SIGNALS.c.group, SIGNALS.c.gender,
            SIGNALS.c.commonness, TEMPLATES.c.target,
        )
        .join(SIGNALS, SIGNALS.c.text == PROMPTS.c.signal)
        .join(TEMPLATES, TEMPLATES.c.id == PROMPTS.c.template)
    )  # fmt: skip
    with store.reading() as connection:
        rows: Sequence[Any] = connection.execute(query).all()
    columns = ("prompt", "template", "signal", "group", "gender", "commonness", "target")
    return pl.DataFrame([tuple(row) for row in rows], schema=dict.fromkeys(columns, pl.String), orient="row")
