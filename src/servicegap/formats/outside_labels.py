"""Labels that people gave in another tool: what goes out to be labelled, and what comes back.

Every format reads into the same :class:`OutsideLabel`, checked, kept and settled in one way.
A label that is in the study already is not kept twice: the same file can be brought in again.

Not here: the formats themselves (label_studio.py, prodigy.py, label_table.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from servicegap.codebook import codebook_of
from servicegap.errors import InputError
from servicegap.labelling.consensus import settle
from servicegap.labelling.order import shuffled
from servicegap.labelling.rounds import read_current_round
from servicegap.labelling.texts import Text, masked, read_texts
from servicegap.labelling.turns import in_turn
from servicegap.labels import planned_scores
from servicegap.records import Annotation, Category
from servicegap.store import Store, latest_responses, write_annotations
from servicegap.study import Study, now
from servicegap.tables import ANNOTATIONS, ROUND_ITEMS

#: The round of labels that came from a file: before all rounds of the pages.
FILE_ROUND = 0
#: Mistakes shown of one file; a wrong file would give one for every entry.
SHOWN = 20
_BATCH = 500


@dataclass(frozen=True, slots=True)
class ToLabel:
    """A response for people to label elsewhere; ``automatic`` is what an automatic annotator says of it."""

    response: str
    prompt: str
    text: str
    automatic: Category | None
    confidence: float | None
    annotator: str | None


@dataclass(frozen=True, slots=True)
class OutsideLabel:
    """One person's label of one response; ``place`` says where it stands in the file.

    ``category`` None = skipped, with ``reason``.
    """

    response: str
    annotator: str
    category: Category | None
    place: str
    reason: str | None = None
    note: str | None = None
    active_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class BroughtIn:
    """How many labels a file added, how many the study had already, and how many people gave them."""

    added: int
    known: int
    annotators: int


def responses_to_label(study: Study, store: Store, *, mask_signals: bool = False) -> list[ToLabel]:
    """Return what people are to label: the responses of the open round, or all where none is open.

    Parameters
    ----------
    study, store
        An open study.
    mask_signals : bool
        Whether names are shown as ``[NAME]``.

    Returns
    -------
    list of ToLabel
        In an order in which variants of one template are apart, the same in every call.
    """
    codebook = codebook_of(study)
    first = planned_scores(study, store).unique("response", keep="first")
    scores = {row["response"]: row for row in first.iter_rows(named=True)}
    with store.reading() as connection:
        opened = read_current_round(connection)
        if opened is None:
            latest = latest_responses()
            query = sa.select(latest.c.id).where(
                latest.c.text.is_not(None), sa.func.coalesce(latest.c.error_kind, "") != "content_filter"
            )
        else:
            query = sa.select(ROUND_ITEMS.c.response).where(
                ROUND_ITEMS.c.round == opened.id,
                ROUND_ITEMS.c.drawn.is_(True),
                ROUND_ITEMS.c.silent_gold.is_(None),
            )
        wanted = connection.execute(query).scalars().all()
        texts: dict[str, Text] = {}
        for start in range(0, len(wanted), _BATCH):  # a database takes only so many values in one question
            texts |= read_texts(connection, wanted[start : start + _BATCH], codebook)
        if mask_signals:
            texts = {response: masked(connection, text) for response, text in texts.items()}
    order = shuffled([(response, text.template) for response, text in texts.items()], study.plan.seed)
    return [
        ToLabel(response, texts[response].prompt, texts[response].text, *_automatic(scores.get(response)))
        for response in order
    ]


def _automatic(row: dict[str, Any] | None) -> tuple[Category | None, float | None, str | None]:
    if row is None or row["category"] is None:
        return None, None, None
    return row["category"], row[f"p_{row['category']}"], f"{row['annotator']} {row['annotator_version']}"


def every_label(study: Study, store: Store) -> list[dict[str, Any]]:
    """Return every person's live label, in the order in which they were given.

    Returns
    -------
    list of dict
        ``response, annotator, round, pass, category, harm, reason, note, active_seconds, created``.
    """
    superseded = sa.select(ANNOTATIONS.c.supersedes).where(ANNOTATIONS.c.supersedes.is_not(None))
    query = (
        sa.select(ANNOTATIONS)
        .where(ANNOTATIONS.c.kind.in_(("human", "imported")), ANNOTATIONS.c.id.not_in(superseded))
        .order_by(ANNOTATIONS.c.id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).mappings().all()
    plain = (
        "response",
        "annotator",
        "round",
        "pass",
        "category",
        "harm",
        "note",
        "active_seconds",
        "created",
    )
    return [{name: row[name] for name in plain} | {"reason": row["abstain_reason"]} for row in rows]


def bring_in(study: Study, store: Store, labels: Sequence[OutsideLabel]) -> BroughtIn:
    """Keep people's labels from elsewhere, and settle what they agree on.

    Raises
    ------
    InputError
        If a label is of no response of this study, or one person gave a response two categories; then none is
        kept.
    """
    codebook = codebook_of(study)
    labels = _one_of_each(labels)
    with in_turn(store) as connection:
        latest = latest_responses()
        there = set(connection.execute(sa.select(latest.c.id).where(latest.c.text.is_not(None))).scalars())
        refuse_if_any(
            [
                f"{each.place}: {each.response!r} is no response of this study"
                for each in labels
                if each.response not in there
            ]
        )
        known = _known(connection)
        fresh = [
            each for each in labels if known.get((each.response, each.annotator), ("",))[1:] != _said(each)
        ]
        write_annotations(
            connection,
            (
                Annotation(
                    response=each.response,
                    annotator=each.annotator,
                    kind="human",
                    version="1",
                    category=each.category,
                    created=now(),
                    abstain_reason=each.reason,
                    note=each.note,
                    codebook_hash=codebook.hash,
                    round=FILE_ROUND,
                    supersedes=known[key][0] if (key := (each.response, each.annotator)) in known else None,
                    active_seconds=each.active_seconds,
                )
                for each in fresh
            ),
        )
        for response in dict.fromkeys(each.response for each in fresh):
            settle(connection, response)
    return BroughtIn(len(fresh), len(labels) - len(fresh), len({each.annotator for each in labels}))


def _one_of_each(labels: Sequence[OutsideLabel]) -> list[OutsideLabel]:
    """Return one label for each response and person: the last one, but no skip where there is a category."""
    found: dict[tuple[str, str], OutsideLabel] = {}
    problems = []
    for each in labels:
        before = found.get((each.response, each.annotator), each)
        if each.category and before.category and each.category != before.category:
            problems.append(
                f"{each.place}: {each.annotator!r} labelled {each.response!r} {each.category} here, and "
                f"{before.category} at {before.place}; a person labels a response once: keep the right one"
            )
        if each.category or not before.category:
            found[each.response, each.annotator] = each
    refuse_if_any(problems)
    return list(found.values())


def _known(connection: sa.Connection) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Return what the study has from files: the last annotation's id, category, reason and note."""
    query = (
        sa.select(ANNOTATIONS)
        .where(ANNOTATIONS.c.kind == "human", ANNOTATIONS.c.round == FILE_ROUND)
        .order_by(ANNOTATIONS.c.id)
    )
    return {
        (row.response, row.annotator): (row.id, row.category, row.abstain_reason, row.note)
        for row in connection.execute(query)
    }


def _said(label: OutsideLabel) -> tuple[Any, ...]:
    return (label.category, label.reason, label.note)


def refuse_if_any(problems: Sequence[str]) -> None:
    """Raise what is wrong with a file, not more of it than a person wants to read.

    Raises
    ------
    InputError
        If there is a problem.
    """
    if problems:
        more = [f"... and {len(problems) - SHOWN} more mistakes"] if len(problems) > SHOWN else []
        raise InputError(*problems[:SHOWN], *more)
