"""The OpenAI-compatible wire format: what a request looks like, and what an answer means.

Pure functions of bytes and dictionaries. Not here: what a failure means (failures.py), connections,
keys, and when to ask again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from servicegap.models.failures import SUCCESS, Answer, failure, malformed, one_line
from servicegap.models.protocol import CallError, Reply, Request
from servicegap.models.secret import json_without_key, without_key
from servicegap.records import Condition

#: Stands for the prompt's text where a call is written beforehand; no name or system prompt has it.
_TEXT = "\0the prompt\0"


def request_body(model: str, request: Request, tokens_field: str = "max_tokens") -> bytes:
    """Return the JSON of a call; what the condition leaves open is not sent.

    Parameters
    ----------
    model : str
        The model's name at the server.
    request : Request
        The call.
    tokens_field : str
        What the service calls the longest answer; newer OpenAI models ask for
        ``max_completion_tokens``.
    """
    if request.schema is not None:
        return json.dumps(_body(model, request, tokens_field)).encode()
    # A collection sends the same thousands of times but for text and seed: the rest is written once.
    before, after = _written(model, request.condition, tokens_field)
    seed = "" if request.seed is None else f', "seed": {request.seed}'
    return f"{before}{json.dumps(request.text)[1:-1]}{after}{seed}}}".encode()


@functools.lru_cache(maxsize=64)
def _written(model: str, condition: Condition, tokens_field: str) -> tuple[str, str]:
    """Return the JSON of a call before and after the prompt's text, without its last brace."""
    whole = json.dumps(_body(model, Request(_TEXT, condition), tokens_field))
    before, after = whole.split(json.dumps(_TEXT)[1:-1])
    return before, after.removesuffix("}")


def _body(model: str, request: Request, tokens_field: str) -> dict[str, Any]:
    condition = request.condition
    decoding = condition.decoding
    body: dict[str, Any] = {"model": model}
    chat = condition.mode == "chat"
    if chat:
        messages = [{"role": "user", "content": request.text}]
        if condition.system is not None:
            messages.insert(0, {"role": "system", "content": condition.system})
        if condition.prefill is not None:
            messages.append({"role": "assistant", "content": condition.prefill})
        body["messages"] = messages
        if request.schema is not None:
            named = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
    else:
        body["prompt"] = request.text + (condition.prefill or "")
    optional = {
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "top_k": decoding.top_k,
        "min_p": decoding.min_p,
        tokens_field: decoding.max_tokens,
        "stop": list(decoding.stop) or None,
        "seed": request.seed,
    }
    body |= {key: value for key, value in optional.items() if value is not None}
    if decoding.logprobs is not None:
        body["logprobs"] = True if chat else decoding.logprobs
        if chat:
            body["top_logprobs"] = decoding.logprobs
    return body


def read_reply(
    status: int,
    headers: Mapping[str, str],
    raw: bytes,
    request: Request,
    *,
    key: str | None = None,
    answered: bool = False,
) -> Reply:
    """Return the reply in a server's answer.

    A truncated answer (finish reason ``length``) and an empty one are replies too.

    Parameters
    ----------
    status : int
        The HTTP status.
    headers : mapping
        The HTTP headers, in a mapping that ignores case.
    raw : bytes
        The body.
    request : Request
        The call that was made.
    key : str, optional
        The secret that must appear neither in a message nor in the reply, though the server repeats it.
    answered : bool
        Whether the server has given a reply before: then a 403, a 404 or a refused setting concerns
        this call alone, and does not stop the others.

    Raises
    ------
    CallError
        If the answer holds no reply; its kind says why.
    """
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError):
        payload = None
    answer = Answer(status, headers, raw, payload, key)
    if status != SUCCESS:
        raise failure(answer, answered=answered)
    if not isinstance(payload, dict):
        raise malformed(answer, "no JSON object")
    if payload.get("error") and not payload.get("choices"):
        raise failure(answer, answered=answered)
    try:
        return _reply(payload, request, key)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise malformed(answer, "JSON of another shape") from None


def _reply(payload: dict[str, Any], request: Request, key: str | None) -> Reply:
    choice = payload["choices"][0]
    finish = choice.get("finish_reason")
    if isinstance(finish, str) and finish.lower().startswith(("content_filter", "safety")):
        filters = one_line(_flagged(choice), key)
        raise CallError(
            "content_filter", f"the service's content filter stopped the answer {filters}".rstrip()
        )
    prefill = request.condition.prefill
    said = _text(choice)
    text = without_key(said, key)
    # Tokens would spell the key, piece by piece.
    logprobs = choice.get("logprobs") if text == said else None
    if prefill and text.startswith(prefill):
        text = text[len(prefill) :]
    usage = payload.get("usage") or {}
    return Reply(
        text=text,
        finish_reason=without_key(finish, key) if isinstance(finish, str) else None,
        prompt_tokens=_whole(usage.get("prompt_tokens")),
        completion_tokens=_whole(usage.get("completion_tokens")),
        logprobs=_logprobs(logprobs, key),
        served_model=_served(payload.get("model"), payload.get("system_fingerprint"), key),
    )


def _text(choice: dict[str, Any]) -> str:
    """Return the answer's text: of a completion, of a message, or of a message in parts."""
    if "message" not in choice:
        content = choice["text"]
    else:
        message = choice["message"]
        # OpenAI's models may decline in a field of its own: it is what the person would read.
        content = message.get("content") or message.get("refusal")
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    if content is None:
        return ""
    if not isinstance(content, str):
        raise TypeError(content)
    try:
        content.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no database and no file takes
        content = content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return content


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _logprobs(value: object, key: str | None) -> str | None:
    if isinstance(value, dict) and "content" in value:
        value = value["content"]
    return json_without_key(value, key) if value else None


def _served(name: object, fingerprint: object, key: str | None) -> str | None:
    if not isinstance(name, str):
        return None
    served = f"{name} ({fingerprint})" if isinstance(fingerprint, str) and fingerprint else name
    return without_key(served, key)


def _flagged(choice: dict[str, Any]) -> str:
    """Return which filters struck, where the service says so (Azure), in brackets; else nothing."""
    results = choice.get("content_filter_results")
    if not isinstance(results, dict):
        return ""
    names = [name for name, what in results.items() if isinstance(what, dict) and what.get("filtered")]
    return f"({', '.join(names)})" if names else ""
