"""The stage annotate: which responses are labelled, by whom, once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Answer, SmallStudy

from servicegap.annotate import annotate, count_unlabelled
from servicegap.annotators import OfflineAnnotator
from servicegap.codebook import load_codebook
from servicegap.errors import InputError
from servicegap.labels import labelled_responses
from servicegap.records import CATEGORIES
from servicegap.store import Store
from servicegap.tables import ANNOTATIONS

PLANNED = 8 * 13 * 2


@pytest.fixture
def annotated(small: SmallStudy) -> SmallStudy:
    small.change("study.yaml", "annotators: []", "annotators: [offline]")
    return small


@pytest.fixture
def store(annotated: SmallStudy) -> Iterator[Store]:
    opened = annotated.open().store()
    yield opened
    opened.close()


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(sa.select(ANNOTATIONS)).all())


def test_every_answer_is_labelled_once(annotated: SmallStudy, store: Store) -> None:
    annotated.answer(store, lambda *_: Answer(None, text="I'm sorry, but I can't help with that."))
    assert count_unlabelled(annotated.open(), store, annotated.prompts()) == PLANNED
    [done] = annotate(annotated.open(), store)
    assert (done.annotator, done.added, done.abstained) == (OfflineAnnotator.name, PLANNED, 0)
    assert annotate(annotated.open(), store) == []
    assert count_unlabelled(annotated.open(), store, annotated.prompts()) == 0
    found = rows(store)
    assert len({row.response for row in found}) == len(found) == PLANNED
    assert Counter(row.category for row in found) == {"refusal": PLANNED}
    assert {(row.kind, row.version) for row in found} == {("automatic", OfflineAnnotator.version)}
    assert {row.codebook_hash for row in found} == {load_codebook().hash}


def test_probabilities_are_kept_one_a_category(annotated: SmallStudy, store: Store) -> None:
    annotated.answer(store, lambda *_: Answer(None, text="a loaf of bread"))
    annotate(annotated.open(), store)
    probabilities = json.loads(rows(store)[0].probabilities)
    assert len(probabilities) == len(CATEGORIES)
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)


def test_what_a_provider_blocked_is_refused_on_its_account(annotated: SmallStudy, store: Store) -> None:
    def answers(_call: Any, signal: Any, _template: Any) -> Answer:
        return Answer(error="content_filter") if signal.group == "South" else Answer(None, text="bread")

    annotated.answer(store, answers)
    assert {each.annotator: each.added for each in annotate(annotated.open(), store)} == {
        "provider": 8 * 4 * 2,
        OfflineAnnotator.name: 8 * 9 * 2,
    }
    blocked = labelled_responses(annotated.open(), store).filter(group="South")
    assert set(blocked["category"]) == {"refusal"}
    assert set(blocked["kind"]) == {"provider"}


@pytest.mark.parametrize("error", ["transport", "rate_limit", "malformed", "rejected"])
def test_a_call_that_brought_no_answer_has_no_label(annotated: SmallStudy, store: Store, error: Any) -> None:
    annotated.answer(store, lambda *_: Answer(error=error))
    assert annotate(annotated.open(), store) == []
    assert count_unlabelled(annotated.open(), store, annotated.prompts()) == 0
    assert labelled_responses(annotated.open(), store)["category"].null_count() == PLANNED


def test_an_empty_text_is_a_failure_to_answer(annotated: SmallStudy, store: Store) -> None:
    annotated.answer(store, lambda *_: Answer(None, text=""))
    annotate(annotated.open(), store)
    assert set(labelled_responses(annotated.open(), store)["category"]) == {"failure"}


def test_a_label_does_not_depend_on_the_name(annotated: SmallStudy, store: Store) -> None:
    annotated.answer(
        store,
        lambda _call, signal, _template: Answer(
            None, text=f"{signal.text} took the money and ran from the police."
        ),
    )
    annotate(annotated.open(), store)
    found = labelled_responses(annotated.open(), store).drop_nulls("group")
    per_template = found.group_by("template").agg(categories="category").rows()
    assert all(len(set(categories)) == 1 for _, categories in per_template)


def test_another_version_labels_again_and_its_label_counts(
    annotated: SmallStudy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotated.answer(store, lambda *_: Answer(None, text="bread"))
    annotate(annotated.open(), store)
    monkeypatch.setattr(OfflineAnnotator, "version", "0-older")
    assert count_unlabelled(annotated.open(), store, annotated.prompts()) == PLANNED
    annotate(annotated.open(), store)
    assert len(rows(store)) == 2 * PLANNED
    assert set(labelled_responses(annotated.open(), store)["annotator_version"]) == {"0-older"}


def test_new_answers_alone_are_labelled(annotated: SmallStudy, store: Store) -> None:
    annotated.answer(store, lambda call, *_: Answer(None, text="bread") if call.sample == 0 else None)
    assert annotate(annotated.open(), store)[0].added == PLANNED // 2
    annotated.change("study.yaml", "samples: 2", "samples: 3")
    annotated.answer(store, lambda call, *_: Answer(None, text="bread") if call.sample == 2 else None)
    assert annotate(annotated.open(), store)[0].added == PLANNED // 2


def test_what_the_plan_asks_no_more_is_not_labelled(annotated: SmallStudy, store: Store) -> None:
    annotated.answer(store, lambda *_: Answer(None, text="bread"))
    annotated.change("study.yaml", "samples: 2", "samples: 1")
    assert count_unlabelled(annotated.open(), store, annotated.prompts()) == PLANNED // 2
    assert annotate(annotated.open(), store)[0].added == PLANNED // 2
    # It comes back with the plan.
    annotated.change("study.yaml", "samples: 1", "samples: 2")
    assert count_unlabelled(annotated.open(), store, annotated.prompts()) == PLANNED // 2


def test_an_unknown_annotator_is_told(annotated: SmallStudy, store: Store) -> None:
    annotated.change("study.yaml", "annotators: [offline]", "annotators: [ofline]")
    with pytest.raises(InputError, match="'ofline' is unknown; allowed: offline"):
        annotate(annotated.open(), store)
