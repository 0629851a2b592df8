"""A logistic model of what is there and what is not: prompts and sentences are read by one each.

The weights (JSON) are fitted by scripts/fit_offline.py on texts in the project's own words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Logistic:
    """The weight of each feature by its name, and the intercept."""

    intercept: float
    weights: Mapping[str, float]

    def probability(self, features: AbstractSet[str]) -> float:
        """Return the probability (0 to 1); a feature without a weight does not count."""
        score = math.fsum(map(self.weights.get, features, repeat(0.0)))
        return 1 / (1 + math.exp(-self.intercept - score))


def normalised(scores: Floats) -> Floats:
    """Return logarithms of probabilities, which sum to 1, that differ as the scores do."""
    lowered = scores - scores.max()
    return np.asarray(lowered - np.log(np.exp(lowered).sum()))


@lru_cache(maxsize=4)
def read_logistic(path: Path) -> Logistic:
    """Read a model's weights, once."""
    fitted = json.loads(path.read_text(encoding="utf-8"))
    return Logistic(fitted["intercept"], fitted["weights"])
