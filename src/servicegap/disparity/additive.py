"""Names + templates, fitted to a table of cell means by least squares, complete or not.

Each name then counts the same and each template counts the same, whatever is missing. The fit is linear, so
how much of the cells' variance goes into each figure is known exactly.

Not here: what varies, and how much that says about a contrast of groups (crossed.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servicegap.disparity.cells import Floats


class TooLittleError(ValueError):
    """A statistic is undefined; the message is the reason, in words for the note of an estimate."""


@dataclass(frozen=True, slots=True)
class Covariance:
    """Covariance of some means about their mean.

    Attributes
    ----------
    size : int
        How many means.
    even : float or None
        Set where all were seen equally: the covariance is `even` (I - 1/size), and no matrix is kept.
    matrix : (size, size) float or None
        Set where they were not.
    """

    size: int
    even: float | None = None
    matrix: Floats | None = None

    @property
    def trace(self) -> float:
        """The sum of the variances about the mean."""
        return (self.even or 0.0) * (self.size - 1) if self.matrix is None else float(np.trace(self.matrix))

    @property
    def diagonal(self) -> Floats:
        """The variance of each about the mean."""
        if self.matrix is None:
            return np.full(self.size, self.trace / self.size)
        return np.diag(self.matrix)

    def dense(self) -> Floats:
        """Return the whole matrix."""
        return (self.even or 0.0) * centring(self.size) if self.matrix is None else self.matrix


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
    name_cov, template_cov : Covariance
        Covariance of `names` and of `templates` about their mean, per unit of cell variance.
    mean_var : float
        Variance of `mean` that comes from the cells, per unit of cell variance.
    """

    names: Floats
    templates: Floats
    mean: float
    cell_variance: float
    cell_df: int
    name_cov: Covariance
    template_cov: Covariance
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
        name_cov = Covariance(n_names, even=1 / n_templates)
        template_cov = Covariance(n_templates, even=1 / n_names)
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
    table: Floats, seen: NDArray[np.bool_]
) -> tuple[Floats, Floats, float, Covariance, Covariance, float]:
    """Least squares with empty cells, by eliminating one factor and solving for the other.

    The mean over names and templates is sum(L * Y) with L = u_name + v_template on the cells that are there,
    rows of L summing to 1/n_names and columns to 1/n_templates; hence its variance is sum(L**2) = mean(u) +
    mean(v).
    """
    if not _connected(seen):
        raise TooLittleError(
            "the cells that are left fall apart into pieces that share neither names nor templates"
        )
    n_names, n_templates = table.shape
    design = seen.astype(float)
    per_name, per_template = design.sum(axis=1), design.sum(axis=0)
    filled = np.where(seen, table, 0.0)
    of_templates = _contrast_inverse(np.diag(per_template) - design.T @ (design / per_name[:, None]))
    of_names = _contrast_inverse(np.diag(per_name) - (design / per_template) @ design.T)
    row_means = filled.sum(axis=1) / per_name
    effects = of_templates @ (filled.sum(axis=0) - design.T @ row_means)
    names = row_means - design @ effects / per_name
    mean = float(names.mean())
    v = of_templates @ (1 / n_templates - design.T @ (1 / (n_names * per_name)))
    u = (1 / n_names - design @ v) / per_name
    name_cov = Covariance(n_names, matrix=of_names)
    template_cov = Covariance(n_templates, matrix=of_templates)
    return names, mean + effects, mean, name_cov, template_cov, float(u.mean() + v.mean())


def _connected(seen: NDArray[np.bool_]) -> bool:
    """Whether every name can be reached from every other through templates they share."""
    names = np.asarray(np.arange(seen.shape[0]) == 0, dtype=np.bool_)
    while True:
        templates = seen[names].any(axis=0)
        reached = np.asarray(seen[:, templates].any(axis=1), dtype=np.bool_)
        if (reached == names).all():
            return bool(names.all() and templates.all())
        names = reached


def _contrast_inverse(matrix: Floats) -> Floats:
    """Invert a connected design's matrix on the contrasts (vectors that sum to zero): it sends 1 to 0."""
    even = 1 / len(matrix)
    return np.asarray(np.linalg.inv(matrix + even) - even, dtype=np.float64)
