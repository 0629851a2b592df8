"""What is found once for a word, and where a text's words come from."""

from __future__ import annotations

import pytest

from servicegap.annotators.kept import Kept
from servicegap.annotators.sentences import WORD, split, words_of


def test_a_word_is_asked_for_once_until_there_are_too_many() -> None:
    asked = list[str]()

    def find(word: str) -> int:
        asked.append(word)
        return len(word)

    kept = Kept(find, most=2)
    assert [kept[word] for word in ("one", "three", "one", "three")] == [3, 5, 3, 5]
    assert asked == ["one", "three"]
    assert [kept["seven"], kept["one"]] == [5, 3]
    assert asked == ["one", "three", "seven", "one"]


@pytest.mark.parametrize(
    "text",
    [
        "", "...", "one. two! three?", 'he said "no way" and left. so did i.', "[name] ran, but i can't.",
        "**bold** words, [blank] and more.", "a line\n- an item\n- it's another", "so it goes. " * 31,
    ],
)  # fmt: skip
def test_words_of_sentences_are_those_of_the_text(text: str) -> None:
    assert words_of(text, split(text)) == WORD.findall(text)
