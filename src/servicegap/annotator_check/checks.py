"""Every automatic annotator and judge of a study against people.

Labels of people are a sample: each counts 1 / its chance of being drawn, as in correction/. Not here: the
corrected gaps (correction/), agreement among people (agreement/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from numpy.typing import NDArray

from servicegap.annotator_check.measured import Measured, confusion_sums, kappas, over_templates
from servicegap.annotator_check.people import (
    Responses,
    WhichLabels,
    read_people,
    read_texts,
)
from servicegap.annotator_check.swapping import MOST_RESPONSES, Judge, swap_names
from servicegap.annotators import create_annotator
from servicegap.annotators.fitted import NAME as FITTED
from servicegap.annotators.fitted import FittedAnnotator
from servicegap.annotators.study_mask import read_mask
from servicegap.correction.annotator_errors import annotator_errors
from servicegap.correction.post_stratification import effective_number, jeffreys
from servicegap.disparity.cells import Floats
from servicegap.errors import InputError
from servicegap.given import read_given
from servicegap.labels import automatic_scores, count_judgements
from servicegap.records import CATEGORIES, OUTCOMES
from servicegap.scores import score_of
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, GOLD_LABELS

#: Parts of the axis from 0 to 1 in which probabilities are compared with what people say.
BINS = 10
#: Imported labels that are compared; of more, so many are drawn.
MOST_IMPORTED = 20_000


def checks(study: Study, store: Store, judgements: pl.DataFrame | None = None) -> list[dict[str, Any]]:
    """Check every automatic annotator and judge of a study against people.

    Parameters
    ----------
    study : Study
    store : Store
    judgements : polars.DataFrame, optional
        What :func:`servicegap.labels.count_judgements` gives, where it is known already.

    Returns
    -------
    list of dict
        One for each annotator, sorted by name: ``annotator, version, kind, labels`` (``gold``: what people
        settled on; ``imported`` where there is none; None = nothing to compare with), ``outcome`` (the
        plan's), ``n_responses, n_labels, notes``; then ``confusion`` (counts of people x annotator, with a
        last column of abstentions), ``kappa``, ``categories`` (precision and recall), ``errors`` (sensitivity
        and specificity for the outcome, by group), ``calibration`` (of the outcome's probability),
        ``swap`` (labels that hang on the name) and ``abstentions`` by group. Figures are proportions; what is
        undefined is None, with a note.
    """
    kinds = _kinds(store)
    if not kinds:
        return []
    labels = _which_labels(store)
    among = _among(labels)
    texts = read_texts(study, store, among)
    people = read_people(store, labels or "gold", among)
    table = texts.join(people, on="response", how="left", maintain_order="left")
    scores = automatic_scores(store, among)
    if judgements is None:
        judgements = count_judgements(store, read_given(study, store, one_by_one=False))
    rng = np.random.default_rng(study.plan.seed)
    found = []
    for name in sorted(kinds):
        own = scores.filter(pl.col("annotator") == name).drop("annotator")
        rows = table.join(own, on="response", how="inner", maintain_order="left")
        if rows.height:
            judged = judgements.filter(pl.col("annotator") == name).drop("annotator").to_dicts()
            found.append(_check(study, store, name, kinds[name], labels, rows, judged, rng))
    return found


def _kinds(store: Store) -> Mapping[str, str]:
    query = sa.select(ANNOTATIONS.c.annotator, ANNOTATIONS.c.kind).distinct()
    with store.reading() as connection:
        found = connection.execute(query.where(ANNOTATIONS.c.kind.in_(("automatic", "judge"))))
        return {row.annotator: row.kind for row in found}


def _which_labels(store: Store) -> WhichLabels | None:
    imported = sa.select(ANNOTATIONS.c.id).where(
        ANNOTATIONS.c.kind == "imported", ANNOTATIONS.c.category.is_not(None)
    )
    with store.reading() as connection:
        if connection.execute(sa.select(GOLD_LABELS.c.response).limit(1)).first():
            return "gold"
        return "imported" if connection.execute(imported.limit(1)).first() else None


def _among(labels: WhichLabels | None) -> Responses:
    """Query the labelled responses, and some more for swapping names.

    Identifiers are content hashes, so the first ones are as good as drawn by lot.
    """
    judged = sa.select(ANNOTATIONS.c.response).where(ANNOTATIONS.c.kind.in_(("automatic", "judge")))
    parts = [judged.distinct().order_by(ANNOTATIONS.c.response).limit(2 * MOST_RESPONSES)]
    if labels == "gold":
        parts.append(sa.select(GOLD_LABELS.c.response))
    elif labels == "imported":
        imported = sa.select(ANNOTATIONS.c.response).where(ANNOTATIONS.c.kind == "imported").distinct()
        parts.append(imported.order_by(ANNOTATIONS.c.response).limit(MOST_IMPORTED))
    together = sa.union(*(sa.select(part.subquery().c.response) for part in parts)).subquery()
    return sa.select(together.c.response)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Responses that people and annotator both gave a category, as positions in CATEGORIES."""

    people: NDArray[np.int64]
    found: NDArray[np.int64]
    template: NDArray[np.object_]
    weight: Floats


def _check(
    study: Study,
    store: Store,
    name: str,
    kind: str | None,
    labels: WhichLabels | None,
    rows: pl.DataFrame,
    abstentions: list[dict[str, Any]],
    rng: np.random.Generator,
) -> dict[str, Any]:
    plan = study.plan.plan
    labelled = rows.filter(pl.col("people").is_not_null())
    notes = (
        [] if labelled.height else ["people have labelled nothing that it judged: nothing to compare with"]
    )
    drawn = labelled["chance"].count()
    if drawn < labelled.height:
        notes.append(
            f"{labelled.height - drawn} of {labelled.height} labels were not drawn by chance and count once "
            "each: figures are of the labelled responses, and of others only as far as those are like them"
        )
    labelled = labelled.with_columns(
        chance=pl.when(pl.col("chance") > 0).then("chance").otherwise(1.0).fill_null(1.0),
        automatic="category",
    )
    compared = _compared(labelled.filter(pl.col("category").is_not_null()))
    version = rows["annotator_version"].drop_nulls().unique(maintain_order=True)
    return {
        "annotator": name,
        "version": ", ".join(version) or None,
        "kind": kind,
        "labels": labels if labelled.height else None,
        "outcome": plan.primary,
        "level": plan.level,
        "n_responses": sum(each["n"] for each in abstentions),
        "n_labels": labelled.height,
        "confusion": _confusion(labelled),
        "kappa": asdict(_kappa(compared, rng, plan.level)),
        "categories": [_of_category(compared, number, plan.level) for number in range(len(CATEGORIES))],
        "errors": _errors(name, labelled, plan.primary, plan.level, notes),
        "calibration": _calibration(labelled, plan.primary, plan.level),
        "swap": asdict(swap_names(rows, read_mask(store), _judge(study, name, str(version[-1])), rng)),
        "abstentions": abstentions,
        "notes": notes,
    }


def _compared(both: pl.DataFrame) -> _Compared:
    number = {category: place for place, category in enumerate(CATEGORIES)}
    people, found = (
        both[column].replace_strict(number, return_dtype=pl.Int64).to_numpy()
        for column in ("people", "category")
    )
    return _Compared(people, found, both["template"].to_numpy().astype(object), 1 / both["chance"].to_numpy())


def _confusion(labelled: pl.DataFrame) -> dict[str, Any]:
    counted = {
        (people, found): n for people, found, n in labelled.group_by("people", "category").len().iter_rows()
    }
    columns = [*CATEGORIES, None]
    return {
        "people": list(CATEGORIES),
        "annotator": [*CATEGORIES, "abstained"],
        "counts": [[counted.get((row, column), 0) for column in columns] for row in CATEGORIES],
    }


def _kappa(compared: _Compared, rng: np.random.Generator, level: float) -> Measured:
    if not len(compared.people):
        return Measured(None, note="there is nothing to compare with")
    sums = confusion_sums(compared.people, compared.found, compared.weight)
    return over_templates(compared.template, sums, lambda totals: kappas(totals)[:, None], rng, level)[0]


def _of_category(compared: _Compared, number: int, level: float) -> dict[str, Any]:
    said, found = compared.people == number, compared.found == number
    return {
        "category": CATEGORIES[number],
        "precision": asdict(
            _share(said[found], compared.weight[found], level, "it gives this to no labelled response")
        ),
        "recall": asdict(
            _share(
                found[said], compared.weight[said], level, "people give this to no response that it judged"
            )
        ),
    }


def _share(right: NDArray[np.bool_], weight: Floats, level: float, none: str) -> Measured:
    """Return a weighted share with its Jeffreys interval on the effective number of labels."""
    if not len(right):
        return Measured(None, note=none)
    size = effective_number(weight)
    share = float(np.average(right, weights=weight))
    limits = jeffreys(share * size, size, level)
    return Measured(share, limits.low, limits.high, len(right))


def _errors(
    name: str, labelled: pl.DataFrame, outcome: str, level: float, notes: list[str]
) -> list[dict[str, Any]]:
    """Sensitivity and specificity for the outcome, by group and for all."""
    rows = labelled.filter(pl.col("group").is_not_null())
    fitted = name == FITTED
    if fitted and rows["fold"].null_count():
        notes.append("some scores have no fold, so they may be by a model that saw the label; fit it again")
        rows = rows.filter(pl.col("fold").is_not_null())
    if not rows.height:
        return []
    found = annotator_errors(
        score_of(rows, outcome),
        rows["people"].is_in(list(OUTCOMES[outcome])),
        rows["chance"],
        rows["group"],
        level=level,
        template=rows["template"],
        fold=rows["fold"] if fitted else None,
        outcome_name=outcome,
    )
    keys = ("kind", "group", "value", "low", "high", "n_responses", "note")
    return [{key: getattr(estimate, key) for key in keys} for estimate in found]


def _calibration(labelled: pl.DataFrame, outcome: str, level: float) -> dict[str, Any]:
    """Compare the outcome's probability with the share that people call so, bin by bin."""
    rows = labelled.filter(pl.col("p_answer").is_not_null())
    if not rows.height:
        return {"bins": [], "error": None, "note": "it gives no probabilities, or nothing is labelled"}
    score = score_of(rows, outcome).to_numpy()
    yes = rows["people"].is_in(list(OUTCOMES[outcome])).to_numpy()
    weight = 1 / rows["chance"].to_numpy()
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    bins, off = [], 0.0
    for number in np.unique(place):
        inside = place == number
        mean = float(np.average(score[inside], weights=weight[inside]))
        share = _share(yes[inside], weight[inside], level, "")
        off += float(weight[inside].sum()) * abs(mean - (share.value or 0.0))
        ends = {"from": round(number / BINS, 2), "to": round((number + 1) / BINS, 2)}
        bins.append({**ends, "mean": mean, **asdict(share)})
    return {"bins": bins, "error": off / float(weight.sum()), "note": None}


def _judge(study: Study, name: str, version: str) -> Judge | None:
    """Return the annotator to be asked again; None for judges, and for one that has changed since."""
    try:
        annotator = create_annotator(name, study.folder)
    except InputError:
        return None
    if annotator.version != version:
        return None
    if isinstance(annotator, FittedAnnotator):
        return lambda template, prompt, text: (
            annotator.annotate_in_fold(annotator.fold(template), prompt, text).category
        )
    return lambda _, prompt, text: annotator.annotate(prompt, text).category
