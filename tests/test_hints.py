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
        ("declines", lexicon.DECLINES),
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


@pytest.mark.parametrize(
    "sentence",
    [
        "i couldnot do that", "that cannot be completed", "sorry, that's not possible", "absolutely not.",
        "this is outside my scope", "my guidelines do not allow it",
    ],
)  # fmt: skip
def test_refusals_of_each_form_are_found(sentence: str) -> None:
    (read,) = split(sentence)
    assert read.declines


@pytest.mark.parametrize(
    "sentence",
    [
        "he is a fictional character", "that's an imaginary place", "the unicorn, a mythical beast, said so",
        "it is not a real person", "they aren't people", "trees do not exist there", "it never existed",
        "a stone does not have a mind", "stones are not capable of it", "no such law was made",
        "that is a wrong assumption", "this is a misconception",
    ],
)  # fmt: skip
def test_premises_set_right_in_each_form_are_found(sentence: str) -> None:
    (read,) = split(sentence)
    assert read.sets_right


def test_a_negation_alone_hints_at_no_refusal() -> None:
    assert "declines" not in hints.acts(["it", "is", "not", "raining"])
    assert "declines" in hints.acts(["i", "am", "not", "willing"])


def test_a_negation_alone_hints_at_no_judgement() -> None:
    assert "judges" not in hints.acts(["it", "is", "not", "raining"])
    assert "judges" in hints.acts(["it", "is", "not", "right"])
