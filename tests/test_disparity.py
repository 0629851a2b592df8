import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from servicegap.disparity import contrasts, gaps, naive_gaps, rates
from servicegap.errors import DataError
from servicegap.records import Estimate

PILOT = Path(__file__).parents[1] / ".." / "shared" / "data" / "llama2_7b_chat_annotated.csv"


Column = list[Any]


class Table:
    """Responses in long form, made from name x template probabilities or given cells."""

    def __init__(self, cells: Mapping[str, Sequence[Sequence[float | None]]]) -> None:
        entries = [
            (y, group, f"{group}{row}", f"t{column}")
            for group, table in cells.items()
            for row, values in enumerate(table)
            for column, y in enumerate(values)
        ]
        self.outcome, self.group, self.signal, self.template = (
            list(column) for column in zip(*entries, strict=True)
        )

    def columns(self) -> tuple[Column, Column, Column, Column]:
        return self.outcome, self.group, self.signal, self.template


def joined(one: Table, other: Table) -> list[Column]:
    return [a + b for a, b in zip(one.columns(), other.columns(), strict=True)]


def random_table(
    seed: int, *, missing: float = 0.0, groups: int = 3, names: int = 4, templates: int = 6
) -> Table:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=templates)
    cells: dict[str, list[list[float | None]]] = {}
    for g in range(groups):
        logits = rng.normal(size=(names, 1)) + common + 0.5 * rng.normal(size=(names, templates)) + g / 2
        y = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
        lost = rng.random(y.shape) < missing
        cells[f"g{g}"] = [
            [None if m else v for v, m in zip(*row, strict=True)] for row in zip(y, lost, strict=True)
        ]
    return Table(cells)


def close(one: Estimate, other: Estimate) -> None:
    for field in ("value", "low", "high", "se", "df", "p"):
        a, b = getattr(one, field), getattr(other, field)
        assert (a is None) == (b is None), field
        if a is not None:
            assert_allclose(a, b, rtol=1e-7, atol=1e-10, err_msg=field)
    assert replace(one, value=0, low=0, high=0, se=0, df=0, p=0) == replace(
        other, value=0, low=0, high=0, se=0, df=0, p=0
    )


def test_gap_by_hand() -> None:
    table = Table({"a": [[1, 0], [1, 1]], "b": [[0, 0], [1, 0]]})
    found = gaps(*table.columns(), reference="b", level=0.5, outcome_name="refused")["a"]
    half = (
        0.125**0.5
    )  # the upper quartile of t on one degree of freedom is 1; V is worked out in test_crossed.py
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert found.df == 1
    assert (found.kind, found.outcome, found.group, found.reference) == ("gap", "refused", "a", "b")
    assert (found.n_responses, found.n_missing, found.n_events) == (8, 0, 4)
    assert (found.n_signals, found.n_templates, found.level) == (4, 2, 0.5)
    assert found.note is None


def test_missing_labels_are_counted_and_said() -> None:
    table = random_table(1, missing=0.2, groups=2)
    lost = sum(y is None for y in table.outcome)
    found = gaps(*table.columns(), reference="g0")["g1"]
    assert lost > 0
    assert (found.n_missing, found.n_responses) == (lost, 48 - lost)
    assert f"{lost} of 48 cells are empty" in str(found.note)


def test_templates_that_a_group_never_answered_are_left_out_by_name() -> None:
    table = Table(
        {"a": [[1, 0, 1, None], [0, 1, 1, None], [1, 1, 0, None]], "b": [[1, 0, 0, 1], [0, 0, 0, 1]]}
    )
    found = gaps(*table.columns(), reference="b")["a"]
    assert found.value == pytest.approx(2 / 3 - 1 / 6)
    assert found.n_templates == 3
    assert "1 template left out that not every group has answers in: t3" in str(found.note)


def test_numbers_are_compared_like_rates() -> None:
    table = Table({"a": [[10, 30], [20, 50]], "b": [[1, 2], [5, 9]]})
    found = gaps(*table.columns(), reference="b")["a"]
    assert found.value == pytest.approx(27.5 - 4.25)
    assert found.n_events is None
    assert found.low is not None
    assert found.low < -1


