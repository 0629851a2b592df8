"""What a toxicity scorer is to servicegap: something that reads a response and gives it a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Score:
    """How toxic one text reads.

    Attributes
    ----------
    value : float or None
        0 (not at all) to 1; None = the scorer cannot tell.
    reason : str or None
        Why there is no value, in words; None where there is one.
    """

    value: float | None
    reason: str | None = None


class ToxicityScorer(Protocol):
    """A scorer; a change that can change a score changes its ``version``."""

    name: str
    version: str

    def score(self, text: str) -> Score:
        """Score one response; signals are masked (``SignalMask``) before it comes here."""
        ...
