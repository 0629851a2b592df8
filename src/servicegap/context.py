"""What results are read against: the plan, the design and what it can detect, who labelled, what is missing.

Not here: the estimates themselves (estimates.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from servicegap.annotators.judging import deciding
from servicegap.calls import IMPORTED, Design
from servicegap.codebook import codebook_of
from servicegap.design_claims import based_on, design_sentences, detectable_gaps
from servicegap.provenance import changed_models
from servicegap.records import Estimate, Labels
from servicegap.runs import primary_rows
from servicegap.scores import Judged
from servicegap.store import Store, read_meta
from servicegap.study import AnalysisPlan, Study
from servicegap.tokens import uneven_tokens


def plan_context(study: Study, store: Store) -> dict[str, Any]:
    """Return the plan of analysis, and what became of it since the first collection."""
    plan = study.plan.plan
    with store.reading() as connection:
        frozen = read_meta(connection, "plan_at_first_collection")
        first = read_meta(connection, "first_collection")
    planned = plan.model_dump(mode="json")
    before = json.loads(frozen) if frozen else planned
    return {
        **planned,
        "preset": study.plan.preset,
        "first_collection": first,
        "deviations": [
            f"{name} was {before.get(name)!r} at the first collection and is {value!r} now"
            for name, value in planned.items()
            if before.get(name) != value
        ],
    }


def study_design(study: Study, design: Design) -> dict[str, Any]:
    """Return who was asked about, in which templates, and the gaps that this can detect."""
    groups = Counter(signal.group for signal in design.signals if signal.group)
    primary = [template for template in design.templates if template.target] or list(design.templates)
    return {
        "groups": [{"group": group, "n_signals": n} for group, n in groups.items()],
        "control": any(signal.group is None for signal in design.signals),
        "signals": [asdict(signal) for signal in design.signals],
        "templates": [asdict(template) for template in design.templates],
        "n_prompts": len(design.prompts),
        "samples": study.plan.samples,
        "n_primary_templates": len(primary),
        **detectable_gaps(groups, len(primary), study.plan.samples, study.plan.plan),
        "sentences": design_sentences(study, design),
        "demonstration": study.plan.preset == "quick",
        "warnings": list(design.warnings),
    }


def table_design(frame: pl.DataFrame, plan: AnalysisPlan) -> dict[str, Any]:
    """Return the same as `study_design` as far as a table tells it."""
    groups = frame.group_by("group").agg(n_signals=pl.col("signal").n_unique()).sort("group")
    prompts = frame.select("group", "signal", "template").n_unique()
    # Each model is asked every prompt: calls to several are no repeats.
    calls = frame.select("model", "group", "signal", "template").n_unique()
    samples = max(1, frame.height // calls)
    templates = primary_rows(frame)["template"].n_unique()
    sizes = dict(groups.rows())
    return {
        "groups": groups.to_dicts(),
        "control": False,
        "signals": [],
        "templates": [],
        "n_prompts": prompts,
        "samples": samples,
        "n_primary_templates": templates,
        # Numbers have a variance of their own, of which nothing is known beforehand.
        **detectable_gaps({} if "value" in frame.columns else sizes, templates, samples, plan),
        "sentences": [
            based_on(
                templates,
                frame["template"].n_unique() - templates,
                targeted=frame["target"].null_count() < frame.height,
            )
        ],
        "demonstration": False,
        "warnings": [],
    }


def annotators(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return who labelled how many responses, and how often each abstained."""
    counts = (
        frame.filter(pl.col("annotator").is_not_null())
        .group_by("annotator", "kind", "annotator_version")
        .agg(n=pl.len(), abstained=pl.col("category").is_null().sum())
        .sort("annotator", "kind", "annotator_version")
    )
    return [
        {"name": row["annotator"], "kind": row["kind"], "version": row["annotator_version"]}
        | {"n": row["n"], "abstained": row["abstained"]}
        for row in counts.iter_rows(named=True)
    ]


