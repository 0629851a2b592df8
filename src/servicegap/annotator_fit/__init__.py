"""Fitting an annotator on a study's own labels: cross-fitted by template, compared, kept with its card.

Not here: how it learns (annotators/learning.py) and judges (annotators/fitted.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from servicegap import __version__
from servicegap.annotate import annotate_with
from servicegap.annotator_check.people import WhichLabels, read_people, read_texts
from servicegap.annotator_fit.card import Card
from servicegap.annotator_fit.comparison import compare
from servicegap.annotators.fitted import FittedModels, fitted_folder, load_fitted, save_fitted
from servicegap.annotators.learning import Lessons, learn, lesson_problems, require_scikit_learn
from servicegap.annotators.offline import OfflineAnnotator
from servicegap.annotators.study_mask import read_mask
from servicegap.annotators.text_model import TextModel
from servicegap.annotators.unlabelled import Annotated
from servicegap.correction.crossfit import CrossFitted, crossfit_scores
from servicegap.disparity.cells import Floats
from servicegap.errors import DataError
from servicegap.records import CATEGORIES, content_hash
from servicegap.store import Store
from servicegap.study import Study, now, write_json_whole, write_text_whole

FOLDS = 6
#: Changes when what is learned from the same labels does.
_METHOD = "1"


@dataclass(frozen=True, slots=True)
class Fitted:
    """The card, and how many responses of the study were annotated with it."""

    card: Card
    annotated: Annotated


@dataclass(frozen=True, slots=True)
class _Responses:
    """The responses that the default annotator can read.

    ``table`` has ``response, template, group, people, source, chance``; ``people`` null = not asked.
    """

    table: pl.DataFrame
    lessons: Lessons
    category: NDArray[np.float64]
    n_left_out: int

    @property
    def labelled(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.category)


def fit_annotator(
    study: Study, store: Store, *, labels: WhichLabels = "gold", folds: int | None = None
) -> Fitted:
    """Fit an annotator on people's labels, keep it, and annotate the study with it out of fold.

    Parameters
    ----------
    study : Study
    store : Store
    labels : {"gold", "imported"}
        ``imported`` learns from labels that came with an import, too.
    folds : int, optional
        Into how many parts the templates are dealt; by default 6, or as many as there are templates.

    Raises
    ------
    DataError
        Too few labels, templates or categories; every reason is told.
    ServicegapError
        Without scikit-learn.
    """
    require_scikit_learn()
    read = _read(study, store, labels)
    _check(study, read, labels)
    n_folds = min(FOLDS, read.table["template"].n_unique()) if folds is None else folds
    rng = np.random.default_rng(study.plan.seed)
    models: list[TextModel] = []
    crossed = _cross_fit(read, n_folds, rng, models)
    data_hash = _data_hash(read)
    default = OfflineAnnotator()
    fitted = FittedModels(
        version=content_hash(data_hash, str(n_folds), str(study.plan.seed), default.version, _METHOD),
        default_version=default.version,
        fold_of_template=dict(zip(read.table["template"].to_list(), crossed.fold.tolist(), strict=True)),
        models=tuple(models),
    )
    card = _card(read, fitted, crossed.score, data_hash, labels, rng)
    folder = fitted_folder(study.folder, fitted.version)
    write_json_whole(folder / "card.json", card)
    write_text_whole(folder / "card.md", card.markdown())
    save_fitted(study.folder, fitted)
    return Fitted(card, annotate_with(study, store, load_fitted(study.folder)))


def _read(study: Study, store: Store, labels: WhichLabels) -> _Responses:
    texts = read_texts(study, store)
    if texts.is_empty():
        raise DataError(
            f"{study.folder}: no response to label; ask the models first: servicegap collect {study.folder}"
        )
    table = texts.join(read_people(store, labels), on="response", how="left", maintain_order="left")
    mask, default = read_mask(store), OfflineAnnotator()
    masked = [
        (mask.apply(prompt), mask.apply(text)) for prompt, text in table.select("prompt", "text").rows()
    ]
    judged = [default.annotate(prompt, text).probabilities for prompt, text in masked]
    readable = np.array([each is not None for each in judged])
    left_out = table.filter(~pl.Series(readable))["people"].count()
    table = table.drop("prompt", "text").filter(pl.Series(readable))
    chance = table["chance"].fill_null(1.0).to_numpy()
    lessons = Lessons(
        text=np.array([text for _, text in masked], dtype=object)[readable],
        default=np.array([each for each in judged if each is not None]).reshape(-1, len(CATEGORIES)),
        template=table["template"].to_numpy().astype(object),
        # A label that nobody could have drawn stands for itself.
        weight=1 / np.where(chance > 0, chance, 1.0),
    )
    place = {category: float(number) for number, category in enumerate(CATEGORIES)}
    category = table["people"].replace_strict(place, default=None, return_dtype=pl.Float64)
    return _Responses(table, lessons, category.to_numpy().astype(np.float64), left_out)


def _check(study: Study, read: _Responses, labels: WhichLabels) -> None:
    known = read.labelled
    problems = lesson_problems(read.lessons.template[known], read.category[known].astype(np.int64))
    if not problems:
        return
    more = (
        f"label more with: servicegap serve {study.folder}; where no round is open, open one with: "
        f"servicegap annotator plan {study.folder} --open"
    )
    if labels == "gold":
        more += "; or learn from labels that were imported, too: --labels imported"
    raise DataError(*(f"{study.folder}: {problem}" for problem in problems), f"{study.folder}: {more}")


def _cross_fit(
    read: _Responses, folds: int, rng: np.random.Generator, models: list[TextModel]
) -> CrossFitted:
    """Learn fold by fold; the models are added to `models` in the order of the folds."""
    lessons = read.lessons

    def fit(rows: NDArray[Any], category: NDArray[Any]) -> Callable[[NDArray[Any]], Floats]:
        model = learn(lessons.take(rows), category.astype(np.float64).astype(np.int64))
        models.append(model)
        return lambda others: np.array(
            [model.probabilities(lessons.default[row], lessons.text[row]) for row in others]
        )

    rows = np.arange(len(lessons.text))
    return crossfit_scores(fit, rows, read.category, read.table["template"], folds, rng)


def _data_hash(read: _Responses) -> str:
    known = read.table.filter(pl.Series(read.labelled)).select("response", "people", "chance").rows()
    texts = read.lessons.text[read.labelled]
    parts = [f"{row[0]} {row[1]} {row[2]} {text}" for row, text in zip(known, texts, strict=True)]
    return content_hash(*parts)


def _card(
    read: _Responses,
    fitted: FittedModels,
    scores: Floats,
    data_hash: str,
    labels: WhichLabels,
    rng: np.random.Generator,
) -> Card:
    known = read.table.filter(pl.Series(read.labelled))
    groups = known["group"].to_numpy()
    counted = dict(known["people"].value_counts().rows())

    def compared(rows: NDArray[np.bool_], group: str | None) -> Any:
        inside = np.flatnonzero(read.labelled)[rows]
        lessons = read.lessons.take(inside)
        people = read.category[inside].astype(np.int64)
        return compare(scores[inside], lessons.default, people, lessons.template, lessons.weight, rng, group)

    return Card(
        name="fitted",
        version=fitted.version,
        created=now(),
        servicegap=__version__,
        default=OfflineAnnotator.name,
        default_version=fitted.default_version,
        scikit_learn=version_of("scikit-learn"),
        data_hash=data_hash,
        labels=labels,
        n_labels=known.height,
        n_templates=known["template"].n_unique(),
        n_left_out=read.n_left_out,
        n_folds=len(fitted.models),
        by_category={category: counted.get(category, 0) for category in CATEGORIES},
        by_source=dict(known["source"].value_counts().sort("source").rows()),
        shares=tuple(model.share for model in fitted.models),
        temperatures=tuple(model.temperature for model in fitted.models),
        comparison=(
            compared(np.ones(known.height, dtype=np.bool_), None),
            *(
                compared(np.asarray(groups == group, dtype=np.bool_), group)
                for group in sorted({group for group in groups if group is not None})
            ),
        ),
    )
