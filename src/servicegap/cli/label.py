"""The command that labels any table, `label`; no logic of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from servicegap.cli.framework import FOLDER, ExampleCommand, json_option, print_json

# As in stages.py, modules with work to do are imported when a command runs.
# ruff: noqa: PLC0415

if TYPE_CHECKING:
    from servicegap.label import LabelledTable


@click.command(
    cls=ExampleCommand,
    epilog="servicegap label FILE.csv --prompt prompt --response response --out labelled.csv\n"
    "servicegap label FILE.jsonl --prompt prompt --response answer --signal name --out labelled.parquet",
)
@click.argument("table", metavar="FILE", type=FOLDER)
@click.option("--prompt", metavar="COL", required=True, help="The column with what the model was asked.")
@click.option("--response", metavar="COL", required=True, help="The column with what it answered.")
@click.option("--out", metavar="OUT", type=FOLDER, required=True, help="The table to write.")
@click.option(
    "--signal",
    metavar="COL",
    help="The column with the name in the prompt, to be masked.  [default: known names are]",
)
@click.option("--annotator", default="offline", show_default=True, help="offline or fitted.")
@click.option("--study", metavar="DIR", type=FOLDER, help="The study in which it was fitted.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one for each core]")
@json_option
def label(
    table: Path,
    prompt: str,
    response: str,
    out: Path,
    signal: str | None,
    annotator: str,
    study: Path | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Label the responses of any table: CSV, JSONL or Parquet, by extension.

    OUT has the columns of FILE and behind them category, abstain_reason, p_ and a category's id (its
    probability), annotator and annotator_version. Stopped half-way, the same command goes on.
    """
    from servicegap.label import TextColumns, label_table
    from servicegap.terminal import watching_rows

    with watching_rows() as watch:
        done = label_table(
            table,
            out,
            TextColumns(prompt, response, signal),
            annotator=annotator,
            study=study,
            workers=workers or os.cpu_count() or 1,
            watch=watch,
        )
    if as_json:
        print_json(done)
        return
    _print(done)


def _print(done: LabelledTable) -> None:
    counted = ", ".join(f"{count:,} {category}" for category, count in done.categories.items() if count)
    abstained = sum(done.abstained.values())
    click.echo(
        f"{done.out}: {done.rows:,} rows, by {done.annotator} {done.version}: {counted or 'none labelled'}"
    )
    click.echo(f"{abstained:,} without a label" + (":" if abstained else ""))
    for reason, count in done.abstained.items():
        click.echo(f"  {count:,} x {reason}")
    click.echo(f"masked {done.signals} in {done.masked:,} of {done.rows:,} rows")
    click.echo("automatic labels are uncorrected: check a sample by hand before a claim rests on them")
