"""The stage *annotate*: which responses still need a label, and the annotators and judges that give it.

What a provider blocked counts as refused, on the provider's account. Signals are masked before an
annotator looks, so that no label can depend on whom the prompt was about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import sqlalchemy as sa

from servicegap.annotators import SignalMask, create_annotator, panel
from servicegap.annotators.fitted import FittedAnnotator, fold_note
from servicegap.annotators.judge import Judge, Texts
from servicegap.annotators.judge_run import Cost, JudgeRun
from servicegap.annotators.protocol import Annotator, Judgement, Named
from servicegap.annotators.study_mask import read_mask
from servicegap.arrivals import Watch
from servicegap.asking import Ended
from servicegap.codebook import Codebook, load_codebook
from servicegap.errors import ModelError
from servicegap.records import Annotation
from servicegap.store import Store, latest_responses, write_annotations
from servicegap.study import Study, now, only_one
from servicegap.tables import ANNOTATIONS, PROMPTS
from servicegap.terminal import say

BATCH = 500
LabelRow = Callable[[Any], Annotation]
Wanted = Callable[[sa.Subquery], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Annotated:
    """How many annotations an annotator added, and on how many of them it abstained.

    ``most_often`` is its commonest reason, without what it quotes, and None where it never abstained.
    ``failed`` responses were to be judged and are not, as calls to the judge failed; a re-run asks again.
    """

    annotator: str
    added: int
    abstained: int
    most_often: str | None = None
    failed: int = 0

    def __str__(self) -> str:
        why = f" (most often: {self.most_often})" if self.most_often else ""
        return f"{self.annotator}: {self.added} labelled, {self.abstained} of them abstained{why}"


def annotate(
    study: Study, store: Store, watch: Watch | None = None, announce: Callable[[str], None] = say
) -> list[Annotated]:
    """Let every annotator and judge of the plan label what it has not labelled yet.

    Annotators are safe to run again: a response that one has labelled is not given to it twice, unless
    its version changed.

    Parameters
    ----------
    study : Study
    store : Store
    watch : callable, optional
        Called with a Progress whenever replies of a judge were committed.
    announce : callable
        Told about what each judge is going to cost, before any is asked; by default a person at a terminal.

    Raises
    ------
    StudyError
        If another command is annotating the study.
    ModelError
        If a judge could not be asked to the end; all that it answered is kept.
    """
    codebook = _codebook(study)
    with only_one(study, "annotator", store):
        done = [
            _annotate(store, "provider", "1", _blocked(True), lambda row: _by_provider(row, codebook.hash))
        ]
        for name in study.plan.annotators:
            done.append(annotate_with(study, store, create_annotator(name, study.folder)))
        if study.plan.judges:
            done += _annotate_by_judges(study, store, codebook, watch, announce)
    return [each for each in done if each.added or each.failed]


def annotate_with(study: Study, store: Store, annotator: Annotator) -> Annotated:
    """Let one annotator label what it has not labelled yet."""
    label = _labeller(annotator, read_mask(store), _codebook(study).hash)
    return _annotate(store, annotator.name, annotator.version, _blocked(False), label)


def estimate_judges(study: Study, store: Store) -> list[Cost]:
    """Say about what each judge would cost on the responses that are there; asks nothing."""
    return [run.cost() for run in _judge_runs(study, store, _codebook(study))]


def count_unlabelled(study: Study, store: Store) -> int:
    """Count the answers that an annotator or a judge of the plan has not looked at yet."""
    annotators: list[Named] = [create_annotator(name, study.folder) for name in study.plan.annotators]
    if study.plan.judges:
        annotators += _judges(study, _codebook(study))
    with store.reading() as connection:
        return sum(
            connection.execute(
                sa.select(sa.func.count()).select_from(
                    _unlabelled(each.name, each.version, _blocked(False)).subquery()
                )
            ).scalar_one()
            for each in annotators
        )


def _codebook(study: Study) -> Codebook:
    own = study.folder / "codebook.yaml"
    return load_codebook(own if own.is_file() else None)


def _blocked(wanted: bool) -> Wanted:
    if wanted:
        return lambda latest: latest.c.error_kind == "content_filter"
    return lambda latest: sa.and_(
        latest.c.text.is_not(None), sa.func.coalesce(latest.c.error_kind, "") != "content_filter"
    )


def _unlabelled(annotator: str, version: str, wanted: Wanted) -> sa.Select[Any]:
    latest = latest_responses()
    labelled = sa.select(ANNOTATIONS.c.response).where(
        ANNOTATIONS.c.annotator == annotator, ANNOTATIONS.c.version == version
    )
    return (
        sa.select(latest.c.id, latest.c.text, PROMPTS.c.text.label("prompt"), PROMPTS.c.template)
        .join(PROMPTS, PROMPTS.c.id == latest.c.prompt)
        .where(wanted(latest), latest.c.id.not_in(labelled))
    )


def _annotate(store: Store, annotator: str, version: str, wanted: Wanted, label: LabelRow) -> Annotated:
    with store.reading() as connection:
        rows = connection.execute(_unlabelled(annotator, version, wanted)).all()
    return _keep(store, annotator, map(label, rows))


def _keep(store: Store, annotator: str, annotations: Iterable[Annotation]) -> Annotated:
    added = 0
    reasons: Counter[str] = Counter()
    waiting = iter(annotations)
    while batch := list(islice(waiting, BATCH)):
        with store.writing() as connection:
            write_annotations(connection, batch)
        added += len(batch)
        # A reply is quoted in the reason for its being no label, so each of those is another.
        reasons.update(
            (each.abstain_reason or "no reason given").partition(' "')[0]
            for each in batch
            if each.category is None
        )
    most_often = reasons.most_common(1)[0][0] if reasons else None
    return Annotated(annotator, added, reasons.total(), most_often)


def _labeller(annotator: Annotator, mask: SignalMask, codebook: str) -> LabelRow:
    def label(row: Any) -> Annotation:
        prompt, text = mask.apply(row.prompt), mask.apply(row.text)
        if isinstance(annotator, FittedAnnotator):
            # By a model that learned nothing from labels of this template, which may correct its scores.
            fold = annotator.fold(row.template)
            judgement = annotator.annotate_in_fold(fold, prompt, text)
            return _annotation(row.id, annotator, judgement, codebook, fold_note(fold))
        return _annotation(row.id, annotator, annotator.annotate(prompt, text), codebook)

    return label


def _annotation(
    response: str, annotator: Named, judgement: Judgement, codebook: str, note: str | None = None
) -> Annotation:
    return Annotation(
        response=response,
        annotator=annotator.name,
        kind=annotator.kind,
        version=annotator.version,
        category=judgement.category,
        created=now(),
        abstain_reason=judgement.abstain_reason,
        probabilities=judgement.probabilities,
        note=note,
        codebook_hash=codebook,
    )


def _judges(study: Study, codebook: Codebook) -> list[Judge]:
    return [Judge(plan, codebook) for plan in study.plan.judges]


def _judge_runs(study: Study, store: Store, codebook: Codebook) -> list[JudgeRun]:
    mask = read_mask(store)
    runs = []
    for judge in _judges(study, codebook):
        with store.reading() as connection:
            rows = connection.execute(_unlabelled(judge.name, judge.version, _blocked(False))).all()
        texts = {row.id: Texts(mask.apply(row.prompt), mask.apply(row.text)) for row in rows}
        runs.append(JudgeRun(judge, store, texts, study.plan.seed))
    return runs


def _annotate_by_judges(
    study: Study, store: Store, codebook: Codebook, watch: Watch | None, announce: Callable[[str], None]
) -> list[Annotated]:
    runs = _judge_runs(study, store, codebook)
    # All before any is asked: a missing key must not be found when another judge has been paid for.
    models = [run.model() for run in runs]
    for cost in [run.cost() for run in runs]:
        if cost.calls:
            announce(str(cost))
    done, problems = [], []
    for run, model in zip(runs, models, strict=True):
        ended = run.ask(model, watch) if model else Ended(stopped=False, problem=None)
        annotations = (
            _annotation(response, run.judge, settled.judgement, codebook.hash, settled.note)
            for response, settled in run.settled()
        )
        kept = _keep(store, run.judge.name, annotations)
        done.append(replace(kept, failed=len(run.responses) - kept.added))
        if ended.stopped:
            raise KeyboardInterrupt
        if ended.problem:
            problems.append(ended.problem)
    if len(runs) > 1:
        done.append(_annotate_by_panel(store, [run.judge for run in runs], codebook))
    if problems:
        raise ModelError(
            "\n".join(
                f"judge {problem}; all that it answered is kept, the rest is asked by: "
                f"servicegap annotate {study.folder}"
                for problem in problems
            )
        )
    return done


def _annotate_by_panel(store: Store, judges: Sequence[Judge], codebook: Codebook) -> Annotated:
    sitting = panel.Panel({judge.name: judge.version for judge in judges})
    with store.reading() as connection:
        unlabelled = connection.execute(_unlabelled(sitting.name, sitting.version, _blocked(False)))
        wanted = {row.id for row in unlabelled}
    annotations = (
        _annotation(response, sitting, panel.majority(opinions), codebook.hash)
        for response, opinions in panel.read_opinions(store, sitting.judges).items()
        if response in wanted
    )
    return _keep(store, sitting.name, annotations)


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
