"""Write docs/commands.md from the commands themselves, so that the page cannot say anything else.

Run from anywhere: ``python scripts/write_commands.py``. With ``--check`` nothing is written, and the exit
code is 1 where the page is not what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from servicegap.cli import cli

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
#: Columns of the help text; a terminal's own width must not enter.
WIDTH = 100

HEAD = """\
# Commands

Written by `python scripts/write_commands.py` from the `--help` texts; a test compares. Do not edit by hand.

- Results go to stdout, progress and errors to stderr. Progress is shown on a terminal only.
- `--json`, where a command has it, prints the results as JSON.
- Exit codes: 0 done, 1 the data or the model failed, 2 wrong use, 130 stopped by Ctrl-C or SIGTERM.
- An error is one line for each mistake. `--debug`, anywhere on the line, shows the traceback as well.
- A study that exists is never made anew. A command that was stopped goes on when it is run again:
  [resume](how-to/resume.md).
"""


def commands(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[click.Context]:
    """Yield the context of a command and of all commands below it, in the order of the pipe."""
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, **command.context_settings
    )
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None and not found.hidden:
                yield from commands(found, below, context)


def commands_page() -> str:
    """Return the whole page."""
    sections = [
        f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n"
        for context in commands(cli, "servicegap")
    ]
    return "\n".join([HEAD, *sections])


def main() -> None:
    """Write the page, or see whether it is current."""
    page = commands_page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page:
        sys.exit(f"{PAGE.name} is not current; run: python scripts/write_commands.py")


if __name__ == "__main__":
    main()
