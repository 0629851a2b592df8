"""Scores from annotators that never saw the label they are corrected with.

An annotator that learned from people's labels agrees with those labels better than with others. Corrected by
the same labels, its figures look far surer than they are. So each response is scored by an annotator that
learned from other templates' labels alone: answers to one template are alike, and stay together.

Not here: the annotators (annotators/), the correction (correction/).

References
----------
Zrnic and Candes (2024), PNAS 121(15), e2322083121 (cross-prediction); Chernozhukov et al. (2018),
Econometrics Journal 21, C1-C68, section 3 (cross-fitting). Departure: folds are made of templates, not of
responses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from servicegap.disparity.cells import Floats
from servicegap.disparity.columns import Column, labels, length_problems
from servicegap.errors import DataError

#: Learns from features and labels, and returns what scores other features (0 to 1, one or k a response).
Fit = Callable[[NDArray[Any], NDArray[Any]], Callable[[NDArray[Any]], ArrayLike]]


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """Out-of-fold scores.

    Attributes
    ----------
    score : (n,) or (n, k) float
        Each response's score (or k of them), by the annotator that did not see its fold.
    fold : (n,) int
        Which fold each response is in; give it to the correction beside the score.
    """

    score: Floats
    fold: NDArray[np.int64]


def crossfit_scores(
    fit: Fit,
    features: NDArray[Any] | Sequence[Any],
    label: Column,
    template: Column,
    folds: int,
    rng: np.random.Generator,
) -> CrossFitted:
    """Score every response by an annotator fitted on the labels of other templates.

    Parameters
    ----------
    fit : callable
        ``fit(features, labels)`` learns, and returns a function that gives the probability of the outcome
        for the features of other responses, or k probabilities each. Called fold by fold, in their order.
    features : array (n, ...) or sequence of length n
        What `fit` learns from: numbers, texts, anything.
    label : one-dimensional, length n
        What people say, in the form that `fit` learns from; None or NaN = no label.
    template : one-dimensional, length n
        Responses of one template go into one fold.
    folds : int
        How many annotators are fitted, 2 or more; 5 to 10 is usual.
    rng : numpy Generator
        Deals the templates out to folds.

    Raises
    ------
    DataError
        Fewer templates than folds, a fold whose annotator would have no label to learn from, lengths that
        differ, or scores outside 0 to 1.

    Examples
    --------
    >>> def fit(features, labels):
    ...     return lambda others: np.full(len(others), labels.mean())
    >>> rng = np.random.default_rng(0)
    >>> found = crossfit_scores(fit, ["x"] * 4, [1, 1, 0, None], ["t1", "t1", "t2", "t2"], 2, rng)
    >>> found.score.tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    problems: list[str] = []
    people, place = labels(label, "label", problems, required=False), labels(template, "template", problems)
    problems += length_problems({"features": features, "label": people, "template": place})
    if not problems and not 2 <= folds <= place.n_unique():
        problems.append(
            f"folds is {folds}; give 2 to {place.n_unique()}, the number of templates: each is in one fold"
        )
    if problems:
        raise DataError(*problems)
    fold = _deal(place, folds, rng)
    return CrossFitted(_scores(fit, _rows(features), people, fold), fold)


def own_label_problems(columns: Mapping[str, pl.Series]) -> list[str]:
    """Tell of labels that would correct the scores they taught.

    Parameters
    ----------
    columns : mapping of str to Series
        ``label`` and, where given, ``fitted_on`` (1 = the label taught the annotator), ``fold`` and
        ``template``, of equal lengths.
    """
    if "fold" in columns:
        return _fold_problems(columns)
    if "fitted_on" not in columns:
        return []
    own = ((columns["fitted_on"] == 1) & columns["label"].is_not_null()).fill_null(False).arg_true()
    if not len(own):
        return []
    return [
        f"label[{own[0]}] taught the annotator whose score it would correct ({len(own)} labels did): such "
        "intervals miss the truth most of the time; give out-of-fold scores and their fold "
        "(servicegap.correction.crossfit.crossfit_scores)"
    ]


def _fold_problems(columns: Mapping[str, pl.Series]) -> list[str]:
    if "template" not in columns:
        return ["fold is given without template; give both, so that no template is in two folds"]
    problems = []
    if columns["fold"].n_unique() < 2:
        problems.append("fold has one value only; out-of-fold scores need at least 2 folds")
    pairs = pl.DataFrame([columns["fold"], columns["template"]]).unique()
    split = pairs.group_by("template").len().filter(pl.col("len") > 1).sort("template")
    if len(split):
        problems.append(
            f"template {split['template'][0]!r} is in {split['len'][0]} folds ({len(split)} such templates); "
            "answers to one template are alike: all of them belong in one fold"
        )
    return problems


def _deal(template: pl.Series, folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Give each template a fold, as equally as can be; the order of the responses does not matter."""
    kinds = template.unique().sort()
    dealt = rng.permutation(len(kinds)) % folds
    return template.replace_strict(kinds, dealt, return_dtype=pl.Int64).to_numpy().astype(np.int64)


def _rows(features: NDArray[Any] | Sequence[Any]) -> NDArray[Any]:
    if isinstance(features, np.ndarray):
        return features
    rows = np.empty(len(features), dtype=object)
    rows[:] = features
    return rows


def _scores(fit: Fit, features: NDArray[Any], people: pl.Series, fold: NDArray[np.int64]) -> Floats:
    known = people.is_not_null().to_numpy()
    scores = []
    for number in np.unique(fold):
        inside, learnt = fold == number, known & (fold != number)
        if not learnt.any():
            raise DataError(
                f"no template outside fold {number} has a label to learn from; label more templates or use "
                "fewer folds"
            )
        predict = fit(features[learnt], people.filter(learnt).to_numpy())
        found = np.asarray(predict(features[inside]), dtype=np.float64)
        if found.ndim not in (1, 2) or len(found) != inside.sum() or not ((found >= 0) & (found <= 1)).all():
            raise DataError(
                f"the annotator fitted without fold {number} gave scores of shape {found.shape} for "
                f"{int(inside.sum())} responses, or some outside 0 to 1; give one probability a response"
            )
        scores.append((inside, found))
    score = np.full((len(fold), *scores[0][1].shape[1:]), np.nan)
    for inside, found in scores:
        score[inside] = found
    return score
