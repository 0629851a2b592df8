"""Who may label: names, roles, secret links. Of a link only a hash is kept.

Not here: cookies and pages (web/).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from servicegap.errors import InputError
from servicegap.labelling.turns import in_turn
from servicegap.store import Store
from servicegap.study import now
from servicegap.tables import PEOPLE, SLOTS

Role = Literal["annotator", "adjudicator", "lead"]
ROLES: tuple[Role, ...] = get_args(Role)
#: The one person of a study whose pages are opened on one's own machine, without links.
LOCAL = "local"
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who labels; ``name`` is what annotations carry.

    ``background`` is what they chose to tell of themselves, None = nothing. ``consented``, ``trained``
    (through the practice items) and ``revoked`` are times, None = not.
    """

    name: str
    role: Role
    seed: int
    background: str | None = None
    consented: str | None = None
    trained: str | None = None
    revoked: str | None = None


def add_person(store: Store, name: str, role: Role, *, with_token: bool = True) -> str | None:
    """Add a person, or let a revoked one in again with a new link.

    Returns
    -------
    str or None
        The secret of their link: shown once, as only its hash is kept. None without `with_token`.

    Raises
    ------
    InputError
        If the name is there already or cannot be a name, or the role is unknown.
    """
    _check(name, role)
    token = secrets.token_urlsafe(32) if with_token else None
    with in_turn(store) as connection:
        _insert(connection, name, role, token)
    return token


def _insert(connection: Connection, name: str, role: Role, token: str | None) -> None:
    fields = {"role": role, "token_hash": token and _hash(token), "revoked": None}
    known = connection.execute(sa.select(PEOPLE.c.revoked).where(PEOPLE.c.name == name)).one_or_none()
    if known is None:
        seed = secrets.randbits(62)
        connection.execute(sa.insert(PEOPLE).values(name=name, seed=seed, created=now(), **fields))
    elif known.revoked is None:
        raise InputError(
            f"{name}: there already; take another name, or for a new link revoke it first and add it again"
        )
    else:
        connection.execute(sa.update(PEOPLE).where(PEOPLE.c.name == name).values(**fields))


def _check(name: str, role: str) -> None:
    problems = []
    if not name.strip() or name != name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        problems.append(
            f"name: {name!r} cannot be used; allowed: 1 to {LONGEST_NAME} visible characters, without blanks "
            "at the ends"
        )
    if role not in ROLES:
        problems.append(f"role: {role!r} is unknown; allowed: {', '.join(ROLES)}")
    if problems:
        raise InputError(*problems)


def list_people(store: Store) -> list[Person]:
    """Return everyone, revoked ones too, by name."""
    with store.reading() as connection:
        return [_person(row) for row in connection.execute(_people().order_by(PEOPLE.c.name)).mappings()]


def find_person(store: Store, name: str) -> Person | None:
    """Return the person of that name, revoked or not."""
    return _one(store, PEOPLE.c.name == name)


def person_of_token(store: Store, token: str) -> Person | None:
    """Return whose link it is; None where it is nobody's, or was revoked."""
    hashed = _hash(token)
    query = _people(PEOPLE.c.token_hash).where(PEOPLE.c.token_hash == hashed, PEOPLE.c.revoked.is_(None))
    with store.reading() as connection:
        row = connection.execute(query).mappings().one_or_none()
    # The database compares hashes of secrets that nobody can choose; this comparison tells no time either.
    if row is None or not hmac.compare_digest(row["token_hash"], hashed):
        return None
    return _person(row)


def revoke(store: Store, name: str) -> None:
    """End a person's link; their labels stay, what they held is free for others.

    Raises
    ------
    InputError
        If there is nobody of that name.
    """
    with in_turn(store) as connection:
        values = {"revoked": now(), "token_hash": None}
        if not connection.execute(sa.update(PEOPLE).where(PEOPLE.c.name == name).values(**values)).rowcount:
            names = connection.execute(sa.select(PEOPLE.c.name).order_by(PEOPLE.c.name)).scalars().all()
            raise InputError(f"{name}: nobody of that name; there are: {', '.join(names) or 'none yet'}")
        held = sa.and_(SLOTS.c.person == name, SLOTS.c.done.is_(False))
        connection.execute(sa.update(SLOTS).where(held).values(person=None, taken=None))


def note_consent(store: Store, name: str) -> None:
    """Note that a person read the content note and agreed to begin."""
    _note(store, name, consented=now())


def note_trained(store: Store, name: str) -> None:
    """Note that a person went through the practice items."""
    _note(store, name, trained=now())


def note_background(store: Store, name: str, text: str | None) -> None:
    """Note what a person offers to tell of themselves; None or blank takes it back."""
    _note(store, name, background=(text or "").strip() or None)


def only_person(store: Store) -> Person:
    """Return the person who works alone on their own machine, made on the first call."""
    found = find_person(store, LOCAL)
    if found is None or found.revoked is not None:
        with in_turn(store) as connection:
            there = connection.execute(
                sa.select(PEOPLE.c.name).where(PEOPLE.c.name == LOCAL, PEOPLE.c.revoked.is_(None))
            )
            if there.one_or_none() is None:
                _insert(connection, LOCAL, "lead", None)
        found = find_person(store, LOCAL)
    assert found is not None
    return found


def _note(store: Store, name: str, **values: Any) -> None:
    with in_turn(store) as connection:
        connection.execute(sa.update(PEOPLE).where(PEOPLE.c.name == name).values(**values))


def _one(store: Store, condition: sa.ColumnElement[bool]) -> Person | None:
    with store.reading() as connection:
        row = connection.execute(_people().where(condition)).mappings().one_or_none()
    return None if row is None else _person(row)


def _people(*more: sa.Column[Any]) -> sa.Select[Any]:
    return sa.select(*[PEOPLE.c[name] for name in Person.__slots__], *more)


def _person(row: RowMapping) -> Person:
    return Person(**{name: row[name] for name in Person.__slots__})


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
