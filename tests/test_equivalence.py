import pytest
from scipy import stats

from servicegap.disparity.equivalence import equivalence
from servicegap.errors import DataError
from servicegap.records import Estimate

GAP = Estimate(
    kind="gap", outcome="refused", value=0.02, se=0.03, df=12.0, low=-0.05, high=0.09, method="crossed Welch"
)


def test_two_one_sided_tests() -> None:
    found = equivalence(GAP, 0.1)
    assert found.p == pytest.approx(
        max(stats.t.sf((0.02 + 0.1) / 0.03, 12), stats.t.cdf((0.02 - 0.1) / 0.03, 12))
    )
    assert found.kind == "equivalence"
    assert (found.value, found.low, found.high) == (GAP.value, GAP.low, GAP.high)
    assert "smaller than 0.1 in either direction" in str(found.note)


def test_non_inferiority_looks_one_way() -> None:
    lower = Estimate(kind="gap", outcome="refused", value=-0.5, se=0.03, df=12.0)
    found = equivalence(lower, 0.1, sides="above")
    assert found.kind == "noninferiority"
    assert found.p == pytest.approx(stats.t.cdf(-0.6 / 0.03, 12))
    assert (equivalence(lower, 0.1).p or 0) > 0.99


def test_ninety_percent_interval_inside_the_margin_is_p_below_five_percent() -> None:
    half = stats.t.ppf(0.95, 12) * 0.03
    assert (equivalence(GAP, 0.02 + half * 1.0001).p or 1) < 0.05
    assert (equivalence(GAP, 0.02 + half * 0.9999).p or 0) > 0.05


def test_undefined_and_wrong() -> None:
    found = equivalence(Estimate(kind="gap", outcome="refused", value=0.0, note="nothing varies"), 0.1)
    assert found.p is None
    assert "nothing varies; the gap has no standard error" in str(found.note)
    with pytest.raises(DataError, match="margin is 0"):
        equivalence(GAP, 0)
