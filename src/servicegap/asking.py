"""Asking a model many calls at once: bounded, patient, and kept as they come.

Every call ends as a row, a failed one too. Not here: when rows are committed (arrivals.py), what is asked
and where the rows go (collect.py, annotators/judge_run.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from servicegap.arrivals import Buffer
from servicegap.calls import Call
from servicegap.errors import ModelError
from servicegap.models.protocol import CallError, Model, Reply, Request
from servicegap.records import RETRYABLE, ErrorKind, Response
from servicegap.study import ModelPlan, now
from servicegap.terminal import tell
from servicegap.time_limit import TimeLimit

#: Waits between tries at one call, in seconds: the first, and the longest.
BACKOFF_FIRST, BACKOFF_LONGEST = 1.0, 60.0
#: Waits that a server asks for, in seconds: from where the first is told, and the longest that is granted.
RETRY_AFTER_TOLD, RETRY_AFTER_LONGEST = 30.0, 600.0
#: So many calls rejected, and no other outcome seen: it is the setting that is wrong, not the calls.
REJECTED_AT_FIRST = 20


@dataclass(frozen=True, slots=True)
class Ended:
    """Whether a signal stopped the asking, and what else ended it before all was asked."""

    stopped: bool
    problem: str | None


class LastAttempt(Protocol):
    """What must be known of the last attempt at a call."""

    attempt: int
    error_kind: ErrorKind | None


def still_to_ask(planned: Sequence[Call], last: Mapping[str, LastAttempt]) -> list[Call]:
    """Return the calls that are not asked yet, or whose last attempt failed.

    They come in an order that looks random but is always the same, so that asking that is cut short, or a
    server that changes meanwhile, falls on all groups alike.
    """
    calls = []
    for call in planned:
        found = last.get(call.id)
        if found is None:
            calls.append(call)
        elif found.error_kind in RETRYABLE:
            calls.append(replace(call, attempt=found.attempt + 1))
    # What failed before comes last, so that it is not what the first call tries the server with.
    return sorted(calls, key=lambda call: (call.attempt, call.sample, call.id))


def run_until_stopped(work: Coroutine[Any, Any, Ended]) -> Ended:
    """Run `work` in an event loop of its own; Ctrl-C and SIGTERM cancel it, so that it tidies up and ends."""

    async def watched() -> Ended:
        task = asyncio.ensure_future(work)
        with _on_signals(task.cancel):
            await asyncio.wait((task,))
        return Ended(stopped=True, problem=None) if task.cancelled() else task.result()

    return asyncio.run(watched())


@contextlib.asynccontextmanager
async def opened(model: Model) -> AsyncIterator[dict[str, Any]]:
    """Open a model for a while; give what is known of it."""
    described = await model.open()
    try:
        yield described
    finally:
        await model.close()


async def ask_calls(model: Model, plan: ModelPlan, calls: Sequence[Call], buffer: Buffer) -> Ended:
    """Ask all calls of an open model; every row that came is committed when this returns.

    Where the first calls are all rejected, none is kept: those would be final, and the rest no better.

    Parameters
    ----------
    model : Model
    plan : ModelPlan
        How patiently it is asked: seconds for each call, and retries.
    calls : sequence of Call
        At least one.
    buffer : Buffer
        Where the rows go.

    Returns
    -------
    Ended
        ``problem`` = why the rest was not asked, in words: the model cannot answer as it is configured,
        or call after call failed.
    """
    try:
        await _ask_all(model, plan, calls, buffer)
        buffer.flush(final=True)
    except ModelError as error:
        return Ended(stopped=False, problem=str(error))
    finally:
        buffer.flush()
    return Ended(stopped=False, problem=None)


async def _ask_all(model: Model, plan: ModelPlan, calls: Sequence[Call], buffer: Buffer) -> None:
    # The first call goes alone: a wrong address, key or model name then costs one call, not all.
    await _probe(model, plan, calls[0], buffer)
    waiting = iter(calls[1:])

    async def work() -> None:
        limit = TimeLimit(plan.timeout)
        for call in waiting:
            response = await _ask(model, plan, call, plan.retries, limit, buffer)
            buffer.add(response)
            _end_if_hopeless(plan, buffer, response, model.concurrency)

    workers = [asyncio.create_task(work()) for _ in range(min(model.concurrency, len(calls)))]
    flusher = asyncio.create_task(buffer.flush_often())
    asked = asyncio.gather(*workers)
    try:
        await _until_either_ends(asked, flusher)
    finally:
        # Cancelling what was gathered cancels the workers.
        asked.cancel()
        flusher.cancel()
        await asyncio.gather(asked, *workers, flusher, return_exceptions=True)


def _end_if_hopeless(plan: ModelPlan, buffer: Buffer, last: Response, workers: int) -> None:
    if buffer.longest_wait > RETRY_AFTER_LONGEST:
        raise ModelError(
            f"{plan.id}: the server asks to wait {buffer.longest_wait:.0f} s, longer than the "
            f"{RETRY_AFTER_LONGEST:.0f} s that are granted; the rest is not asked; "
            "run the command again after that time"
        )
    if buffer.failures_in_a_row >= max(10, workers):
        raise ModelError(
            f"{plan.id}: the last {buffer.failures_in_a_row} calls all failed; "
            "the rest is not asked; see that the server is well and run the command again"
        )
    if buffer.rejected_at_first >= REJECTED_AT_FIRST:
        raise ModelError(
            f"{plan.id}: the first {buffer.rejected_at_first} calls were all rejected ({last.error}); "
            "they are not kept, the rest is not asked; mend what the server names and run the command again"
        )


async def _until_either_ends(tasks: asyncio.Future[list[None]], flusher: asyncio.Task[None]) -> None:
    # The flusher ends only by an error (a full disk, say): then nothing more may be asked.
    done, _ = await asyncio.wait((tasks, flusher), return_when=asyncio.FIRST_COMPLETED)
    for ended in done:
        ended.result()


@contextlib.contextmanager
def _on_signals(stop: Callable[[], object]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    before = {}
    # Windows, and threads that are not the main one, have none: there Python raises KeyboardInterrupt.
    with contextlib.suppress(NotImplementedError, RuntimeError):
        for name in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(name)
            loop.add_signal_handler(name, stop)
            before[name] = handler
    try:
        yield
    finally:
        for name, handler in before.items():
            # Removing alone would leave the system's handling, by which the rest of the command dies mute.
            loop.remove_signal_handler(name)
            signal.signal(name, handler)


async def _probe(model: Model, plan: ModelPlan, call: Call, buffer: Buffer) -> None:
    limit = TimeLimit(plan.timeout)
    response = await _ask(model, plan, call, min(plan.retries, 1), limit, buffer)
    useless = call.attempt == 1 and response.error_kind in ("transport", "malformed")
    if not useless:
        buffer.add(response)
    _end_if_hopeless(plan, buffer, response, model.concurrency)
    if useless:
        raise ModelError(f"{plan.id}: the first call failed: {response.error}")


async def _ask(
    model: Model, plan: ModelPlan, call: Call, retries: int, limit: TimeLimit, buffer: Buffer
) -> Response:
    """Ask one call until it is answered, blocked, tried often enough, or told to wait for too long."""
    request = Request(call.prompt.text, call.condition, call.seed)
    for trial in range(retries + 1):
        began = time.perf_counter()
        try:
            with limit:
                reply = await model.respond(request)
            if reply.served_model:
                buffer.served.add(reply.served_model)
            return _answered(plan, call, reply, time.perf_counter() - began)
        except TimeoutError:
            error = CallError("transport", f"no answer within {plan.timeout:g} s")
        except CallError as raised:
            if raised.stop:
                raise ModelError(f"{plan.id}: {raised}") from raised
            error = raised
        if (
            error.kind not in RETRYABLE
            or not _is_granted(plan, error.retry_after, buffer)
            or trial == retries
        ):
            break
        await asyncio.sleep(_backoff(trial, error.retry_after))
    latency = time.perf_counter() - began
    message = str(error) if trial == 0 else f"{error} (after {trial + 1} tries)"
    return _row(plan, call, latency, error_kind=error.kind, error=message)


def _is_granted(plan: ModelPlan, wait: float | None, buffer: Buffer) -> bool:
    """Return whether a server gets the wait that it asks for; tell the first long one."""
    if wait is None:
        return True
    if buffer.longest_wait < RETRY_AFTER_TOLD <= wait <= RETRY_AFTER_LONGEST:
        tell(f"{plan.id}: the server asks to wait {wait:.0f} s")
    buffer.longest_wait = max(buffer.longest_wait, wait)
    return wait <= RETRY_AFTER_LONGEST


def _backoff(trial: int, retry_after: float | None) -> float:
    """Return the seconds to wait: what the server asked, and a random part so that calls spread out."""
    # Randomness without a seed: it moves the calls in time only, never what is asked.
    spread = random.random()
    if retry_after is not None:
        return retry_after + spread * min(retry_after, BACKOFF_FIRST)
    longest: float = min(BACKOFF_LONGEST, BACKOFF_FIRST * 2**trial)
    return longest * (0.5 + 0.5 * spread)


def _answered(plan: ModelPlan, call: Call, reply: Reply, latency: float) -> Response:
    kind: ErrorKind | None = None
    error = None
    if not reply.text.strip():
        kind, error = "empty", "the answer is empty"
    elif reply.finish_reason == "length":
        kind, error = "truncated", "the answer was cut at max_tokens"
    return _row(plan, call, latency, reply=reply, error_kind=kind, error=error)


def _storable(text: str) -> str:
    """Replace what no database takes: halves of characters, and the character NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _row(
    plan: ModelPlan,
    call: Call,
    latency: float,
    *,
    reply: Reply | None = None,
    error_kind: ErrorKind | None = None,
    error: str | None = None,
) -> Response:
    return Response(
        id=call.id,
        attempt=call.attempt,
        prompt=call.prompt.id,
        model=plan.id,
        condition=call.condition.id,
        settings=call.settings,
        sample=call.sample,
        seed=call.seed,
        text=_storable(reply.text) if reply else None,
        finish_reason=reply.finish_reason if reply else None,
        prompt_tokens=reply.prompt_tokens if reply else None,
        completion_tokens=reply.completion_tokens if reply else None,
        latency=latency,
        error_kind=error_kind,
        error=_storable(error) if error else None,
        created=now(),
        logprobs=reply.logprobs if reply else None,
    )
