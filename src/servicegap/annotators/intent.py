"""How likely it is that a prompt wants harm done, and not only speaks of it.

A logistic model of the prompt's words (intent.json). Whether a declined request was harmless decides much
about whether help that follows serves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from servicegap.annotators.logistic import read_logistic

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
    return read_logistic(WEIGHTS).probability(set(features(words)))


def features(words: Sequence[str]) -> Iterator[str]:
    """Yield what is weighed: words, pairs of neighbours, beginnings of words (``~``) and the first word."""
    before = "|"
    for word in words[:_READ_WORDS]:
        yield word
        yield f"{before} {word}"
        if len(word) > _STEM:
            yield f"{word[:_STEM]}~"
        before = word
    yield from (f"|{word}" for word in words[:1])
