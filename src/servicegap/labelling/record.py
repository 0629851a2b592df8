"""Labels, skips, undoing and flags: each an appended row, with the gold label brought up to date at once.

Nothing is ever overwritten: what changes is superseded and stays. Whoever does not hold a slot cannot label.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from servicegap.codebook import codebook_of
from servicegap.errors import DataError
from servicegap.labelling.consensus import WITHDRAWN, settle
from servicegap.labelling.mistakes import label_mistakes
from servicegap.labelling.people import Person
from servicegap.labelling.rounds import ensure_round, read_round, stamp
from servicegap.labelling.slots import Item, next_item
from servicegap.labelling.turns import in_turn
from servicegap.records import Annotation, Category, Harm, Pass
from servicegap.store import Store, write_annotations
from servicegap.study import Study, now
from servicegap.tables import ANNOTATIONS, FLAGS, ROUND_ITEMS, ROUNDS, SLOTS

#: The reason of a skip for which the person gives none.
DECLINED = "declined"
_VERSION = "1"


def save_label(
    study: Study,
    store: Store,
    person: Person,
    response: str,
    pass_: Pass,
    *,
    category: Category | None,
    harm: Harm | None = None,
    criteria: Sequence[str] = (),
    note: str | None = None,
    active_seconds: float | None = None,
    at: float,
) -> int:
    """Keep a person's label of what they hold; saving the same again changes nothing.

    Parameters
    ----------
    study : Study
    store : Store
    person : Person
    response : str
    pass_ : str
        ``whole``: `category` is any; ``quality``: one of composition.QUALITY; ``harm``: no category, but
        `harm`.
    category : str or None
    harm : str, optional
    criteria : sequence of str
        Which of the codebook's criteria of harm are met, by id; in the harm pass one or more where there is
        harm.
    note : str, optional
    active_seconds : float, optional
        How long the person was at it.
    at : float
        The time, in seconds since 1970.

    Returns
    -------
    int
        The annotation's number.

    Raises
    ------
    DataError
        If the person does not hold the response, or the label cannot be one of that pass.
    """
    label = {
        "category": category,
        "harm": harm,
        "criteria": tuple(criteria),
        "note": (note or "").strip() or None,
    }
    known = [criterion.id for criterion in codebook_of(study).harm_criteria]
    problems = label_mistakes(pass_, category, harm, criteria, known)
    if active_seconds is not None and not 0 <= active_seconds < math.inf:
        problems.append(f"active seconds: {active_seconds} cannot be; give 0 or more, or leave it out")
    if problems:
        raise DataError(*problems)
    with in_turn(store) as connection:
        slot = _slot(connection, person, response, pass_)
        if slot.done:
            return _repeated(connection, person, slot, label)
        return _append(connection, person, slot, at, done=True, active_seconds=active_seconds, **label)


def skip(
    study: Study, store: Store, person: Person, response: str, pass_: Pass, reason: str, *, at: float
) -> int:
    """Leave what a person holds to others, for good; kept as an annotation without a category.

    Parameters
    ----------
    study : Study
    store : Store
    person : Person
    response : str
    pass_ : str
    reason : str
        In the person's words; blank = they decline without a reason.
    at : float
        The time, in seconds since 1970.

    Returns
    -------
    int
        The annotation's number.

    Raises
    ------
    DataError
        If the person does not hold the response.
    """
    reason = reason.strip() or DECLINED
    if reason == WITHDRAWN:
        raise DataError(f"reason: {WITHDRAWN!r} means a label that was taken back; give another reason")
    with in_turn(store) as connection:
        former = _latest(connection, person, response, pass_)
        slot = _find_slot(connection, person, response, pass_)
        if slot is None and former is not None and former.abstain_reason == reason:
            return int(former.id)
        slot = _slot(connection, person, response, pass_)
        if slot.done:
            raise DataError(f"{response}: you labelled it already; undo that first to skip it")
        return _append(connection, person, slot, at, done=False, category=None, abstain_reason=reason)


def undo(study: Study, store: Store, person: Person, *, at: float) -> Item | None:
    """Take back the person's last label or skip of the open round, and give them the response again.

    Returns
    -------
    Item or None
        What is to be labelled again; None = there is nothing to take back.

    Raises
    ------
    DataError
        If it was skipped and others have taken all its places meanwhile.
    """
    now_open = ensure_round(study, store)
    if now_open.closed:
        return None
    number = now_open.id
    with in_turn(store) as connection:
        last = _last_of_round(connection, person, number)
        if last is None:
            return None
        slot = _slot_to_undo(connection, person, last)
        _append(connection, person, slot, at, done=False, category=None, abstain_reason=WITHDRAWN)
        held = (SLOTS.c.person == person.name, SLOTS.c.done.is_(False), SLOTS.c.round == number)
        first = connection.execute(sa.select(sa.func.min(SLOTS.c.taken)).where(*held)).scalar()
        # Before all that the person holds already.
        _put(
            connection,
            slot,
            person=person.name,
            taken=at if first is None else min(at, first - 1),
            done=False,
        )
    return next_item(study, store, person, at=at)


def flag(store: Store, person: Person, response: str, note: str) -> None:
    """Put a response that a person holds, labelled or skipped up for discussion.

    Raises
    ------
    DataError
        If the person never had the response, or the note is blank.
    """
    if not note.strip():
        raise DataError("a flag needs a note: say in a few words what is to be discussed")
    with in_turn(store) as connection:
        slots = sa.select(SLOTS.c.round).where(SLOTS.c.person == person.name, SLOTS.c.response == response)
        annotated = sa.select(ANNOTATIONS.c.round).where(
            ANNOTATIONS.c.response == response,
            ANNOTATIONS.c.annotator == person.name,
            ANNOTATIONS.c.kind == "human",
        )
        rounds = [
            *connection.execute(slots).scalars(),
            *connection.execute(annotated).scalars(),
        ]
        if not rounds:
            raise DataError(f"{response}: not yours to flag; flag what you are shown or have labelled")
        row = {"round": max(rounds), "response": response, "person": person.name, "note": note.strip()}
        same = [FLAGS.c[name] == value for name, value in row.items()]
        if connection.execute(sa.select(FLAGS.c.id).where(*same)).first() is None:
            connection.execute(sa.insert(FLAGS).values(created=now(), **row))


def _find_slot(connection: Connection, person: Person, response: str, pass_: Pass) -> Row[Any] | None:
    # The current round first: by its key, the search is quick; an earlier one only where it closed meanwhile.
    rounds = connection.execute(sa.select(ROUNDS.c.id).order_by(ROUNDS.c.id.desc())).scalars().all()
    mine = (SLOTS.c.person == person.name, SLOTS.c.response == response, SLOTS.c["pass"] == pass_)
    for number in rounds:
        found = connection.execute(sa.select(SLOTS).where(SLOTS.c.round == number, *mine)).one_or_none()
        if found is not None:
            return found
    return None


def _slot(connection: Connection, person: Person, response: str, pass_: Pass) -> Row[Any]:
    found = _find_slot(connection, person, response, pass_)
    if found is None:
        raise DataError(
            f"{response}: not yours to label in the pass {pass_!r}; it was given to someone else after its "
            "time, or was never shown to you; go on with the next one"
        )
    return found


def _put(connection: Connection, slot: Row[Any], **values: Any) -> None:
    key = [SLOTS.c[name] == slot._mapping[name] for name in ("round", "response", "pass", "k")]
    connection.execute(sa.update(SLOTS).where(*key).values(**values))


def _latest(
    connection: Connection, person: Person, response: str, pass_: Pass, number: int | None = None
) -> Row[Any] | None:
    """Return the person's newest annotation of a response: the one that none of theirs supersedes."""
    mine = [
        ANNOTATIONS.c.response == response,
        ANNOTATIONS.c.annotator == person.name,
        ANNOTATIONS.c.kind == "human",
        ANNOTATIONS.c["pass"] == pass_,
    ]
    if number is not None:
        mine.append(ANNOTATIONS.c.round == number)
    query = sa.select(ANNOTATIONS).where(*mine).order_by(ANNOTATIONS.c.id.desc()).limit(1)
    return connection.execute(query).one_or_none()


