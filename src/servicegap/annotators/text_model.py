"""What a fitted annotator knows: weights on the default annotator's probabilities and on words.

Numbers and words alone, so that a file of it is data and no program, and that reading a response needs no
machine learning library. Not here: how the weights are learned (learning.py), folds and files (fitted.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from math import exp, log, sqrt
from operator import mul
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from servicegap.records import CATEGORIES

#: Characters read of a response.
MOST_CHARACTERS = 10_000
#: No category is ever less likely than this.
FLOOR = 0.001

_WORD = re.compile(r"\w[\w'’]*")


def terms(text: str) -> list[str]:
    """Return the words of a text and every two in a row, in lower case.

    Examples
    --------
    >>> terms("I can't help.")
    ['i', "can't", 'help', "i can't", "can't help"]
    """
    words = _WORD.findall(text[:MOST_CHARACTERS].lower())
    return words + [f"{one} {other}" for one, other in pairwise(words)]


def with_floor(probabilities: Sequence[float]) -> list[float]:
    """Return probabilities of which none is below FLOOR, summing to 1."""
    return [FLOOR + p * (1 - FLOOR * len(CATEGORIES)) for p in probabilities]


class TextModel(BaseModel):
    """A multinomial logistic regression, pooled with the default annotator it starts from.

    The pool is p ~ (fitted^share x default^(1 - share))^(1 / temperature).

    Attributes
    ----------
    terms : tuple of str
        Words and pairs of words that have weights.
    idf : (n_terms,) float
        How rare each is among the labelled responses.
    term_scale : float
        What the text's unit vector is multiplied by beside the default's log probabilities.
    categories : tuple of int
        The categories that people gave often enough, as positions in ``records.CATEGORIES``.
    intercept : (n_categories,) float
    default_weights : (n_categories, 6) float
        On the default's log probabilities.
    term_weights : (n_categories, n_terms) float
    share : float
        0 = the default annotator alone, 1 = the regression alone.
    temperature : float
        Above 1 = less sure than the pool, below 1 = surer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    terms: tuple[str, ...]
    idf: tuple[float, ...]
    term_scale: float
    categories: tuple[Annotated[int, Field(ge=0, lt=len(CATEGORIES))], ...] = Field(min_length=2)
    intercept: tuple[float, ...]
    default_weights: tuple[tuple[float, ...], ...]
    term_weights: tuple[tuple[float, ...], ...]
    share: float = Field(ge=0, le=1)
    temperature: float = Field(gt=0)

    @model_validator(mode="after")
    def _lengths_agree(self) -> TextModel:
        n = len(self.categories)
        right = (
            len(self.idf) == len(self.terms)
            and len(self.intercept) == len(self.default_weights) == len(self.term_weights) == n
            and all(len(row) == len(CATEGORIES) for row in self.default_weights)
            and all(len(row) == len(self.terms) for row in self.term_weights)
        )
        if not right:
            raise ValueError("weights, terms and categories differ in number; the file is damaged")
        return self

    @cached_property
    def _place(self) -> dict[str, int]:
        return {term: place for place, term in enumerate(self.terms)}

    def regress(self, default: Sequence[float], text: str) -> list[float]:
        """Return the regression's own probabilities of the six categories, before the pool.

        Categories that it does not know keep those of the default.
        """
        logs = [log(p) for p in with_floor(default)]
        found = self._text_vector(text)
        scores = [
            own + sum(map(mul, weights, logs)) + sum(row[place] * value for place, value in found)
            for own, weights, row in zip(self.intercept, self.default_weights, self.term_weights, strict=True)
        ]
        shares = list(default)
        known = sum(shares[category] for category in self.categories)
        for category, p in zip(self.categories, _softmax(scores), strict=True):
            shares[category] = p * known
        return with_floor(shares)

    def probabilities(self, default: Sequence[float], text: str) -> tuple[float, ...]:
        """Return the probabilities of the six categories.

        Parameters
        ----------
        default : (6,) float
            The default annotator's probabilities for this prompt and response.
        text : str
            The response, signals masked.
        """
        pool = [
            (self.share * log(own) + (1 - self.share) * log(other)) / self.temperature
            for own, other in zip(self.regress(default, text), with_floor(default), strict=True)
        ]
        return tuple(_softmax(pool))

    def _text_vector(self, text: str) -> list[tuple[int, float]]:
        """Return (1 + log count) x rarity of each term, as a vector of length `term_scale`."""
        counts = Counter(place for term in terms(text) if (place := self._place.get(term)) is not None)
        values = [(place, (1 + log(count)) * self.idf[place]) for place, count in counts.items()]
        length = sqrt(sum(value**2 for _, value in values))
        return [(place, value * self.term_scale / length) for place, value in values] if length else []


def _softmax(scores: Sequence[float]) -> list[float]:
    most = max(scores)
    shares = [exp(score - most) for score in scores]
    whole = sum(shares)
    return [share / whole for share in shares]
