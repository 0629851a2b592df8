"""How likely it is that a sentence is one of an answer, and not one of a refusal.

A logistic model of the sentence's words and speech acts (serving.json). A response that declines and then
serves has sentences of both kinds; all its words together do not tell it from a refusal that offers other
help.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from servicegap.annotators.logistic import read_logistic
from servicegap.annotators.prompts import STEM, PromptReading
from servicegap.annotators.sentences import Sentence

WEIGHTS: Final = Path(__file__).with_name("serving.json")
_ACTS: Final = ("declines", "lacks", "judges", "apologises", "offers", "lectures", "chats", "urges")
_MOST_SHARED: Final = 3
_LENGTHS: Final = 6  # steps of as many words


def probability(prompt: PromptReading, sentence: Sentence) -> float:
    """Return how likely it is (0 to 1) that the sentence is one of an answer to the prompt."""
    return read_logistic(WEIGHTS).probability(features(prompt, sentence))


def features(prompt: PromptReading, sentence: Sentence) -> set[str]:
    """Return words, pairs of neighbours, and by ``=`` speech acts, length, task and how much is shared."""
    shared = prompt.stems & {word[:STEM] for word in sentence.words}
    return {
        *sentence.terms,
        *(f"={act}" for act in _ACTS if getattr(sentence, act)),
        f"=shares {min(len(shared), _MOST_SHARED)}",
        f"=length {min(len(sentence.words) // _LENGTHS, _LENGTHS)}",
        f"=task {prompt.task}",
    }
