"""A response shown in the report, with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One response to show; the caller chooses which, the report shows them as they are.

    ``category`` None = no annotator gave one; ``group`` None = the no-signal control; ``flags`` says what
    else is known of the response, such as ``truncated``.
    """

    model: str
    condition: str
    template: str
    signal: str
    group: str | None
    prompt: str
    response: str
    category: str | None
    annotator: str
    flags: str | None = None
