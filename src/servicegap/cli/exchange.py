"""Commands that write responses for labelling in other tools; labels come back by `servicegap import`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from servicegap.cli.framework import FOLDER, PipeGroup, folder_argument

# As in stages.py, modules with work to do are imported when a command runs.
# ruff: noqa: PLC0415

_out = click.option("--out", type=FOLDER, required=True, help="The file to write.")
_masked = click.option("--mask-signals", is_flag=True, help="Show names as [NAME].")


@click.group(cls=PipeGroup, epilog="servicegap export labels my-study --out labels.csv")
def export() -> None:
    """Write responses and people's labels for other tools."""


@export.command(
    "label-studio",
    epilog="servicegap export label-studio my-study --out tasks.json --config labelling.xml",
)
@folder_argument
@_out
@click.option("--config", type=FOLDER, help="Also write the labelling configuration (XML) to this file.")
@_masked
def export_label_studio(folder: Path, out: Path, config: Path | None, mask_signals: bool) -> None:
    """Write tasks for Label Studio, automatic labels as predictions."""
    from servicegap.codebook import codebook_of
    from servicegap.formats.label_studio import labelling_config, tasks
    from servicegap.formats.outside_labels import responses_to_label
    from servicegap.study import open_study, write_json_whole, write_text_whole

    study = open_study(folder)
    made = tasks(responses_to_label(study, study.store(), mask_signals=mask_signals))
    write_json_whole(out, made)
    if config is not None:
        write_text_whole(config, labelling_config(codebook_of(study)))
    click.echo(f"{out}: {len(made)} tasks")


@export.command("prodigy", epilog="servicegap export prodigy my-study --out tasks.jsonl")
@folder_argument
@_out
@_masked
def export_prodigy(folder: Path, out: Path, mask_signals: bool) -> None:
    """Write tasks for Prodigy, one a line."""
    from servicegap.codebook import codebook_of
    from servicegap.formats.outside_labels import responses_to_label
    from servicegap.formats.prodigy import tasks
    from servicegap.study import open_study, write_text_whole

    study = open_study(folder)
    made = tasks(responses_to_label(study, study.store(), mask_signals=mask_signals), codebook_of(study))
    write_text_whole(out, "".join(json.dumps(task, ensure_ascii=False) + "\n" for task in made))
    click.echo(f"{out}: {len(made)} tasks")


@export.command("labels", epilog="servicegap export labels my-study --out labels.csv --annotator ada")
@folder_argument
@_out
@click.option(
    "--annotator", "people", multiple=True, help="Make an empty column for this annotator; again for more."
)
@_masked
def export_labels(folder: Path, out: Path, people: Sequence[str], mask_signals: bool) -> None:
    """Write a CSV table with every annotator's label in a column, to look at or to fill in."""
    from servicegap.formats.label_table import write_table
    from servicegap.formats.outside_labels import every_label, responses_to_label
    from servicegap.labels import people_labels
    from servicegap.study import open_study, write_text_whole

    study = open_study(folder)
    store = study.store()
    rows = responses_to_label(study, store, mask_signals=mask_signals)
    gold = dict(people_labels(store).select("response", "category").iter_rows())
    write_text_whole(out, write_table(rows, every_label(study, store), gold, people))
    click.echo(f"{out}: {len(rows)} responses")
