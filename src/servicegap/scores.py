"""Automatic scores beside people's labels, response by response: what a correction is made from.

One annotator's scores are corrected: the one that an analysis would take its labels from. People's labels
count only where they were drawn by chance; where none were, or the annotator learned from them without
folds, there is no correction, and a warning says why.

Not here: the corrected figures (corrected.py), which label counts without a correction (labels.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from servicegap.correction.crossfit import own_label_problems
from servicegap.labels import people_labels, planned_scores, sampling_chances
from servicegap.records import CATEGORIES, OUTCOMES
from servicegap.store import Store
from servicegap.study import Study

#: Annotators that learned from the study's labels are named so; their scores need folds.
FITTED = "fitted"
#: An annotator that scored less than this share of what another did is passed over.
_COVERS = 0.9

_P = {category: f"p_{category}" for category in CATEGORIES}


@dataclass(frozen=True, slots=True)
class Judged:
    """The responses of an analysis with scores and people's labels beside them.

    Attributes
    ----------
    frame : polars.DataFrame
        The columns it was made from and ``people`` (category by people, null = not asked), ``chance`` (of
        being asked, 0 to 1, null = not known), ``automatic`` (the annotator's category), ``fold`` and
        ``p_<category>``. The same rows in the same order.
    annotator, version : str or None
        Whose scores they are; None = nothing can be corrected.
    cross_fitted : bool
        Whether the scores are out of fold.
    warnings : tuple of str
        Why labels of people, or scores, are not used.
    """

    frame: pl.DataFrame
    annotator: str | None
    version: str | None
    cross_fitted: bool
    warnings: tuple[str, ...]


def with_scores(study: Study, store: Store, frame: pl.DataFrame) -> Judged:
    """Put the scores of the plan's annotators and judges, and people's labels, beside responses.

    Parameters
    ----------
    study : Study
    store : Store
    frame : polars.DataFrame
        As :func:`servicegap.labels.labelled_responses` gives it.
    """
    there = frame.select("response")
    people = people_labels(store).join(there, on="response", how="semi")
    scores = planned_scores(study, store).join(there, on="response", how="semi")
    if not people.height or not scores.height:
        return Judged(frame, None, None, False, ())
    known = people.filter(pl.col("probability") > 0)
    if not known.height:
        return Judged(frame, None, None, False, (_not_drawn(people.height),))
    aside = people.height - people["probability"].count()
    warnings = [f"{aside} labels by people were not drawn by chance: they correct nothing"] if aside else []
    warnings += _waiting(store, there)
    templates = frame.select("response", "template")
    chosen, refused = choose_annotator(scores.join(templates, on="response"), people)
    warnings += refused
    if chosen is None:
        return Judged(frame, None, None, False, tuple(warnings))
    own = scores.filter(pl.col("annotator") == chosen)
    fitted = chosen.startswith(FITTED)
    version = own["annotator_version"].drop_nulls().unique(maintain_order=True).to_list()
    return Judged(
        _joined(frame, own, people, sampling_chances(store)),
        chosen,
        ", ".join(version) or None,
        fitted,
        tuple(warnings),
    )


def score_of(frame: pl.DataFrame, outcome: str) -> pl.Series:
    """Return the probability of an outcome by the annotator: the sum over the outcome's categories.

    Where the annotator gave a category without probabilities, it is 0 or 1; null where it abstained.
    """
    inside = [_P[category] for category in CATEGORIES if category in OUTCOMES[outcome]]
    soft = pl.sum_horizontal(pl.col(inside), ignore_nulls=False).clip(0.0, 1.0)
    hard = pl.col("automatic").is_in(list(OUTCOMES[outcome])).cast(pl.Float64)
    return frame.select(score=pl.coalesce(soft, hard))["score"]


def label_of(frame: pl.DataFrame, outcome: str, column: str = "people") -> pl.Series:
    """Return whether a category is of an outcome, as 0 or 1; null where there is none."""
    return frame.select(pl.col(column).is_in(list(OUTCOMES[outcome])).cast(pl.Float64))[column]


def _not_drawn(labels: int) -> str:
    return (
        f"{labels} labels by people were not drawn by chance (no sampling probability is known): they count "
        "for their own responses and correct nothing; draw a random sample with: servicegap annotator plan "
        "DIR --open, and label it with: servicegap serve DIR"
    )


def _waiting(store: Store, there: pl.DataFrame) -> list[str]:
    chances = sampling_chances(store).join(there, on="response", how="semi")
    waiting = int(chances["waiting"].sum())
    if not waiting:
        return []
    return [
        f"{waiting} responses drawn for people have no settled label yet; until they have, those settled are "
        "taken to stand for them, which is doubtful where people disagree"
    ]


def choose_annotator(scores: pl.DataFrame, people: pl.DataFrame) -> tuple[str | None, list[str]]:
    """Choose whose scores are corrected: fitted ones first, then by what an analysis would take.

    Parameters
    ----------
    scores : polars.DataFrame
        As :func:`servicegap.labels.planned_scores` gives them, with each response's ``template``.
    people : polars.DataFrame
        People's labels: ``response, category``.

    Returns
    -------
    (str or None, list of str)
        The annotator, and why others cannot be used.
    """
    refused = []
    found = {}
    for (name,), own in scores.group_by("annotator", maintain_order=True):
        problem = _fold_problem(str(name), own, people) if str(name).startswith(FITTED) else None
        if problem:
            refused.append(problem)
            continue
        found[str(name)] = own["category"].count()
    most = max(found.values(), default=0)
    kept = [name for name, n in found.items() if n >= _COVERS * most]
    # Annotators without probabilities give scores of 0 or 1, whose intervals cover too rarely.
    soft = {name for name in kept if _soft(scores.filter(pl.col("annotator") == name))}
    kept.sort(key=lambda name: (not name.startswith(FITTED), name not in soft, -found[name], name))
    return (kept[0] if kept else None), refused


def _soft(own: pl.DataFrame) -> bool:
    return own[_P["answer"]].count() >= _COVERS * own["category"].count() > 0


def _fold_problem(name: str, own: pl.DataFrame, people: pl.DataFrame) -> str | None:
    advice = "its scores are not corrected by those labels; fit it again"
    if own["fold"].null_count():
        return f"annotator {name} learned from labels of this study and has no fold for some scores: {advice}"
    labels = own.join(people.select("response", people="category"), on="response", how="left")["people"]
    problems = own_label_problems({"label": labels, "fold": own["fold"], "template": own["template"]})
    return f"annotator {name}: {'; '.join(problems)}: {advice}" if problems else None


def _joined(
    frame: pl.DataFrame, own: pl.DataFrame, people: pl.DataFrame, chances: pl.DataFrame
) -> pl.DataFrame:
    beside = frame.join(
        own.select("response", "fold", *_P.values(), automatic="category"), on="response", how="left"
    )
    beside = beside.join(people.select("response", people="category"), on="response", how="left")
    beside = beside.join(chances.select("response", chance="probability"), on="response", how="left")
    # What a provider blocked is known without asking anybody.
    blocked = pl.col("kind").eq_missing(pl.lit("provider")) & pl.col("people").is_null()
    scored = pl.col("automatic").is_not_null()
    folds = pl.col("fold").drop_nulls().first().over("template")
    return beside.with_columns(
        people=pl.when(blocked).then(pl.col("category")).otherwise("people"),
        automatic=pl.when(blocked).then(pl.col("category")).otherwise("automatic"),
        # What was in no drawing had no chance to be asked.
        chance=pl.when(blocked)
        .then(1.0)
        .when(scored & pl.col("chance").is_null() & pl.col("people").is_null())
        .then(0.0)
        .otherwise("chance"),
        fold=pl.col("fold").fill_null(folds).fill_null(pl.format("unscored {}", "template")),
    )
