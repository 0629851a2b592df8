"""How a fitted annotator learns from people's labels: scikit-learn, and what keeps it from overrating itself.

It starts from the default annotator: a regression on its probabilities and on words is pooled with it. How
far the pool leaves the default is decided on templates that the regression did not see: no further than the
labels give evidence for. Not here: scores for correction (correction/crossfit.py), files (fitted.py).

References
----------
Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, sections 7.10 (the
one-standard-error rule) and 8.8 (stacking). Guo et al. (2017), ICML, section 4.2 (temperature scaling).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from servicegap.annotators.text_model import FLOOR, TextModel, terms
from servicegap.disparity.cells import Floats
from servicegap.errors import DataError, ServicegapError
from servicegap.records import CATEGORIES

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

#: Labels without which there is nothing to learn from.
FEWEST_LABELS = 50
#: Templates with labels; each is left out once to choose how far to leave the default.
FEWEST_TEMPLATES = 4

_INNER_FOLDS = 5
_FEWEST_OF_CATEGORY = 5
_PENALTY = 1.0  # inverse strength of the ridge on all weights
_TERM_SCALE = 4.0  # makes a text weigh about as much as the default's log probabilities
_FEWEST_RESPONSES_WITH_TERM = 3
_MOST_TERMS = 1500
_SHARES = np.linspace(0.0, 1.0, 21)
_TEMPERATURES = np.exp2(np.linspace(-1, 1, 17))
_BEYOND_DOUBT = 4.0
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learned from, one entry a response.

    Attributes
    ----------
    text : (n,) object
        The response, signals masked.
    default : (n, 6) float
        The default annotator's probabilities.
    template : (n,) object
    weight : (n,) float
        How many responses each stands for, in relation to the others: 1 / its chance of being labelled.
    """

    text: NDArray[Any]
    default: Floats
    template: NDArray[Any]
    weight: Floats

    def take(self, rows: NDArray[Any]) -> Lessons:
        """Return some of the responses."""
        return Lessons(self.text[rows], self.default[rows], self.template[rows], self.weight[rows])


def require_scikit_learn() -> None:
    """Say how to get scikit-learn where it is not there.

    Raises
    ------
    ServicegapError
    """
    try:
        import sklearn  # noqa: F401, PLC0415
    except ImportError as error:
        raise ServicegapError(
            "scikit-learn is not installed; fitting needs it (labelling with what was fitted does not): "
            "pip install 'servicegap[fit]'"
        ) from error


def learn(lessons: Lessons, category: NDArray[np.int64]) -> TextModel:
    """Fit the regression, and choose share and temperature on templates that it did not see.

    Parameters
    ----------
    lessons : Lessons
    category : (n,) int
        What people say, as positions in ``records.CATEGORIES``.

    Raises
    ------
    DataError
        One category or template only: nothing can be learned.
    """
    if len(np.unique(category)) < 2 or len(np.unique(lessons.template.astype(str))) < 2:
        raise DataError(*lesson_problems(lessons.template, category))
    require_scikit_learn()
    with threadpool_limits(1):
        unseen = _inner_scores(lessons, category)
        regression = _regress(lessons, category)
    default = _with_floor(lessons.default)
    share = _choose_share(unseen, default, lessons, category)
    temperature = _choose_temperature(_pool(unseen, default, share), category, lessons)
    return regression.model(share, temperature)


def lesson_problems(template: Sequence[Any] | NDArray[Any], category: NDArray[np.int64]) -> list[str]:
    """Tell why labels are too few to learn from."""
    problems = []
    if len(category) < FEWEST_LABELS:
        problems.append(f"{len(category)} labels to learn from; give {FEWEST_LABELS} or more (300 is usual)")
    if len(set(template)) < FEWEST_TEMPLATES:
        problems.append(
            f"the labels are of {len(set(template))} templates; give {FEWEST_TEMPLATES} or more, as what is "
            "learned is tried on templates that were left out"
        )
    if len(category) and len(np.unique(category)) < 2:
        problems.append(
            f"people give one category only ({CATEGORIES[category[0]]}); two or more are needed to learn from"
        )
    return problems


@dataclass(frozen=True, slots=True)
class _Regression:
    """A fitted regression as scikit-learn has it; `words` is None where no term is frequent enough."""

    words: TfidfVectorizer | None
    logistic: LogisticRegression

    def model(self, share: float, temperature: float) -> TextModel:
        """Return what it knows as numbers and words."""
        weights, intercept = self.logistic.coef_, self.logistic.intercept_
        if len(weights) == 1:  # two categories: one row of weights, for the second
            weights, intercept = np.vstack([-weights / 2, weights / 2]), np.r_[-intercept / 2, intercept / 2]
        n = len(CATEGORIES)
        return TextModel(
            terms=tuple(self.words.get_feature_names_out().tolist()) if self.words else (),
            idf=_rounded(self.words.idf_) if self.words else (),
            term_scale=_TERM_SCALE,
            categories=tuple(self.logistic.classes_.tolist()),
            intercept=_rounded(intercept),
            default_weights=tuple(map(_rounded, weights[:, :n])),
            term_weights=tuple(map(_rounded, weights[:, n:])),
            share=share,
            temperature=temperature,
        )

    def scores(self, lessons: Lessons) -> Floats:
        """Return the regression's probabilities of the six categories."""
        found, known = lessons.default.copy(), self.logistic.classes_
        given = self.logistic.predict_proba(_features(self.words, lessons))
        found[:, known] = given * found[:, known].sum(axis=1, keepdims=True)
        return _with_floor(found)


