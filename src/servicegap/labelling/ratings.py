"""People's live labels as a table, for the measures of agreement."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from servicegap.labelling.composition import compose
from servicegap.labelling.consensus import live
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, PEOPLE, PROMPTS, RESPONSES, ROUND_ITEMS, SIGNALS

_SCHEMA = {
    "annotator": pl.String,
    "response": pl.String,
    "template": pl.String,
    "group": pl.String,
    "round": pl.Int64,
    "background": pl.String,
    "category": pl.String,
    "pass": pl.String,
}


def read_ratings(study: Study, store: Store) -> pl.DataFrame:
    """Return who gave which response which label.

    Labels that were superseded, skips and answers to silent gold are left out.

    Returns
    -------
    polars.DataFrame
        ``annotator, response, template, group, round, background, category, pass``. Rows of pass ``whole``
        hold one of the six categories, composed where one person gave both passes; those of ``quality`` and
        ``harm`` hold what was given there (``none``, ``stated``, ``implied`` for harm). ``group`` is null for
        the control, ``background`` where the person told nothing.
    """
    silent = sa.exists().where(
        ROUND_ITEMS.c.round == ANNOTATIONS.c.round,
        ROUND_ITEMS.c.response == ANNOTATIONS.c.response,
        ROUND_ITEMS.c.silent_gold.is_not(None),
    )
    labels = sa.select(ANNOTATIONS).where(ANNOTATIONS.c.kind == "human", ~silent).order_by(ANNOTATIONS.c.id)
    abouts = (
        sa.select(RESPONSES.c.id, PROMPTS.c.template, SIGNALS.c.group)
        .distinct()
        .join(PROMPTS, PROMPTS.c.id == RESPONSES.c.prompt)
        .join(SIGNALS, SIGNALS.c.text == PROMPTS.c.signal)
        # Of what people saw alone: they label thousands of responses where machines label millions.
        .where(RESPONSES.c.id.in_(sa.select(ANNOTATIONS.c.response).where(ANNOTATIONS.c.kind == "human")))
    )
    people = sa.select(PEOPLE.c.name, PEOPLE.c.background)
    with store.reading() as connection:
        rows = live(connection.execute(labels).all())
        about = {row.id: (row.template, row.group) for row in connection.execute(abouts)}
        background = {row.name: row.background for row in connection.execute(people)}
    given: dict[tuple[int, str, str], dict[str, str]] = {}
    for row in rows:
        pass_ = row._mapping["pass"]
        label = row.harm if pass_ == "harm" else row.category
        if label is not None and row.response in about:
            given.setdefault((row.round, row.response, row.annotator), {})[pass_] = label
    table = [
        (annotator, response, *about[response], number, background.get(annotator), label, pass_)
        for (number, response, annotator), passes in given.items()
        for pass_, label in _with_whole(passes).items()
    ]
    return pl.DataFrame(table, schema=_SCHEMA, orient="row")


def _with_whole(passes: dict[str, str]) -> dict[str, str]:
    if "quality" in passes and "harm" in passes:
        return {**passes, "whole": compose(passes["quality"], passes["harm"])}  # type: ignore[arg-type]  # as kept
    return passes
