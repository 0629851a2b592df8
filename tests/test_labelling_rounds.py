"""Rounds: what is drawn with what chance, what is asked again, what stays; people; the commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import polars as pl
import pytest
from conftest import Ended
from labelling_studies import NOON, TOTAL, Labelled

from servicegap.codebook import BUILT_IN, codebook_of
from servicegap.errors import DataError, InputError
from servicegap.labelling.people import (
    LOCAL,
    add_person,
    find_person,
    list_people,
    note_background,
    note_consent,
    only_person,
    person_of_token,
    revoke,
)
from servicegap.labelling.rounds import current_round, ensure_round, open_round
from servicegap.labels import people_labels, sampling_chances
from servicegap.store import Store
from servicegap.tables import PEOPLE, ROUND_ITEMS, ROUNDS, SLOTS


def test_the_first_round_holds_all_that_has_a_text(labelled: Labelled) -> None:
    assert current_round(labelled.store) is None
    made = ensure_round(labelled.study, labelled.store)
    assert made == current_round(labelled.store) == ensure_round(labelled.study, labelled.store)
    assert (made.id, made.passes, made.closed) == (1, ("whole",), None)
    assert made.codebook_hash == codebook_of(labelled.study).hash
    items = labelled.rows(ROUND_ITEMS)
    assert len(items) == TOTAL
    assert {(row["probability"], row["drawn"], row["stratum"]) for row in items} == {(1.0, True, "all")}
    assert len(labelled.rows(SLOTS)) == 2 * TOTAL


def test_a_stratified_sample_keeps_the_chances_of_all(labelled: Labelled) -> None:
    labelled.plan("{sample: {kind: stratified, per_stratum: 2}}")
    ensure_round(labelled.study, labelled.store)
    items = labelled.rows(ROUND_ITEMS)
    strata = {row["stratum"]: row["probability"] for row in items}
    assert strata == {
        "North / answer": 2 / 6,
        "South / refusal": 2 / 6,
        "East / answer": 2 / 6,
        "no signal / answer": 2 / 3,
    }
    assert sum(row["drawn"] for row in items) == 8
    assert {row["response"] for row in labelled.rows(SLOTS)} == {r["response"] for r in items if r["drawn"]}


def test_what_is_settled_is_not_asked_again_but_keeps_its_chance(labelled: Labelled) -> None:
    labelled.plan("{annotators: 1}")
    labelled.label_all(labelled.person("ann"), most=8)
    settled = set(labelled.gold())
    made = open_round(labelled.study, labelled.store)
    assert made.id == 2
    items = labelled.rows(ROUND_ITEMS, round=2)
    assert {row["response"] for row in items if row["batch"] is None} == settled
    assert {row["probability"] for row in items} == {1.0}
    assert {row["response"] for row in labelled.rows(SLOTS, round=2)}.isdisjoint(settled)
    assert len(labelled.gold()) == 8
    chances = sampling_chances(labelled.store)
    assert (len(chances), chances["waiting"].sum()) == (TOTAL, TOTAL - 8)
    # The settled ones stand for those that wait.
    assert set(people_labels(labelled.store)["probability"]) == {8 / TOTAL}


def test_a_changed_codebook_opens_a_round_and_old_labels_stay(labelled: Labelled) -> None:
    labelled.plan("{annotators: 1}")
    ann = labelled.person("ann")
    labelled.label_all(ann, lambda item: "refusal")
    held_before = labelled.gold()
    own = labelled.small.folder / "codebook.yaml"
    shutil.copy(BUILT_IN, own)
    assert ensure_round(labelled.study, labelled.store).id == 1
    own.write_text(own.read_text().replace('version: "', 'version: "9'))
    item = labelled.shown(ann)
    assert item.round == 2
    assert labelled.gold() == held_before
    labelled.save(ann, item, "answer")
    assert len(labelled.rows(round=1)) == TOTAL
    hashes = {row["round"]: row["codebook_hash"] for row in labelled.rows()}
    assert hashes[1] != hashes[2] == codebook_of(labelled.study).hash
    gold = labelled.gold()
    assert gold.pop(item.response) == ("answer", "single")
    assert gold.items() <= held_before.items()
    assert [row["closed"] is None for row in labelled.rows(ROUNDS)] == [False, True]


def test_a_label_begun_before_a_new_round_is_not_lost(labelled: Labelled) -> None:
    ann = labelled.person("ann")
    item = labelled.shown(ann)
    open_round(labelled.study, labelled.store)
    labelled.save(ann, item, "refusal")
    [row] = labelled.rows()
    assert (row["round"], row["category"]) == (1, "refusal")


def test_the_end_of_a_round_settles_what_one_person_labelled(labelled: Labelled) -> None:
    ann, _ = labelled.person("ann"), labelled.person("ben")
    items = labelled.label_all(ann, most=3)
    assert labelled.gold() == {}
    open_round(labelled.study, labelled.store)
    assert labelled.gold() == {item.response: ("answer", "single") for item in items}


def test_a_given_list_is_asked_with_its_chances(labelled: Labelled) -> None:
    ensure_round(labelled.study, labelled.store)
    known = [row["response"] for row in labelled.rows(ROUND_ITEMS)]
    open_round(labelled.study, labelled.store, responses=known[:4])
    assert {row["response"] for row in labelled.rows(SLOTS, round=2)} == set(known[:4])
    table = pl.DataFrame(
        {"response": known[:3], "probability": [0.5, 0.2, 1.0], "drawn": [True, False, True]}
    )
    open_round(labelled.study, labelled.store, responses=table)
    items = labelled.rows(ROUND_ITEMS, round=3)
    assert [(row["probability"], row["drawn"]) for row in items] == [(0.5, True), (0.2, False), (1.0, True)]
    assert {row["response"] for row in labelled.rows(SLOTS, round=3)} == {known[0], known[2]}


def test_a_wrong_list_is_told_and_opens_nothing(labelled: Labelled) -> None:
    table = pl.DataFrame({"response": ["x", "y"], "probability": [1.5, 1.0]})
    with pytest.raises(DataError) as error:
        open_round(labelled.study, labelled.store, responses=table)
    assert len(error.value.problems) == 3
    assert "x: no response with a text in this study" in error.value.problems
    assert current_round(labelled.store) is None


def test_without_responses_there_is_nothing_to_label(small: object, store: Store) -> None:
    study = small.open()  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="no response with a text to label; ask the models first: servicegap"):
        ensure_round(study, store)


def test_a_link_lets_in_until_it_is_revoked(labelled: Labelled) -> None:
    store = labelled.store
    token = add_person(store, "Mira Ö.", "adjudicator")
    assert token is not None
    found = person_of_token(store, token)
    assert found is not None
    assert (found.name, found.role, found.revoked) == ("Mira Ö.", "adjudicator", None)
    assert person_of_token(store, token[:-1]) is None
    assert token not in str([dict(row) for row in labelled.rows(PEOPLE)])
    with pytest.raises(InputError, match="there already"):
        add_person(store, "Mira Ö.", "annotator")
    revoke(store, "Mira Ö.")
    assert person_of_token(store, token) is None
    again = add_person(store, "Mira Ö.", "annotator")
    assert again is not None
    assert again != token
    changed = person_of_token(store, again)
    assert changed is not None
    assert (changed.role, changed.seed) == ("annotator", found.seed)
    assert person_of_token(store, token) is None


@pytest.mark.parametrize("name", ["", " a", "a\nb", "x" * 61])
def test_impossible_names_are_told(store: Store, name: str) -> None:
    with pytest.raises(InputError) as error:
        add_person(store, name, "boss")  # type: ignore[arg-type]
    assert len(error.value.problems) == 2


def test_revoking_nobody_tells_who_there_is(store: Store) -> None:
    add_person(store, "ann", "lead", with_token=False)
    with pytest.raises(InputError, match="bob: nobody of that name; there are: ann"):
        revoke(store, "bob")


def test_who_works_alone_is_made_once(labelled: Labelled) -> None:
    made = only_person(labelled.store)
    assert (made.name, made.role) == (LOCAL, "lead")
    assert only_person(labelled.store) == made
    assert list_people(labelled.store) == [made]
    note_consent(labelled.store, LOCAL)
    note_background(labelled.store, LOCAL, "  ")
    found = find_person(labelled.store, LOCAL)
    assert found is not None
    assert found.consented is not None
    assert found.background is None


def test_the_commands_for_people(labelled: Labelled, run: Callable[..., Ended], url: str) -> None:
    folder = labelled.small.folder
    assert "nobody yet" in run("people", "list", folder).out
    added = run("people", "add", folder, "ann")
    token = added.out.splitlines()[-1].removeprefix("/enter/")
    found = person_of_token(labelled.store, token)
    assert found is not None
    assert found.name == "ann"
    made = json.loads(run("people", "add", folder, "ben", "--role", "lead", "--json").out)
    assert (made["role"], made["path"][:7]) == ("lead", "/enter/")
    assert run("people", "add", folder, "ann").error.startswith("ann: there already")
    labelled.label_all(found, most=2)
    assert "ann (annotator): 2 labels" in run("people", "list", folder).out
    assert run("people", "revoke", folder, "ann").out == "ann: revoked; their labels stay\n"
    listed = json.loads(run("people", "list", folder, "--json").out)
    assert [(each["name"], each["labels"], each["revoked"] is None) for each in listed] == [
        ("ann", 2, False),
        ("ben", 0, True),
    ]


@pytest.fixture
def url(labelled: Labelled, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let commands use the study's database, whichever it is."""
    found = labelled.store.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("SERVICEGAP_DATABASE", found)
    return found


