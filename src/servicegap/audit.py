"""All stages in a row; the only module that knows them all.

Each function brings a study up to one stage, doing before it what is missing or stale.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servicegap.arrivals import Watch
from servicegap.calls import IMPORTED, Design
from servicegap.codebook import codebook_of, own_codebook
from servicegap.collect import Collected, collect, count_collected
from servicegap.design import build_design, save_design
from servicegap.errors import InputError, ModelError, ServicegapError
from servicegap.gathering import gathered
from servicegap.store import Store, read_meta
from servicegap.study import PLAN_FILE, Study, write_json_whole

if TYPE_CHECKING:
    from servicegap.annotators.judge_run import Cost
    from servicegap.annotators.unlabelled import Annotated
    from servicegap.models.protocol import Model
    from servicegap.presets import Choices
    from servicegap.tokens import Foreseen

# The later stages load arrays, distributions and plots: a second of CPU that asking models need not pay,
# so each is imported by the function that runs it.
# ruff: noqa: PLC0415


@dataclass(frozen=True, slots=True)
class Status:
    """Where a study stands; ``stage`` is the first one that is missing or stale, None when all is done.

    ``unlabelled`` are the answers that an annotator or a judge of the plan has not looked at.
    """

    design: Design
    collected: Collected
    unlabelled: int
    stage: str | None


def make_study(folder: Path, choices: Choices, *, to_run: bool = True) -> Study:
    """Make a study; with a mistake in it, such as an unknown model, none is made.

    Parameters
    ----------
    folder : Path
    choices : Choices
    to_run : bool
        Whether it is run at once, so that a missing key is a mistake too.
    """
    from servicegap.presets import create_study

    study = create_study(folder, choices)
    try:
        # Without the file's lines: it is taken away again, and the mistake is in the choices.
        checked_design(dataclasses.replace(study, source=None), to_run=to_run)
    except ServicegapError:
        (folder / PLAN_FILE).unlink()
        # Only if nothing else is in it.
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    return study


def checked_design(study: Study, *, to_run: bool = True) -> Design:
    """Build the prompts without keeping them, and see that models, annotators and codebook can be used.

    With `to_run` the models must be such that they can be asked now: no key is missing.

    Raises
    ------
    InputError
        With every mistake in the plan and in all files that it names.
    """
    from servicegap.models import check_model, create_model

    problems: list[str] = []
    for key, models in (("models", study.plan.models), ("judges", study.plan.judges)):
        for number, model in enumerate(models):
            if model.id.startswith(IMPORTED):
                continue
            with gathered(problems, partial(study.problem, (key, number))):
                if to_run:
                    create_model(model.id, base_url=model.base_url, key_variable=model.key_variable)
                else:
                    check_model(model.id, base_url=model.base_url)
    with gathered(problems):
        check_labelling(study)
    with gathered(problems):
        design = build_design(study)
    if problems:
        raise InputError(*problems)
    return design


def check_labelling(study: Study) -> None:
    """See that answers can be labelled, so that none is paid for that cannot.

    Raises
    ------
    InputError
        If an annotator is unknown, or the study's own codebook cannot be used.
    """
    from servicegap.annotators import create_annotator

    problems: list[str] = []
    for number, annotator in enumerate(study.plan.annotators):
        with gathered(problems, partial(study.problem, ("annotators", number))):
            create_annotator(annotator, study.folder)
    with gathered(problems):
        _check_codebook(study)
    if problems:
        raise InputError(*problems)


def _check_codebook(study: Study) -> None:
    # The built-in one is right, and reading it takes a tenth of a second.
    if own_codebook(study):
        codebook_of(study)


def foresee(study: Study, design: Design) -> Foreseen:
    """Say how evenly the study's models will split its signals into tokens; downloads and asks nothing."""
    from servicegap.models import create_model
    from servicegap.tokens import foresee_uneven_tokens

    models: dict[str, Model | None] = {}
    for plan in study.plan.models:
        if plan.id.startswith("fake:"):  # scripted: there are no tokens
            continue
        models[plan.id] = None
        if plan.id.startswith("local:"):
            # A file that is not on this machine is no mistake here: others may collect.
            with contextlib.suppress(InputError):
                models[plan.id] = create_model(plan.id)
    return foresee_uneven_tokens(models, design.signals)


def bring_to_design(study: Study, store: Store) -> Design:
    """Build the prompts, and keep them if they are new."""
    design = build_design(study)
    save_design(store, design)
    return design


