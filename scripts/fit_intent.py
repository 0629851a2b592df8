"""Fit whether a prompt wants harm done: a logistic regression of its words (see annotators/intent.py)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array

from servicegap.annotators import intent
from servicegap.annotators.prompts import WORD, normal

VARIANCE = 0.5  # of the normal prior of a weight
MIN_PROMPTS = 2
FOLDS = 10
SMALLEST = 0.005  # a smaller weight is left out

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Intent:
    """The weight of each feature, and the intercept."""

    columns: Mapping[str, int]
    weights: Floats
    intercept: float

    def probabilities(self, features: Sequence[frozenset[str]]) -> Floats:
        scores = _table(features, self.columns) @ self.weights + self.intercept
        return np.asarray(1 / (1 + np.exp(-scores)))


def features_of(prompt: str) -> frozenset[str]:
    return frozenset(intent.features(WORD.findall(normal(prompt))))


def fit(features: Sequence[frozenset[str]], wants_harm: Sequence[bool]) -> Intent:
    counts = Counter(name for found in features for name in found)
    kept = sorted(name for name, count in counts.items() if count >= MIN_PROMPTS)
    columns = {name: column for column, name in enumerate(kept)}
    table, y = _table(features, columns), np.asarray(wants_harm, dtype=float)

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights, scores = flat[:-1], table @ flat[:-1] + flat[-1]
        value = (np.logaddexp(0, scores) - y * scores).sum() + weights @ weights / (2 * VARIANCE)
        wrong = 1 / (1 + np.exp(-scores)) - y
        return float(value), np.append(table.T @ wrong + weights / VARIANCE, wrong.sum())

    found = minimize(loss, np.zeros(len(kept) + 1), jac=True, method="L-BFGS-B")
    return Intent(columns, found.x[:-1], float(found.x[-1]))


def judged_by_others(prompts: Mapping[str, bool]) -> dict[str, float]:
    """Return for each prompt how likely it wants harm, by a fit that did not see it.

    The annotator's weights are fitted on these, so that they trust the figure as far as new prompts allow.
    """
    texts, wants_harm = list(prompts), np.array(list(prompts.values()))
    features = [features_of(text) for text in texts]
    fold = np.random.default_rng(0).permutation(len(texts)) % FOLDS
    found = np.zeros(len(texts))
    for k in range(FOLDS):
        seen, left_out = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        fitted = fit([features[i] for i in seen], list(wants_harm[seen]))
        found[left_out] = fitted.probabilities([features[i] for i in left_out])
    print(f"left-out prompts: intent right {((found > 0.5) == wants_harm).mean():.3f} of {len(texts)}")
    return dict(zip(texts, found.tolist(), strict=True))


def write(fitted: Intent) -> None:
    words = {
        name: round(float(fitted.weights[column]), 3)
        for name, column in fitted.columns.items()
        if abs(fitted.weights[column]) >= SMALLEST
    }
    content = {"intercept": round(fitted.intercept, 3), "words": words}
    text = json.dumps(content, ensure_ascii=False).replace(', "', ',\n"')
    intent.WEIGHTS.write_text(f"{text}\n", encoding="utf-8")
    print(f"{len(words)} features of prompts -> {intent.WEIGHTS.name}")


def _table(features: Sequence[frozenset[str]], columns: Mapping[str, int]) -> csr_array:
    found = [sorted(columns[name] for name in names & columns.keys()) for names in features]
    ends = np.cumsum([0, *map(len, found)])
    places = np.array([column for row in found for column in row], dtype=int)
    return csr_array((np.ones(len(places)), places, ends), shape=(len(found), len(columns)))
