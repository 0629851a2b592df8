"""What of the cells a comparison can use, and what it had to leave out, said in words.

Not here: the estimate itself (rates.py, comparison.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose

import numpy as np
from numpy.typing import NDArray

from servicegap.disparity.additive import TooLittleError
from servicegap.disparity.cells import Cells, Counts, Floats
from servicegap.disparity.crossed import comparable
from servicegap.errors import DataError

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """Names of some groups and templates of some parts, each with something in it.

    Attributes
    ----------
    cells : Cells
        All cells.
    groups : tuple of str
        The groups compared.
    rows : list of arrays, one a group
        Row numbers of the names in use.
    columns : list of arrays, one a part
        Column numbers of the templates in use.
    notes : tuple of str
        What was left out or is incomplete.
    """

    cells: Cells
    groups: tuple[str, ...]
    rows: list[NDArray[np.intp]]
    columns: list[NDArray[np.intp]]
    notes: tuple[str, ...]

    @property
    def n_signals(self) -> int:
        """Names in use."""
        return sum(map(len, self.rows))

    @property
    def n_templates(self) -> int:
        """Templates in use."""
        return sum(map(len, self.columns))

    def tables(self) -> list[list[Floats]]:
        """Return the cell means, [group][part] of (n_names, n_templates)."""
        return [[self.cells.mean[np.ix_(rows, columns)] for columns in self.columns] for rows in self.rows]

    def count(self, counts: Counts, group: int | None = None) -> int:
        """Sum counts of responses over the cells in use, of one of the groups (by its place) or of all."""
        chosen = self.rows if group is None else [self.rows[group]]
        return sum(int(counts[np.ix_(rows, columns)].sum()) for rows in chosen for columns in self.columns)

    def steady(self, group: int) -> float | None:
        """Return the value that all the group's cells have, or None where they differ."""
        values = np.concatenate([table.ravel() for table in self.tables()[group]])
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        return low if low == high else None

    def steady_sentence(self, group: int) -> str:
        """Say "0 of 576" for a group whose outcomes are all the same."""
        responses = self.count(self.cells.responses, group)
        if self.cells.scale != "yes/no":
            return f"all {responses} outcomes of {self.groups[group]} are the same"
        events = self.count(self.cells.events, group)
        return f"{events} of {responses} responses of {self.groups[group]} have the outcome"


@dataclass(frozen=True, slots=True)
class WeightedParts:
    """Column numbers of the parts of the templates, and what each part contributes."""

    columns: list[NDArray[np.intp]]
    shares: list[float]


def weighted_parts(cells: Cells, weights: Mapping[str, float] | None) -> WeightedParts:
    """Return the parts of the templates with their weights; without weights all templates are one part.

    Raises
    ------
    DataError
        A part without a weight or a weight without its part; weights below 0 or not summing to 1.
    """
    if weights is None:
        return WeightedParts([np.arange(len(cells.template))], [1.0])
    there = sorted(set(cells.part or ()))
    problems = [
        f"part {part!r} of the templates has no weight; give each part one (0 leaves it out)"
        for part in there
        if part not in weights
    ]
    problems += [f"weight of part {part!r}, which has no template" for part in weights if part not in there]
    problems += [
        f"weight of {part!r} is {w}; give a share of 0 to 1" for part, w in weights.items() if not w >= 0
    ]
    if not problems and not isclose(sum(weights.values()), 1.0, abs_tol=1e-6):
        problems.append(f"weights sum to {sum(weights.values()):g}; give shares that sum to 1")
    if problems:
        raise DataError(*problems)
    used = [part for part in there if weights[part] > 0]
    return WeightedParts([cells.columns(part) for part in used], [float(weights[part]) for part in used])


def select(cells: Cells, groups: Sequence[str], parts: Sequence[NDArray[np.intp]]) -> Selection:
    """Select what can be compared of some groups on some parts.

    Parameters
    ----------
    cells : Cells
        All cells.
    groups : sequence of str
        The groups to compare.
    parts : sequence of int arrays
        Column numbers of the templates of each part.

    Raises
    ------
    TooLittleError
        Nothing is left to compare; the message says why.
    """
    rows = [cells.rows(group) for group in groups]
    for group, own in zip(groups, rows, strict=True):
        if not sum(int(cells.responses[np.ix_(own, columns)].sum()) for columns in parts):
            raise TooLittleError(f"no response of {group} has a label")
    kept = comparable([[cells.mean[np.ix_(own, columns)] for columns in parts] for own in rows])
    used = [own[keep] for own, keep in zip(rows, kept.rows, strict=True)]
    columns = [part[keep] for part, keep in zip(parts, kept.columns, strict=True)]
    lost_names = [cells.signal[row] for a, b in zip(rows, used, strict=True) for row in np.setdiff1d(a, b)]
    lost_templates = [
        cells.template[c] for a, b in zip(parts, columns, strict=True) for c in np.setdiff1d(a, b)
    ]
    notes = [
        f"{len(lost)} {kind}{'s'[: len(lost) != 1]} left out that {why}: {_some(lost)}"
        for lost, kind, why in (
            (lost_names, "name", "could not be compared"),
            (lost_templates, "template", "not every group has answers in"),
        )
        if lost
    ]
    chosen = Selection(cells, tuple(groups), used, columns, ())
    tables = [table for row in chosen.tables() for table in row]
    empty, total = sum(int(np.isnan(t).sum()) for t in tables), sum(t.size for t in tables)
    if empty:
        notes.append(f"{empty} of {total} cells are empty; names and templates made equal by least squares")
    return Selection(cells, tuple(groups), used, columns, tuple(notes))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
