import pytest
from scipy import stats

from servicegap.disparity.rare import Limits, effective_size, no_event_limit, square_and_add


def test_rule_of_three() -> None:
    for size in (10, 50, 576):
        limit = no_event_limit(size, 0.95)
        assert limit == pytest.approx(stats.binomtest(0, size, alternative="less").proportion_ci(0.95).high)
        assert limit < 3 / size


def test_effective_size() -> None:
    assert effective_size(576, 20.0, 8, 24) == pytest.approx(28.8)
    assert effective_size(576, None, 8, 24) == 8
    assert effective_size(576, 1e6, 8, 24) == 8  # never worth less than its names
    assert effective_size(576, 0.5, 8, 24) == 576  # nor more than its responses
    assert effective_size(576, 0.0, 8, 24) == 576


def test_square_and_add_by_hand() -> None:
    """0.5 (0.2 to 0.9) minus 0.1 (0.06 to 0.5): 0.4 - hypot(0.3, 0.4), 0.4 + hypot(0.4, 0.04)."""
    found = square_and_add(0.5, Limits(0.2, 0.9), 0.1, Limits(0.06, 0.5))
    assert found.low == pytest.approx(-0.1)
    assert found.high == pytest.approx(0.4 + (0.4**2 + 0.04**2) ** 0.5)


def test_square_and_add_stays_among_differences_of_rates() -> None:
    found = square_and_add(0.9, Limits(0.0, 1.0), 0.0, Limits(0.0, 0.9))
    assert found.high == 1.0
    assert found.low == pytest.approx(0.9 - (0.81 + 0.81) ** 0.5)
