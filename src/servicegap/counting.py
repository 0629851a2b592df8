"""The labelled responses of a study, counted while they are read: for analyses that need no single response.

Reading ten million rows one by one, to count them afterwards, takes minutes; here the database joins each
response with the label that counts, and equal rows are counted as they come.

Not here: which label counts (labels.py says it; the same order is kept here), responses one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from servicegap.labels import PRECEDENCE
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, PROMPTS, RESPONSES, SIGNALS, TEMPLATES

#: Pages of the database that are kept at hand while it is read (KiB).
_CACHE = 200_000
#: Bytes of a SQLite file that are read through memory, without a call to the system for each page.
_MAPPED = 64 * 2**30


def counted_responses(study: Study, store: Store) -> pl.DataFrame:
    """Return the rows of :func:`servicegap.labels.labelled_responses` without what tells them apart.

    Returns
    -------
    polars.DataFrame
        One row a response: ``model, condition, template, signal, group, gender, commonness, target,
        error_kind, category, annotator, kind, annotator_version``, in no order.
    """
    own = ANNOTATIONS.alias("own")
    label = sa.and_(own.c.response == RESPONSES.c.id, own.c.kind != "human", *_counts(store, own))
    query = (
        sa.select(
            RESPONSES.c.model, RESPONSES.c.settings, RESPONSES.c.prompt, RESPONSES.c.error_kind,
            own.c.category, own.c.annotator, own.c.kind, own.c.version, GOLD_LABELS.c.category,
            GOLD_LABELS.c.source,
        )
        .select_from(
            RESPONSES.outerjoin(own, label).outerjoin(GOLD_LABELS, GOLD_LABELS.c.response == RESPONSES.c.id)
        )
        .where(*planned(study), *latest(store))
    )  # fmt: skip
    found = count_rows(store, query)
    names = {condition.record().settings: condition.id for condition in study.plan.conditions}
    rows = [
        (model, names[settings], prompt, error, *(_gold(gold, source) if gold else label), n)
        for (model, settings, prompt, error, *label, gold, source), n in found.items()
    ]
    columns = ("model", "condition", "prompt", "error_kind", "category", "annotator", "kind")
    schema: dict[str, type[pl.DataType]] = dict.fromkeys((*columns, "annotator_version"), pl.String)
    frame = pl.DataFrame(rows, schema=schema | {"n": pl.Int64}, orient="row")
    frame = frame.join(prompts(store), on="prompt").drop("prompt")
    # Few different words stand in many rows: as categories they cost 4 bytes a row.
    frame = frame.with_columns(pl.col(pl.String).exclude("target").cast(pl.Categorical))
    return frame.drop("n")[np.repeat(np.arange(frame.height), frame["n"].to_numpy())]


def _gold(category: str, source: str) -> tuple[str, str, str, None]:
    return category, source, "human", None


def _counts(store: Store, own: Any) -> list[sa.ColumnElement[bool]]:
    """Return what an annotation must be for its label to count before all others of its response."""
    with store.reading() as connection:
        each = sa.select(sa.func.count(), sa.func.count(ANNOTATIONS.c.response.distinct()))
        annotations, responses = connection.execute(each).one()
    if annotations == responses:
        # One for each response, as in most large studies: looking for a better one would double the time.
        return []
    better, newer = ANNOTATIONS.alias("better"), ANNOTATIONS.alias("newer")
    superseded = sa.exists().where(newer.c.response == better.c.response, newer.c.supersedes == better.c.id)
    sooner = sa.or_(_rank(better) < _rank(own), sa.and_(_rank(better) == _rank(own), better.c.id > own.c.id))
    beats = sa.and_(better.c.id != own.c.id, better.c.kind != "human", sooner, ~superseded)
    found = sa.exists().where(
        better.c.response == own.c.response, sa.or_(better.c.supersedes == own.c.id, beats)
    )
    return [~found]


def _rank(table: Any) -> sa.ColumnElement[int]:
    return sa.case(PRECEDENCE, value=table.c.kind, else_=len(PRECEDENCE) + 1)


def latest(store: Store) -> list[sa.ColumnElement[bool]]:
    """Return what a response must be to be the last attempt at its call."""
    with store.reading() as connection:
        again = sa.select(RESPONSES.c.id).where(RESPONSES.c.attempt > 1).limit(1)
        if connection.execute(again).first() is None:
            return []
    later = RESPONSES.alias("later")
    return [~sa.exists().where(later.c.id == RESPONSES.c.id, later.c.attempt > RESPONSES.c.attempt)]


def planned(study: Study) -> tuple[sa.ColumnElement[bool], ...]:
    """Return what is asked of responses to be those of the plan."""
    return (
        RESPONSES.c.model.in_([model.id for model in study.plan.models]),
        RESPONSES.c.settings.in_([condition.record().settings for condition in study.plan.conditions]),
        RESPONSES.c.sample < study.plan.samples,
    )


def count_rows(store: Store, query: sa.Select[Any]) -> Counter[Any]:
    """Return how often each row comes up in a query."""
    with store.reading() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA cache_size=-{_CACHE}")
            connection.exec_driver_sql(f"PRAGMA mmap_size={_MAPPED}")
        # Straight from the driver: a row object of its own for each would take three times as long.
        rows: Any = connection.execute(query).cursor
        return Counter(map(tuple, rows))


def prompts(store: Store) -> pl.DataFrame:
    """Return ``prompt, template, signal, group, gender, commonness, target`` of every prompt."""
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
