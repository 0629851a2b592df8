"""The stage *analyse*: labels -> cells -> every planned estimate -> results.json.

What is estimated is in estimates.py, how in disparity/; here the results get their context: the plan
and what became of it, the design and what it can detect, who labelled, what is missing, provenance.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from servicegap import __version__
from servicegap.annotator_check import checks
from servicegap.annotators.judge_run import read_judges
from servicegap.calls import Design
from servicegap.codebook import BUILT_IN, own_codebook
from servicegap.context import (
    annotators,
    collection_counts,
    corrections,
    kind_of_findings,
    plan_context,
    study_design,
    table_design,
    warnings,
)
from servicegap.estimates import Estimated, estimate_all
from servicegap.formats.table import read_table
from servicegap.given import read_given
from servicegap.labels import count_judgements, counted_responses, kind_of_labels, label_each
from servicegap.measures import estimate_measure, word_gaps
from servicegap.people_agreement import agreement_of_people
from servicegap.provenance import read_runs
from servicegap.records import content_hash
from servicegap.scored_table import estimate_scored
from servicegap.scores import Judged, with_scores
from servicegap.store import Store, read_meta
from servicegap.study import AnalysisPlan, Study, now
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, RESPONSES, ROUND_ITEMS, TOXICITY
from servicegap.toxicity.measured import Toxicity, toxicity_of_study

#: One more whenever what is read from results.json is not in an older one.
RESULTS_SCHEMA = 2


def analyse(study: Study, store: Store, design: Design) -> dict[str, Any]:
    """Return what results.json holds for a study.

    Raises
    ------
    DataError
        If there is nothing to analyse.
    """
    read = _read(study, store)
    judged, frame, plan = read.judged, read.judged.frame, study.plan.plan
    runs = read_runs(store)
    collection = collection_counts(study, design, frame)
    found = estimate_all(frame, plan, cross_fitted=judged.cross_fitted)
    estimates = [*found.estimates, *word_gaps(study, store, plan)]
    return {
        "schema": RESULTS_SCHEMA,
        "version": __version__,
        "title": study.plan.title or study.folder.resolve().name,
        "created": now(),
        "inputs": inputs_hash(study, store),
        "plan": plan_context(study, store),
        "design": study_design(study, design),
        "labels": {
            "kind": kind_of_findings(found.estimates) or kind_of_labels(frame),
            "annotators": annotators(frame),
            "correction": corrections(judged, found.estimates),
            # What each was told and with which settings: a judge's label cannot be read without.
            "judges": read_judges(store),
        },
        "agreement": agreement_of_people(study, store, plan),
        "annotator_check": checks(study, store, read.judgements),
        "collection": collection,
        "estimates": [asdict(estimate) for estimate in estimates],
        "toxicity": [asdict(each) for each in read.toxicity],
        "remarks": [asdict(remark) for remark in found.remarks],
        "warnings": [*design.warnings, *warnings(frame, collection, runs), *judged.warnings, *found.doubts],
        "provenance": runs,
    }


@dataclass(frozen=True, slots=True)
class _Read:
    """The labelled responses, how many each annotator judged, and what toxicity scorers gave them."""

    judged: Judged
    judgements: pl.DataFrame
    toxicity: list[Toxicity]


def _read(study: Study, store: Store) -> _Read:
    """Read responses and labels; told apart only where people's labels could correct automatic ones."""
    with store.reading() as connection:
        people = connection.execute(sa.select(GOLD_LABELS.c.response).limit(1)).first() is not None
    given = read_given(study, store, one_by_one=people)
    # What needs the most memory comes last.
    toxicity = toxicity_of_study(store, given, study.plan.plan)
    judgements = count_judgements(store, given)
    judged = (
        with_scores(study, store, label_each(store, given))
        if people
        else Judged(counted_responses(store, given), None, None, False, ())
    )
    return _Read(judged, judgements, toxicity)


def analyse_table(path: Path, columns: dict[str, str], plan: AnalysisPlan) -> dict[str, Any]:
    """Return what results.json would hold for somebody's own table of responses, in the same shape.

    Parameters
    ----------
    path : Path
        A CSV or Parquet file, one response a row.
    columns : dict
        Which column holds what, as in :func:`servicegap.formats.table.read_table`: categories (``label``),
        numbers (``value``), or automatic scores with people's labels (``score``, ``human``,
        ``probability``).
    plan : AnalysisPlan
        Of numbers and scores the one outcome of the table is the primary one.

    Raises
    ------
    InputError
        If the file cannot be read, a column is missing, or entries are not what they should be.
    """
    frame = read_table(path, columns)
    found, outcome = _of_table(frame, columns, plan)
    return {
        "schema": RESULTS_SCHEMA,
        "version": __version__,
        "title": path.name,
        "created": now(),
        "inputs": content_hash(plan.model_dump_json(), json.dumps(columns), __version__, _digest(path)),
        "plan": {
            **plan.model_dump(mode="json"),
            "primary": outcome,
            "preset": None,
            "first_collection": None,
            "deviations": [],
        },
        "design": table_design(frame, plan),
        "labels": {
            "kind": kind_of_findings(found.estimates) or kind_of_labels(frame),
            "annotators": annotators(frame),
            "correction": _correction_of_table(frame, columns, found),
            "judges": [],
        },
        "agreement": [],
        "annotator_check": [],
        "collection": [],
        "estimates": [asdict(estimate) for estimate in found.estimates],
        "toxicity": [],
        "remarks": [asdict(remark) for remark in found.remarks],
        "warnings": [*warnings(frame, [], []), *found.doubts],
        "provenance": [],
    }


def _correction_of_table(
    frame: pl.DataFrame, columns: dict[str, str], found: Estimated
) -> list[dict[str, Any]]:
    if "score" not in columns:
        return []
    judged = Judged(frame.rename({"human": "people"}), columns["score"], None, "fold" in columns, warnings=())
    return corrections(judged, found.estimates)


def _of_table(frame: pl.DataFrame, columns: dict[str, str], plan: AnalysisPlan) -> tuple[Estimated, str]:
    """Return the estimates of a table, and what its primary outcome is called."""
    if "score" in columns:
        made = estimate_scored(frame, plan, columns["human"])
        return made, columns["human"]
    if "value" in columns:
        numbers = estimate_measure(frame, plan, columns["value"], planned=True)
        return Estimated(numbers, [], []), columns["value"]
    return estimate_all(frame, plan), plan.primary


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def inputs_hash(study: Study, store: Store) -> str:
    """Return a hash that changes when anything does that results.json is made from.

    That is the plan, the codebook, the design, the responses, the labels, the scores, the software, and the
    shape of the results.
    """
    queries = [
        sa.select(sa.func.count(), sa.func.max(table.c[column]))
        for table, column in (
            (RESPONSES, "created"),
            (ANNOTATIONS, "id"),
            (GOLD_LABELS, "created"),
            (TOXICITY, "id"),
        )
    ]
    queries.append(sa.select(sa.func.count(), sa.func.max(ROUND_ITEMS.c.round)))
    with store.reading() as connection:
        counts = [str(tuple(connection.execute(query).one())) for query in queries]
        design = read_meta(connection, "design") or ""
    # The file as it is: reading what the built-in one says takes a tenth of a second.
    codebook = _digest(own_codebook(study) or BUILT_IN)
    software = (__version__, str(RESULTS_SCHEMA))
    return content_hash(study.plan.model_dump_json(), codebook, design, *software, *counts)
