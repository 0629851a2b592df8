"""The command that opens a study's pages in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from servicegap.cli.framework import ExampleCommand, folder_argument

# As in stages.py, modules with work to do are imported when a command runs.
# ruff: noqa: PLC0415


@click.command(cls=ExampleCommand, epilog="servicegap serve my-study --port 8080")
@folder_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8070, show_default=True, help="The port; 0 = any free."
)
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="A host name under which people reach the server; may be given again.",
)
def serve(folder: Path, host: str, port: int, allowed: tuple[str, ...]) -> None:
    """Open the pages on which people label, adjudicate and follow a study.

    On one's own machine there is one person and no link. As soon as the study has people (servicegap people
    add), or under any other host, everyone comes in by a secret link.
    """
    from servicegap.study import open_study
    from servicegap.web.server import serve as run

    study = open_study(folder)
    run(study, host=host, port=port, allowed=allowed, tell=lambda line: click.echo(line, err=True))
