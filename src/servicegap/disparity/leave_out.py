"""Whether a gap hangs on one name or one template: the gap again without each of them.

Not here: the gap itself (comparison.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import gaps_of
from servicegap.records import Estimate

#: A gap is mostly one name's when it loses this share without the name ...
MOSTLY = 0.5
#: ... and owes much to it when it loses this share.
MUCH = 0.2


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A gap, and the same without each name and without each template.

    Attributes
    ----------
    whole : Estimate
        The gap with all of them (kind ``gap``).
    names, templates : tuple of Estimate
        Kind ``gap_without``; `signal` or `template` says what was left out.
    """

    whole: Estimate
    names: tuple[Estimate, ...]
    templates: tuple[Estimate, ...]

    def sentence(self) -> str | None:
        """Say which name and which template carry the gap, or None where none does.

        A gap that loses half its size without a name is mostly that name's; one that loses a fifth owes much
        to it.
        """
        told = [_carrier(self.whole, self.names), _carrier(self.whole, self.templates)]
        return "; ".join(sentence for sentence in told if sentence) or None


def leave_one_out(
    cells: Cells, group: str, reference: str, *, level: float = 0.95, outcome_name: str = "outcome"
) -> LeftOut:
    """Estimate the gap between two groups without each of their names, and without each template.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates.
    group, reference : str
        The groups compared.
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimates.

    Returns
    -------
    LeftOut
        Exploratory: its p values are not meant for decisions. What cannot be had carries its reason in
        ``note``.

    Raises
    ------
    DataError
        `group` or `reference` is not among the groups; `level` outside 0 to 1.
    """
    both = cells.take(rows=np.concatenate([cells.rows(group), cells.rows(reference)]))

    def gap(part: Cells) -> Estimate:
        return gaps_of(part, reference=reference, level=level, outcome_name=outcome_name)[group]

    whole = gap(both)
    return LeftOut(
        whole,
        tuple(
            _without(gap(both.take(rows=np.delete(np.arange(len(both.signal)), row))), signal=name)
            for row, name in enumerate(both.signal)
            if both.group.count(both.group[row]) > 1
        ),
        tuple(
            _without(gap(both.take(columns=np.delete(np.arange(len(both.template)), column))), template=name)
            for column, name in enumerate(both.template)
            if len(both.template) > 1
        ),
    )


def _without(gap: Estimate, *, signal: str | None = None, template: str | None = None) -> Estimate:
    return replace(gap, kind="gap_without", signal=signal, template=template)


def _carrier(whole: Estimate, parts: Sequence[Estimate]) -> str | None:
    """Say whose absence takes most from the gap, where it takes much."""
    if not whole.value:
        return None
    sign = 1 if whole.value > 0 else -1
    known = [(sign * part.value, part) for part in parts if part.value is not None]
    if not known:
        return None
    left, part = min(known, key=lambda pair: pair[0])
    lost = 1 - left / abs(whole.value)
    if lost < MUCH:
        return None
    name = part.signal or part.template
    verb = "is mostly" if lost >= MOSTLY else "owes much to"
    kind = "one name" if part.signal else "one template"
    return (
        f"this gap {verb} {kind}: {name} "
        f"({_points(whole.value, whole)} with it, {_points(sign * left, whole)} without)"
    )


def _points(value: float, whole: Estimate) -> str:
    """Proportions in points; other figures as they are."""
    return f"{100 * value:.1f} points" if whole.n_events is not None else f"{value:.3g}"
