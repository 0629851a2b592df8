"""Work shared out to processes; apart from the tests of labelling, as each process imports this file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from servicegap.errors import InputError, ServicegapError
from servicegap.workers import in_order


def square(number: int) -> int:
    if number < 0:
        raise InputError(f"{number} is negative")
    return number * number


def leave(_number: int) -> int:
    sys.exit(1)


def test_workers_give_the_same_in_the_same_order() -> None:
    def pieces() -> Iterator[tuple[str, int]]:
        yield from ((f"piece {number}", number) for number in range(20))

    assert list(in_order(square, pieces(), 3)) == list(in_order(square, pieces(), 1))


def test_what_goes_wrong_in_a_worker_is_raised_here() -> None:
    with pytest.raises(InputError, match="-1 is negative"):
        list(in_order(square, [("a", 1), ("b", -1)], 2))
    with pytest.raises(ServicegapError, match="ended from outside"):
        list(in_order(leave, [("a", 1), ("b", 2)], 2))


@pytest.mark.skipif(os.name == "nt", reason="there it ends all processes of the console")
def test_what_stops_the_parent_while_processes_start_waits_until_they_are_cared_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = []
    context = multiprocessing.get_context("spawn")
    start = context.Process.start

    def interrupted(process: multiprocessing.context.SpawnProcess) -> None:
        signal.raise_signal(signal.SIGINT)
        start(process)
        started.append(process)

    monkeypatch.setattr(context.Process, "start", interrupted)
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt):
        list(in_order(square, [("a", 1)], 2))
    assert len(started) == 2
    assert multiprocessing.active_children() == []
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    monkeypatch.undo()
    assert list(in_order(square, [("a", 1), ("b", 2)], 2)) == [("a", 1), ("b", 4)]
