"""One command for each stage, and `audit`, which does all; no logic of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from servicegap.cli.framework import (
    FOLDER,
    Command,
    ExampleCommand,
    folder_argument,
    json_option,
    print_json,
)
from servicegap.cli.left_undone import end_if_unanswered, end_if_unjudged, rejected, tell_missing
from servicegap.errors import InputError
from servicegap.records import OUTCOMES

# The stages' modules are imported inside the commands: `servicegap --help` must not wait for them.
# ruff: noqa: PLC0415

if TYPE_CHECKING:
    from servicegap.presets import Choices
    from servicegap.study import Study


def _choices(command: Command) -> Command:
    for option in reversed(
        (
            click.option("--preset", help="quick, study or recommended.  [default: quick]"),
            click.option(
                "--model",
                "models",
                multiple=True,
                help="openai:NAME, local:NAME, local:PATH.gguf or fake:NAME; again for more.",
            ),
            click.option("--base-url", help="Where openai: models are, such as http://127.0.0.1:8000/v1."),
            click.option("--samples", type=click.IntRange(1), help="How often each prompt is asked."),
            click.option("--names-per-group", type=click.IntRange(1), help="How many names of each group."),
        )
    ):
        command = option(command)
    return command


def _made(given: dict[str, Any]) -> Choices:
    from servicegap.presets import Choices

    return Choices(**{name: value for name, value in given.items() if value is not None})


@click.command(cls=ExampleCommand, epilog="servicegap audit my-study --model local:smollm2-135m")
@folder_argument
@_choices
@json_option
def audit(folder: Path, as_json: bool, **given: Any) -> None:
    """Do all stages: make the study if it is not there, ask, label, analyse, report.

    A second run goes on at the first stage that is missing or stale.
    """
    from servicegap.audit import bring_to_collect, bring_to_report, check_labelling, make_study
    from servicegap.presets import plan_text
    from servicegap.report import summary
    from servicegap.study import PLAN_FILE, open_study
    from servicegap.terminal import say, watching_collection

    plan = folder / PLAN_FILE
    if not plan.exists():
        study = make_study(folder, _made(given))
    elif any(given.values()) and plan.read_text("utf-8") != plan_text(folder.resolve().name, _made(given)):
        raise InputError(
            f"{plan}: there already, with another plan than these options make; edit the file, then run: "
            f"servicegap audit {folder}"
        )
    else:
        study = open_study(folder)
        check_labelling(study)
    store = study.store()
    with watching_collection() as watch:
        collected = bring_to_collect(study, store, watch)
    end_if_unanswered(collected)
    say("labelling, analysing, writing the report")
    results = bring_to_report(study, store)
    if as_json:
        print_json(results)
    else:
        for sentence in summary(results):
            click.echo(sentence)
        click.echo(f"\nReport: {study.report_path}")
    end_if_unjudged(results)


@click.command(
    cls=ExampleCommand,
    epilog="servicegap init my-study --preset study --model openai:mock-1 --base-url http://127.0.0.1:8000/v1",
)
@folder_argument
@_choices
def init(folder: Path, **given: Any) -> None:
    """Make a study folder with a commented study.yaml."""
    from servicegap.audit import make_study
    from servicegap.study import PLAN_FILE

    make_study(folder, _made(given), to_run=False)
    click.echo(f"{folder / PLAN_FILE}: written; look through it, then: servicegap audit {folder}")


@click.command(cls=ExampleCommand, epilog="servicegap validate my-study")
@folder_argument
@json_option
def validate(folder: Path, as_json: bool) -> None:
    """Check study.yaml and all files that it names; asks nothing, changes nothing."""
    from servicegap.audit import checked_design, foresee
    from servicegap.study import open_study

    study = open_study(folder)
    design = checked_design(study)
    foreseen = foresee(study, design)
    warnings = [*design.warnings, *foreseen.warnings]
    if as_json:
        print_json({"prompts": len(design.prompts), "warnings": warnings, "notes": foreseen.notes})
        return
    _tell(warnings, foreseen.notes)
    click.echo(
        f"{folder}: valid; {len(design.templates)} templates x {len(design.signals)} signals = "
        f"{len(design.prompts)} prompts"
    )


@click.command(cls=ExampleCommand, epilog="servicegap design my-study --json")
@folder_argument
@json_option
def design(folder: Path, as_json: bool) -> None:
    """Build the prompts and keep them in the study."""
    from servicegap.audit import bring_to_design, foresee
    from servicegap.design_claims import design_sentences
    from servicegap.study import open_study

    study = open_study(folder)
    built = bring_to_design(study, study.store())
    foreseen = foresee(study, built)
    warnings = [*built.warnings, *foreseen.warnings]
    if as_json:
        print_json({"prompts": list(built.prompts), "warnings": warnings, "notes": foreseen.notes})
        return
    _tell(warnings, foreseen.notes)
    for sentence in design_sentences(study, built):
        click.echo(sentence)
    calls = len(built.prompts) * study.plan.samples * len(study.plan.models) * len(study.plan.conditions)
    click.echo(f"{len(built.prompts)} prompts, {calls} calls")


def _tell(warnings: Sequence[str], notes: Sequence[str]) -> None:
    for warning in warnings:
        click.echo(f"warning: {warning}")
    for note in notes:
        click.echo(f"note: {note}")


@click.command(cls=ExampleCommand, epilog="servicegap collect my-study")
@folder_argument
@json_option
def collect(folder: Path, as_json: bool) -> None:
    """Ask the models what has not been answered yet.

    Ends 1 while calls are still failed; run it again to ask those again.
    """
    from servicegap.audit import bring_to_collect
    from servicegap.study import open_study
    from servicegap.terminal import watching_collection

    study = open_study(folder)
    with watching_collection() as watch:
        collected = bring_to_collect(study, study.store(), watch)
    if as_json:
        print_json(collected)
    else:
        click.echo(
            f"{collected.answered} of {collected.planned} calls answered, {rejected(collected)}"
            f"{collected.failed} failed, "
            f"{collected.unasked} not asked"
        )
    end_if_unanswered(collected)


@click.command(
    cls=ExampleCommand, epilog="servicegap annotate my-study --estimate\nservicegap annotate my-study"
)
@folder_argument
@click.option("--estimate", is_flag=True, help="Only say about what the judges would cost; ask nothing.")
@json_option
def annotate(folder: Path, estimate: bool, as_json: bool) -> None:
    """Let the automatic annotators and the judges label what has no label yet.

    Ends 1 while calls to a judge are failed; run it again to ask those again.
    """
    from servicegap.audit import bring_to_annotate
    from servicegap.study import open_study
    from servicegap.terminal import watching_collection

    study = open_study(folder)
    if estimate:
        _tell_costs(study, as_json)
        return
    with watching_collection() as watch:
        annotated = bring_to_annotate(study, study.store(), watch)
    if as_json:
        print_json(annotated)
    else:
        for each in annotated:
            click.echo(each)
        if not annotated:
            click.echo("nothing to label")
    if failed := sum(each.failed for each in annotated):
        click.echo(
            f"servicegap: {failed} responses are not judged, as calls failed; run the command again to ask "
            "those again",
            err=True,
        )
        raise click.exceptions.Exit(1)


def _tell_costs(study: Study, as_json: bool) -> None:
    from servicegap.audit import foresee_judging

    costs = foresee_judging(study, study.store())
    if as_json:
        print_json(costs)
        return
    for cost in costs:
        click.echo(cost)
    if not costs:
        click.echo("no judges in study.yaml: annotating costs nothing")


@click.command(
    cls=ExampleCommand,
    epilog="servicegap analyse my-study\n"
    "servicegap analyse --table FILE.csv --group identity --signal name --template prompt --label label \\\n"
    "    --reference white --json\n"
    "servicegap analyse --table FILE.csv --group who --signal name --template prompt --score machine \\\n"
    "    --human asked --probability chance --reference white",
)
@click.argument("folder", metavar="[DIR]", type=FOLDER, required=False)
@click.option("--table", type=FOLDER, help="Analyse this CSV or Parquet file instead of a study.")
@click.option("--group", help="The table's column with the group.")
@click.option("--signal", help="The table's column with the name or other signal.")
@click.option("--template", help="The table's column with the template.")
@click.option("--label", help="The table's column with the category.")
@click.option("--value", help="The table's column with a number, instead of a category.")
@click.option("--score", help="The table's column with an automatic probability (0 to 1) of an outcome.")
@click.option("--human", help="The table's column with people's yes or no; blank = nobody was asked.")
@click.option("--probability", help="The table's column with the chance that people would be asked.")
@click.option("--fold", help="The table's column with the fold of out-of-fold scores.")
@click.option("--model", help="The table's column with the model, where there are several.")
@click.option("--target", help="The table's column with the target of the template's stereotype.")
@click.option("--reference", help="The group that the others are compared with.")
@click.option(
    "--primary",
    type=click.Choice(tuple(OUTCOMES)),
    help="The outcome of the planned gaps.  [default: refused]",
)
@click.option(
    "--level",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    help="Confidence level of intervals.  [default: 0.95]",
)
@json_option
def analyse(
    folder: Path | None,
    table: Path | None,
    reference: str | None,
    primary: str | None,
    level: float | None,
    as_json: bool,
    **columns: str | None,
) -> None:
    """Estimate rates and gaps with intervals, and write results.json; or do so for any table."""
    from servicegap.report import summary

    if (folder is None) == (table is None):
        raise click.UsageError("Give either a study's DIR or --table FILE.csv.")
    if table is not None:
        needed = {name: columns[name] for name in ("group", "signal", "template")}
        missing = [f"--{name}" for name, value in {**needed, "reference": reference}.items() if not value]
        if missing:
            raise click.UsageError(f"--table also needs {', '.join(missing)}.")
        results = _analysed_table(
            table, columns, {"reference": reference, "primary": primary, "level": level}
        )
    else:
        given = [
            n for n, v in {**columns, "reference": reference, "primary": primary, "level": level}.items() if v
        ]
        if given:
            raise click.UsageError(f"--{given[0]} goes with --table; a study's plan is in its study.yaml.")
        results = _analysed_study(folder or Path())
        tell_missing(results)
    if as_json:
        print_json(results)
        return
    for sentence in summary(results):
        click.echo(sentence)


def _analysed_table(table: Path, columns: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    from servicegap.analyse import analyse_table
    from servicegap.study import AnalysisPlan

    made = AnalysisPlan(**{name: value for name, value in plan.items() if value is not None})
    return analyse_table(table, {use: name for use, name in columns.items() if name}, made)


def _analysed_study(folder: Path) -> dict[str, Any]:
    from servicegap.audit import bring_to_analyse
    from servicegap.study import open_study
    from servicegap.terminal import watching_collection

    study = open_study(folder)
    with watching_collection() as watch:
        return bring_to_analyse(study, study.store(), watch)


@click.command(cls=ExampleCommand, epilog="servicegap report my-study")
@folder_argument
def report(folder: Path) -> None:
    """Write report/index.html from the results."""
    from servicegap.audit import bring_to_report
    from servicegap.study import open_study
    from servicegap.terminal import watching_collection

    study = open_study(folder)
    with watching_collection() as watch:
        results = bring_to_report(study, study.store(), watch)
    tell_missing(results)
    click.echo(study.report_path)


@click.command(cls=ExampleCommand, epilog="servicegap status my-study")
@folder_argument
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Say where a study stands and what is to do next."""
    from servicegap.audit import status as status_of
    from servicegap.study import open_study

    study = open_study(folder)
    stands = status_of(study, study.store_as_it_is())
    collected = stands.collected
    if as_json:
        print_json(
            {
                "prompts": len(stands.design.prompts),
                "collected": collected,
                "unlabelled": stands.unlabelled,
                "next": stands.stage,
            }
        )
        return
    click.echo(f"{len(stands.design.prompts)} prompts")
    click.echo(
        f"{collected.answered} of {collected.planned} calls answered, {rejected(collected)}"
        f"{collected.failed} failed"
    )
    click.echo(f"{stands.unlabelled} answers that an annotator or a judge has not looked at")
    click.echo(f"next: servicegap {stands.stage} {folder}" if stands.stage else "all stages are up to date")
