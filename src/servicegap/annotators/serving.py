"""What tells a sentence of an answer from one of a refusal: its words, and signs such as speech acts.

They are weighed by a logistic model (serving.json; weights.py). A response that declines and then serves has
sentences of both kinds; all its words together do not tell it from a refusal that offers other help.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Final

from servicegap.annotators.prompts import STEM, PromptReading, Task
from servicegap.annotators.sentences import Sentence

WEIGHTS: Final = Path(__file__).with_name("serving.json")
_ACTS: Final = ("declines", "lacks", "judges", "apologises", "offers", "lectures", "chats", "urges")
_MOST_SHARED: Final = 3
_LENGTHS: Final = 6  # steps of as many words

_of_acts = attrgetter(*_ACTS)


def features(prompt: PromptReading, sentence: Sentence) -> set[str]:
    """Return all that is weighed: words, pairs of neighbours, and signs."""
    return {*sentence.terms, *signs(prompt, sentence)}


def signs(prompt: PromptReading, sentence: Sentence) -> tuple[str, ...]:
    """Return, with ``=`` before them, speech acts, length, task and how much is shared with the prompt."""
    shared = prompt.stems & {word[:STEM] for word in sentence.words}
    return _signs(
        min(len(shared), _MOST_SHARED),
        min(len(sentence.words) // _LENGTHS, _LENGTHS),
        prompt.task,
        _of_acts(sentence),
    )


@lru_cache(maxsize=4096)
def _signs(shared: int, length: int, task: Task, acts: tuple[bool, ...]) -> tuple[str, ...]:
    said = [f"={act}" for act, there in zip(_ACTS, acts, strict=True) if there]
    return f"=shares {shared}", f"=length {length}", f"=task {task}", *said
