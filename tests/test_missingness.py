import numpy as np
import pytest

from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.missingness import missingness_test, worst_case


def table(outcome: np.ndarray, n_a: int) -> Cells:
    """Names x templates, NaN = missing label; the first `n_a` names are group a."""
    rows, columns = outcome.shape
    return aggregate(
        outcome.ravel(),
        np.repeat(["a"] * n_a + ["b"] * (rows - n_a), columns),
        np.repeat(np.arange(rows), columns),
        np.tile(np.arange(columns), rows),
    )


def test_worst_case_by_hand() -> None:
    nan = np.nan
    y = np.array([[1, 0, nan, 1], [1, 1, 0, 0], [0, nan, nan, 1], [0, 0, 1, 0]])
    found = worst_case(table(y, 2), "a", "b")
    assert found.low == pytest.approx(4 / 8 - 4 / 8)  # a's missing one is 0, b's two are 1
    assert found.high == pytest.approx(5 / 8 - 2 / 8)
    assert (found.kind, found.p, found.level, found.n_missing) == ("gap_bounds", None, None, 3)
    assert "whatever the 3 missing labels are" in str(found.note)


def test_rows_that_are_not_there_count_as_missing() -> None:
    y = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 1]], dtype=float)
    whole = table(y, 2)
    absent = aggregate(
        [1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1],
        ["a"] * 5 + ["b"] * 6,
        [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3],
        [0, 1, 2, 0, 2, 0, 1, 2, 0, 1, 2],
    )
    gap = worst_case(whole, "a", "b")
    assert (gap.low, gap.high) == (gap.value, gap.value)
    assert gap.note == "no label is missing"
    found = worst_case(absent, "a", "b")
    assert found.low == pytest.approx(3 / 6 - 3 / 6)
    assert found.high == pytest.approx(4 / 6 - 3 / 6)


def test_numbers_have_no_worst_case() -> None:
    found = worst_case(table(np.array([[3.0, 5], [2, np.nan], [1, 2], [3, 4]]), 2), "a", "b")
    assert (found.low, found.high) == (None, None)
    assert "no worst case" in str(found.note)


def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def test_missing_by_group_and_template_is_found() -> None:
    y = rng().integers(0, 2, (16, 12)).astype(float)
    lost = y.copy()
    lost[:8, :6][rng().random((8, 6)) < 0.6] = np.nan
    found = missingness_test(table(lost, 8), rng())
    assert found.p is not None
    assert found.p < 0.01
    assert "depends on group" in str(found.note)
    assert found.value == pytest.approx(np.isnan(lost).mean())


def test_missing_by_chance_is_not_found_too_often() -> None:
    generator = rng()
    p = []
    for _ in range(60):
        y = np.where(generator.random((10, 8)) < 0.2, np.nan, 1.0)
        p.append(missingness_test(table(y, 5), generator).p or 1.0)
    assert np.mean(np.array(p) < 0.05) <= 0.12
    assert 0.35 < np.mean(p) < 0.65


def test_nothing_missing_is_nothing_to_test() -> None:
    found = missingness_test(table(np.ones((4, 4)), 2), rng())
    assert (found.value, found.p, found.note) == (0, None, "no label is missing")
