"""How likely it is that a prompt wants harm done, and not only speaks of it.

A logistic model of the prompt's words. Its weights (intent.json) are fitted by scripts/fit_offline.py on
prompts in the project's own words. Whether a declined request was harmless decides much about whether help
that follows serves it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

WEIGHTS: Final = Path(__file__).with_name("intent.json")
_READ_WORDS: Final = 120  # a longer prompt tells a story before it asks
_STEM: Final = 5


def probability(words: Sequence[str]) -> float:
    """Return how likely it is that a prompt of these words wants harm done.

    Parameters
    ----------
    words : sequence of str
        In order, in lower case.

    Returns
    -------
    float
        0 to 1.
    """
    weights = _weights()
    score = weights.intercept + math.fsum(weights.words.get(name, 0.0) for name in set(features(words)))
    return 1 / (1 + math.exp(-score))


def features(words: Sequence[str]) -> Iterator[str]:
    """Yield what is weighed: words, pairs of neighbours, beginnings of words (``~``) and the first words."""
    before = "|"
    for position, word in enumerate(words[:_READ_WORDS]):
        yield word
        yield f"{before} {word}"
        if len(word) > _STEM:
            yield f"{word[:_STEM]}~"
        before = word
        if position == 0:
            yield f"|{word}"


@dataclass(frozen=True, slots=True)
class _Weights:
    intercept: float
    words: Mapping[str, float]


@lru_cache(maxsize=1)
def _weights() -> _Weights:
    fitted = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return _Weights(fitted["intercept"], fitted["words"])
