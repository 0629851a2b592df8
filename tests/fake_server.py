"""A counting, misbehaving server that speaks OpenAI's protocol, for tests and measurements.

In a test::

    async with FakeServer(every={"429": 10}) as server:
        ...  # server.base_url, server.calls, server.counts

As a script: ``python tests/fake_server.py --port 8000 --latency-ms 50 --every 429=10 --every cut=100``
prints its base URL; ``GET /counts`` tells what was asked so far.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any, Self

from aiohttp import web

#: What a call can be met with, beside "ok".
OUTCOMES = (
    "429",
    "429-date",
    "429-ms",
    "quota",
    "500",
    "503",
    "401",
    "403",
    "404",
    "400",
    "unknown-parameter",
    "max-completion-tokens",
    "redirect",
    "html",
    "html-500",
    "not-json",
    "other-shape",
    "error-in-200",
    "cut",
    "hang",
    "filter-azure-prompt",
    "filter-azure-answer",
    "filter-openai",
    "filter-router",
    "empty",
    "null",
    "length",
    "refusal-field",
    "surrogate",
)


class FakeServer:
    """A server on a free loopback port.

    Parameters
    ----------
    latency : float
        Seconds before each answer.
    script : callable, optional
        From the number of the call (0, 1, ...) and its body to what it is met with; "ok" by default.
    every : mapping, optional
        Instead of a script: outcome -> every how many calls it happens.
    answer : callable, optional
        From the body of a call that is met with "ok" to what its answer has in place of the usual: ``text``,
        ``finish``, ``message``, ``choice``.
    retry_after : float
        Seconds asked for with 429 and 503.
    key : str, optional
        The bearer key without which every call is met with 401.
    port : int
        0 = a free one.
    keep : bool
        Whether the bodies and headers of the calls are kept.
    repeats_key : bool
        Whether the caller's Authorization header stands in all that an answer met with "ok" says, and in the
        list of models.

    Attributes
    ----------
    calls : int
        POSTs so far, failed ones too.
    counts : Counter
        How many calls were met with what.
    most_at_once : int
        The largest number of calls in flight.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        script: Callable[[int, dict[str, Any]], str] | None = None,
        every: Mapping[str, int] | None = None,
        answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        retry_after: float = 0.05,
        key: str | None = None,
        port: int = 0,
        keep: bool = True,
        repeats_key: bool = False,
    ) -> None:
        self.latency = latency
        self.retry_after = retry_after
        self.script = script or _every(every or {})
        self.answer = answer or _in_the_form_asked
        self.key = key
        self.port = port
        self.calls = 0
        self.counts: Counter[str] = Counter()
        self.most_at_once = 0
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self._keep = keep
        self._repeats_key = repeats_key
        self._in_flight = 0
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_post("/v1/completions", self._answer)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/counts", self._counts)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        number = self.calls
        self.calls += 1
        self._in_flight += 1
        self.most_at_once = max(self.most_at_once, self._in_flight)
        try:
            body = json.loads(await request.read())
            if self._keep:
                self.bodies.append(body)
                self.headers.append(request.headers)
            outcome = self.script(number, body)
            if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
                outcome = "401"
            self.counts[outcome] += 1
            if self.latency:
                await asyncio.sleep(self.latency)
            return await self._meet(outcome, body, request)
        finally:
            self._in_flight -= 1

    async def _meet(self, outcome: str, body: dict[str, Any], request: web.Request) -> web.StreamResponse:
        if outcome == "ok":
            completion = _completion(body, **self.answer(body))
            if self._repeats_key:
                _say_everywhere(request.headers.get("Authorization", ""), completion)
            return _json(completion)
        if outcome == "hang":
            await asyncio.sleep(3600)
        if outcome == "cut":
            return await _cut(request)
        if outcome in {"429", "429-date", "429-ms", "503"}:
            return self._wait_please(outcome)
        if outcome in _CHANGED:
            return _json(_completion(body, **_CHANGED[outcome]))
        status, content = _ERRORS[outcome]
        if isinstance(content, str):
            return web.Response(status=status, text=content, content_type="text/html")
        if outcome == "401":
            # OpenAI repeats the ends of the refused key; other servers repeat all of it.
            key = request.headers.get("Authorization", "").removeprefix("Bearer ")
            content = {"error": {"message": f"Incorrect API key provided: {key}.", "code": "invalid_api_key"}}
        if outcome == "max-completion-tokens" and "max_completion_tokens" in body:
            return _json(_completion(body))
        if outcome == "redirect":
            return web.Response(status=status, headers={"Location": "/elsewhere"})
        if outcome == "not-json":
            return web.Response(body=b'{"choices": [{"mess')
        return _json(content, status)

    def _wait_please(self, outcome: str) -> web.Response:
        headers = {
            "429": {"Retry-After": f"{self.retry_after:g}"},
            "503": {"Retry-After": f"{self.retry_after:g}"},
            "429-ms": {"retry-after-ms": f"{self.retry_after * 1000:g}", "Retry-After": "7"},
            "429-date": {"Retry-After": formatdate(time.time() + self.retry_after, usegmt=True)},
        }[outcome]
        error = {"error": {"message": "Too many calls.", "type": "requests", "code": "rate_limit_exceeded"}}
        return _json(error, int(outcome[:3]), headers)

    async def _models(self, request: web.Request) -> web.Response:
        said = request.headers.get("Authorization") if self._repeats_key else None
        entry = {"id": "mock-1", "object": "model", "owned_by": said or "tests"}
        return _json({"object": "list", "data": [entry]}, headers={"Server": said} if said else None)

    async def _counts(self, request: web.Request) -> web.Response:
        return _json({"calls": self.calls, "most_at_once": self.most_at_once, "counts": dict(self.counts)})


