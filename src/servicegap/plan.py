"""What a design could tell: detectable gaps, power and price of designs, and the best for a budget.

From a question (which gap, which design, what it costs) and variance components to tables and sentences.
The components are those of the published pilot, of a study's own runs, or the user's.

Not here: the formulas (power/), the command line, the plan of a study (study.py).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from servicegap.disparity.additive import TooLittleError
from servicegap.disparity.components import VarianceComponents, variance_components
from servicegap.errors import DataError, InputError
from servicegap.power import Components, power_of
from servicegap.power.planning import (
    Labelling,
    best_designs,
    price,
    simulated_power,
    with_labelling,
)
from servicegap.power.question import Budget, Expected, Line, Planned, Prices, Question, Size
from servicegap.power.sentences import planning_sentences
from servicegap.records import OUTCOMES
from servicegap.runs import primary_runs
from servicegap.study import AnalysisPlan

#: Names a group and templates that the table shows beside the asked design.
GRID_NAMES = (4, 8, 16, 24, 32)
GRID_TEMPLATES = (24, 48, 96)
#: Designs listed for a budget.
BEST = 3
_NO_LIMIT = 10**12
_COMPONENTS = ("name", "gap_by_template", "name_by_template", "repeat")


def plan(question: Question, sources: Sequence[Components], rng: np.random.Generator) -> Planned:
    """Say what designs detect and cost.

    Parameters
    ----------
    question : Question
        What is planned for.
    sources : sequence of Components
        One or more; every figure is given for each.
    rng : numpy Generator
        Draws the simulated studies.

    Raises
    ------
    DataError
        A design too small, figures out of range, a budget of money without a price.
    """
    _check(question)
    size = question.size
    asked = _line(question, sources, size, question.labellings[0])
    simulated = tuple(
        simulated_power(
            question.gap,
            with_labelling(source, question.labellings[0]),
            size.names,
            size.templates,
            size.samples,
            rng,
            level=question.level,
        )
        for source in sources
    )
    grid = tuple(
        _line(question, sources, Size(names, templates, size.samples), question.labellings[0])
        for names in sorted({*GRID_NAMES, size.names})
        for templates in sorted({*GRID_TEMPLATES, size.templates})
    )
    best = tuple(_best(question, source, sources) for source in sources) if question.budget else ()
    sentences = planning_sentences(question, sources, simulated, best)
    return Planned(question, tuple(sources), asked, simulated, grid, best, sentences)


def _check(question: Question) -> None:
    prices, budget = question.prices, question.budget
    problems = []
    if not 0 < question.gap <= 1:
        problems.append(f"gap is {question.gap}; give the gap that matters, above 0 to 1 (0.1 = 10 points)")
    problems += [
        f"price of {what} is {value}; give an amount >= 0"
        for what, value in (("a call", prices.call), ("an hour of labelling", prices.label_hour))
        if not value >= 0
    ]
    if budget and budget.money is not None and not prices.call and not prices.label_hour:
        problems.append(
            "a budget of money needs the price of a call or of an hour of labelling: --cost-per-call, "
            "--cost-per-hour"
        )
    if problems:
        raise DataError(*problems)


def _line(question: Question, sources: Sequence[Components], size: Size, labelling: Labelling) -> Line:
    options = [
        price(
            source,
            groups=question.groups,
            names=size.names,
            templates=size.templates,
            samples=size.samples,
            labelling=labelling,
            level=question.level,
            power=question.power,
        )
        for source in sources
    ]
    expected = tuple(
        Expected(option.detectable, _power(question, source, size, labelling))
        for option, source in zip(options, sources, strict=True)
    )
    one, prices = options[0], question.prices
    cost = one.calls * prices.call + one.label_minutes / 60 * prices.label_hour
    return Line(
        size.names,
        size.templates,
        size.samples,
        labelling.share,
        one.calls,
        one.labels,
        one.label_minutes,
        cost if prices.call or prices.label_hour else None,
        expected,
    )


def _power(question: Question, source: Components, size: Size, labelling: Labelling) -> float:
    parts = with_labelling(source, labelling)
    return power_of(question.gap, parts, size.names, size.templates, size.samples, level=question.level)


def _best(question: Question, source: Components, sources: Sequence[Components]) -> tuple[Line, ...]:
    budget, found = question.budget or Budget(), []
    for labelling in question.labellings:
        options = best_designs(
            source,
            groups=question.groups,
            max_calls=_affordable(budget, question.prices, labelling),
            max_label_minutes=budget.label_minutes,
            labellings=(labelling,),
            level=question.level,
            power=question.power,
        )
        found += [(option, labelling) for option in options[:BEST]]
    found.sort(key=lambda each: (round(each[0].detectable or 1.0, 4), each[0].calls, each[0].label_minutes))
    return tuple(
        _line(question, sources, Size(option.names, option.templates, option.samples), labelling)
        for option, labelling in found[:BEST]
    )


def _affordable(budget: Budget, prices: Prices, labelling: Labelling) -> int:
    """Return the calls that a budget allows: labels are a share of them, so money limits calls alone."""
    limits = [budget.calls if budget.calls is not None else _NO_LIMIT]
    each = prices.call + labelling.share * labelling.minutes_per_label / 60 * prices.label_hour
    if budget.money is not None and each > 0:
        limits.append(int(budget.money / each))
    return min(limits)


def read_components(text: str) -> Components:
    """Read components as written on a command line: name, gap by template, name by template, repeat.

    Raises
    ------
    InputError
        Not four variances.

    Examples
    --------
    >>> read_components("0.02,0.03,0.02,0.03").gap_by_template
    0.03
    """
    parts = [part.strip() for part in text.split(",")]
    allowed = f"give four variances >= 0 on the scale of 0 to 1: {','.join(_COMPONENTS)}"
    try:
        figures = [float(part) for part in parts]
    except ValueError as error:
        raise InputError(f"components {text!r} are no numbers; {allowed}") from error
    if len(figures) != len(_COMPONENTS) or not all(0 <= figure < np.inf for figure in figures):
        raise InputError(f"components {text!r} are not usable; {allowed}")
    return Components(**dict(zip(_COMPONENTS, figures, strict=True)), source="your own figures")


def components_of(frame: pl.DataFrame, analysis: AnalysisPlan, title: str) -> list[Components]:
    """Estimate the components of a study's primary outcome, one set for each model and condition.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a response, as :func:`servicegap.labels.labelled_responses` gives.
    analysis : AnalysisPlan
        Primary outcome and reference.
    title : str
        The study, as the source of the figures names it.

    Returns
    -------
    list of Components
        The mean over the gaps of each run.

    Raises
    ------
    DataError
        No run from which components can be told; the message says why for each.
    """
    found, problems = [], []
    for (model, condition), counted in primary_runs(frame).items():
        cells = counted.outcome(OUTCOMES[analysis.primary])
        where = f"{title}, {model}, condition {condition}"
        parts = []
        for group in cells.groups:
            if group == analysis.reference:
                continue
            try:
                parts.append(variance_components(cells, group, analysis.reference))
            except TooLittleError as reason:
                problems.append(f"{where}: {group}: {reason}")
        if parts:
            found.append(_mean(parts, f"{where}, {analysis.primary}, mean over {len(parts)} gaps"))
    if not found:
        raise DataError(
            *(problems or [f"{title}: no labelled responses about a group besides the reference"]),
        )
    return found


def question_about(frame: pl.DataFrame, analysis: AnalysisPlan, samples: int) -> Question:
    """Return the question whose design is a study's own: the median group's names, its primary templates.

    Parameters
    ----------
    frame, analysis
        As in :func:`components_of`.
    samples : int
        How often the study asks each prompt.

    Raises
    ------
    DataError
        No response about a group.
    """
    runs = list(primary_runs(frame).values())
    if not runs:
        raise DataError("there are no responses about a group yet; collect or import some first")
    cells = runs[0].cells
    names = list(Counter(cells.group).values())
    size = Size(statistics.median_low(names), len(cells.template), samples)
    return Question(size, groups=max(2, len(names)), level=analysis.level)


def _mean(parts: Sequence[VarianceComponents], source: str) -> Components:
    single = [each.for_planning(source) for each in parts]
    means = {key: float(np.mean([getattr(each, key) for each in single])) for key in _COMPONENTS}
    if all(each.repeat is None for each in parts):
        # One response a cell: chance is in name x template, and more samples cannot be judged from it.
        source += "; one response a cell, so chance counts as name x template"
    return Components(**means, source=source)
