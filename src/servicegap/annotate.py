"""The stage *annotate*: which responses still need a label, and the automatic annotators that give it.

What a provider blocked counts as refused, on the provider's account. Signals are masked before an
annotator looks, so that no label can depend on whom the prompt was about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from servicegap.annotators import SignalMask, create_annotator
from servicegap.annotators.protocol import Annotator
from servicegap.codebook import load_codebook
from servicegap.records import Annotation
from servicegap.store import Store, latest_responses, write_annotations
from servicegap.study import Study, now
from servicegap.tables import ANNOTATIONS, PROMPTS, SIGNALS

BATCH = 500
Judge = Callable[[Any], Annotation]
Wanted = Callable[[sa.Subquery], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Annotated:
    """How many annotations an annotator added, and on how many of them it abstained."""

    annotator: str
    added: int
    abstained: int


def annotate(study: Study, store: Store) -> list[Annotated]:
    """Let every automatic annotator of the plan label what it has not labelled yet.

    Annotators are safe to run again: a response that one has labelled is not given to it twice, unless
    its version changed.
    """
    own = study.folder / "codebook.yaml"
    codebook = load_codebook(own if own.is_file() else None).hash
    mask = _signal_mask(store)
    done = [_annotate(store, "provider", "1", _blocked(True), lambda row: _by_provider(row, codebook))]
    for name in study.plan.annotators:
        annotator = create_annotator(name)
        judge = _judge(annotator, mask, codebook)
        done.append(_annotate(store, annotator.name, annotator.version, _blocked(False), judge))
    return [each for each in done if each.added]


def count_unlabelled(study: Study, store: Store) -> int:
    """Count the answers that an automatic annotator of the plan has not looked at yet."""
    annotators = [create_annotator(name) for name in study.plan.annotators]
    with store.reading() as connection:
        return sum(
            connection.execute(
                sa.select(sa.func.count()).select_from(
                    _unlabelled(each.name, each.version, _blocked(False)).subquery()
                )
            ).scalar_one()
            for each in annotators
        )


def _signal_mask(store: Store) -> SignalMask:
    with store.reading() as connection:
        signals = connection.execute(sa.select(SIGNALS.c.text).where(SIGNALS.c.group.is_not(None)))
        return SignalMask(signals.scalars().all())


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
        sa.select(latest.c.id, latest.c.text, PROMPTS.c.text.label("prompt"))
        .join(PROMPTS, PROMPTS.c.id == latest.c.prompt)
        .where(wanted(latest), latest.c.id.not_in(labelled))
    )


def _annotate(store: Store, annotator: str, version: str, wanted: Wanted, judge: Judge) -> Annotated:
    with store.reading() as connection:
        rows = connection.execute(_unlabelled(annotator, version, wanted)).all()
    added = abstained = 0
    for start in range(0, len(rows), BATCH):
        annotations = [judge(row) for row in rows[start : start + BATCH]]
        with store.writing() as connection:
            write_annotations(connection, annotations)
        added += len(annotations)
        abstained += sum(annotation.category is None for annotation in annotations)
    return Annotated(annotator, added, abstained)


def _judge(annotator: Annotator, mask: SignalMask, codebook: str) -> Judge:
    def judge(row: Any) -> Annotation:
        judgement = annotator.annotate(mask.apply(row.prompt), mask.apply(row.text))
        return Annotation(
            response=row.id,
            annotator=annotator.name,
            kind=annotator.kind,
            version=annotator.version,
            category=judgement.category,
            created=now(),
            abstain_reason=judgement.abstain_reason,
            probabilities=judgement.probabilities,
            codebook_hash=codebook,
        )

    return judge


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
