import numpy as np
import pytest

from servicegap.disparity.additive import TooLittleError
from servicegap.disparity.cells import Cells
from servicegap.disparity.components import VarianceComponents, design_effect_of_gap, variance_components
from servicegap.disparity.crossed import contrast
from servicegap.power import gap_variance


def cells_of(a: np.ndarray, b: np.ndarray, responses: int = 1) -> Cells:
    """Cells of given means; events = mean x responses."""
    mean = np.vstack([a, b]).astype(float)
    counts = np.where(np.isnan(mean), 0, responses)
    return Cells(
        group=("a",) * len(a) + ("b",) * len(b),
        signal=tuple(map(str, range(len(mean)))),
        template=tuple(map(str, range(mean.shape[1]))),
        attributes={},
        part=None,
        mean=mean,
        responses=counts,
        missing=np.zeros_like(counts),
        events=np.nan_to_num(np.round(mean * responses)).astype(np.int64),
        scale="yes/no",
    )


def test_chance_by_hand() -> None:
    """Cells of 1 of 2 have variance 2 * 0.5 * 0.5 / 1 = 0.5, cells of 0 or 2 of 2 none."""
    a, b = np.array([[0.5, 0], [0, 1]]), np.array([[0.5, 1], [0, 0]])
    assert variance_components(cells_of(a, b, responses=2), "a", "b").repeat == pytest.approx(0.5 * 2 / 8)


def test_one_response_a_cell_leaves_chance_in_the_cells() -> None:
    a, b = np.array([[1, 0], [0, 1]]), np.array([[0, 1], [1, 1]])
    found = variance_components(cells_of(a, b), "a", "b")
    assert found.repeat is None
    assert found.for_planning("here").repeat == 0


@pytest.mark.parametrize("holes", [0.0, 0.25])
def test_known_components_come_back(holes: float) -> None:
    """Large designs of numbers: name 4, template 9, group x template 1, cells 2."""
    rng = np.random.default_rng(3)
    common = rng.normal(0, 3, 200)
    a, b = (
        rng.normal(0, 2, (80, 1)) + common + rng.normal(0, 1, 200) + rng.normal(0, 2**0.5, (80, 200))
        for _ in "ab"
    )
    a[rng.random(a.shape) < holes] = np.nan
    found = variance_components(cells_of(a, b), "a", "b")
    assert found.name == pytest.approx(4, rel=0.3)
    assert found.template == pytest.approx(9, rel=0.3)
    assert found.group_by_template == pytest.approx(1, rel=0.3)
    assert found.name_by_template == pytest.approx(2, rel=0.05)


def test_the_planned_variance_is_that_of_the_study_itself() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(0, 4, (8, 12)) / 3, rng.integers(0, 4, (8, 12)) / 3
    a[0] = b[1] = 1
    cells = cells_of(a, b, responses=3)
    found = contrast([[a], [b]], [[1], [-1]])
    components = variance_components(cells, "a", "b").for_planning("here")
    unclipped = found.from_names + found.from_templates - found.from_cells
    if components.gap_by_template > 0 and components.name_by_template > 0:
        assert gap_variance(components, 8, 12, 3).variance == pytest.approx(unclipped)
    else:
        assert gap_variance(components, 8, 12, 3).variance >= unclipped


def test_shares() -> None:
    shares = VarianceComponents(1, 2, 3, 4, None).shares()
    assert shares["group x template"] == pytest.approx(0.3)
    assert sum(shares.values()) == pytest.approx(1)
    assert VarianceComponents(0, 0, 0, 0, 0).shares() == {}


def test_design_effect_by_hand() -> None:
    a, b = np.array([[1, 0], [1, 1]]), np.array([[0, 0], [1, 0]])
    found = design_effect_of_gap(cells_of(a, b), "a", "b")
    assert found is not None
    chance = 2 * 0.75 * 0.25 / 4
    assert found.factor == pytest.approx(0.125 / chance)  # V is worked out in test_crossed.py
    assert found.worth == pytest.approx(8 * chance / 0.125)
    assert "these 8 responses are worth about 6 independent ones" in found.sentence()


def test_nothing_varies_or_too_little_is_left() -> None:
    assert design_effect_of_gap(cells_of(np.zeros((2, 2)), np.zeros((2, 2))), "a", "b") is None
    with pytest.raises(TooLittleError, match="1 name and 2 templates"):
        variance_components(cells_of(np.zeros((1, 2)), np.zeros((2, 2))), "a", "b")
