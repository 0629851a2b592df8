import numpy as np
import pytest

from servicegap.disparity import rates
from servicegap.disparity.categories import count_categories, omnibus_test, shares_of
from servicegap.disparity.cells import aggregate
from servicegap.errors import DataError
from servicegap.records import CATEGORIES

N = 600
RNG = np.random.default_rng(1)
NAME = RNG.integers(0, 12, N)
GROUP = [f"g{name // 4}" for name in NAME]
SIGNAL = [f"n{name}" for name in NAME]
TEMPLATE = RNG.integers(0, 6, N)
CATEGORY = [CATEGORIES[i] if i < 6 else None for i in RNG.integers(0, 7, N)]


def test_any_outcome_follows_from_the_counts() -> None:
    found = count_categories(CATEGORY, GROUP, SIGNAL, TEMPLATE)
    refused = {"refusal", "harmful_refusal"}
    cells = found.outcome(refused)
    outcome = [None if c is None else c in refused for c in CATEGORY]
    expected = aggregate(outcome, GROUP, SIGNAL, TEMPLATE)
    for field in ("mean", "responses", "missing", "events"):
        np.testing.assert_array_equal(getattr(cells, field), getattr(expected, field), err_msg=field)
    assert (cells.signal, cells.template, cells.scale) == (expected.signal, expected.template, "yes/no")


def test_shares_are_rates_that_hold_all_together() -> None:
    found = shares_of(count_categories(CATEGORY, GROUP, SIGNAL, TEMPLATE), level=0.9)
    assert list(found) == ["g0", "g1", "g2"]
    for group in found:
        assert sum(e.value or 0 for e in found[group].values()) == pytest.approx(1)
    outcome = [None if c is None else c == "failure" for c in CATEGORY]
    rate = rates(outcome, GROUP, SIGNAL, TEMPLATE, level=1 - 0.1 / 18)["g1"]
    share = found["g1"]["failure"]
    assert (share.value, share.low, share.high) == pytest.approx((rate.value, rate.low, rate.high))
    assert (share.kind, share.outcome, share.level) == ("share", "failure", 0.9)
    assert "all shares together" in str(share.method)


def test_omnibus_sees_a_group_that_is_served_differently() -> None:
    same = omnibus_test(count_categories(CATEGORY, GROUP, SIGNAL, TEMPLATE), np.random.default_rng(2))
    assert same.p is not None
    assert same.p > 0.05
    worse = [
        "failure" if g == "g1" and i % 2 else c for i, (g, c) in enumerate(zip(GROUP, CATEGORY, strict=True))
    ]
    found = omnibus_test(count_categories(worse, GROUP, SIGNAL, TEMPLATE), np.random.default_rng(2))
    assert found.p is not None
    assert found.p < 0.01
    assert (found.kind, found.value) == ("omnibus", None)


def test_labels_outside_the_codebook_are_refused() -> None:
    with pytest.raises(DataError, match="category 'banana' is not one of answer, partial_answer"):
        count_categories(["banana", *CATEGORY[1:]], GROUP, SIGNAL, TEMPLATE)


def test_one_group_has_no_omnibus_test() -> None:
    found = count_categories(CATEGORY, ["g"] * N, SIGNAL, TEMPLATE)
    assert "fewer than two groups" in str(omnibus_test(found, np.random.default_rng(1)).note)
