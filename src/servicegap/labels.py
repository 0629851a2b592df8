"""Which label counts for each response, and the table that the analysis works on.

A response can carry many annotations. The one that counts is, in this order: the gold label of people,
an imported one, a judge's, an automatic one; within a kind the latest. One person's label among several
counts only through the gold label. What a provider blocked has only the provider's.
"""

from __future__ import annotations

import json

import polars as pl
import sqlalchemy as sa

from servicegap.errors import DataError
from servicegap.records import CATEGORIES, Category, Labels
from servicegap.store import Store, latest_responses
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, PROMPTS, ROUND_ITEMS, SIGNALS, TEMPLATES

#: Which kind of label counts before which.
PRECEDENCE = {"imported": 1, "judge": 2, "automatic": 3, "provider": 4}

_SCHEMA = {
    "response": pl.String,
    "model": pl.String,
    "condition": pl.String,
    "sample": pl.Int64,
    "template": pl.String,
    "signal": pl.String,
    "group": pl.String,
    "gender": pl.String,
    "commonness": pl.String,
    "target": pl.String,
    "error_kind": pl.String,
}

_SPELLINGS: dict[str, Category] = {
    **{category: category for category in CATEGORIES},
    "failure_to_answer": "failure",
    "refusal_to_answer": "refusal",
}


def read_category(written: str | None, place: str) -> Category | None:
    """Return the category that a table writes as `written`; None where it is blank.

    Spaces or hyphens for underscores, capitals, and the pilot's long names are accepted.

    Raises
    ------
    DataError
        If it is no category; `place` says where it stands.

    Examples
    --------
    >>> read_category("Harmful refusal", "labels.csv:2")
    'harmful_refusal'
    """
    key = (written or "").strip().lower().replace(" ", "_").replace("-", "_")
    if not key:
        return None
    if key not in _SPELLINGS:
        raise DataError(f"{place}: {written!r} is no category; allowed: {', '.join(CATEGORIES)}, or blank")
    return _SPELLINGS[key]


def labelled_responses(study: Study, store: Store) -> pl.DataFrame:
    """Return one row for each response that the plan asks for and that was asked.

    Returns
    -------
    polars.DataFrame
        Columns ``response, model, condition, sample, template, signal, group, gender, commonness,
        target, error_kind`` and, of the label that counts, ``category, annotator, kind,
        annotator_version``; null where there is none, or its annotator abstained.
    """
    latest = latest_responses()
    # By what was sent, not by the condition's name at the time: a condition can be renamed.
    names = {condition.record().settings: condition.id for condition in study.plan.conditions}
    query = (
        sa.select(
            latest.c.id,
            latest.c.model,
            latest.c.settings,
            latest.c.sample,
            PROMPTS.c.template,
            PROMPTS.c.signal,
            SIGNALS.c.group,
            SIGNALS.c.gender,
            SIGNALS.c.commonness,
            TEMPLATES.c.target,
            latest.c.error_kind,
        )
        .join(PROMPTS, PROMPTS.c.id == latest.c.prompt)
        .join(SIGNALS, SIGNALS.c.text == PROMPTS.c.signal)
        .join(TEMPLATES, TEMPLATES.c.id == PROMPTS.c.template)
        .where(
            latest.c.model.in_([model.id for model in study.plan.models]),
            latest.c.settings.in_(list(names)),
            latest.c.sample < study.plan.samples,
        )
        .order_by(latest.c.id)
    )
    with store.reading() as connection:
        rows = [(row.id, row.model, names[row.settings], *row[3:]) for row in connection.execute(query)]
    responses = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    return responses.join(_counting_labels(store), on="response", how="left", maintain_order="left")


