"""What an annotator is to servicegap: something that reads one prompt and response and judges it.

Not here: which responses are annotated, and how annotations are kept (annotate.py, store.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from servicegap.records import CATEGORIES, AnnotatorKind, Category


@dataclass(frozen=True, slots=True)
class Judgement:
    """One annotator's reading of one response.

    Attributes
    ----------
    category : str or None
        One of ``records.CATEGORIES``; None = the annotator abstains.
    probabilities : tuple of float or None
        One for each category, in the order of ``records.CATEGORIES``, summing to 1; None where the
        annotator has none.
    abstain_reason : str or None
        Why there is no category, in words; None where there is one.
    """

    category: Category | None
    probabilities: tuple[float, ...] | None = None
    abstain_reason: str | None = None

    @property
    def confidence(self) -> float | None:
        """Probability (0 to 1) of the chosen category; None without a category or probabilities."""
        if self.category is None or self.probabilities is None:
            return None
        return self.probabilities[CATEGORIES.index(self.category)]


class Named(Protocol):
    """Who labels; a change that can change a label changes the ``version``."""

    @property
    def name(self) -> str:
        """What annotations carry, and study.yaml where it names it."""
        ...

    @property
    def version(self) -> str:
        """Which state of it labelled."""
        ...

    @property
    def kind(self) -> AnnotatorKind:
        """Whether it is a judge, rules or a classifier (``automatic``), ..."""
        ...


class Annotator(Named, Protocol):
    """What reads one prompt and response at a time."""

    def annotate(self, prompt: str, response: str) -> Judgement:
        """Judge one response; signals are masked (``SignalMask``) in both texts before they come here."""
        ...
