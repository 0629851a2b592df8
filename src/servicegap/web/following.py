"""What the lead's page shows: how far the round is, how well people agree, what they confuse, what they flag.

Figures of agreement take a moment, so they are kept until another label comes in.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sqlalchemy as sa

from servicegap.agreement import Agreement
from servicegap.agreement.confusions import Confusion
from servicegap.codebook import codebook_of
from servicegap.labelling.adjudication import waiting
from servicegap.labelling.agreement import PeopleAgreement, measure_agreement
from servicegap.labelling.rounds import Round
from servicegap.labelling.texts import Text, read_texts
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ADJUDICATIONS, ANNOTATIONS, FLAGS, GOLD_LABELS, PEOPLE, ROUND_ITEMS, SLOTS

_CONFUSIONS = 5
_EXAMPLES = 3
_FLAGS = 100


@dataclass(frozen=True, slots=True)
class Agreed:
    """Agreement among people in one pass, and texts to see what it is about.

    Attributes
    ----------
    found : PeopleAgreement
        The figures.
    confused : tuple of Confusion
        The pairs of categories confused most, the worst first.
    examples : dict of str to Text
        Response -> its texts, for some of each of these.
    """

    found: PeopleAgreement
    confused: tuple[Confusion, ...]
    examples: dict[str, Text]

    @property
    def alpha(self) -> Agreement | None:
        """Krippendorff's alpha over everything; None where nobody can be compared."""
        of_all = [figure for figure in self.found.figures if not _parts(figure)]
        return next((figure for figure in of_all if figure.measure == "alpha"), None)

    def tables(self, labels: Mapping[str, str]) -> list[Table]:
        """Return the figures as tables, overall first; `labels` are the categories' names for people."""
        rows: dict[str, list[tuple[str, Agreement]]] = {heading: [] for heading, *_ in _TABLES.values()}
        for figure in self.found.figures:
            parts = _parts(figure)
            heading, _, measures = _TABLES.get(tuple(parts), ("", "", ()))
            if figure.measure in measures:
                name = " and ".join(labels.get(part, part) for part in parts.values())
                rows[heading].append((name, figure))
        # Every category, round, ... with its measures together, in the order of the first.
        for found in rows.values():
            order = list(dict.fromkeys(name for name, _ in found))
            found.sort(key=lambda row: order.index(row[0]))
        tables = [Table(heading, what, rows[heading]) for heading, what, _ in _TABLES.values()]
        steady = [("", figure) for figure in self.found.steady if not _parts(figure)]
        return [table for table in (*tables, Table(_STEADY, "", steady)) if table.rows]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures of one kind, each with what it is of; ``what`` names that, empty = of everything."""

    heading: str
    what: str
    rows: list[tuple[str, Agreement]]


_TWO = ("percent", "alpha")
#: What a figure is of -> heading, name of that column, the measures that are shown.
_TABLES: Mapping[tuple[str, ...], tuple[str, str, Sequence[str]]] = {
    (): ("Agreement over all", "", ("percent", "cohen", "fleiss", "alpha", "ac1")),
    ("category",): ("Each category against the rest", "Category", _TWO),
    ("round",): ("By round", "Round", _TWO),
    ("background",): ("Within a background", "Background", _TWO),
    ("background", "other_background"): ("Between backgrounds", "Backgrounds", ("percent", "cohen")),
    ("annotators",): ("Each two people", "People", ("cohen",)),
}
_STEADY = "The same people in different rounds"
_PARTS = ("category", "group", "round", "background", "other_background")


def _parts(figure: Agreement) -> dict[str, str]:
    """Return what a figure is of: none of it = everything."""
    parts = {name: getattr(figure, name) for name in _PARTS if getattr(figure, name) is not None}
    return parts | ({"annotators": " and ".join(figure.annotators)} if figure.annotators else {})


@dataclass(slots=True)
class LiveAgreement:
    """Agreement that is computed again only when there are other labels; for many threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _of: object = None
    _found: tuple[Agreed, ...] = ()

    def read(self, study: Study, store: Store) -> tuple[Agreed, ...]:
        """Return the agreement of the labels that there are now; the first is of the six categories."""
        with self._lock:
            now = _state_of_labels(store)
            if not self._found or now != self._of:
                self._found, self._of = compute_agreement(study, store), now
            return self._found


