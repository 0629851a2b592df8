"""Rounds of labelling: what is asked, under which codebook, with what chance.

A round is closed by the next one, which a changed codebook opens too, or by the lead, who then opens the next
one when there is to be one; labels of earlier rounds stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from servicegap.codebook import codebook_of
from servicegap.errors import DataError
from servicegap.labelling.consensus import settle_round
from servicegap.labelling.order import shuffled
from servicegap.labelling.population import read_population
from servicegap.labelling.sampling import ONE_STRATUM, draw
from servicegap.labelling.silent_gold import place_silent_gold
from servicegap.labelling.turns import in_turn
from servicegap.records import Pass, content_hash
from servicegap.store import Store
from servicegap.study import LabellingPlan, Study, now
from servicegap.tables import GOLD_LABELS, PROMPTS, RESPONSES, ROUND_ITEMS, ROUNDS, SLOTS

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Round:
    """One round; ``closed`` is when the lead ended it or the next one was opened, None = it is open."""

    id: int
    codebook_hash: str
    plan: LabellingPlan
    seed: int
    created: str
    closed: str | None

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The passes in their order: all at once, or first how good the answer is, then whether it harms."""
        return ("quality", "harm") if self.plan.mask_signals else ("whole",)


def stamp(at: float) -> str:
    """Return a time (seconds since 1970) as the tables write it.

    Examples
    --------
    >>> stamp(0.0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def current_round(store: Store) -> Round | None:
    """Return the round that is open, None before the first and where the lead ended the last."""
    with store.reading() as connection:
        return read_current_round(connection)


def read_current_round(connection: Connection) -> Round | None:
    """Return the round that is open, within a transaction."""
    query = sa.select(ROUNDS).where(ROUNDS.c.closed.is_(None)).order_by(ROUNDS.c.id.desc()).limit(1)
    return _round(connection.execute(query).one_or_none())


def read_round(connection: Connection, number: int) -> Round:
    """Return a round by its number, within a transaction."""
    found = _round(connection.execute(sa.select(ROUNDS).where(ROUNDS.c.id == number)).one_or_none())
    if found is None:
        raise DataError(f"round {number}: there is no such round of labelling")
    return found


def _round(row: Row[Any] | None) -> Round | None:
    if row is None:
        return None
    fields = {**row._mapping, "plan": LabellingPlan.model_validate_json(row.plan)}
    return Round(**fields)


def ensure_round(study: Study, store: Store) -> Round:
    """Return the latest round, which may be closed.

    The first is opened here, and another where the codebook changed since. One that the lead ended stays the
    latest until they open another.
    """
    with store.reading() as connection:
        found = _latest(connection)
    if found is not None and (found.closed or found.codebook_hash == codebook_of(study).hash):
        return found
    return _open(study, store, None, study.plan.labelling, unless_there=True)


def _latest(connection: Connection) -> Round | None:
    query = sa.select(ROUNDS).order_by(ROUNDS.c.id.desc()).limit(1)
    return _round(connection.execute(query).one_or_none())


def close_round(store: Store, number: int) -> None:
    """End a round without opening another: nobody is asked anything until `open_round`.

    Raises
    ------
    DataError
        If that round is not open.
    """
    with in_turn(store) as connection:
        now_open = read_current_round(connection)
        if now_open is None or now_open.id != number:
            raise DataError(f"round {number} is not open; look at the page again: nothing was changed")
        _close(connection, now_open)


def open_round(
    study: Study,
    store: Store,
    *,
    responses: Sequence[str] | pl.DataFrame | None = None,
    plan: LabellingPlan | None = None,
) -> Round:
    """Close the current round, if one is open, and open another.

    What people settled under the same codebook is not asked again, but its chance in this round is kept, as
    `labels.people_labels` combines the chances of all rounds.

    Parameters
    ----------
    study : Study
    store : Store
    responses : sequence of str or polars.DataFrame, optional
        Which responses to ask about, instead of drawing them by the plan. A sequence: these, with chance 1. A
        table: ``response, probability`` and, where not all were drawn, ``drawn``; strata in ``stratum``.
    plan : LabellingPlan, optional
        Another plan than the study's.

    Returns
    -------
    Round

    Raises
    ------
    DataError
        If there is nothing to label, or `responses` names what is no response with a text.
    """
    return _open(study, store, responses, plan or study.plan.labelling, unless_there=False)


def _open(
    study: Study,
    store: Store,
    responses: Sequence[str] | pl.DataFrame | None,
    plan: LabellingPlan,
    *,
    unless_there: bool,
) -> Round:
    codebook = codebook_of(study)
    population = read_population(study, store)
    with in_turn(store) as connection:
        former = _latest(connection)
        if unless_there and former is not None and (former.closed or former.codebook_hash == codebook.hash):
            return former  # Another process opened or ended it meanwhile.
        number = former.id + 1 if former else 1
        seed = int(content_hash("round", str(study.plan.seed), str(number)), 16) >> 2
        if responses is None:
            drawn = draw(population, plan.sample, np.random.default_rng(seed))
        else:
            drawn = _given(responses, population)
        _close(connection, former)
        opened = Round(number, codebook.hash, plan, seed, now(), None)
        _insert(connection, opened, drawn, population)
        place_silent_gold(connection, opened.id, codebook, plan, seed)
        _count(connection)
    return opened


def _count(connection: Connection) -> None:
    """Let the database count what it searches for the next slot: it plans badly with tables just filled."""
    for table in (RESPONSES, PROMPTS, ROUND_ITEMS, SLOTS):
        connection.exec_driver_sql(f"ANALYZE {table.name}")


def _close(connection: Connection, former: Round | None) -> None:
    if former is None or former.closed:
        return
    connection.execute(sa.update(ROUNDS).where(ROUNDS.c.closed.is_(None)).values(closed=now()))
    # What only one person has looked at when a round ends, nobody else is to look at.
    settle_round(connection, former.id)


def _given(responses: Sequence[str] | pl.DataFrame, population: pl.DataFrame) -> pl.DataFrame:
    table = responses
    if not isinstance(table, pl.DataFrame):
        listed = list(dict.fromkeys(table))
        table = pl.DataFrame({"response": listed}, schema={"response": pl.String}).with_columns(
            probability=pl.lit(1.0)
        )
    unknown = table.filter(~pl.col("response").is_in(population["response"].to_list()))["response"]
    problems = [f"{response}: no response with a text in this study" for response in unknown.head(_SHOWN)]
    if len(unknown) > _SHOWN:
        problems.append(f"... and {len(unknown) - _SHOWN} more like it")
    wrong = table.filter(~pl.col("probability").is_between(0, 1))
    problems += [
        f"{row['response']}: probability {row['probability']} is not between 0 and 1"
        for row in wrong.head(_SHOWN).to_dicts()
    ]
    if problems:
        raise DataError(*problems)
    drawn = pl.col("drawn") if "drawn" in table.columns else pl.lit(True)
    stratum = pl.col("stratum") if "stratum" in table.columns else pl.lit(ONE_STRATUM)
    return table.select("response", stratum=stratum, probability="probability", drawn=drawn)


def _insert(connection: Connection, opened: Round, drawn: pl.DataFrame, population: pl.DataFrame) -> None:
    row = {name: getattr(opened, name) for name in ("id", "codebook_hash", "seed", "created", "closed")}
    connection.execute(sa.insert(ROUNDS).values(plan=opened.plan.model_dump_json(), **row))
    settled = settled_responses(connection, opened.codebook_hash)
    about = {row["response"]: row for row in population.iter_rows(named=True)}
    asked = [r for r in drawn.filter("drawn")["response"] if r not in settled]
    order = shuffled([(response, about[response]["template"]) for response in asked], opened.seed)
    batch = {response: place // opened.plan.batch for place, response in enumerate(order)}
    items = [
        {
            "round": opened.id,
            **item,
            "batch": batch.get(item["response"]),
            "folded": about[item["response"]]["flagged"],
        }
        for item in drawn.iter_rows(named=True)
    ]
    if items:
        connection.execute(sa.insert(ROUND_ITEMS), items)
    slots = [
        {
            "round": opened.id,
            "response": response,
            "pass": pass_,
            "k": k,
            "batch": batch[response],
            "done": False,
        }
        for response in order
        for pass_ in opened.passes
        for k in range(1, opened.plan.annotators + 1)
    ]
    if slots:
        connection.execute(sa.insert(SLOTS), slots)


def settled_responses(connection: Connection, codebook_hash: str) -> dict[str, str]:
    """Return response -> gold category of what people settled under a codebook."""
    query = (
        sa.select(GOLD_LABELS.c.response, GOLD_LABELS.c.category)
        .join(ROUNDS, ROUNDS.c.id == GOLD_LABELS.c.round)
        .where(ROUNDS.c.codebook_hash == codebook_hash)
    )
    return {row.response: row.category for row in connection.execute(query)}
