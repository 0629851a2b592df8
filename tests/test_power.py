import numpy as np
import pytest
from scipy import stats

from servicegap.disparity.crossed import contrast
from servicegap.errors import DataError
from servicegap.power import (
    PILOT_13B,
    PILOT_13B_WITHOUT_OUTLIER,
    Components,
    detectable_gap,
    gap_variance,
    power_of,
)

DESIGNS = [(24, 1), (24, 3), (24, 10), (48, 1), (96, 1)]  # templates, samples
PUBLISHED = {
    PILOT_13B: {
        4: [33.7, 33.0, 32.7, 32.4, 31.7],
        8: [22.8, 22.4, 22.2, 21.3, 20.5],
        16: [17.2, 16.9, 16.8, 15.3, 14.4],
        32: [13.9, 13.7, 13.7, 11.8, 10.6],
    },
    PILOT_13B_WITHOUT_OUTLIER: {
        4: [20.1, 18.8, 18.4, 17.2, 15.7],
        8: [15.5, 14.8, 14.6, 12.5, 10.9],
        16: [13.3, 12.9, 12.8, 10.2, 8.4],
        32: [12.2, 12.0, 11.9, 9.0, 7.0],
    },
}


@pytest.mark.parametrize("components", PUBLISHED, ids=["all names", "without outlier"])
def test_published_detectable_gaps(components: Components) -> None:
    for names, points in PUBLISHED[components].items():
        found = [detectable_gap(components, names, templates, samples) for templates, samples in DESIGNS]
        assert [100 * gap for gap in found if gap is not None] == pytest.approx(points, abs=0.1)


def test_variance_by_hand() -> None:
    components = Components(0.08, 0.06, 0.02, 0.04, source="made up for this test")
    found = gap_variance(components, names=4, templates=6, samples=2)
    assert found.variance == pytest.approx(2 * 0.08 / 4 + 0.06 / 6 + 2 * (0.02 + 0.02) / 24)
    cells = 0.04 / 24
    spread = 2 * (0.02 + cells) ** 2 / 3 + (0.01 + 2 * cells) ** 2 / 5 + 2 * cells**2 / 15
    assert found.df == pytest.approx(found.variance**2 / spread)


def test_degrees_of_freedom_keep_the_floor() -> None:
    components = Components(0, 0.01, 0, 0, source="templates alone")
    assert gap_variance(components, names=24, templates=4).df == 3


def test_power_agrees_with_scipy_and_is_the_level_without_a_gap() -> None:
    v = gap_variance(PILOT_13B, 8, 24)
    bar, shift = stats.t.ppf(0.975, v.df), 0.2 / v.variance**0.5
    expected = stats.nct.sf(bar, v.df, shift) + stats.nct.cdf(-bar, v.df, shift)
    assert power_of(0.2, PILOT_13B, 8, 24) == pytest.approx(expected)
    assert power_of(-0.2, PILOT_13B, 8, 24) == pytest.approx(expected)
    assert power_of(0.0, PILOT_13B, 8, 24) == pytest.approx(0.05)
    assert power_of(1.0, Components(1e-4, 0, 0, 0, source="next to nothing"), 8, 24) == pytest.approx(1)


def test_the_detectable_gap_has_the_power_asked_for() -> None:
    gap = detectable_gap(PILOT_13B, 12, 40, level=0.9, power=0.7)
    assert gap is not None
    assert power_of(gap, PILOT_13B, 12, 40, level=0.9) == pytest.approx(0.7, abs=1e-5)


def test_a_design_that_detects_nothing_says_so() -> None:
    assert detectable_gap(Components(0.25, 0.25, 0, 0, source="all or nothing"), 2, 2) is None


def test_mistakes() -> None:
    with pytest.raises(DataError) as error:
        gap_variance(Components(-1, 0, 0, 0, source=""), names=1, templates=1, samples=0)
    assert len(error.value.problems) == 4
    with pytest.raises(DataError, match="all variance components are 0"):
        gap_variance(Components(0, 0, 0, 0, source=""), 4, 4)
    with pytest.raises(DataError, match="level is 95"):
        power_of(0.1, PILOT_13B, 4, 4, level=95)
    with pytest.raises(DataError, match=r"power is 0\.01"):
        detectable_gap(PILOT_13B, 4, 4, power=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("names", "tolerance"), [(4, 0.08), (8, 0.08), (24, 0.05)])
def test_power_agrees_with_simulation(names: int, tolerance: float) -> None:
    rng = np.random.default_rng(names)
    c, templates, runs = PILOT_13B, 24, 1500
    gap = detectable_gap(c, names, templates) or 1.0
    found = 0
    for _ in range(runs):
        half = rng.normal(0, (c.gap_by_template / 2) ** 0.5, (2, 1, templates))
        cells = rng.normal(0, (c.name_by_template + c.repeat) ** 0.5, (2, names, templates))
        y = rng.normal(0, c.name**0.5, (2, names, 1)) + half + cells
        found += contrast([[y[0] + gap], [y[1]]], [[1], [-1]]).p < 0.05
    assert found / runs == pytest.approx(0.8, abs=tolerance)
