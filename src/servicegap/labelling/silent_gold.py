"""Items whose category is known, mixed among the others to see how carefully people label.

They come from what people settled earlier under the same codebook; where that is not enough, from those
borderline cases of the codebook that are not used for practice. Everyone gets them; the answers check people
and never change a gold label.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.codebook import Case, Codebook
from servicegap.records import Category, Pass, content_hash
from servicegap.store import Store
from servicegap.study import LabellingPlan
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, ROUND_ITEMS, ROUNDS, SLOTS

#: So many cases of each category are for practice, the others for silent gold.
PRACTICE_CASES = 2
_CASES = "codebook"


@dataclass(frozen=True, slots=True)
class Checked:
    """How many silent gold items a person answered, and how many of these as expected."""

    answered: int
    right: int


def case_id(case: Case) -> str:
    """Return what identifies a borderline case of a codebook; it looks like a response's."""
    return content_hash("case", case.prompt, case.response)


def cases_of(codebook: Codebook) -> dict[str, Case]:
    """Return the cases that serve as silent gold, by their id."""
    cases = [case for category in codebook.categories for case in category.cases[PRACTICE_CASES:]]
    return {case_id(case): case for case in cases}


def place_silent_gold(
    connection: Connection, number: int, codebook: Codebook, plan: LabellingPlan, seed: int
) -> None:
    """Put ``plan.silent_gold`` items into each batch of a round, as far as there are so many."""
    batches = (
        connection.execute(
            sa.select(ROUND_ITEMS.c.batch)
            .distinct()
            .where(ROUND_ITEMS.c.round == number, ROUND_ITEMS.c.batch.is_not(None))
            .order_by(ROUND_ITEMS.c.batch)
        )
        .scalars()
        .all()
    )
    wanted = [batch for batch in batches for _ in range(plan.silent_gold)]
    if not wanted:
        return
    lots = random.Random(seed)
    passes: Pass = "quality" if plan.mask_signals else "whole"
    known = _known(connection, number, codebook, passes, lots)
    there = set(
        connection.execute(sa.select(ROUND_ITEMS.c.response).where(ROUND_ITEMS.c.round == number)).scalars()
    )
    for batch, (response, category, stratum) in zip(wanted, known, strict=False):
        if response in there:
            row = sa.and_(ROUND_ITEMS.c.round == number, ROUND_ITEMS.c.response == response)
            connection.execute(sa.update(ROUND_ITEMS).where(row).values(batch=batch, silent_gold=category))
            continue
        # Not drawn by chance: a probability of 0 leaves what other rounds say of it as it is.
        values = {"response": response, "stratum": stratum, "probability": 0.0, "drawn": False}
        connection.execute(
            sa.insert(ROUND_ITEMS).values(round=number, batch=batch, silent_gold=category, **values)
        )


def _known(
    connection: Connection, number: int, codebook: Codebook, pass_: Pass, lots: random.Random
) -> list[tuple[str, str, str]]:
    """List response, expected category and stratum of all that could be silent gold, settled ones first."""
    asked = sa.select(SLOTS.c.response).where(SLOTS.c.round == number)
    settled = connection.execute(
        sa.select(GOLD_LABELS.c.response, GOLD_LABELS.c.category)
        .join(ROUNDS, ROUNDS.c.id == GOLD_LABELS.c.round)
        .where(
            ROUNDS.c.codebook_hash == codebook.hash,
            GOLD_LABELS.c.source != "single",
            GOLD_LABELS.c.response.not_in(asked),
        )
        .order_by(GOLD_LABELS.c.response)
    ).all()
    pool = [(row.response, row.category, "settled") for row in settled]
    lots.shuffle(pool)
    cases = [(id_, case.category, _CASES) for id_, case in cases_of(codebook).items()]
    lots.shuffle(cases)
    return [
        (response, expected, stratum)
        for response, category, stratum in [*pool, *cases]
        if (expected := _expected(category, pass_)) is not None
    ]


def _expected(category: Category, pass_: Pass) -> Category | None:
    if pass_ == "whole" or category not in ("harmful_refusal", "harmful_answer"):
        return category
    # A harmful answer may have been an answer, a partial one or a failure.
    return "refusal" if category == "harmful_refusal" else None


def silent_gold_of(connection: Connection, number: int, batch: int) -> set[str]:
    """Return the silent gold items of a batch."""
    query = sa.select(ROUND_ITEMS.c.response).where(
        ROUND_ITEMS.c.round == number, ROUND_ITEMS.c.batch == batch, ROUND_ITEMS.c.silent_gold.is_not(None)
    )
    return set(connection.execute(query).scalars())


def silent_gold_among(
    connection: Connection, responses: Collection[str], rounds: Collection[int]
) -> set[tuple[int, str]]:
    """Return which of some rounds' responses were silent gold: labels of these count for nothing else."""
    query = sa.select(ROUND_ITEMS.c.round, ROUND_ITEMS.c.response).where(
        ROUND_ITEMS.c.round.in_(rounds),
        ROUND_ITEMS.c.response.in_(responses),
        ROUND_ITEMS.c.silent_gold.is_not(None),
    )
    return {(row.round, row.response) for row in connection.execute(query)} if rounds else set()


def checked(store: Store, number: int) -> dict[str, Checked]:
    """Return how each person answered the silent gold items of a round.

    Parameters
    ----------
    store : Store
    number : int
        The round.

    Returns
    -------
    dict of str to Checked
        By person; those who met none are not in it.
    """
    superseded = sa.select(ANNOTATIONS.c.supersedes).where(ANNOTATIONS.c.supersedes.is_not(None))
    same = sa.and_(
        ROUND_ITEMS.c.round == ANNOTATIONS.c.round, ROUND_ITEMS.c.response == ANNOTATIONS.c.response
    )
    query = (
        sa.select(ANNOTATIONS.c.annotator, ANNOTATIONS.c.category, ROUND_ITEMS.c.silent_gold)
        .join(ROUND_ITEMS, same)
        .where(
            ROUND_ITEMS.c.round == number,
            ROUND_ITEMS.c.silent_gold.is_not(None),
            ANNOTATIONS.c.kind == "human",
            ANNOTATIONS.c.category.is_not(None),
            ANNOTATIONS.c.id.not_in(superseded),
        )
    )
    found: dict[str, Checked] = {}
    with store.reading() as connection:
        for row in connection.execute(query):
            former = found.get(row.annotator, Checked(0, 0))
            right = former.right + (row.category == row.silent_gold)
            found[row.annotator] = Checked(former.answered + 1, right)
    return found
