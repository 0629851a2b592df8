"""The likelihood of a crossed mixed logistic model, by Laplace's approximation, with its gradient.

Model, for name k of a group, template t and n_kt responses of which y_kt are events:
logit P(event) = x b + s_1 u_name + s_2 u_template + s_3 u_(group x template) + s_4 u_(name x template), all u
standard normal. The likelihood integrates the u out; Laplace replaces the integrand by the normal curve at
its mode.

Every response of a cell shares its name x template effect, so those are eliminated one by one; what is left
is one dense system over names, templates and group x template, solved by Cholesky. The gradient is exact (the
mode moves with the parameters, which is taken into account), so an optimiser needs tens of evaluations.

Not here: which models are fitted and what is concluded (mixed.py).

References
----------
Bates, Mächler, Bolker and Walker (2015), Journal of Statistical Software 67(1), section 3, for the penalised
iteration; Kristensen et al. (2016), Journal of Statistical Software 70(5), section 2, for the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from servicegap.disparity.cells import Floats

_STEPS = 60
_HALVINGS = 25
_CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Minus the log likelihood at some parameters, and its gradient."""

    value: float
    gradient: Floats


@dataclass(slots=True)
class CrossedLogit:
    """The data of a crossed mixed logistic model, and the last mode as a start for the next.

    Parameters
    ----------
    events, responses : (n_names, n_templates) float
        Events and labelled responses of each cell; 0 responses = an empty cell.
    group : (n_names,) int
        The group of each name, 0 to n_groups - 1.
    design : (n_groups, n_coefficients) float
        The fixed part of each group.
    group_by_template, name_by_template : bool
        Whether the model has these random effects, besides name and template.

    Notes
    -----
    Parameters are one vector: coefficients, then the logarithms of the standard deviations of name, template
    and, where they are there, group x template and name x template.
    """

    events: Floats
    responses: Floats
    group: NDArray[np.intp]
    design: Floats
    group_by_template: bool
    name_by_template: bool
    _mode: Floats = field(init=False)
    _cell_mode: Floats = field(init=False)
    _members: Floats = field(init=False)

    def __post_init__(self) -> None:
        self._mode = np.zeros(self.n_effects)
        self._cell_mode = np.zeros(self.events.shape)
        self._members = (self.group[None, :] == np.arange(self.n_groups)[:, None]).astype(float)

    @property
    def n_coefficients(self) -> int:
        """Length of the fixed part."""
        return int(self.design.shape[1])

    @property
    def n_groups(self) -> int:
        """Groups in the data, also where the fixed part does not tell them apart."""
        return int(self.design.shape[0])

    @property
    def n_effects(self) -> int:
        """Random effects other than those of cells."""
        n_names, n_templates = self.events.shape
        return int(n_names + n_templates + (self.n_groups * n_templates if self.group_by_template else 0))

    def evaluate(self, parameters: Floats) -> Evaluation:
        """Return minus the log likelihood (that of the single responses) and its gradient.

        Parameters
        ----------
        parameters : (n_coefficients + number of standard deviations,) float
            As in the notes of the class.
        """
        fixed = (self.design @ parameters[: self.n_coefficients])[self.group][:, None]
        sds = np.exp(parameters[self.n_coefficients :])
        scale, cell_sd = self._scales(sds)
        objective = self._find_mode(fixed, scale, cell_sd)
        u, v = self._mode, self._cell_mode
        eta = fixed + self._spread(scale * u) + cell_sd * v
        rate = expit(eta)
        slope = self.responses * rate - self.events
        weight = self.responses * rate * (1 - rate)
        own = 1 + cell_sd**2 * weight
        factor = self._factor(weight / own, scale)
        inverse = cho_solve(factor, np.eye(self.n_effects))
        value = objective + float(np.log(np.diag(factor[0])).sum()) + 0.5 * float(np.log(own).sum())

        leverage = self._leverage(inverse, scale)
        bend = 0.5 * weight * (1 - 2 * rate) * (cell_sd**2 / own + leverage / own**2)
        # H^-1 S Z' bend, in the same two blocks as the mode.
        cell_right = cell_sd * bend
        shift = inverse @ (
            scale * self._gather(bend) - scale * self._gather(weight * cell_sd * cell_right / own)
        )
        cell_shift = (cell_right - cell_sd * weight * self._spread(scale * shift)) / own
        moved = weight * (self._spread(scale * shift) + cell_sd * cell_shift)
        towards = slope + bend - moved
        by_group = self._members @ towards.sum(axis=1)

        gathered, slopes = self._gather(towards), self._gather(slope)
        determinant = 1 - np.diag(inverse)
        by_effect = u * scale * gathered - shift * scale * slopes + determinant
        cell_determinant = 1 - 1 / own - cell_sd**2 * weight**2 * leverage / own**2
        by_cell = v * cell_sd * towards - cell_shift * cell_sd * slope + cell_determinant
        return Evaluation(value, np.concatenate([self.design.T @ by_group, self._by_sd(by_effect, by_cell)]))

    def _scales(self, sds: Floats) -> tuple[Floats, float]:
        """Return the standard deviation of each random effect, and that of the cells."""
        n_names, n_templates = self.events.shape
        parts = [np.full(n_names, sds[0]), np.full(n_templates, sds[1])]
        if self.group_by_template:
            parts.append(np.full(self.n_groups * n_templates, sds[2]))
        return np.concatenate(parts), float(sds[-1]) if self.name_by_template else 0.0

    def _by_sd(self, by_effect: Floats, by_cell: Floats) -> Floats:
        """Sum what belongs to each logarithm of a standard deviation."""
        n_names, n_templates = self.events.shape
        sums = [by_effect[:n_names].sum(), by_effect[n_names : n_names + n_templates].sum()]
        if self.group_by_template:
            sums.append(by_effect[n_names + n_templates :].sum())
        if self.name_by_template:
            sums.append(by_cell.sum())
        return np.array(sums)

    def _spread(self, effects: Floats) -> Floats:
        """Z effects: what the random effects come to in each cell."""
        n_names, n_templates = self.events.shape
        table: Floats = effects[:n_names, None] + effects[None, n_names : n_names + n_templates]
        if self.group_by_template:
            table = table + effects[n_names + n_templates :].reshape(self.n_groups, n_templates)[self.group]
        return table

    def _gather(self, table: Floats) -> Floats:
        """Z' table: sums over the cells of each random effect."""
        parts = [table.sum(axis=1), table.sum(axis=0)]
        if self.group_by_template:
            parts.append((self._members @ table).ravel())
        return np.concatenate(parts)

    def _factor(self, weight: Floats, scale: Floats) -> tuple[Floats, bool]:
        """Cholesky factor of I + S Z' W Z S, with the cells' effects eliminated from W."""
        n_names, n_templates = weight.shape
        product = np.zeros((self.n_effects, self.n_effects))
        names, templates = slice(0, n_names), slice(n_names, n_names + n_templates)
        product[names, templates] = weight
        diagonal = self._gather(weight)
        if self.group_by_template:
            offset = n_names + n_templates
            columns = offset + self.group[:, None] * n_templates + np.arange(n_templates)[None, :]
            product[np.arange(n_names)[:, None], columns] = weight
            rows = n_names + np.tile(np.arange(n_templates), self.n_groups)
            product[rows, np.arange(offset, self.n_effects)] = diagonal[offset:]
        product[np.diag_indices(self.n_effects)] = diagonal
        product *= scale[:, None] * scale[None, :]
        product[np.diag_indices(self.n_effects)] += 1
        factor: tuple[Floats, bool] = cho_factor(product, lower=False, overwrite_a=True, check_finite=False)
        return factor

    def _leverage(self, inverse: Floats, scale: Floats) -> Floats:
        """Variance that the random effects, cells apart, have in each cell: z' S H^-1 S z."""
        n_names, n_templates = self.events.shape
        scaled = inverse * scale[:, None] * scale[None, :]
        diagonal = np.diag(scaled)
        names, templates = slice(0, n_names), slice(n_names, n_names + n_templates)
        table: Floats = diagonal[names, None] + diagonal[None, templates] + 2 * scaled[names, templates]
        if self.group_by_template:
            offset = n_names + n_templates
            columns = offset + self.group[:, None] * n_templates + np.arange(n_templates)[None, :]
            rows = np.arange(n_names)[:, None]
            shared = scaled[n_names + np.arange(n_templates)[None, :], columns]
            table = table + diagonal[columns] + 2 * scaled[rows, columns] + 2 * shared
        return table

    def _find_mode(self, fixed: Floats, scale: Floats, cell_sd: float) -> float:
        """Move to the mode of the random effects by Newton's method; return the objective there."""
        u, v = self._mode, self._cell_mode

        def objective(u: Floats, v: Floats) -> float:
            eta = fixed + self._spread(scale * u) + cell_sd * v
            fit = self.responses * np.logaddexp(0, eta) - self.events * eta
            return float(fit.sum() + 0.5 * (u @ u) + 0.5 * (v * v).sum())

        value = objective(u, v)
        for _ in range(_STEPS):
            rate = expit(fixed + self._spread(scale * u) + cell_sd * v)
            slope = self.responses * rate - self.events
            weight = self.responses * rate * (1 - rate)
            own = 1 + cell_sd**2 * weight
            to_u, to_v = scale * self._gather(slope) + u, cell_sd * slope + v
            factor = self._factor(weight / own, scale)
            step = -cho_solve(factor, to_u - scale * self._gather(weight * cell_sd * to_v / own))
            cell_step = -(to_v + cell_sd * weight * self._spread(scale * step)) / own
            decrease = -float(to_u @ step + (to_v * cell_step).sum())
            length = 1.0
            for _ in range(_HALVINGS):
                tried = objective(u + length * step, v + length * cell_step)
                if tried <= value:
                    break
                length /= 2
            else:
                break
            u, v, value = u + length * step, v + length * cell_step, tried
            if decrease < _CLOSE:
                break
        self._mode, self._cell_mode = u, v
        return value
