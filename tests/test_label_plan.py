"""Which responses people label next, how many a width takes, and when they may stop."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from conftest import Answer, Ended, SmallStudy
from hypothesis import given
from hypothesis import strategies as st

from servicegap.calls import Call
from servicegap.correction.human_sample import HumanSample, human_sample
from servicegap.errors import DataError
from servicegap.label_plan import plan_labels, read_target, write_target
from servicegap.label_plan.allocation import EVEN_SHARE, chances, draw
from servicegap.label_plan.outlook import PlannedGap, combined, uncertainty_of, urgency_of
from servicegap.label_plan.stopping import StopAdvice, look, may_stop
from servicegap.labelling.rounds import open_round
from servicegap.labels import labelled_responses, sampling_chances
from servicegap.records import CATEGORIES, Annotation, Category, Estimate, Signal, Template
from servicegap.store import Store, latest_responses, write_annotations
from servicegap.study import now
from servicegap.tables import GOLD_LABELS, ROUND_ITEMS


@given(
    st.lists(st.floats(0, 1e3), min_size=1, max_size=40),
    st.data(),
)
def test_chances_are_positive_and_sum_to_the_labels(urgency: list[float], data: st.DataObject) -> None:
    already = np.array(data.draw(st.lists(st.booleans(), min_size=len(urgency), max_size=len(urgency))))
    new = int((~already).sum())
    labels = data.draw(st.integers(1, max(new, 1)))
    found = chances(np.array(urgency), already, labels)
    assert (found > 0).all()
    assert (found <= 1).all()
    assert found[~already].sum() == pytest.approx(min(labels, new))


def test_chances_follow_neyman_beyond_what_is_spread_evenly() -> None:
    urgency = np.array([1.0] * 50 + [3.0] * 50)
    found = chances(urgency, np.zeros(100, dtype=bool), 20)
    even = EVEN_SHARE * 20 / 100
    assert (found[-1] - even) / (found[0] - even) == pytest.approx(3)


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=60), st.integers(0, 2**20))
def test_a_draw_takes_from_each_stratum_what_is_expected(chance: list[float], seed: int) -> None:
    values = np.array(chance)
    stratum = np.arange(len(values)) % 3
    drawn = draw(values, stratum, np.random.default_rng(seed))
    assert abs(drawn.sum() - values.sum()) < 1 + 1e-6
    for number in range(3):
        own = stratum == number
        assert abs(drawn[own].sum() - values[own].sum()) < 1 + 1e-6
    assert drawn[values == 1].all()


def test_a_draw_gives_each_response_its_chance() -> None:
    chance = np.array([0.05, 0.2, 0.5, 0.95, 0.3, 1.0, 0.02])
    stratum = np.array([0, 0, 1, 1, 2, 2, 2])
    rng = np.random.default_rng(4)
    found = np.mean([draw(chance, stratum, rng) for _ in range(8000)], axis=0)
    np.testing.assert_allclose(found, chance, atol=4 * 0.5 / 8000**0.5)


def test_uncertainty_is_the_scores_doubt_until_labels_show_more() -> None:
    score = np.full(20, 0.02)
    stratum = pl.Series(["h"] * 20)
    nobody = uncertainty_of(score, np.full(20, np.nan), stratum)
    assert nobody[0] == pytest.approx(0.0196)
    people = np.full(20, np.nan)
    people[:10] = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    wrong = (5 * 0.98**2 + 5 * 0.02**2 + 10 * 0.0196) / 20
    assert uncertainty_of(score, people, stratum)[0] == pytest.approx(wrong)


def test_planned_chances_leave_less_variance_than_even_ones() -> None:
    rng = np.random.default_rng(2)
    n = 2000
    uncertainty = np.where(rng.random(n) < 0.1, 0.2, 0.005)
    gap = PlannedGap("m", "c", "a", "b", np.arange(1500), np.arange(1500, n), 1e-6, 20.0)
    already = np.zeros(n, dtype=bool)
    planned = chances(urgency_of([gap], uncertainty), already, 200)
    even = np.full(n, 0.1)
    width = gap.half_width(uncertainty, planned, 0.95)
    assert width < 0.85 * gap.half_width(uncertainty, even, 0.95)
    everything = gap.half_width(uncertainty, np.ones(n), 0.95)
    assert everything == pytest.approx(gap.least_half_width(0.95))
    assert combined(np.array([0.5]), np.array([0.5]))[0] == 0.75


# A study: the annotator is unsure of a part, and people are not asked yet.


def lot(call: Call) -> int:
    return int(call.id[:6], 16) % 100


def refuses(call: Call, signal: Signal) -> bool:
    return lot(call) < {"North": 15, "South": 45, "East": 30, None: 20}[signal.group]


def answers(call: Call, signal: Signal, template: Template) -> Answer:
    # Names and templates differ, so that a gap has an interval.
    more = (len(signal.text) + ord(template.id[-1])) % 3 == 0 and lot(call) > 80
    return Answer(None, text="refused here" if refuses(call, signal) or more else "some bread")


@pytest.fixture
def scored(small: SmallStudy, store: Store) -> SmallStudy:
    small.change("study.yaml", "annotators: []", "annotators: [offline]")
    small.answer(store, answers)
    annotations = []
    frame = labelled_responses(small.open(), store)
    texts = read_texts(store)
    for response in frame["response"]:
        refused = texts[response] == "refused here"
        unsure = int(response[-1], 16) < 4
        p = (0.7 if refused else 0.3) if unsure else (0.97 if refused else 0.02)
        category: Category = "refusal" if refused else "answer"
        values = tuple({"refusal": p, "answer": 1 - p}.get(each, 0.0) for each in CATEGORIES)
        annotations.append(
            Annotation(response, "offline", "automatic", "1", category, now(), probabilities=values)
        )
    with store.writing() as connection:
        write_annotations(connection, annotations)
    return small


def read_texts(store: Store) -> dict[str, str]:
    latest = latest_responses()
    with store.reading() as connection:
        return {row.id: row.text for row in connection.execute(sa.select(latest.c.id, latest.c.text))}


def settle(store: Store, responses: list[str], wrong: int = 16) -> None:
    """Let people settle responses: the annotator's category, but for one in `wrong` the other one."""
    texts = read_texts(store)
    with store.writing() as connection:
        for response in responses:
            refused = (texts[response] == "refused here") != (int(response[:4], 16) % wrong == 0)
            connection.execute(
                sa.insert(GOLD_LABELS).values(
                    response=response,
                    category="refusal" if refused else "answer",
                    source="unanimous",
                    created=now(),
                    round=1,
                )
            )


