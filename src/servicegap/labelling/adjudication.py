"""What people disagree on or want to discuss, and the decisions of a third person.

A decision is appended; it makes the gold label, and the labels it was about stay.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.codebook import codebook_of
from servicegap.errors import DataError
from servicegap.labelling.composition import compose
from servicegap.labelling.consensus import Labels, read_labels, settle
from servicegap.labelling.people import Person
from servicegap.labelling.rounds import stamp
from servicegap.labelling.texts import read_texts
from servicegap.labelling.turns import in_turn
from servicegap.records import CATEGORIES, Category
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ADJUDICATIONS, ANNOTATIONS, FLAGS, GOLD_LABELS, PEOPLE

Reason = Literal["disagreement", "flag"]

_JUDGES = ("adjudicator", "lead")


@dataclass(frozen=True, slots=True)
class Dispute:
    """A response that waits for a decision.

    ``labels`` are what people gave, with their notes, in random but stable order and without names: a
    category, or ``quality: ...`` and ``harm: ...`` where one person gave not both. ``flags`` are the notes of
    those who want it discussed.
    """

    response: str
    prompt: str
    text: str
    labels: tuple[tuple[str, str | None], ...]
    flags: tuple[str, ...]
    reason: Reason


def disputes(study: Study, store: Store, *, person: Person) -> list[Dispute]:
    """Return what waits for this person's decision, oldest first.

    What they labelled themselves is left out, unless no other adjudicator or lead could decide it.
    """
    with store.reading() as connection:
        given = _read_given(connection)
        undecided = given.waiting()
        judges = _judges(connection)
        texts = read_texts(connection, undecided, codebook_of(study))
    return [
        Dispute(
            response=response,
            prompt=texts[response].prompt,
            text=texts[response].text,
            labels=_shown(response, given.labels[response]),
            flags=tuple(given.flags[response]),
            reason=reason,
        )
        for response, reason in undecided.items()
        if response in texts and _may_decide(person.name, _labellers(given.labels[response]), judges)
    ]


def adjudicate(
    store: Store, person: Person, response: str, category: Category, note: str | None, *, at: float
) -> None:
    """Decide on a response: its gold label from now, until someone decides again.

    Raises
    ------
    DataError
        If the person is no adjudicator or lead, or labelled it themselves where another could decide; if
        nobody labelled or flagged it; if the category is unknown.
    """
    problems = []
    if person.role not in _JUDGES:
        problems.append(f"{person.name}: {person.role}s do not decide; allowed: {' and '.join(_JUDGES)}")
    if category not in CATEGORIES:
        problems.append(f"category: {category!r} is unknown; allowed: {', '.join(CATEGORIES)}")
    if problems:
        raise DataError(*problems)
    with in_turn(store) as connection:
        labels = read_labels(connection, [response])[response]
        flags = sa.select(FLAGS.c.round).where(FLAGS.c.response == response)
        rounds = [*labels, *connection.execute(flags).scalars()]
        if not rounds:
            raise DataError(f"{response}: nobody labelled or flagged it, so there is nothing to decide")
        if not _may_decide(person.name, _labellers(labels), _judges(connection)):
            raise DataError(f"{response}: you labelled it yourself; another adjudicator decides")
        row = {"round": max(rounds), "response": response, "person": person.name, "category": category}
        row |= {"note": (note or "").strip() or None, "created": stamp(at)}
        connection.execute(sa.insert(ADJUDICATIONS).values(row))
        settle(connection, response)


def waiting(store: Store) -> dict[str, Reason]:
    """Return what waits for anybody's decision, and why: as `disputes`, but of everyone and without texts."""
    with store.reading() as connection:
        return _read_given(connection).waiting()


@dataclass(frozen=True, slots=True)
class _Given:
    """What people said of all responses that may wait for a decision."""

    labels: dict[str, dict[int, Labels]]
    flags: dict[str, list[str]]

    def waiting(self) -> dict[str, Reason]:
        found: dict[str, Reason] = {
            response: "disagreement" for response, rounds in self.labels.items() if _in_conflict(rounds)
        }
        for response in self.flags:
            found.setdefault(response, "flag")
        return found


def _read_given(connection: Connection) -> _Given:
    labelled = (
        sa.select(ANNOTATIONS.c.response)
        .where(
            ANNOTATIONS.c.kind == "human",
            ANNOTATIONS.c.abstain_reason.is_(None),
            ANNOTATIONS.c.response.not_in(sa.select(GOLD_LABELS.c.response)),
        )
        .group_by(ANNOTATIONS.c.response)
        .having(sa.func.count(ANNOTATIONS.c.annotator.distinct()) > 1)
        .order_by(sa.func.min(ANNOTATIONS.c.id))
    )
    decided = sa.exists().where(
        ADJUDICATIONS.c.response == FLAGS.c.response, ADJUDICATIONS.c.created >= FLAGS.c.created
    )
    flagged = sa.select(FLAGS.c.response, FLAGS.c.note).where(~decided).order_by(FLAGS.c.id)
    flags = defaultdict[str, list[str]](list)
    for row in connection.execute(flagged):
        flags[row.response].append(row.note)
    responses = [*connection.execute(labelled).scalars(), *flags]
    return _Given(read_labels(connection, responses), flags)


def _in_conflict(rounds: dict[int, Labels]) -> bool:
    for _, labels in sorted(rounds.items(), reverse=True):
        agreed = labels.consensus()
        if agreed is not None:
            return agreed.category is None
    return False


def _judges(connection: Connection) -> set[str]:
    query = sa.select(PEOPLE.c.name).where(PEOPLE.c.role.in_(_JUDGES), PEOPLE.c.revoked.is_(None))
    return set(connection.execute(query).scalars())


def _labellers(rounds: dict[int, Labels]) -> set[str]:
    return {name for labels in rounds.values() for name in labels.annotators}


def _may_decide(name: str, labellers: set[str], judges: set[str]) -> bool:
    return name not in labellers or not judges - labellers


def _shown(response: str, rounds: dict[int, Labels]) -> tuple[tuple[str, str | None], ...]:
    """Return the labels of the newest round with their notes, shuffled, always in the same way."""
    if not rounds:
        return ()
    labels = rounds[max(rounds)]
    found = [label for name in labels.annotators for label in _told(labels, name)]
    random.Random(response).shuffle(found)
    return tuple(found)


def _told(labels: Labels, name: str) -> Iterator[tuple[str, str | None]]:
    if name in labels.whole:
        yield labels.whole[name], labels.notes.get((name, "whole"))
    quality, harm = labels.quality.get(name), labels.harm.get(name)
    if quality is not None and harm is not None:
        notes = [labels.notes.get((name, pass_)) for pass_ in ("quality", "harm")]
        yield compose(quality, harm), "; ".join(filter(None, notes)) or None
    elif quality is not None:
        yield f"quality: {quality}", labels.notes.get((name, "quality"))
    elif harm is not None:
        yield f"harm: {harm}", labels.notes.get((name, "harm"))
