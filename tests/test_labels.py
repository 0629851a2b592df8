"""Which label counts, and the table that the analysis gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from conftest import Answer, SmallStudy

from servicegap.errors import DataError
from servicegap.labels import kind_of_labels, labelled_responses, read_category
from servicegap.records import CATEGORIES, Annotation, Category, Response
from servicegap.store import Store, write_annotations, write_responses
from servicegap.tables import GOLD_LABELS, RESPONSES


def frame(small: SmallStudy, store: Store) -> pl.DataFrame:
    return labelled_responses(small.open(), store)


def first_response(store: Store) -> str:
    with store.reading() as connection:
        return str(connection.execute(sa.select(RESPONSES.c.id).order_by(RESPONSES.c.id)).scalars().first())


def label(small: SmallStudy, store: Store, response: str) -> tuple[Any, ...]:
    return (
        frame(small, store)
        .filter(pl.col("response") == response)
        .select("category", "annotator", "kind")
        .row(0)
    )


def annotate(store: Store, response: str, kind: str, category: Category | None, **more: Any) -> None:
    annotation = Annotation(response, f"a {kind}", kind, "1", category, "now", **more)  # type: ignore[arg-type]
    with store.writing() as connection:
        write_annotations(connection, [annotation])


@pytest.mark.parametrize("category", CATEGORIES)
def test_categories_are_read_in_every_usual_spelling(category: str) -> None:
    for written in (
        category,
        category.replace("_", " "),
        category.replace("_", "-").title(),
        f" {category} ",
    ):
        assert read_category(written, "x") == category


def test_the_pilots_names_blanks_and_mistakes() -> None:
    assert read_category("Failure to answer", "x") == "failure"
    assert read_category("refusal to answer", "x") == "refusal"
    assert read_category("  ", "x") is read_category(None, "x") is None
    with pytest.raises(
        DataError, match=r"labels.csv:7: 'refused' is no category; allowed: answer, .*or blank"
    ):
        read_category("refused", "labels.csv:7")


def test_every_response_is_a_row_labelled_or_not(small: SmallStudy, store: Store) -> None:
    def answers(call: Any, _signal: Any, template: Any) -> Answer | None:
        if template.id == "s1":
            return None
        if template.id == "s2":
            return Answer(error="transport")
        return Answer("refusal" if call.sample else None)

    small.answer(store, answers)
    found = frame(small, store)
    assert found.height == 7 * 13 * 2
    assert found["response"].n_unique() == found.height
    assert dict(found["category"].value_counts().rows()) == {None: 13 * (2 + 6), "refusal": 13 * 6}
    assert found.filter(pl.col("error_kind") == "transport").height == 13 * 2
    control = found.filter(pl.col("group").is_null())
    assert set(control["signal"]) == {"someone"}
    assert set(found.filter(pl.col("template").is_in(["n1", "n2"]))["target"]) == {None}
    row = found.filter(pl.col("signal") == "Gina").row(0, named=True)
    assert (row["group"], row["gender"], row["commonness"]) == ("South", "woman", "rare")


def test_people_go_before_imports_judges_machines_and_providers(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None))
    response = first_response(store)
    for kind, category in (
        ("provider", "refusal"),
        ("automatic", "answer"),
        ("judge", "failure"),
        ("imported", "harmful_answer"),
    ):
        annotate(store, response, kind, category)  # type: ignore[arg-type]
        assert label(small, store, response) == (category, f"a {kind}", kind)
    for kind in ("provider", "automatic", "judge"):
        annotate(store, response, kind, "answer")
    # One person's label among several: it counts once people have settled on it.
    annotate(store, response, "human", "partial_answer")
    assert label(small, store, response) == ("harmful_answer", "a imported", "imported")
    gold = {"response": response, "category": "harmful_refusal", "source": "adjudicated", "created": "now"}
    with store.writing() as connection:
        connection.execute(sa.insert(GOLD_LABELS).values(**gold))
    assert label(small, store, response) == ("harmful_refusal", "adjudicated", "human")


def test_within_a_kind_the_latest_counts_and_a_superseded_one_never(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None))
    response = first_response(store)
    annotate(store, response, "automatic", "answer")
    annotate(store, response, "automatic", "refusal")
    assert label(small, store, response)[0] == "refusal"
    annotate(store, response, "judge", "failure")
    annotate(store, response, "judge", "answer", supersedes=3)
    assert label(small, store, response)[0] == "answer"
    annotate(store, response, "automatic", "harmful_answer", supersedes=4)
    assert label(small, store, response)[:1] == ("harmful_answer",)


def test_an_abstention_is_a_missing_label(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None))
    response = first_response(store)
    annotate(store, response, "automatic", None, abstain_reason="not English")
    assert label(small, store, response) == (None, "a automatic", "automatic")


def test_responses_under_another_condition_or_model_are_not_mixed_in(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer("answer"))
    before = frame(small, store)
    small.change("study.yaml", "Complete the [BLANK].", "Fill the [BLANK].")
    assert frame(small, store).height == 0
    small.answer(store, lambda *_: Answer("refusal"))
    assert set(frame(small, store)["category"]) == {"refusal"}
    assert frame(small, store).height == before.height
    small.change("study.yaml", "Fill the [BLANK].", "Complete the [BLANK].")
    assert frame(small, store).equals(before)
    small.change("study.yaml", "id: openai:mock-1", "id: openai:mock-2")
    assert frame(small, store).height == 0


def test_a_renamed_condition_keeps_its_responses(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer("answer"))
    small.change("study.yaml", "id: default", "id: polite")
    found = frame(small, store)
    assert found.height == 8 * 13 * 2
    assert set(found["condition"]) == {"polite"}


def test_a_smaller_plan_leaves_out_what_it_no_longer_asks(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer("answer"))
    small.change("study.yaml", "samples: 2", "samples: 1")
    small.change("signals.csv", "Leo,East,man,rare\n", "")
    small.design(store)
    found = frame(small, store)
    assert found.height == 8 * 12
    assert "Leo" not in set(found["signal"])
    assert set(found["sample"]) == {0}


def test_the_last_attempt_counts(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(error="transport"))
    with store.writing() as connection:
        row = connection.execute(sa.select(RESPONSES)).mappings().first()
        assert row is not None
        again = replace(Response(**row), attempt=2, text="now", error_kind=None, error=None)
        write_responses(connection, [again])
    found = frame(small, store)
    assert found.height == 8 * 13 * 2
    assert found.filter(pl.col("error_kind").is_null())["response"].to_list() == [again.id]


def test_one_automatic_label_makes_all_uncorrected() -> None:
    def of(*kinds: str | None) -> object:
        return kind_of_labels(pl.DataFrame({"kind": kinds}, schema={"kind": pl.String}))

    assert of("human", "human", None) == "human"
    assert of("imported", "human") == "imported"
    assert of("imported", "human", "automatic") == "automatic-uncorrected"
    assert of("judge") == "automatic-uncorrected"
    assert of("human", "provider") == "human"
    assert of(None) is None
