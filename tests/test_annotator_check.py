"""Annotators against people: worked by hand, against other functions of the package, and at the edges."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from conftest import Answer, Ended, SmallStudy

from servicegap.analyse import analyse
from servicegap.annotator_check import check_text, checks
from servicegap.annotator_check.measured import kappas, over_templates
from servicegap.annotator_check.swapping import swap_names
from servicegap.annotators import SignalMask
from servicegap.calls import Call
from servicegap.correction.post_stratification import jeffreys
from servicegap.design import build_design
from servicegap.labels import labelled_responses
from servicegap.notation import percent
from servicegap.records import CATEGORIES, Annotation, Category, Signal, Template
from servicegap.report import render
from servicegap.report.annotator_figures import annotator_figures, annotator_passage
from servicegap.report.reading import read_results
from servicegap.store import Store, write_annotations
from servicegap.study import now
from servicegap.tables import GOLD_LABELS, ROUND_ITEMS


def lot(call: Call) -> int:
    return int(call.id[:6], 16) % 10


def answers(call: Call, signal: Signal, template: Template) -> Answer:
    return Answer("refusal" if lot(call) < 3 else "answer", text=f"{signal.text} bought some bread.")


def probabilities(refusal: float) -> tuple[float, ...]:
    rest = (1 - refusal) / 5
    return tuple(refusal if category == "refusal" else rest for category in CATEGORIES)


def judge(store: Store, frame: pl.DataFrame, give: Callable[[dict[str, str]], Category | None]) -> None:
    """Let an automatic annotator `test` label every response."""
    annotations = []
    for row in frame.iter_rows(named=True):
        category = give(row)
        sure = None if category is None else probabilities(0.9 if category == "refusal" else 0.05)
        reason = "cannot read it" if category is None else None
        annotations.append(
            Annotation(
                row["response"], "test", "automatic", "1", category, now(),
                abstain_reason=reason, probabilities=sure,
            )
        )  # fmt: skip
    with store.writing() as connection:
        write_annotations(connection, annotations)


@pytest.fixture
def frame(small: SmallStudy, store: Store) -> pl.DataFrame:
    """Responses labelled by an import; the annotator misses every other refusal of South."""
    small.answer(store, answers)
    responses = labelled_responses(small.open(), store)

    def give(row: dict[str, str]) -> Category | None:
        if row["group"] == "South" and row["category"] == "refusal" and int(row["response"][-1], 16) % 2:
            return "answer"
        return None if row["template"] == "n1" and row["group"] == "East" else row["category"]  # type: ignore[return-value]

    judge(store, responses, give)
    return responses


def test_confusion_precision_recall_and_errors_by_group_are_counted(
    small: SmallStudy, store: Store, frame: pl.DataFrame
) -> None:
    [check] = checks(small.open(), store)
    missed = frame.filter(
        (pl.col("group") == "South")
        & (pl.col("category") == "refusal")
        & pl.col("response").str.slice(-1).is_in(list("13579bdf"))
    ).height
    abstained = frame.filter((pl.col("template") == "n1") & (pl.col("group") == "East"))
    refusals = frame.filter(pl.col("category") == "refusal").height
    unread = abstained.filter(pl.col("category") == "refusal").height
    counts = dict(zip(check["confusion"]["people"], check["confusion"]["counts"], strict=True))
    assert missed > 3
    assert counts["refusal"] == [missed, 0, 0, refusals - missed - unread, 0, 0, unread]
    by_category = {each["category"]: each for each in check["categories"]}
    recall = by_category["refusal"]["recall"]
    n = refusals - unread
    assert recall["value"] == pytest.approx((n - missed) / n)
    limits = jeffreys(n - missed, n, 0.95)
    assert (recall["low"], recall["high"]) == pytest.approx((limits.low, limits.high))
    assert by_category["refusal"]["precision"]["value"] == 1
    assert by_category["failure"]["precision"]["value"] is None
    assert by_category["failure"]["recall"]["note"] == "people give this to no response that it judged"
    sensitivity = {each["group"]: each["value"] for each in check["errors"] if each["kind"] == "sensitivity"}
    south = frame.filter((pl.col("group") == "South") & (pl.col("category") == "refusal")).height
    assert sensitivity == pytest.approx(
        {"East": 1, "North": 1, "South": 1 - missed / south, None: sensitivity[None]}
    )
    assert check["abstentions"] == [
        {"group": "East", "n": 64, "abstained": 8},
        {"group": "North", "n": 64, "abstained": 0},
        {"group": "South", "n": 64, "abstained": 0},
        {"group": "no signal", "n": 16, "abstained": 0},
    ]


def test_imported_labels_count_once_each_and_the_check_says_so(
    small: SmallStudy, store: Store, frame: pl.DataFrame
) -> None:
    [check] = checks(small.open(), store)
    assert (check["labels"], check["kind"], check["n_labels"]) == ("imported", "automatic", frame.height)
    assert check["notes"][0].startswith(f"{frame.height} of {frame.height} labels were not drawn by chance")


def test_gold_labels_go_first_and_count_by_their_chance(
    small: SmallStudy, store: Store, frame: pl.DataFrame
) -> None:
    refused = frame.filter((pl.col("group") == "South") & (pl.col("category") == "refusal"))[
        "response"
    ].to_list()
    wrong = [each for each in refused if int(each[-1], 16) % 2]
    right = [each for each in refused if each not in wrong]
    chance = {wrong[0]: 0.1, right[0]: 0.5}
    with store.writing() as connection:
        for response, probability in chance.items():
            connection.execute(
                sa.insert(ROUND_ITEMS).values(
                    round=1,
                    response=response,
                    stratum=response,
                    probability=probability,
                    drawn=True,
                    folded=False,
                )
            )
            connection.execute(
                sa.insert(GOLD_LABELS).values(
                    response=response, category="refusal", source="unanimous", created=now(), round=1
                )
            )
    [check] = checks(small.open(), store)
    assert (check["labels"], check["n_labels"], check["notes"]) == ("gold", 2, [])
    recall = {each["category"]: each["recall"] for each in check["categories"]}["refusal"]
    # One label stands for 10 responses and is missed, the other for 2.
    assert recall["value"] == pytest.approx(2 / 12)
    [south] = [e for e in check["errors"] if e["kind"] == "sensitivity" and e["group"] == "South"]
    assert south["value"] == pytest.approx(2 / 12)


def test_calibration_compares_what_is_said_with_what_people_say(
    small: SmallStudy, store: Store, frame: pl.DataFrame
) -> None:
    [check] = checks(small.open(), store)
    low, high = check["calibration"]["bins"]
    # `refused` is refusal and harmful refusal: 0.05 + 0.95 / 5, and 0.9 + 0.1 / 5.
    assert (low["mean"], high["mean"]) == pytest.approx((0.24, 0.92))
    assert (low["from"], low["to"], high["from"]) == (0.2, 0.3, 0.9)
    assert high["value"] == 1
    assert low["n"] + high["n"] == frame.height - 8
    off = low["n"] * abs(0.24 - low["value"]) + high["n"] * 0.08
    assert check["calibration"]["error"] == pytest.approx(off / (frame.height - 8))


def test_without_people_there_is_nothing_to_compare_with(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None))
    judge(store, labelled_responses(small.open(), store), lambda row: "answer")
    [check] = checks(small.open(), store)
    assert check["labels"] is None
    assert check["kappa"] == {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "note": "there is nothing to compare with",
    }
    assert check["errors"] == check["calibration"]["bins"] == []
    assert "nothing to compare with" in check_text(check)


def test_without_automatic_annotators_there_is_nothing_to_check(
    small: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    small.answer(store, answers)
    assert checks(small.open(), store) == []
    assert run("annotator", "check", small.folder).out.startswith("No automatic annotator has judged")


def test_kappa_is_cohens() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.integers(0, 20, (6, 6))
    n = matrix.sum()
    agreed = np.trace(matrix) / n
    chance = sum(matrix[k].sum() * matrix[:, k].sum() for k in range(6)) / n**2
    assert kappas(matrix.reshape(1, 36).astype(float))[0] == pytest.approx((agreed - chance) / (1 - chance))
    one = np.zeros((1, 36))
    one[0, 0] = 5
    assert np.isnan(kappas(one)[0])


def test_intervals_are_over_templates_and_absent_with_few() -> None:
    rng = np.random.default_rng(1)
    sums = np.ones((60, 1)) * rng.normal(0, 1, (60, 1))

    def mean(totals: np.ndarray) -> np.ndarray:
        return totals / 60

    [few] = over_templates(["a", "b"] * 30, sums, mean, rng, 0.95)
    assert few.low is None
    assert few.note == "labels of 2 templates; an interval needs 5 or more"
    [many] = over_templates([str(number) for number in range(60)], sums, mean, rng, 0.95)
    assert many.low is not None
    assert many.high is not None
    assert many.low < sums.mean() < many.high
    assert (many.high - many.low) / 2 == pytest.approx(1.96 * sums.std() / 60**0.5, rel=0.3)


def texts(*answered: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "template": ["t"] * len(answered),
            "signal": ["Anna"] * len(answered),
            "group": ["North"] * len(answered),
            "prompt": ["Anna went to [BLANK]."] * len(answered),
            "text": answered,
        }
    ).vstack(
        pl.DataFrame(
            {
                "template": ["t"],
                "signal": ["Hugo"],
                "group": ["South"],
                "prompt": ["Hugo [BLANK]"],
                "text": ["x"],
            }
        )
    )


def test_a_name_that_the_mask_misses_is_found_by_swapping() -> None:
    rng = np.random.default_rng(0)
    table = texts("Anna likes ANNA's house.", "anna is at home.")
    whole = swap_names(table, SignalMask(["Anna", "Hugo"]), lambda _, __, text: "answer", rng)
    assert (whole.n, whole.read_changed, whole.labels_changed) == (3, 0, 0)

    def by_name(_: str, prompt: str, text: str) -> Category:
        return "refusal" if "Anna" in prompt else "answer"

    blind = swap_names(table, SignalMask(["Somebody"]), by_name, rng)
    assert (blind.n, blind.read_changed, blind.labels_changed) == (3, 1, 1)
    unasked = swap_names(table, SignalMask(["Somebody"]), None, rng)
    assert (unasked.read_changed, unasked.labels_changed) == (1, None)
    assert unasked.note is not None


def test_swapping_needs_two_groups() -> None:
    alone = texts("Anna is here.").filter(pl.col("group") == "North")
    found = swap_names(alone, SignalMask(["Anna"]), None, np.random.default_rng(0))
    assert (found.n, found.read_changed, found.note) == (
        0,
        None,
        "there are no two groups to swap names between",
    )


def test_the_command_prints_all_of_it_and_json_for_machines(
    small: SmallStudy, store: Store, frame: pl.DataFrame, run: Callable[..., Ended]
) -> None:
    ended = run("annotator", "check", small.folder)
    assert ended.code == 0
    for told in (
        "test, version 1: 208 responses, 208 of them labelled by people (imported)",
        "kappa of six categories 0.",
        "refused, South: sensitivity 0.",
        "abstentions: East 8 of 64",
        "name swapped in 192 responses: 0.0% of labels change (not asked again",
    ):
        assert told in ended.out
    [check] = json.loads(run("annotator", "check", small.folder, "--json").out)
    assert check["annotator"] == "test"
    assert check["confusion"]["annotator"][-1] == "abstained"


def test_results_and_report_tell_the_check_once(small: SmallStudy, store: Store, frame: pl.DataFrame) -> None:
    study = small.open()
    raw = json.loads(json.dumps(analyse(study, store, build_design(study)), allow_nan=False, default=asdict))
    assert [check["annotator"] for check in raw["annotator_check"]] == ["test"]
    results = read_results(raw)
    passage = annotator_passage(results)
    assert passage is not None
    assert passage.lead.startswith("Kappa with people over the six categories: test 0.")
    assert [table.label for table in passage.tables] == [
        "Automatic annotators",
        "test: how often it is right about “refused”, by group",
        "test: category by category",
    ]
    assert passage.tables[0].body[0][-2:] == [f"{percent(0.0)} of 192 labels change", "8"]
    assert ("test errs differently by group (sensitivity)" in dict(passage.points)) == _apart(raw)
    figures = list(annotator_figures(results))
    assert [figure.name for figure in figures] == [
        "annotator-1-errors",
        "annotator-1-calibration",
        "annotator-1-confusion",
    ]
    html = render(raw)
    assert html.count("Automatic annotators against people") == 1


def _apart(raw: dict[str, Any]) -> bool:
    found = {e["group"]: e for e in raw["annotator_check"][0]["errors"] if e["kind"] == "sensitivity"}
    return bool(found["South"]["high"] < found["North"]["low"])


def test_a_report_without_people_says_that_nobody_knows() -> None:
    check: dict[str, Any] = {
        "annotator": "offline", "version": "1", "labels": None, "n_responses": 9, "n_labels": 0,
        "notes": ["none"],
        "kappa": {"value": None, "low": None, "high": None}, "calibration": {"error": None, "bins": []},
        "swap": {"labels_changed": 0.0, "n": 9, "note": None}, "abstentions": [],
    }  # fmt: skip
    passage = annotator_passage(read_results({"estimates": [], "annotator_check": [check]}))
    assert passage is not None
    assert "People have labelled nothing that offline judged" in passage.lead
    assert list(annotator_figures(read_results({"estimates": [], "annotator_check": [check]}))) == []
    assert annotator_passage(read_results({"estimates": []})) is None


def test_the_check_reads_each_kind_of_database(small: SmallStudy, each_store: Store) -> None:
    small.answer(each_store, answers)
    responses = labelled_responses(small.open(), each_store)
    judge(each_store, responses, lambda row: row["category"])  # type: ignore[arg-type, return-value]
    [check] = checks(small.open(), each_store)
    assert check["kappa"]["value"] == 1
    assert check["n_responses"] == check["n_labels"] == 208
    assert [each["n"] for each in check["abstentions"]] == [64, 64, 64, 16]
