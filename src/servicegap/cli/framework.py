"""What every command shares: how help looks, common arguments and options, JSON output."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

STOPPED = 130
Command = TypeVar("Command", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path)


class ExampleCommand(click.Command):
    """A command whose help keeps the lines of its example."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is, one command a line."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write("Example:\n")
            for line in self.epilog.splitlines():
                formatter.write(f"  {line}\n")


class PipeGroup(ExampleCommand, click.Group):
    """A group whose commands are listed as they were written."""

    command_class = ExampleCommand

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help where no command is given."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the pipe, not of the alphabet."""
        return list(self.commands)


def folder_argument(command: Command) -> Command:
    """Add the study's folder, DIR."""
    return click.argument("folder", metavar="DIR", type=FOLDER)(command)


def json_option(command: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")(command)


def print_json(data: object) -> None:
    """Print results for machines; dataclasses become objects."""
    click.echo(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False, default=_plain))


def _plain(value: Any) -> object:
    if isinstance(value, Path):
        return str(value)
    return dataclasses.asdict(value)