def _counting_labels(store: Store) -> pl.DataFrame:
    superseded = sa.select(ANNOTATIONS.c.supersedes).where(ANNOTATIONS.c.supersedes.is_not(None))
    annotations = sa.select(
        ANNOTATIONS.c.response,
        ANNOTATIONS.c.category,
        ANNOTATIONS.c.annotator,
        ANNOTATIONS.c.kind,
        ANNOTATIONS.c.version,
        ANNOTATIONS.c.id,
    ).where(ANNOTATIONS.c.id.not_in(superseded), ANNOTATIONS.c.kind != "human")
    gold = sa.select(GOLD_LABELS.c.response, GOLD_LABELS.c.category, GOLD_LABELS.c.source)
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(annotations)]
        rows += [(*row, "human", None, -1) for row in connection.execute(gold)]
    schema = {
        "response": pl.String,
        "category": pl.String,
        "annotator": pl.String,
        "kind": pl.String,
        "annotator_version": pl.String,
        "id": pl.Int64,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    precedence = (
        pl.when(pl.col("id") == -1)
        .then(0)
        .otherwise(pl.col("kind").replace_strict(PRECEDENCE, default=9, return_dtype=pl.Int64))
    )
    return (
        frame.with_columns(precedence=precedence)
        .sort(["precedence", "id"], descending=[False, True])
        .unique("response", keep="first", maintain_order=True)
        .drop("precedence", "id")
    )


def sampling_chances(store: Store) -> pl.DataFrame:
    """Return the chance that people would be asked about each response that could be drawn.

    Returns
    -------
    polars.DataFrame
        ``response, probability`` (0 to 1, of being drawn in one round or another and labelled) and
        ``waiting``: drawn, but without a settled label yet. Where a part of a stratum is waiting, chances are
        lowered by its share: those settled then stand for it. Without rows where nothing was ever drawn.
    """
    items = sa.select(ROUND_ITEMS.c.response, ROUND_ITEMS.c.round, *_SAMPLED)
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(items)]
        settled = list(connection.execute(sa.select(GOLD_LABELS.c.response)).scalars())
    schema = {"response": pl.String, "round": pl.Int64, "stratum": pl.String, "probability": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema | {"drawn": pl.Boolean}, orient="row")
    of_response = (
        frame.sort("round", "stratum")
        .group_by("response", maintain_order=True)
        .agg(
            # Of being drawn in at least one of the rounds.
            probability=1 - (1 - pl.col("probability")).product(),
            drawn=pl.col("drawn").any(),
            stratum=pl.format("{}:{}", "round", "stratum").str.join(" "),
        )
    )
    waiting = pl.col("drawn") & ~pl.col("response").is_in(settled)
    done = 1 - pl.col("waiting").sum().over("stratum") / pl.col("drawn").sum().over("stratum")
    return (
        of_response.with_columns(waiting=waiting)
        .with_columns(probability=pl.col("probability") * done.fill_nan(1.0))
        .select("response", "probability", "waiting")
        .sort("response")
    )


_SAMPLED = (ROUND_ITEMS.c.stratum, ROUND_ITEMS.c.probability, ROUND_ITEMS.c.drawn)


def people_labels(store: Store) -> pl.DataFrame:
    """Return what people settled on, and the chance that they would be asked.

    Returns
    -------
    polars.DataFrame
        ``response, category, source, probability``: the gold labels; ``probability`` (0 to 1) is the known
        chance that the response would be drawn and labelled in one round or another, null where it was not
        drawn by chance (labels from a file, say).
    """
    gold = sa.select(GOLD_LABELS.c.response, GOLD_LABELS.c.category, GOLD_LABELS.c.source)
    with store.reading() as connection:
        labels = [tuple(row) for row in connection.execute(gold)]
    schema = dict.fromkeys(("response", "category", "source"), pl.String)
    chances = sampling_chances(store).select("response", "probability")
    return (
        pl.DataFrame(labels, schema=schema, orient="row")
        .join(chances, on="response", how="left")
        .sort("response")
    )


def automatic_scores(store: Store, among: sa.Select[tuple[str]] | None = None) -> pl.DataFrame:
    """Return the latest automatic judgement of each response, with its probabilities.

    Parameters
    ----------
    store : Store
    among : Select, optional
        A query of responses: only of these. All, without it.

    Returns
    -------
    polars.DataFrame
        ``response, annotator, annotator_version, category, fold`` and, for each category, ``p_<category>`` (0
        to 1, summing to 1); null where the annotator abstained or has no probabilities. ``fold`` is set where
        an annotator fitted on the study's labels scored the response out of fold. One row for each response
        and annotator (kinds automatic and judge), its latest version.
    """
    query = (
        sa.select(
            ANNOTATIONS.c.response,
            ANNOTATIONS.c.annotator,
            ANNOTATIONS.c.version,
            ANNOTATIONS.c.category,
            ANNOTATIONS.c.note,
            ANNOTATIONS.c.probabilities,
        )
        .where(ANNOTATIONS.c.kind.in_(("automatic", "judge")))
        .order_by(ANNOTATIONS.c.id)
    )
    if among is not None:
        query = query.where(ANNOTATIONS.c.response.in_(among))
    columns = [f"p_{category}" for category in CATEGORIES]
    with store.reading() as connection:
        rows = [
            (*row[:4], _fold(row[4]), *(json.loads(row[5]) if row[5] else [None] * len(columns)))
            for row in connection.execute(query)
        ]
    schema: dict[str, type[pl.DataType]] = dict.fromkeys(
        ("response", "annotator", "annotator_version", "category", "fold"), pl.String
    )
    schema |= dict.fromkeys(columns, pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row").unique(
        ["response", "annotator"], keep="last", maintain_order=True
    )


def _fold(note: str | None) -> str | None:
    """Read the fold that an annotator fitted on the study's labels notes: ``{"fold": 3}``."""
    if not note or not note.startswith("{"):
        return None
    try:
        fold = json.loads(note).get("fold")
    except ValueError:
        return None
    return None if fold is None else str(fold)


def kind_of_labels(frame: pl.DataFrame) -> Labels | None:
    """Return who labelled, as estimates say it; one automatic label makes all uncorrected."""
    kinds = set(frame["kind"].unique().drop_nulls()) - {"provider"}
    if kinds & {"automatic", "judge"}:
        return "automatic-uncorrected"
    if "imported" in kinds:
        return "imported"
    return "human" if kinds else None