def collection_counts(study: Study, design: Design, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return how many calls each model answered, what became of the others, and how many wait for a judge."""
    unjudged = _unjudged(study, frame)
    counted = frame.group_by("model", "condition", "error_kind").len()
    kinds: dict[tuple[str, str], Counter[str]] = {}
    for model, condition, kind, n in counted.rows():
        kinds.setdefault((model, condition), Counter())[kind or "answered"] += n
    out = []
    for plan in study.plan.models:
        for settings in study.plan.conditions:
            count = kinds.get((plan.id, settings.id), Counter())
            # Of imported responses those that are there are all that can be.
            imported = plan.id.startswith(IMPORTED)
            calls = count.total() if imported else len(design.prompts) * study.plan.samples
            out.append(
                {
                    "model": plan.id,
                    "condition": settings.id,
                    "planned": calls,
                    "answered": count["answered"] + count["truncated"] + count["empty"],
                    "failed": count["transport"] + count["rate_limit"] + count["malformed"],
                    "blocked": count["content_filter"],
                    "rejected": count["rejected"],
                    "truncated": count["truncated"],
                    "empty": count["empty"],
                    "unasked": calls - count.total(),
                    "unjudged": unjudged[plan.id, settings.id],
                }
            )
    return out


def _unjudged(study: Study, frame: pl.DataFrame) -> Counter[tuple[str, str]]:
    """Count the answers whose label is not by the plan's judges as they are now, nor one that precedes it."""
    judge = deciding(study, codebook_of(study))
    if judge is None:
        return Counter()
    precedes = pl.col("kind").is_in(["human", "imported"]) & pl.col("category").is_not_null()
    judged = pl.col("annotator").eq_missing(pl.lit(judge.name)) & pl.col("annotator_version").eq_missing(
        pl.lit(judge.version)
    )
    answered = pl.col("error_kind").is_null() | pl.col("error_kind").is_in(["truncated", "empty"])
    waiting = (
        frame.filter(answered & ~precedes.fill_null(False) & ~judged).group_by("model", "condition").len()
    )
    return Counter({(model, condition): n for model, condition, n in waiting.rows()})


def kind_of_findings(estimates: Sequence[Estimate]) -> Labels | None:
    """Return who labelled what the planned gaps rest on; the least certain of several runs."""
    kinds = {estimate.labels for estimate in estimates if estimate.planned and estimate.kind == "gap"}
    order: tuple[Labels, ...] = ("automatic-uncorrected", "corrected", "imported", "human")
    return next((kind for kind in order if kind in kinds), None)


def corrections(judged: Judged, estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    """Return what was corrected by which labels, for each model and condition whose gaps are corrected."""
    frame = judged.frame.filter(pl.col("group").is_not_null())
    runs = dict.fromkeys((e.model, e.condition) for e in estimates if e.planned and e.labels == "corrected")
    found = []
    for model, condition in runs:
        own = frame.filter(
            pl.col("model").eq_missing(pl.lit(model)) & pl.col("condition").eq_missing(pl.lit(condition))
        )
        by_group = (
            own.group_by("group")
            .agg(labelled=(pl.col("people").is_not_null() & (pl.col("chance") > 0)).sum(), n=pl.len())
            .sort("group")
        )
        found.append(
            {
                "model": model,
                "condition": condition,
                "annotator": judged.annotator,
                "version": judged.version,
                "cross_fitted": judged.cross_fitted,
                "groups": by_group.to_dicts(),
            }
        )
    return found


def warnings(
    frame: pl.DataFrame, collection: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]
) -> list[str]:
    """Return what a reader must know before the figures: calls and labels that are missing, uneven names."""
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
    found += [
        f"{row['model']}: {row['unjudged']} of {row['answered']} answers wait for the judges of the plan; "
        "until they are judged, labels of other annotators stand for them, or none; run servicegap annotate "
        "again before reading anything into the results"
        for row in collection
        if row["unjudged"]
    ]
    found += _abstentions_of_judges(frame)
    found += changed_models(runs)
    for run in {run["model"]: run for run in runs}.values():
        found += uneven_tokens(run["model"], run["provenance"]["model"].get("signal_tokens") or {})
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
        found.append(f"responses without a label, by what names are read as: {counts}")
    return found


def _abstentions_of_judges(frame: pl.DataFrame) -> list[str]:
    """Say how many responses have no label because a judge, or the panel, gave none."""
    return [
        f"{row['name']} abstained on {row['abstained']} of {row['n']} responses, which have no label and "
        "count as missing: no other automatic label stands for them; people can settle them: servicegap serve"
        for row in annotators(frame)
        if row["kind"] == "judge" and row["abstained"]
    ]
