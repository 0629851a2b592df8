"""The stage *collect*: prompts x models x conditions x samples -> responses, durable and resumable.

Every call ends as a row, a failed one too. Rows are committed at the latest 0.2 s or 200 rows after
they arrived, so that a killed collection loses, and its re-run repeats, at most those and the calls in
the air. How a model is asked is in models/; how a response is judged in annotators/.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.calls import Call, planned_calls
from servicegap.errors import ModelError
from servicegap.models import create_model
from servicegap.models.protocol import CallError, Model, Reply, Request, TokenCounter
from servicegap.provenance import end_run, start_run
from servicegap.records import RETRYABLE, ErrorKind, Prompt, Response
from servicegap.store import Store, latest_responses, read_meta, write_meta, write_responses
from servicegap.study import ModelPlan, Study, now, only_one
from servicegap.tables import SIGNALS

FLUSH_SECONDS = 0.2
FLUSH_ROWS = 200
#: Waits between tries at one call, in seconds: the first, and the longest.
BACKOFF_FIRST, BACKOFF_LONGEST = 1.0, 60.0
#: The longest wait that a server is granted, in seconds; a re-run asks again later.
RETRY_AFTER_LONGEST = 600.0


@dataclass(slots=True)
class Progress:
    """How far the collection from one model is."""

    model: str
    total: int
    done: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Calls a second, so far."""
        return self.done / max(time.monotonic() - self.started, 1e-9)


@dataclass(frozen=True, slots=True)
class Collected:
    """How a collection ended: calls planned, final, failed, and not asked.

    Final calls are answered, blocked by a filter, or ``rejected``: refused by the server, with no text.
    """

    planned: int
    stored: int
    failed: int
    unasked: int
    stopped: bool
    problem: str | None = None
    rejected: int = 0

    @property
    def answered(self) -> int:
        """Final calls without the rejected ones."""
        return self.stored - self.rejected


Watch = Callable[[Progress], None]


def collect(study: Study, store: Store, prompts: Sequence[Prompt], watch: Watch | None = None) -> Collected:
    """Ask every model of the study what has not been answered yet.

    Parameters
    ----------
    study : Study
    store : Store
    prompts : sequence of Prompt
        The design.
    watch : callable, optional
        Called with a Progress whenever rows were committed.

    Raises
    ------
    StudyError
        If another collector is at work on the study.
    ModelError
        If a model cannot be asked at all; what was collected before stays.
    """
    planned = _planned(study, prompts)
    with only_one(study, "collector"):
        stopped = False
        problem = None
        for plan in study.plan.models:
            calls = _pending(plan, planned[plan.id], store)
            if calls:
                ended = asyncio.run(_collect_from(study, plan, calls, store, watch or _ignore))
                stopped, problem = ended.stopped, problem or ended.problem
            if stopped:
                break
    return _counted(planned, store, stopped=stopped, problem=problem)


def count_collected(study: Study, store: Store, prompts: Sequence[Prompt]) -> Collected:
    """Count what is stored of the calls that the plan asks."""
    return _counted(_planned(study, prompts), store, stopped=False, problem=None)


def _planned(study: Study, prompts: Sequence[Prompt]) -> dict[str, list[Call]]:
    return {model.id: list(planned_calls(study, model.id, prompts)) for model in study.plan.models}


def _pending(plan: ModelPlan, planned: Sequence[Call], store: Store) -> list[Call]:
    """Return the calls to a model that are not asked yet, or whose last attempt failed.

    They come in an order that looks random but is always the same, so that a collection that is cut
    short, or a server that changes meanwhile, falls on all groups alike.
    """
    latest = latest_responses()
    query = sa.select(latest.c.id, latest.c.attempt, latest.c.error_kind).where(latest.c.model == plan.id)
    with store.reading() as connection:
        found = {row.id: row for row in connection.execute(query)}
    calls = []
    for call in planned:
        last = found.get(call.id)
        if last is None:
            calls.append(call)
        elif last.error_kind in RETRYABLE:
            calls.append(replace(call, attempt=last.attempt + 1))
    # What failed before comes last, so that it is not what the first call tries the server with.
    return sorted(calls, key=lambda call: (call.attempt, call.sample, call.id))


def _counted(
    planned: Mapping[str, Sequence[Call]], store: Store, *, stopped: bool, problem: str | None
) -> Collected:
    latest = latest_responses()
    with store.reading() as connection:
        kinds = {row[0]: row[1] for row in connection.execute(sa.select(latest.c.id, latest.c.error_kind))}
    ids = [call.id for calls in planned.values() for call in calls]
    failed = sum(kinds.get(id_) in RETRYABLE for id_ in ids)
    unasked = sum(id_ not in kinds for id_ in ids)
    rejected = sum(kinds.get(id_) == "rejected" for id_ in ids)
    return Collected(len(ids), len(ids) - failed - unasked, failed, unasked, stopped, problem, rejected)


def _freeze_plan(connection: Connection, study: Study) -> None:
    # From here on a changed plan of analysis is visible: the report compares with this.
    if read_meta(connection, "plan_at_first_collection") is None:
        write_meta(connection, "plan_at_first_collection", study.plan.plan.model_dump_json())
        write_meta(connection, "first_collection", now())


def _ignore(_progress: Progress) -> None:
    pass


