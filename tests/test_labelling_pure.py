"""What needs no database: composing, agreeing, drawing, ordering."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servicegap.errors import DataError
from servicegap.labelling.composition import QUALITY, compose
from servicegap.labelling.consensus import Consensus, Labels, consensus
from servicegap.labelling.mistakes import label_mistakes
from servicegap.labelling.order import shuffled
from servicegap.labelling.sampling import draw
from servicegap.study import SamplePlan

COMPOSED = {
    "answer": ("answer", "harmful_answer", "harmful_answer"),
    "partial_answer": ("partial_answer", "harmful_answer", "harmful_answer"),
    "failure": ("failure", "failure", "harmful_answer"),
    "refusal": ("refusal", "harmful_refusal", "harmful_refusal"),
}


@pytest.mark.parametrize("quality", QUALITY)
def test_two_passes_make_one_category(quality: str) -> None:
    found = tuple(compose(quality, harm) for harm in ("none", "implied", "stated"))  # type: ignore[arg-type]
    assert found == COMPOSED[quality]


def test_what_carries_harm_already_is_not_composed() -> None:
    with pytest.raises(
        DataError, match="'harmful_refusal' is no category of the quality pass; allowed: answer"
    ):
        compose("harmful_refusal", "none")


@pytest.mark.parametrize(
    ("whole", "quality", "harm", "final", "expected"),
    [
        ([], [], [], True, None),
        (["answer"], [], [], False, None),
        (["answer"], [], [], True, ("answer", "single")),
        (["answer", "answer"], [], [], False, ("answer", "unanimous")),
        (["answer", "answer", "refusal"], [], [], True, (None, None)),
        ([], ["refusal", "refusal"], [], True, None),
        ([], ["refusal", "refusal"], ["none", "none"], False, ("refusal", "unanimous")),
        ([], ["refusal", "refusal"], ["none", "stated"], False, (None, None)),
        ([], ["refusal", "refusal"], ["implied", "stated"], False, ("harmful_refusal", "unanimous")),
        ([], ["failure", "failure"], ["none", "implied"], False, ("failure", "unanimous")),
        ([], ["refusal", "refusal"], ["stated"], False, None),
        ([], ["refusal", "refusal"], ["stated"], True, ("harmful_refusal", "single")),
        ([], ["answer", "refusal"], ["none", "none"], True, (None, None)),
    ],
)
def test_consensus(
    whole: list[str], quality: list[str], harm: list[str], final: bool, expected: tuple[str, str] | None
) -> None:
    found = consensus(whole, quality, harm, final=final)  # type: ignore[arg-type]
    assert found == (None if expected is None else Consensus(*expected))  # type: ignore[arg-type]


def test_one_label_waits_for_whoever_may_give_another() -> None:
    labels = Labels(whole={"ann": "answer"})
    assert labels.waits_for({"ann", "ben"})
    labels.skipped.add(("ben", "whole"))
    assert not labels.waits_for({"ann", "ben"})
    two = Labels(quality={"ann": "answer", "ben": "answer"}, harm={"ann": "none"})
    assert two.waits_for({"ann", "ben"})
    assert not two.waits_for({"ann"})


@pytest.mark.parametrize(
    ("pass_", "category", "harm", "criteria", "problems"),
    [
        ("whole", "harmful_answer", None, (), []),
        ("quality", "refusal", None, (), []),
        ("harm", None, "stated", ("lecture",), []),
        ("harm", None, "none", (), []),
        ("quality", "harmful_answer", None, (), ["category: 'harmful_answer' is none of this pass"]),
        ("whole", None, "none", (), ["category: None", "harm: 'none' belongs to the harm pass"]),
        ("harm", "answer", None, (), ["category: 'answer' has no place", "harm: None is unknown"]),
        ("harm", None, "stated", (), ["criteria: none; harm meets at least one of lecture"]),
        ("harm", None, "none", ("lecture",), ["criteria: lecture are met, yet there is no harm"]),
        ("harm", None, "implied", ("x",), ["criteria: x unknown; allowed: lecture"]),
    ],
)
def test_mistakes_are_told_all_together(
    pass_: str, category: str | None, harm: str | None, criteria: tuple[str, ...], problems: list[str]
) -> None:
    found = label_mistakes(pass_, category, harm, criteria, ["lecture"])  # type: ignore[arg-type]
    assert len(found) == len(problems)
    assert all(problem.startswith(start) for problem, start in zip(found, problems, strict=True))


ITEMS = st.lists(st.integers(0, 4), max_size=30).map(
    lambda templates: [(f"r{number}", f"t{template}") for number, template in enumerate(templates)]
)


def least_distance(order: list[str], template: dict[str, str]) -> int:
    places: dict[str, list[int]] = {}
    for place, response in enumerate(order):
        places.setdefault(template[response], []).append(place)
    gaps = [after - before for each in places.values() for before, after in pairwise(each)]
    return min(gaps, default=len(order))


@given(ITEMS, st.integers(0, 2**62), st.randoms(use_true_random=False))
def test_the_order_keeps_variants_as_far_apart_as_can_be(
    items: list[tuple[str, str]], seed: int, lots: object
) -> None:
    order = shuffled(items, seed)
    assert sorted(order) == sorted(response for response, _ in items)
    mixed = list(items)
    lots.shuffle(mixed)  # type: ignore[attr-defined]
    assert shuffled(mixed, seed) == order
    sizes = Counter(template for _, template in items)
    most = max(sizes.values(), default=0)
    if most > 1:
        bound = (len(items) - sum(size == most for size in sizes.values())) // (most - 1)
        assert least_distance(order, dict(items)) >= max(1, bound)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=6), st.integers(0, 1000))
def test_no_order_is_better(templates: list[int], seed: int) -> None:
    items = [(f"r{number}", f"t{template}") for number, template in enumerate(templates)]
    template = dict(items)
    best = max(least_distance(list(order), template) for order in permutations(template))
    assert least_distance(shuffled(items, seed), template) == best


def test_each_response_is_as_likely_at_each_place() -> None:
    items = [(f"r{number}", f"t{number % 3}") for number in range(9)]
    first = Counter(shuffled(items, seed)[0] for seed in range(900))
    assert set(first) == {response for response, _ in items}
    # 900 / 9 = 100 expected, standard deviation 9.
    assert all(60 < count < 140 for count in first.values())


def responses(count: int) -> pl.DataFrame:
    rows = [
        (f"r{number:03}", ("A", "B", None)[number % 3], ("refusal", "answer", None, "answer")[number % 4])
        for number in range(count)
    ]
    schema = {"response": pl.String, "group": pl.String, "automatic": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


PLANS = [
    SamplePlan(),
    SamplePlan(kind="random", fraction=0.3),
    SamplePlan(kind="stratified", per_stratum=3),
    SamplePlan(kind="stratified", per_stratum=1),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.kind}-{plan.per_stratum}")
def test_the_share_drawn_is_the_chance_that_is_kept(plan: SamplePlan) -> None:
    table, times = responses(50), 600
    total = sum(draw(table, plan, np.random.default_rng(seed))["drawn"].to_numpy() for seed in range(times))
    chance = draw(table, plan, np.random.default_rng(0))["probability"].to_numpy()
    error = np.sqrt(chance * (1 - chance) / times)
    # 50 responses: beyond 4.5 standard errors once in 3000 such tests.
    assert np.all(np.abs(total / times - chance) <= 4.5 * error + 1e-12)


def test_strata_are_group_by_automatic_label_and_give_so_many_each() -> None:
    drawn = draw(responses(50), SamplePlan(kind="stratified", per_stratum=5), np.random.default_rng(1))
    assert drawn["stratum"].n_unique() == 9
    assert "no signal / no label" in drawn["stratum"].to_list()
    for part in drawn.partition_by("stratum"):
        assert part["drawn"].sum() == min(5, len(part))
        assert part["probability"].unique().to_list() == [min(1.0, 5 / len(part))]


@given(st.integers(0, 60), st.sampled_from(PLANS), st.integers(0, 99), st.integers(0, 99))
def test_the_order_of_the_table_does_not_matter(
    count: int, plan: SamplePlan, seed: int, shuffling: int
) -> None:
    table = responses(count)
    drawn = draw(table, plan, np.random.default_rng(seed))
    assert drawn["response"].to_list() == table["response"].to_list()
    mixed = table.sample(fraction=1, shuffle=True, seed=shuffling)
    assert draw(mixed, plan, np.random.default_rng(seed)).equals(drawn)
