import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from servicegap.disparity.additive import TooLittleError, fit
from servicegap.disparity.cells import Floats
from servicegap.disparity.crossed import Crossed, comparable, contrast

GAP = [[1], [-1]]


def test_gap_worked_by_hand() -> None:
    """2 x 2 cells a group: every term is a fraction."""
    found = contrast([[np.array([[1.0, 0], [1, 1]])], [np.array([[0.0, 0], [1, 0]])]], GAP)
    assert found.value == 0.5
    assert found.from_names == 0.125  # 0.125/2 in each group
    assert found.from_templates == 0  # the gap is 0.5 in both templates
    assert found.from_cells == 0.125  # residuals are +-0.25: 0.25/(2*2) in each group
    assert found.variance == 0.125  # 0.125 + 0 - 0.125 = 0 is below V_n
    assert found.df == 1  # 0.125^2 / (2 * 0.0625^2 + 2 * 0.0625^2)
    assert_allclose(found.p, 1 - 2 * np.arctan(np.sqrt(2)) / np.pi)  # t = sqrt(2) on one degree of freedom
    assert_allclose(found.half_width(0.5), np.sqrt(0.125))  # the upper quartile of that t is 1


def complete_by_definition(a: Floats, b: Floats) -> tuple[float, float, float]:
    """Value, V and df of a complete design, written out from the definitions with loops."""
    templates = a.shape[1]
    v_n, v_i, spread = 0.0, 0.0, 0.0
    for y in (a, b):
        k = len(y)
        share = sum((y[i].mean() - y.mean()) ** 2 for i in range(k)) / (k - 1) / k
        residuals = sum(
            (y[i, j] - y[i].mean() - y[:, j].mean() + y.mean()) ** 2
            for i in range(k)
            for j in range(templates)
        )
        within = residuals / ((k - 1) * (templates - 1)) / (k * templates)
        v_n, v_i = v_n + share, v_i + within
        spread += share**2 / (k - 1) + within**2 / ((k - 1) * (templates - 1))
    differences = [a[:, j].mean() - b[:, j].mean() for j in range(templates)]
    v_t = np.var(differences, ddof=1) / templates
    variance = max(v_n + v_t - v_i, v_n, v_t)
    df = variance**2 / (spread + v_t**2 / (templates - 1))
    return a.mean() - b.mean(), float(variance), max(float(df), min(len(a), len(b), templates) - 1)


@pytest.mark.parametrize(("n_a", "n_b", "templates"), [(2, 2, 2), (8, 8, 24), (4, 16, 5), (24, 6, 48)])
def test_complete_designs_follow_the_definition(n_a: int, n_b: int, templates: int) -> None:
    rng = np.random.default_rng(n_a + templates)
    a, b = rng.random((n_a, templates)), rng.random((n_b, templates)) + rng.random(templates)
    found = contrast([[a], [b]], GAP)
    assert_allclose((found.value, found.variance, found.df), complete_by_definition(a, b))


def test_a_group_of_few_names_against_many_has_fewer_degrees_of_freedom() -> None:
    rng = np.random.default_rng(9)
    few, many = rng.random((4, 24)), rng.random((17, 24))
    _, _, satterthwaite = complete_by_definition(few, many)
    assert contrast([[few], [many]], GAP).df == pytest.approx((satterthwaite * 3) ** 0.5)
    assert contrast([[few], [many[:16]]], GAP).df == pytest.approx(complete_by_definition(few, many[:16])[2])


def test_an_incomplete_design_compares_on_equal_templates() -> None:
    """Additive data: whatever is missing, the gap is that of the complete design."""
    rng = np.random.default_rng(5)
    a = rng.random((6, 1)) + rng.random(10)
    b = rng.random((5, 1)) + rng.random(10)
    whole = contrast([[a], [b]], GAP)
    a_holed = a.copy()
    a_holed[:4, 5:] = np.nan
    assert_allclose(contrast([[a_holed], [b]], GAP).value, whole.value)
    assert abs(np.nanmean(a_holed) - np.nanmean(b) - whole.value) > 0.01  # raw cell means are not


