"""The time limit of a task that awaits one thing after another."""

from __future__ import annotations

import asyncio
import time

import pytest

from servicegap.time_limit import TimeLimit


def test_what_ends_in_time_is_left_alone_however_much_time_all_of_it_takes() -> None:
    async def several() -> int:
        limit = TimeLimit(0.05)
        done = 0
        for _ in range(10):
            with limit:
                await asyncio.sleep(0.01)
            done += 1
        return done

    assert asyncio.run(several()) == 10


def test_what_hangs_ends_after_its_own_time_and_the_next_is_tried() -> None:
    async def hangs_twice() -> list[float]:
        limit = TimeLimit(0.05)
        took = []
        with limit:
            await asyncio.sleep(0.03)
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(TimeoutError), limit:
                await asyncio.sleep(60)
            took.append(time.monotonic() - began)
        with limit:  # the task is well
            await asyncio.sleep(0)
        return took

    assert all(0.045 <= seconds < 5 for seconds in asyncio.run(hangs_twice()))


def test_between_uses_nothing_is_cancelled() -> None:
    async def idles() -> str:
        limit = TimeLimit(0.01)
        with limit:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        with limit:
            await asyncio.sleep(0)
        return "done"

    assert asyncio.run(idles()) == "done"


def test_a_task_that_is_cancelled_from_outside_ends_as_cancelled() -> None:
    async def watched() -> bool:
        async def hangs() -> None:
            limit = TimeLimit(60)
            with limit:
                await asyncio.sleep(60)

        task = asyncio.create_task(hangs())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        return task.cancelled()

    assert asyncio.run(watched())


def test_cancelled_from_outside_and_over_time_at_once_is_cancelled() -> None:
    async def watched() -> bool:
        async def hangs() -> None:
            with TimeLimit(0):
                await asyncio.sleep(60)

        task = asyncio.create_task(hangs())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.wait((task,))
        return task.cancelled()

    assert asyncio.run(watched())


def test_another_error_stays_what_it_is() -> None:
    async def fails() -> None:
        with TimeLimit(60):
            raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        asyncio.run(fails())


def test_outside_a_task_there_is_no_limit() -> None:
    async def plain_loop() -> None:
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        raised = loop.create_future()

        def outside() -> None:
            try:
                TimeLimit(1)
            except RuntimeError as error:
                raised.set_result(str(error))

        loop.call_soon(outside)
        assert "for a task" in await raised

    asyncio.run(plain_loop())