def _error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


_PAGE = "<html><body><h1>Nothing\nto see here</h1></body></html>"
#: Outcomes that are an answer with something changed.
_CHANGED: dict[str, dict[str, Any]] = {
    "empty": {"text": ""},
    "null": {"text": None},
    "length": {"finish": "length"},
    "surrogate": {"text": "half \ud83d"},
    "refusal-field": {"text": None, "message": {"refusal": "I would rather not."}},
    "filter-azure-answer": {
        "text": "",
        "finish": "content_filter",
        "choice": {
            "content_filter_results": {
                "hate": {"filtered": True, "severity": "medium"},
                "violence": {"filtered": False, "severity": "safe"},
            }
        },
    },
}
_ERRORS: dict[str, tuple[int, Any]] = {
    "quota": (
        429,
        _error("You have used up your quota.", type="insufficient_quota", code="insufficient_quota"),
    ),
    "500": (500, _error("The server had a fault.", type="server_error")),
    "401": (401, None),
    "403": (403, _error("Not allowed for this project.", code="forbidden")),
    "404": (404, _error("The model does not exist.", code="model_not_found")),
    "400": (400, _error("This prompt\nis too " + "long, " * 100, code="context_length_exceeded")),
    "unknown-parameter": (400, _error("Unrecognized request argument supplied: top_k")),
    "max-completion-tokens": (
        400,
        _error(
            "'max_tokens' does not go with this model. Use 'max_completion_tokens' instead.",
            code="unsupported_parameter",
            param="max_tokens",
        ),
    ),
    "redirect": (302, None),
    "html": (200, _PAGE),
    "html-500": (502, _PAGE),
    "not-json": (200, None),
    "other-shape": (200, {"answer": "forty-two"}),
    "error-in-200": (200, _error("Upstream is slow.", code=503)),
    "filter-azure-prompt": (
        400,
        _error(
            "The prompt was stopped by the content policy.",
            code="content_filter",
            param="prompt",
            innererror={"code": "ResponsibleAIPolicyViolation"},
        ),
    ),
    "filter-openai": (400, _error("Refused by the safety system.", code="content_policy_violation")),
    "filter-router": (
        403,
        _error("Flagged.", code=403, metadata={"flagged_input": "...", "reasons": ["hate"]}),
    ),
}


def _completion(
    body: dict[str, Any],
    *,
    text: str | None = "He buys bread.",
    finish: str = "stop",
    message: Mapping[str, Any] | None = None,
    choice: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an answer in OpenAI's shape, with log-probabilities where they were asked for."""
    made: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if "messages" in body:
        made["message"] = {"role": "assistant", "content": text} | dict(message or {})
        if body.get("logprobs"):
            made["logprobs"] = {"content": [{"token": "He", "logprob": -0.5, "top_logprobs": []}]}
    else:
        made["text"] = text
        if body.get("logprobs") is not None:
            made["logprobs"] = {"tokens": ["He"], "token_logprobs": [-0.5]}
    return {
        "id": "x",
        "object": "chat.completion",
        "model": f"{body.get('model')}-2024",
        "system_fingerprint": "fp_1",
        "choices": [made | dict(choice or {})],
        "usage": {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16},
    }


def _say_everywhere(said: str, completion: dict[str, Any]) -> None:
    completion |= {"model": said, "system_fingerprint": said}
    [choice] = completion["choices"]
    choice["finish_reason"] = said
    where = choice.get("message") or choice
    where["content" if "message" in choice else "text"] = f"He buys bread. You sent {said}!"
    if "logprobs" in choice:
        choice["logprobs"] = {"content": [{"token": piece, "logprob": -0.5} for piece in said.split("-")]}


def _in_the_form_asked(body: dict[str, Any]) -> dict[str, Any]:
    """Return a label where the schema of a judge's answer came along: a refusal where somebody is sorry."""
    if "response_format" not in body:
        return {}
    assert body["response_format"]["json_schema"]["schema"]["properties"]["category"]["enum"]
    declines = "sorry" in body["messages"][-1]["content"].lower()
    return {"text": json.dumps({"category": "refusal" if declines else "answer"})}


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(content).encode(), status=status, headers=headers, content_type="application/json"
    )


async def _cut(request: web.Request) -> web.StreamResponse:
    """Announce an answer, send its beginning, and hang up."""
    response = web.StreamResponse(headers={"Content-Length": "5000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.abort()
    return response


def _every(every: Mapping[str, int]) -> Callable[[int, dict[str, Any]], str]:
    unknown = sorted(set(every) - set(OUTCOMES))
    if unknown:
        raise ValueError(f"unknown outcomes {', '.join(unknown)}; allowed: {', '.join(OUTCOMES)}")

    def outcome(number: int, body: dict[str, Any]) -> str:
        return next((name for name, step in every.items() if number % step == step - 1), "ok")

    return outcome


async def _serve(options: argparse.Namespace) -> None:
    every = {name: int(step) for name, _, step in (item.partition("=") for item in options.every)}
    server = FakeServer(
        latency=options.latency_ms / 1000,
        every=every,
        retry_after=options.retry_after,
        port=options.port,
        keep=False,
    )
    async with server:
        print(server.base_url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 = a free one")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--retry-after", type=float, default=0.05, help="seconds asked for with 429 and 503")
    parser.add_argument("--every", action="append", default=[], metavar="OUTCOME=N", help=", ".join(OUTCOMES))
    try:
        asyncio.run(_serve(parser.parse_args()))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