def test_rate_is_the_logit_interval_of_the_crossed_variance() -> None:
    y = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [1, 0, 1, 1]], dtype=float)  # light tails: plain df
    found = rates(*Table({"a": y.tolist()}).columns())["a"]
    from scipy import stats

    v_n, v_t = y.mean(axis=1).var(ddof=1) / 3, y.mean(axis=0).var(ddof=1) / 4
    residual = y - y.mean(axis=1)[:, None] - y.mean(axis=0)[None, :] + y.mean()
    v_i = (residual**2).sum() / 6 / 12
    variance = max(v_n + v_t - v_i, v_n, v_t)
    df = max(variance**2 / (v_n**2 / 2 + v_t**2 / 3 + v_i**2 / 6), 2)
    p = y.mean()
    ends = np.log(p / (1 - p)) + np.array([-1, 1]) * stats.t.ppf(0.975, df) * variance**0.5 / (p * (1 - p))
    assert (found.low, found.high) == pytest.approx(tuple(1 / (1 + np.exp(-ends))))
    assert found.value == pytest.approx(p)
    assert (found.p, found.reference, found.kind) == (None, None, "rate")


def test_contrast_is_the_difference_of_the_two_gaps() -> None:
    table = random_table(4)
    part = ["own" if t in ("t0", "t1", "t2") else "neutral" if t != "t5" else "other" for t in table.template]
    found = contrasts(*table.columns(), part, reference="g0", minuend="own", subtrahend="neutral")
    for group, estimate in found.items():
        value = 0.0
        for name, sign in (("own", 1), ("neutral", -1)):
            inside = [p == name for p in part]
            columns = ([v for v, use in zip(c, inside, strict=True) if use] for c in table.columns())
            value += sign * (gaps(*columns, reference="g0")[group].value or 0)
        assert estimate.value == pytest.approx(value)
        assert (estimate.kind, estimate.target, estimate.n_templates) == ("contrast", "own - neutral", 5)


def test_naive_gap_agrees_with_statsmodels_formulas() -> None:
    table = random_table(5)
    found = naive_gaps(*table.columns(), reference="g0")["g2"]
    from scipy import stats

    x, y = (
        [v for v, g in zip(table.outcome, table.group, strict=True) if g == name] for name in ("g2", "g0")
    )
    chi = stats.chi2_contingency(
        [[sum(x), 24 - sum(x)], [sum(y), 24 - sum(y)]],
        correction=False,
    )
    assert found.p == pytest.approx(chi.pvalue)
    assert "contrast only" in str(found.note)


@pytest.mark.parametrize("function", [gaps, naive_gaps])
def test_swapping_the_reference_turns_the_gap_around(function: Callable[..., dict[str, Estimate]]) -> None:
    table = random_table(6, missing=0.1)
    one = function(*table.columns(), reference="g0")["g1"]
    other = function(*table.columns(), reference="g1")["g0"]
    assert one.value == pytest.approx(-(other.value or 0))
    assert one.low == pytest.approx(-(other.high or 0))
    assert one.p == pytest.approx(other.p)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.3]))
def test_row_order_and_labels_do_not_matter(seed: int, missing: float) -> None:
    table = random_table(seed, missing=missing)
    order = np.random.default_rng(seed).permutation(len(table.outcome))
    rename = {"g0": "z", "g1": "g1", "g2": "a"}
    moved = Table({"x": [[0]]})
    moved.outcome = [table.outcome[i] for i in order]
    moved.group = [rename[table.group[i]] for i in order]
    moved.signal = [table.signal[i][::-1] for i in order]
    moved.template = [table.template[i][::-1] for i in order]
    for kind in (rates, lambda *c: gaps(*c, reference="g1")):
        before, after = kind(*table.columns()), kind(*moved.columns())
        assert {rename[g] for g in before} == set(after)
        for group, estimate in before.items():
            renamed = replace(estimate, group=rename[group], note=None)
            close(replace(after[rename[group]], note=None), renamed)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_estimates_lie_where_they_must(seed: int) -> None:
    table = random_table(seed, missing=0.25, names=3, templates=4)
    for estimate in (*rates(*table.columns()).values(), *gaps(*table.columns(), reference="g0").values()):
        bottom = 0 if estimate.kind == "rate" else -1
        figures = [v for v in (estimate.value, estimate.low, estimate.high, estimate.p) if v is not None]
        assert all(np.isfinite(figures))
        assert all(bottom <= v <= 1 for v in figures)
        assert (estimate.low is None) == (estimate.high is None)
        if estimate.low is not None and estimate.high is not None and estimate.value is not None:
            assert estimate.low < estimate.high
            assert estimate.low <= estimate.value <= estimate.high
        if estimate.value is None or (estimate.kind == "gap" and estimate.p is None):
            assert estimate.note


