"""Commands that plan a study and compare what is measured: `plan` and `compare`; no logic of their own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from servicegap.cli.framework import FOLDER, ExampleCommand, folder_argument, json_option, print_json

# As in stages.py, modules with work to do are imported when a command runs.
# ruff: noqa: PLC0415

if TYPE_CHECKING:
    from servicegap.compare.sides import Side
    from servicegap.power import Components
    from servicegap.power.question import Line, Planned, Question

_SHARE = click.FloatRange(0, 1, min_open=True)
_OPEN = click.FloatRange(0, 1, min_open=True, max_open=True)
_AMOUNT = click.FloatRange(0)


@click.command(
    cls=ExampleCommand,
    epilog="servicegap plan --names 8 --templates 32 --samples 3 --gap 0.1\n"
    "servicegap plan --gap 0.1 --max-calls 20000 --share-labelled 0.1 --max-hours 40\n"
    "servicegap plan --from my-study --components 0.02,0.03,0.02,0.03\n"
    "servicegap plan --gap 0.15 --plot plan.svg",
)
@click.option("--names", type=click.IntRange(2), help="Names of each group.  [default: 24]")
@click.option("--templates", type=click.IntRange(2), help="Templates.  [default: 48]")
@click.option("--samples", type=click.IntRange(1), help="How often each prompt is asked.  [default: 1]")
@click.option("--groups", type=click.IntRange(2), help="Groups, the reference included.  [default: 7]")
@click.option(
    "--gap", type=_SHARE, default=0.1, show_default=True, help="The gap that matters (0.1 = 10 points)."
)
@click.option(
    "--power", type=_OPEN, default=0.8, show_default=True, help="Chance of finding it that is wanted."
)
@click.option(
    "--level",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    help="Confidence level of intervals.  [default: 0.95]",
)
@click.option(
    "--share-labelled",
    "shares",
    type=_SHARE,
    multiple=True,
    default=(1.0,),
    help="Share of responses that people label; again for more to choose from.  [default: 1]",
)
@click.option(
    "--annotator-error",
    type=_SHARE,
    default=0.05,
    show_default=True,
    help="Mean squared error of the automatic annotator where people do not label.",
)
@click.option(
    "--minutes-per-label",
    type=_AMOUNT,
    default=0.5,
    show_default=True,
    help="A person's time for one label.",
)
@click.option("--cost-per-call", type=_AMOUNT, default=0.0, help="Money for one call, any currency.")
@click.option("--cost-per-hour", type=_AMOUNT, default=0.0, help="Money for an hour of labelling.")
@click.option("--budget", "money", type=_AMOUNT, help="Find the best design for this money.")
@click.option("--max-calls", type=click.IntRange(1), help="Find the best design for so many calls.")
@click.option("--max-hours", type=_AMOUNT, help="Find the best design for so many hours of labelling.")
@click.option(
    "--from", "folder", type=FOLDER, metavar="DIR", help="Take design and variance from this study."
)
@click.option(
    "--components",
    metavar="NAME,GAP_BY_TEMPLATE,NAME_BY_TEMPLATE,REPEAT",
    help="Take these variances, on the scale of 0 to 1.",
)
@click.option("--seed", type=click.IntRange(0), default=20240313, help="Seed of the simulation.")
@click.option("--plot", type=FOLDER, metavar="FILE.svg", help="Draw what designs detect into this file.")
@json_option
def plan(
    folder: Path | None, components: str | None, seed: int, plot: Path | None, as_json: bool, **given: Any
) -> None:
    """Say which gap a design can detect, with what power, at what price.

    Variance is that of the published pilot, with and without the name with the highest refusal
    rate, unless --from or --components say otherwise. Calls are to one model under one condition.
    """
    import numpy as np

    from servicegap.plan import plan as planned_for

    question, sources = _sources(folder, components)
    planned = planned_for(_asked(question, given), sources, np.random.default_rng(seed))
    if plot is not None:
        from servicegap.report.plan_plot import write_plan_plot

        write_plan_plot(planned, plot)
    if as_json:
        print_json(planned)
        return
    _print_planned(planned)


def _sources(folder: Path | None, components: str | None) -> tuple[Question, list[Components]]:
    """Return where the design starts from, and the variance components to use."""
    from servicegap.labels import labelled_responses
    from servicegap.plan import components_of, question_about, read_components
    from servicegap.power import PILOT_13B, PILOT_13B_WITHOUT_OUTLIER
    from servicegap.power.question import Question
    from servicegap.study import open_study

    own = [read_components(components)] if components is not None else []
    if folder is None:
        return Question(), own or [PILOT_13B, PILOT_13B_WITHOUT_OUTLIER]
    study = open_study(folder)
    frame = labelled_responses(study, study.store())
    question = question_about(frame, study.plan.plan, study.plan.samples)
    return question, own + components_of(frame, study.plan.plan, str(folder))


def _asked(question: Question, given: dict[str, Any]) -> Question:
    from dataclasses import replace

    from servicegap.power.planning import Labelling
    from servicegap.power.question import Budget, Prices

    def known(*names: str) -> dict[str, Any]:
        return {name: given[name] for name in names if given[name] is not None}

    hours = given["max_hours"]
    minutes = None if hours is None else 60 * hours
    limited = any(limit is not None for limit in (given["money"], given["max_calls"], hours))
    return replace(
        question,
        size=replace(question.size, **known("names", "templates", "samples")),
        labellings=tuple(
            Labelling(share, given["annotator_error"], given["minutes_per_label"])
            for share in given["shares"]
        ),
        prices=Prices(given["cost_per_call"], given["cost_per_hour"]),
        budget=Budget(given["max_calls"], minutes, given["money"]) if limited else None,
        **known("groups", "gap", "power", "level"),
    )


def _print_planned(planned: Planned) -> None:
    for number, source in enumerate(planned.sources, 1):
        click.echo(f"[{number}] {source.source}")
        click.echo(
            f"    variance: name {source.name:.4f}, gap x template {source.gap_by_template:.4f}, "
            f"name x template {source.name_by_template:.4f}, repeat {source.repeat:.4f}"
        )
    gap = 100 * planned.question.gap
    click.echo(f"\nThe design asked about; power = chance of finding a gap of {gap:g} points")
    _print_table(planned, [planned.asked], planned.simulated)
    click.echo("\nDesigns around it")
    _print_table(planned, planned.grid)
    for number, lines in enumerate(planned.best, 1):
        if lines:
            click.echo(f"\nBest for the budget, by [{number}]")
            _print_table(planned, lines)
    click.echo("")
    for sentence in planned.sentences:
        click.echo(sentence)


def _print_table(planned: Planned, lines: Sequence[Line], simulated: Sequence[float] = ()) -> None:
    priced = any(line.cost is not None for line in lines)
    header = [
        "names",
        "templates",
        "samples",
        "labelled",
        "calls",
        "label hours",
        *(["cost"] if priced else []),
    ]
    for number in range(1, len(planned.sources) + 1):
        header += [f"[{number}] detects", "power", *(["simulated"] if simulated else [])]
    rows = [_cells(line, priced, simulated) for line in lines]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Column, Table

        table = Table(*[Column(text, justify="right", overflow="fold") for text in header], box=None)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        click.echo("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)))


def _cells(line: Line, priced: bool, simulated: Sequence[float]) -> list[str]:
    row = [
        str(line.names),
        str(line.templates),
        str(line.samples),
        f"{line.label_share:.0%}",
        f"{line.calls:,}",
    ]
    row.append(f"{line.label_minutes / 60:,.1f}")
    if priced:
        row.append(f"{line.cost or 0:,.2f}")
    for place, each in enumerate(line.expected):
        row += ["none" if each.detectable is None else f"{100 * each.detectable:.1f}", f"{each.power:.0%}"]
        if simulated:
            row.append(f"{simulated[place]:.0%}")
    return row


@click.command(
    cls=ExampleCommand,
    epilog="servicegap compare my-study my-study-with-safeguard --margin 0.05\n"
    "servicegap compare my-study --models openai:small openai:large\n"
    "servicegap compare my-study --conditions default safe --json",
)
@folder_argument
@click.argument("other", metavar="[DIR_B]", type=FOLDER, required=False)
@click.option("--models", nargs=2, metavar="M1 M2", help="The model of each; M1 is the baseline.")
@click.option(
    "--conditions", nargs=2, metavar="C1 C2", help="The condition of each side; C1 is the baseline."
)
@click.option("--margin", type=_OPEN, help="Ask whether a gap grew by less than this (0.05 = 5 points).")
@json_option
def compare(
    folder: Path,
    other: Path | None,
    models: tuple[str, str] | None,
    conditions: tuple[str, str] | None,
    margin: float | None,
    as_json: bool,
) -> None:
    """Compare two studies, or two models or conditions of one, name by name and template by template.

    DIR is the baseline: a change is the other minus the baseline.
    """
    from servicegap.compare import compare as compared
    from servicegap.compare.words import as_results, sentences

    if other is None and not models and not conditions:
        raise click.UsageError("Give a second study, or two --models or --conditions of the one.")
    if other is None and all(pair is None or pair[0] == pair[1] for pair in (models, conditions)):
        raise click.UsageError("Both sides are the same; name two models or two conditions.")
    sides = [_side(folder), _side(other)] if other is not None else [_side(folder)] * 2
    chosen = [
        side.of(models[i] if models else None, conditions[i] if conditions else None)
        for i, side in enumerate(sides)
    ]
    found = compared(chosen[0], chosen[1], margin=margin)
    if as_json:
        print_json(as_results(found))
        return
    for sentence in sentences(found):
        click.echo(sentence)


def _side(folder: Path) -> Side:
    from servicegap.compare.sides import read_side
    from servicegap.study import open_study

    study = open_study(folder)
    return read_side(study, study.store())
