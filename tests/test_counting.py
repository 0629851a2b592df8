"""Counting responses while they are read gives what reading them one by one gives."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from conftest import Answer, SmallStudy
from polars.testing import assert_frame_equal

from servicegap.bulk import read_blocks
from servicegap.given import read_given
from servicegap.labels import count_judgements, counted_responses, labelled_responses
from servicegap.records import Annotation
from servicegap.store import Store, write_annotations
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, RESPONSES, TOXICITY

COLUMNS = (
    *("model", "condition", "template", "signal", "group", "gender", "commonness", "target"),
    *("error_kind", "category", "annotator", "kind", "annotator_version"),
)


def same(small: SmallStudy, store: Store) -> pl.DataFrame:
    study = small.open()
    one_by_one = labelled_responses(study, store).select(COLUMNS).sort(COLUMNS)
    counted = (
        counted_responses(store, read_given(study, store, one_by_one=False))
        .select(pl.col(COLUMNS).cast(pl.String))
        .sort(COLUMNS)
    )
    assert_frame_equal(one_by_one, counted)
    return counted


def answers(call: Any, _signal: Any, template: Any) -> Answer | None:
    if template.id == "s1":
        return None
    if template.id == "s2":
        return Answer(error="transport")
    return Answer("refusal" if call.sample else None)


def test_one_label_a_response(small: SmallStudy, store: Store) -> None:
    small.change("study.yaml", "annotators: []", "annotators: [coder]\njudges: [{id: a}, {id: b}]")
    small.answer(store, answers, kind="automatic")
    assert same(small, store)["category"].null_count() > 0


def test_the_label_that_counts_among_several(small: SmallStudy, store: Store) -> None:
    small.change("study.yaml", "annotators: []", "annotators: [coder]\njudges: [{id: a}, {id: b}]")
    small.answer(store, answers, kind="automatic")
    with store.reading() as connection:
        ids = list(connection.execute(sa.select(ANNOTATIONS.c.response).order_by(ANNOTATIONS.c.id)).scalars())
        first = connection.execute(sa.select(sa.func.min(ANNOTATIONS.c.id))).scalar_one()
    given = [
        Annotation(ids[0], "coder", "automatic", "2", "failure", "now", supersedes=first),
        Annotation(ids[1], "panel", "judge", "1", "answer", "now"),
        Annotation(ids[2], "a person", "human", "1", "harmful_answer", "now"),
        Annotation(ids[3], "file", "imported", "1", "partial_answer", "now"),
        Annotation(ids[3], "file", "imported", "2", None, "now", abstain_reason="unclear"),
        Annotation(ids[6], "file", "imported", "1", "partial_answer", "now"),
        Annotation(ids[4], "coder", "automatic", "2", "answer", "now"),
    ]
    with store.writing() as connection:
        write_annotations(connection, given)
        gold = {"response": ids[5], "category": "harmful_refusal", "source": "unanimous", "created": "now"}
        connection.execute(sa.insert(GOLD_LABELS), [gold])
    found = same(small, store)
    assert set(found["kind"].drop_nulls()) == {"automatic", "judge", "imported", "human"}
    assert "harmful_refusal" in found["category"].to_list()
    assert "harmful_answer" not in found["category"].to_list()


def test_large_studies_are_joined_in_parts(
    small: SmallStudy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.change("study.yaml", "annotators: []", "annotators: [coder]")
    small.answer(store, answers, kind="automatic")
    given = read_given(small.open(), store, one_by_one=False)
    assert len(list(given.parts())) == 1
    whole = count_judgements(store, given)
    monkeypatch.setattr("servicegap.given._PART", 10)
    assert len(list(given.parts())) > 10
    assert sum(part.responses.height for part in given.parts()) == given.responses.height
    same(small, store)
    assert_frame_equal(count_judgements(store, given), whole)
    assert whole["n"].sum() == given.annotations.height > 0


def test_blocks_hold_every_row_of_a_table(each_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicegap.bulk.BLOCK", 2)
    words = ['with "quotes"', "and\nlines", "", None, "\u00fc \U0001f600"]
    assert pl.concat(read_blocks(each_store, TOXICITY, ("id", "reason"))).is_empty()
    with each_store.writing() as connection:
        for k, word in enumerate(words):
            row = {"id": 3 * k + 1, "response": f"{k}", "scorer": "a", "version": "1", "created": "now"}
            connection.execute(sa.insert(TOXICITY).values(**row, reason=word))
    found = pl.concat(read_blocks(each_store, TOXICITY, ("id", "reason"))).sort("id")
    assert found["reason"].to_list() == words
    assert found["id"].to_list() == [1, 4, 7, 10, 13]
    some = pl.concat(read_blocks(each_store, TOXICITY, ("reason",), (TOXICITY.c.reason != "",)))
    assert some.height == 3


def test_only_the_last_attempt_counts(small: SmallStudy, store: Store) -> None:
    small.answer(store, answers)
    with store.reading() as connection:
        row = connection.execute(
            sa.select(RESPONSES).where(RESPONSES.c.error_kind == "transport").limit(1)
        ).one()
    again = {**row._mapping, "attempt": 2, "error_kind": None, "text": "at last"}
    with store.writing() as connection:
        connection.execute(sa.insert(RESPONSES), [again])
    before = same(small, store)
    assert before.filter(pl.col("error_kind") == "transport").height == 13 * 2 - 1
