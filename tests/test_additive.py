import numpy as np
import pytest
from numpy.testing import assert_allclose

from servicegap.disparity.additive import TooLittleError, fit
from servicegap.disparity.cells import Floats


def test_complete_tables_are_plain_means() -> None:
    table = np.array([[1.0, 2, 6], [3, 4, 2]])
    found = fit(table)
    assert found.names.tolist() == [3, 3]
    assert found.templates.tolist() == [2, 3, 4]
    assert (found.mean, found.cell_df) == (3, 2)
    assert found.cell_variance == 6  # residuals -1, 0... of (1, 2, 6): -1 -1 2, and 1 1 -2: 12 over 2
    assert found.mean_var == pytest.approx(1 / 6)
    assert_allclose(found.name_cov.dense(), [[1 / 6, -1 / 6], [-1 / 6, 1 / 6]])
    assert_allclose(found.template_cov.diagonal, np.diag(found.template_cov.dense()))
    assert found.template_cov.trace == pytest.approx(1)


def test_incomplete_fit_equals_dense_least_squares() -> None:
    rng = np.random.default_rng(3)
    table: Floats = rng.normal(size=(7, 9))
    table[rng.random(table.shape) < 0.4] = np.nan
    seen = ~np.isnan(table)
    name, template = np.nonzero(seen)
    design = np.hstack([np.eye(7)[name], np.eye(9)[template][:, 1:]])
    solution, *_ = np.linalg.lstsq(design, table[seen], rcond=None)
    fitted = solution[:7, None] + np.concatenate([[0.0], solution[7:]])[None, :]
    unscaled = np.linalg.inv(design.T @ design)
    to_names = np.hstack([np.eye(7), np.full((7, 8), 1 / 9)])
    to_templates = np.hstack([np.full((9, 7), 1 / 7), np.eye(9)[:, 1:]])
    centred = to_templates - to_templates.mean(axis=0)
    found = fit(table)
    assert_allclose(found.names, fitted.mean(axis=1))
    assert_allclose(found.templates, fitted.mean(axis=0))
    assert_allclose(found.mean, fitted.mean())
    assert found.cell_df == seen.sum() - 15
    assert_allclose(found.cell_variance, np.sum((table - fitted)[seen] ** 2) / found.cell_df)
    whole = to_names.mean(axis=0)
    assert_allclose(found.mean_var, whole @ unscaled @ whole)
    assert_allclose(found.template_cov.dense(), centred @ unscaled @ centred.T, atol=1e-12)
    about = to_names - whole
    assert_allclose(found.name_cov.dense(), about @ unscaled @ about.T, atol=1e-12)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (np.ones((1, 5)), "1 name and 5 templates"),
        (np.ones((5, 1)), "5 names and 1 template "),
        (np.array([[1, 2, np.nan, np.nan], [2, 1, np.nan, np.nan], [np.nan, np.nan, 1, 2]]), "fall apart"),
        (np.array([[1, 2, np.nan], [np.nan, 1, 2]]), "too many cells are empty"),
    ],
    ids=["one name", "one template", "disconnected", "no cell to spare"],
)
def test_too_little_is_refused_with_a_reason(table: Floats, reason: str) -> None:
    with pytest.raises(TooLittleError, match=reason):
        fit(table)
