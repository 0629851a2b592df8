"""The crossed Welch estimator: contrasts of groups over names x templates, valid for new names and templates.

Names and templates are samples, so a difference between groups is uncertain for three reasons: which names
were drawn, which templates were drawn (groups react to templates differently), and chance within each cell
of name and template. For complete designs the formulas are, with K_g names, T templates and the gap
D = mean(Y_A) - mean(Y_B):

* V_n = sum over groups of s2_g / K_g, with s2_g the variance of the group's name means;
* V_t = variance over templates of the difference of group means, over T;
* V_i = sum over groups of (mean square of what name and template leave) / (K_g T);
* V = max(V_n + V_t - V_i, V_n, V_t), because V_n and V_t both contain the cells' share once;
* Satterthwaite's degrees of freedom, at least min(K_A, K_B, T) - 1.

Incomplete designs: in each group names and templates are fitted by least squares on the cells that are there,
so each name still counts the same and each template counts the same in both groups. The fit is linear, hence
the cells' share in V_n, V_t and in D itself is known exactly (`FIT.name_cov`, `template_cov`, `mean_var`),
and replaces the 1/(K T) of the complete design. Degrees of freedom come from the same matrices: names and
templates that were seen less count for less.

The same code gives a rate (one group), a gap (two) and a difference of gaps (two groups, two parts).

Not here: what a cell is (cells.py), proportions without events (rare.py).

References
----------
Satterthwaite (1946), Biometrics Bulletin 2, 110-114. Welch (1947), Biometrika 34, 28-35. The subtraction of
the cells' share is that of two-way clustering, Cameron, Gelbach and Miller (2011), JBES 29, 238-249;
departures: V is never below V_n or V_t, t instead of normal quantiles, and the floor under the degrees of
freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from servicegap.cells import Floats

#: Smaller eigenvalues of a design (counts of cells) are zero: it falls apart into pieces.
_ZERO = 1e-9


class TooLittleError(ValueError):
    """A statistic is undefined; the message is the reason, in words for the note of an estimate."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Names + templates, fitted to one table of cell means by least squares.

    Attributes
    ----------
    names : (n_names,) float
        Each name's mean on equal templates.
    templates : (n_templates,) float
        Each template's mean on equal names.
    mean : float
        The mean over names and templates, each counting the same.
    cell_variance, cell_df : float, int
        Mean square of the residuals (name x template and chance), and its degrees of freedom.
    name_cov, template_cov : square arrays
        Covariance of `names` and of `templates` about their mean, per unit of cell variance.
    mean_var : float
        Variance of `mean` that comes from the cells, per unit of cell variance.
    """

    names: Floats
    templates: Floats
    mean: float
    cell_variance: float
    cell_df: int
    name_cov: Floats
    template_cov: Floats
    mean_var: float


@dataclass(frozen=True, slots=True)
class Crossed:
    """A contrast with its crossed uncertainty.

    Attributes
    ----------
    value, variance, df : float
        The contrast, V, and the degrees of freedom.
    from_names, from_templates, from_cells : float
        V_n, V_t and V_i; V_n and V_t each contain V_i.
    n_names, n_templates, n_empty : int
        Names and templates used, and the cells among them that held nothing.
    """

    value: float
    variance: float
    df: float
    from_names: float
    from_templates: float
    from_cells: float
    n_names: int
    n_templates: int
    n_empty: int

    @property
    def se(self) -> float:
        """The standard error."""
        return float(np.sqrt(self.variance))

    @property
    def p(self) -> float:
        """Two-sided p of "the contrast is zero"."""
        return float(2 * stdtr(self.df, -abs(self.value) / self.se))

    def half_width(self, level: float) -> float:
        """Return half the width of the interval at confidence `level`."""
        return float(stdtrit(self.df, (1 + level) / 2) * self.se)


def fit(table: Floats) -> Fit:
    """Fit names + templates to a table of cell means.

    Parameters
    ----------
    table : (n_names, n_templates) float
        NaN = empty cell; every row and every column holds at least one cell.

    Raises
    ------
    TooLittleError
        Fewer than two names or templates, a design that falls apart into pieces which share neither names nor
        templates, or no cell to spare for chance.
    """
    n_names, n_templates = table.shape
    seen = ~np.isnan(table)
    spare = int(seen.sum()) - n_names - n_templates + 1
    if min(n_names, n_templates) < 2:
        raise TooLittleError(
            f"{n_names} name{'s'[: n_names != 1]} and {n_templates} template{'s'[: n_templates != 1]} "
            "in a group: at least 2 of each are needed"
        )
    if seen.all():
        names, templates = table.mean(axis=1), table.mean(axis=0)
        mean = float(names.mean())
        name_cov = _centring(n_names) / n_templates
        template_cov = _centring(n_templates) / n_names
        mean_var = 1 / (n_names * n_templates)
    else:
        names, templates, mean, name_cov, template_cov, mean_var = _fit_incomplete(table, seen)
    if spare < 1:
        raise TooLittleError("too many cells are empty to tell names and templates from chance")
    residual = table - names[:, None] - templates[None, :] + mean
    cell_variance = float(np.nansum(residual**2)) / spare
    return Fit(names, templates, mean, cell_variance, spare, name_cov, template_cov, mean_var)


def _centring(size: int) -> Floats:
    return np.eye(size) - 1 / size


def _fit_incomplete(
    table: Floats, seen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> tuple[Floats, Floats, float, Floats, Floats, float]:
    """Least squares with empty cells, by eliminating one factor and solving for the other.

    The mean over names and templates is sum(L * Y) with L = u_name + v_template on the cells that are there,
    rows of L summing to 1/n_names and columns to 1/n_templates; hence its variance is sum(L**2) = mean(u) +
    mean(v).
    """
    n_names, n_templates = table.shape
    design = seen.astype(float)
    per_name, per_template = design.sum(axis=1), design.sum(axis=0)
    filled = np.where(seen, table, 0.0)
    template_cov = _contrast_inverse(np.diag(per_template) - design.T @ (design / per_name[:, None]))
    name_cov = _contrast_inverse(np.diag(per_name) - (design / per_template) @ design.T)
    row_means = filled.sum(axis=1) / per_name
    effects = template_cov @ (filled.sum(axis=0) - design.T @ row_means)
    names = row_means - design @ effects / per_name
    mean = float(names.mean())
    v = template_cov @ (1 / n_templates - design.T @ (1 / (n_names * per_name)))
    u = (1 / n_names - design @ v) / per_name
    return names, mean + effects, mean, name_cov, template_cov, float(u.mean() + v.mean())


def _contrast_inverse(matrix: Floats) -> Floats:
    """Invert a matrix on the contrasts (vectors that sum to zero), of which it must lose none."""
    values, vectors = np.linalg.eigh(matrix)
    if values[1] <= _ZERO * max(values[-1], 1.0):
        raise TooLittleError(
            "the cells that are left fall apart into pieces that share neither names nor templates"
        )
    kept = vectors[:, 1:]
    inverse: Floats = (kept / values[1:]) @ kept.T
    return inverse


def contrast(tables: Sequence[Sequence[Floats]], signs: Sequence[Sequence[int]]) -> Crossed:
    """Estimate a signed sum of group means over names and templates, with its crossed variance.

    Parameters
    ----------
    tables : [group][part] of (n_names of the group, n_templates of the part) float
        Cell means, NaN = empty. Names of a group are the same in all parts, templates of a part in all
        groups.
    signs : [group][part] of +1 or -1
        The sign of each table: ``[[1], [-1]]`` is a gap, ``[[1]]`` a rate, ``[[1, -1], [-1, 1]]`` a gap on
        the first part minus the gap on the second.

    Raises
    ------
    TooLittleError
        The contrast or its variance is undefined; the message says why.
    """
    fits = [[fit(table) for table in row] for row in tables]
    n_names = [row[0].shape[0] for row in tables]
    n_templates = [table.shape[1] for table in tables[0]]
    value = sum(s * f.mean for fs, ss in zip(fits, signs, strict=True) for f, s in zip(fs, ss, strict=True))
    cells = [[f.cell_variance for f in fs] for fs in fits]

    names = [
        _spread([s * f.names for f, s in zip(fs, ss, strict=True)], [f.name_cov for f in fs], own)
        for fs, ss, own in zip(fits, signs, cells, strict=True)
    ]
    templates = [
        _spread(
            [ss[part] * fs[part].templates for fs, ss in zip(fits, signs, strict=True)],
            [fs[part].template_cov for fs in fits],
            [own[part] for own in cells],
        )
        for part in range(len(n_templates))
    ]
    within = [(_cell_share(f) * f.cell_variance, f.cell_df) for fs in fits for f in fs]
    v_n, v_t = sum(v for v, _ in names), sum(v for v, _ in templates)
    v_i = sum(v for v, _ in within)
    variance = max(v_n + v_t - v_i, v_n, v_t)
    scale = sum(v**2 / df for v, df in (*names, *templates, *within))
    floor = min(df for _, df in (*names, *templates))
    return Crossed(
        value=float(value),
        variance=variance,
        df=max(variance**2 / scale, floor) if scale > 0 else floor,
        from_names=v_n,
        from_templates=v_t,
        from_cells=v_i,
        n_names=sum(n_names),
        n_templates=sum(n_templates),
        n_empty=sum(int(np.isnan(table).sum()) for row in tables for table in row),
    )


def _cell_share(f: Fit) -> float:
    """How often V_n + V_t counts the cell variance too much; 1/(K T) in a complete design."""
    n_names, n_templates = len(f.names), len(f.templates)
    in_names = np.trace(f.name_cov) / (n_names * (n_names - 1))
    in_templates = np.trace(f.template_cov) / (n_templates * (n_templates - 1))
    return float(in_names + in_templates - f.mean_var)


def _spread(parts: list[Floats], covs: list[Floats], cell_variances: list[float]) -> tuple[float, float]:
    """Return the variance of the mean of a sum of effects, and its degrees of freedom.

    The effects (of names, or of templates) vary by themselves, equally, and by the cells they were estimated
    from, as `covs` says; df = (tr S)^2 / tr(S^2) for their covariance S about the mean, n - 1 when all were
    seen equally.
    """
    effects = np.sum(parts, axis=0)
    n = len(effects)
    observed = float(effects.var(ddof=1))
    from_cells: Floats = np.sum([c * v for c, v in zip(covs, cell_variances, strict=True)], axis=0)
    own = max(observed - float(np.trace(from_cells)) / (n - 1), 0.0)
    total = own * _centring(n) + from_cells
    size = float(np.sum(total**2))
    df = float(np.trace(total)) ** 2 / size if size > 0 else n - 1.0
    return observed / n, df


@dataclass(frozen=True, slots=True)
class Comparable:
    """What of some tables can be compared: row numbers of each group, column numbers of each part."""

    rows: list[NDArray[np.intp]]
    columns: list[NDArray[np.intp]]


def comparable(tables: Sequence[Sequence[Floats]]) -> Comparable:
    """Find what can be compared: templates seen in every group, names seen in every part.

    Parameters
    ----------
    tables : [group][part] of (n_names, n_templates) float
        As in :func:`contrast`.

    Raises
    ------
    TooLittleError
        Nothing is left of a group or a part.
    """
    seen = [[~np.isnan(table) for table in row] for row in tables]
    rows = [np.ones(row[0].shape[0], dtype=bool) for row in seen]
    columns = [np.ones(table.shape[1], dtype=bool) for table in seen[0]]
    before = -1
    while before != (before := sum(int(kept.sum()) for kept in (*rows, *columns))):
        rows = [
            own & np.all([s[:, c].any(axis=1) for s, c in zip(row, columns, strict=True)], axis=0)
            for own, row in zip(rows, seen, strict=True)
        ]
        columns = [
            own & np.all([row[part][r].any(axis=0) for row, r in zip(seen, rows, strict=True)], axis=0)
            for part, own in enumerate(columns)
        ]
    if not all(kept.any() for kept in (*rows, *columns)):
        raise TooLittleError("no template has labelled responses of every group that is compared")
    return Comparable([np.flatnonzero(r) for r in rows], [np.flatnonzero(c) for c in columns])
