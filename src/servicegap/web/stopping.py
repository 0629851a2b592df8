"""Whether labelling may stop, as the lead's page tells it: looked at when a batch is settled, not between."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import sqlalchemy as sa

from servicegap.label_plan import read_target
from servicegap.label_plan.stopping import StopAdvice, may_stop
from servicegap.labelling.rounds import Round
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, ROUND_ITEMS


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks at a round: there is one at the end of each batch.

    Attributes
    ----------
    settled, batches : int
        How many batches are settled whole, and how many there are.
    left : int or None
        Responses to be settled until the next look; None = there is none, all are settled.
    advice : StopAdvice or None
        What the last look said; None before the first batch is settled.
    """

    settled: int
    batches: int
    left: int | None
    advice: StopAdvice | None


@dataclass(slots=True)
class LiveLooks:
    """Looks that are kept until another batch is settled; for many threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _of: object = None
    _said: StopAdvice | None = None

    def read(self, study: Study, store: Store, latest: Round) -> Looks | None:
        """Return the looks at a round; None where no target width was set."""
        target = read_target(store)
        if target is None:
            return None
        left = _left_of_batches(store, latest)
        whole = [batch for batch, count in left.items() if not count]
        begun = [count for count in left.values() if count]
        with self._lock:
            state = (latest.id, whole, target, _newest_score(store))
            if whole and state != self._of:
                self._said, self._of = may_stop(study, store), state
            said = self._said if whole else None
        return Looks(len(whole), len(left), min(begun, default=None), said)


def _left_of_batches(store: Store, latest: Round) -> dict[int, int]:
    """Return batch -> how many of its responses have no gold label yet."""
    unsettled = sa.func.sum(sa.case((GOLD_LABELS.c.response.is_(None), 1), else_=0))
    query = (
        sa.select(ROUND_ITEMS.c.batch, unsettled)
        .outerjoin(GOLD_LABELS, GOLD_LABELS.c.response == ROUND_ITEMS.c.response)
        .where(
            ROUND_ITEMS.c.round == latest.id,
            ROUND_ITEMS.c.batch.is_not(None),
            ROUND_ITEMS.c.silent_gold.is_(None),
        )
        .group_by(ROUND_ITEMS.c.batch)
    )
    with store.reading() as connection:
        return {row[0]: int(row[1]) for row in connection.execute(query)}


def _newest_score(store: Store) -> int | None:
    query = sa.select(sa.func.max(ANNOTATIONS.c.id)).where(ANNOTATIONS.c.kind != "human")
    with store.reading() as connection:
        return connection.execute(query).scalar()
