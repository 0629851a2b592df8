"""Which label counts, and the table that the analysis gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from conftest import Answer, SmallStudy

from servicegap.annotate import count_unlabelled
from servicegap.annotators import create_annotator
from servicegap.annotators.judging import judges_of
from servicegap.codebook import load_codebook
from servicegap.errors import DataError
from servicegap.given import plan_order
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


def annotate(
    store: Store, response: str, kind: str, category: Category | None, annotator: str, **more: Any
) -> None:
    annotation = Annotation(response, annotator, kind, "1", category, "now", **more)  # type: ignore[arg-type]
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


PLANNED = "annotators: [first, second]\njudges: [{id: a}, {id: b}]"


@pytest.fixture
def response(small: SmallStudy, store: Store) -> str:
    small.change("study.yaml", "annotators: []", PLANNED)
    small.answer(store, lambda *_: Answer(None))
    return first_response(store)


def test_people_go_before_imports_judges_machines_and_providers(
    small: SmallStudy, store: Store, response: str
) -> None:
    for annotator, kind, category in (
        ("provider", "provider", "refusal"),
        ("second", "automatic", "answer"),
        ("first", "automatic", "refusal"),
        ("judge:b", "judge", "answer"),
        ("judge:a", "judge", "failure"),
        ("panel", "judge", "harmful_refusal"),
        ("file", "imported", "harmful_answer"),
    ):
        annotate(store, response, kind, category, annotator)  # type: ignore[arg-type]
        assert label(small, store, response) == (category, annotator, kind)
    for annotator, kind in (("first", "automatic"), ("judge:a", "judge"), ("provider", "provider")):
        annotate(store, response, kind, "answer", annotator)
    # One person's label among several: it counts once people have settled on it.
    annotate(store, response, "human", "partial_answer", "a person")
    assert label(small, store, response) == ("harmful_answer", "file", "imported")
    gold = {"response": response, "category": "harmful_refusal", "source": "adjudicated", "created": "now"}
    with store.writing() as connection:
        connection.execute(sa.insert(GOLD_LABELS).values(**gold))
    assert label(small, store, response) == ("harmful_refusal", "adjudicated", "human")


def test_an_annotators_latest_label_counts_and_a_superseded_one_never(
    small: SmallStudy, store: Store, response: str
) -> None:
    annotate(store, response, "automatic", "answer", "first")
    annotate(store, response, "automatic", "refusal", "first")
    assert label(small, store, response)[0] == "refusal"
    annotate(store, response, "judge", "failure", "judge:a")
    annotate(store, response, "judge", "answer", "judge:a", supersedes=3)
    assert label(small, store, response)[0] == "answer"
    annotate(store, response, "automatic", "harmful_answer", "first", supersedes=4)
    # Neither of the judge's is left.
    annotate(store, response, "automatic", "failure", "second")
    assert label(small, store, response)[:2] == ("harmful_answer", "first")


def test_the_latest_import_counts(small: SmallStudy, store: Store, response: str) -> None:
    annotate(store, response, "imported", "answer", "one file")
    annotate(store, response, "imported", "refusal", "another")
    assert label(small, store, response)[:2] == ("refusal", "another")
    annotate(store, response, "imported", None, "another", abstain_reason="unclear")
    assert label(small, store, response)[:2] == ("answer", "one file")


def test_an_abstention_is_a_missing_label_and_hides_no_other(
    small: SmallStudy, store: Store, response: str
) -> None:
    annotate(store, response, "automatic", None, "first", abstain_reason="not English")
    assert label(small, store, response) == (None, "first", "automatic")
    annotate(store, response, "automatic", "answer", "second")
    assert label(small, store, response) == ("answer", "second", "automatic")


def test_where_a_judge_abstains_no_annotator_takes_over(
    small: SmallStudy, store: Store, response: str
) -> None:
    small.change("study.yaml", "{id: a}, {id: b}", "{id: b}")
    annotate(store, response, "automatic", "answer", "first")
    annotate(store, response, "judge", None, "judge:b", abstain_reason="no label in the reply")
    assert label(small, store, response) == (None, "judge:b", "judge")
    annotate(store, response, "imported", None, "a file", abstain_reason="unclear")
    assert label(small, store, response) == (None, "judge:b", "judge")
    annotate(store, response, "imported", "refusal", "another")
    assert label(small, store, response) == ("refusal", "another", "imported")
    # The judge's latest word is its word.
    other = next(each for each in frame(small, store)["response"] if each != response)
    annotate(store, other, "judge", None, "judge:b", abstain_reason="no label in the reply")
    annotate(store, other, "judge", "failure", "judge:b")
    assert label(small, store, other) == ("failure", "judge:b", "judge")


def test_what_the_panel_disagrees_on_waits_for_people(small: SmallStudy, store: Store, response: str) -> None:
    annotate(store, response, "automatic", "answer", "first")
    annotate(store, response, "judge", "failure", "judge:b")
    annotate(store, response, "judge", None, "panel", abstain_reason="no majority")
    assert label(small, store, response) == (None, "panel", "judge")
    annotate(store, response, "imported", "refusal", "a file")
    assert label(small, store, response) == ("refusal", "a file", "imported")


def test_what_is_taken_out_of_the_plan_counts_no_more(small: SmallStudy, store: Store, response: str) -> None:
    annotate(store, response, "automatic", "answer", "second")
    annotate(store, response, "judge", "failure", "judge:b")
    annotate(store, response, "judge", "refusal", "panel")
    assert label(small, store, response)[1] == "panel"
    small.change("study.yaml", "{id: a}, {id: b}", "{id: b}")
    assert label(small, store, response) == ("failure", "judge:b", "judge")
    small.change("study.yaml", "[{id: b}]", "[{id: a}]")
    assert label(small, store, response) == ("answer", "second", "automatic")
    small.change("study.yaml", "[first, second]", "[first]")
    assert label(small, store, response) == (None, None, None)
    # It never comes in under the name of another kind, and comes back with the plan.
    annotate(store, response, "provider", "refusal", "second")
    assert label(small, store, response) == ("refusal", "second", "provider")
    small.change("study.yaml", "[first]", "[second]")
    assert label(small, store, response) == ("answer", "second", "automatic")


def test_status_asks_for_the_labels_that_would_count(small: SmallStudy, store: Store) -> None:
    small.change("study.yaml", "annotators: []", "annotators: [offline]\njudges: [{id: a}]")
    small.answer(store, lambda *_: Answer(None))
    n = frame(small, store).height
    assert count_unlabelled(small.open(), store, small.prompts()) == n  # not one for each of the two
    small.change("study.yaml", "judges: [{id: a}]", "judges: []")
    annotate(store, first_response(store), "judge", "refusal", "judge:a")
    assert count_unlabelled(small.open(), store, small.prompts()) == n
    assert frame(small, store)["category"].null_count() == n


def test_the_plans_annotators_are_named_as_their_labels_are(small: SmallStudy) -> None:
    small.change("study.yaml", "annotators: []", "annotators: [offline]\njudges: [{id: 'openai:a'}, {id: b}]")
    study = small.open()
    judges = judges_of(study, load_codebook(None))
    names = ["panel", *(judge.name for judge in judges), create_annotator("offline").name]
    assert sorted(plan_order(study), key=plan_order(study).__getitem__) == names


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