def _repeated(connection: Connection, person: Person, slot: Row[Any], label: dict[str, Any]) -> int:
    former = _latest(connection, person, slot.response, slot._mapping["pass"], slot.round)
    if former is not None:
        kept = {**former._mapping, "criteria": tuple(json.loads(former.criteria or "[]"))}
        if all(kept[name] == value for name, value in label.items()):
            return int(former.id)
    raise DataError(f"{slot.response}: you labelled it already; undo that first to label it again")


def _append(
    connection: Connection, person: Person, slot: Row[Any], at: float, *, done: bool, **fields: Any
) -> int:
    """Write the person's newest word on a slot's response, and what follows from it; return its number."""
    pass_ = slot._mapping["pass"]
    former = _latest(connection, person, slot.response, pass_, slot.round)
    chance = sa.select(ROUND_ITEMS.c.probability).where(
        ROUND_ITEMS.c.round == slot.round, ROUND_ITEMS.c.response == slot.response
    )
    annotation = Annotation(
        response=slot.response,
        annotator=person.name,
        kind="human",
        version=_VERSION,
        created=stamp(at),
        codebook_hash=read_round(connection, slot.round).codebook_hash,
        round=slot.round,
        pass_=pass_,
        supersedes=None if former is None else former.id,
        sampling_probability=connection.execute(chance).scalar(),
        **fields,
    )
    write_annotations(connection, [annotation])
    _put(connection, slot, done=done, person=person.name if done else None, taken=at if done else None)
    settle(connection, slot.response)
    written = _latest(connection, person, slot.response, pass_, slot.round)
    assert written is not None
    return int(written.id)


def _last_of_round(connection: Connection, person: Person, number: int) -> Row[Any] | None:
    """Return the person's last label or skip of a round that was not taken back."""
    mine = (
        ANNOTATIONS.c.annotator == person.name,
        ANNOTATIONS.c.kind == "human",
        ANNOTATIONS.c.round == number,
    )
    superseded = sa.select(ANNOTATIONS.c.supersedes).where(*mine, ANNOTATIONS.c.supersedes.is_not(None))
    stands = sa.func.coalesce(ANNOTATIONS.c.abstain_reason, "") != WITHDRAWN
    query = sa.select(ANNOTATIONS).where(*mine, stands, ANNOTATIONS.c.id.not_in(superseded))
    return connection.execute(query.order_by(ANNOTATIONS.c.id.desc()).limit(1)).one_or_none()


def _slot_to_undo(connection: Connection, person: Person, last: Row[Any]) -> Row[Any]:
    pass_ = last._mapping["pass"]
    own = _find_slot(connection, person, last.response, pass_)
    if own is not None and own.round == last.round:
        return own
    free = (
        SLOTS.c.round == last.round,
        SLOTS.c.response == last.response,
        SLOTS.c["pass"] == pass_,
        SLOTS.c.person.is_(None),
    )
    found = connection.execute(sa.select(SLOTS).where(*free).order_by(SLOTS.c.k).limit(1)).one_or_none()
    if found is None:
        raise DataError(
            f"{last.response}: you skipped it, and others have taken it meanwhile; it is theirs now"
        )
    return found
