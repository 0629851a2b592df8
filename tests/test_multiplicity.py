import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicegap.disparity.cells import aggregate
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.multiplicity import benjamini_hochberg, holm, simultaneous
from servicegap.errors import DataError
from servicegap.records import Estimate

families = st.lists(st.none() | st.floats(0, 1), max_size=12)


def test_holm_by_hand() -> None:
    # ordered 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.6 * 1, then never falling
    assert holm([0.03, 0.01, None, 0.6, 0.02]) == pytest.approx([0.06, 0.04, None, 0.6, 0.06])


def test_benjamini_hochberg_by_hand() -> None:
    # ordered 0.01 * 4/1, 0.02 * 4/2, 0.03 * 4/3, 0.6 * 4/4, never rising from the end
    assert benjamini_hochberg([0.03, 0.01, None, 0.6, 0.02]) == pytest.approx([0.04, 0.04, None, 0.6, 0.04])


def test_benjamini_hochberg_agrees_with_scipy() -> None:
    from scipy.stats import false_discovery_control

    p = [0.2, 0.001, 0.04, 0.04, 0.9, 0.012]
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p).tolist())


@given(families)
def test_holm_follows_its_rule_of_rejecting(p: list[float | None]) -> None:
    """Independent path: step down through the ordered values and stop at the first that is too large."""
    known = sorted(v for v in p if v is not None)
    for alpha in (0.05, 0.3):
        bars = [alpha / (len(known) - i) for i in range(len(known))]
        if any(abs(v - bar) < 1e-9 for v, bar in zip(known, bars, strict=True)):
            continue
        stop = next((i for i, (v, bar) in enumerate(zip(known, bars, strict=True)) if v > bar), len(known))
        assert sum(q is not None and q <= alpha for q in holm(p)) == stop


@given(families, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_undefined_stays_undefined(p: list[float | None], random: object) -> None:
    order = list(range(len(p)))
    random.shuffle(order)  # type: ignore[attr-defined]
    for method in (holm, benjamini_hochberg):
        adjusted = method(p)
        assert method([p[i] for i in order]) == [adjusted[i] for i in order]
        for raw, value in zip(p, adjusted, strict=True):
            assert (raw is None) == (value is None)
            if raw is not None and value is not None:
                assert raw <= value * (1 + 1e-12)
                assert value <= 1


def test_values_that_are_no_p_are_told_together() -> None:
    with pytest.raises(DataError) as error:
        holm([0.5, -0.1, 2.0, float("nan")])
    assert len(error.value.problems) == 3
    assert "p[1] is -0.1" in str(error.value)


def test_simultaneous_intervals_are_those_at_a_higher_level() -> None:
    rng = np.random.default_rng(1)
    name, template = (index.ravel() for index in np.indices((18, 8)))
    group = [f"g{n // 6}" for n in name]
    cells = aggregate(rng.integers(0, 2, name.size), group, name, template)
    found = simultaneous(list(gaps_of(cells, reference="g0", level=0.9).values()))
    expected = gaps_of(cells, reference="g0", level=0.95)
    for one, other in zip(found, expected.values(), strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high))
        assert (one.kind, one.level, one.p) == ("gap_simultaneous", 0.9, None)
        assert "2 intervals together" in str(one.method)


def test_undefined_intervals_do_not_count_and_levels_must_agree() -> None:
    defined = Estimate(kind="gap", outcome="y", value=0.1, se=0.1, df=9.0, level=0.95)
    undefined = Estimate(kind="gap", outcome="y", value=0.0, level=0.95, note="nothing varies")
    found = simultaneous([defined, undefined])
    assert found[0].high == pytest.approx(0.1 + 0.226216)  # t(9) = 2.26216, as alone
    assert (found[1].low, found[1].note) == (None, "nothing varies")
    other = Estimate(kind="gap", outcome="y", value=0.1, se=0.1, df=9.0, level=0.9)
    with pytest.raises(DataError, match=r"different levels: 0\.9, 0\.95"):
        simultaneous([defined, other])
