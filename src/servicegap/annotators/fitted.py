"""An annotator fitted on a study's own labels, as it is kept and used.

For each fold of the study's templates there is a model that learned from the labels of the other folds. A
response is judged by the model of its template's fold, so that no label ever corrects a score that it
taught; what belongs to no template of the study is judged by all models together. Not here: how they learn
(learning.py), the fitting of a study (annotator_fit/).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from servicegap.annotators.offline import OfflineAnnotator
from servicegap.annotators.protocol import Judgement
from servicegap.annotators.text_model import TextModel
from servicegap.errors import InputError, StudyError
from servicegap.records import CATEGORIES, AnnotatorKind, content_hash
from servicegap.study import write_text_whole

NAME: Final = "fitted"
FORMAT = 1


class FittedModels(BaseModel):
    """What the file of a fitted annotator holds: the models by fold, and which fold a template is in.

    ``default_version`` is of the default annotator whose probabilities they were fitted on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: int = Field(default=FORMAT, ge=1, le=FORMAT)
    version: str
    default_version: str
    fold_of_template: dict[str, int]
    models: tuple[TextModel, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _folds_exist(self) -> FittedModels:
        if not all(0 <= fold < len(self.models) for fold in self.fold_of_template.values()):
            raise ValueError("a template is in a fold that has no model; the file is damaged")
        return self


class FittedAnnotator:
    """Labels responses by models fitted on a study's own labels; abstains where the default does."""

    name: str = NAME
    kind: AnnotatorKind = "automatic"

    def __init__(self, fitted: FittedModels) -> None:
        self.version = fitted.version
        self._fitted = fitted
        self._default = OfflineAnnotator()

    def annotate(self, prompt: str, response: str) -> Judgement:
        """Judge a response that belongs to no template of the study: the mean of all models."""
        return self._judge(prompt, response, self._fitted.models)

    def annotate_in_fold(self, fold: int, prompt: str, response: str) -> Judgement:
        """Judge a response by the model that saw no label of the fold that its template is in."""
        return self._judge(prompt, response, self._fitted.models[fold : fold + 1])

    def fold(self, template: str) -> int:
        """Return a template's fold; one that was not there when the models were fitted gets one for good."""
        known = self._fitted.fold_of_template.get(template)
        return int(content_hash(template), 16) % len(self._fitted.models) if known is None else known

    def _judge(self, prompt: str, response: str, models: tuple[TextModel, ...]) -> Judgement:
        default = self._default.annotate(prompt, response)
        if default.probabilities is None:
            return default
        each = [model.probabilities(default.probabilities, response) for model in models]
        mean = tuple(sum(column) / len(each) for column in zip(*each, strict=True))
        return Judgement(CATEGORIES[max(range(len(mean)), key=mean.__getitem__)], mean)


def fold_note(fold: int) -> str:
    """Return how an annotation notes the fold of its response.

    Examples
    --------
    >>> fold_note(3)
    '{"fold": 3}'
    """
    return json.dumps({"fold": fold})


def fitted_folder(study: Path, version: str) -> Path:
    """Return where a study keeps the fitted annotator of a version, with its card."""
    return study / "annotators" / f"{NAME}-{version}"


def save_fitted(study: Path, fitted: FittedModels) -> None:
    """Keep a fitted annotator in a study's folder, and make it the one that ``fitted`` means."""
    write_text_whole(fitted_folder(study, fitted.version) / "model.json", fitted.model_dump_json() + "\n")
    write_text_whole(_pointer(study), json.dumps({"version": fitted.version}) + "\n")


def load_fitted(study: Path | None) -> FittedAnnotator:
    """Return the annotator that was fitted last in a study's folder.

    Raises
    ------
    StudyError
        If none was, or it was fitted on another version of the default annotator.
    InputError
        If its file is damaged.
    """
    if study is None:
        raise InputError(
            f"annotators: {NAME!r} belongs to a study; use it in the study.yaml of the study it was fitted in"
        )
    if not _pointer(study).is_file():
        raise StudyError(
            f"{study}: no annotator is fitted yet; fit one on the study's labels with: "
            f"servicegap annotator fit {study}"
        )
    path = _pointer(study)
    try:
        version = str(json.loads(path.read_text(encoding="utf-8"))["version"])
        path = fitted_folder(study, version) / "model.json"
        fitted = FittedModels.model_validate_json(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise InputError(
            f"{path}: cannot be read as a fitted annotator: {reason}; fit it again with: "
            f"servicegap annotator fit {study}"
        ) from error
    if fitted.default_version != OfflineAnnotator.version:
        raise StudyError(
            f"{path}: fitted on version {fitted.default_version} of the default annotator, this is version "
            f"{OfflineAnnotator.version}; fit it again with: servicegap annotator fit {study}"
        )
    return FittedAnnotator(fitted)


def _pointer(study: Path) -> Path:
    return study / "annotators" / f"{NAME}.json"
