"""The fitted weights of the default annotator, read once from their files.

A word, or a pair of words, has one number, so that it is looked up once and not for each of its weights: in a
sentence that may serve (serving.py), and at each place of a response (features.py). The files are written by
scripts/fit_offline.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, repeat
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np

from servicegap.annotators import serving
from servicegap.annotators.features import WORD_PLACES, Features, WordPlace
from servicegap.annotators.logistic import Floats, read_logistic
from servicegap.annotators.prompts import PromptReading
from servicegap.annotators.sentences import Sentence

WEIGHTS: Final = Path(__file__).with_name("weights.json")

PromptKind = Literal["blank", "other"]
PROMPT_KINDS: Final[tuple[PromptKind, ...]] = get_args(PromptKind)


@dataclass(frozen=True, slots=True)
class Multinomial:
    """A multinomial logistic model of facts and words.

    Attributes
    ----------
    intercept : array of float, shape (6,)
    rows : mapping of str to int
        The row of each fact in ``of_facts``.
    of_facts : array of float, shape (n_facts, 6)
    of_words : mapping of WordPlace to array of float, shape (n_numbers + 1, 6)
        The weights of words and pairs at a place, by their numbers; 0 where they have none, as number 0 has.
    """

    intercept: Floats
    rows: Mapping[str, int]
    of_facts: Floats
    of_words: Mapping[WordPlace, Floats]

    def scores(self, facts: Features, words: Mapping[WordPlace, set[int]]) -> Floats:
        """Return a score for each category; ``words`` has the numbers at each place."""
        known = [(row, value) for name, value in facts.items() if (row := self.rows.get(name)) is not None]
        rows, values = zip(*known, strict=True)
        total = self.intercept + np.array(values) @ self.of_facts[list(rows)]
        for place, numbers in words.items():
            total += np.add.reduce(self.of_words[place].take(list(numbers), 0))
        return np.asarray(total)


@dataclass(frozen=True, slots=True)
class Weights:
    """All fitted weights of prompts and responses.

    Attributes
    ----------
    numbers : mapping of str to int
        Of all that is weighed but facts, from 1; 0 stands for what has no weight.
    of_serving : array of float, shape (n_numbers + 1,)
    serving_intercept : float
    by_kind : mapping of PromptKind to Multinomial
    """

    numbers: Mapping[str, int]
    of_serving: Floats
    serving_intercept: float
    by_kind: Mapping[PromptKind, Multinomial]

    def numbers_of(self, names: Iterable[str]) -> set[int]:
        """Return the numbers of what is weighed; 0 is among them if some of it has none."""
        # Sets of words are in another order in each process, and sums would differ by it.
        return set(map(self.numbers.get, names, repeat(0)))

    def likely_to_serve(
        self, prompt: PromptReading, sentences: Sequence[Sentence], words: Sequence[set[int]]
    ) -> list[float]:
        """Return how likely it is (0 to 1) that each sentence is one of an answer to the prompt.

        ``words`` has the numbers of each sentence's words and pairs.
        """
        if not sentences:
            return []
        found = [
            [*of_words, *self.numbers_of(serving.signs(prompt, sentence))]
            for sentence, of_words in zip(sentences, words, strict=True)
        ]
        begins = [0, *accumulate(map(len, found[:-1]))]
        scores = np.add.reduceat(self.of_serving[list(chain.from_iterable(found))], begins)
        shares: list[float] = (1 / (1 + np.exp(-self.serving_intercept - scores))).tolist()
        return shares


@lru_cache(maxsize=1)
def read_weights() -> Weights:
    """Read all fitted weights, once."""
    fitted = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    of_serving = read_logistic(serving.WEIGHTS)
    words = {kind: _by_place(fitted[kind]["words"]) for kind in PROMPT_KINDS}
    every = chain(of_serving.weights, *(at for by_place in words.values() for at in by_place.values()))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(every), start=1)}
    return Weights(
        numbers,
        _by_number(of_serving.weights, numbers),
        of_serving.intercept,
        {
            kind: Multinomial(
                np.array(fitted[kind]["intercept"]),
                {name: row for row, name in enumerate(fitted[kind]["facts"])},
                np.array(list(fitted[kind]["facts"].values())),
                {place: _by_number(at, numbers) for place, at in words[kind].items()},
            )
            for kind in PROMPT_KINDS
        },
    )


def _by_place(weights: Mapping[str, Sequence[float]]) -> dict[WordPlace, dict[str, Sequence[float]]]:
    """Return the weights of words and pairs, which have their place before them, by that."""
    found: dict[WordPlace, dict[str, Sequence[float]]] = {place: {} for place in WORD_PLACES}
    for name, values in weights.items():
        place: WordPlace = next((mark for mark in WORD_PLACES if mark == name[0]), "")
        found[place][name.removeprefix(place)] = values
    return found


def _by_number(weights: Mapping[str, float | Sequence[float]], numbers: Mapping[str, int]) -> Floats:
    values = np.array(list(weights.values()))
    found = np.zeros((len(numbers) + 1, *values.shape[1:]))
    found[[numbers[name] for name in weights]] = values
    return found
