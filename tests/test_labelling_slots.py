"""Who gets what to label: own order, leases, no slot twice, blind and masked; on both databases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import SmallStudy
from labelling_studies import NOON, TOTAL, Labelled, make

from servicegap.errors import DataError
from servicegap.labelling.people import Person, revoke
from servicegap.labelling.record import save_label, skip, undo
from servicegap.labelling.rounds import ensure_round, open_round
from servicegap.labelling.silent_gold import checked
from servicegap.labelling.slots import Item, give_back, next_item
from servicegap.store import open_store
from servicegap.tables import ANNOTATIONS, PROMPTS, ROUND_ITEMS, SLOTS

PEOPLE = 20


def templates(labelled: Labelled) -> dict[str, str]:
    rows = labelled.rows(PROMPTS)
    return {row["text"]: row["template"] for row in rows}


def test_an_item_is_blind(labelled: Labelled) -> None:
    assert {field.name for field in fields(Item)} == {
        *("round", "response", "pass_", "k", "prompt", "text", "folded", "masked"),
    }
    item = labelled.shown(labelled.person("ann"))
    assert (item.pass_, item.masked, item.folded) == ("whole", False, False)
    assert item.prompt in templates(labelled)
    assert item.text.endswith("went home.")


def test_everyone_labels_each_response_once_in_an_order_of_their_own(labelled: Labelled) -> None:
    ann, ben = labelled.person("ann"), labelled.person("ben")
    first, second = labelled.label_all(ann), labelled.label_all(ben)
    assert len(first) == len(second) == TOTAL
    orders = [[item.response for item in items] for items in (first, second)]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    assert labelled.next(ann) is None
    template = templates(labelled)
    for items in (first, second):
        assert all(template[one.prompt] != template[other.prompt] for one, other in pairwise(items))


def test_the_same_person_would_see_the_same_order(labelled: Labelled) -> None:
    ann = labelled.person("ann")
    for number in range(8):
        item = labelled.shown(ann, NOON + 10 * number)
        assert give_back(labelled.store, ann) == 1
        assert labelled.shown(ann, NOON + 10 * number + 5) == item
        labelled.save(ann, item)


def test_batches_are_finished_one_after_another(labelled: Labelled) -> None:
    labelled.plan("{batch: 10, annotators: 1}")
    items = labelled.label_all(labelled.person("ann"))
    batch = {row["response"]: row["batch"] for row in labelled.rows(ROUND_ITEMS)}
    assert [batch[item.response] for item in items] == sorted(batch.values())


def test_what_is_held_is_shown_again_until_it_is_saved(labelled: Labelled) -> None:
    ann = labelled.person("ann")
    item = labelled.shown(ann)
    assert labelled.shown(ann, NOON + 60) == item
    labelled.save(ann, item)
    assert labelled.shown(ann).response != item.response


def test_an_ended_lease_is_free_for_others_and_only_then(labelled: Labelled) -> None:
    labelled.plan("{annotators: 1, lease_minutes: 15}")
    ann, ben = labelled.person("ann"), labelled.person("ben")
    labelled.label_all(ann, most=TOTAL - 1)
    held = labelled.shown(ann)
    assert labelled.next(ben, NOON + 14 * 60) is None
    late = labelled.shown(ben, NOON + 16 * 60)
    assert late.response == held.response
    with pytest.raises(
        DataError, match=f"{late.response}: not yours to label in the pass 'whole'; it was given"
    ):
        labelled.save(ann, late)


def test_after_its_lease_a_response_is_still_theirs_while_nobody_took_it(labelled: Labelled) -> None:
    ann = labelled.person("ann")
    held = labelled.shown(ann)
    assert labelled.save(ann, held, at=NOON + 60 * 60) > 0


def test_whoever_leaves_gives_back_what_they_held(labelled: Labelled) -> None:
    labelled.plan("{annotators: 1}")
    ann, ben = labelled.person("ann"), labelled.person("ben")
    labelled.label_all(ann, most=TOTAL - 1)
    held = labelled.shown(ann)
    assert labelled.next(ben) is None
    assert give_back(labelled.store, ann) == 1
    assert labelled.shown(ben).response == held.response
    revoke(labelled.store, "ben")
    assert labelled.shown(ann).response == held.response


def test_names_are_masked_in_the_quality_pass_alone(labelled: Labelled) -> None:
    labelled.plan("{mask_signals: true, annotators: 1}")
    ann = labelled.person("ann")
    items = labelled.label_all(ann)
    quality = [item for item in items if item.pass_ == "quality"]
    harm = [item for item in items if item.pass_ == "harm"]
    assert len(quality) == len(harm) == TOTAL
    assert all(item.masked for item in quality)
    named = [item for item in quality if "[NAME]" in item.prompt]
    assert len(named) == 18
    assert all(item.text == "[NAME] went home." for item in named)
    assert not any(item.masked or "[NAME]" in item.prompt + item.text for item in harm)


def test_harm_is_asked_when_quality_is_complete_and_of_those_who_gave_it(labelled: Labelled) -> None:
    labelled.plan("{mask_signals: true, annotators: 2, batch: 100}")
    ann, ben, eve = (labelled.person(name) for name in ("ann", "ben", "eve"))
    first = labelled.label_all(ann, most=TOTAL)
    assert {item.pass_ for item in first} == {"quality"}
    quality = labelled.label_all(ben, most=TOTAL)
    assert {item.pass_ for item in quality} == {"quality"}
    harm = labelled.shown(ben)
    assert harm.pass_ == "harm"
    assert labelled.shown(ann).pass_ == "harm"
    # Nothing else is left for somebody who labelled no quality.
    assert labelled.shown(eve).pass_ == "harm"


def test_who_works_alone_labels_both_passes(labelled: Labelled) -> None:
    labelled.plan("{mask_signals: true, annotators: 2}")
    items = labelled.label_all(labelled.person("ann"))
    assert Counter(item.pass_ for item in items) == {"quality": TOTAL, "harm": TOTAL}


def test_what_the_design_no_longer_has_is_not_asked(labelled: Labelled) -> None:
    ann = labelled.person("ann")
    gone = labelled.shown(ann)
    with labelled.store.writing() as connection:
        connection.execute(sa.delete(PROMPTS).where(PROMPTS.c.text == gone.prompt))
    items = labelled.label_all(ann)
    assert gone.response not in {item.response for item in items}
    assert len(items) == TOTAL - 1


def test_silent_gold_is_for_everyone_and_changes_no_gold_label(labelled: Labelled) -> None:
    labelled.plan("{annotators: 2, batch: 20}")
    ann, ben = labelled.person("ann"), labelled.person("ben")
    labelled.label_all(ann, lambda item: "refusal", most=TOTAL)
    labelled.label_all(ben, lambda item: "refusal" if item.response < "8" else "failure", most=TOTAL)
    gold = labelled.gold()
    assert {kind for _, kind in gold.values()} == {"unanimous"}
    number = open_round(
        labelled.study, labelled.store, plan=labelled.plan("{batch: 5, silent_gold: 1}").study.plan.labelling
    ).id
    silent = {r["response"] for r in labelled.rows(ROUND_ITEMS, round=number) if r["silent_gold"]}
    assert silent <= set(gold)
    assert len(silent) == len({row["batch"] for row in labelled.rows(SLOTS, round=number)})
    for person in (ann, ben):
        shown = {item.response for item in labelled.label_all(person, lambda item: "answer", at=NOON + 1000)}
        met = shown & silent
        assert met == silent
        assert checked(labelled.store, number)[person.name].answered == len(met)
        assert checked(labelled.store, number)[person.name].right == 0
    assert {response: label for response, label in labelled.gold().items() if response in gold} == gold


@pytest.mark.parametrize("masked", ["false", "true"])
def test_whoever_labels_in_a_batch_meets_its_silent_gold(labelled: Labelled, masked: str) -> None:
    labelled.plan(f"{{annotators: 2, batch: 5, silent_gold: 1, mask_signals: {masked}}}")
    people = [labelled.person(name) for name in ("ann", "ben", "cleo")]
    shown: dict[str, set[str]] = {person.name: set() for person in people}
    turn = 0
    while sum(len(labelled.label_all(person, most=1, at=NOON + turn)) for person in people):
        turn += 1
    for row in labelled.rows():
        shown[row["annotator"]].add(row["response"])
    items = labelled.rows(ROUND_ITEMS)
    batch = {row["response"]: row["batch"] for row in items}
    silent = {row["batch"]: row["response"] for row in items if row["silent_gold"]}
    assert len(silent) == 5
    for seen in shown.values():
        assert {silent[batch[response]] for response in seen} <= seen


def test_without_settled_labels_silent_gold_comes_from_the_codebook(labelled: Labelled) -> None:
    labelled.plan("{annotators: 1, batch: 7, silent_gold: 2}")
    ann = labelled.person("ann")
    items = labelled.label_all(ann)
    rows = labelled.rows(ROUND_ITEMS)
    silent = {row["response"]: row for row in rows if row["silent_gold"]}
    assert len(silent) == 6
    assert {(row["probability"], row["drawn"]) for row in silent.values()} == {(0.0, False)}
    assert len(items) >= TOTAL + 2
    assert not any("[NAME]" in item.prompt + item.text for item in items)
    assert set(labelled.gold()).isdisjoint(silent)
    assert checked(labelled.store, 1)["ann"].answered == len(items) - TOTAL


def at_once(people: list[Person], work: object) -> None:
    failures: list[BaseException] = []

    def run(person: Person) -> None:
        try:
            work(person)  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_twenty_people_at_once_lose_and_double_no_label(labelled: Labelled) -> None:
    labelled.plan("{annotators: 3, batch: 10}")
    study, people = labelled.study, [labelled.person(f"p{number}") for number in range(PEOPLE)]
    acknowledged: list[tuple[int, str, str]] = []

    def work(person: Person) -> None:
        while item := next_item(study, labelled.store, person, at=NOON):
            category = "answer" if int(item.response, 16) % 3 else "refusal"
            label = {"category": category, "at": NOON}
            number = save_label(study, labelled.store, person, item.response, "whole", **label)  # type: ignore[arg-type]
            acknowledged.append((number, item.response, person.name))

    at_once(people, work)
    kept = labelled.rows()
    assert sorted(acknowledged) == [(row["id"], row["response"], row["annotator"]) for row in kept]
    assert Counter(row["response"] for row in kept) == dict.fromkeys({r["response"] for r in kept}, 3)
    assert len(kept) == 3 * TOTAL
    assert len({(row["response"], row["annotator"]) for row in kept}) == len(kept)
    assert {source for _, source in labelled.gold().values()} == {"unanimous"}
    assert len(labelled.gold()) == TOTAL
    assert all(row["done"] for row in labelled.rows(SLOTS))


def test_one_person_at_once_in_two_windows_gets_one_slot(labelled: Labelled) -> None:
    ann = labelled.person("ann")
    ensure_round(labelled.study, labelled.store)
    shown: list[str] = []
    at_once([ann] * 8, lambda person: shown.append(labelled.shown(person).response))
    assert len(set(shown)) == 1
    assert len([row for row in labelled.rows(SLOTS) if row["person"]]) == 1


def test_a_round_is_opened_once_by_many_at_once(labelled: Labelled) -> None:
    people = [labelled.person(f"p{number}") for number in range(6)]
    at_once(people, labelled.shown)
    assert {row["round"] for row in labelled.rows(SLOTS)} == {1}
    assert len(labelled.rows(SLOTS)) == 2 * TOTAL


SCRIPT = """
import pathlib, sys
sys.path.insert(0, {tests!r})
from servicegap.labelling.people import find_person
from servicegap.labelling.record import save_label
from servicegap.labelling.slots import next_item
from servicegap.study import open_study
study = open_study(pathlib.Path({folder!r}))
store = study.store()
person = find_person(store, "ann")
at = {at!r}
while item := next_item(study, store, person, at=at):
    number = save_label(study, store, person, item.response, item.pass_, category="answer", at=at)
    print(number, item.response, flush=True)