class _Buffer:
    """Rows that arrived and are not committed yet."""

    def __init__(self, study: Study, store: Store, progress: Progress, watch: Watch) -> None:
        self._study = study
        self._store = store
        self._progress = progress
        self._watch = watch
        self._rows: list[Response] = []
        self._frozen = False
        #: What the server called the model in its answers: more than one name means it changed.
        self.served: set[str] = set()
        #: Failures in a row, over all workers: a server that is gone shows here.
        self.failures_in_a_row = 0

    def add(self, response: Response) -> None:
        self._rows.append(response)
        self._progress.done += 1
        self._progress.failed += response.failed
        self.failures_in_a_row = self.failures_in_a_row + 1 if response.failed else 0
        if len(self._rows) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            with self._store.writing() as connection:
                if not self._frozen:
                    _freeze_plan(connection, self._study)
                write_responses(connection, self._rows)
            self._frozen = True
            self._rows.clear()
            self._watch(self._progress)

    async def flush_often(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()


@dataclass(frozen=True, slots=True)
class _Ended:
    stopped: bool
    problem: str | None


async def _collect_from(
    study: Study, plan: ModelPlan, calls: Sequence[Call], store: Store, watch: Watch
) -> _Ended:
    model = create_model(plan.id, base_url=plan.base_url, concurrency=plan.concurrency)
    async with _opened(model) as described:
        run = start_run(
            store,
            study,
            plan,
            {**described, "concurrency": model.concurrency, **await _signal_tokens(model, store)},
        )
        buffer = _Buffer(study, store, Progress(plan.id, len(calls)), watch)
        problem = None
        try:
            stopped = await _ask_all(model, plan, calls, buffer)
        except ModelError as error:
            stopped, problem = False, str(error)
        finally:
            buffer.flush()
            end_run(store, run, buffer.served)
    return _Ended(stopped, problem)


async def _signal_tokens(model: Model, store: Store) -> dict[str, Any]:
    """Count the tokens of each signal where the model can: very uneven ones are reported."""
    if not isinstance(model, TokenCounter):
        return {}
    with store.reading() as connection:
        signals = connection.execute(sa.select(SIGNALS.c.text)).scalars().all()
    return {"signal_tokens": dict(zip(signals, await model.count_tokens(signals), strict=True))}


@contextlib.asynccontextmanager
async def _opened(model: Model) -> AsyncIterator[dict[str, Any]]:
    described = await model.open()
    try:
        yield described
    finally:
        await model.close()


async def _ask_all(model: Model, plan: ModelPlan, calls: Sequence[Call], buffer: _Buffer) -> bool:
    """Ask all calls; return whether a signal stopped it."""
    # The first call goes alone: a wrong address, key or model name then costs one call, not all.
    await _probe(model, plan, calls[0], buffer)
    waiting = iter(calls[1:])
    limit = max(10, model.concurrency)

    async def work() -> None:
        for call in waiting:
            buffer.add(await _ask(model, plan, call, plan.retries, buffer.served))
            if buffer.failures_in_a_row >= limit:
                raise ModelError(
                    f"{plan.id}: the last {buffer.failures_in_a_row} calls all failed; "
                    "the rest is not asked; see that the server is well and run the command again"
                )

    workers = [asyncio.create_task(work()) for _ in range(min(model.concurrency, len(calls)))]
    flusher = asyncio.create_task(buffer.flush_often())
    tasks = asyncio.gather(*workers)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        tasks.cancel()

    try:
        with _on_signals(stop):
            await _until_either_ends(tasks, flusher)
    except asyncio.CancelledError:
        if not stopped:
            raise
    finally:
        for task in (*workers, flusher):
            task.cancel()
        await asyncio.gather(*workers, flusher, return_exceptions=True)
    return stopped


async def _until_either_ends(tasks: asyncio.Future[list[None]], flusher: asyncio.Task[None]) -> None:
    # The flusher ends only by an error (a full disk, say): then nothing more may be asked.
    done, _ = await asyncio.wait((tasks, flusher), return_when=asyncio.FIRST_COMPLETED)
    for ended in done:
        ended.result()


@contextlib.contextmanager
def _on_signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    names = (signal.SIGINT, signal.SIGTERM)
    for name in names:
        loop.add_signal_handler(name, stop)
    try:
        yield
    finally:
        for name in names:
            loop.remove_signal_handler(name)


async def _probe(model: Model, plan: ModelPlan, call: Call, buffer: _Buffer) -> None:
    response = await _ask(model, plan, call, min(plan.retries, 1), buffer.served)
    if call.attempt == 1 and response.error_kind in ("transport", "malformed"):
        raise ModelError(f"{plan.id}: the first call failed: {response.error}")
    buffer.add(response)


async def _ask(model: Model, plan: ModelPlan, call: Call, retries: int, served: set[str]) -> Response:
    """Ask one call until it is answered, blocked, or tried often enough."""
    request = Request(call.prompt.text, call.condition, call.seed)
    for trial in range(retries + 1):
        began = time.perf_counter()
        try:
            async with asyncio.timeout(plan.timeout):
                reply = await model.respond(request)
            if reply.served_model:
                served.add(reply.served_model)
            return _answered(plan, call, reply, time.perf_counter() - began)
        except TimeoutError:
            error = CallError("transport", f"no answer within {plan.timeout:g} s")
        except CallError as raised:
            if raised.stop:
                raise ModelError(f"{plan.id}: {raised}") from raised
            error = raised
        if error.kind not in RETRYABLE or trial == retries:
            break
        await asyncio.sleep(_backoff(trial, error.retry_after))
    latency = time.perf_counter() - began
    message = str(error) if trial == 0 else f"{error} (after {trial + 1} tries)"
    return _row(plan, call, latency, error_kind=error.kind, error=message)


def _backoff(trial: int, retry_after: float | None) -> float:
    """Return the seconds to wait: what the server asked, and a random part so that calls spread out."""
    # Randomness without a seed: it moves the calls in time only, never what is asked.
    spread = random.random()
    if retry_after is not None:
        return min(retry_after, RETRY_AFTER_LONGEST) + spread * min(retry_after, BACKOFF_FIRST)
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
