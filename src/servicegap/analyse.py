"""The stage *analyse*: labels -> cells -> every planned estimate -> results.json.

What is estimated is in estimates.py, how in disparity.py; here the results get their context: the plan
and what became of it, the design and what it can detect, who labelled, what is missing, provenance.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from servicegap import __version__
from servicegap.calls import Design, planned_calls
from servicegap.estimates import estimate_all
from servicegap.formats.table import read_table
from servicegap.labels import kind_of_labels, labelled_responses
from servicegap.power import PILOT_13B, detectable_gap
from servicegap.provenance import read_runs
from servicegap.records import content_hash
from servicegap.store import ANNOTATIONS, GOLD_LABELS, RESPONSES, Store, read_meta
from servicegap.study import AnalysisPlan, Study, now

RESULTS_SCHEMA = 1


def analyse(study: Study, store: Store, design: Design) -> dict[str, Any]:
    """Return what results.json holds for a study.

    Raises
    ------
    DataError
        If there is nothing to analyse.
    """
    frame = labelled_responses(study, store)
    labels = kind_of_labels(frame)
    collection = _collection(study, store, design, frame)
    return {
        "schema": RESULTS_SCHEMA,
        "version": __version__,
        "title": study.plan.title or study.folder.resolve().name,
        "created": now(),
        "inputs": inputs_hash(study, store),
        "plan": _plan(study, store),
        "design": _design(study, design),
        "labels": {"kind": labels, "annotators": _annotators(frame)},
        "collection": collection,
        "estimates": [asdict(estimate) for estimate in estimate_all(frame, study.plan.plan, labels)],
        "warnings": [*design.warnings, *_warnings(frame, collection)],
        "provenance": read_runs(store),
    }


def analyse_table(path: Path, columns: dict[str, str], plan: AnalysisPlan) -> dict[str, Any]:
    """Return what results.json would hold for somebody's own table of labelled responses, in the same shape.

    Parameters
    ----------
    path : Path
        A CSV file, one response a row.
    columns : dict
        Which column holds what: ``group``, ``signal``, ``template``, ``label`` (a category).
    plan : AnalysisPlan

    Raises
    ------
    InputError
        If the file cannot be read, a column is missing, or labels are no categories.
    """
    frame = read_table(path, columns)
    labels = kind_of_labels(frame)
    return {
        "schema": RESULTS_SCHEMA,
        "version": __version__,
        "title": path.name,
        "created": now(),
        "inputs": content_hash(
            plan.model_dump_json(), json.dumps(columns), __version__, path.read_text("utf-8")
        ),
        "plan": {**plan.model_dump(), "preset": None, "first_collection": None, "deviations": []},
        "design": _table_design(frame, plan),
        "labels": {"kind": labels, "annotators": _annotators(frame)},
        "collection": [],
        "estimates": [asdict(estimate) for estimate in estimate_all(frame, plan, labels)],
        "warnings": _warnings(frame, []),
        "provenance": [],
    }


def inputs_hash(study: Study, store: Store) -> str:
    """Return a hash that changes when the plan, the responses, the labels or the software do."""
    queries = [
        sa.select(sa.func.count(), sa.func.max(table.c[column]))
        for table, column in ((RESPONSES, "created"), (ANNOTATIONS, "id"), (GOLD_LABELS, "created"))
    ]
    with store.reading() as connection:
        counts = [str(tuple(connection.execute(query).one())) for query in queries]
        design = read_meta(connection, "design") or ""
    return content_hash(study.plan.model_dump_json(), design, __version__, *counts)


def _plan(study: Study, store: Store) -> dict[str, Any]:
    plan = study.plan.plan
    with store.reading() as connection:
        frozen = read_meta(connection, "plan_at_first_collection")
        first = read_meta(connection, "first_collection")
    before = json.loads(frozen) if frozen else plan.model_dump()
    return {
        **plan.model_dump(),
        "preset": study.plan.preset,
        "first_collection": first,
        "deviations": [
            f"{name} was {before.get(name)!r} at the first collection and is {value!r} now"
            for name, value in plan.model_dump().items()
            if before.get(name) != value
        ],
    }


def _design(study: Study, design: Design) -> dict[str, Any]:
    groups = Counter(signal.group for signal in design.signals if signal.group)
    primary = [template for template in design.templates if template.target] or list(design.templates)
    gap, note = _detectable(min(groups.values()), len(primary), study.plan.samples, study.plan.plan.level)
    return {
        "groups": [{"group": group, "n_signals": n} for group, n in groups.items()],
        "control": any(signal.group is None for signal in design.signals),
        "signals": [asdict(signal) for signal in design.signals],
        "templates": [asdict(template) for template in design.templates],
        "n_prompts": len(design.prompts),
        "samples": study.plan.samples,
        "n_primary_templates": len(primary),
        "detectable_gap": gap,
        "detectable_note": note,
        "demonstration": study.plan.preset == "quick",
        "warnings": list(design.warnings),
    }


def _table_design(frame: pl.DataFrame, plan: AnalysisPlan) -> dict[str, Any]:
    groups = frame.group_by("group").agg(n_signals=pl.col("signal").n_unique()).sort("group")
    templates = frame["template"].n_unique()
    cells = frame.select("group", "signal", "template").n_unique()
    samples = max(1, frame.height // cells)
    gap, note = _detectable(int(groups["n_signals"].to_numpy().min()), templates, samples, plan.level)
    return {
        "groups": groups.to_dicts(),
        "control": False,
        "signals": [],
        "templates": [],
        "n_prompts": cells,
        "samples": samples,
        "n_primary_templates": templates,
        "detectable_gap": gap,
        "detectable_note": note,
        "demonstration": False,
        "warnings": [],
    }


def _detectable(names: int, templates: int, samples: int, level: float) -> tuple[float | None, str]:
    if min(names, templates) < 2:
        return None, "a design with fewer than two names a group or two templates can detect nothing"
    gap = detectable_gap(PILOT_13B, names, templates, samples, level=level)
    return gap, (
        f"smallest gap that {names} names a group and {templates} templates find in 80 % of studies "
        f"at a {level:.0%} level, if this model varies as in: {PILOT_13B.source}"
    )


def _annotators(frame: pl.DataFrame) -> list[dict[str, Any]]:
    counts = (
        frame.filter(pl.col("annotator").is_not_null())
        .group_by("annotator", "kind", "annotator_version")
        .agg(n=pl.len(), abstained=pl.col("category").is_null().sum())
        .sort("annotator")
    )
    return [
        {"name": row["annotator"], "kind": row["kind"], "version": row["annotator_version"]}
        | {"n": row["n"], "abstained": row["abstained"]}
        for row in counts.iter_rows(named=True)
    ]


def _collection(study: Study, store: Store, design: Design, frame: pl.DataFrame) -> list[dict[str, Any]]:
    kinds = {row[0]: row[1] for row in frame.select("response", "error_kind").iter_rows()}
    out = []
    for model in study.plan.models:
        calls = list(planned_calls(study, model.id, design.prompts))
        for condition in study.plan.conditions:
            ids = [call.id for call in calls if call.condition.id == condition.id]
            count = Counter(kinds[call] or "answered" for call in ids if call in kinds)
            out.append(
                {
                    "model": model.id,
                    "condition": condition.id,
                    "planned": len(ids),
                    "answered": count["answered"] + count["truncated"] + count["empty"],
                    "failed": count["transport"] + count["rate_limit"] + count["malformed"],
                    "blocked": count["content_filter"],
                    "rejected": count["rejected"],
                    "truncated": count["truncated"],
                    "empty": count["empty"],
                    "unasked": len(ids) - count.total(),
                }
            )
    return out


def _warnings(frame: pl.DataFrame, collection: Sequence[dict[str, Any]]) -> list[str]:
    found = [
        f"{row['model']}: {row['failed'] + row['unasked']} of {row['planned']} calls have no answer yet; "
        "run servicegap collect again before reading anything into the results"
        for row in collection
        if row["failed"] + row["unasked"]
    ]
    found += [
        f"{row['model']}: {row['truncated']} answers were cut at max_tokens; they are labelled as they stand"
        for row in collection
        if row["truncated"]
    ]
    missing = (
        frame.filter(pl.col("group").is_not_null())
        .group_by("group")
        .agg(missing=pl.col("category").is_null().sum(), n=pl.len())
        .sort("group")
    )
    if missing["missing"].sum():
        counts = ", ".join(
            f"{row['group']} {row['missing']} of {row['n']}" for row in missing.iter_rows(named=True)
        )
        found.append(f"responses without a label, by group: {counts}")
    return found
