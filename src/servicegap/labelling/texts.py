"""What a person reads of a response: its prompt and its text, with names masked in the quality pass."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Set
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.annotators.masking import NAME, SignalMask
from servicegap.codebook import Codebook
from servicegap.labelling.silent_gold import cases_of
from servicegap.tables import PROMPTS, RESPONSES, SIGNALS


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt, what came back, and the template that the prompt was made from."""

    prompt: str
    text: str
    template: str


def read_texts(connection: Connection, responses: Iterable[str], codebook: Codebook) -> dict[str, Text]:
    """Return the texts of some responses, or of cases of the codebook; those that are gone are left out."""
    wanted = list(responses)
    query = (
        sa.select(RESPONSES.c.id, RESPONSES.c.text, PROMPTS.c.text.label("prompt"), PROMPTS.c.template)
        .join(PROMPTS, PROMPTS.c.id == RESPONSES.c.prompt)
        .where(RESPONSES.c.id.in_(wanted), RESPONSES.c.text.is_not(None))
        .order_by(RESPONSES.c.attempt)
    )
    # Of several attempts the last.
    found = {row.id: Text(row.prompt, row.text, row.template) for row in connection.execute(query)}
    if len(found) < len(wanted):
        found |= _cases(connection, set(wanted) - set(found), codebook)
    return found


def _cases(connection: Connection, wanted: Set[str], codebook: Codebook) -> dict[str, Text]:
    """Return those that are cases of the codebook, with a name in them as a response would have."""
    cases = {id_: case for id_, case in cases_of(codebook).items() if id_ in wanted}
    signals = _signals(connection) if cases else ()
    found = {}
    for id_, case in cases.items():
        name = signals[int(id_, 16) % len(signals)] if signals else NAME
        found[id_] = Text(case.prompt.replace(NAME, name), case.response.replace(NAME, name), id_)
    return found


def read_templates(connection: Connection, responses: Iterable[str]) -> dict[str, str]:
    """Return response -> the template that its prompt was made from."""
    query = (
        sa.select(RESPONSES.c.id, PROMPTS.c.template)
        .join(PROMPTS, PROMPTS.c.id == RESPONSES.c.prompt)
        .where(RESPONSES.c.id.in_(list(responses)))
    )
    return {row.id: row.template for row in connection.execute(query)}


def masked(connection: Connection, text: Text) -> Text:
    """Return the text with every signal of the study as ``[NAME]``."""
    mask = _mask(_signals(connection))
    return Text(mask.apply(text.prompt), mask.apply(text.text), text.template)


def _signals(connection: Connection) -> tuple[str, ...]:
    query = sa.select(SIGNALS.c.text).where(SIGNALS.c.group.is_not(None)).order_by(SIGNALS.c.text)
    return tuple(connection.execute(query).scalars())


@functools.lru_cache(maxsize=4)
def _mask(signals: tuple[str, ...]) -> SignalMask:
    # Putting the pattern together takes longer than using it.
    return SignalMask(signals)