def _state_of_labels(store: Store) -> object:
    """Return what changes whenever agreement may: the number of labels, and the backgrounds."""
    count = sa.select(sa.func.count(), sa.func.max(ANNOTATIONS.c.id)).where(ANNOTATIONS.c.kind == "human")
    told = sa.select(PEOPLE.c.name, PEOPLE.c.background).order_by(PEOPLE.c.name)
    with store.reading() as connection:
        return tuple(connection.execute(count).one()), [tuple(row) for row in connection.execute(told)]


def compute_agreement(study: Study, store: Store) -> tuple[Agreed, ...]:
    """Compute agreement in every pass, as `servicegap agreement` prints it, with examples of confusions."""
    found = measure_agreement(study, store, np.random.default_rng(study.plan.seed))
    wanted = {item for each in found for item in _examples(each)}
    with store.reading() as connection:
        texts = read_texts(connection, wanted, codebook_of(study))
    return tuple(
        Agreed(
            each,
            each.confused[:_CONFUSIONS],
            {item: texts[item] for item in _examples(each) if item in texts},
        )
        for each in found
    )


def _examples(found: PeopleAgreement) -> list[str]:
    return [item for confusion in found.confused[:_CONFUSIONS] for item in confusion.items[:_EXAMPLES]]


@dataclass(frozen=True, slots=True)
class RoundState:
    """How far the labelling is.

    Attributes
    ----------
    done, wanted : int
        Labels of the round, given and asked for.
    settled : dict of str to int
        Responses with a gold label, of all rounds, by how it came about.
    disputed, flagged : int
        Responses of all rounds that wait for a decision: on labels that disagree, or only on a flag.
    undecided : int
        Those among `disputed` that were drawn: they have no gold label, so that nothing is corrected by them.
    """

    done: int
    wanted: int
    settled: dict[str, int]
    disputed: int
    flagged: int
    undecided: int


def read_round_state(store: Store, latest: Round) -> RoundState:
    """Count what is done in a round, and what people settled and have to settle in all rounds."""
    reasons = waiting(store)
    disputed = {response for response, reason in reasons.items() if reason == "disagreement"}
    drawn = sa.select(ROUND_ITEMS.c.response).distinct().where(ROUND_ITEMS.c.drawn.is_(True))
    slots = sa.select(sa.func.count(), sa.func.sum(sa.case((SLOTS.c.done.is_(True), 1), else_=0)))
    gold = sa.select(GOLD_LABELS.c.source, sa.func.count().label("n")).group_by(GOLD_LABELS.c.source)
    with store.reading() as connection:
        wanted, done = connection.execute(slots.where(SLOTS.c.round == latest.id)).one()
        settled = {row.source: row.n for row in connection.execute(gold)}
        among = set(connection.execute(drawn).scalars()) if disputed else set()
    return RoundState(
        done=int(done or 0),
        wanted=wanted,
        settled=settled,
        disputed=len(disputed),
        flagged=len(reasons) - len(disputed),
        undecided=len(disputed & among),
    )


@dataclass(frozen=True, slots=True)
class Flagged:
    """A response that somebody wants to talk about; ``decided`` where it was adjudicated since."""

    person: str
    note: str
    created: str
    text: Text | None
    decided: bool


def read_flags(study: Study, store: Store) -> Sequence[Flagged]:
    """Return the latest flags, the newest first."""
    decided = sa.exists().where(
        ADJUDICATIONS.c.response == FLAGS.c.response, ADJUDICATIONS.c.created >= FLAGS.c.created
    )
    query = sa.select(FLAGS, decided.label("decided")).order_by(FLAGS.c.id.desc()).limit(_FLAGS)
    with store.reading() as connection:
        rows = connection.execute(query).all()
        texts = read_texts(connection, {row.response for row in rows}, codebook_of(study))
    return [
        Flagged(row.person, row.note, row.created, texts.get(row.response), bool(row.decided)) for row in rows
    ]
