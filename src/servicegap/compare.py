"""Two models, two conditions or two versions of a study: what differs, paired by cell.

Every name in every template is its own control; a change of a gap is a difference of differences. What is
in one of the two only is left out and counted.

Not here: the formulas (disparity/paired.py), the command line. It changes nothing in a study.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import sqlalchemy as sa

from servicegap.disparity.categories import CategoryCells
from servicegap.disparity.cells import Cells
from servicegap.disparity.equivalence import equivalence
from servicegap.disparity.multiplicity import benjamini_hochberg, holm
from servicegap.disparity.paired import gap_changes, rate_changes
from servicegap.errors import DataError
from servicegap.labels import kind_of_labels, labelled_responses
from servicegap.records import OUTCOMES, Estimate, Labels
from servicegap.runs import primary_runs
from servicegap.store import TEMPLATES, Store
from servicegap.study import Study

Run = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: a study's responses, of some runs.

    ``texts`` has the text of each template: two studies may give one id to different texts.
    """

    study: Study
    frame: pl.DataFrame
    texts: Mapping[str, str]
    model: str | None = None
    condition: str | None = None

    @property
    def name(self) -> str:
        """How messages name it."""
        return str(self.study.folder)

    def of(self, model: str | None, condition: str | None) -> Side:
        """Return the side of one model, or one condition, alone (None = all).

        Raises
        ------
        DataError
            A model or condition without responses.
        """
        problems = []
        rows = self.frame
        for column, wanted in (("model", model), ("condition", condition)):
            there = sorted(set(self.frame[column]))
            if wanted is not None and wanted not in there:
                problems.append(f"{self.name}: no responses of {column} {wanted!r}; there: {', '.join(there)}")
            if wanted is not None:
                rows = rows.filter(pl.col(column) == wanted)
        if not problems and not rows.height:
            problems.append(f"{self.name}: no responses of model {model!r} under condition {condition!r}")
        if problems:
            raise DataError(*problems)
        return replace(self, frame=rows, model=model, condition=condition)


@dataclass(frozen=True, slots=True)
class Cell:
    """How many cells two runs share, and how many labelled ones only one of them has."""

    names: int
    templates: int
    shared: int
    only_baseline: int
    only_compared: int


@dataclass(frozen=True, slots=True)
class GapPair:
    """The gap of one group on the shared cells, in both (0 to 1; None = undefined)."""

    group: str
    baseline: float | None
    compared: float | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs compared; ``different`` lists in words what differs between them besides the answers."""

    baseline: Run
    compared: Run
    cells: Cell
    different: tuple[str, ...]
    gaps: tuple[GapPair, ...]
    estimates: tuple[Estimate, ...]
