"""How well a fitted annotator does on templates that it did not see, beside the default one.

Not here: how it learns (annotators/learning.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from servicegap.annotator_check.measured import Measured, confusion_sums, kappas, over_templates
from servicegap.disparity.cells import Floats
from servicegap.records import CATEGORIES

LEVEL = 0.95
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of both on the same labels; differences are fitted minus default, with intervals.

    ``group`` is None for all. A log loss below another, and a kappa above another, is better.
    """

    group: str | None
    n_labels: int
    log_loss: Measured
    default_log_loss: Measured
    log_loss_difference: Measured
    kappa: Measured
    default_kappa: Measured
    kappa_difference: Measured


def compare(
    fitted: Floats,
    default: Floats,
    people: NDArray[np.int64],
    template: NDArray[Any],
    weight: Floats,
    rng: np.random.Generator,
    group: str | None = None,
) -> Comparison:
    """Compare two annotators with people.

    Parameters
    ----------
    fitted, default : (n, 6) float
        Probabilities, those of the fitted one by models that did not see the response's template.
    people : (n,) int
        People's categories, as positions in ``records.CATEGORIES``.
    template : (n,)
    weight : (n,) float
        What each label counts for: 1 / its chance.
    rng : numpy Generator
    group : str, optional
        What the comparison is about.
    """
    n, cells = len(people), len(CATEGORIES) ** 2
    rows = np.arange(n)
    losses = [-np.log(np.maximum(each[rows, people], _LEAST)) for each in (fitted, default)]
    sums = np.column_stack(
        [
            weight,
            *(loss * weight for loss in losses),
            confusion_sums(people, fitted.argmax(axis=1), weight),
            confusion_sums(people, default.argmax(axis=1), weight),
        ]
    )

    def figures(totals: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = totals[:, 1:3] / totals[:, :1]
        kappa = np.column_stack([kappas(totals[:, 3 : 3 + cells]), kappas(totals[:, 3 + cells :])])
        return np.column_stack([mean, mean[:, 0] - mean[:, 1], kappa, kappa[:, 0] - kappa[:, 1]])

    found = over_templates(template, sums, figures, rng, LEVEL)
    return Comparison(group, n, *found)
