"""How far a person is, how long the rest takes at their own pace, and when it is time to rest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.labelling.people import Person, list_people
from servicegap.labelling.rounds import Round, ensure_round
from servicegap.labelling.tally import Tally, tally_of
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import PEOPLE, ROUND_ITEMS, SLOTS

#: A gap of so many seconds without a label is a rest.
REST = 300
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands in the latest round: what their own page shows.

    Attributes
    ----------
    done : int
        Labels they gave.
    left : int
        Labels that are left for them, if what anybody may label is shared evenly by those at work.
    seconds_left : float or None
        What `left` takes at the median pace of their last labels; None before the first.
    today : int
        Labels of this day (UTC), of any round.
    """

    done: int
    left: int
    seconds_left: float | None
    today: int


@dataclass(frozen=True, slots=True)
class Progress(Standing):
    """Where a person stands, with what only the lead is shown.

    Attributes
    ----------
    active_seconds : float
        What their labels took, without pauses.
    exposures : int
        Responses shown to them, in any round, that the lexicon flags or that they called harmful.
    overlap : float or None
        Of the responses they labelled, the share (0 to 1) that somebody else labelled too; None before the
        first.
    """

    active_seconds: float
    exposures: int
    overlap: float | None


def standing(study: Study, store: Store, person: Person, *, at: float) -> Standing:
    """Return where a person stands; `at` is the time, in seconds since 1970."""
    now_open, tally = ensure_round(study, store), tally_of(store, person.name)
    with store.reading() as connection:
        return _standing(connection, now_open, person.name, tally, at)


def progress_of_all(study: Study, store: Store, *, at: float) -> dict[str, Progress]:
    """Return where everyone stands who was not revoked, by name."""
    now_open = ensure_round(study, store)
    names = [person.name for person in list_people(store) if person.revoked is None]
    tallies = {name: tally_of(store, name) for name in names}
    with store.reading() as connection:
        return {name: _progress(connection, now_open, name, tally, at) for name, tally in tallies.items()}


def pause_due(study: Study, store: Store, person: Person, *, at: float) -> Literal["break", "cap"] | None:
    """Return whether the person should stop: for today (the daily cap), or for a rest.

    A rest is due after the plan's minutes of labelling without a gap of REST seconds.
    """
    plan = study.plan.labelling
    mine = (SLOTS.c.person == person.name, SLOTS.c.done.is_(True))
    since = at - max(_DAY, 60 * plan.break_minutes + REST)
    query = sa.select(SLOTS.c.taken).where(*mine, SLOTS.c.taken >= since).order_by(SLOTS.c.taken.desc())
    with store.reading() as connection:
        times = list(connection.execute(query).scalars())
    if sum(time >= _midnight(at) for time in times) >= plan.daily_cap:
        return "cap"
    began = at
    for time in times:
        if began - time >= REST:
            break
        began = time
    return "break" if at - began >= 60 * plan.break_minutes else None


def labels_by(store: Store) -> dict[str, int]:
    """Return how many labels each person gave, in all rounds; those without one are not in it."""
    query = sa.select(SLOTS.c.person, sa.func.count()).where(SLOTS.c.done.is_(True)).group_by(SLOTS.c.person)
    with store.reading() as connection:
        return {row[0]: int(row[1]) for row in connection.execute(query)}


def _midnight(at: float) -> float:
    return at - at % _DAY


def _standing(connection: Connection, now_open: Round, name: str, tally: Tally, at: float) -> Standing:
    mine = (SLOTS.c.person == name, SLOTS.c.done.is_(True))
    today = sa.func.sum(sa.case((SLOTS.c.taken >= _midnight(at), 1), else_=0))
    done = sa.func.sum(sa.case((SLOTS.c.round == now_open.id, 1), else_=0))
    counted = connection.execute(sa.select(done, today).where(*mine)).one()
    left = _left(connection, now_open, name, int(counted[0] or 0))
    pace = tally.pace
    return Standing(
        done=int(counted[0] or 0),
        left=left,
        seconds_left=None if pace is None else pace * left,
        today=int(counted[1] or 0),
    )


def _progress(connection: Connection, now_open: Round, name: str, tally: Tally, at: float) -> Progress:
    own = _standing(connection, now_open, name, tally, at)
    return Progress(
        done=own.done,
        left=own.left,
        seconds_left=own.seconds_left,
        today=own.today,
        active_seconds=float(tally.seconds[now_open.id]),
        exposures=len(tally.harmful | _folded(connection, name)),
        overlap=_overlap(connection, now_open, name),
    )


def _left(connection: Connection, now_open: Round, name: str, done: int) -> int:
    if now_open.closed:
        return 0
    in_round = SLOTS.c.round == now_open.id
    # Two counts, not one by groups: an index answers each by itself.
    all_slots = connection.execute(sa.select(sa.func.count()).where(in_round)).scalar_one()
    open_slots = sa.select(sa.func.count()).where(in_round, SLOTS.c.done.is_(False))
    waiting = connection.execute(open_slots).scalar_one()
    own = math.ceil(all_slots / now_open.plan.annotators) - done
    people = _at_work(connection, now_open, name)
    # Where no more people work than each response wants, everyone labels all of them.
    share = own if people <= now_open.plan.annotators else math.ceil(waiting / people)
    return max(0, min(own, share, waiting))


def _at_work(connection: Connection, now_open: Round, name: str) -> int:
    """Count who has a slot of the round, and the person."""
    has_slot = sa.exists().where(SLOTS.c.person == PEOPLE.c.name, SLOTS.c.round == now_open.id)
    query = sa.select(PEOPLE.c.name).where(PEOPLE.c.revoked.is_(None), has_slot)
    return len({name, *connection.execute(query).scalars()})


def _folded(connection: Connection, name: str) -> set[str]:
    """Return what was shown to a person and the lexicon flags."""
    same = sa.and_(ROUND_ITEMS.c.round == SLOTS.c.round, ROUND_ITEMS.c.response == SLOTS.c.response)
    query = (
        sa.select(SLOTS.c.response)
        .join(ROUND_ITEMS, same)
        .where(SLOTS.c.person == name, ROUND_ITEMS.c.folded.is_(True))
    )
    return set(connection.execute(query).scalars())


def _overlap(connection: Connection, now_open: Round, name: str) -> float | None:
    mine, other = SLOTS.alias("mine"), SLOTS.alias("other")
    shared = sa.exists().where(
        other.c.round == mine.c.round,
        other.c.response == mine.c.response,
        other.c["pass"] == mine.c["pass"],
        other.c.done.is_(True),
        other.c.person != name,
    )
    of_mine = (mine.c.person == name, mine.c.done.is_(True), mine.c.round == now_open.id)
    query = sa.select(sa.func.count(), sa.func.sum(sa.case((shared, 1), else_=0))).where(*of_mine)
    total, both = connection.execute(query).one()
    return both / total if total else None
