"""What a model is to servicegap: something that takes one request and gives one reply.

Retries, concurrency, timeouts and storage are the collector's; a model only asks and answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from servicegap.errors import ModelError
from servicegap.records import Condition, ErrorKind


@dataclass(frozen=True, slots=True)
class Request:
    """One call: the prompt's text under a condition, with the seed of this sample (None = not sent).

    ``schema`` is the JSON schema that the answer must follow, for servers that can hold a model to one (chat
    alone); None = any text.
    """

    text: str
    condition: Condition
    seed: int | None = None
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from one call.

    ``text`` leaves out the prefilled beginning; ``logprobs`` is the server's own list as JSON;
    ``served_model`` is the model's name as the server gives it, its fingerprint in brackets.
    """

    text: str
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    logprobs: str | None = None
    served_model: str | None = None


class CallError(ModelError):
    """One call gave no reply.

    Parameters
    ----------
    kind : str
        One of ``records.ErrorKind``; it decides whether the call is asked again.
    message : str
        What happened, on one line, without secrets.
    retry_after : float, optional
        Seconds that the server asked to wait.
    stop : bool, optional
        No other call can succeed either until a setting is mended (key refused, quota used up, model
        unknown): better end the collection with this message than keep a final row for every call.
    """

    def __init__(
        self, kind: ErrorKind, message: str, retry_after: float | None = None, *, stop: bool = False
    ) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.retry_after = retry_after
        self.stop = stop


class Model(Protocol):
    """A model under audit.

    ``id`` is what the user wrote, such as ``local:smollm2-135m``; ``concurrency`` how many calls it is
    given at once (the study's number, or else what suits its kind).
    """

    id: str
    concurrency: int

    async def open(self) -> dict[str, Any]:
        """Make ready (start a server, open connections) and return what is known of the model.

        Returns
        -------
        dict
            Provenance, JSON-compatible: what the server says it is, file hash, quantisation, chat
            template, versions; absent = unknown. No secrets.

        Raises
        ------
        ModelError
            If the model can never answer as it is configured, or nothing listens at its address.
        """
        ...

    async def respond(self, request: Request) -> Reply:
        """Ask once.

        Raises
        ------
        CallError
            If no reply came; its kind says whether asking again can help.
        ModelError
            If no call can succeed as the model is configured (a wrong key or model name, no credit
            left): the collection stops, and no row is kept for the call.
        """
        ...

    async def close(self) -> None:
        """Release what `open` took."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """A model that can also say how it splits texts into tokens."""

    @property
    def on_disk(self) -> bool:
        """Whether it is on this machine already, so that opening it fetches nothing."""
        ...

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, in order."""
        ...
