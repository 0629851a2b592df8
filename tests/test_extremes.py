import numpy as np
import pytest

from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.extremes import largest_gap


def table(y: np.ndarray) -> Cells:
    """(groups, names, templates) outcomes."""
    g, k, t = (index.ravel() for index in np.indices(y.shape))
    return aggregate(y.ravel(), [f"g{i}" for i in g], [f"{i}.{j}" for i, j in zip(g, k, strict=True)], t)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_two_groups_are_the_gap_itself() -> None:
    y = rng().random((2, 6, 8))
    y[1] += 0.5
    found = largest_gap(table(y), rng())
    gap = gaps_of(table(y), reference="g0")["g1"]
    assert found.raw == pytest.approx(gap.value)
    assert found.estimate.high == pytest.approx(gap.high)
    assert found.estimate.low == pytest.approx(max(gap.low or 0, 0))
    assert (found.estimate.group, found.estimate.reference) == ("g1", "g0")
    # E|N(0, V)| = sqrt(2 V / pi)
    assert found.expected == pytest.approx(np.sqrt(2 / np.pi) * (gap.se or 0), rel=0.05)


def test_interval_comes_from_all_pairs() -> None:
    y = rng().random((4, 5, 7)) + np.array([0, 0.1, 0.6, 0.3])[:, None, None]
    found = largest_gap(table(y), rng()).estimate
    lows, highs = [], []
    for reference in range(4):
        for gap in gaps_of(table(y), reference=f"g{reference}", level=1 - 0.05 / 6).values():
            lows.append(gap.low)
            highs.append(gap.high)
    assert found.low == pytest.approx(max(low for low in lows if low is not None))
    assert found.high == pytest.approx(max(high for high in highs if high is not None))
    assert (found.group, found.reference) == ("g2", "g0")
    assert found.p is not None
    assert found.p < 0.01
    assert found.value is not None
    assert 0 < found.value < (largest_gap(table(y), rng()).raw or 0)


def test_groups_that_do_not_differ_are_shrunk_and_their_null_is_near() -> None:
    generator = rng()
    raw, shrunk, expected, p, covered = [], [], [], [], 0
    for _ in range(60):
        y = (
            generator.normal(0, 1, (5, 6, 1))
            + generator.normal(0, 1, 12)
            + generator.normal(0, 0.5, (5, 1, 12))
        )
        found = largest_gap(table(y + generator.normal(0, 1, (5, 6, 12))), generator)
        raw.append(found.raw)
        shrunk.append(found.estimate.value)
        expected.append(found.expected)
        p.append(found.estimate.p)
        covered += found.estimate.low == 0
    assert np.mean(expected) == pytest.approx(np.mean(raw), rel=0.15)  # type: ignore[arg-type]
    assert np.mean(shrunk) < 0.5 * np.mean(raw)  # type: ignore[arg-type]
    assert np.mean(np.array(p) < 0.05) < 0.15
    assert covered >= 55


def test_undefined_with_a_reason() -> None:
    one = largest_gap(table(rng().random((1, 4, 5))), rng())
    assert (one.raw, one.estimate.value) == (None, None)
    assert "fewer than two groups" in str(one.estimate.note)
    single = largest_gap(table(rng().random((3, 1, 5))), rng())
    assert single.estimate.low is None
    assert "no standard error" in str(single.estimate.note)
