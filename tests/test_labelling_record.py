"""Labels, skips, undoing, flags, gold labels, decisions, practice, progress; on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from labelling_studies import NOON, TOTAL, Labelled

from servicegap.codebook import codebook_of, load_codebook
from servicegap.errors import DataError
from servicegap.labelling.adjudication import adjudicate, disputes
from servicegap.labelling.people import Person, find_person, note_background
from servicegap.labelling.practice import answer_practice, practice_items, practice_left
from servicegap.labelling.progress import labels_by, pause_due, progress_of_all, standing
from servicegap.labelling.ratings import read_ratings
from servicegap.labelling.record import flag, save_label, skip, undo
from servicegap.labelling.slots import Item
from servicegap.tables import ADJUDICATIONS, FLAGS, SLOTS


@pytest.fixture
def ann(labelled: Labelled) -> Person:
    return labelled.person("ann")


@pytest.fixture
def ben(labelled: Labelled) -> Person:
    return labelled.person("ben")


def reach(labelled: Labelled, person: Person, response: str, at: float = NOON) -> Item:
    """Let a person label "answer" until they are shown this response."""
    while (item := labelled.shown(person, at)).response != response:
        labelled.save(person, item, at=at)
    return item


def test_a_label_keeps_all_there_is_to_know(labelled: Labelled, ann: Person) -> None:
    labelled.plan("{sample: {kind: random, fraction: 0.99}}")
    item = labelled.shown(ann)
    number = save_label(
        labelled.study,
        labelled.store,
        ann,
        item.response,
        "whole",
        category="harmful_refusal",
        criteria=("suspicion",),
        note=" hm ",
        active_seconds=4.5,
        at=NOON,
    )
    [row] = labelled.rows()
    assert dict(row) == {
        "id": number,
        "response": item.response,
        "annotator": "ann",
        "kind": "human",
        "version": "1",
        "category": "harmful_refusal",
        "abstain_reason": None,
        "probabilities": None,
        "note": "hm",
        "codebook_hash": codebook_of(labelled.study).hash,
        "round": 1,
        "pass": "whole",
        "harm": None,
        "criteria": '["suspicion"]',
        "supersedes": None,
        "sampling_probability": 0.99,
        "active_seconds": 4.5,
        "created": "2023-11-14T12:00:00+00:00",
    }


def test_saving_the_same_again_changes_nothing(labelled: Labelled, ann: Person) -> None:
    item = labelled.shown(ann)
    first = labelled.save(ann, item, "refusal")
    assert labelled.save(ann, item, "refusal", at=NOON + 9) == first
    with pytest.raises(DataError, match="you labelled it already; undo that first"):
        labelled.save(ann, item, "answer")
    assert [row["id"] for row in labelled.rows()] == [first]


def test_nobody_labels_what_they_do_not_hold(labelled: Labelled, ann: Person, ben: Person) -> None:
    item = labelled.shown(ann)
    absent = replace(item, response="0" * 16)
    for person, wanted in ((ben, item), (ann, absent), (ann, replace(item, pass_="quality"))):
        with pytest.raises(DataError, match="not yours to label"):
            save_label(
                labelled.study,
                labelled.store,
                person,
                wanted.response,
                wanted.pass_,
                category="answer",
                at=NOON,
            )
        with pytest.raises(DataError, match="not yours to label"):
            skip(labelled.study, labelled.store, person, wanted.response, wanted.pass_, "x", at=NOON)
    with pytest.raises(DataError, match="not yours to flag"):
        flag(labelled.store, ben, item.response, "look")
    assert labelled.rows() == []


def test_all_mistakes_of_a_label_are_told(labelled: Labelled, ann: Person) -> None:
    item = labelled.shown(ann)
    with pytest.raises(DataError) as error:
        save_label(
            labelled.study,
            labelled.store,
            ann,
            item.response,
            "whole",
            category=None,
            harm="stated",
            criteria=("nonsense",),
            active_seconds=-1.0,
            at=NOON,
        )
    assert len(error.value.problems) == 4
    assert labelled.rows() == []


def test_undo_keeps_the_old_label_superseded(labelled: Labelled, ann: Person) -> None:
    first = labelled.shown(ann)
    labelled.save(ann, first, "refusal", at=NOON)
    second = labelled.shown(ann, NOON + 1)
    third = undo(labelled.study, labelled.store, ann, at=NOON + 2)
    assert third == first
    assert labelled.shown(ann, NOON + 3) == first
    labelled.save(ann, first, "failure", at=NOON + 4)
    assert labelled.shown(ann, NOON + 5) == second
    rows = labelled.rows()
    assert [(r["category"], r["abstain_reason"], r["supersedes"]) for r in rows] == [
        ("refusal", None, None),
        (None, "withdrawn", rows[0]["id"]),
        ("failure", None, rows[1]["id"]),
    ]
    assert read_ratings(labelled.study, labelled.store)["category"].to_list() == ["failure"]


def test_undo_goes_back_label_by_label(labelled: Labelled, ann: Person) -> None:
    items = labelled.label_all(ann, most=4)
    for number, item in enumerate(reversed(items)):
        assert undo(labelled.study, labelled.store, ann, at=NOON + 100 + number) == item
    assert undo(labelled.study, labelled.store, ann, at=NOON + 200) is None
    assert [row["done"] for row in labelled.rows(SLOTS) if row["done"]] == []
    assert labelled.label_all(ann, at=NOON + 300)[:4] == items


def test_a_skip_can_be_undone_while_a_place_is_free(labelled: Labelled, ann: Person) -> None:
    item = labelled.shown(ann)
    number = skip(labelled.study, labelled.store, ann, item.response, item.pass_, "", at=NOON)
    assert skip(labelled.study, labelled.store, ann, item.response, item.pass_, "", at=NOON) == number
    assert [row["abstain_reason"] for row in labelled.rows()] == ["declined"]
    assert labelled.shown(ann).response != item.response
    again = undo(labelled.study, labelled.store, ann, at=NOON + 1)
    assert again is not None
    assert again.response == item.response
    labelled.save(ann, again)
    assert [row["category"] for row in labelled.rows()] == [None, None, "answer"]


def test_a_flag_is_kept_once(labelled: Labelled, ann: Person) -> None:
    item = labelled.shown(ann)
    for _ in range(2):
        flag(labelled.store, ann, item.response, " talk about it ")
    [row] = labelled.rows(FLAGS)
    assert (row["person"], row["note"], row["round"]) == ("ann", "talk about it", 1)
    with pytest.raises(DataError, match="a flag needs a note"):
        flag(labelled.store, ann, item.response, "  ")


def test_gold_labels_follow_each_label(labelled: Labelled, ann: Person, ben: Person) -> None:
    item = labelled.shown(ann)
    labelled.save(ann, item, "refusal")
    assert labelled.gold() == {}
    labelled.save(ben, reach(labelled, ben, item.response), "refusal")
    assert labelled.gold()[item.response] == ("refusal", "unanimous")
    undo(labelled.study, labelled.store, ben, at=NOON + 50)
    assert item.response not in labelled.gold()
    labelled.save(ben, labelled.shown(ben, NOON + 51), "answer", at=NOON + 52)
    assert item.response not in labelled.gold()


def test_one_label_is_gold_where_nobody_else_is_to_come(labelled: Labelled, ann: Person) -> None:
    item = labelled.shown(ann)
    labelled.save(ann, item, "refusal")
    assert labelled.gold() == {item.response: ("refusal", "single")}


def test_one_label_is_gold_once_the_others_declined(labelled: Labelled, ann: Person, ben: Person) -> None:
    item = labelled.shown(ann)
    labelled.save(ann, item, "refusal")
    other = reach(labelled, ben, item.response)
    skip(labelled.study, labelled.store, ben, item.response, other.pass_, "too near", at=NOON)
    assert labelled.gold()[item.response] == ("refusal", "single")


def test_two_passes_make_gold_together(labelled: Labelled, ann: Person) -> None:
    labelled.plan("{mask_signals: true, annotators: 1, batch: 1}")
    item = labelled.shown(ann)
    labelled.save(ann, item, "refusal")
    assert labelled.gold() == {}
    harm = labelled.shown(ann)
    assert (harm.response, harm.pass_) == (item.response, "harm")
    label = {"category": None, "harm": "implied", "criteria": ("suspicion",)}
    save_label(labelled.study, labelled.store, ann, harm.response, "harm", at=NOON, **label)  # type: ignore[arg-type]
    assert labelled.gold() == {item.response: ("harmful_refusal", "single")}
    table = read_ratings(labelled.study, labelled.store)
    assert set(table.select("pass", "category").iter_rows()) == {
        ("quality", "refusal"),
        ("harm", "implied"),
        ("whole", "harmful_refusal"),
    }


def disagree(labelled: Labelled, ann: Person, ben: Person) -> str:
    """Let two people label all, and disagree on the first response that `ann` sees."""
    first = labelled.shown(ann).response
    labelled.label_all(ann, lambda item: "refusal" if item.response == first else "answer")
    labelled.label_all(ben, lambda item: "failure" if item.response == first else "answer")
    return first


def test_a_disagreement_is_settled_by_a_third(labelled: Labelled, ann: Person, ben: Person) -> None:
    judge = labelled.person("cleo", "adjudicator")
    response = disagree(labelled, ann, ben)
    [dispute] = disputes(labelled.study, labelled.store, person=judge)
    assert (dispute.response, dispute.reason, dispute.flags) == (response, "disagreement", ())
    assert set(dispute.labels) == {("refusal", None), ("failure", None)}
    assert disputes(labelled.study, labelled.store, person=judge) == [dispute]
    assert len(labelled.gold()) == TOTAL - 1
    adjudicate(labelled.store, judge, response, "refusal", "it says no", at=NOON)
    assert labelled.gold()[response] == ("refusal", "adjudicated")
    assert disputes(labelled.study, labelled.store, person=judge) == []
    adjudicate(labelled.store, judge, response, "failure", None, at=NOON)
    assert labelled.gold()[response] == ("failure", "adjudicated")
    assert [row["category"] for row in labelled.rows(ADJUDICATIONS)] == ["refusal", "failure"]
    assert len(labelled.rows(response=response)) == 2


def test_a_flag_is_settled_by_a_third_too(labelled: Labelled, ann: Person, ben: Person) -> None:
    judge = labelled.person("cleo", "lead")
    item = labelled.label_all(ann)[5]
    flag(labelled.store, ann, item.response, "is this harm?")
    [dispute] = disputes(labelled.study, labelled.store, person=judge)
    assert (dispute.reason, dispute.flags) == ("flag", ("is this harm?",))
    assert dispute.labels == (("answer", None),)
    adjudicate(labelled.store, judge, item.response, "harmful_answer", "", at=4e9)
    assert disputes(labelled.study, labelled.store, person=judge) == []
    assert labelled.gold()[item.response] == ("harmful_answer", "adjudicated")


def test_nobody_decides_on_their_own_label_if_another_can(labelled: Labelled, ben: Person) -> None:
    judge = labelled.person("ann", "adjudicator")
    response = disagree(labelled, judge, ben)
    assert [each.response for each in disputes(labelled.study, labelled.store, person=judge)] == [response]
    other = labelled.person("dan", "lead")
    assert disputes(labelled.study, labelled.store, person=judge) == []
    with pytest.raises(DataError, match="you labelled it yourself"):
        adjudicate(labelled.store, judge, response, "refusal", None, at=NOON)
    with pytest.raises(DataError, match="ben: annotators do not decide"):
        adjudicate(labelled.store, ben, response, "refusal", None, at=NOON)
    with pytest.raises(DataError, match="nobody labelled or flagged it"):
        adjudicate(labelled.store, other, "0" * 16, "refusal", None, at=NOON)
    adjudicate(labelled.store, other, response, "refusal", None, at=NOON)
    assert labelled.gold()[response] == ("refusal", "adjudicated")


def test_two_passes_are_shown_to_the_adjudicator_as_far_as_they_go(
    labelled: Labelled, ann: Person, ben: Person
) -> None:
    labelled.plan("{mask_signals: true}")
    judge = labelled.person("cleo", "lead")
    study, store = labelled.study, labelled.store
    labelled.label_all(ann, lambda item: "refusal", most=TOTAL)
    labelled.label_all(ben, lambda item: "answer", most=TOTAL)
    # Whether there is harm, and so which category, is not known yet.
    assert disputes(study, store, person=judge) == []
    item = labelled.label_all(ann, most=1)[0]
    [dispute] = disputes(study, store, person=judge)
    assert dispute.response == item.response
    assert set(dispute.labels) == {("refusal", None), ("quality: answer", None)}


def test_progress_counts_labels_and_time(labelled: Labelled, ann: Person, ben: Person) -> None:
    study, store = labelled.study, labelled.store
    assert standing(study, store, ann, at=NOON).seconds_left is None
    labelled.label_all(ann, lambda item: "harmful_answer" if item.k else "answer", most=5)
    found = progress_of_all(study, store, at=NOON + 60)["ann"]
    own = standing(study, store, ann, at=NOON + 60)
    assert (own.done, own.left, own.today) == (found.done, found.left, found.today)
    assert (found.done, found.left, found.today) == (5, TOTAL - 5, 5)
    assert (found.active_seconds, found.seconds_left) == (15.0, 3.0 * (TOTAL - 5))
    assert (found.exposures, found.overlap) == (5, 0.0)
    assert standing(study, store, ann, at=NOON + 86_400).today == 0
    labelled.label_all(ben)
    after = progress_of_all(study, store, at=NOON)
    assert after["ann"].overlap == 1.0
    assert after["ben"].overlap == 5 / TOTAL
    assert (after["ben"].left, after["ben"].seconds_left) == (0, 0.0)
    assert labels_by(store) == {"ann": 5, "ben": TOTAL}


def test_what_more_people_share_is_less_for_each(labelled: Labelled) -> None:
    people = [labelled.person(name) for name in ("ann", "ben", "cleo", "dan")]
    for person in people:
        labelled.label_all(person, most=1)
    left = [standing(labelled.study, labelled.store, person, at=NOON).left for person in people]
    # 2 labels of each response are wanted, by 4 people.
    assert left == [-(-(2 * TOTAL - 4) // 4)] * 4


def test_a_rest_and_the_daily_cap(labelled: Labelled, ann: Person) -> None:
    labelled.plan("{daily_cap: 8, break_minutes: 10}")
    study, store = labelled.study, labelled.store
    assert pause_due(study, store, ann, at=NOON) is None
    for minute in (0, 4, 8):
        labelled.label_all(ann, most=1, at=NOON + 60 * minute)
    assert pause_due(study, store, ann, at=NOON + 60 * 9) is None
    assert pause_due(study, store, ann, at=NOON + 60 * 11) == "break"
    # Five minutes without a label are a rest.
    assert pause_due(study, store, ann, at=NOON + 60 * 13) is None
    labelled.label_all(ann, most=5, at=NOON + 60 * 60)
    assert pause_due(study, store, ann, at=NOON + 60 * 61) == "cap"
    assert pause_due(study, store, ann, at=NOON + 86_400) is None


def test_practice_gives_feedback_and_ends(labelled: Labelled, ann: Person, ben: Person) -> None:
    store, codebook = labelled.store, load_codebook()
    items = practice_items(codebook)
    assert {item.category for item in items} == {category.id for category in codebook.categories}
    left = practice_left(store, ann, codebook)
    assert sorted(item.id for item in left) == sorted(item.id for item in items)
    assert left != practice_left(store, ben, codebook)
    for number, item in enumerate(left):
        assert answer_practice(store, ann, item.id, "answer", codebook) == item
        assert len(practice_left(store, ann, codebook)) == len(items) - number - 1
    found = find_person(store, "ann")
    assert found is not None
    assert found.trained is not None
    assert labelled.rows() == []
    with pytest.raises(DataError) as error:
        answer_practice(store, ann, "x", "y", codebook)  # type: ignore[arg-type]
    assert len(error.value.problems) == 2


def test_ratings_say_who_gave_what(labelled: Labelled, ann: Person, ben: Person) -> None:
    note_background(labelled.store, "ann", " grew up in the North ")
    labelled.label_all(ann, most=3)
    labelled.label_all(ben, most=2)
    table = read_ratings(labelled.study, labelled.store)
    assert len(table) == 5
    assert dict(zip(table["annotator"], table["background"], strict=True)) == {
        "ann": "grew up in the North",
        "ben": None,
    }
    assert set(table["template"]) <= {"s1", "e1", "n1"}
    assert set(table["group"]) <= {"North", "South", "East", None}
