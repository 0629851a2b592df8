"""All stages in a row; the only module that knows them all.

Each function brings a study up to one stage, doing before it what is missing or stale.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from servicegap.analyse import analyse, inputs_hash
from servicegap.annotate import Annotated, annotate, count_unlabelled
from servicegap.annotators import create_annotator
from servicegap.collect import Collected, Watch, collect, count_collected
from servicegap.design import Design, build_design, save_design
from servicegap.examples import read_examples
from servicegap.models import create_model
from servicegap.report import write_report
from servicegap.store import RESPONSES, Store
from servicegap.study import Study, write_json_whole


@dataclass(frozen=True, slots=True)
class Status:
    """Where a study stands; ``stage`` is the first one that is missing or stale, None when all is done."""

    design: Design
    collected: Collected
    unlabelled: int
    stage: str | None


def checked_design(study: Study) -> Design:
    """Build the prompts without keeping them, and see that models and annotators are known."""
    for model in study.plan.models:
        create_model(model.id, base_url=model.base_url)
    for annotator in study.plan.annotators:
        create_annotator(annotator)
    return build_design(study)


def bring_to_design(study: Study, store: Store) -> Design:
    """Build the prompts, and keep them if they are new."""
    design = build_design(study)
    save_design(store, design)
    return design


def bring_to_collect(study: Study, store: Store, watch: Watch | None = None) -> Collected:
    """Ask what has not been answered yet."""
    return collect(study, store, bring_to_design(study, store).prompts, watch)


def bring_to_annotate(study: Study, store: Store, watch: Watch | None = None) -> Sequence[Annotated]:
    """Label what has no label yet; ask the models first if nothing was asked at all."""
    with store.reading() as connection:
        anything = connection.execute(sa.select(RESPONSES.c.id).limit(1)).first()
    if anything:
        bring_to_design(study, store)
    else:
        bring_to_collect(study, store, watch)
    return annotate(study, store)


def bring_to_analyse(study: Study, store: Store, watch: Watch | None = None) -> dict[str, Any]:
    """Label what has no label, and write results.json; return what is in it."""
    bring_to_annotate(study, store, watch)
    results = analyse(study, store, build_design(study))
    write_json_whole(study.results_path, results)
    # Read back, so that what a caller sees is what the file says.
    return read_results(study.results_path)


def bring_to_report(study: Study, store: Store, watch: Watch | None = None) -> dict[str, Any]:
    """Analyse where that is stale, and write the report; return the results."""
    results = fresh_results(study, store) or bring_to_analyse(study, store, watch)
    write_report(results, read_examples(study, store), study.report_path)
    return results


def fresh_results(study: Study, store: Store) -> dict[str, Any] | None:
    """Return results.json if nothing that it was made from has changed since."""
    if not study.results_path.is_file():
        return None
    results = read_results(study.results_path)
    return results if results.get("inputs") == inputs_hash(study, store) else None


def read_results(path: Path) -> dict[str, Any]:
    """Read a results.json."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def status(study: Study, store: Store) -> Status:
    """Say where a study stands; changes nothing."""
    design = build_design(study)
    collected = count_collected(study, design.prompts, store)
    unlabelled = count_unlabelled(study, store)
    return Status(design, collected, unlabelled, _first_to_do(study, store, collected, unlabelled))


def _first_to_do(study: Study, store: Store, collected: Collected, unlabelled: int) -> str | None:
    if collected.failed or collected.unasked:
        return "collect"
    if unlabelled:
        return "annotate"
    if fresh_results(study, store) is None:
        return "analyse"
    newest = study.report_path.stat().st_mtime if study.report_path.is_file() else 0.0
    return None if newest >= study.results_path.stat().st_mtime else "report"
