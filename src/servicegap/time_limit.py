"""A time limit for what one task awaits, again and again.

``asyncio.timeout`` sets a timer for each use and takes it away again: 5 µs, and a task that asks a model
thousands of times uses it each time. Here one timer stays, and is moved on when it goes off too early.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class TimeLimit:
    """What is awaited inside ``with`` ends with TimeoutError after `seconds`; only for the task that made it.

    Parameters
    ----------
    seconds : float

    Examples
    --------
    >>> async def wait_too_long():
    ...     limit = TimeLimit(0.01)
    ...     with limit:
    ...         await asyncio.sleep(0)
    ...     with limit:
    ...         await asyncio.sleep(60)
    >>> asyncio.run(wait_too_long())
    Traceback (most recent call last):
        ...
    TimeoutError
    """

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit is for a task; there is none here")
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None  # None: nothing is awaited
        self._over = False
        self._cancelled_before = 0

    def __enter__(self) -> None:
        self._due = self._loop.time() + self._seconds
        self._cancelled_before = self._task.cancelling()
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._check)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._due = None
        if self._over:
            self._over = False
            # Where somebody else cancels the task too, it is theirs to end it.
            if self._task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _check(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due <= self._loop.time():
            self._over = True
            self._task.cancel()
        else:
            self._timer = self._loop.call_at(self._due, self._check)
