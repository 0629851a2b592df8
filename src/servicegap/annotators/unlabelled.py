"""The responses of the plan that an annotator has not labelled yet, and keeping what it says of them.

Not here: what labels them (judging.py, and the stage in annotate.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from servicegap.annotators.protocol import Judgement, Named
from servicegap.counting import planned
from servicegap.records import Annotation
from servicegap.store import Store, latest_responses, write_annotations
from servicegap.study import Study, now
from servicegap.tables import ANNOTATIONS, PROMPTS

BATCH = 500
#: Which of the latest responses are meant.
Wanted = Callable[[sa.Subquery], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Annotated:
    """How many annotations an annotator added, and on how many of them it abstained.

    ``most_often`` is its commonest reason, without what it quotes, and None where it never abstained.
    ``failed`` responses were to be judged and are not, as calls to the judge failed; a re-run asks again.
    ``problem`` is why the rest of the calls was not even made, in words.
    """

    annotator: str
    added: int
    abstained: int
    most_often: str | None = None
    failed: int = 0
    problem: str | None = None

    def __str__(self) -> str:
        why = f" (most often: {self.most_often})" if self.most_often else ""
        return f"{self.annotator}: {self.added} labelled, {self.abstained} of them abstained{why}"


def blocked(latest: sa.Subquery) -> sa.ColumnElement[bool]:
    """Mean what the provider's content filter blocked."""
    return latest.c.error_kind == "content_filter"


def answered(latest: sa.Subquery) -> sa.ColumnElement[bool]:
    """Mean what has a text, and was not blocked."""
    return sa.and_(latest.c.text.is_not(None), sa.func.coalesce(latest.c.error_kind, "") != "content_filter")


def unlabelled(study: Study, annotator: str, version: str, wanted: Wanted = answered) -> sa.Select[Any]:
    """Query ``id, text, prompt, template`` of what this version of an annotator has not labelled.

    What the plan asks for no more stays in the database, and counts nowhere: nobody is paid to label it.
    """
    latest = latest_responses()
    return (
        sa.select(latest.c.id, latest.c.text, PROMPTS.c.text.label("prompt"), PROMPTS.c.template)
        .join(PROMPTS, PROMPTS.c.id == latest.c.prompt)
        .where(*_without_label(study, annotator, version, latest), wanted(latest))
    )


def unlabelled_answers(study: Study, annotator: str, version: str) -> sa.Select[Any]:
    """Query ``id, prompt`` of each answer that it has not labelled, whatever design the database has."""
    latest = latest_responses()
    return sa.select(latest.c.id, latest.c.prompt).where(
        *_without_label(study, annotator, version, latest), answered(latest)
    )


def _without_label(
    study: Study, annotator: str, version: str, latest: sa.Subquery
) -> tuple[sa.ColumnElement[bool], ...]:
    labelled = sa.select(ANNOTATIONS.c.response).where(
        ANNOTATIONS.c.annotator == annotator, ANNOTATIONS.c.version == version
    )
    return (*planned(study, latest), latest.c.id.not_in(labelled))


def keep(store: Store, annotator: str, annotations: Iterable[Annotation]) -> Annotated:
    """Keep annotations as they come, a batch at a time."""
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


def annotation(
    response: str, annotator: Named, judgement: Judgement, codebook: str, note: str | None = None
) -> Annotation:
    """Return an annotator's judgement of a response as it is kept."""
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
