"""What is asked of planning, and the answer: records only.

Not here: how the answer is made (servicegap.plan), the formulas (power and power/planning.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from servicegap.power import Components
from servicegap.power.planning import Labelling


@dataclass(frozen=True, slots=True)
class Size:
    """Names a group, templates, and samples of each call."""

    names: int = 24
    templates: int = 48
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for one call and for one hour of labelling, in any one currency."""

    call: float = 0.0
    label_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What there is: calls to a model, people's minutes, money; None = no limit."""

    calls: int | None = None
    label_minutes: float | None = None
    money: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is planned for.

    Attributes
    ----------
    size : Size
        The design asked about.
    groups : int
        Groups, the reference included.
    gap : float
        The gap that matters, a difference of two rates, above 0 to 1.
    level, power : float
        Confidence level of intervals; the chance of finding a gap that a design should have.
    labellings : tuple of Labelling
        Ways of labelling; the first is the asked design's, the optimum may choose.
    prices, budget : Prices, Budget or None
        Without a budget no optimum is looked for.
    """

    size: Size = Size()
    groups: int = 7
    gap: float = 0.1
    level: float = 0.95
    power: float = 0.8
    labellings: tuple[Labelling, ...] = (Labelling(),)
    prices: Prices = Prices()
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a design does under one source of components: the gap it detects (0 to 1), its power."""

    detectable: float | None
    power: float


@dataclass(frozen=True, slots=True)
class Line:
    """A design, its price for one model under one condition, and what it does under each source.

    ``cost`` is money for calls and labels, None where no price was given.
    """

    names: int
    templates: int
    samples: int
    label_share: float
    calls: int
    labels: int
    label_minutes: float
    cost: float | None
    expected: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """The answer to a question; what goes by source is in the order of ``sources``.

    Attributes
    ----------
    question : Question
    sources : tuple of Components
        Where the variance is taken from.
    asked : Line
        The asked design, by the closed form.
    simulated : tuple of float
        The power of the asked design, by simulation.
    grid : tuple of Line
        Designs around it.
    best : tuple of tuple of Line
        For each source the designs within the budget that detect the smallest gaps, best first.
    sentences : tuple of str
        What the figures come to, in words.
    """

    question: Question
    sources: tuple[Components, ...]
    asked: Line
    simulated: tuple[float, ...]
    grid: tuple[Line, ...]
    best: tuple[tuple[Line, ...], ...]
    sentences: tuple[str, ...]
