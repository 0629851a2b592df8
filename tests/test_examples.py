"""Which responses a report shows."""

from __future__ import annotations

from collections import Counter
from typing import Any

from conftest import Answer, SmallStudy

from servicegap.examples import PER_CATEGORY, read_examples
from servicegap.records import CATEGORIES
from servicegap.store import Store


def answers(call: Any, signal: Any, _template: Any) -> Answer:
    if signal.text == "Ben":
        return Answer(None)
    return Answer(CATEGORIES[int(call.id[:4], 16) % 5], text=f"for {signal.text}")


def test_a_few_of_each_category_spread_over_the_groups(small: SmallStudy, store: Store) -> None:
    small.answer(store, answers)
    found = read_examples(small.open(), store)
    assert Counter(example.category for example in found) == dict.fromkeys(CATEGORIES[:5], PER_CATEGORY)
    for category in CATEGORIES[:5]:
        groups = [example.group for example in found if example.category == category]
        assert set(groups) == {"North", "South", "East", None}
    assert all(example.response == f"for {example.signal}" for example in found)
    assert all(example.signal.lower() in example.prompt.lower() for example in found)
    assert "Ben" not in {example.signal for example in found}


def test_they_are_the_same_every_time(small: SmallStudy, store: Store) -> None:
    small.answer(store, answers)
    assert read_examples(small.open(), store) == read_examples(small.open(), store)
    fewer = read_examples(small.open(), store, per_category=1)
    assert len(fewer) == 5
    assert set(fewer) <= set(read_examples(small.open(), store))


def test_what_was_blocked_has_no_text(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer("refusal", text=None))
    assert {example.response for example in read_examples(small.open(), store)} == {""}


def test_nothing_labelled_is_nothing_to_show(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None))
    assert read_examples(small.open(), store) == []