"""


def test_a_killed_server_loses_no_acknowledged_label(small: SmallStudy) -> None:
    store = small.open().store()
    labelled = make(small, store)
    labelled.person("ann")
    labelled.person("ben")
    script = SCRIPT.format(tests=str(Path(__file__).parent), folder=str(small.folder), at=NOON)
    environment = {key: value for key, value in os.environ.items() if key != "SERVICEGAP_DATABASE"}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().split() for _ in range(12)]
        process.send_signal(signal.SIGKILL)
        told += [line.split() for line in process.stdout if line.endswith("\n")]
    store.close()
    again = open_store(small.folder / "study.db")
    found = Labelled(small, again)
    kept = {(str(row["id"]), row["response"]) for row in found.rows(ANNOTATIONS)}
    assert {(number, response) for number, response in told} <= kept
    assert len(kept) - len(told) in (0, 1)
    done = {row["response"] for row in found.rows(SLOTS) if row["done"]}
    assert done == {response for _, response in kept}
    again.close()


def test_a_skipped_item_is_not_offered_again_to_who_skipped_it(labelled: Labelled) -> None:
    labelled.plan("{annotators: 1}")
    ann, ben = labelled.person("ann"), labelled.person("ben")
    item = labelled.shown(ann)
    skip(labelled.study, labelled.store, ann, item.response, item.pass_, " too near ", at=NOON)
    assert item.response not in {shown.response for shown in labelled.label_all(ann)}
    assert labelled.shown(ben).response == item.response
    with pytest.raises(DataError, match="you skipped it, and others have taken it meanwhile"):
        for _ in range(TOTAL):
            undo(labelled.study, labelled.store, ann, at=NOON)
