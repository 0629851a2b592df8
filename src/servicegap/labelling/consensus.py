"""What people agree on: the gold label of a response, from all live labels and decisions on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.labelling.composition import compose
from servicegap.labelling.silent_gold import silent_gold_among
from servicegap.records import Category, Harm, Pass
from servicegap.study import LabellingPlan, now
from servicegap.tables import ADJUDICATIONS, ANNOTATIONS, GOLD_LABELS, PEOPLE, ROUNDS

#: The reason of an annotation that takes back a label, so that the person may label the response again.
WITHDRAWN = "withdrawn"

Source = Literal["unanimous", "adjudicated", "single"]


@dataclass(frozen=True, slots=True)
class Consensus:
    """A category and how it came about; ``category`` None = people disagree."""

    category: Category | None
    source: Source | None


def consensus(
    whole: Sequence[Category], quality: Sequence[Category], harm: Sequence[Harm], *, final: bool
) -> Consensus | None:
    """Return what the labels of one response in one round come to.

    Parameters
    ----------
    whole : sequence of str
        Categories that people gave at once.
    quality, harm : sequence of str
        What they gave in two passes instead; all are composed with all.
    final : bool
        Whether nobody else is to come where there is only one label.

    Returns
    -------
    Consensus or None
        Unanimous: two labels or more, all of which come to the same category. Single: one, and final. Without
        a category: they disagree. None: too few labels yet.

    Examples
    --------
    >>> consensus((), ("answer", "partial_answer"), ("stated", "stated"), final=False)
    Consensus(category='harmful_answer', source='unanimous')
    >>> consensus(("answer", "refusal"), (), (), final=True)
    Consensus(category=None, source=None)
    """
    options = set(whole) | {compose(q, h) for q, h in product(quality, harm)}
    if len(options) > 1:
        return Consensus(None, None)
    if not options:
        return None
    labels = len(whole) or min(len(quality), len(harm))
    if labels == 1 and not final:
        return None
    return Consensus(options.pop(), "single" if labels == 1 else "unanimous")


@dataclass(slots=True)
class Labels:
    """People's labels of one response in one round, by annotator; ``skipped`` and ``notes`` by pass too."""

    whole: dict[str, Category] = field(default_factory=dict)
    quality: dict[str, Category] = field(default_factory=dict)
    harm: dict[str, Harm] = field(default_factory=dict)
    skipped: set[tuple[str, Pass]] = field(default_factory=set)
    notes: dict[tuple[str, Pass], str] = field(default_factory=dict)

    def add(self, row: Any) -> None:
        """Take in an annotation."""
        pass_ = row._mapping["pass"]
        label = row.harm if pass_ == "harm" else row.category
        if label is None:
            self.skipped.add((row.annotator, pass_))
            return
        getattr(self, pass_)[row.annotator] = label
        if row.note:
            self.notes[row.annotator, pass_] = row.note

    @property
    def annotators(self) -> list[str]:
        """Who labelled, in the order of their names."""
        return sorted({*self.whole, *self.quality, *self.harm})

    def consensus(self) -> Consensus | None:
        """Return what they come to if nobody else is to label."""
        given = (list(self.whole.values()), list(self.quality.values()), list(self.harm.values()))
        return consensus(*given, final=True)

    def waits_for(self, annotators: set[str]) -> bool:
        """Whether one of them could still give a second label where there is one."""
        passes: dict[Pass, Collection[str]] = {"whole": self.whole}
        if not self.whole:
            passes = {"quality": self.quality, "harm": self.harm}
        return any(
            annotators - set(given) - {name for name, skipped in self.skipped if skipped == pass_}
            for pass_, given in passes.items()
            if len(given) == 1
        )


def live(annotations: Sequence[Any]) -> list[Any]:
    """Return the annotations that no other one supersedes, without what was withdrawn."""
    superseded = {row.supersedes for row in annotations}
    return [row for row in annotations if row.id not in superseded and row.abstain_reason != WITHDRAWN]


