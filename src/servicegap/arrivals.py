"""Rows that arrived from a model and are committed soon.

At the latest 0.2 s or 200 rows after they arrived, so that a killed process loses, and its re-run repeats,
at most those and the calls in the air. Not here: how the model is asked (asking.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from servicegap.records import Response

FLUSH_SECONDS = 0.2
FLUSH_ROWS = 200


@dataclass(slots=True)
class Progress:
    """How far the asking of one model is."""

    model: str
    total: int
    done: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Calls a second, so far."""
        return self.done / max(time.monotonic() - self.started, 1e-9)


Watch = Callable[[Progress], None]
Keep = Callable[[Sequence[Response]], None]


class Buffer:
    """Rows that arrived and are not committed yet.

    Parameters
    ----------
    keep : callable
        Commits rows, in one transaction.
    progress : Progress
    watch : callable, optional
        Called with `progress` whenever rows were committed.
    """

    def __init__(self, keep: Keep, progress: Progress, watch: Watch | None = None) -> None:
        self._keep = keep
        self._progress = progress
        self._watch = watch
        self._rows: list[Response] = []
        #: What the server called the model in its answers: more than one name means it changed.
        self.served: set[str] = set()
        #: Failures in a row, over all workers: a server that is gone shows here.
        self.failures_in_a_row = 0
        #: The longest wait that the server asked for so far, in seconds.
        self.longest_wait = 0.0
        self._only_rejected = True

    def add(self, response: Response) -> None:
        """Take a row; commit where many wait."""
        self._rows.append(response)
        self._progress.done += 1
        self._progress.failed += response.failed
        self.failures_in_a_row = self.failures_in_a_row + 1 if response.failed else 0
        self._only_rejected = self._only_rejected and response.error_kind == "rejected"
        if len(self._rows) >= FLUSH_ROWS:
            self.flush()

    @property
    def rejected_at_first(self) -> int:
        """How many calls were rejected, where nothing else came back so far."""
        return len(self._rows) if self._only_rejected else 0

    def flush(self, *, final: bool = False) -> None:
        """Commit all rows; rejections before anything else came only where they are all there will be."""
        if self._rows and (final or not self._only_rejected):
            self._keep(self._rows)
            self._rows.clear()
            if self._watch:
                self._watch(self._progress)

    async def flush_often(self) -> None:
        """Commit again and again, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()