def test_a_group_without_events_has_no_p_and_says_how_many() -> None:
    varied = random_table(7, groups=1, names=4, templates=6)
    table = Table({"none": [[0] * 6] * 4})
    columns = joined(varied, table)
    gender = ["f" if s[-1] in "01" else "m" for s in columns[2]]
    found = gaps(*columns, reference="none", strata={"gender": gender})["g0"]
    value = np.mean([y for y in varied.outcome if y is not None])
    assert found.value == pytest.approx(value)
    assert found.p is None
    assert "0 of 24 responses of none have the outcome" in str(found.note)
    assert "permutation of names within gender" in str(found.note)
    assert found.low is not None
    assert found.high is not None
    assert found.low < value < found.high
    rate = rates(*columns)["none"]
    assert (rate.value, rate.low) == (0, 0)
    assert rate.high is not None
    assert 1 - 0.05 ** (1 / 24) <= rate.high <= 1 - 0.05 ** (1 / 4)


def test_a_group_in_which_all_have_the_outcome_mirrors_one_without() -> None:
    varied = random_table(7, groups=1, names=4, templates=6)
    none, everyone = Table({"z": [[0] * 6] * 4}), Table({"z": [[1] * 6] * 4})
    below = gaps(*(a + b for a, b in zip(varied.columns(), none.columns(), strict=True)), reference="z")["g0"]
    turned = [1 - (y or 0) for y in varied.outcome]
    columns = [
        turned + everyone.outcome,
        *(a + b for a, b in zip(varied.columns()[1:], everyone.columns()[1:], strict=True)),
    ]
    above = gaps(*columns, reference="z")["g0"]
    assert (above.value, above.low, above.high) == pytest.approx((-below.value, -below.high, -below.low))  # type: ignore[operator]
    assert "24 of 24 responses of z" in str(above.note)


@pytest.mark.parametrize("value", [0, 1, 7.5])
def test_all_outcomes_equal_leaves_nothing_to_test(value: float) -> None:
    table = Table({"a": [[value] * 3] * 3, "b": [[value] * 3] * 3})
    found = gaps(*table.columns(), reference="b")["a"]
    assert (found.value, found.low, found.high, found.p, found.se) == (0, None, None, None, None)
    assert "neither an interval nor a p" in str(found.note)


def test_names_that_make_no_difference_leave_nothing_to_test() -> None:
    table = Table({"a": [[0, 1, 1]] * 3, "b": [[0, 1, 1]] * 3})
    found = gaps(*table.columns(), reference="b")["a"]
    assert (found.value, found.low, found.p) == (0, None, None)
    assert "do not differ at all" in str(found.note)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"a": [[1, 0, 1]], "b": [[0, 1, 0], [0, 0, 1]]}, "1 name and 3 templates in a group"),
        ({"a": [[1], [0]], "b": [[0], [1]]}, "1 template in a group"),
        ({"a": [[None, None], [None, None]], "b": [[0, 1], [1, 0]]}, "no response of a has a label"),
        ({"a": [[1, None], [0, None]], "b": [[None, 1], [None, 0]]}, "no template has labelled responses"),
        ({"a": [[1, None], [None, 0]], "b": [[1, 1], [0, 0]]}, "fall apart"),
    ],
    ids=["one name", "one template", "no label", "no template in common", "disconnected"],
)
def test_too_little_is_undefined_with_its_reason(
    cells: dict[str, list[list[float | None]]], reason: str
) -> None:
    found = gaps(*Table(cells).columns(), reference="b")["a"]
    assert (found.low, found.high, found.se, found.p) == (None, None, None, None)
    assert reason in str(found.note)


def test_undefined_rates_say_why() -> None:
    found = rates(*Table({"a": [[1, 0, 1]], "b": [[None] * 3] * 2, "c": [[0, 1, 1], [1, 0, 1]]}).columns())
    assert found["a"].value == pytest.approx(2 / 3)
    assert found["a"].low is None
    assert "1 name and 3 templates" in str(found["a"].note)
    assert found["b"].value is None
    assert found["b"].n_missing == 6
    assert "no response of b has a label" in str(found["b"].note)
    assert found["c"].low is not None


def test_rare_outcomes_bring_their_permutation() -> None:
    y = np.zeros((8, 24))
    y[0, :2] = 1
    table = Table({"a": y.tolist(), "b": y[::-1, ::-1].tolist()})
    note = str(gaps(*table.columns(), reference="b")["a"].note)
    assert "with 1.0% of responses having the outcome, the interval may cover too rarely" in note
    assert "permutation of names" in note
    assert "of 12,870 arrangements" in note


def error(function: Callable[..., object], *arguments: object, **options: object) -> str:
    with pytest.raises(DataError) as found:
        function(*arguments, **options)
    return str(found.value)