def test_less_seen_names_count_for_less_in_the_degrees_of_freedom() -> None:
    """A rate's V and df from the eigenvalues of each factor's covariance, (sum e)^2 / sum e^2."""
    rng = np.random.default_rng(6)
    table = rng.normal(size=(6, 12))
    table[0, 2:] = np.nan
    table[1, :9] = np.nan
    found, fitted = contrast([[table]], [[1]]), fit(table)
    assert found.n_empty == 19
    terms, share = [], 0.0
    for effects, cov in ((fitted.names, fitted.name_cov), (fitted.templates, fitted.template_cov)):
        n = len(effects)
        from_cells = fitted.cell_variance * np.linalg.eigvalsh(cov.dense())[1:]
        eigenvalues = max(effects.var(ddof=1) - from_cells.mean(), 0) + from_cells
        terms.append((effects.var(ddof=1) / n, eigenvalues.sum() ** 2 / (eigenvalues**2).sum()))
        share += from_cells.sum() / (n * (n - 1))
    within = share - fitted.cell_variance * fitted.mean_var
    (v_n, names_df), (v_t, templates_df) = terms
    assert names_df < 5
    assert templates_df < 11
    variance = max(v_n + v_t - within, v_n, v_t)
    spread = v_n**2 / names_df + v_t**2 / templates_df + within**2 / fitted.cell_df
    assert_allclose(found.variance, variance)
    assert_allclose(found.df, max(variance**2 / spread, min(names_df, templates_df)))


def test_rate_and_contrast_are_the_same_machine() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(5, 8)), rng.normal(size=(6, 8))
    rate = contrast([[a]], [[1]])
    assert_allclose(rate.value, a.mean())
    assert_allclose(rate.from_names, a.mean(axis=1).var(ddof=1) / 5)
    assert_allclose(rate.from_templates, a.mean(axis=0).var(ddof=1) / 8)
    parts = contrast([[a[:, :3], a[:, 3:]], [b[:, :3], b[:, 3:]]], [[1, -1], [-1, 1]])
    own, other = contrast([[a[:, :3]], [b[:, :3]]], GAP), contrast([[a[:, 3:]], [b[:, 3:]]], GAP)
    assert_allclose(parts.value, own.value - other.value)
    assert_allclose(parts.from_templates, own.from_templates + other.from_templates)
    assert_allclose(parts.from_cells, own.from_cells + other.from_cells)
    scores = [y[:, :3].mean(axis=1) - y[:, 3:].mean(axis=1) for y in (a, b)]
    assert_allclose(parts.from_names, sum(d.var(ddof=1) / len(d) for d in scores))


def test_heavy_tails_lower_the_degrees_of_freedom() -> None:
    """One template of 20 carries the rate: excess kurtosis 15.05, 1/df = 1/19 + 15.05/40 for templates."""
    table = np.zeros((4, 20))
    table[:, 3] = [1.0, 0.9, 1.0, 0.95]
    plain, lowered = contrast([[table]], [[1]]), contrast([[table]], [[1]], heavy_tails=True)
    assert (lowered.value, lowered.variance) == (plain.value, plain.variance)
    z = table.mean(axis=0) - table.mean()
    excess = np.mean(z**4) / np.mean(z**2) ** 2 - 3
    assert excess == pytest.approx(15.05, abs=0.01)
    assert plain.df == pytest.approx(19, rel=0.02)
    assert lowered.df == pytest.approx(1 / (1 / 19 + excess / 40), rel=0.02)


def test_what_names_do_in_both_parts_cancels() -> None:
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(5, 8)), rng.normal(size=(6, 8))
    shifted = a + 10 * rng.normal(size=(5, 1))
    signs = [[1, -1], [-1, 1]]
    plain = contrast([[a[:, :4], a[:, 4:]], [b[:, :4], b[:, 4:]]], signs)
    moved = contrast([[shifted[:, :4], shifted[:, 4:]], [b[:, :4], b[:, 4:]]], signs)
    assert_allclose((moved.value, moved.variance, moved.df), (plain.value, plain.variance, plain.df))


