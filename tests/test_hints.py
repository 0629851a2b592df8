"""What patterns are tried on: no find in the project's own examples is passed over for want of a hint."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from servicegap.annotators import hints, lexicon
from servicegap.annotators.prompts import normal
from servicegap.annotators.sentences import WORD, Sentence, split

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
own = importlib.import_module("own_examples")

TEXTS = [normal(example.response) for example in own.read_examples()[::5]]


@pytest.fixture(scope="module")
def sentences() -> list[Sentence]:
    return [sentence for text in TEXTS for sentence in split(text)]


@pytest.mark.parametrize(
    ("act", "pattern"),
    [
        ("judges", lexicon.JUDGES),
        ("offers", lexicon.OFFERS),
        ("lectures", lexicon.LECTURES),
        ("chats", lexicon.SMALL_TALK),
        ("urges", lexicon.URGES),
        ("sets_right", lexicon.SETS_RIGHT),
    ],
)
def test_sentences_with_an_act_have_a_word_that_hints_at_it(
    act: str, pattern: re.Pattern[str], sentences: list[Sentence]
) -> None:
    found = [sentence for sentence in sentences if pattern.search(sentence.act)]
    assert len(found) > 40
    assert [sentence.act for sentence in found if act not in hints.acts(sentence.words)] == []


@pytest.mark.parametrize(
    ("what", "pattern"),
    [("hedges", lexicon.HEDGES), ("not_real", lexicon.NOT_REAL), ("harm", lexicon.HARM)],
)
def test_texts_that_a_pattern_finds_have_a_string_that_hints_at_it(
    what: str, pattern: re.Pattern[str]
) -> None:
    found = [text for text in TEXTS if pattern.search(text)]
    assert len(found) > 40
    assert [text for text in found if not hints.may(what, text)] == []


@pytest.mark.parametrize("sentence", ["i can do that for you", "the river is deep here and the water cold"])
def test_most_sentences_hint_at_few_acts(sentence: str) -> None:
    assert not hints.acts(WORD.findall(sentence)) & {"judges", "declines", "sets_right", "urges"}


def test_a_negation_alone_hints_at_no_judgement() -> None:
    assert "judges" not in hints.acts(["it", "is", "not", "raining"])
    assert "judges" in hints.acts(["it", "is", "not", "right"])
