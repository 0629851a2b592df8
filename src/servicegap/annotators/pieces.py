"""Texts as the pieces of words that the small network reads (network.py).

A word that the list has is one piece; any other is cut into the longest pieces that the list has, from the
left, as BERT's models cut theirs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from servicegap.annotators.kept import Kept

LIST: Final = Path(__file__).with_name("pieces.txt")
LENGTH: Final = 225  # pieces read of a prompt and its response together; odd
_PROMPT_LENGTH: Final = 48
_END_SHARE: Final = 4  # of a response that is too long, a quarter is its end
_LONGEST: Final = 40  # letters; longer strings are not words

START: Final = "[CLS]"
BREAK: Final = "[SEP]"
UNKNOWN: Final = "[UNK]"
_CONTINUES: Final = "##"
_WORD: Final = re.compile(r"[^\W_]+|[^\w\s]|_")


class Pieces:
    """The list of pieces.

    Parameters
    ----------
    listed : sequence of str
        In the order of the network's weights; with ``[CLS]``, ``[SEP]`` and ``[UNK]``, and ``##`` before what
        continues a word.
    """

    def __init__(self, listed: Sequence[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(listed)}
        self._of_word = Kept(self._cut)

    def read_pair(self, prompt: str, response: str) -> tuple[list[int], int]:
        """Return the numbers of the pieces of both texts, and how many belong to the prompt.

        Parameters
        ----------
        prompt, response : str
            In lower case. The first 48 pieces of the prompt are read; of a response that does not fit beside
            it in 225 pieces, the beginning and the end.

        Returns
        -------
        numbers : list of int
            At most 225: the start, the prompt, a break, the response, a break, and one more break where
            their number would be even, since after the start they are read in pairs.
        n_prompt : int
            How many of them are the start, the prompt and the first break.
        """
        asked = self._read(_words(prompt)[:_PROMPT_LENGTH])[:_PROMPT_LENGTH]
        room = LENGTH - len(asked) - 3
        tail = room // _END_SHARE
        words = _words(response)
        said = self._read(words[: room + 1])
        if len(said) > room:
            said = said[: room - tail] + self._read(words[-tail:])[-tail:]
        start, pause = self._numbers[START], self._numbers[BREAK]
        breaks = [pause] * (1 + (len(asked) + len(said)) % 2)
        return [start, *asked, pause, *said, *breaks], len(asked) + 2

    def numbers_in(self, text: str) -> set[int]:
        """Return the numbers of all pieces that a text in lower case has."""
        return set(self._read(_words(text)))

    def _read(self, words: Sequence[str]) -> list[int]:
        return [number for word in words for number in self._of_word[word]]

    def _cut(self, word: str) -> tuple[int, ...]:
        """Return the numbers of a word's pieces, or the one for what is unknown."""
        unknown = (self._numbers[UNKNOWN],)
        if len(word) > _LONGEST:
            return unknown
        found, begin = list[int](), 0
        while begin < len(word):
            before = _CONTINUES if begin else ""
            ends = range(len(word), begin, -1)
            end = next((end for end in ends if before + word[begin:end] in self._numbers), None)
            if end is None:
                return unknown
            found.append(self._numbers[before + word[begin:end]])
            begin = end
        return tuple(found)


@lru_cache(maxsize=1)
def read_list() -> Pieces:
    """Return the list that belongs to the network's weights, read once."""
    return Pieces(LIST.read_text(encoding="utf-8").splitlines())


def _words(text: str) -> list[str]:
    """Return words and marks, without accents."""
    if not text.isascii():
        parts = unicodedata.normalize("NFD", text)
        text = "".join(letter for letter in parts if unicodedata.category(letter) != "Mn")
    return _WORD.findall(text)
