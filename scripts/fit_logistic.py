"""Fit the two logistic models that the default annotator reads prompts and sentences by.

Intent: does a prompt want harm done (annotators/intent.py)? Serving: is a sentence one of an answer, or one
of a refusal (annotators/serving.py)? Each is fitted to all, for use, and in folds, for what is fitted on its
figures: that trusts a figure only as far as new prompts allow.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from own_examples import Example
from scipy.optimize import minimize
from scipy.sparse import csr_array

from servicegap.annotators import intent, serving
from servicegap.annotators.prompts import normal, read_prompt
from servicegap.annotators.responses import read_response
from servicegap.annotators.sentences import WORD

VARIANCE = 0.5  # of the normal prior of a weight
FOLDS = 10
SMALLEST = 0.005  # a smaller weight is left out
SERVING = {"answer": True, "refusal": False}  # categories whose sentences are all of one kind

Floats = NDArray[np.float64]
Names = frozenset[str]


@dataclass(frozen=True, slots=True)
class Fitted:
    """The column of each feature, the weights of the columns, and the intercept."""

    columns: Mapping[str, int]
    weights: Floats
    intercept: float

    def probabilities(self, texts: Sequence[Names]) -> Floats:
        scores = _table(texts, self.columns) @ self.weights + self.intercept
        return np.asarray(1 / (1 + np.exp(-scores)))


@dataclass(frozen=True, slots=True)
class Task:
    """Texts as features, whether each is of the kind sought, its weight and its prompt."""

    texts: Sequence[Names]
    sought: NDArray[np.bool_]
    importance: Floats
    prompts: Sequence[str]
    min_texts: int

    def fit(self, chosen: NDArray[np.bool_]) -> Fitted:
        rows = np.flatnonzero(chosen).tolist()
        texts = [self.texts[row] for row in rows]
        counts = Counter(name for names in texts for name in names)
        kept = sorted(name for name, count in counts.items() if count >= self.min_texts)
        columns = {name: column for column, name in enumerate(kept)}
        table, y, importance = _table(texts, columns), self.sought[rows], self.importance[rows]

        def loss(flat: Floats) -> tuple[float, Floats]:
            weights, scores = flat[:-1], table @ flat[:-1] + flat[-1]
            value = importance @ (np.logaddexp(0, scores) - y * scores) + weights @ weights / (2 * VARIANCE)
            wrong = importance * (1 / (1 + np.exp(-scores)) - y)
            return float(value), np.append(table.T @ wrong + weights / VARIANCE, wrong.sum())

        found = minimize(loss, np.zeros(len(kept) + 1), jac=True, method="L-BFGS-B")
        return Fitted(columns, found.x[:-1], float(found.x[-1]))

    def fit_all(self) -> Fitted:
        return self.fit(np.ones(len(self.texts), dtype=bool))


def intent_task(prompts: Mapping[str, bool]) -> Task:
    texts = [frozenset(intent.features(WORD.findall(normal(prompt)))) for prompt in prompts]
    return Task(texts, np.array(list(prompts.values())), np.ones(len(texts)), list(prompts), min_texts=2)


def serving_task(examples: Sequence[Example]) -> Task:
    texts, sought, importance, prompts = list[Names](), list[bool](), list[float](), list[str]()
    for example in examples:
        if example.category not in SERVING:
            continue
        found = sentence_features(example)
        texts += found
        sought += [SERVING[example.category]] * len(found)
        importance += [1 / math.sqrt(max(len(found), 1))] * len(found)  # long responses say more, in part
        prompts += [example.prompt] * len(found)
    return Task(texts, np.array(sought), np.array(importance), prompts, min_texts=6)


def sentence_features(example: Example) -> list[Names]:
    asked = read_prompt(example.prompt)
    said = read_response(asked, example.response).said
    return [frozenset(serving.features(asked, sentence)) for sentence in said]


def wants_harm(task: Task) -> dict[str, float]:
    """Return for each prompt how likely it wants harm, by a fit that did not see it."""
    folds = _folds(task.prompts)
    fold = np.array([folds[prompt] for prompt in task.prompts])
    found = np.zeros(len(task.texts))
    for k in range(FOLDS):
        out = np.flatnonzero(fold == k).tolist()
        found[out] = task.fit(fold != k).probabilities([task.texts[row] for row in out])
    print(f"left-out prompts: intent right {((found > 0.5) == task.sought).mean():.3f} of {len(found)}")
    return dict(zip(task.prompts, found.tolist(), strict=True))


def serves(task: Task, examples: Sequence[Example]) -> list[list[float]]:
    """Return for each sentence of each example how likely it serves, by a fit that did not see its prompt."""
    folds = _folds([example.prompt for example in examples])
    fold = np.array([folds[prompt] for prompt in task.prompts])
    fitted = [task.fit(fold != k) for k in range(FOLDS)]
    found = []
    for example in examples:
        texts = sentence_features(example)
        found.append(fitted[folds[example.prompt]].probabilities(texts).tolist() if texts else [])
    return found


def write(fitted: Fitted, path: Path) -> None:
    weights = {
        name: round(float(fitted.weights[column]), 3)
        for name, column in fitted.columns.items()
        if abs(fitted.weights[column]) >= SMALLEST
    }
    content = {"intercept": round(fitted.intercept, 3), "weights": weights}
    text = json.dumps(content, ensure_ascii=False).replace(', "', ',\n"')
    path.write_text(f"{text}\n", encoding="utf-8")
    print(f"{len(weights)} features -> {path.name}")


def _folds(prompts: Sequence[str]) -> dict[str, int]:
    # Prompts in order of their text: neighbours in the files share a subject, and stay apart.
    return {prompt: place % FOLDS for place, prompt in enumerate(sorted(set(prompts)))}


def _table(texts: Sequence[Names], columns: Mapping[str, int]) -> csr_array:
    found = [sorted(columns[name] for name in names & columns.keys()) for names in texts]
    ends = np.cumsum([0, *map(len, found)])
    places = np.array([column for row in found for column in row], dtype=int)
    return csr_array((np.ones(len(places)), places, ends), shape=(len(found), len(columns)))
