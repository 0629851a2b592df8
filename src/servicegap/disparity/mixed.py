"""Crossed mixed logistic models: a sensitivity check of the gaps, in points, beside crossed Welch.

Three models, each adding an interaction: name and template; and name x template; and group x template. The
first two take groups for reacting alike to every template, which calls too many gaps when they do not. Odds
ratios given name and template (the coefficients) can be enormous where rates are modest, so the gaps reported
are marginal: averaged over the names and templates of the model's population.

Laplace's approximation makes the name x template variance too small where cells hold few responses (by half
with two a cell); the gaps feel little of it.

Not here: the likelihood itself (laplace.py); the primary estimator (crossed.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import chdtrc, expit, gammaln, ndtr, ndtri
from threadpoolctl import threadpool_limits

from servicegap.disparity.cells import Cells, Floats
from servicegap.disparity.group_rates import check_level
from servicegap.disparity.laplace import CrossedLogit
from servicegap.errors import DataError
from servicegap.records import Estimate

#: Which random effects a model has besides name and template.
Interactions = Literal["none", "name x template", "all"]

_ORDER: tuple[Interactions, ...] = ("none", "name x template", "all")
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
#: Standard deviations on the logit scale below this are taken for 0: the curvature there is flat.
_SMALLEST = 1e-3
_STEP = 1e-3


@dataclass(frozen=True, slots=True)
class MixedFit:
    """A fitted crossed mixed logistic model.

    Attributes
    ----------
    groups : tuple of str
        The reference first.
    coefficients, standard_errors : (n_groups,) float
        The reference's logit at average name and template, then each group's difference to it.
    variances : dict of str to float
        Of name, template, and where in the model name x template and group x template; logit scale.
    log_likelihood : float
        Laplace, of binomial counts.
    chi_square, df, p : float, int, float
        Likelihood ratio test of "no group differs".
    rates : dict of str to float
        Marginal rate of each group, 0 to 1.
    gaps : dict of str to Estimate
        Kind ``mixed_gap``: marginal gap to the reference, delta-method interval.
    converged : bool
        Whether the optimiser was satisfied; if not, each gap's note says so.
    """

    groups: tuple[str, ...]
    coefficients: Floats
    standard_errors: Floats
    variances: dict[str, float]
    log_likelihood: float
    chi_square: float
    df: int
    p: float
    rates: dict[str, float]
    gaps: dict[str, Estimate]
    converged: bool


def fit_mixed(
    cells: Cells,
    reference: str,
    *,
    interactions: Interactions = "all",
    level: float = 0.95,
    outcome_name: str = "outcome",
) -> MixedFit:
    """Fit a crossed mixed logistic model by maximum likelihood (Laplace).

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates, of a yes/no outcome; empty cells are allowed.
    reference : str
        The group that others are compared with.
    interactions : {"none", "name x template", "all"}
        ``all`` = name x template and group x template, the only one that allows groups to react differently.
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimates.

    Returns
    -------
    MixedFit
        Intervals use normal quantiles and are too short with few names: never a headline.

    Raises
    ------
    DataError
        An outcome that is not yes/no; a group in which every response or none has the outcome (its
        coefficient would be infinite); fewer than two groups; `reference` not among them.
    """
    check_level(level)
    groups = _groups(cells, reference)
    # The matrices are small: on busy cores BLAS threads wait for one another, up to forty times longer.
    with threadpool_limits(limits=1, user_api="blas"):
        found = _maximise(cells, groups, interactions, separate=True)
        null = _maximise(cells, groups, interactions, separate=False)
        covariance = _covariance(found.model, found.parameters)
    n = len(groups)
    chi_square = max(2 * (null.value - found.value), 0.0)
    names = ["name", "template", *(("group x template",) if interactions == "all" else ())]
    names += ["name x template"] if interactions != "none" else []
    variances = np.exp(2 * found.parameters[n:])
    rates = _marginal(found.parameters, n)
    constant = _binomial_constant(cells)
    return MixedFit(
        groups=groups,
        coefficients=found.parameters[:n],
        standard_errors=np.sqrt(np.diag(covariance)[:n]),
        variances={name: float(v) for name, v in zip(names, variances, strict=True)},
        log_likelihood=constant - found.value,
        chi_square=chi_square,
        df=n - 1,
        p=float(chdtrc(n - 1, chi_square)),
        rates={group: float(rate) for group, rate in zip(groups, rates, strict=True)},
        gaps=_gaps(found, covariance, cells, groups, level, outcome_name),
        converged=found.converged and null.converged,
    )


@dataclass(frozen=True, slots=True)
class _Maximum:
    """Where the likelihood is largest."""

    model: CrossedLogit
    parameters: Floats
    value: float
    converged: bool


def _groups(cells: Cells, reference: str) -> tuple[str, ...]:
    groups = cells.groups
    if cells.scale != "yes/no":
        raise DataError("a logistic model needs a yes/no outcome; this one has other values")
    if reference not in groups or len(groups) < 2:
        told = ", ".join(map(repr, groups))
        raise DataError(f"reference {reference!r} and another group are needed; the groups are: {told}")
    problems = []
    for group in groups:
        rows = cells.rows(group)
        events, responses = int(cells.events[rows].sum()), int(cells.responses[rows].sum())
        if events in (0, responses):
            problems.append(
                f"{events} of {responses} responses of {group!r} have the outcome: its coefficient would be "
                "infinite; leave the group out of the mixed model"
            )
    if problems:
        raise DataError(*problems)
    return (reference, *(group for group in groups if group != reference))


def _maximise(
    cells: Cells, groups: tuple[str, ...], interactions: Interactions, *, separate: bool
) -> _Maximum:
    """Climb from the simpler models to the one asked for, each from where the last one ended.

    `separate` gives each group its own coefficient; otherwise there is one for all.
    """
    events, responses = cells.events.astype(float), cells.responses.astype(float)
    group = np.array([groups.index(name) for name in cells.group])
    design = np.ones((len(groups), 1))
    if separate:
        design = np.hstack([design, np.eye(len(groups))[:, 1:]])
    overall = events.sum() / responses.sum()
    parameters = np.concatenate(
        [[np.log(overall / (1 - overall))], np.zeros(design.shape[1] - 1), [0.0, 0.5]]
    )
    for step in _ORDER[: _ORDER.index(interactions) + 1]:
        k = design.shape[1]
        if step == "name x template":
            parameters = np.append(parameters, 0.0)
        if step == "all":
            parameters = np.insert(parameters, k + 2, -0.7)
        model = CrossedLogit(events, responses, group, design, step == "all", step != "none")

        def objective(x: Floats, model: CrossedLogit = model) -> tuple[float, Floats]:
            found = model.evaluate(x)
            return found.value, found.gradient

        bounds = [(-60.0, 60.0)] * k + [(np.log(_SMALLEST), 5.0)] * (len(parameters) - k)
        # Only the model asked for is driven all the way.
        last = step == interactions
        options = {"ftol": 1e-10 if last else 1e-6, "gtol": 1e-4 if last else 1e-2, "maxiter": 300}
        result = minimize(objective, parameters, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        parameters = result.x
    return _Maximum(model, parameters, float(result.fun), bool(result.success))


def _covariance(model: CrossedLogit, parameters: Floats) -> Floats:
    """Invert the curvature, from differences of the exact gradient; a variance at 0 is taken for known."""
    n = len(parameters)
    free = np.flatnonzero((np.arange(n) < model.n_coefficients) | (parameters > np.log(10 * _SMALLEST)))
    curvature = np.zeros((len(free), len(free)))
    for row, i in enumerate(free):
        step = np.zeros(n)
        step[i] = _STEP
        difference = model.evaluate(parameters + step).gradient - model.evaluate(parameters - step).gradient
        curvature[row] = difference[free] / (2 * _STEP)
    covariance = np.zeros((n, n))
    covariance[np.ix_(free, free)] = np.linalg.pinv((curvature + curvature.T) / 2, hermitian=True)
    return covariance


def _marginal(parameters: Floats, n_groups: int) -> Floats:
    """Average each group's rate over names and templates: Gauss-Hermite over the sum of random effects."""
    sd = np.sqrt(np.exp(2 * parameters[n_groups:]).sum())
    logits = parameters[0] + np.concatenate([[0.0], parameters[1:n_groups]])
    rates: Floats = expit(logits[:, None] + sd * _NODES[None, :]) @ _WEIGHTS / _WEIGHTS.sum()
    return rates