def bring_to_collect(study: Study, store: Store, watch: Watch | None = None) -> Collected:
    """Ask what has not been answered yet."""
    _check_codebook(study)
    return collect(study, store, bring_to_design(study, store).prompts, watch)


def bring_to_annotate(study: Study, store: Store, watch: Watch | None = None) -> Sequence[Annotated]:
    """Label what has no label yet; ask the models first if nothing was asked at all."""
    from servicegap.annotate import annotate

    design = bring_to_design(study, store)
    collected = count_collected(study, store, design.prompts)
    if collected.unasked == collected.planned:
        check_labelling(study)
        _refuse_half(study, collect(study, store, design.prompts, watch))
    return annotate(study, store, watch)


def foresee_judging(study: Study, store: Store) -> Sequence[Cost]:
    """Say about what the judges would cost on the answers that are there; asks nothing."""
    from servicegap.annotate import estimate_judges

    bring_to_design(study, store)
    return estimate_judges(study, store)


def _refuse_half(study: Study, collected: Collected) -> None:
    # Whoever wants figures from a part of the answers can have them: the next run finds what is stored.
    if collected.stopped:
        raise KeyboardInterrupt
    if collected.failed or collected.unasked:
        reason = collected.problem or f"{collected.failed} of {collected.planned} calls failed"
        raise ModelError(
            f"{reason}; ask again with: servicegap collect {study.folder}; or run the same command again to "
            "go on with what is there"
        )


def bring_to_analyse(study: Study, store: Store, watch: Watch | None = None) -> dict[str, Any]:
    """Label what has no label, and write results.json; return what is in it."""
    bring_to_annotate(study, store, watch)
    return _analysed(study, store)


def _analysed(study: Study, store: Store) -> dict[str, Any]:
    from servicegap.analyse import analyse

    write_json_whole(study.results_path, analyse(study, store, build_design(study)))
    # Read back, so that what a caller sees is what the file says.
    return read_results(study.results_path)


def bring_to_report(study: Study, store: Store, watch: Watch | None = None) -> dict[str, Any]:
    """Analyse where that is stale, and write the report; return the results."""
    from servicegap.examples import read_examples
    from servicegap.report import write_report

    bring_to_annotate(study, store, watch)
    results = fresh_results(study, store) or _analysed(study, store)
    if not _report_is_fresh(study):
        write_report(results, read_examples(study, store), study.report_path)
    return results


def fresh_results(study: Study, store: Store) -> dict[str, Any] | None:
    """Return results.json if nothing that it was made from has changed since."""
    from servicegap.analyse import inputs_hash

    if not study.results_path.is_file():
        return None
    try:
        results = read_results(study.results_path)
    except (ValueError, TypeError, RecursionError):  # damaged by other hands: as good as absent
        return None
    return results if results.get("inputs") == inputs_hash(study, store) else None


def read_results(path: Path) -> dict[str, Any]:
    """Read a results.json.

    Raises
    ------
    ValueError, TypeError
        If it is not JSON, or no object.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise TypeError(f"{path}: {type(found).__name__} found, an object expected")
    return found


def status(study: Study, store: Store) -> Status:
    """Say where a study stands; changes nothing.

    Raises
    ------
    InputError
        If the plan, or a file that the stages read, cannot be used.
    """
    from servicegap.annotate import count_unlabelled

    _check_codebook(study)
    design = build_design(study)
    collected = count_collected(study, store, design.prompts)
    unlabelled = count_unlabelled(study, store, design.prompts)
    with store.reading() as connection:
        # Edited names or templates, whose prompts may be the same, make the results stale.
        edited = read_meta(connection, "design") not in (None, design.hash)
    stage = _first_to_do(study, store, collected, unlabelled)
    if edited and stage in (None, "report"):
        stage = "analyse"
    return Status(design, collected, unlabelled, stage)


def _first_to_do(study: Study, store: Store, collected: Collected, unlabelled: int) -> str | None:
    if collected.failed or collected.unasked:
        return "collect"
    if unlabelled:
        return "annotate"
    if fresh_results(study, store) is None:
        return "analyse"
    return None if _report_is_fresh(study) else "report"


def _report_is_fresh(study: Study) -> bool:
    written = study.report_path.stat().st_mtime_ns if study.report_path.is_file() else 0
    return written >= study.results_path.stat().st_mtime_ns
