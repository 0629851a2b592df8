"""Where the variance of an outcome comes from: names, templates, group x template, cells, chance.

Also what that means for a gap: how many independent responses the study's are worth.

Not here: what follows for a new design (power/).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from servicegap.disparity.additive import Fit, fit
from servicegap.disparity.cells import Cells
from servicegap.disparity.crossed import contrast
from servicegap.disparity.selection import Selection, select
from servicegap.power import Components


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Variance components of one response, two groups taken together.

    Attributes
    ----------
    name : float
        Between the names of a group.
    template : float
        Between templates, common to both groups.
    group_by_template : float
        How differently a group reacts to a template, for one group; twice that for the gap.
    name_by_template : float
        Between cells, beyond name and template. With one response a cell, chance is in it.
    repeat : float or None
        Between responses of one cell; None = no cell has two, or the outcome is not yes/no.
    """

    name: float
    template: float
    group_by_template: float
    name_by_template: float
    repeat: float | None

    def shares(self) -> dict[str, float]:
        """Return each component's share of the whole, 0 to 1; empty when nothing varies."""
        parts = {
            "name": self.name,
            "template": self.template,
            "group x template": self.group_by_template,
            "name x template": self.name_by_template,
            "chance": self.repeat or 0.0,
        }
        whole = sum(parts.values())
        return {key: value / whole for key, value in parts.items()} if whole > 0 else {}

    def for_planning(self, source: str) -> Components:
        """Return what the variance of a gap depends on, for power/."""
        return Components(
            name=self.name,
            gap_by_template=2 * self.group_by_template,
            name_by_template=self.name_by_template,
            repeat=self.repeat or 0.0,
            source=source,
        )


@dataclass(frozen=True, slots=True)
class DesignEffect:
    """What crossed names and templates do to the variance of a gap.

    Attributes
    ----------
    factor : float
        Variance of the gap over that of as many independent responses.
    responses, worth : int, float
        Labelled responses, and how many independent ones would say as much.
    """

    factor: float
    responses: int
    worth: float

    def sentence(self) -> str:
        """Say it in words."""
        if self.worth >= self.responses:
            return (
                f"these {self.responses:,} responses are worth as many independent ones for the gap: "
                "names and templates cost nothing here"
            )
        return (
            f"these {self.responses:,} responses are worth about {self.worth:,.0f} independent ones "
            "for the gap: names and templates repeat"
        )


def variance_components(cells: Cells, group: str, reference: str) -> VarianceComponents:
    """Estimate variance components from two groups.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates.
    group, reference : str
        The groups.

    Returns
    -------
    VarianceComponents
        Method of moments: each mean square less what the smaller components put into it, exact for incomplete
        designs; what comes out negative is 0.

    Raises
    ------
    TooLittleError
        The components cannot be told apart; the message says why.
    """
    chosen = select(cells, [group, reference], [np.arange(len(cells.template))])
    fits = [fit(row[0]) for row in chosen.tables()]
    n_templates = chosen.n_templates
    template_noise = sum(f.cell_variance * f.template_cov.trace / (n_templates - 1) for f in fits)
    one, other = (f.templates for f in fits)
    gap_by_template = max(float((one - other).var(ddof=1)) - template_noise, 0.0)
    repeat = _repeat(chosen)
    cell = float(np.mean([f.cell_variance for f in fits]))
    counts = _counts(chosen)
    return VarianceComponents(
        name=max(float(np.mean([_name_variance(f) for f in fits])), 0.0),
        template=max(float(np.cov(one, other)[0, 1]), 0.0),
        group_by_template=gap_by_template / 2,
        name_by_template=max(cell - (repeat or 0.0) * float(np.mean(1 / counts)), 0.0),
        repeat=repeat,
    )


def design_effect_of_gap(cells: Cells, group: str, reference: str) -> DesignEffect | None:
    """Say what the responses of two groups are worth for their gap.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates, of a yes/no outcome.
    group, reference : str
        The groups.

    Returns
    -------
    DesignEffect or None
        None where the outcome is not yes/no or nothing varies.

    Raises
    ------
    TooLittleError
        The gap has no variance estimate; the message says why.
    """
    chosen = select(cells, [group, reference], [np.arange(len(cells.template))])
    crossed = contrast(chosen.tables(), [[1], [-1]])
    chance = 0.0
    for place in (0, 1):
        responses = chosen.count(cells.responses, place)
        rate = chosen.count(cells.events, place) / responses
        chance += rate * (1 - rate) / responses
    if cells.scale != "yes/no" or chance <= 0 or crossed.variance <= 0:
        return None
    factor, responses = crossed.variance / chance, chosen.count(cells.responses)
    return DesignEffect(factor, responses, responses / factor)


def _name_variance(f: Fit) -> float:
    noise = f.cell_variance * f.name_cov.trace / (len(f.names) - 1)
    return float(f.names.var(ddof=1)) - noise


def _counts(chosen: Selection) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Responses in each cell that has some."""
    counts = chosen.cells.responses[np.ix_(np.concatenate(chosen.rows), chosen.columns[0])]
    return counts[counts > 0]


def _repeat(chosen: Selection) -> float | None:
    """Pooled variance within cells of a yes/no outcome: n p (1 - p) over n - 1."""
    inside = np.ix_(np.concatenate(chosen.rows), chosen.columns[0])
    n, events = chosen.cells.responses[inside], chosen.cells.events[inside]
    spare = int((n - 1)[n > 0].sum())
    if chosen.cells.scale != "yes/no" or not spare:
        return None
    squares = np.divide(events * (n - events), n, out=np.zeros(n.shape), where=n > 0)
    return float(squares.sum()) / spare
