"""The stage *collect*: prompts x models x conditions x samples -> responses, durable and resumable.

How a model is asked many calls is in asking.py, when rows are committed in arrivals.py, how one call is
made in models/; how a response is judged in annotators/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.arrivals import Buffer, Progress, Watch
from servicegap.asking import Ended, ask_calls, opened, run_until_stopped, still_to_ask
from servicegap.calls import IMPORTED, Call, planned_calls
from servicegap.models import create_model
from servicegap.models.protocol import Model, TokenCounter
from servicegap.provenance import end_run, start_run
from servicegap.records import RETRYABLE, Prompt, Response
from servicegap.store import Store, latest_responses, read_meta, write_meta, write_responses
from servicegap.study import ModelPlan, Study, now, only_one
from servicegap.tables import SIGNALS


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
    InputError
        If the key of a model is missing, say; nothing is asked of any.
    ModelError
        If a model cannot be asked at all; what was collected before stays.
    """
    planned = _planned(study, prompts)
    with only_one(study, "collector", store):
        stopped = False
        problem = None
        pending = {plan: _pending(plan, planned[plan.id], store) for plan in _to_ask(study)}
        models = {plan: _created(plan) for plan, calls in pending.items() if calls}
        for plan, model in models.items():
            ended = run_until_stopped(_collect_from(study, plan, model, pending[plan], store, watch))
            stopped, problem = ended.stopped, problem or ended.problem
            if stopped:
                break
    return _counted(planned, store, stopped=stopped, problem=problem)


def count_collected(study: Study, store: Store, prompts: Sequence[Prompt]) -> Collected:
    """Count what is stored of the calls that the plan asks."""
    return _counted(_planned(study, prompts), store, stopped=False, problem=None)


def _to_ask(study: Study) -> list[ModelPlan]:
    return [plan for plan in study.plan.models if not plan.id.startswith(IMPORTED)]


def _created(plan: ModelPlan) -> Model:
    return create_model(
        plan.id, base_url=plan.base_url, concurrency=plan.concurrency, key_variable=plan.key_variable
    )


def _planned(study: Study, prompts: Sequence[Prompt]) -> dict[str, list[Call]]:
    return {model.id: list(planned_calls(study, model.id, prompts)) for model in study.plan.models}


def _pending(plan: ModelPlan, planned: Sequence[Call], store: Store) -> list[Call]:
    latest = latest_responses()
    query = sa.select(latest.c.id, latest.c.attempt, latest.c.error_kind).where(latest.c.model == plan.id)
    with store.reading() as connection:
        return still_to_ask(planned, {row.id: row for row in connection.execute(query)})


def _counted(
    planned: Mapping[str, Sequence[Call]], store: Store, *, stopped: bool, problem: str | None
) -> Collected:
    latest = latest_responses()
    with store.reading() as connection:
        kinds = {row[0]: row[1] for row in connection.execute(sa.select(latest.c.id, latest.c.error_kind))}
    # Of imported responses those that are there are all that can be.
    ids = [
        call.id
        for model, calls in planned.items()
        for call in calls
        if call.id in kinds or not model.startswith(IMPORTED)
    ]
    failed = sum(kinds.get(id_) in RETRYABLE for id_ in ids)
    unasked = sum(id_ not in kinds for id_ in ids)
    rejected = sum(kinds.get(id_) == "rejected" for id_ in ids)
    return Collected(len(ids), len(ids) - failed - unasked, failed, unasked, stopped, problem, rejected)


def _freeze_plan(connection: Connection, study: Study) -> None:
    # From here on a changed plan of analysis is visible: the report compares with this.
    if read_meta(connection, "plan_at_first_collection") is None:
        write_meta(connection, "plan_at_first_collection", study.plan.plan.model_dump_json())
        write_meta(connection, "first_collection", now())


async def _collect_from(
    study: Study, plan: ModelPlan, model: Model, calls: Sequence[Call], store: Store, watch: Watch | None
) -> Ended:
    async with opened(model) as described:
        run = start_run(
            store,
            study,
            plan,
            {**described, "concurrency": model.concurrency, **await _signal_tokens(model, store)},
        )
        frozen = False

        def keep(rows: Sequence[Response]) -> None:
            nonlocal frozen
            with store.writing() as connection:
                if not frozen:
                    _freeze_plan(connection, study)
                write_responses(connection, rows)
            frozen = True

        buffer = Buffer(keep, Progress(plan.id, len(calls)), watch)
        try:
            return await ask_calls(model, plan, calls, buffer)
        finally:
            end_run(store, run, buffer.served)


async def _signal_tokens(model: Model, store: Store) -> dict[str, Any]:
    """Count the tokens of each signal where the model can: very uneven ones are reported."""
    if not isinstance(model, TokenCounter):
        return {}
    with store.reading() as connection:
        signals = connection.execute(sa.select(SIGNALS.c.text)).scalars().all()
    return {"signal_tokens": dict(zip(signals, await model.count_tokens(signals), strict=True))}
