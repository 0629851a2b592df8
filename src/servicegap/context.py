"""What results are read against: the plan, the design and what it can detect, who labelled, what is missing.

Not here: the estimates themselves (estimates.py).
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from servicegap.calls import Design, planned_calls
from servicegap.power import PILOT_13B, detectable_gap
from servicegap.store import Store, read_meta
from servicegap.study import AnalysisPlan, Study

#: A signal of more than so many times the median number of tokens is reported.
UNEVEN_TOKENS = 2.0


def plan_context(study: Study, store: Store) -> dict[str, Any]:
    """Return the plan of analysis, and what became of it since the first collection."""
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
        **_detectable(groups, len(primary), study.plan.samples, study.plan.plan),
        "demonstration": study.plan.preset == "quick",
        "warnings": list(design.warnings),
    }


def table_design(frame: pl.DataFrame, plan: AnalysisPlan) -> dict[str, Any]:
    """Return the same as `study_design` as far as a table tells it."""
    groups = frame.group_by("group").agg(n_signals=pl.col("signal").n_unique()).sort("group")
    templates = frame["template"].n_unique()
    cells = frame.select("group", "signal", "template").n_unique()
    samples = max(1, frame.height // cells)
    sizes = dict(groups.rows())
    return {
        "groups": groups.to_dicts(),
        "control": False,
        "signals": [],
        "templates": [],
        "n_prompts": cells,
        "samples": samples,
        "n_primary_templates": templates,
        **_detectable(sizes, templates, samples, plan),
        "demonstration": False,
        "warnings": [],
    }


def _detectable(sizes: Mapping[str, int], templates: int, samples: int, plan: AnalysisPlan) -> dict[str, Any]:
    """Return the smallest gap that the design finds for each group, with the usual power."""
    reference = sizes.get(plan.reference, 0)
    found = [
        {"group": group, "gap": _smallest_gap(names, reference, templates, samples, plan.level)}
        for group, names in sizes.items()
        if group != plan.reference
    ]
    gaps = [each["gap"] for each in found if each["gap"] is not None]
    return {
        "detectable": found,
        "detectable_gap": min(gaps, default=None),
        "detectable_note": (
            f"found in 80 % of studies at a level of {100 * plan.level:g} %, "
            f"if this model varies as in: {PILOT_13B.source}"
            if gaps
            else "a design with fewer than two names a group or two templates can detect nothing"
        ),
    }


def _smallest_gap(names: int, reference: int, templates: int, samples: int, level: float) -> float | None:
    if min(names, reference, templates) < 2:
        return None
    # For groups of two sizes the variance of a gap is that of two groups of their harmonic mean.
    size = statistics.harmonic_mean((names, reference))
    return detectable_gap(PILOT_13B, size, templates, samples, level=level)


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
    """Return how many calls each model answered, and what became of the others."""
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
    found += _uneven_tokens(runs)
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


def _uneven_tokens(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Tell which signals a model's tokenizer splits very differently from the others."""
    found = []
    counts = {run["model"]: run["provenance"]["model"].get("signal_tokens") for run in runs}
    for model, tokens in counts.items():
        if not tokens:
            continue
        usual = statistics.median(tokens.values())
        uneven = {signal: n for signal, n in tokens.items() if n > UNEVEN_TOKENS * usual}
        if uneven:
            listed = ", ".join(f"{signal} {n}" for signal, n in sorted(uneven.items()))
            found.append(
                f"{model} splits some names into many more tokens than the median ({usual:g}): "
                f"{listed}; a difference between these names may be one of spelling"
            )
    return found
