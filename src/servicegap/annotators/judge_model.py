"""A model held to the form of a judge's answer, as far as its server goes along.

Servers differ in what they take: a JSON schema, log probabilities, both, or neither. The first call finds
out, and what was found is recorded. Not here: what the answer means (judge_reply.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from servicegap.annotators.judge_reply import compact_logprobs
from servicegap.models.protocol import CallError, Model, Reply, Request


@dataclass(frozen=True, slots=True)
class _Way:
    schema: bool
    logprobs: bool


class ConstrainedModel:
    """A model whose answers must follow a schema; where the server rejects that, any text is taken.

    Parameters
    ----------
    model : Model
    schema : mapping
        The JSON schema of the answer.
    """

    def __init__(self, model: Model, schema: Mapping[str, Any]) -> None:
        self.id = model.id
        self.concurrency = model.concurrency
        self._model = model
        self._schema = schema
        # In this order: a label that keeps to the form is worth more than its probability.
        self._ways = [_Way(True, True), _Way(True, False), _Way(False, True), _Way(False, False)]
        self._sent: _Way | None = None

    async def open(self) -> dict[str, Any]:
        """Make the model ready; return what is known of it."""
        return await self._model.open()

    async def respond(self, request: Request) -> Reply:
        """Ask once; again in another way where the server rejects this one and none has worked yet.

        Raises
        ------
        CallError
            If no reply came; its kind says whether asking again can help.
        """
        problem: CallError | None = None
        for way in self._ways_of(request):
            try:
                reply = await self._model.respond(self._in(way, request))
            except CallError as error:
                if error.kind != "rejected":
                    raise
                problem = problem or error
                continue
            self._sent = way
            return replace(reply, logprobs=compact_logprobs(reply.logprobs) if reply.logprobs else None)
        assert problem is not None  # there is always one way at least
        raise problem

    async def close(self) -> None:
        """Release what `open` took."""
        await self._model.close()

    @property
    def taken(self) -> dict[str, bool]:
        """What the server took: ``schema``, ``logprobs``; empty before it has answered."""
        return {} if self._sent is None else {"schema": self._sent.schema, "logprobs": self._sent.logprobs}

    def _ways_of(self, request: Request) -> list[_Way]:
        if self._sent is not None:
            return [self._sent]
        wanted = request.condition.decoding.logprobs is not None
        return [way for way in self._ways if wanted or not way.logprobs]

    def _in(self, way: _Way, request: Request) -> Request:
        condition = request.condition
        if not way.logprobs:
            condition = replace(condition, decoding=replace(condition.decoding, logprobs=None))
        return replace(request, condition=condition, schema=self._schema if way.schema else None)