def _gaps(
    found: _Maximum,
    covariance: Floats,
    cells: Cells,
    groups: tuple[str, ...],
    level: float,
    outcome_name: str,
) -> dict[str, Estimate]:
    """Marginal gaps, with the delta method over all parameters."""
    n = len(groups)
    slopes = np.stack(
        [
            (_marginal(found.parameters + step, n) - _marginal(found.parameters - step, n)) / (2 * _STEP)
            for step in _STEP * np.eye(len(found.parameters))
        ],
        axis=1,
    )
    rates = _marginal(found.parameters, n)
    gaps = {}
    for place, group in enumerate(groups[1:], start=1):
        slope = slopes[place] - slopes[0]
        se = float(np.sqrt(slope @ covariance @ slope))
        value = float(rates[place] - rates[0])
        half = float(ndtri((1 + level) / 2)) * se
        rows = np.concatenate([cells.rows(group), cells.rows(groups[0])])
        gaps[group] = Estimate(
            kind="mixed_gap",
            outcome=outcome_name,
            value=value,
            low=max(value - half, -1.0),
            high=min(value + half, 1.0),
            level=level,
            group=group,
            reference=groups[0],
            se=se,
            p=float(2 * ndtr(-abs(value) / se)) if se > 0 else None,
            method="crossed mixed logistic model, marginal, Laplace",
            n_responses=int(cells.responses[rows].sum()),
            n_missing=int(cells.missing[rows].sum()),
            n_events=int(cells.events[rows].sum()),
            n_signals=len(rows),
            n_templates=len(cells.template),
            note=None if found.converged else "the optimiser did not converge: not to be relied on",
        )
    return gaps


def _binomial_constant(cells: Cells) -> float:
    n, y = cells.responses, cells.events
    return float((gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)).sum())
