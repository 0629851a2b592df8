"""The command line: one command for each stage, no logic of its own.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 the data or the model failed,
2 wrong use, 130 stopped.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from servicegap import __version__
from servicegap.cli import annotator, exchange, inference, label, people, serve, sources, stages, toxicity
from servicegap.cli.framework import STOPPED, PipeGroup
from servicegap.errors import ServicegapError


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
        asked = getattr(error, "ctx", None)
        see = f" See: {asked.command_path} --help" if asked else ""
        click.echo(f"servicegap: {error.format_message()}{see}", err=True)
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


@click.group(
    cls=PipeGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="servicegap")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Measure whom a language model serves worse, and how sure one can be of it.

    A study is a folder. Its stages: design, collect, annotate, analyse, report; each command does what is
    missing before its own. `servicegap audit` does all.
    """


for _command in (
    stages.audit,
    stages.init,
    stages.validate,
    stages.design,
    stages.collect,
    stages.annotate,
    stages.analyse,
    stages.report,
    stages.status,
    inference.plan,
    inference.compare,
    label.label,
    annotator.annotator,
    toxicity.toxicity,
    serve.serve,
    people.people,
    people.agreement,
    exchange.export,
    sources.import_,
    sources.models,
):
    cli.add_command(_command)
