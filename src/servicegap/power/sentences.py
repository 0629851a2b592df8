"""The answer of planning in words: whether a design supports a claim, and what would.

Not here: the figures themselves (servicegap.plan).
"""

from __future__ import annotations

from collections.abc import Sequence

from servicegap.power import Components, detectable_gap
from servicegap.power.planning import price, verdict, with_labelling
from servicegap.power.question import Line, Question

#: What repeats are judged by where a single sample is asked for.
_REPEATS = 3
#: A detectable gap that falls by less than this share has hardly fallen.
_HARDLY = 0.05


def planning_sentences(
    question: Question,
    sources: Sequence[Components],
    simulated: Sequence[float],
    best: Sequence[Sequence[Line]],
) -> tuple[str, ...]:
    """Say in words what the asked design can claim, source by source.

    Parameters
    ----------
    question : Question
        What was asked.
    sources : sequence of Components
        Where the variance is taken from.
    simulated : sequence of float
        Power by simulation, of each source.
    best : sequence of sequence of Line
        Designs within the budget, of each source; empty where there is no budget.
    """
    found = []
    for number, source in enumerate(sources):
        told = [_verdict(question, source), f"simulated studies find it in {simulated[number]:.0%}"]
        told.append(_repeats(question, source))
        if question.groups > 2:
            told.append(_family(question, source))
        if best and not best[number]:
            told.append("no design fits the budget; see the table for what designs cost")
        found += [f"[{number + 1}] {text[:1].upper()}{text[1:]}." for text in told]
    return tuple(found)


def _verdict(question: Question, source: Components) -> str:
    size, labelling = question.size, question.labellings[0]
    option = price(
        source,
        groups=question.groups,
        names=size.names,
        templates=size.templates,
        samples=size.samples,
        labelling=labelling,
        level=question.level,
        power=question.power,
    )
    return verdict(option, source, question.gap, level=question.level, labelling=labelling)


def _repeats(question: Question, source: Components) -> str:
    """Say what asking again buys, and what the same calls would buy as names."""
    if source.repeat == 0:
        return "what repeats would buy cannot be told from these figures: they have no chance within a cell"
    size, parts = question.size, with_labelling(source, question.labellings[0])
    times = size.samples if size.samples > 1 else _REPEATS
    chances = {"level": question.level, "power": question.power}
    once = detectable_gap(parts, size.names, size.templates, 1, **chances)
    again = detectable_gap(parts, size.names, size.templates, times, **chances)
    names = detectable_gap(parts, size.names * times, size.templates, 1, **chances)
    if once is None or again is None:
        return f"asking {times} times instead of once does not help: no gap is found reliably"
    little = once - again < _HARDLY * once
    begins = "repeats buy almost nothing" if little else "repeats lower what can be detected"
    return (
        f"{begins}: asking {times} times instead of once takes the detectable gap from {_points(once)} to "
        f"{_points(again)} points; as many calls spent on {size.names * times} names a group, to "
        f"{_points(names)}"
    )


def _family(question: Question, source: Components) -> str:
    """Say what the first of several gaps must be to pass Holm's adjustment."""
    tests, size = question.groups - 1, question.size
    level = 1 - (1 - question.level) / tests
    parts = with_labelling(source, question.labellings[0])
    found = detectable_gap(parts, size.names, size.templates, size.samples, level=level, power=question.power)
    return f"with Holm over {tests} gaps, the only one must be {_points(found)} points to be found as often"


def _points(gap: float | None) -> str:
    return "more than 100" if gap is None else f"{100 * gap:.1f}"