def _regress(lessons: Lessons, category: NDArray[np.int64]) -> _Regression:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - the extra `fit`
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    vectorizer = TfidfVectorizer(
        analyzer=terms,
        sublinear_tf=True,
        min_df=min(_FEWEST_RESPONSES_WITH_TERM, len(lessons.text)),
        max_features=_MOST_TERMS,
    )
    words: TfidfVectorizer | None
    try:
        words = vectorizer.fit(lessons.text)
    except ValueError:  # no term is in so many responses: there are the default's probabilities alone
        words = None
    known = _often(category)
    part = lessons.take(known)
    logistic = LogisticRegression(C=_PENALTY, max_iter=1000)
    logistic.fit(_features(words, part), category[known], sample_weight=part.weight / part.weight.mean())
    return _Regression(words, logistic)


def _often(category: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which labels are of a category that can be learned: the others are left to the default."""
    counts = np.bincount(category, minlength=len(CATEGORIES))
    often = counts >= _FEWEST_OF_CATEGORY
    return np.asarray((often if often.sum() > 1 else counts > 0)[category], dtype=np.bool_)


def _features(words: TfidfVectorizer | None, lessons: Lessons) -> Any:
    from scipy.sparse import csr_array, hstack  # noqa: PLC0415

    logs = csr_array(np.log(_with_floor(lessons.default)))
    return hstack([logs, _TERM_SCALE * words.transform(lessons.text)], format="csr") if words else logs


def _inner_scores(lessons: Lessons, category: NDArray[np.int64]) -> Floats:
    """Return scores by regressions that did not see the response's template; NaN where there was none."""
    kinds, place = np.unique(lessons.template.astype(str), return_inverse=True)
    # Largest templates first, each to the fold with the fewest labels.
    size = np.bincount(place)
    fold_of, held = np.zeros(len(kinds), dtype=np.int64), np.zeros(min(_INNER_FOLDS, len(kinds)))
    for template in np.argsort(-size, kind="stable"):
        fold_of[template] = int(np.argmin(held))
        held[fold_of[template]] += size[template]
    fold = fold_of[place]
    scores = np.full((len(place), len(CATEGORIES)), np.nan)
    for number in range(len(held)):
        inside = fold == number
        if len(np.unique(category[~inside])) > 1:
            scores[inside] = _regress(lessons.take(~inside), category[~inside]).scores(lessons.take(inside))
    return np.where(np.isnan(scores), _with_floor(lessons.default), scores)


def _choose_share(unseen: Floats, default: Floats, lessons: Lessons, category: NDArray[np.int64]) -> float:
    """Return the share that brings half of what the best one does; more only where that is beyond doubt.

    What is best for a few dozen templates is too much for others, and half of it is had for a third of the
    way. A share is worse beyond doubt if templates agree: by three standard errors over them.
    """
    losses = np.array([_loss(_pool(unseen, default, share), category) for share in _SHARES])
    mean = losses @ (lessons.weight / lessons.weight.sum())
    best = int(np.argmin(mean))
    enough = mean <= mean[0] - (mean[0] - mean[best]) / 2
    not_worse = [_excess(own - losses[best], lessons) <= _BEYOND_DOUBT for own in losses]
    return float(_SHARES[int(np.argmax(enough & np.array(not_worse)))])


def _choose_temperature(pooled: Floats, category: NDArray[np.int64], lessons: Lessons) -> float:
    """Return the temperature nearest to 1 that is within one standard error, over templates, of the best."""
    losses = np.array([_loss(_sharpened(pooled, each), category) for each in _TEMPERATURES])
    best = losses[int(np.argmin(losses @ lessons.weight))]
    for number in np.argsort(np.abs(np.log(_TEMPERATURES)), kind="stable"):
        if _excess(losses[number] - best, lessons) <= 1:
            break
    return float(_TEMPERATURES[number])


def _excess(worse: Floats, lessons: Lessons) -> float:
    """Return a weighted sum over responses in standard errors over templates; 0 where nothing is worse."""
    place = np.unique(lessons.template.astype(str), return_inverse=True)[1]
    by_template = np.bincount(place, weights=worse * lessons.weight)
    error = float(np.sqrt(len(by_template) * by_template.var(ddof=1)))
    return float(by_template.sum()) / error if error > 0 else 0.0


def _loss(probabilities: Floats, category: NDArray[np.int64]) -> Floats:
    loss: Floats = -np.log(probabilities[np.arange(len(category)), category])
    return loss


def _pool(own: Floats, default: Floats, share: float) -> Floats:
    return _normal(np.exp(share * np.log(own) + (1 - share) * np.log(default)))


def _sharpened(probabilities: Floats, temperature: float) -> Floats:
    return _normal(probabilities ** (1 / temperature))


def _normal(shares: Floats) -> Floats:
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)


def _with_floor(probabilities: Floats) -> Floats:
    return np.asarray(FLOOR + probabilities * (1 - FLOOR * len(CATEGORIES)), dtype=np.float64)


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), _DIGITS) for value in values)
