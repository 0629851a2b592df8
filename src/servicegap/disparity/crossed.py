"""The crossed Welch estimator: contrasts of groups over names x templates, valid for new names and templates.

Names and templates are samples, so a difference between groups is uncertain for three reasons: which names
were drawn, which templates were drawn (groups react to templates differently), and chance within each cell
of name and template. For complete designs the formulas are, with K_g names, T templates and the gap
D = mean(Y_A) - mean(Y_B):

* V_n = sum over groups of s2_g / K_g, with s2_g the variance of the group's name means;
* V_t = variance over templates of the difference of group means, over T;
* V_i = sum over groups of (mean square of what name and template leave) / (K_g T);
* V = max(V_n + V_t - V_i, V_n, V_t), because V_n and V_t both contain the cells' share once;
* Satterthwaite's degrees of freedom, at least min(K_A, K_B, T) - 1; their geometric mean with that floor
  where one group has more than four times the names of another: the few names then carry the variance, and
  24 against 4 names with skewed name effects would otherwise give 8 % false positives (5 to 6 % so).

Incomplete designs: in each group names and templates are fitted by least squares on the cells that are there,
so each name still counts the same and each template counts the same in both groups. The fit is linear, hence
the cells' share in V_n, V_t and in D itself is known exactly (additive.py), and replaces the 1/(K T) of the
complete design. Degrees of freedom come from the same matrices: names and templates that were seen less
count for less.

The same code gives a rate (one group), a gap (two), a difference of gaps (two groups, two parts), and each
of them with fixed weights of the parts: with weight W_h of part h, D = sum W_h D_h, names add up over parts
and the templates of the parts are independent.

Not here: what a cell is (cells.py), the least squares (additive.py), proportions without events (rare.py).

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

from servicegap.disparity.additive import Covariance, Fit, TooLittleError, centring, fit
from servicegap.disparity.cells import Floats

#: Above this ratio of group sizes Satterthwaite's degrees of freedom are too many.
_LOPSIDED = 4


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


def contrast(
    tables: Sequence[Sequence[Floats]], signs: Sequence[Sequence[float]], *, heavy_tails: bool = False
) -> Crossed:
    """Estimate a weighted sum of group means over names and templates, with its crossed variance.

    Parameters
    ----------
    tables : [group][part] of (n_names of the group, n_templates of the part) float
        Cell means, NaN = empty. Names of a group are the same in all parts, templates of a part in all
        groups.
    signs : [group][part] of float
        The weight of each table, with its sign: ``[[1], [-1]]`` is a gap, ``[[1]]`` a rate, ``[[1, -1],
        [-1, 1]]`` a gap on the first part minus the gap on the second, ``[[0.7, 0.3], [-0.7, -0.3]]`` a gap
        to which the templates of the first part together contribute 70 %.
    heavy_tails : bool
        Lower the degrees of freedom by the kurtosis of the name and template means: the variance of a
        variance is s^4 (2/(n-1) + excess kurtosis/n). For rates, whose template means are often a few large
        ones among zeros.

    Raises
    ------
    TooLittleError
        The contrast or its variance is undefined; the message says why.
    """
    fits = [[fit(table) for table in row] for row in tables]
    n_names = [row[0].shape[0] for row in tables]
    n_templates = [table.shape[1] for table in tables[0]]
    value = sum(s * f.mean for fs, ss in zip(fits, signs, strict=True) for f, s in zip(fs, ss, strict=True))
    cells = [
        [s**2 * f.cell_variance for f, s in zip(fs, ss, strict=True)]
        for fs, ss in zip(fits, signs, strict=True)
    ]

    names = [
        _spread(
            [s * f.names for f, s in zip(fs, ss, strict=True)], [f.name_cov for f in fs], own, heavy_tails
        )
        for fs, ss, own in zip(fits, signs, cells, strict=True)
    ]
    templates = [
        _spread(
            [ss[part] * fs[part].templates for fs, ss in zip(fits, signs, strict=True)],
            [fs[part].template_cov for fs in fits],
            [own[part] for own in cells],
            heavy_tails,
        )
        for part in range(len(n_templates))
    ]
    within = [
        (_cell_share(f) * own, f.cell_df)
        for fs, owns in zip(fits, cells, strict=True)
        for f, own in zip(fs, owns, strict=True)
    ]
    v_n, v_t = sum(v for v, _ in names), sum(v for v, _ in templates)
    v_i = sum(v for v, _ in within)
    variance = max(v_n + v_t - v_i, v_n, v_t)
    scale = sum(v**2 / df for v, df in (*names, *templates, *within))
    floor = min(df for _, df in (*names, *templates))
    df = max(variance**2 / scale, floor) if scale > 0 else floor
    if max(n_names) > _LOPSIDED * min(n_names):
        df = float(np.sqrt(df * floor))
    return Crossed(
        value=float(value),
        variance=variance,
        df=df,
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
    in_names = f.name_cov.trace / (n_names * (n_names - 1))
    in_templates = f.template_cov.trace / (n_templates * (n_templates - 1))
    return float(in_names + in_templates - f.mean_var)


def _spread(
    parts: list[Floats], covs: list[Covariance], cell_variances: list[float], heavy_tails: bool
) -> tuple[float, float]:
    """Return the variance of the mean of a sum of effects, and its degrees of freedom.

    The effects (of names, or of templates) vary by themselves, equally, and by the cells they were estimated
    from, as `covs` says; df = (tr S)^2 / tr(S^2) for their covariance S about the mean, n - 1 when all were
    seen equally.
    """
    effects = np.sum(parts, axis=0)
    n = len(effects)
    observed = float(effects.var(ddof=1))
    df = n - 1.0
    if any(cov.matrix is not None for cov in covs):
        from_cells: Floats = np.sum(
            [c.dense() * v for c, v in zip(covs, cell_variances, strict=True)], axis=0
        )
        own = max(observed - float(np.trace(from_cells)) / (n - 1), 0.0)
        total = own * centring(n) + from_cells
        size = float(np.sum(total**2))
        df = float(np.trace(total)) ** 2 / size if size > 0 else df
    if heavy_tails and observed > 0:
        centred = effects - effects.mean()
        excess = float(np.mean(centred**4) / np.mean(centred**2) ** 2) - 3
        df = max(1 / (1 / df + max(excess, 0.0) / (2 * n)), 1.0)
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
