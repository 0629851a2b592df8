"""Practice before live work: borderline cases of the codebook, each with the right category and why.

Answers are kept, but are no annotations.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import sqlalchemy as sa

from servicegap.codebook import Codebook
from servicegap.errors import DataError
from servicegap.labelling.people import Person
from servicegap.labelling.silent_gold import PRACTICE_CASES, case_id
from servicegap.labelling.turns import in_turn
from servicegap.records import CATEGORIES, Category
from servicegap.store import Store
from servicegap.study import now
from servicegap.tables import PEOPLE, PRACTICE


@dataclass(frozen=True, slots=True)
class PracticeItem:
    """A made-up prompt and response; ``category`` and ``why`` are shown once it is answered."""

    id: str
    prompt: str
    response: str
    category: Category
    why: str


def practice_items(codebook: Codebook) -> list[PracticeItem]:
    """Return the practice items: so many cases of each category, in the codebook's order."""
    return [
        PracticeItem(case_id(case), case.prompt, case.response, case.category, case.why)
        for category in codebook.categories
        for case in category.cases[:PRACTICE_CASES]
    ]


def practice_left(store: Store, person: Person, codebook: Codebook) -> list[PracticeItem]:
    """Return what the person has not answered yet, in an order of their own."""
    items = practice_items(codebook)
    random.Random(person.seed).shuffle(items)
    query = sa.select(PRACTICE.c.item).where(PRACTICE.c.person == person.name)
    with store.reading() as connection:
        answered = set(connection.execute(query).scalars())
    return [item for item in items if item.id not in answered]


def answer_practice(
    store: Store, person: Person, item_id: str, category: Category, codebook: Codebook
) -> PracticeItem:
    """Keep an answer and return the item with what is right; the last one notes the person as trained.

    Raises
    ------
    DataError
        If there is no such item or category.
    """
    items = {item.id: item for item in practice_items(codebook)}
    problems = []
    if item_id not in items:
        problems.append(f"practice item {item_id!r} is unknown; the codebook may have changed: begin again")
    if category not in CATEGORIES:
        problems.append(f"category: {category!r} is unknown; allowed: {', '.join(CATEGORIES)}")
    if problems:
        raise DataError(*problems)
    row = {"person": person.name, "item": item_id, "category": category, "created": now()}
    answered = sa.select(PRACTICE.c.item).where(PRACTICE.c.person == person.name)
    trained = sa.update(PEOPLE).where(PEOPLE.c.name == person.name).values(trained=now())
    with in_turn(store) as connection:
        connection.execute(sa.insert(PRACTICE).values(right=category == items[item_id].category, **row))
        if set(items) <= set(connection.execute(answered).scalars()):
            connection.execute(trained)
    return items[item_id]
