"""A judge at work on a study: what is still to ask, about what that costs, the asking, and what came of it.

Replies are kept as they come, before they are read. A judge that is killed is asked again only what is
missing, and what differs by the name alone is asked once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import sqlalchemy as sa

from servicegap.annotators.judge import Judge, JudgeReply, Settled, Texts
from servicegap.annotators.judge_model import ConstrainedModel
from servicegap.arrivals import Buffer, Progress, Watch
from servicegap.asking import Ended, ask_calls, opened, run_until_stopped, still_to_ask
from servicegap.calls import Call
from servicegap.errors import ModelError
from servicegap.models import create_model
from servicegap.provenance import machine, software
from servicegap.records import RETRYABLE
from servicegap.store import Store, latest_judge_calls, read_meta, write_judge_calls, write_meta
from servicegap.study import now
from servicegap.tables import JUDGE_CALLS, META

#: Calls of a local judge computed together: each holds the whole codebook in memory.
_LOCAL_CALLS = 2
#: Tokens of an answer as long as none has been seen: the label alone, and with a reason before it.
_ANSWER_TOKENS, _REASONED_TOKENS = 12, 60
_META_PREFIX = "judge:"


@dataclass(frozen=True, slots=True)
class Cost:
    """About what a judge is going to cost.

    Attributes
    ----------
    judge : str
    responses : int
        Responses to be judged.
    calls : int
        Calls still to make; responses that are the same with their signals masked share theirs.
    prompt_tokens, answer_tokens : int
        About how many tokens all calls take together.
    """

    judge: str
    responses: int
    calls: int
    prompt_tokens: int
    answer_tokens: int

    def __str__(self) -> str:
        return (
            f"{self.judge}: {self.responses} responses to judge, {self.calls} calls to make; about "
            f"{self.prompt_tokens:,} tokens of prompts and {self.answer_tokens:,} of answers"
        )


class JudgeRun:
    """A judge and what it is to judge.

    Parameters
    ----------
    judge : Judge
    store : Store
    responses : mapping of str to Texts
        Response -> its texts, signals masked.
    seed : int
        The study's; each call's is made from it.
    """

    def __init__(self, judge: Judge, store: Store, responses: Mapping[str, Texts], seed: int) -> None:
        self.judge = judge
        self._store = store
        self.responses = responses
        texts = {each.id: each for each in responses.values()}
        self._calls = {id_: judge.calls(each, seed) for id_, each in texts.items()}

    def cost(self) -> Cost:
        """Say about what asking costs; asks nothing."""
        calls = self._pending()
        return Cost(
            judge=self.judge.name,
            responses=len(self.responses),
            calls=len(calls),
            prompt_tokens=sum(map(self.judge.prompt_tokens, calls)),
            answer_tokens=round(len(calls) * self._tokens_of_an_answer()),
        )

    def model(self) -> ConstrainedModel | None:
        """Create the model, None where nothing is left to ask it; opens nothing.

        Raises
        ------
        InputError
            If it cannot be asked as it is written in study.yaml, or its key is missing.
        """
        plan = self.judge.plan
        calls = self._pending()
        if not calls:
            return None
        local = plan.id.startswith("local:")
        model = create_model(
            plan.id,
            base_url=plan.base_url,
            concurrency=plan.concurrency or (_LOCAL_CALLS if local else None),
            key_variable=plan.key_variable,
            context=self.judge.context(calls),
        )
        return ConstrainedModel(model, self.judge.schema)

    def ask(self, model: ConstrainedModel, watch: Watch | None = None) -> Ended:
        """Ask a model what has no final reply yet."""
        try:
            return run_until_stopped(self._ask(model, watch))
        except ModelError as error:  # it could not even be opened; other judges can
            return Ended(stopped=False, problem=f"{self.judge.plan.id}: {error}")

    def settled(self) -> Iterator[tuple[str, Settled]]:
        """Yield each response whose calls are all final, with what they come to."""
        replies = self._replies()
        for response, texts in self.responses.items():
            found = [replies.get(call.id) for call in self._calls[texts.id]]
            final = [reply for reply in found if reply is not None and reply.error_kind not in RETRYABLE]
            if len(final) == len(found):
                yield response, self.judge.settle(texts, final)

    def _pending(self) -> list[Call]:
        with self._store.reading() as connection:
            latest = latest_judge_calls()
            query = sa.select(latest.c.id, latest.c.attempt, latest.c.error_kind)
            rows = connection.execute(query.where(latest.c.settings == self.judge.asked)).all()
        planned = [call for calls in self._calls.values() for call in calls]
        return still_to_ask(planned, {row.id: row for row in rows})

    def _replies(self) -> dict[str, JudgeReply]:
        latest = latest_judge_calls()
        query = sa.select(
            latest.c.id, latest.c.text, latest.c.error_kind, latest.c.error, latest.c.logprobs
        ).where(latest.c.settings == self.judge.asked)
        with self._store.reading() as connection:
            return {row[0]: JudgeReply(*row[1:]) for row in connection.execute(query)}

    def _tokens_of_an_answer(self) -> float:
        query = sa.select(JUDGE_CALLS.c.completion_tokens).where(
            JUDGE_CALLS.c.settings == self.judge.asked, JUDGE_CALLS.c.completion_tokens.is_not(None)
        )
        with self._store.reading() as connection:
            seen = connection.execute(query).scalars().all()
        return fmean(seen) if seen else _REASONED_TOKENS if self.judge.plan.reason else _ANSWER_TOKENS

    async def _ask(self, model: ConstrainedModel, watch: Watch | None) -> Ended:
        calls = self._pending()
        before = self._runs_before()
        run: dict[str, Any] = {"started": now(), "ended": None}
        async with opened(model) as described:
            run |= {"model": described}
            self._note([*before, run])  # now, as a process that is killed notes nothing later
            buffer = Buffer(self._keep, Progress(self.judge.name, len(calls)), watch)
            try:
                return await ask_calls(model, self.judge.plan, calls, buffer)
            finally:
                run |= {"ended": now(), "taken": model.taken, "served_models": sorted(buffer.served)}
                self._note([*before, run])

    def _keep(self, rows: Sequence[Any]) -> None:
        with self._store.writing() as connection:
            write_judge_calls(connection, rows)

    @property
    def _key(self) -> str:
        return _META_PREFIX + self.judge.version

    def _runs_before(self) -> list[dict[str, Any]]:
        with self._store.reading() as connection:
            kept = read_meta(connection, self._key)
        return list(json.loads(kept)["runs"]) if kept else []

    def _note(self, runs: Sequence[dict[str, Any]]) -> None:
        about = {**self.judge.describe(), "software": software(), "machine": machine(), "runs": runs}
        with self._store.writing() as connection:
            write_meta(connection, self._key, json.dumps(about))


def read_judges(store: Store) -> list[dict[str, Any]]:
    """Return what is known of every judge that was asked: instructions, settings, runs, server."""
    query = sa.select(META.c.value).where(META.c.key.startswith(_META_PREFIX)).order_by(META.c.key)
    with store.reading() as connection:
        return [json.loads(value) for value in connection.execute(query).scalars()]
