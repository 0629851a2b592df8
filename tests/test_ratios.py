import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.ratios import Kind, pigeonhole, ratio_of
from servicegap.errors import DataError

KINDS: tuple[Kind, ...] = ("four_fifths", "ratio", "odds_ratio")


def table(a: np.ndarray, b: np.ndarray) -> Cells:
    entries = [
        (y, group, f"{group}{row}", f"t{column}")
        for group, cells in (("a", a), ("b", b))
        for (row, column), y in np.ndenumerate(cells)
    ]
    return aggregate(*map(list, zip(*entries, strict=True)))


A = np.array([[1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 1, 1]])
B = np.array([[0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0]])


def test_values_by_hand() -> None:
    """Rates 7/12 and 3/12."""
    found = {kind: ratio_of(table(A, B), "a", "b", kind).value for kind in KINDS}
    assert found["four_fifths"] == pytest.approx(5 / 9)
    assert found["ratio"] == pytest.approx(7 / 3)
    assert found["odds_ratio"] == pytest.approx(7 / 5 * 9 / 3)


def test_interval_is_welch_of_the_linearised_names_and_templates() -> None:
    found = ratio_of(table(A, B), "a", "b", "ratio")
    a, b = A / A.mean(), B / B.mean()
    v_n = a.mean(axis=1).var(ddof=1) / 3 + b.mean(axis=1).var(ddof=1) / 3
    v_t = (a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) / 4
    v_i = 0.0
    for y in (a, b):
        left = y - y.mean(axis=1)[:, None] - y.mean(axis=0)[None, :] + y.mean()
        v_i += (left**2).sum() / 6 / 12
    assert found.se == pytest.approx(max(v_n + v_t - v_i, v_n, v_t) ** 0.5)
    assert found.df is not None
    half = stats.t.ppf(0.975, found.df) * (found.se or 0)
    assert (found.low, found.high) == pytest.approx((7 / 3 * np.exp(-half), 7 / 3 * np.exp(half)))
    assert found.p == pytest.approx(2 * stats.t.sf(np.log(7 / 3) / (found.se or 1), found.df))


def test_swapping_groups_inverts_the_ratio() -> None:
    for kind in KINDS:
        one, other = ratio_of(table(A, B), "a", "b", kind), ratio_of(table(A, B), "b", "a", kind)
        assert one.value == pytest.approx(1 / (other.value or 1))
        assert one.low == pytest.approx(1 / (other.high or 1))
        assert one.p == pytest.approx(other.p)


def test_no_event_adds_halves_and_leaves_the_rest_undefined() -> None:
    found = ratio_of(table(A, np.zeros((3, 4))), "a", "b", "ratio")
    assert found.value == pytest.approx((7.5 / 13) / (0.5 / 13))
    assert (found.low, found.high, found.p) == (None, None, None)
    assert "0 of 12 responses of b have the outcome; half an event" in str(found.note)


def test_what_has_no_ratio() -> None:
    with pytest.raises(DataError) as error:
        ratio_of(table(A * 9, B), "a", "c", "ratio")
    assert len(error.value.problems) == 2
    assert "group 'c' is not among the groups" in str(error.value)
    assert "1 name and 4 templates" in str(ratio_of(table(A[:1], B), "a", "b", "ratio").note)


def test_pigeonhole_resamples_names_and_templates() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, (6, 10)), rng.integers(0, 2, (7, 10))
    drawn = pigeonhole(table(a, b), "a", "b", "four_fifths", np.random.default_rng(2), draws=3000)
    by_loop = []
    for _ in range(3000):
        columns = rng.integers(0, 10, 10)
        one, other = (y[rng.integers(0, len(y), len(y))][:, columns].mean() for y in (a, b))
        by_loop.append((1 - one) / (1 - other))
    assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx(
        np.quantile(by_loop, [0.1, 0.5, 0.9]), rel=0.05
    )


@pytest.mark.slow
@pytest.mark.parametrize("names", [4, 8, 16])
def test_the_interval_of_four_fifths_covers(names: int) -> None:
    rng = np.random.default_rng(names)
    runs, templates, hits, boot = 600, 16, 0, 0
    wide = rng.normal(size=400_000) * (1 + 1 + 0.25) ** 0.5
    rates = [float(expit(logit(base) + wide).mean()) for base in (0.4, 0.15)]
    truth = (1 - rates[0]) / (1 - rates[1])
    for _ in range(runs):
        common, own = rng.normal(0, 1, templates), rng.normal(0, 0.5, (2, 1, templates))
        effects = common + own + rng.normal(0, 1, (2, names, 1))
        y = rng.random(effects.shape) < expit(logit(np.array([0.4, 0.15]))[:, None, None] + effects)
        cells = table(y[0].astype(int), y[1].astype(int))
        found = ratio_of(cells, "a", "b", "four_fifths")
        hits += found.low is None or found.high is None or found.low <= truth <= found.high
        low, high = np.quantile(pigeonhole(cells, "a", "b", "four_fifths", rng, draws=500), [0.025, 0.975])
        boot += low <= truth <= high
    print(f"{names} names: crossed Welch {hits / runs:.3f}, pigeonhole {boot / runs:.3f}")
    assert hits / runs >= 0.92