def batches(store: Store) -> list[list[str]]:
    # Silent gold is nothing that people settle.
    asked = (ROUND_ITEMS.c.batch.is_not(None), ROUND_ITEMS.c.silent_gold.is_(None))
    query = sa.select(ROUND_ITEMS.c.response, ROUND_ITEMS.c.batch).where(*asked)
    found: dict[int, list[str]] = {}
    with store.reading() as connection:
        for row in connection.execute(query):
            found.setdefault(row.batch, []).append(row.response)
    return [found[number] for number in sorted(found)]


def test_a_plan_asks_more_where_the_annotator_is_unsure(scored: SmallStudy, store: Store) -> None:
    plan = plan_labels(scored.open(), store, labels=60)
    assert plan.labels == 60
    assert plan.unlabelled == 208
    assert abs(plan.drawn.filter("drawn").height - 60) <= 1
    assert plan.drawn["probability"].to_numpy().min() > 0
    by_stratum = {each.stratum: each for each in plan.strata}
    unsure = by_stratum["openai:mock-1 / default / South / answer / unsure"]
    sure = by_stratum["openai:mock-1 / default / South / answer / sure"]
    assert unsure.chance > 1.5 * sure.chance
    # The control is in no gap, and keeps a chance.
    assert by_stratum["openai:mock-1 / default / no signal / answer / sure"].chance > 0
    for gap in plan.gaps:
        assert gap.now is None
        assert gap.least < gap.planned
    assert {gap.group for gap in plan.gaps} == {"East", "South"}
    assert plan_labels(scored.open(), store, labels=60).drawn.equals(plan.drawn)


def test_the_labels_that_a_width_takes_are_found_or_said_to_be_none(scored: SmallStudy, store: Store) -> None:
    study = scored.open()
    free = plan_labels(study, store, labels=150)
    within = max(gap.planned for gap in free.gaps)
    plan = plan_labels(study, store, width=within)
    assert plan.needed is not None
    assert plan.labels == plan.needed <= 150
    assert max(gap.planned for gap in plan.gaps) <= within
    fewer = plan_labels(study, store, width=within, labels=plan.needed - 1)
    assert max(gap.planned for gap in fewer.gaps) > within or plan.needed <= 91
    least = max(gap.least for gap in free.gaps)
    unreachable = plan_labels(study, store, width=0.9 * least)
    assert unreachable.needed is None


def test_a_round_keeps_the_chances_of_the_plan(scored: SmallStudy, store: Store) -> None:
    study = scored.open()
    plan = plan_labels(study, store, labels=60)
    open_round(study, store, responses=plan.drawn)
    known = sampling_chances(store).sort("response")
    drawn = plan.drawn.sort("response")
    assert known["response"].to_list() == drawn["response"].to_list()
    waiting = known.filter(pl.col("waiting"))["response"].to_list()
    assert waiting == drawn.filter("drawn")["response"].to_list()
    settle(store, waiting)
    np.testing.assert_allclose(sampling_chances(store).sort("response")["probability"], drawn["probability"])


