"""What commands say of calls that are not answered and answers that are not judged, and how they end then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from servicegap.cli.framework import STOPPED

if TYPE_CHECKING:
    from servicegap.collect import Collected


def rejected(collected: Collected) -> str:
    """Return how many calls the server rejected, as a part of a line; nothing where it rejected none."""
    return f"{collected.rejected} rejected by the server, " if collected.rejected else ""


def end_if_unanswered(collected: Collected) -> None:
    """Say what ended a collection early, and end the command where calls are left."""
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


def tell_missing(results: dict[str, Any]) -> None:
    """Say how many answers and how many labels of judges the results are without."""
    missing = sum(row["failed"] + row["unasked"] for row in results["collection"])
    if missing:
        planned = sum(row["planned"] for row in results["collection"])
        click.echo(
            f"servicegap: {missing} of {planned} calls have no answer yet; run servicegap collect first",
            err=True,
        )
    _tell_unjudged(results)


def end_if_unjudged(results: dict[str, Any]) -> None:
    """Say how many answers wait for a judge of the plan, and end the command where any does."""
    if _tell_unjudged(results):
        raise click.exceptions.Exit(1)


def _tell_unjudged(results: dict[str, Any]) -> int:
    waiting: int = sum(row["unjudged"] for row in results["collection"])
    if waiting:
        answered = sum(row["answered"] for row in results["collection"])
        click.echo(
            f"servicegap: {waiting} of {answered} answers wait for a judge; once it can be asked, run the "
            "command again",
            err=True,
        )
    return waiting
