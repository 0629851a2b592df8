"""Texts as a table has them, labelled: signals masked, and what nobody can read told apart.

It loads little, as every process that labels loads it. Not here: where the texts come from (label.py).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from servicegap.annotators import Annotator, Judgement, SignalMask, create_annotator
from servicegap.annotators.masking import NAME
from servicegap.signals import load_signals


@dataclass(frozen=True, slots=True)
class Texts:
    """What the annotator needs of one row, as the table holds it."""

    prompt: object
    response: object
    signal: object = None


@dataclass(frozen=True, slots=True)
class Label:
    """One row's judgement, and whether a signal was masked for it."""

    judgement: Judgement
    masked: bool


@functools.cache
def known_names() -> tuple[str, ...]:
    """Return the built-in names, which are masked where a table does not say its signals."""
    return tuple(signal.text for signal in load_signals())


def label_texts(annotator: str, study: Path | None, rows: Sequence[Texts]) -> list[Label]:
    """Label rows.

    Parameters
    ----------
    annotator : str
    study : Path or None
        As ``create_annotator`` takes them.
    rows : sequence of Texts
        Where one does not say its signal, the built-in names are masked.
    """
    judge = _annotator(annotator, study)
    return [_label(judge, row) for row in rows]


def _label(annotator: Annotator, row: Texts) -> Label:
    reason = _unusable("prompt", row.prompt) or _unusable("response", row.response)
    if reason:
        return Label(Judgement(None, abstain_reason=reason), masked=False)
    prompt, response = str(row.prompt), str(row.response)
    signal = "" if row.signal is None else str(row.signal).strip()
    mask = _mask_of(signal) if signal else _known_mask()
    hidden, answered = mask.apply(prompt), mask.apply(response)
    return Label(
        annotator.annotate(hidden, answered),
        masked=hidden.count(NAME) > prompt.count(NAME) or answered.count(NAME) > response.count(NAME),
    )


# Made once in each process that labels.
_annotator = functools.cache(create_annotator)


@functools.cache
def _known_mask() -> SignalMask:
    return SignalMask(known_names())


@functools.lru_cache(maxsize=4096)
def _mask_of(signal: str) -> SignalMask:
    return SignalMask([signal])


def _unusable(what: str, text: object) -> str | None:
    """Return why nobody can read a cell, None where one can."""
    if text is None:
        return f"there is no {what}"
    if not isinstance(text, str):
        return f"the {what} is no text"
    if "\0" in text:
        return f"the {what} has NUL bytes in it"
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"the {what} has bytes in it that are not UTF-8"
    return None
