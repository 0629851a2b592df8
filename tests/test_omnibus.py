from itertools import permutations

import numpy as np
import pytest

from servicegap.disparity.omnibus import permute_profiles, strata_rows
from servicegap.errors import DataError


def test_agrees_with_listing_every_arrangement() -> None:
    generator = np.random.default_rng(1)
    profiles = generator.random((6, 3))
    group = ["a", "a", "b", "b", "c", "c"]

    def spread(labels: list[str]) -> float:
        means = [profiles[[g == name for g in labels]].mean(axis=0) for name in "abc"]
        return float(sum(2 * ((m - profiles.mean(axis=0)) ** 2).sum() for m in means))

    seen = spread(group)
    all_of_them = [spread([group[i] for i in order]) >= seen - 1e-12 for order in permutations(range(6))]
    found = permute_profiles(profiles, group, {}, np.random.default_rng(2))
    assert found == pytest.approx(np.mean(all_of_them), abs=0.02)


def test_strata_keep_their_names() -> None:
    """Groups differ only because one has more of the common names: within commonness nothing is left."""
    commonness = ["c"] * 6 + ["r"] * 2 + ["c"] * 2 + ["r"] * 6
    profiles = np.array([[1.0] if known == "c" else [0.0] for known in commonness])
    group = ["a"] * 8 + ["b"] * 8
    assert permute_profiles(profiles, group, {}, np.random.default_rng(3)) < 0.15
    assert permute_profiles(profiles, group, {"commonness": commonness}, np.random.default_rng(3)) == 1
    assert [rows.tolist() for rows in strata_rows({"x": ["a", "b", "a"], "y": [None, "a", "a"]}, 3)] == [
        [0, 2],
        [1],
    ]


def test_one_group_is_refused() -> None:
    with pytest.raises(DataError, match="one group only"):
        permute_profiles(np.ones((3, 1)), ["a"] * 3, {}, np.random.default_rng(1))