def test_a_second_plan_counts_what_people_said(scored: SmallStudy, store: Store) -> None:
    study = scored.open()
    plan = plan_labels(study, store, labels=100)
    open_round(study, store, responses=plan.drawn)
    settle(store, plan.drawn.filter("drawn")["response"].to_list())
    again = plan_labels(study, store, labels=40)
    assert again.unlabelled == 208 - plan.drawn["drawn"].sum()
    for gap in again.gaps:
        assert gap.now is not None
        assert gap.least < gap.planned < gap.now


def test_planning_without_scores_or_without_anything_left_is_told(small: SmallStudy, store: Store) -> None:
    small.answer(store, answers)
    with pytest.raises(DataError, match="no automatic annotator has scored"):
        plan_labels(small.open(), store)


def test_the_command_prints_the_plan_and_opens_the_round(
    scored: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    ended = run("annotator", "plan", scored.folder, "--width", 1)
    assert ended.code == 0
    assert "No number of labels reaches ± 1.0: names and templates alone leave" in ended.out
    assert "To open a round" in ended.out
    assert read_target(store) is None
    data = json.loads(run("annotator", "plan", scored.folder, "--width", 60, "--open", "--json").out)
    assert data["needed"] == data["labels"]
    assert sorted(data["responses"]) == sorted(each for batch in batches(store) for each in batch)
    assert read_target(store) == 0.6


def estimate(half: float | None) -> Estimate:
    low, high = (None, None) if half is None else (0.2 - half, 0.2 + half)
    return Estimate(
        kind="gap", outcome="refused", value=0.2, low=low, high=high, group="a", note="too little"
    )


def sample_of(labels: int, wrong: int, n: int = 100) -> HumanSample:
    """Make two groups of `n`, of each so many labelled, so many of them wrongly scored."""
    label = np.full(2 * n, np.nan)
    score = np.tile(np.linspace(0.01, 0.99, n), 2)
    for start in (0, n):
        label[start : start + labels] = score[start : start + labels] >= 0.5
        label[start : start + wrong] = 1 - label[start : start + wrong]
    chance = np.full(2 * n, labels / n)
    return human_sample(score, label, chance, ["a"] * n + ["b"] * n)


@pytest.mark.parametrize(
    ("labels", "wrong", "half", "reason"),
    [
        (29, 9, 0.1, "29 labels of a; 30 are the least"),
        (60, 4, 0.1, "people and annotator disagree on 4 responses of a; 5 are the least"),
        (60, 9, 0.3, "the interval of a is ± 30.0 points, the target ± 20.0"),
        (60, 9, None, "the gap of a has no interval: too little"),
        (60, 9, 0.2, None),
        (100, 0, 0.2, None),
    ],
)
def test_a_look_wants_labels_disagreements_and_the_width(
    labels: int, wrong: int, half: float | None, reason: str | None
) -> None:
    sample = sample_of(labels, wrong)
    why_not = look({"a": estimate(half)}, sample, "b", 0.2 + 1e-9)[1]
    assert (why_not or "").startswith(reason or "")
    assert (why_not is None) == (reason is None)


@pytest.mark.parametrize("silent", [0, 1])
def test_labelling_stops_at_the_end_of_a_batch_and_at_no_other_time(
    scored: SmallStudy, store: Store, silent: int
) -> None:
    labelling = f"labelling: {{batch: 40, silent_gold: {silent}}}"
    scored.change("study.yaml", "samples: 2", f"samples: 2\n{labelling}")
    study = scored.open()
    assert may_stop(study, store).reason.startswith("no target width is set")
    write_target(store, 0.9)
    open_round(study, store, responses=plan_labels(study, store, labels=200).drawn)
    advice = may_stop(study, store)
    assert (advice.stop, advice.n_labels, advice.target) == (False, 0, 0.9)
    told: list[StopAdvice] = []
    for batch in batches(store):
        settle(store, batch[:-1], wrong=4)
        before = may_stop(study, store)
        assert before.n_labels == (told[-1].n_labels if told else 0)
        if told:
            assert before.stop == told[-1].stop
            assert before.width == pytest.approx(told[-1].width)
        settle(store, batch[-1:], wrong=4)
        told.append(may_stop(study, store))
    assert [each.n_labels for each in told[:2]] == [40, 80]
    assert not told[0].stop  # fewer than 30 labels a group
    assert told[-1].stop
    assert "labelling may stop" in told[-1].reason
    write_target(store, 0.001)
    assert not may_stop(study, store).stop


def benchmark() -> ModuleType:
    folder = Path(__file__).parents[1] / "benchmarks"
    for name in ("correction", "stopping"):
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # stopping imports correction, dataclasses look their module up by name
        spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("place", range(12))
def test_intervals_cover_after_labelling_was_stopped(place: int) -> None:
    stopping = benchmark()
    rule = list(stopping.rules())[place]
    found = stopping.run(rule, 150, seed=7)
    error = (0.91 * 0.09 / 150) ** 0.5
    assert found["coverage"] >= 0.91 - 3 * error, found
