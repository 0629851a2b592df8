"""Which response a person sees next, and who holds which slot.

A slot is held from when it is shown until its label is saved, it is given back, or its lease ends. Each
person has an order of their own: batch after batch, so that responses are finished before others begin,
and shuffled within a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.codebook import Codebook, codebook_of
from servicegap.labelling.candidates import Candidate, find_candidate, last_labelled
from servicegap.labelling.people import Person
from servicegap.labelling.rounds import Round, ensure_round
from servicegap.labelling.texts import masked, read_texts
from servicegap.labelling.turns import in_turn
from servicegap.records import Pass
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ROUND_ITEMS, SLOTS

# What is held is told apart by so many seconds, so that it stays in its order.
_APART = 1e-5


@dataclass(frozen=True, slots=True)
class Item:
    """What a person is shown: never the model, the group, or anyone's label.

    ``masked`` = names stand as ``[NAME]``; ``folded`` = the lexicon flags the text, so it is shown on
    request.
    """

    round: int
    response: str
    pass_: Pass
    k: int
    prompt: str
    text: str
    folded: bool
    masked: bool


def next_item(study: Study, store: Store, person: Person, *, at: float) -> Item | None:
    """Return what a person labels next: what they hold already, else a free slot, which they hold from now.

    Parameters
    ----------
    study : Study
    store : Store
    person : Person
    at : float
        The time, in seconds since 1970.

    Returns
    -------
    Item or None
        None = nothing is left for this person.
    """
    now_open, codebook = ensure_round(study, store), codebook_of(study)
    if now_open.closed:
        return None
    # Who holds what may be forgotten in a crash of the database; a label may not.
    with in_turn(store, durable=False) as connection:
        held = _renewed(connection, now_open, person, at)
        while True:
            if not held:
                last = last_labelled(connection, now_open, person)
                found = find_candidate(connection, now_open, person, at, last)
                if found is None:
                    return None
                _take(connection, now_open, person, found, at)
                held = [found]
            item = _item(connection, now_open, held[0], codebook)
            if item is not None:
                return item
            _drop(connection, now_open, held.pop(0).response)


def give_back(store: Store, person: Person) -> int:
    """Let others have what a person holds and has not labelled, as when they leave.

    Returns
    -------
    int
        How many slots were given back.
    """
    held = sa.and_(SLOTS.c.person == person.name, SLOTS.c.done.is_(False))
    with in_turn(store) as connection:
        return connection.execute(sa.update(SLOTS).where(held).values(person=None, taken=None)).rowcount


def _renewed(connection: Connection, now_open: Round, person: Person, at: float) -> list[Candidate]:
    """Return what the person holds, in the order in which it was taken, with new leases."""
    # Theirs even after the lease, as long as nobody else took it; more than one after undoing a label.
    mine = (SLOTS.c.person == person.name, SLOTS.c.done.is_(False), SLOTS.c.round == now_open.id)
    held = [
        Candidate(row.response, row._mapping["pass"], row.k, row.batch)
        for row in connection.execute(sa.select(SLOTS).where(*mine).order_by(SLOTS.c.taken))
    ]
    for place, slot in enumerate(held):
        _take(connection, now_open, person, slot, at + place * _APART)
    return held


def _take(connection: Connection, now_open: Round, person: Person, slot: Candidate, taken: float) -> None:
    key = {"round": now_open.id, "response": slot.response, "pass": slot.pass_, "k": slot.k}
    values = {"person": person.name, "taken": taken}
    where = [SLOTS.c[name] == value for name, value in key.items()]
    if not connection.execute(sa.update(SLOTS).where(*where).values(values)).rowcount:
        # Silent gold is for everyone, so there are as many slots as people who met it.
        row = {**key, **values, "batch": slot.batch, "done": False}
        connection.execute(sa.insert(SLOTS).values(row))


def _drop(connection: Connection, now_open: Round, response: str) -> None:
    """Ask no more about a response whose prompt the design no longer has: there is nothing to show."""
    gone = (SLOTS.c.round == now_open.id, SLOTS.c.response == response, SLOTS.c.done.is_(False))
    connection.execute(sa.delete(SLOTS).where(*gone))


def _item(connection: Connection, now_open: Round, slot: Candidate, codebook: Codebook) -> Item | None:
    """Return what is shown of a slot, None where its text is gone."""
    text = read_texts(connection, [slot.response], codebook).get(slot.response)
    if text is None:
        return None
    if slot.pass_ == "quality":
        text = masked(connection, text)
    this = (ROUND_ITEMS.c.round == now_open.id, ROUND_ITEMS.c.response == slot.response)
    return Item(
        round=now_open.id,
        response=slot.response,
        pass_=slot.pass_,
        k=slot.k,
        prompt=text.prompt,
        text=text.text,
        folded=bool(connection.execute(sa.select(ROUND_ITEMS.c.folded).where(*this)).scalar()),
        masked=slot.pass_ == "quality",
    )
