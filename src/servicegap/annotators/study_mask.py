"""The mask of a study's signals, as its database has them: the one that every automatic reader looks through.

Apart from masking.py so that masking itself loads no database.
"""

from __future__ import annotations

import sqlalchemy as sa

from servicegap.annotators.masking import SignalMask
from servicegap.store import Store
from servicegap.tables import SIGNALS


def read_mask(store: Store) -> SignalMask:
    """Return the mask of a study's signals; the control points to nobody and is left as it is."""
    with store.reading() as connection:
        signals = connection.execute(sa.select(SIGNALS.c.text).where(SIGNALS.c.group.is_not(None)))
        return SignalMask(signals.scalars().all())