def test_input_that_cannot_be_used() -> None:
    columns = random_table(8).columns()
    assert "reference 'g9' is not among the groups; choose one of: 'g0'" in error(
        gaps, *columns, reference="g9"
    )
    assert "level is 95" in error(gaps, *columns, reference="g0", level=95)
    assert "level is 1" in error(rates, *columns, level=1)
    one = Table({"a": [[1, 0], [0, 1]]}).columns()
    assert "one group only ('a')" in error(gaps, *one, reference="a")
    part = ["own"] * len(columns[0])
    options = {"reference": "g0", "minuend": "own"}
    assert "part 'none' has no template" in error(contrasts, *columns, part, subtrahend="none", **options)
    assert "both 'own'" in error(contrasts, *columns, part, subtrahend="own", **options)


def pilot() -> dict[str, list[str]]:
    if not PILOT.exists():
        pytest.skip("../shared/data is absent: the published pilot is not distributed with the project")
    with PILOT.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: [row[key] for row in rows] for key in rows[0]}


def test_figures_of_the_published_pilot() -> None:
    data = pilot()
    outcome = [label in ("refusal", "harmful refusal") for label in data["label"]]
    columns = (outcome, data["identity"], data["name"], data["og_prompt"])
    expected = {  # points: value, low, high; p; df
        "muslim": (30.56, 7.32, 53.79, 0.0152, 9.76),
        "chinese": (8.85, 0.49, 17.22, 0.040, 14.2),
        "asian": (7.81, -4.91, 20.54, 0.170, 4.5),
        "mexican": (6.25, -1.84, 14.34, 0.113, 8.3),
    }
    found = gaps(*columns, reference="white")
    assert set(found) == set(expected)
    for group, (*points, p, df) in expected.items():
        estimate = found[group]
        measured = [100 * (v or 0) for v in (estimate.value, estimate.low, estimate.high)]
        assert measured == pytest.approx(points, abs=0.006)
        assert estimate.p == pytest.approx(p, abs=0.0006)
        assert estimate.df == pytest.approx(df, abs=0.06)
    naive = naive_gaps(*columns, reference="white")
    assert (naive["muslim"].low, naive["muslim"].high) == pytest.approx((0.259, 0.352), abs=0.0006)
    assert naive["muslim"].p == pytest.approx(1.7e-33, rel=0.05)
    assert all((estimate.p or 1) < 0.05 for estimate in naive.values())
    shares = rates(*columns)
    assert [round(100 * (shares[group].value or 0), 1) for group in ("muslim", "white")] == [39.8, 9.2]


def test_permutation_of_the_published_pilot() -> None:
    """2 of 1,296 arrangements within gender x commonness."""
    from servicegap.disparity.cells import aggregate
    from servicegap.disparity.permutation import permute_names

    data = pilot()
    gender = ["woman" if "women" in kind else "man" if "men" in kind else None for kind in data["type_name"]]
    cells = aggregate(
        ["refusal" in label for label in data["label"]],
        data["identity"],
        data["name"],
        data["og_prompt"],
        strata={"gender": gender, "commonness": data["common"]},
    )
    rows = np.concatenate([cells.rows("muslim"), cells.rows("white")])
    known = {key: [values[row] for row in rows] for key, values in cells.attributes.items()}
    found = permute_names(cells.mean[rows].mean(axis=1), np.arange(16) < 8, known, np.random.default_rng(0))
    assert (found.extreme, found.arrangements) == (2, 1296)
    assert found.p == pytest.approx(0.0015, abs=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("names", "templates", "base"), [(4, 8, 0.2), (8, 24, 0.1), (24, 12, 0.4)])
def test_intervals_cover_new_names_and_templates(names: int, templates: int, base: float) -> None:
    """Truth = mean over the population of names and templates; logit effects as large as the pilot's."""
    from scipy.special import expit, logit

    rng = np.random.default_rng(names * templates)
    population = expit(logit(base) + rng.normal(size=400_000) * (0.8**2 + 1 + 0.7**2 + 0.5**2) ** 0.5)
    truth, runs, rate_hits, gap_hits = population.mean(), 800, 0, 0
    group = np.repeat(["a", "b"], names * templates)
    signal = np.repeat(np.arange(2 * names), templates)
    template = np.tile(np.arange(templates), 2 * names)
    for _ in range(runs):
        effect = rng.normal(0, 1, templates) + rng.normal(0, 0.7, (2, 1, templates))
        effect = effect + rng.normal(0, 0.8, (2, names, 1)) + rng.normal(0, 0.5, (2, names, templates))
        y = (rng.random((2, names, templates)) < expit(logit(base) + effect)).ravel()
        rate = rates(y, group, signal, template)["a"]
        gap = gaps(y, group, signal, template, reference="b")["a"]
        rate_hits += rate.low is not None and rate.high is not None and rate.low <= truth <= rate.high
        gap_hits += gap.low is None or gap.high is None or gap.low <= 0 <= gap.high
    assert rate_hits / runs >= 0.92
    assert gap_hits / runs >= 0.935
