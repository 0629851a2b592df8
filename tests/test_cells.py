import numpy as np
import polars as pl
import pytest

from servicegap.disparity.cells import aggregate
from servicegap.errors import DataError

GROUP = ["a", "a", "a", "b", "b"]
SIGNAL = ["Ann", "Ann", "Bea", "Cid", "Cid"]
TEMPLATE = ["t1", "t1", "t2", "t1", "t2"]


def test_cells_by_hand() -> None:
    cells = aggregate([1, 0, 1, None, 0], GROUP, SIGNAL, TEMPLATE)
    assert cells.group == ("a", "a", "b")
    assert cells.signal == ("Ann", "Bea", "Cid")
    assert cells.template == ("t1", "t2")
    np.testing.assert_array_equal(cells.mean, [[0.5, np.nan], [np.nan, 1.0], [np.nan, 0.0]])
    np.testing.assert_array_equal(cells.responses, [[2, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(cells.missing, [[0, 0], [0, 0], [1, 0]])
    np.testing.assert_array_equal(cells.events, [[1, 0], [0, 1], [0, 0]])
    assert cells.scale == "yes/no"
    assert cells.groups == ("a", "b")


def test_weights_count_in_the_mean_of_a_cell_and_weightless_cells_are_empty() -> None:
    cells = aggregate([1, 0, 1, 1, 0], GROUP, SIGNAL, TEMPLATE, weight=[3, 1, 0, 1, 1])
    np.testing.assert_array_equal(cells.mean, [[0.75, np.nan], [np.nan, np.nan], [1.0, 0.0]])


@pytest.mark.parametrize(
    "outcome",
    [
        [True, False, True, None, False],
        [1.0, 0.0, 1.0, float("nan"), 0.0],
        [True, 0, 1.0, None, False],
        np.array([1, 0, 1, np.nan, 0]),
        np.array([True, False, True, None, False], dtype=object),
        pl.Series([True, False, True, None, False]),
        (value for value in [1, 0, 1, None, 0]),
    ],
    ids=["bool", "nan", "mixed", "array", "object array", "polars", "generator"],
)
def test_every_kind_of_column_gives_the_same_cells(outcome: object) -> None:
    expected = aggregate([1, 0, 1, None, 0], GROUP, SIGNAL, TEMPLATE)
    cells = aggregate(outcome, np.array(GROUP), pl.Series(SIGNAL), tuple(TEMPLATE))  # type: ignore[arg-type]
    np.testing.assert_array_equal(cells.mean, expected.mean)
    np.testing.assert_array_equal(cells.missing, expected.missing)
    assert (cells.group, cells.signal, cells.template) == (expected.group, expected.signal, expected.template)


def test_pandas_series_with_its_own_missing_marks() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed; servicegap does not need it")
    outcome = pandas.Series([True, False, True, None, False], dtype="boolean", index=[9, 8, 7, 6, 5])
    cells = aggregate(outcome, pandas.Series(GROUP), pandas.Categorical(SIGNAL), pandas.Series(TEMPLATE))
    np.testing.assert_array_equal(cells.mean, [[0.5, np.nan], [np.nan, 1.0], [np.nan, 0.0]])


@pytest.mark.parametrize(
    ("outcome", "scale"),
    [([0, 1, 1, 0, None], "yes/no"), ([0, 0.2, 1, 0, 1], "proportion"), ([0, 2, 1, 0, 1], "number")],
)
def test_scale(outcome: list[float], scale: str) -> None:
    assert aggregate(outcome, GROUP, SIGNAL, TEMPLATE).scale == scale


def test_attributes_and_parts() -> None:
    cells = aggregate(
        [1] * 5,
        GROUP,
        SIGNAL,
        TEMPLATE,
        strata={"gender": ["f", "f", "f", None, None], "age": [1, 1, 2, 1, 1]},
        part=["own", "own", "neutral", "own", "neutral"],
    )
    assert cells.attributes == {"gender": ("f", "f", None), "age": ("1", "2", "1")}
    assert cells.part == ("own", "neutral")
    assert cells.columns("neutral").tolist() == [1]
    assert cells.rows("a").tolist() == [0, 1]


def message(**changes: object) -> str:
    arguments: dict[str, object] = {
        "outcome": [1, 0, 1, 0, 0],
        "group": GROUP,
        "signal": SIGNAL,
        "template": TEMPLATE,
    } | changes
    with pytest.raises(DataError) as error:
        aggregate(**arguments)  # type: ignore[arg-type]
    return str(error.value)


def test_all_mistakes_are_told_together() -> None:
    told = message(
        outcome=[1, float("inf"), 0, 0, 0], group=["a", None, "a", "b", "b"], weight=[1, -1, 1, 1, 1]
    )
    assert "outcome[1] is inf" in told
    assert "group[1] is missing (1 of 5 are)" in told
    assert "weight[1] is -1" in told


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"outcome": ["yes"] * 5}, "outcome holds 'yes'"),
        ({"outcome": [1, 0]}, "different lengths (outcome 2, group 5, signal 5, template 5)"),
        ({"outcome": np.ones((5, 1))}, "outcome has 2 dimensions (5, 1)"),
        ({"outcome": "10100"}, "outcome is '10100'"),
        ({"outcome": [], "group": [], "signal": [], "template": []}, "there are no responses"),
        ({"signal": ["Ann", "Ann", "Cid", "Cid", "Cid"]}, "signal 'Cid' is in 'a', 'b' of group"),
        ({"strata": ["f", "m", "f", "m", "m"]}, "signal 'Ann' is in 'f', 'm' of stratum"),
        ({"part": ["x", "y", "z", "x", "z"]}, "template 't1' is in 'x', 'y' of part"),
        ({"weight": [1, None, 1, 1, 1]}, "weight[1] is missing"),
        ({"template": [1.0, float("nan"), 2.0, 1.0, 2.0]}, "template[1] is missing"),
    ],
)
def test_each_mistake_names_the_value_and_the_place(changes: dict[str, object], expected: str) -> None:
    assert expected in message(**changes)


def test_columns_that_are_no_names_and_templates_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicegap.disparity.cells.MOST_CELLS", 5)
    assert "3 names and template 2 templates" in message()
