"""What each person's annotations add up to, read on from where the last reading ended.

Pages ask for it after every label, and reading all annotations each time would be slow. Annotations are only
ever appended, and people's in turn (turns.py), so that what was added up stays right.
"""

from __future__ import annotations

import statistics
import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from servicegap.store import Store
from servicegap.tables import ANNOTATIONS

#: The pace is the median of so many labels, the last ones.
PACE_OF = 50


@dataclass(slots=True)
class Tally:
    """One person's annotations: active seconds by round, those of the last ones, what they called harmful."""

    seconds: Counter[int] = field(default_factory=Counter)
    last_seconds: deque[float] = field(default_factory=partial(deque, maxlen=PACE_OF))
    harmful: set[str] = field(default_factory=set)

    @property
    def pace(self) -> float | None:
        """The median of the last labels' active seconds, None before the first."""
        return statistics.median(self.last_seconds) if self.last_seconds else None


@dataclass(slots=True)
class _Reading:
    last: int = 0
    people: defaultdict[str, Tally] = field(default_factory=partial(defaultdict, Tally))
    lock: threading.Lock = field(default_factory=threading.Lock)


_READINGS: WeakKeyDictionary[Store, _Reading] = WeakKeyDictionary()
_BEGIN = threading.Lock()
_COLUMNS = ("id", "annotator", "round", "response", "category", "harm", "active_seconds")


def tally_of(store: Store, name: str) -> Tally:
    """Return what the annotations of a person add up to by now."""
    with _BEGIN:
        reading = _READINGS.setdefault(store, _Reading())
    query = sa.select(*[ANNOTATIONS.c[column] for column in _COLUMNS]).order_by(ANNOTATIONS.c.id)
    with reading.lock:
        new = query.where(ANNOTATIONS.c.kind == "human", ANNOTATIONS.c.id > reading.last)
        with store.reading() as connection:
            rows = connection.execute(new).all()
        for row in rows:
            _add(reading.people[row.annotator], row)
            reading.last = row.id
        found = reading.people[name]
        return Tally(found.seconds.copy(), found.last_seconds.copy(), set(found.harmful))


def _add(tally: Tally, row: sa.Row[tuple[object, ...]]) -> None:
    if row.active_seconds is not None:
        tally.seconds[row.round] += row.active_seconds
        tally.last_seconds.append(row.active_seconds)
    if row.category in ("harmful_refusal", "harmful_answer") or row.harm in ("stated", "implied"):
        tally.harmful.add(row.response)
