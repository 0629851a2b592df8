import numpy as np
import pytest

from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.subgroups import between_levels, interaction, placebo
from servicegap.errors import DataError


def table(y: np.ndarray) -> Cells:
    """(groups, names, templates); the first half of each group's names are women's."""
    g, k, t = (index.ravel() for index in np.indices(y.shape))
    gender = ["woman" if j < y.shape[1] // 2 else "man" for j in k]
    names = [f"{i}.{j}" for i, j in zip(g, k, strict=True)]
    return aggregate(y.ravel(), [f"g{i}" for i in g], names, t, strata={"gender": gender})


RNG = np.random.default_rng(7)
Y = RNG.normal(size=(3, 8, 6))


def test_levels_are_compared_within_each_group() -> None:
    found = between_levels(table(Y), "gender", reference="man")
    assert list(found) == ["g0", "g1", "g2"]
    estimate = found["g1"]["woman"]
    assert estimate.value == pytest.approx(Y[1, :4].mean() - Y[1, 4:].mean())
    assert (estimate.kind, estimate.group, estimate.reference) == (
        "level_gap",
        "g1, gender=woman",
        "g1, gender=man",
    )
    assert between_levels(table(Y), "gender", reference="unknown") == {}


def test_interaction_is_the_gap_of_gaps_over_shared_templates() -> None:
    found = interaction(table(Y), "g1", "g0", "gender", ("woman", "man"))
    cells = table(Y)
    halves = []
    for side in ("woman", "man"):
        rows = np.flatnonzero([known == side for known in cells.attributes["gender"]])
        halves.append(gaps_of(cells.take(rows=rows), reference="g0")["g1"].value or 0)
    assert found.value == pytest.approx(halves[0] - halves[1])
    assert found.target == "gender: woman - man"
    common = RNG.normal(size=6) * 50
    moved = interaction(table(Y + common), "g1", "g0", "gender", ("woman", "man"))
    assert (moved.value, moved.se, moved.df) == pytest.approx((found.value, found.se, found.df))


def test_undefined_interactions_say_why() -> None:
    few = interaction(table(Y[:, :3]), "g1", "g0", "gender", ("woman", "man"))
    assert "1 name and 6 templates" in str(few.note)
    flat = Y.copy()
    flat[1, :4] = 2.0
    steady = interaction(table(flat), "g1", "g0", "gender", ("woman", "man"))
    assert (steady.low, steady.p) == (None, None)
    assert "all 24 outcomes of g1, woman are the same" in str(steady.note)
    none = interaction(table(Y), "g1", "g0", "gender", ("woman", "other"))
    assert "no response of g1, other has a label" in str(none.note)


def test_an_unknown_attribute_is_told() -> None:
    with pytest.raises(DataError, match="attribute 'age' is not known of the names; known: 'gender'"):
        between_levels(table(Y), "age", reference="young")


def test_placebo_splits_are_rarely_called() -> None:
    y = RNG.normal(size=(1, 16, 12)) + RNG.normal(size=(1, 16, 1))
    found = placebo(table(y), "g0", np.random.default_rng(1))
    assert found.value is not None
    assert found.value <= 0.09
    assert "of 200 random splits" in str(found.note)


def test_placebo_needs_names_that_differ() -> None:
    assert "3 names give too few" in str(placebo(table(Y[:, :3]), "g0", RNG).note)
    assert "no split could be tested" in str(placebo(table(np.ones((1, 6, 4))), "g0", RNG).note)
