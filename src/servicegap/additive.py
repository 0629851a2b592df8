"""Names + templates, fitted to a table of cell means by least squares, complete or not.

Each name then counts the same and each template counts the same, whatever is missing. The fit is linear, so
how much of the cells' variance goes into each figure is known exactly.

Not here: what varies, and how much that says about a contrast of groups (crossed.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
        name_cov = centring(n_names) / n_templates
        template_cov = centring(n_templates) / n_names
        mean_var = 1 / (n_names * n_templates)
    else:
        names, templates, mean, name_cov, template_cov, mean_var = _fit_incomplete(table, seen)
    if spare < 1:
        raise TooLittleError("too many cells are empty to tell names and templates from chance")
    residual = table - names[:, None] - templates[None, :] + mean
    cell_variance = float(np.nansum(residual**2)) / spare
    return Fit(names, templates, mean, cell_variance, spare, name_cov, template_cov, mean_var)


def centring(size: int) -> Floats:
    """Return the matrix that takes the mean off a vector."""
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
