import numpy as np
import pytest
from scipy import stats

from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.single import name_rates, template_gaps


def table(a: np.ndarray, b: np.ndarray) -> Cells:
    entries = [
        (y, group, f"{group}{row}", f"t{column}")
        for group, cells in (("a", a), ("b", b))
        for (row, column), y in np.ndenumerate(cells)
    ]
    return aggregate(*map(list, zip(*entries, strict=True)))


def test_template_gaps_are_welch_tests_over_names() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=(7, 3))
    for column, found in enumerate(template_gaps(table(a, b), "a", "b")):
        test = stats.ttest_ind(a[:, column], b[:, column], equal_var=False)
        interval = test.confidence_interval(0.95)
        assert (found.p, found.df) == pytest.approx((test.pvalue, test.df))
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
        assert (found.template, found.n_signals, found.n_templates) == (f"t{column}", 12, 1)


def test_template_gaps_say_why_they_are_undefined() -> None:
    nan = np.nan
    a = np.array([[1, 0, nan, 1], [0, nan, nan, 0]])
    b = np.array([[0, 1, 1, 0], [0, 1, 0, 1]])
    found = template_gaps(table(a, b), "a", "b")
    assert "do not differ in this template" in str(found[0].note)
    assert "one name only" in str(found[1].note)
    assert (found[1].value, found[1].low) == (-1, None)
    assert "no label in this template" in str(found[2].note)
    assert found[2].value is None
    assert found[3].p == pytest.approx(1)


def test_name_rates_are_t_intervals_over_templates() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=(3, 6))
    found = [e for e in name_rates(table(a, a + 1)) if e.kind == "name_rate"]
    assert [e.signal for e in found] == ["a0", "a1", "a2", "b0", "b1", "b2"]
    low, high = stats.t.interval(0.95, 5, a[1].mean(), stats.sem(a[1]))
    assert (found[1].value, found[1].low, found[1].high) == pytest.approx((a[1].mean(), low, high))


def test_shrinkage_by_hand() -> None:
    """Complete table: kept share = (s2_names - s2_cells/T) / (that + s2_cells/T (1 - 1/K))."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=(4, 1)) * 3 + rng.normal(size=(4, 5))
    means = a.mean(axis=1)
    left = a - means[:, None] - a.mean(axis=0)[None, :] + a.mean()
    noise = (left**2).sum() / 12 / 5
    true = means.var(ddof=1) - noise
    kept = true / (true + noise * 0.75)
    found = [e.value for e in name_rates(table(a, a)) if e.kind == "name_rate_shrunk" and e.group == "a"]
    assert found == pytest.approx(a.mean() + kept * (means - a.mean()))


def test_names_that_differ_by_chance_alone_are_drawn_together() -> None:
    rng = np.random.default_rng(4)
    a = rng.integers(0, 2, (8, 24)).astype(float)
    raw = [e.value for e in name_rates(table(a, a)) if e.kind == "name_rate"]
    shrunk = [e.value for e in name_rates(table(a, a)) if e.kind == "name_rate_shrunk"]
    assert np.ptp(shrunk) < 0.6 * np.ptp(raw)  # type: ignore[arg-type]
    assert np.mean(shrunk) == pytest.approx(np.mean(raw))  # type: ignore[arg-type]


def test_undefined_names_say_why() -> None:
    nan = np.nan
    a = np.array([[nan, nan, nan], [1, 1, 1], [0, 1, 0], [1, 0, 0]])
    found = {(e.kind, e.signal): e for e in name_rates(table(a, a[1:])) if e.group == "a"}
    assert found["name_rate", "a0"].value is None
    assert "no response of this name" in str(found["name_rate_shrunk", "a0"].note)
    assert (found["name_rate", "a1"].value, found["name_rate", "a1"].low) == (1, None)
    assert found["name_rate_shrunk", "a2"].value is not None
