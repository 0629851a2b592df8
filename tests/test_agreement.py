"""Agreement: cases by hand, published examples, other packages, properties, coverage, mistakes."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servicegap.agreement import Agreement, agreement
from servicegap.agreement.coefficients import MEASURES, cluster_sums, coefficients, label_pairs
from servicegap.agreement.confusions import confusions
from servicegap.agreement.ratings import Ratings, between_rounds, collect_ratings
from servicegap.errors import DataError

SHARED_DATA = Path(__file__).parents[1] / ".." / "shared" / "data"

# Krippendorff (2011), section C: four observers, twelve units, 0 = no label.
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]
# The worked example of Wikipedia's article on Fleiss' kappa: how many of 14 people gave each of ten items
# each of five categories. Published there: observed agreement 0.378, by chance 0.213, kappa 0.210.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]

Row = tuple[Any, Any, Any]


def rows_of(table: Sequence[Sequence[int]]) -> list[Row]:
    """Item, annotator, label from annotators x items."""
    return [(i, a, label) for a, labels in enumerate(table) for i, label in enumerate(labels) if label]


def ratings_of(rows: Sequence[Row], **more: Any) -> Ratings:
    item, annotator, label = zip(*rows, strict=True)
    return collect_ratings(item, annotator, label, **more)


def measured(ratings: Ratings, **more: Any) -> tuple[Agreement, ...]:
    return agreement(ratings, np.random.default_rng(1), replicates=100, **more)


def values(found: Sequence[Agreement], **of: str | None) -> dict[str, float | None]:
    """Measure -> value, of the figures over all annotators."""
    blank = dict.fromkeys(("category", "group", "round", "background", "other_background", "annotators"))
    wanted = blank | of
    return {f.measure: f.value for f in found if {key: getattr(f, key) for key in wanted} == wanted}


def by_loops(rows: Sequence[Row], categories: Sequence[Any]) -> dict[str, float]:
    """All coefficients from lists of labels; NaN = undefined."""
    units: dict[Any, list[Any]] = {}
    people: dict[Any, dict[Any, Any]] = {}
    for item, annotator, label in rows:
        units.setdefault(item, []).append(label)
        people.setdefault(annotator, {})[item] = label
    several = [labels for labels in units.values() if len(labels) > 1]
    nan = float("nan")
    if not several:
        return dict.fromkeys(MEASURES, nan)
    agreed = np.mean([np.mean([a == b for a, b in permutations(labels, 2)]) for labels in several])
    share = [np.mean([labels.count(c) / len(labels) for labels in units.values()]) for c in categories]
    pool = [label for labels in several for label in labels]
    seen = sum(
        sum(a != b for a, b in permutations(labels, 2)) / (len(labels) - 1) for labels in several
    ) / len(pool)
    expected = np.mean([a != b for a, b in permutations(pool, 2)])
    kappas = []
    for a, b in combinations(people.values(), 2):
        both = [item for item in a if item in b]
        if both:
            same = np.mean([a[item] == b[item] for item in both])
            left, right = Counter(a[i] for i in both), Counter(b[i] for i in both)
            chance = sum(left[c] * right[c] for c in categories) / len(both) ** 2
            kappas += [((same - chance) / (1 - chance), len(both))] if chance < 1 - 1e-9 else []
    q = len(categories)
    by_chance = sum(s * s for s in share)
    scattered = sum(s * (1 - s) for s in share) / (q - 1) if q > 1 else nan
    return {
        "percent": float(agreed),
        "cohen": sum(kappa * n for kappa, n in kappas) / sum(n for _, n in kappas) if kappas else nan,
        "fleiss": float((agreed - by_chance) / (1 - by_chance)) if by_chance < 1 - 1e-9 else nan,
        "alpha": float(1 - seen / expected) if expected else nan,
        "ac1": float((agreed - scattered) / (1 - scattered)),
    }


def same(found: dict[str, float | None], expected: dict[str, float]) -> bool:
    got = {key: float("nan") if value is None else value for key, value in found.items()}
    return got == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_a_case_by_hand() -> None:
    """Yes/yes, yes/no, no/no, yes/yes: the labels are five times yes, three times no."""
    rows = [(i, a, label) for i, pair in enumerate(("yy", "yn", "nn", "yy")) for a, label in enumerate(pair)]
    found = measured(ratings_of(rows))
    by_hand = {
        "percent": 3 / 4,
        "cohen": (0.75 - 0.5) / (1 - 0.5),  # chance: 3/4 x 2/4 + 1/4 x 2/4
        "fleiss": (0.75 - 34 / 64) / (30 / 64),  # (25 + 9) / 64
        "alpha": 1 - 0.25 / (30 / 56),  # 2 x 5 x 3 of 8 x 7 ordered pairs
        "ac1": (0.75 - 30 / 64) / (34 / 64),
    }
    assert same(values(found), by_hand)
    assert same(values(found, category="y"), by_hand), "with two categories, one against the rest is all"
    assert {(f.n_items, f.n_annotators, f.n_pairs, f.n_templates) for f in found} == {(4, 2, 4, None)}
    assert found[0].note == "4 items with labels to compare; an interval needs 5 or more"


def test_krippendorffs_example() -> None:
    found = values(measured(ratings_of(rows_of(KRIPPENDORFF))))
    rounded = {key: round(value, 3) for key, value in found.items() if value is not None}
    assert rounded == {"percent": 0.818, "cohen": 0.706, "fleiss": 0.761, "alpha": 0.743, "ac1": 0.775}


def test_fleiss_example() -> None:
    rows = [
        (item, annotator, label)
        for item, counts in enumerate(FLEISS)
        for annotator, label in enumerate(np.repeat(np.arange(5), counts).tolist())
    ]
    found = values(measured(ratings_of(rows)))
    assert found["percent"] == pytest.approx(0.378, abs=6e-4)
    assert found["fleiss"] == pytest.approx(0.210, abs=6e-4)


TABLES = (
    st.integers(1, 4)
    .flatmap(lambda n: st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=7))
    .filter(lambda table: any(any(row) for row in table))
)


@settings(max_examples=60)
@given(TABLES)
def test_agrees_with_loops_over_labels(table: list[list[int]]) -> None:
    rows = rows_of(table)
    used = sorted({label for *_, label in rows})
    ratings = ratings_of(rows)
    assert same(values(measured(ratings)), by_loops(rows, used))
    compared = {
        ratings.categories[k] for p in [label_pairs(ratings)] for k in (*p.label_first, *p.label_second)
    }
    for category in used:
        against = [(item, annotator, label == category) for item, annotator, label in rows]
        found = values(measured(ratings), category=str(category))
        if str(category) in compared:
            assert same(found, by_loops(against, [True, False]))
        else:
            assert set(found.values()) == {None}


@settings(max_examples=25)
@given(TABLES, st.randoms(use_true_random=False))
def test_row_order_and_names_do_not_matter(table: list[list[int]], random: Any) -> None:
    rows = rows_of(table)
    before = measured(ratings_of(rows))
    shuffled = random.sample(rows, len(rows))
    assert measured(ratings_of(shuffled)) == before
    renamed = [(f"item {item}", 9 - annotator, "xyzw"[-label]) for item, annotator, label in shuffled]
    after = measured(ratings_of(renamed))
    old = {key: float("nan") if value is None else value for key, value in values(before).items()}
    assert same(values(after), old)


def test_other_packages_agree() -> None:
    krippendorff = pytest.importorskip("krippendorff", reason="the package krippendorff is not installed")
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    generator = np.random.default_rng(3)
    true = generator.integers(1, 6, size=200)
    table = np.where(generator.random((3, 200)) < 0.3, generator.integers(0, 6, size=(3, 200)), true)
    found = measured(ratings_of(rows_of(table.tolist())))
    alpha = krippendorff.alpha(np.where(table, table, np.nan), level_of_measurement="nominal")
    assert values(found)["alpha"] == pytest.approx(alpha)
    for figure in found:
        if figure.annotators is not None:
            one, other = (table[int(name)] for name in figure.annotators)
            both = (one > 0) & (other > 0)
            assert figure.value == pytest.approx(metrics.cohen_kappa_score(one[both], other[both]))
            assert figure.n_items == both.sum()


@pytest.mark.parametrize("file", ["xstest_llama2orig.csv", "xstest_mistralinstruct.csv"])
def test_the_two_people_of_xstest(file: str) -> None:
    path = SHARED_DATA / file
    if not path.exists():
        pytest.skip(f"{path.name} is not here; it is not part of the project")
    with path.open(encoding="utf-8", newline="") as opened:
        table = list(csv.DictReader(opened))
    rows = [(row["id"], person, row[f"annotation_{person}"]) for row in table for person in (1, 2)]
    template = [row["type"] for row in table for _ in (1, 2)]
    found = measured(ratings_of(rows, template=template))
    assert same(values(found), by_loops(rows, sorted({label for *_, label in rows})))
    told = np.mean([row["agreement"] == "TRUE" for row in table])
    assert found[0].value == pytest.approx(told) and found[0].n_pairs == 450
    assert found[0].low is not None and found[0].high is not None
    assert found[0].low < told < found[0].high
    assert sum(c.n_pairs for c in confusions(ratings_of(rows))) == round((1 - told) * 450)


def world(
    generator: np.random.Generator, n_templates: int, error: float, alike: float
) -> tuple[Ratings, np.ndarray]:
    """Three annotators, 24 items a template; the chance of an error differs by template."""
    shape = (n_templates, 24, 3)
    template, item, annotator = np.indices(shape)
    shares = generator.dirichlet([5, 1, 2], size=n_templates)
    true = (generator.random(shape[:2])[..., None] > shares.cumsum(axis=1)[:, None, :2]).sum(axis=2)
    rate = generator.beta(error * alike, (1 - error) * alike, size=n_templates)
    wrong = generator.random(shape) < rate[:, None, None]
    label = (true[..., None] + wrong * generator.integers(1, 3, size=shape)) % 3
    columns = [column.ravel() for column in (template * 24 + item, annotator, label)]
    return collect_ratings(*columns, template=template.ravel()), label


@pytest.mark.slow
@pytest.mark.parametrize("n_templates", [24, 48])
def test_intervals_cover(n_templates: int) -> None:
    generator = np.random.default_rng(4)
    large, _ = world(generator, 4_000, 0.05, 8)
    sums = cluster_sums(large, label_pairs(large))
    truth = coefficients(np.asarray(sums.table.sum(axis=0))[None, :], sums)
    covered = Counter[str]()
    for _ in range(300):
        ratings, _ = world(generator, n_templates, 0.05, 8)
        for figure in agreement(ratings, generator, replicates=600):
            if figure.category is None and figure.annotators is None:
                assert figure.low is not None and figure.high is not None
                covered[figure.measure] += figure.low <= truth[figure.measure][0, 0] <= figure.high
    assert set(covered) == set(MEASURES)
    assert min(covered.values()) >= 0.91 * 300, covered


def test_templates_are_drawn_and_not_labels() -> None:
    """Each label ten times over says nothing new where the templates are the same."""
    ratings, label = world(np.random.default_rng(5), 24, 0.05, 8)
    template, item, copy, annotator = np.indices((24, 24, 10, 3))
    copied = collect_ratings(
        ((template * 24 + item) * 10 + copy).ravel(),
        annotator.ravel(),
        np.repeat(label, 10, axis=1).ravel(),
        template=template.ravel(),
    )
    once, often = measured(ratings)[0], measured(copied)[0]
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))
    as_rows = measured(replace(copied, templates=()))[0]
    assert as_rows.low is not None and once.low is not None and as_rows.n_templates is None
    assert as_rows.low > once.low + 0.01, "labels drawn one by one look ten times as certain"


def grouped() -> Iterator[tuple[int, str, str, str, str, str]]:
    """Ann and Ben always agree on group A; on group B Ben and Cy call every second refusal harmful."""
    for item in range(40):
        group, right = "AB"[item % 2], ("refusal", "answer")[item % 3 == 0]
        for annotator, background in (("ann", "x"), ("ben", "y"), ("cy", "y")):
            differs = group == "B" and right == "refusal" and annotator != "ann" and item % 4 == 1
            yield item, annotator, "harmful" if differs else right, group, background, f"t{item % 8}"


def test_by_group_background_and_across() -> None:
    item, annotator, label, group, background, template = zip(*grouped(), strict=True)
    more = {"group": group, "background": background, "template": template}
    found = measured(collect_ratings(item, annotator, label, **more))
    assert values(found, group="A")["alpha"] == 1 and values(found, group="B")["alpha"] < 0.8  # type: ignore[operator]
    assert values(found, background="y")["percent"] == 1
    assert set(values(found, background="x").values()) == {None}
    differing = sum(name == "harmful" for name in label) / 2
    across = values(found, background="x", other_background="y")
    assert across["percent"] == pytest.approx(1 - differing / 40)
    pairs = {f.annotators: f.value for f in found if f.annotators}
    assert across["cohen"] == pytest.approx((pairs["ann", "ben"] + pairs["ann", "cy"]) / 2)  # type: ignore[operator]
    notes = {f.note for f in found if f.background == "x" and f.other_background is None}
    assert notes == {"all labels are by one annotator ('ann'); agreement needs two"}
    only = [f for f in found if f.group == "A" and f.measure == "alpha" and f.category is None]
    assert (only[0].low, only[0].note) == (
        None,
        "4 templates with labels to compare; an interval needs 5 or more",
    )
    most = confusions(collect_ratings(item, annotator, label, **more))
    assert [(c.categories, c.n_pairs, c.share) for c in most] == [
        (("harmful", "refusal"), 2 * differing, 1.0)
    ]
    assert len(most[0].items) == differing and 0 < most[0].rate < 1


def test_rounds_are_compared_within_and_between() -> None:
    rows = [
        (i, a, r, "no" if (i == 0 and r == 1 and a == "b") else "yn"[i % 2])
        for i in range(6)
        for a in "ab"
        for r in (1, 2)
    ]
    item, annotator, rounds, label = zip(*rows, strict=True)
    ratings = collect_ratings(item, annotator, label, round=rounds)
    found = measured(ratings)
    assert values(found, round="1")["percent"] == pytest.approx(5 / 6)
    assert values(found, round="2")["percent"] == 1
    assert values(found)["percent"] == pytest.approx(11 / 12), "labels of different rounds are not compared"
    steady = measured(between_rounds(ratings))
    assert steady[0].value == pytest.approx(11 / 12) and steady[0].n_annotators == 2
    assert confusions(between_rounds(ratings))[0].items == ("0 / b",)
    with pytest.raises(DataError, match="have no round"):
        between_rounds(collect_ratings([1], ["a"], ["y"]))


def test_undefined_has_a_reason() -> None:
    def notes(rows: Sequence[Row], **more: Any) -> dict[str, tuple[float | None, str | None]]:
        return {
            f.measure: (f.value, f.note)
            for f in measured(ratings_of(rows, **more))
            if f.category is None and not f.annotators
        }

    assert {value for value, _ in notes([(1, "a", "y"), (2, "a", "n")]).values()} == {None}
    assert "one annotator ('a')" in str(notes([(1, "a", "y")])["alpha"][1])
    assert "no item has the labels of two" in str(notes([(1, "a", "y"), (2, "b", "n")])["cohen"][1])
    assert notes([(1, "a", None)])["percent"] == (None, "there are no labels")
    alike = [(i, a, "y") for i in range(9) for a in "ab"]
    found = notes(alike)
    assert found["percent"] == (1, "no disagreement was seen, so resampling items gives no interval")
    assert all(
        "one category" in str(found[m][1]) and found[m][0] is None
        for m in ("cohen", "fleiss", "alpha", "ac1")
    )
    assert notes(alike, categories=["y", "n"])["ac1"][0] == 1
    unused = values(measured(ratings_of(alike, categories=["y", "n"])), category="n")
    assert set(unused.values()) == {None}
    apart = [(i, a, "yn"[i % 2]) for i in range(4) for a in ("ab" if i < 2 else "bc")]
    pairs = {f.annotators: (f.value, f.note) for f in measured(ratings_of(apart)) if f.annotators}
    assert pairs["a", "c"] == (None, "these two labelled no item in common")
    assert pairs["a", "b"][0] == 1
    lopsided = [*alike, *((i, a, "yn"[i % 2]) for i in range(20, 26) for a in "bc")]
    assert "leaves out 1 pairs of annotators" in str(notes(lopsided)["cohen"][1])


def test_missing_labels_are_counted() -> None:
    ratings = collect_ratings([1, 1, 1], ["a", "b", "c"], ["y", None, float("nan")])
    assert ratings.n_missing == 2 and ratings.annotators == ("a",)


def test_anything_that_can_be_told_apart_is_a_name() -> None:
    ratings = collect_ratings(
        [(1, "a"), (1, "a"), (2, "b")], [1, 2, 1], np.array(["y", "n", "y"], dtype=object)
    )
    assert ratings.items == ("(1, 'a')", "(2, 'b')") and ratings.annotators == ("1", "2")
    nothing = collect_ratings([], [], [], group=[])
    assert {f.note for f in measured(nothing)} == {"there are no labels"} and confusions(nothing) == ()


def test_an_interval_that_rests_on_few_templates_says_so() -> None:
    rows = [(i, a, "n" if (i < 8 and a == "b") or i % 2 else "y") for i in range(80) for a in "ab"]
    found = measured(ratings_of(rows, template=[i % 40 for i, *_ in rows]))[0]
    assert found.low is not None and found.n_templates == 40
    assert found.note == "all disagreement is in 4 templates: the interval is likely too short"


def test_mistakes_are_told_together() -> None:
    with pytest.raises(DataError) as caught:
        collect_ratings(
            ["r1", "r1", "r2", "r2"],
            ["ann", "ann", "ann", "ben"],
            ["yes", "no", "maybe", "yes"],
            template=["t", "t", "t", "u"],
            group=["A", "B", "A", "A"],
            background=["x", "x", "y", "x"],
            categories=["yes", "no"],
        )
    assert list(caught.value.problems) == [
        "annotator 'ann' gave item 'r1' 2 labels ('no', 'yes'); give the one that counts",
        "item 'r2' has 't' and 'u' for its template; an item belongs to one template",
        "item 'r1' has 'A' and 'B' for its group; an item is about one group",
        "annotator 'ann' has 'x' and 'y' for its background; an annotator has one background",
        "label 'maybe' is no category; allowed are yes, no",
    ]
    with pytest.raises(DataError, match=r"different lengths.*item 2, annotator 1"):
        collect_ratings([1, 2], ["a"], ["y", "n"])
    with pytest.raises(DataError, match="item\\[1\\] is missing"):
        collect_ratings([1, None], ["a", "b"], ["y", "n"])
    with pytest.raises(DataError, match="'y' more than once"):
        collect_ratings([1], ["a"], ["y"], categories=["y", "y"])
    with pytest.raises(DataError, match=r"level is 95.*\n.*replicates is 10"):
        agreement(ratings_of([(1, "a", "y")]), np.random.default_rng(1), level=95, replicates=10)


def test_a_label_of_each_round_is_no_mistake() -> None:
    assert len(collect_ratings([1, 1], ["a", "a"], ["y", "n"], round=[1, 2]).label) == 2
    with pytest.raises(DataError, match="gave item '1' 2 labels in round '2'"):
        collect_ratings([1, 1], ["a", "a"], ["y", "y"], round=[2, 2])
