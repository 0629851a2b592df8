"""The command line: one command for each stage, no logic of its own.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 the data or the model failed,
2 wrong use, 130 stopped.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from servicegap import __version__
from servicegap.errors import InputError, ServicegapError

# The stages' modules are imported inside the commands: `servicegap --help` must not wait for them.
# ruff: noqa: PLC0415

if TYPE_CHECKING:
    from servicegap.collect import Collected
    from servicegap.presets import Choices

STOPPED = 130
Command = TypeVar("Command", bound=Callable[..., Any])
_FOLDER = click.Path(path_type=Path)


class _Help(click.Command):
    """A command whose help keeps the lines of its example."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:
            formatter.write_paragraph()
            formatter.write("Example:\n")
            for line in self.epilog.splitlines():
                formatter.write(f"  {line}\n")


class _Group(click.Group):
    command_class = _Help

    def list_commands(self, ctx: click.Context) -> list[str]:
        # In the order of the pipe, not of the alphabet.
        return list(self.commands)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    try:
        code = cli.main(
            [a for a in arguments if a != "--debug"], prog_name="servicegap", standalone_mode=False
        )
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("servicegap: stopped", err=True)
        code = STOPPED
    except ServicegapError as error:
        if debug:
            traceback.print_exc()
        for line in str(error).splitlines():
            click.echo(f"servicegap: {line}", err=True)
        code = error.exit_code
    except OSError as error:
        if debug:
            traceback.print_exc()
        place = f"{error.filename}: " if error.filename else ""
        click.echo(
            f"servicegap: {place}{error.strerror or error}; mend that and run the command again", err=True
        )
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="servicegap")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Measure whom a language model serves worse, and how sure one can be of it.

    A study is a folder. Its stages: design, collect, annotate, analyse, report; each command does what is
    missing before its own. `servicegap audit` does all.
    """


def _folder(command: Command) -> Command:
    return click.argument("folder", metavar="DIR", type=_FOLDER)(command)


def _json(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")(command)


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


def _print_json(data: object) -> None:
    click.echo(json.dumps(data, indent=1, ensure_ascii=False, default=dataclasses.asdict))


@cli.command(epilog="servicegap audit my-study --model local:smollm2-135m")
@_folder
@_choices
@_json
def audit(folder: Path, as_json: bool, **given: Any) -> None:
    """Do all stages: make the study if it is not there, ask, label, analyse, report.

    A second run goes on at the first stage that is missing or stale.
    """
    from servicegap.audit import bring_to_collect, bring_to_report
    from servicegap.presets import create_study
    from servicegap.report import summary
    from servicegap.study import PLAN_FILE, open_study
    from servicegap.terminal import say, watching_collection

    if not (folder / PLAN_FILE).exists():
        study = create_study(folder, _made(given))
    elif any(given.values()):
        raise InputError(
            f"{folder / PLAN_FILE}: there already, so options that make a plan have no place; edit the file"
        )
    else:
        study = open_study(folder)
    store = study.store()
    with watching_collection() as watch:
        collected = bring_to_collect(study, store, watch)
    _end_if_unanswered(collected)
    say("labelling, analysing, writing the report")
    results = bring_to_report(study, store)
    if as_json:
        _print_json(results)
        return
    for sentence in summary(results):
        click.echo(sentence)
    click.echo(f"\nReport: {study.report_path}")


@cli.command(
    epilog="servicegap init my-study --preset study --model openai:mock-1 --base-url http://127.0.0.1:8000/v1"
)
@_folder
@_choices
def init(folder: Path, **given: Any) -> None:
    """Make a study folder with a commented study.yaml."""
    from servicegap.presets import create_study
    from servicegap.study import PLAN_FILE

    create_study(folder, _made(given))
    click.echo(f"{folder / PLAN_FILE}: written; look through it, then: servicegap audit {folder}")


@cli.command(epilog="servicegap validate my-study")
@_folder
@_json
def validate(folder: Path, as_json: bool) -> None:
    """Check study.yaml and all files that it names; asks nothing, changes nothing."""
    from servicegap.audit import checked_design
    from servicegap.study import open_study

    design = checked_design(open_study(folder))
    if as_json:
        _print_json({"prompts": len(design.prompts), "warnings": list(design.warnings)})
        return
    for warning in design.warnings:
        click.echo(f"warning: {warning}")
    click.echo(
        f"{folder}: valid; {len(design.templates)} templates x {len(design.signals)} signals = "
        f"{len(design.prompts)} prompts"
    )


@cli.command(epilog="servicegap design my-study --json")
@_folder
@_json
def design(folder: Path, as_json: bool) -> None:
    """Build the prompts and keep them in the study."""
    from servicegap.audit import bring_to_design
    from servicegap.study import open_study

    study = open_study(folder)
    built = bring_to_design(study, study.store())
    if as_json:
        _print_json({"prompts": list(built.prompts), "warnings": list(built.warnings)})
        return
    for warning in built.warnings:
        click.echo(f"warning: {warning}")
    calls = len(built.prompts) * study.plan.samples * len(study.plan.models) * len(study.plan.conditions)
    click.echo(f"{len(built.prompts)} prompts, {calls} calls")


@cli.command(epilog="servicegap collect my-study")
@_folder
@_json
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
        _print_json(collected)
    else:
        click.echo(
            f"{collected.stored} of {collected.planned} calls answered, {collected.failed} failed, "
            f"{collected.unasked} not asked"
        )
    _end_if_unanswered(collected)


def _end_if_unanswered(collected: Collected) -> None:
    if collected.problem:
        click.echo(f"servicegap: {collected.problem}", err=True)
    if collected.stopped:
        click.echo("servicegap: stopped; what was answered is kept, run the command again to go on", err=True)
        raise click.exceptions.Exit(STOPPED)
    if collected.failed or collected.unasked:
        if not collected.problem:
            click.echo(
                f"servicegap: {collected.failed} calls failed; run the command again to ask them again",
                err=True,
            )
        raise click.exceptions.Exit(1)


@cli.command(epilog="servicegap annotate my-study")
@_folder
@_json
def annotate(folder: Path, as_json: bool) -> None:
    """Let the automatic annotators label what has no label yet."""
    from servicegap.audit import bring_to_annotate
    from servicegap.study import open_study
    from servicegap.terminal import watching_collection

    study = open_study(folder)
    with watching_collection() as watch:
        annotated = bring_to_annotate(study, study.store(), watch)
    if as_json:
        _print_json(annotated)
        return
    for each in annotated:
        click.echo(f"{each.annotator}: {each.added} labelled, {each.abstained} of them abstained")
    if not annotated:
        click.echo("nothing to label")


@cli.command(
    epilog="servicegap analyse my-study\n"
    "servicegap analyse --table FILE.csv --group identity --signal name --template prompt --label label \\\n"
    "    --reference white --json"
)
@click.argument("folder", metavar="[DIR]", type=_FOLDER, required=False)
@click.option("--table", type=_FOLDER, help="Analyse this CSV file instead of a study.")
@click.option("--group", help="The table's column with the group.")
@click.option("--signal", help="The table's column with the name or other signal.")
@click.option("--template", help="The table's column with the template.")
@click.option("--label", help="The table's column with the category.")
@click.option("--reference", help="The group that the others are compared with.")
@click.option("--primary", help="refused, harmful or unserved.  [default: refused]")
@click.option("--level", type=float, help="Confidence level of intervals.  [default: 0.95]")
@_json
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
        missing = [f"--{name}" for name, value in {**columns, "reference": reference}.items() if not value]
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
    if as_json:
        _print_json(results)
        return
    for sentence in summary(results):
        click.echo(sentence)


def _analysed_table(table: Path, columns: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    from servicegap.analyse import analyse_table
    from servicegap.study import AnalysisPlan

    try:
        made = AnalysisPlan(**{name: value for name, value in plan.items() if value is not None})
    except ValueError as error:
        raise InputError("--primary or --level: " + str(error).splitlines()[2].strip()) from error
    return analyse_table(table, columns, made)


def _analysed_study(folder: Path) -> dict[str, Any]:
    from servicegap.audit import bring_to_analyse
    from servicegap.study import open_study
    from servicegap.terminal import watching_collection

    study = open_study(folder)
    with watching_collection() as watch:
        return bring_to_analyse(study, study.store(), watch)


@cli.command(epilog="servicegap report my-study")
@_folder
def report(folder: Path) -> None:
    """Write report/index.html from the results."""
    from servicegap.audit import bring_to_report
    from servicegap.study import open_study
    from servicegap.terminal import watching_collection

    study = open_study(folder)
    with watching_collection() as watch:
        bring_to_report(study, study.store(), watch)
    click.echo(study.report_path)


@cli.command(epilog="servicegap status my-study")
@_folder
@_json
def status(folder: Path, as_json: bool) -> None:
    """Say where a study stands and what is to do next."""
    from servicegap.audit import status as status_of
    from servicegap.study import open_study

    study = open_study(folder)
    stands = status_of(study, study.store())
    collected = stands.collected
    if as_json:
        _print_json(
            {
                "prompts": len(stands.design.prompts),
                "collected": collected,
                "unlabelled": stands.unlabelled,
                "next": stands.stage,
            }
        )
        return
    click.echo(f"{len(stands.design.prompts)} prompts")
    click.echo(f"{collected.stored} of {collected.planned} calls answered, {collected.failed} failed")
    click.echo(f"{stands.unlabelled} answers without a label")
    click.echo(f"next: servicegap {stands.stage} {folder}" if stands.stage else "all stages are up to date")


@cli.group("import", cls=_Group)
def import_() -> None:
    """Make a study of data that exist already."""


@import_.command("pilot", epilog="servicegap import pilot llama2_7b_chat_annotated.csv --study pilot-7b")
@click.argument("file", metavar="FILE.csv", type=_FOLDER)
@click.option("--study", "folder", type=_FOLDER, required=True, help="The folder to make.")
def import_pilot(file: Path, folder: Path) -> None:
    """Import the published pilot of Chehbouni et al. (2024)."""
    from servicegap.formats.pilot import import_pilot as make

    make(file, folder)
    click.echo(f"{folder}: imported; next: servicegap report {folder}")


@cli.group(cls=_Group)
def models() -> None:
    """Local models whose files servicegap can fetch and check."""


@models.command("list", epilog="servicegap models list")
@_json
def list_models(as_json: bool) -> None:
    """List the known local models, and which are here."""
    from servicegap.models.weights import list_weights

    known = list_weights()
    if as_json:
        _print_json(known)
        return
    for each in known:
        here = "here" if each.path else "not fetched"
        click.echo(f"{each.name:20} {each.size / 1e6:7.0f} MB  {here:12} {each.licence:11} {each.good_for}")


@models.command("get", epilog="servicegap models get smollm2-135m")
@click.argument("name")
def get_model(name: str) -> None:
    """Fetch a model's file, check it, and print where it is."""
    from servicegap.models.weights import find_weights

    click.echo(find_weights(name))


@models.command("path", epilog="servicegap models path smollm2-135m")
@click.argument("name")
def model_path(name: str) -> None:
    """Print where a model's file is, without fetching it."""
    from servicegap.models.weights import cached_weights

    click.echo(cached_weights(name))
