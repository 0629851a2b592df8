import numpy as np
import pytest

from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.paired import differences, gap_changes, rate_changes
from servicegap.errors import DataError


def table(y: np.ndarray, first_template: int = 0) -> Cells:
    """(groups, names, templates)."""
    g, k, t = (index.ravel() for index in np.indices(y.shape))
    names = [f"{i}.{j}" for i, j in zip(g, k, strict=True)]
    return aggregate(y.ravel(), [f"g{i}" for i in g], names, t + first_template)


RNG = np.random.default_rng(3)
WITH, WITHOUT = RNG.integers(0, 2, (2, 6, 8)).astype(float), RNG.integers(0, 2, (2, 6, 8)).astype(float)


def test_change_is_the_difference_of_the_two_gaps() -> None:
    found = gap_changes(table(WITH), table(WITHOUT), reference="g0")["g1"]
    gaps = [gaps_of(table(y), reference="g0")["g1"].value or 0 for y in (WITH, WITHOUT)]
    assert found.value == pytest.approx(gaps[0] - gaps[1])
    expected = gaps_of(table(WITH - WITHOUT), reference="g0")["g1"]
    assert (found.low, found.high, found.p) == pytest.approx((expected.low, expected.high, expected.p))
    assert (found.kind, found.n_responses) == ("gap_change", 192)
    assert "paired by cell" in str(found.method)


def test_what_a_cell_does_under_both_cancels() -> None:
    common = 5 * RNG.normal(size=(2, 6, 8))
    plain = gap_changes(table(WITH), table(WITHOUT), reference="g0")["g1"]
    moved = gap_changes(table(WITH + common), table(WITHOUT + common), reference="g0")["g1"]
    assert (moved.value, moved.se, moved.df) == pytest.approx((plain.value, plain.se, plain.df))


def test_rates_change_too() -> None:
    found = rate_changes(table(WITH), table(WITHOUT))["g0"]
    assert found.value == pytest.approx(WITH[0].mean() - WITHOUT[0].mean())
    assert found.low is not None
    assert found.low >= -1


def test_only_prompts_of_both_are_compared() -> None:
    cells = differences(table(WITH), table(WITHOUT, first_template=2))
    assert cells.template == ("2", "3", "4", "5", "6", "7")
    holed = WITHOUT.copy()
    holed[0, 0, 0] = np.nan
    found = gap_changes(table(WITH), table(holed), reference="g0")["g1"]
    assert "1 cells have labels under one condition only" in str(found.note)
    with pytest.raises(DataError, match="share no name and template"):
        differences(table(WITH), table(WITHOUT, first_template=50))


def test_a_signal_that_changed_its_group_is_told() -> None:
    other = aggregate([1, 0], ["g1", "g1"], ["0.0", "1.1"], [0, 0])
    with pytest.raises(DataError, match=r"signal '0\.0' is in 'g0' here and in 'g1' in the baseline"):
        differences(table(WITH), other)
