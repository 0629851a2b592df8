"""How likely it is that a prompt wants harm done, and not only speaks of it.

A logistic model of the prompt's words (intent.json), and of what stands before persons, groups and forbidden
things. Whether a declined request was harmless decides much about whether help that follows serves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from servicegap.annotators.logistic import read_logistic
from servicegap.annotators.targets import kinds

WEIGHTS: Final = Path(__file__).with_name("intent.json")
_READ_WORDS: Final = 120  # a longer prompt tells a story before it asks
_STEM: Final = 5
_REACH: Final = 5  # words before a target that may be done to it
_SHORT: Final = 2  # letters; shorter words are not done to anyone


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
    return read_logistic(WEIGHTS).probability(frozenset(features(words)))


def features(words: Sequence[str]) -> Iterator[str]:
    """Yield what is weighed.

    Words, pairs of neighbours, beginnings of words (``~``), the first word (``|``), the kinds of target
    (``@person``) with the words shortly before them (``hurt>@person``), and words of prompts that name no
    person and no group (``hurt>@thing``).
    """
    read = words[:_READ_WORDS]
    before = "|"
    persons = False
    for place, word in enumerate(read):
        yield word
        yield f"{before} {word}"
        if len(word) > _STEM:
            yield f"{word[:_STEM]}~"
        for kind in kinds(word):
            persons = persons or kind != "forbidden"
            yield f"@{kind}"
            yield f"{before} @{kind}"
            for earlier in read[max(0, place - _REACH) : place]:
                if len(earlier) > _SHORT:
                    yield f"{earlier}>@{kind}"
        before = word
    yield from (f"|{word}" for word in words[:1])
    if not persons:
        yield "@thing"
        yield from (f"{word}>@thing" for word in read if len(word) > _SHORT)
