from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from servicegap.disparity.cells import Floats
from servicegap.disparity.permutation import DRAWS, permute_names, usable_strata

FOUR_AND_FOUR = np.arange(8) < 4


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_four_names_against_four_by_hand() -> None:
    """The largest possible gap: 2 of 70 arrangements."""
    found = permute_names(np.array([5.0, 6, 7, 8, 1, 2, 3, 4]), FOUR_AND_FOUR, {}, rng())
    assert (found.extreme, found.arrangements, found.exact) == (2, 70, True)
    assert found.p == pytest.approx(2 / 70)
    assert found.smallest_p == pytest.approx(2 / 70)
    assert "2 of 70 arrangements" in found.sentence()
    assert "for these templates only" in found.sentence()


def test_strata_lower_the_number_of_arrangements() -> None:
    known = {
        "gender": ["f", "f", "m", "m", "f", "f", "m", "m"],
        "commonness": ["c", "r", "c", "r", "c", "r", "c", "r"],
    }
    found = permute_names(np.array([5.0, 6, 7, 8, 1, 2, 3, 4]), FOUR_AND_FOUR, known, rng())
    assert (found.extreme, found.arrangements) == (2, 16)
    assert found.smallest_p == 0.125
    assert found.strata == ("gender", "commonness")
    assert "within gender x commonness" in found.sentence()


def by_listing(values: Floats, in_group: NDArray[np.bool_], strata: list[str]) -> float:
    """Every order of the names that keeps each in its stratum, brute force."""
    seen = abs(values[in_group].mean() - values[~in_group].mean())
    hits = total = 0
    for order in permutations(range(len(values))):
        if all(strata[i] == strata[j] for i, j in enumerate(order)):
            moved = values[list(order)]
            total += 1
            hits += abs(moved[in_group].mean() - moved[~in_group].mean()) >= seen - 1e-9
    return hits / total


@pytest.mark.parametrize("seed", range(5))
def test_exact_p_equals_listing_every_order(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 4, 7) / 4
    in_group = np.array([True, True, True, False, False, False, False])
    strata = ["x", "x", "y", "x", "x", "y", "y"]
    assert permute_names(values, in_group, {"s": strata}, rng()).p == pytest.approx(
        by_listing(values, in_group, strata)
    )
    assert permute_names(values, in_group, {}, rng()).p == pytest.approx(
        by_listing(values, in_group, ["x"] * 7)
    )


def test_many_names_are_drawn_and_agree_with_the_exact_answer() -> None:
    generator = np.random.default_rng(2)
    values = generator.random(20)
    in_group = np.arange(20) < 9  # C(20, 9) = 167,960 is still listed
    exact = permute_names(values, in_group, {}, rng())
    assert exact.exact
    more = np.arange(24) < 12
    values = np.concatenate([generator.random(12) + 0.25, generator.random(12)])
    drawn = permute_names(values, more, {}, rng())
    assert not drawn.exact
    assert drawn.p == (drawn.extreme + 1) / (DRAWS + 1)
    assert drawn.smallest_p == 1 / (DRAWS + 1)
    assert "drawn at random from 2.7e+06" in drawn.sentence()
    assert drawn.p == permute_names(values, more, {}, rng()).p
    from scipy.stats import permutation_test

    other = permutation_test(
        (values[:12], values[12:]),
        lambda a, b: a.mean() - b.mean(),
        n_resamples=9999,
        rng=np.random.default_rng(5),
    )
    assert drawn.p == pytest.approx(other.pvalue, abs=0.01)


def test_draws_do_not_depend_on_how_names_are_called() -> None:
    generator = np.random.default_rng(3)
    values, in_group = generator.random(30), generator.random(30) < 0.5
    order = generator.permutation(30)
    first = permute_names(values, in_group, {}, rng())
    assert permute_names(values[order], in_group[order], {}, rng()).p == first.p


def test_only_attributes_known_for_and_splitting_both_groups_are_strata() -> None:
    in_group = np.array([True, True, False, False])
    known: dict[str, list[str | None]] = {
        "splits": ["a", "b", "a", "b"],
        "unknown": ["a", "b", "a", None],
        "one side": ["a", "a", "a", "b"],
        "nothing shared": ["a", "b", "c", "d"],
    }
    assert usable_strata(known, in_group) == ("splits",)


def test_no_other_arrangement_gives_p_one() -> None:
    """Every stratum holds names of one group alone, or the same number of both in one way only."""
    found = permute_names(np.array([1.0, 0.0]), np.array([True, False]), {}, rng())
    assert (found.p, found.arrangements, found.smallest_p) == (1.0, 2, 1.0)


def test_a_stratum_without_a_name_of_the_group_keeps_its_names() -> None:
    """Women: 1 of the group and 2 of the reference can be exchanged; rare men are all of the reference."""
    values = np.array([0, 0, 0, 1 / 6, 1 / 6, 1 / 6, 1 / 6])
    in_group = np.arange(7) < 3
    attributes = {"gender": list("wmwwmwm"), "commonness": list("ccrccrr")}
    found = permute_names(values, in_group, attributes, rng())
    assert found.strata == ("gender", "commonness")
    assert (found.arrangements, found.extreme, found.exact) == (8, 1, True)
    assert found.p == pytest.approx(1 / 8)
