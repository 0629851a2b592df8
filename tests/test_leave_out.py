import numpy as np
import pytest

from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.leave_out import leave_one_out


def cells_of(tables: dict[str, np.ndarray]) -> Cells:
    entries = [
        (y, group, f"{group}{row}", f"t{column}")
        for group, table in tables.items()
        for (row, column), y in np.ndenumerate(table)
    ]
    return aggregate(*map(list, zip(*entries, strict=True)))


def test_the_name_that_carries_the_gap_is_named() -> None:
    a, b = np.zeros((4, 6)), np.zeros((4, 6))
    a[0] = 1
    a[1, 0] = b[1, 0] = b[2, 1] = a[2, 1] = 1
    found = leave_one_out(cells_of({"a": a, "b": b}), "a", "b")
    assert found.whole.value == pytest.approx(0.25)
    assert [e.signal for e in found.names] == [f"a{i}" for i in range(4)] + [f"b{i}" for i in range(4)]
    assert found.names[0].value == pytest.approx(1 / 9 - 1 / 12)  # 2 of 18 against 2 of 24
    assert "this gap is mostly one name: a0 (25.0 points with it, 2.8 points without)" in str(
        found.sentence()
    )


def test_each_is_the_gap_of_the_cells_that_are_left() -> None:
    rng = np.random.default_rng(1)
    cells = cells_of({"a": rng.random((4, 5)), "b": rng.random((3, 5))})
    found = leave_one_out(cells, "a", "b")
    without = gaps_of(cells.take(columns=np.array([0, 1, 3, 4])), reference="b")["a"]
    assert found.templates[2].template == "t2"
    assert (found.templates[2].value, found.templates[2].low, found.templates[2].n_templates) == (
        without.value,
        without.low,
        4,
    )
    assert len(found.names) == 7


def test_an_even_gap_hangs_on_nothing() -> None:
    rng = np.random.default_rng(2)
    noise = rng.random((12, 20)) / 100
    found = leave_one_out(cells_of({"a": 0.5 + noise, "b": 0.1 + noise[::-1]}), "a", "b")
    assert found.sentence() is None


def test_a_negative_gap_is_told_with_its_sign() -> None:
    rng = np.random.default_rng(3)
    a = 0.5 + rng.random((5, 6)) / 100
    b = a.copy()
    b[0] += 0.4
    sentence = str(leave_one_out(cells_of({"a": a, "b": b}), "a", "b").sentence())
    assert "mostly one name: b0" in sentence
    assert "-0.08" in sentence


def test_what_cannot_be_left_out_says_why() -> None:
    rng = np.random.default_rng(4)
    found = leave_one_out(cells_of({"a": rng.random((2, 4)), "b": rng.random((4, 4))}), "a", "b")
    assert found.names[0].low is None
    assert "1 name and 4 templates" in str(found.names[0].note)
    assert found.names[2].low is not None
