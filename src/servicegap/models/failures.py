"""What it means when an OpenAI-compatible server gives no reply.

Services differ in how they say the same thing; this module alone knows their ways. Not here: what is
done about it (the collector's).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from servicegap.models.protocol import CallError
from servicegap.models.secret import HIDDEN, without_key

SUCCESS = 200
#: The longest message of a server that is passed on, in characters.
MESSAGE_LENGTH = 300
_TRANSIENT = frozenset({408, 409, 425})

#: Error codes (lower case) by which services say that a filter, not the model, declined.
_FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "moderation_blocked",
        "content_blocked",
        "data_inspection_failed",
        "safety",
        "prohibited_content",
    }
)
#: A 429 with one of these is about money, not pace: waiting does not help.
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
#: A 400 with one of these comes back for every prompt.
_SETTING_CODES = frozenset(
    {"unknown_parameter", "unsupported_parameter", "unsupported_value", "model_not_found", "invalid_model"}
)
_UNKNOWN_ARGUMENT = re.compile(r"unrecognized request argument|extra inputs are not permitted", re.I)
_HINTS = {
    401: "the key was refused: check SERVICEGAP_API_KEY (or OPENAI_API_KEY)",
    402: "the account has to be paid: check it with the provider",
    403: "the key may not do this: check the key's rights and the model's name",
    404: "unknown address or model: check the base URL (it usually ends in /v1) and the model's name",
}
#: These are about the key, the account and the model (one can be unloaded meanwhile), whatever was asked.
_OWNER = frozenset({401, 402, 404})
_QUOTA_HINT = "the account's quota is used up: top it up with the provider, then run again"
_SETTING_HINT = "check the model's name and the decoding settings in study.yaml"
_ADDRESS_HINT = "check the base URL (it usually ends in /v1)"
# Services repeat a refused key with stars in the middle; its ends are secret too.
_STARRED = re.compile(r"[^\s'\"]*\*{3,}[^\s'\"]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent back; ``payload`` is its JSON, None where there is none."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    payload: Any
    key: str | None


def failure(answer: Answer, *, answered: bool) -> CallError:
    """Return the error that an answer without a reply stands for.

    Parameters
    ----------
    answer : Answer
        An answer with another status than 200, or with an error object.
    answered : bool
        Whether the server has given a reply before.
    """
    error = _error(answer.payload)
    codes = _codes(error)
    status = _meant_status(answer.status, error)
    said = one_line(_message(error) or _beginning(answer), answer.key)
    text = f"HTTP {answer.status}: {said}"
    if codes & _FILTER_CODES or _moderated(error):
        return CallError("content_filter", text)
    if status == 429 and codes & _QUOTA_CODES:
        return CallError("rejected", f"{text}; {_QUOTA_HINT}", stop=True)
    if status == 429:
        return CallError("rate_limit", text, retry_after(answer.headers))
    if status >= 500 or status in _TRANSIENT:
        return CallError("transport", text, retry_after(answer.headers))
    if status == SUCCESS:
        return CallError("malformed", text)
    if status < 400:
        return CallError("rejected", f"{text}; redirected: {_ADDRESS_HINT}", stop=not answered)
    if status in _HINTS:
        return CallError("rejected", f"{text}; {_HINTS[status]}", stop=status in _OWNER or not answered)
    if codes & _SETTING_CODES or _UNKNOWN_ARGUMENT.search(said):
        return CallError("rejected", f"{text}; {_SETTING_HINT}", stop=not answered)
    return CallError("rejected", text)


def malformed(answer: Answer, what: str) -> CallError:
    """Return the error of an answer that is `what`, with its type and beginning."""
    said = one_line(_beginning(answer), answer.key)
    return CallError("malformed", f"the answer is {what}: {said}; {_ADDRESS_HINT}")


def one_line(text: str, key: str | None) -> str:
    r"""Return a server's words on one line, cut, without the key.

    Examples
    --------
    >>> one_line("Incorrect key\n  sk-ab****yz", None)
    'Incorrect key [key]'
    """
    text = " ".join(_STARRED.sub(HIDDEN, without_key(text, key)).split())
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 1] + "…"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, None where it does not say.

    Read from ``retry-after-ms``, then ``Retry-After`` as seconds or as an HTTP date.
    """
    for field, unit in (("retry-after-ms", 1000.0), ("Retry-After", 1.0)):
        try:
            seconds = float(headers[field]) / unit
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        return max(0.0, parsedate_to_datetime(headers["Retry-After"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError):
        return None


def _error(payload: object) -> dict[str, Any]:
    """Return the error object of a body: OpenAI's, or a plain message of other servers."""
    if not isinstance(payload, dict):
        return {}
    error = payload.get("error")
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else payload


def _message(error: dict[str, Any]) -> str | None:
    for field in ("message", "detail", "msg"):
        if value := error.get(field):
            return value if isinstance(value, str) else json.dumps(value)
    return None


def _codes(error: dict[str, Any]) -> set[str]:
    inner = error.get("innererror")
    values = [error.get("code"), error.get("type")]
    if isinstance(inner, dict):
        values.append(inner.get("code"))
    return {value.lower() for value in values if isinstance(value, str)}


def _moderated(error: dict[str, Any]) -> bool:
    """Whether a router's moderation flagged the prompt (OpenRouter sends 403 with what it flagged)."""
    metadata = error.get("metadata")
    return isinstance(metadata, dict) and "flagged_input" in metadata


def _meant_status(status: int, error: dict[str, Any]) -> int:
    """Return the status that is meant: routers send errors of others with HTTP 200."""
    code = error.get("code")
    return code if status == SUCCESS and isinstance(code, int) and 400 <= code < 600 else status


def _beginning(answer: Answer) -> str:
    kind = answer.headers.get("Content-Type", "no content type")
    # First the key, then the cut: half of a key would not be known again.
    begin = without_key(answer.raw.decode("utf-8", "replace"), answer.key)[:120]
    return f"{kind}, beginning {begin!r}" if begin else f"{kind}, empty body"
