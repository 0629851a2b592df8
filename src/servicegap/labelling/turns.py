"""One writer at a time, so that two people never get the same slot and no consensus misses a label.

SQLite has one writer anyway. PostgreSQL would let two transactions each miss what the other has not
committed yet, so writers queue there as well; a turn takes milliseconds.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.store import Store
from servicegap.tables import META

# Within a process threads wait here: cheaper and fairer than SQLite's way of trying again after a while.
_TURN = threading.Lock()
# A row that every database has; SQLite takes no row locks, and needs none.
_LOCK = sa.select(META.c.value).where(META.c.key == "schema").with_for_update()


@contextlib.contextmanager
def in_turn(store: Store, *, durable: bool = True) -> Iterator[Connection]:
    """One transaction that no other labelling transaction overlaps: all of it is kept, or none.

    One that need not be `durable` does not wait for the disk of PostgreSQL: it outlives this process, but a
    crash of the database can take it, as if it had not happened yet.
    """
    with _TURN, store.writing() as connection:
        if not durable and connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL synchronous_commit TO OFF")
        connection.execute(_LOCK)
        yield connection
