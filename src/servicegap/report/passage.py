"""A part of a run's results in words, tables and figures, under one heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A small table; its first column heads the rows."""

    label: str
    head: Sequence[str]
    body: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Passage:
    """What is said under a heading.

    ``key`` is the section of the figures that belong to it; ``lead`` is one sentence in plain words; each of
    ``points`` is a name in bold and what is said of it. ``folded`` hides all but the lead until it is opened;
    ``early`` puts it right after the gaps.
    """

    key: str
    heading: str
    lead: str
    points: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    folded: bool = False
    early: bool = False
