"""The stage *annotate*: which responses still need a label, and the annotators and judges that give it.

What a provider blocked counts as refused, on the provider's account. Signals are masked before an
annotator looks, so that no label can depend on whom the prompt was about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from servicegap.annotators import SignalMask, create_annotator
from servicegap.annotators.fitted import FittedAnnotator, fold_note
from servicegap.annotators.judge_run import Cost
from servicegap.annotators.judging import annotate_by_judges, judge_runs, judges_of
from servicegap.annotators.protocol import Annotator, Named
from servicegap.annotators.study_mask import read_mask
from servicegap.annotators.unlabelled import (
    Annotated,
    annotation,
    blocked,
    keep,
    unlabelled,
    unlabelled_answers,
)
from servicegap.arrivals import Watch
from servicegap.codebook import codebook_of
from servicegap.records import Annotation, Prompt
from servicegap.store import Store
from servicegap.study import Study, now, only_one
from servicegap.terminal import tell

LabelRow = Callable[[Any], Annotation]


def annotate(
    study: Study, store: Store, watch: Watch | None = None, announce: Callable[[str], None] = tell
) -> list[Annotated]:
    """Let every annotator and judge of the plan label what it has not labelled yet.

    Annotators are safe to run again: a response that one has labelled is not given to it twice, unless
    its version changed. What calls to a judge failed about waits for the next run, as in a collection.

    Parameters
    ----------
    study : Study
    store : Store
    watch : callable, optional
        Called with a Progress whenever replies of a judge were committed.
    announce : callable
        Told about what each judge is going to cost, before any is asked, and which could not be asked to the
        end; by default whoever reads stderr.

    Raises
    ------
    StudyError
        If another command is annotating the study.
    InputError
        If an annotator is unknown, or a judge cannot be asked as it is written in study.yaml.
    """
    codebook = codebook_of(study)
    with only_one(study, "annotator", store):
        by_provider = unlabelled(study, "provider", "1", blocked)
        done = [_annotate(store, "provider", by_provider, lambda row: _by_provider(row, codebook.hash))]
        for name in study.plan.annotators:
            done.append(annotate_with(study, store, create_annotator(name, study.folder)))
        if study.plan.judges:
            done += annotate_by_judges(study, store, codebook, watch, announce)
    return [each for each in done if each.added or each.failed]


def annotate_with(study: Study, store: Store, annotator: Annotator) -> Annotated:
    """Let one annotator label what it has not labelled yet."""
    label = _labeller(annotator, read_mask(store), codebook_of(study).hash)
    return _annotate(store, annotator.name, unlabelled(study, annotator.name, annotator.version), label)


def estimate_judges(study: Study, store: Store) -> list[Cost]:
    """Say about what each judge would cost on the responses that are there; asks nothing."""
    return [run.cost() for run in judge_runs(study, store, codebook_of(study))]


def count_unlabelled(study: Study, store: Store, prompts: Sequence[Prompt]) -> int:
    """Count the planned answers that an annotator or a judge of the plan has not looked at yet.

    Parameters
    ----------
    study : Study
    store : Store
    prompts : sequence of Prompt
        The design; the one in the database may be of before an edit.
    """
    asked = {prompt.id for prompt in prompts}
    annotators: list[Named] = [create_annotator(name, study.folder) for name in study.plan.annotators]
    if study.plan.judges:
        annotators += judges_of(study, codebook_of(study))
    with store.reading() as connection:
        # An answer that several have not looked at is one.
        waiting = {
            answer.id
            for each in annotators
            for answer in connection.execute(unlabelled_answers(study, each.name, each.version))
            if answer.prompt in asked
        }
    return len(waiting)


def _annotate(store: Store, annotator: str, to_label: sa.Select[Any], label: LabelRow) -> Annotated:
    with store.reading() as connection:
        rows = connection.execute(to_label).all()
    return keep(store, annotator, map(label, rows))


def _labeller(annotator: Annotator, mask: SignalMask, codebook: str) -> LabelRow:
    def label(row: Any) -> Annotation:
        prompt, text = mask.apply(row.prompt), mask.apply(row.text)
        if isinstance(annotator, FittedAnnotator):
            # By a model that learned nothing from labels of this template, which may correct its scores.
            fold = annotator.fold(row.template)
            judgement = annotator.annotate_in_fold(fold, prompt, text)
            return annotation(row.id, annotator, judgement, codebook, fold_note(fold))
        return annotation(row.id, annotator, annotator.annotate(prompt, text), codebook)

    return label


def _by_provider(row: Any, codebook: str) -> Annotation:
    return Annotation(
        response=row.id,
        annotator="provider",
        kind="provider",
        version="1",
        category="refusal",
        created=now(),
        note="blocked by the provider's content filter",
        codebook_hash=codebook,
    )
