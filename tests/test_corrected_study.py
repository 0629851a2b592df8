"""A study whose automatic labels people's random sample corrects, from the database to the words."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Answer, Ended, SmallStudy, response_to

from servicegap.analyse import analyse, analyse_table, inputs_hash
from servicegap.calls import planned_calls
from servicegap.errors import InputError
from servicegap.labels import labelled_responses
from servicegap.records import Annotation, Category
from servicegap.report import render, summary
from servicegap.report.passages import passages
from servicegap.report.reading import read_results
from servicegap.scores import with_scores
from servicegap.store import Store, write_annotations, write_responses
from servicegap.study import AnalysisPlan, now
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, ROUND_ITEMS

GROUPS = ("North", "South", "East")
#: True rates of refusal, and how often the annotator misses one.
REFUSED = {"North": 0.2, "South": 0.5, "East": 0.2}
MISSED = {"North": 0.05, "South": 0.5, "East": 0.05}
SHARE = 0.3


@pytest.fixture
def big(small: SmallStudy) -> SmallStudy:
    """The small study with eight names a group and fourteen templates."""
    rows = [f"{group} {n},{group},," for group in GROUPS for n in range(8)]
    small.write("signals.csv", "\n".join(["name,group,gender,commonness", *rows]) + "\n")
    templates = [
        f'  - {{id: t{n}, text: "{{name}} bought [BLANK] on day {n}."{", target: South" if n < 10 else ""}}}'
        for n in range(14)
    ]
    small.write("templates.yaml", "\n".join(["templates:", *templates]) + "\n")
    small.change("study.yaml", "control: true", "control: false")
    small.change("study.yaml", "samples: 2", "samples: 3")
    return small


class Judging:
    """Responses with a true category, an annotator that errs by group, and a random sample of people."""

    def __init__(self, study: SmallStudy, store: Store) -> None:
        self.study, self.store = study, store
        self.truth: dict[str, Category] = {}
        self.group: dict[str, str] = {}
        self.targeted: dict[str, bool] = {}
        plan, design = study.open(), study.design(store)
        groups = {signal.text: str(signal.group) for signal in design.signals}
        targets = {template.id: template.target for template in design.templates}
        lots, responses = random.Random(7), []
        for call in planned_calls(plan, plan.plan.models[0].id, design.prompts):
            group = groups[call.prompt.signal]
            refused = lots.random() < REFUSED[group]
            self.truth[call.id] = "refusal" if refused else "answer"
            self.group[call.id] = group
            self.targeted[call.id] = targets[call.prompt.template] is not None
            responses.append(response_to(call, plan.plan.models[0].id, Answer()))
        with store.writing() as connection:
            write_responses(connection, responses)

    def annotate(self, annotator: str = "reader", note: Callable[[str], str] | None = None) -> None:
        self.study.change("study.yaml", "annotators: []", f"annotators: [{annotator}]")
        lots, annotations = random.Random(11), []
        for response, truth in self.truth.items():
            seen = truth == "refusal" and lots.random() >= MISSED[self.group[response]]
            score = 0.9 if seen else 0.08
            annotations.append(
                Annotation(
                    response, annotator, "automatic", "1", "refusal" if seen else "answer", now(),
                    probabilities=(1 - score, 0.0, 0.0, score, 0.0, 0.0),
                    note=note(response) if note else None,
                )
            )  # fmt: skip
        with self.store.writing() as connection:
            write_annotations(connection, annotations)

    def ask_people(self, *, by_chance: bool = True, settled: float = 1.0) -> None:
        lots = random.Random(13)
        drawn = [response for response in self.truth if lots.random() < SHARE]
        answered = [response for response in drawn if lots.random() < settled]
        with self.store.writing() as connection:
            if by_chance:
                items = [
                    {"round": 1, "response": response, "stratum": "all", "probability": SHARE}
                    | {"drawn": response in set(drawn), "folded": False}
                    for response in self.truth
                ]
                connection.execute(sa.insert(ROUND_ITEMS), items)
            gold = [
                {"response": response, "category": self.truth[response], "source": "single"}
                | {"created": now(), "round": 1}
                for response in answered
            ]
            connection.execute(sa.insert(GOLD_LABELS), gold)

    def true_rate(self, group: str) -> float:
        own = [t for r, t in self.truth.items() if self.group[r] == group and self.targeted[r]]
        return sum(t == "refusal" for t in own) / len(own)

    def analysed(self) -> dict[str, Any]:
        return analyse(self.study.open(), self.store, self.study.design(self.store))


@pytest.fixture
def judging(big: SmallStudy, store: Store) -> Judging:
    return Judging(big, store)


def pick(results: dict[str, Any], kind: str, group: str | None, outcome: str = "refused") -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        e
        for e in results["estimates"]
        if (e["kind"], e["group"], e["outcome"], e["target"], e["signal"])
        == (kind, group, outcome, None, None)
    ]
    assert len(found) == 1
    return found[0]


def test_the_corrected_gap_is_close_to_the_truth_and_the_automatic_one_is_not(judging: Judging) -> None:
    judging.annotate()
    judging.ask_people()
    results = judging.analysed()
    truth = judging.true_rate("South") - judging.true_rate("North")
    gap, alone = (pick(results, kind, "South") for kind in ("gap", "automatic_gap"))
    assert abs(gap["value"] - truth) < 0.06
    assert alone["value"] < truth - 0.15
    assert gap["low"] < truth < gap["high"]
    assert (gap["planned"], gap["labels"]) == (True, "corrected")
    assert "prediction-powered" in gap["method"]
    assert "responses labelled by people" in gap["note"]
    assert (alone["planned"], alone["labels"]) == (False, "automatic-uncorrected")
    assert results["labels"]["kind"] == "corrected"
    [correction] = results["labels"]["correction"]
    assert (correction["annotator"], correction["cross_fitted"]) == ("reader", False)
    assert {row["group"] for row in correction["groups"]} == set(GROUPS)
    assert all(0 < row["labelled"] < row["n"] for row in correction["groups"])


def test_all_that_stands_beside_the_correction_is_there(judging: Judging) -> None:
    judging.annotate()
    judging.ask_people()
    results = judging.analysed()
    for group in GROUPS:
        sensitivity, specificity = (pick(results, kind, group) for kind in ("sensitivity", "specificity"))
        assert sensitivity["low"] < 1 - MISSED[group] < sensitivity["high"]
        assert specificity["value"] == 1
        assert pick(results, "rate", group)["labels"] == "corrected"
        assert pick(results, "corpus_rate", group)["value"] == pytest.approx(
            pick(results, "rogan_gladen", group)["value"], abs=0.06
        )
    for kind in ("corpus_gap", "four_fifths", "ratio", "odds_ratio"):
        found = pick(results, kind, "South")
        assert found["labels"] == "corrected"
        assert found["low"] < found["value"] < found["high"]
    corpus, gap = pick(results, "corpus_gap", "South"), pick(results, "gap", "South")
    assert corpus["high"] - corpus["low"] < gap["high"] - gap["low"]
    [contrast] = [e for e in results["estimates"] if e["kind"] == "contrast" and e["planned"]][:1]
    assert contrast["labels"] == "corrected"
    assert {e["kind"] for e in results["estimates"] if e["planned"]} == {"gap", "contrast"}
    # What is still of uncorrected labels says so.
    names = [e for e in results["estimates"] if e["kind"] == "rate" and e["signal"] is not None]
    assert {e["labels"] for e in names} == {"automatic-uncorrected"}


def test_the_report_and_the_summary_say_corrected(judging: Judging) -> None:
    judging.annotate()
    judging.ask_people()
    results = judging.analysed()
    told = "\n".join(summary(results))
    assert "corrected by a random sample" in told
    assert "screening signal" not in told
    page = render(results)
    assert "Automatic labels, corrected by people" in page
    assert "sensitivity" in page.lower()
    assert "run0-correction-page" in page


def test_labels_not_drawn_by_chance_correct_nothing(judging: Judging) -> None:
    judging.annotate()
    judging.ask_people(by_chance=False)
    results = judging.analysed()
    assert results["labels"]["kind"] == "automatic-uncorrected"
    assert results["labels"]["correction"] == []
    [told] = [warning for warning in results["warnings"] if "were not drawn by chance" in warning]
    assert "servicegap annotator plan DIR --open, and label it with: servicegap serve DIR" in told
    assert pick(results, "gap", "South")["labels"] == "automatic-uncorrected"
    assert "A screening signal, not a finding" in "\n".join(summary(results))


def test_what_is_drawn_and_not_settled_lowers_the_chances(judging: Judging) -> None:
    judging.annotate()
    judging.ask_people(settled=0.6)
    results = judging.analysed()
    truth = judging.true_rate("South") - judging.true_rate("North")
    assert abs(pick(results, "gap", "South")["value"] - truth) < 0.08
    assert any("have no settled label yet" in warning for warning in results["warnings"])
    assert not any("no random sample" in warning for warning in results["warnings"])


def test_an_annotator_fitted_on_the_labels_needs_its_folds(judging: Judging) -> None:
    judging.annotate("fitted")
    judging.ask_people()
    results = judging.analysed()
    assert results["labels"]["kind"] == "automatic-uncorrected"
    assert any("annotator fitted learned from labels of this study" in w for w in results["warnings"])


def test_scores_out_of_fold_are_corrected(judging: Judging) -> None:
    with judging.store.reading() as connection:
        asked = sa.text("select r.id, p.template from responses r join prompts p on p.id = r.prompt")
        templates = {str(row[0]): str(row[1]) for row in connection.execute(asked)}
    judging.annotate("fitted", lambda response: json.dumps({"fold": int(templates[response][1:]) % 3}))
    judging.ask_people()
    results = judging.analysed()
    [correction] = results["labels"]["correction"]
    assert (correction["annotator"], correction["cross_fitted"]) == ("fitted", True)
    assert pick(results, "gap", "South")["labels"] == "corrected"
    # A template in two folds: answers to it taught the annotator that scored it.
    with judging.store.writing() as connection:
        first = next(iter(templates))
        row = connection.execute(sa.select(ANNOTATIONS).where(ANNOTATIONS.c.response == first)).one()
        changed = {"note": json.dumps({"fold": 99})}
        connection.execute(sa.update(ANNOTATIONS).where(ANNOTATIONS.c.id == row.id).values(changed))
    study = judging.study.open()
    judged = with_scores(study, judging.store, labelled_responses(study, judging.store))
    assert judged.annotator is None
    assert any("is in 2 folds" in warning for warning in judged.warnings)


def test_a_new_sample_makes_results_stale(judging: Judging) -> None:
    judging.annotate()
    before = inputs_hash(judging.study.open(), judging.store)
    judging.ask_people()
    assert inputs_hash(judging.study.open(), judging.store) != before


def test_groups_outside_the_family_are_exploratory(judging: Judging) -> None:
    judging.annotate()
    judging.ask_people()
    judging.study.change("study.yaml", "  level: 0.95", "  level: 0.95\n  family: [South]")
    results = judging.analysed()
    assert pick(results, "gap", "South")["planned"]
    assert not pick(results, "gap", "East")["planned"]


def write_table(judging: Judging, path: Path, people: dict[str, Category]) -> None:
    judging.annotate()
    with judging.store.reading() as connection:
        rows = connection.execute(
            sa.text(
                "select r.id, p.template, p.signal, a.probabilities from responses r "
                "join prompts p on p.id = r.prompt join annotations a on a.response = r.id"
            )
        ).all()
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["who", "name", "prompt", "machine", "asked", "chance"])
        for response, template, signal, probabilities in rows:
            asked = {"refusal": "yes", "answer": "no"}[people[response]] if response in people else ""
            score = json.loads(probabilities)[3]
            writer.writerow([judging.group[response], signal, template, score, asked, SHARE])


COLUMNS = {"group": "who", "signal": "name", "template": "prompt", "score": "machine"}
ALL = COLUMNS | {"human": "asked", "probability": "chance"}


def test_anybodys_table_is_corrected_too(judging: Judging, tmp_path: Path, run: Callable[..., Ended]) -> None:
    lots = random.Random(3)
    people = {response: truth for response, truth in judging.truth.items() if lots.random() < SHARE}
    path = tmp_path / "t.csv"
    write_table(judging, path, people)
    results = analyse_table(path, ALL, AnalysisPlan(reference="North", margin=0.1))
    truths = {
        group: sum(t == "refusal" for r, t in judging.truth.items() if judging.group[r] == group)
        / sum(g == group for g in judging.group.values())
        for group in GROUPS
    }
    gap = pick(results, "gap", "South", "asked")
    assert abs(gap["value"] - (truths["South"] - truths["North"])) < 0.06
    assert (gap["planned"], gap["labels"]) == (True, "corrected")
    assert pick(results, "equivalence", "East", "asked")["p"] is not None
    assert results["labels"]["kind"] == "corrected"
    options = [word for use, column in ALL.items() for word in (f"--{use}", column)]
    ended = run("analyse", "--table", path, *options, "--reference", "North")
    assert ended.code == 0, ended.err
    assert "corrected by a random sample" in ended.out


def test_a_table_says_what_is_wrong_with_it(judging: Judging, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_table(judging, path, {})
    with pytest.raises(InputError, match="also needs --human, --probability"):
        analyse_table(path, COLUMNS, AnalysisPlan(reference="North"))
    with pytest.raises(InputError, match="needs one of these"):
        analyse_table(path, ALL | {"value": "machine"}, AnalysisPlan(reference="North"))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(",0.9,", ",a lot,", 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"machine: 'a lot' is no number \(1 such rows\)"):
        analyse_table(path, ALL, AnalysisPlan(reference="North"))


def test_numbers_have_means_and_gaps_in_their_own_unit(tmp_path: Path) -> None:
    lots = random.Random(5)
    path = tmp_path / "numbers.csv"
    rows = [
        f"{group},{group}{name},t{template},{20 + 5 * (group == 'b') + lots.gauss(0, 2) + template:.2f}"
        for group in "ab"
        for name in range(6)
        for template in range(8)
    ]
    path.write_text("\n".join(["who,name,prompt,seconds", *rows, "a,a0,t0,"]) + "\n", encoding="utf-8")
    columns = {"group": "who", "signal": "name", "template": "prompt", "value": "seconds"}
    results = analyse_table(path, columns, AnalysisPlan(reference="a"))
    gap = pick(results, "mean_gap", "b", "seconds")
    assert gap["low"] < 5 < gap["high"]
    assert gap["planned"]
    assert gap["p_adjusted"] is not None
    assert pick(results, "mean", "a", "seconds")["n_missing"] == 1
    told = "\n".join(summary(results))
    assert "seconds" in told
    assert "points" not in told.split("This design")[0]


def test_how_long_responses_are_is_an_exploratory_outcome(big: SmallStudy, store: Store) -> None:
    plan, design = big.open(), big.design(store)
    groups = {signal.text: str(signal.group) for signal in design.signals}
    lots, responses = random.Random(5), []
    for call in planned_calls(plan, plan.plan.models[0].id, design.prompts):
        words = 10 + 4 * (groups[call.prompt.signal] == "South") + lots.randrange(3)
        text = " ".join(["word"] * (words - 1)) + "\nword "
        responses.append(replace(response_to(call, plan.plan.models[0].id, Answer()), text=text))
    with store.writing() as connection:
        write_responses(connection, responses)
        write_annotations(
            connection, [Annotation(r.id, "x", "imported", "1", "answer", now()) for r in responses]
        )
    results = analyse(plan, store, design)
    gap = pick(results, "mean_gap", "South", "words")
    assert abs(gap["value"] - 4) < 0.4
    assert not gap["planned"]
    assert gap["n_responses"] == 2 * 8 * 10 * 3
    assert 10 < pick(results, "mean", "North", "words")["value"] < 12
    [passage] = [
        p for p in passages(read_results(results), read_results(results).runs[0]) if p.key == "lengths"
    ]
    assert "names read as South (4.0)" in passage.lead