def test_comparable_drops_templates_and_names_until_all_are_seen() -> None:
    nan = np.nan
    a = np.array([[1, 1, nan], [nan, nan, 1], [1, nan, nan]])
    b = np.array([[1, 1, nan], [1, 1, nan]])
    kept = comparable([[a], [b]])
    assert [rows.tolist() for rows in kept.rows] == [[0, 2], [0, 1]]  # name 1 is seen in template 2 only
    assert kept.columns[0].tolist() == [0, 1]
    with pytest.raises(TooLittleError, match="no template has labelled responses"):
        comparable([[np.array([[1, nan]])], [np.array([[nan, 1]])]])


def holed(rng: np.random.Generator, n_names: int, n_templates: int, share: float) -> Floats:
    table: Floats = rng.normal(size=(n_names, n_templates))
    table[rng.random(table.shape) < share] = np.nan
    return table


tables = st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(2, 7), st.integers(0, 2**32 - 1))


def drawn(shape: tuple[int, int, int, int]) -> tuple[Floats, Floats, np.random.Generator]:
    n_a, n_b, templates, seed = shape
    rng = np.random.default_rng(seed)
    a, b = holed(rng, n_a, templates, 0.15), holed(rng, n_b, templates, 0.15)
    kept = comparable([[a], [b]])
    return a[np.ix_(kept.rows[0], kept.columns[0])], b[np.ix_(kept.rows[1], kept.columns[0])], rng


def same(one: Crossed, other: Crossed, sign: int = 1) -> None:
    assert_allclose(one.value, sign * other.value, atol=1e-9)
    assert_allclose((one.variance, one.df), (other.variance, other.df), rtol=1e-6)


@given(tables)
def test_order_swap_and_common_shifts_change_nothing(shape: tuple[int, int, int, int]) -> None:
    try:
        a, b, rng = drawn(shape)
        found = contrast([[a], [b]], GAP)
    except TooLittleError:
        return
    assert found.variance >= max(found.from_names, found.from_templates) > 0
    assert found.df >= 0.99
    columns, rows = rng.permutation(a.shape[1]), rng.permutation(len(a))
    same(contrast([[a[np.ix_(rows, columns)]], [b[:, columns]]], GAP), found)
    same(contrast([[b], [a]], GAP), found, sign=-1)
    common = rng.normal(size=a.shape[1])
    same(contrast([[a + common], [b + common]], GAP), found)
    doubled = contrast([[2 * a], [2 * b]], GAP)
    assert_allclose((doubled.value, doubled.variance), (2 * found.value, 4 * found.variance), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_variance_is_unbiased_and_the_interval_covers(holes: float) -> None:
    """V_n + V_t - V_i has the variance of the gap as its mean, in complete and incomplete designs alike."""
    rng = np.random.default_rng(11)
    values, estimates, covered = [], [], 0
    for _ in range(3000):
        common = rng.normal(size=12)
        a, b = (
            rng.normal(size=(6, 1)) + common + 0.7 * rng.normal(size=12) + rng.normal(size=(6, 12))
            for _ in "ab"
        )
        a[rng.random(a.shape) < holes] = np.nan
        kept = comparable([[a], [b]])
        rows, columns = kept.rows, kept.columns[0]
        found = contrast([[a[np.ix_(rows[0], columns)]], [b[np.ix_(rows[1], columns)]]], GAP)
        values.append(found.value)
        estimates.append(found.from_names + found.from_templates - found.from_cells)
        covered += abs(found.value) <= found.half_width(0.95)
    assert_allclose(np.mean(estimates), np.var(values), rtol=0.06)
    assert 0.935 <= covered / 3000 <= 0.985