def test_agreement_needs_two_people(labelled: Labelled, run: Callable[..., Ended], url: str) -> None:
    ended = run("agreement", labelled.small.folder)
    assert (ended.code, ended.err) == (0, "")
    assert "nobody has labelled a response yet; agreement needs the labels of two people" in ended.out
    labelled.label_all(labelled.person("ann"), most=3)
    assert "only ann has labelled so far" in run("agreement", labelled.small.folder).out


def test_agreement_is_printed_and_given_as_json(
    labelled: Labelled, run: Callable[..., Ended], url: str
) -> None:
    ann, ben = labelled.person("ann"), labelled.person("ben")
    note_background(labelled.store, "ann", "North")
    note_background(labelled.store, "ben", "South")
    labelled.label_all(ann, lambda item: "refusal" if item.response < "4" else "answer", at=NOON)
    labelled.label_all(ben, lambda item: "refusal" if item.response < "8" else "answer", at=NOON)
    first = {row["response"]: row["category"] for row in labelled.rows(annotator="ann")}
    second = {row["response"]: row["category"] for row in labelled.rows(annotator="ben")}
    same = sum(first[response] == second[response] for response in first) / TOTAL
    [found] = json.loads(run("agreement", labelled.small.folder, "--json").out)
    assert (found["pass_"], found["labels"], found["annotators"], found["note"]) == (
        *("whole", 2 * TOTAL, 2, None),
    )
    percent = [each for each in found["figures"] if each["measure"] == "percent"]
    [overall] = [
        each
        for each in percent
        if not any(each[part] for part in ("category", "group", "round", "background"))
    ]
    assert overall["value"] == pytest.approx(same)
    assert {each["group"] for each in percent} == {None, "North", "South", "East"}
    assert {each["round"] for each in percent} == {None, "1"}
    assert [each["other_background"] for each in percent if each["other_background"]] != []
    assert found["confused"][0]["categories"] == ["answer", "refusal"]
    text = run("agreement", labelled.small.folder).out
    assert f"Six categories: {2 * TOTAL} labels of {TOTAL} responses by 2 people" in text
    assert f"  all, same label: {same:.2f}" in text
    assert "answer / refusal: confused" in text
