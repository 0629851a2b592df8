"""The table that the analysis works on, and the labels of people and of machines beside one another.

Not here: which of several labels counts (given.py).
"""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import sqlalchemy as sa

from servicegap.counting import prompts
from servicegap.errors import DataError
from servicegap.given import Given, labels_that_count, plan_order, read_given
from servicegap.records import CATEGORIES, CONTROL, Category, Labels
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, ROUND_ITEMS

_PROMPT = pl.col("prompt").cast(pl.Categorical)
_COLUMNS = (
    *("response", "model", "condition", "sample", "template", "signal", "group", "gender", "commonness"),
    *("target", "error_kind", "category", "annotator", "kind", "annotator_version"),
)

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
        target, error_kind`` and, of the label that counts (:mod:`servicegap.given`), ``category, annotator,
        kind, annotator_version``; null where there is none, or its annotator abstained. Sorted by response.
    """
    return label_each(store, read_given(study, store, one_by_one=True))


def label_each(store: Store, given: Given) -> pl.DataFrame:
    """Return the rows of :func:`labelled_responses`, from what was read one by one."""
    return (
        given.responses.join(prompts(store).with_columns(_PROMPT), on="prompt")
        .join(labels_that_count(given), on="response", how="left")
        .with_columns(pl.col(pl.Categorical).cast(pl.String), pl.col("sample").cast(pl.Int64))
        .select(*_COLUMNS)
        .sort("response")
    )


def counted_responses(store: Store, given: Given) -> pl.DataFrame:
    """Return the rows of :func:`labelled_responses` without what tells them apart.

    Returns
    -------
    polars.DataFrame
        One row a response: ``model, condition, template, signal, group, gender, commonness, target,
        error_kind, category, annotator, kind, annotator_version``, in no order.
    """
    counts = pl.concat(
        part.responses.join(labels_that_count(part), on="response", how="left")
        .drop("response")
        .group_by(pl.all())
        .len()
        for part in given.parts()
    )
    # Few different words stand in many rows: as categories they cost 4 bytes a row.
    about = prompts(store).with_columns(pl.col(pl.String).cast(pl.Categorical))
    frame = counts.join(about, on="prompt").drop("prompt")
    return frame.drop("len")[np.repeat(np.arange(frame.height, dtype=np.uint32), frame["len"].to_numpy())]


def count_judgements(store: Store, given: Given) -> pl.DataFrame:
    """Count the responses that each annotator and judge labelled or abstained on, of the plan or not.

    Returns
    -------
    polars.DataFrame
        ``annotator, group, n, abstained``, by each annotator's last label of a response; ``group`` is
        CONTROL where there is no signal. Sorted by both.
    """
    about = prompts(store).select(_PROMPT, "group")
    return (
        pl.concat(_judgements_of(part) for part in given.parts())
        .join(about, on="prompt")
        .group_by(pl.col("annotator").cast(pl.String), pl.col("group").fill_null(CONTROL))
        .agg(pl.col("n", "abstained").sum().cast(pl.Int64))
        .sort("annotator", "group")
    )


def _judgements_of(part: Given) -> pl.DataFrame:
    own = part.annotations.filter(pl.col("kind").is_in(["automatic", "judge"]))
    if own["response"].n_unique() < own.height:
        own = own.sort("id", descending=True).unique(["response", "annotator"], keep="first")
    return (
        own.select("response", "annotator", abstained=pl.col("category").is_null())
        .join(part.responses.select("response", "prompt"), on="response")
        .group_by("annotator", "prompt")
        .agg(n=pl.len(), abstained=pl.col("abstained").sum())
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


def planned_scores(study: Study, store: Store) -> pl.DataFrame:
    """Return `automatic_scores` by the annotators and judges of the plan, whose labels count first, first."""
    order = plan_order(study)
    scores = automatic_scores(store).filter(pl.col("annotator").is_in(list(order)))
    rank = pl.col("annotator").replace_strict(order, return_dtype=pl.Int64)
    return scores.sort(rank, maintain_order=True)


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
