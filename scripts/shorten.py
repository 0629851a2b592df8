"""Leave out inputs of a linear map whose part the other inputs can take over.

Which these are, and what the others weigh then, is told by least squares over what was put in (the optimal
brain surgeon: Hassibi and Stork 1993). No labels are needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RIDGE = 1e-5  # of the mean variance, lest inputs that never vary leave nothing to divide by


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was put into a linear map: the mean, shape (n_inputs,), and the covariance of its inputs."""

    mean: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True)
class Map:
    """A linear map: weights, shape (n_inputs, n_outputs), and bias, shape (n_outputs,)."""

    weights: Floats
    bias: Floats


def shortened(
    whole: Map, inputs: Inputs, lost: float, size: int, n_groups: int
) -> tuple[NDArray[np.int_], Map]:
    """Return which inputs are kept, and the map of these that comes nearest to the whole one.

    Parameters
    ----------
    whole : Map
    inputs : Inputs
    lost : float
        Share (0 to 1) of the variance of the outputs that may be lost.
    size : int
        Neighbours that are kept or left out together.
    n_groups : int
        How many of such groups are left out at a time, before it is looked at again which the others can
        stand for best.
    """
    ridge = RIDGE * inputs.covariance.diagonal().mean()
    covariance = inputs.covariance + ridge * np.eye(len(inputs.mean))
    with_outputs = covariance @ whole.weights
    variance = (whole.weights * with_outputs).sum()
    kept, weights = np.arange(len(inputs.mean)), whole.weights
    while len(kept) > size * n_groups:
        costs = _costs(weights, np.linalg.inv(covariance[np.ix_(kept, kept)]), size)
        stay = np.sort(np.argsort(costs)[n_groups:])
        fewer = kept.reshape(-1, size)[stay].ravel()
        fitted = np.linalg.solve(covariance[np.ix_(fewer, fewer)], with_outputs[fewer])
        if 1 - (fitted * with_outputs[fewer]).sum() / variance > lost:
            break
        kept, weights = fewer, fitted
    bias = whole.bias + inputs.mean @ whole.weights - inputs.mean[kept] @ weights
    return kept, Map(weights, bias)


def _costs(weights: Floats, inverse: Floats, size: int) -> Floats:
    """Return the variance that is lost with each group of inputs, the others taking over what they can."""
    groups = weights.reshape(-1, size, weights.shape[1])
    n = len(groups)
    own = inverse.reshape(n, size, n, size)[np.arange(n), :, np.arange(n)]
    return np.asarray((groups * np.linalg.solve(own, groups)).sum(axis=(1, 2)))
