"""Work shared out to processes, results in order, with no more in memory than one piece for each.

Pipes rather than a pool: a worker whose parent is killed reads the end of its pipe and leaves.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from servicegap.errors import ServicegapError

Kept = TypeVar("Kept")
Given = TypeVar("Given")
Result = TypeVar("Result")
#: What stops a command.
_STOPS = (signal.SIGINT, signal.SIGTERM)


def in_order(
    work: Callable[[Given], Result], pieces: Iterable[tuple[Kept, Given]], workers: int
) -> Iterator[tuple[Kept, Result]]:
    """Yield what `work` makes of each piece, in the order of the pieces.

    Parameters
    ----------
    work : callable
        With more than one worker a module's function, or a ``functools.partial`` of one.
    pieces : iterable of (kept, given)
        What stays here, and what `work` is called with.
    workers : int
        Processes; with 1 the work is done in this one.

    Raises
    ------
    ServicegapError
        If a process dies, or what `work` itself raises.
    """
    if workers == 1:
        for kept, given in pieces:
            yield kept, work(given)
        return
    with ExitStack() as stack:
        with _stops_held_back():
            idle = deque(stack.enter_context(_worker(work)) for _ in range(workers))
        busy: deque[tuple[Kept, Connection]] = deque()
        for kept, given in pieces:
            if not idle:
                done, pipe = busy.popleft()
                result = _result(pipe)
                # The next piece before the last result is used, so that no process waits for it.
                pipe.send(given)
                busy.append((kept, pipe))
                yield done, result
            else:
                pipe = idle.popleft()
                pipe.send(given)
                busy.append((kept, pipe))
        for done, pipe in busy:
            yield done, _result(pipe)


class _worker:  # noqa: N801 - used like a function
    """One process for as long as the ``with`` lasts; gives the pipe to it."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        # Started anew rather than forked: other threads' locks are not copied.
        context = multiprocessing.get_context("spawn")
        self._pipe, its_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(work, its_end), daemon=True)
        self._process.start()
        its_end.close()

    def __enter__(self) -> Connection:
        return self._pipe

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        # It has nothing to tidy up, and may be at a long piece, or still starting.
        self._process.kill()
        self._process.join()
        self._process.close()


def _serve(work: Callable[[Any], Any], pipe: Connection) -> None:
    # Ctrl-C goes to all of a terminal's processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        while True:
            given = pipe.recv()
            try:
                pipe.send(work(given))
            except Exception as error:
                pipe.send(error)
    except (EOFError, OSError):  # the parent is gone, perhaps in the middle of a piece
        return


@contextmanager
def _stops_held_back() -> Iterator[None]:
    """Let no stop fall between the start of processes and the care for them; what came is raised after that.

    The processes inherit that Ctrl-C waits, until they ignore it.
    """
    if threading.current_thread() is not threading.main_thread():
        # Python raises nothing here.
        yield
        return
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in _STOPS}
    if sys.platform != "win32":
        # Where it is started with a process, Ctrl-C is let through from then on.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in came:
            signal.raise_signal(number)


def _result(pipe: Connection) -> Any:
    try:
        result = pipe.recv()
    except (EOFError, ConnectionResetError) as error:
        raise ServicegapError(
            "a process that labels was ended from outside (out of memory?); what is done is kept: run the "
            "command again, with fewer --workers"
        ) from error
    if isinstance(result, Exception):
        raise result
    return result
