"""All judges of a study, asked one after the other, and the panel that they are together.

Not here: one judge and its calls (judge.py, judge_run.py), how a panel votes (panel.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from servicegap.annotators import panel
from servicegap.annotators.judge import Judge, Texts
from servicegap.annotators.judge_run import JudgeRun
from servicegap.annotators.protocol import Named
from servicegap.annotators.study_mask import read_mask
from servicegap.annotators.unlabelled import Annotated, annotation, keep, unlabelled
from servicegap.arrivals import Watch
from servicegap.asking import Ended
from servicegap.codebook import Codebook
from servicegap.store import Store
from servicegap.study import Study


def judges_of(study: Study, codebook: Codebook) -> list[Judge]:
    """Return the judges of the plan."""
    return [Judge(plan, codebook) for plan in study.plan.judges]


def deciding(study: Study, codebook: Codebook) -> Named | None:
    """Return whose label counts before any other judge's: the one judge, or the panel of several."""
    judges = judges_of(study, codebook)
    return _panel(judges) if len(judges) > 1 else judges[0] if judges else None


def judge_runs(study: Study, store: Store, codebook: Codebook) -> list[JudgeRun]:
    """Return each judge of the plan with what it has not labelled yet; asks nothing."""
    mask = read_mask(store)
    runs = []
    for judge in judges_of(study, codebook):
        with store.reading() as connection:
            rows = connection.execute(unlabelled(study, judge.name, judge.version)).all()
        texts = {row.id: Texts(mask.apply(row.prompt), mask.apply(row.text)) for row in rows}
        runs.append(JudgeRun(judge, store, texts, study.plan.seed))
    return runs


def annotate_by_judges(
    study: Study, store: Store, codebook: Codebook, watch: Watch | None, announce: Callable[[str], None]
) -> list[Annotated]:
    """Ask every judge of the plan what it has not labelled yet, and let the panel of them vote.

    Parameters
    ----------
    study : Study
    store : Store
    codebook : Codebook
    watch : callable, optional
        Called with a Progress whenever replies were committed.
    announce : callable
        Told about what each judge is going to cost, before any is asked, and which could not be asked to the
        end. What such a one answered is kept.

    Raises
    ------
    InputError
        If a judge cannot be asked as it is written in study.yaml, before any is asked.
    """
    runs = judge_runs(study, store, codebook)
    # All before any is asked: a missing key must not be found when another judge has been paid for.
    models = [run.model() for run in runs]
    for cost in [run.cost() for run in runs]:
        if cost.calls:
            announce(str(cost))
    done = []
    for run, model in zip(runs, models, strict=True):
        ended = run.ask(model, watch) if model else Ended(stopped=False, problem=None)
        annotations = (
            annotation(response, run.judge, settled.judgement, codebook.hash, settled.note)
            for response, settled in run.settled()
        )
        kept = keep(store, run.judge.name, annotations)
        done.append(replace(kept, failed=len(run.responses) - kept.added, problem=ended.problem))
        if ended.stopped:
            raise KeyboardInterrupt
        if ended.problem:
            announce(
                f"judge {ended.problem}; all that it answered is kept, the rest is asked by: "
                f"servicegap annotate {study.folder}"
            )
    if len(runs) > 1:
        done.append(_annotate_by_panel(study, store, _panel([run.judge for run in runs]), codebook))
    return done


def _panel(judges: Sequence[Judge]) -> panel.Panel:
    return panel.Panel({judge.name: judge.version for judge in judges})


def _annotate_by_panel(study: Study, store: Store, sitting: panel.Panel, codebook: Codebook) -> Annotated:
    with store.reading() as connection:
        not_yet = connection.execute(unlabelled(study, sitting.name, sitting.version))
        wanted = {row.id for row in not_yet}
    annotations = (
        annotation(response, sitting, panel.majority(opinions), codebook.hash)
        for response, opinions in panel.read_opinions(store, sitting.judges).items()
        if response in wanted
    )
    return keep(store, sitting.name, annotations)
