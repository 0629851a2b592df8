"""The search for a person's next slot; it takes nothing and looks at one batch, never at everything.

Not here: who holds what (slots.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.labelling.consensus import WITHDRAWN
from servicegap.labelling.order import shuffled
from servicegap.labelling.people import Person
from servicegap.labelling.rounds import Round
from servicegap.labelling.silent_gold import silent_gold_of
from servicegap.labelling.texts import read_templates
from servicegap.records import Pass, content_hash
from servicegap.tables import ANNOTATIONS, PROMPTS, RESPONSES, SLOTS


@dataclass(frozen=True, slots=True)
class Candidate:
    """A slot that a person can have."""

    response: str
    pass_: Pass
    k: int
    batch: int


def find_candidate(
    connection: Connection, now_open: Round, person: Person, at: float, last: Candidate | None
) -> Candidate | None:
    """Return the first free slot in the person's own order, None if there is none for them.

    Harm is asked once a response has all labels of its quality, first of those who gave them. Only where
    nothing else is left, others are asked, or people about what they themselves labelled in the quality pass
    while others have not. `last` is what the person took last: the search goes on from its batch, and does
    not give its template again where there is another.
    """
    search = _Search(connection, now_open, person, at - 60 * now_open.plan.lease_minutes, last)
    first = now_open.passes[0]
    if first == "whole":
        return search.first(first)
    quality, harm = search.batch(first), search.batch("harm", _complete, _own)
    if last is not None and quality != last.batch and now_open.plan.silent_gold:
        # Others may have labelled what was left of the batch, but not the person's silent gold.
        silent = search.in_batch(first, last.batch)
        if silent is not None:
            return silent
    if harm is not None and (quality is None or harm < quality):
        return search.in_batch("harm", harm, _complete, _own)
    if quality is not None:
        return search.in_batch(first, quality)
    return search.first("harm", _complete) or search.first("harm", _own)


def last_labelled(connection: Connection, now_open: Round, person: Person) -> Candidate | None:
    """Return what the person labelled last, None if that was not in this round."""
    # By the person alone, as there is an index of that; the newest is of this round, or none is.
    mine = (SLOTS.c.person == person.name, SLOTS.c.done.is_(True))
    query = sa.select(SLOTS).where(*mine).order_by(SLOTS.c.taken.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    if row is None or row.round != now_open.id:
        return None
    return Candidate(row.response, row._mapping["pass"], row.k, row.batch)


#: A condition on the free slots of a harm pass.
_Rule = Callable[[sa.FromClause, Person], sa.ColumnElement[bool]]


def _complete(slot: sa.FromClause, _person: Person) -> sa.ColumnElement[bool]:
    """Let through what has all labels of its quality."""
    quality = SLOTS.alias("quality")
    return ~sa.exists().where(_same(quality, slot, "quality"), quality.c.done.is_(False))


def _own(slot: sa.FromClause, person: Person) -> sa.ColumnElement[bool]:
    """Let through what the person labelled in the quality pass."""
    own = SLOTS.alias("own")
    return sa.exists().where(_same(own, slot, "quality"), own.c.person == person.name, own.c.done.is_(True))


def _same(one: sa.FromClause, slot: sa.FromClause, pass_: Pass) -> sa.ColumnElement[bool]:
    return sa.and_(one.c.round == slot.c.round, one.c.response == slot.c.response, one.c["pass"] == pass_)


@dataclass(frozen=True, slots=True)
class _Search:
    connection: Connection
    round: Round
    person: Person
    lease_ended: float
    last: Candidate | None

    def first(self, pass_: Pass, *rules: _Rule) -> Candidate | None:
        # Mostly the batch that the person is in has more for them, and then one search is enough.
        found = self.in_batch(pass_, self.last.batch, *rules) if self.last else None
        if found is not None:
            return found
        batch = self.batch(pass_, *rules)
        return None if batch is None else self.in_batch(pass_, batch, *rules)

    def batch(self, pass_: Pass, *rules: _Rule) -> int | None:
        """Return the first batch with a free slot for the person, from where they were onward, else any."""
        slot = SLOTS.alias("slot")
        query = sa.select(slot.c.batch).where(*self._free(slot, pass_, rules)).order_by(slot.c.batch).limit(1)
        start = self.last.batch if self.last else 0
        onward = self.connection.execute(query.where(slot.c.batch >= start)).scalar()
        if onward is not None or start == 0:
            return onward
        return self.connection.execute(query).scalar()

    def in_batch(self, pass_: Pass, batch: int, *rules: _Rule) -> Candidate | None:
        """Return the batch's first free slot in the person's order, not of the template they saw last."""
        slot = SLOTS.alias("slot")
        # Not grouped by the database, which would then read the whole round in the order of responses.
        query = sa.select(slot.c.response, slot.c.k).where(
            slot.c.batch == batch, *self._free(slot, pass_, rules)
        )
        free: dict[str, int] = {}
        for row in self.connection.execute(query):
            free[row.response] = min(row.k, free.get(row.response, row.k))
        if pass_ == self.round.passes[0] and self.round.plan.silent_gold:
            free = self._silent_gold(batch, pass_) | free
        if not free:
            return None
        templates = self._templates(pass_, batch, free)
        order = shuffled(list(templates.items()), self._seed(pass_, batch))
        mine = [response for response in order if response in free]
        seen = self._seen(templates)
        chosen = next((response for response in mine if templates[response] != seen), mine[0])
        return Candidate(chosen, pass_, free[chosen], batch)

    def _free(self, slot: sa.FromClause, pass_: Pass, rules: Sequence[_Rule]) -> list[sa.ColumnElement[bool]]:
        mine = SLOTS.alias("mine")
        skipped = sa.exists().where(
            ANNOTATIONS.c.response == slot.c.response,
            ANNOTATIONS.c.annotator == self.person.name,
            ANNOTATIONS.c.round == self.round.id,
            ANNOTATIONS.c["pass"] == pass_,
            ANNOTATIONS.c.abstain_reason != WITHDRAWN,
        )
        return [
            slot.c.round == self.round.id,
            slot.c["pass"] == pass_,
            slot.c.done.is_(False),
            sa.or_(slot.c.person.is_(None), slot.c.taken < self.lease_ended),
            ~sa.exists().where(_same(mine, slot, pass_), mine.c.person == self.person.name),
            *(rule(slot, self.person) for rule in rules),
            ~skipped,
        ]

    def _silent_gold(self, batch: int, pass_: Pass) -> dict[str, int]:
        """Return the batch's silent gold that the person has not met, each with a new slot's number."""
        silent = silent_gold_of(self.connection, self.round.id, batch)
        if not silent:
            return {}
        where = (SLOTS.c.round == self.round.id, SLOTS.c.response.in_(silent), SLOTS.c["pass"] == pass_)
        rows = self.connection.execute(
            sa.select(SLOTS.c.response, SLOTS.c.k, SLOTS.c.person).where(*where)
        ).all()
        skipped = sa.select(ANNOTATIONS.c.response).where(
            ANNOTATIONS.c.response.in_(silent),
            ANNOTATIONS.c.round == self.round.id,
            ANNOTATIONS.c.annotator == self.person.name,
            ANNOTATIONS.c.abstain_reason != WITHDRAWN,
        )
        met = {row.response for row in rows if row.person == self.person.name}
        met |= set(self.connection.execute(skipped).scalars())
        last = dict.fromkeys(silent - met, 0)
        for row in rows:
            if row.response in last:
                last[row.response] = max(last[row.response], row.k)
        return {response: k + 1 for response, k in last.items()}

    def _templates(self, pass_: Pass, batch: int, free: Iterable[str]) -> dict[str, str]:
        of_batch = (
            sa.select(SLOTS.c.response, PROMPTS.c.template)
            .distinct()
            .join(RESPONSES, RESPONSES.c.id == SLOTS.c.response)
            .join(PROMPTS, PROMPTS.c.id == RESPONSES.c.prompt)
            .where(SLOTS.c.round == self.round.id, SLOTS.c["pass"] == pass_, SLOTS.c.batch == batch)
        )
        found = {row.response: row.template for row in self.connection.execute(of_batch)}
        rest = [response for response in free if response not in found]
        if rest:
            # What is no response is a case of the codebook, a template of its own.
            found |= {response: response for response in rest} | read_templates(self.connection, rest)
        return found

    def _seen(self, templates: Mapping[str, str]) -> str | None:
        """Return the template that the person saw last; `templates` are those of the batch."""
        if self.last is None:
            return None
        response = self.last.response
        return templates.get(response) or read_templates(self.connection, [response]).get(response)

    def _seed(self, pass_: Pass, batch: int) -> int:
        parts = (str(self.person.seed), str(self.round.seed), pass_, str(batch))
        return int(content_hash(*parts), 16)