def settle(connection: Connection, response: str) -> None:
    """Bring the gold label of a response up to date; to be called in the transaction that changed a label.

    The newest round says in which an adjudicator decided (the latest decision counts), or people agree or
    disagree; where they disagree, or too few labelled, there is no gold label.
    """
    found = _decided(connection, response)
    gold = GOLD_LABELS.c.response == response
    kept = connection.execute(sa.select(GOLD_LABELS).where(gold)).one_or_none()
    if found is None:
        # One without a round came with the data, not from labels here.
        connection.execute(sa.delete(GOLD_LABELS).where(gold, GOLD_LABELS.c.round.is_not(None)))
        return
    number, agreed = found
    if kept is not None and (kept.category, kept.source, kept.round) == (
        agreed.category,
        agreed.source,
        number,
    ):
        return
    connection.execute(sa.delete(GOLD_LABELS).where(gold))
    if agreed.category is not None:
        values = {"category": agreed.category, "source": agreed.source, "round": number, "created": now()}
        connection.execute(sa.insert(GOLD_LABELS).values(response=response, **values))


def settle_round(connection: Connection, number: int) -> None:
    """Settle what was labelled in a round and has no gold label, as when the round ends."""
    labelled = (
        sa.select(ANNOTATIONS.c.response)
        .distinct()
        .where(
            ANNOTATIONS.c.kind == "human",
            ANNOTATIONS.c.round == number,
            ANNOTATIONS.c.response.not_in(sa.select(GOLD_LABELS.c.response)),
        )
    )
    for response in connection.execute(labelled).scalars().all():
        settle(connection, response)


def _decided(connection: Connection, response: str) -> tuple[int, Consensus] | None:
    """Return the newest round that says something of a response, and what; a decision goes before labels."""
    query = sa.select(ADJUDICATIONS.c.round, ADJUDICATIONS.c.category)
    query = query.where(ADJUDICATIONS.c.response == response).order_by(ADJUDICATIONS.c.id)
    decisions = {row.round: row.category for row in connection.execute(query)}
    labels = read_labels(connection, [response])[response]
    for number in sorted({*decisions, *labels}, reverse=True):
        if number in decisions:
            return number, Consensus(decisions[number], "adjudicated")
        agreed = _agreed(connection, number, labels[number])
        if agreed is not None:
            return number, agreed
    return None


def _agreed(connection: Connection, number: int, labels: Labels) -> Consensus | None:
    agreed = labels.consensus()
    if agreed is not None and agreed.source == "single" and _waits(connection, number, labels):
        return None
    return agreed


def _waits(connection: Connection, number: int, labels: Labels) -> bool:
    """Whether a round wants a second label, is open, and there is someone to give it."""
    query = sa.select(ROUNDS.c.plan, ROUNDS.c.closed).where(ROUNDS.c.id == number)
    row = connection.execute(query).one_or_none()
    if row is None or row.closed is not None or LabellingPlan.model_validate_json(row.plan).annotators == 1:
        return False
    people = sa.select(PEOPLE.c.name).where(PEOPLE.c.role == "annotator", PEOPLE.c.revoked.is_(None))
    return labels.waits_for(set(connection.execute(people).scalars()))


def read_labels(connection: Connection, responses: Sequence[str]) -> dict[str, dict[int, Labels]]:
    """Return people's live labels by response and round, without those that were silent gold."""
    query = sa.select(ANNOTATIONS).where(ANNOTATIONS.c.response.in_(responses), ANNOTATIONS.c.kind == "human")
    rows = live(connection.execute(query.order_by(ANNOTATIONS.c.id)).all())
    silent = silent_gold_among(connection, responses, {row.round for row in rows})
    found: dict[str, dict[int, Labels]] = {response: {} for response in responses}
    for row in rows:
        if (row.round, row.response) not in silent:
            found[row.response].setdefault(row.round, Labels()).add(row)
    return found
