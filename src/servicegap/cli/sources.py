"""Commands for what comes from outside: data that exist already, and local models' files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from servicegap.cli.framework import FOLDER, PipeGroup, json_option, print_json

# As in stages.py, modules with work to do are imported when a command runs.
# ruff: noqa: PLC0415

if TYPE_CHECKING:
    from servicegap.formats.outside_labels import OutsideLabel


@click.group("import", cls=PipeGroup, epilog="servicegap import pilot FILE.csv --study pilot-7b")
def import_() -> None:
    """Make a study of data that exist already, or bring people's labels into one."""


@import_.command("pilot", epilog="servicegap import pilot llama2_7b_chat_annotated.csv --study pilot-7b")
@click.argument("file", metavar="FILE.csv", type=FOLDER)
@click.option("--study", "folder", type=FOLDER, required=True, help="The folder to make.")
def import_pilot(file: Path, folder: Path) -> None:
    """Import the published pilot of Chehbouni et al. (2024)."""
    from servicegap.formats.pilot import import_pilot as make

    make(file, folder)
    click.echo(f"{folder}: imported; next: servicegap report {folder}")


_study = click.option(
    "--study", "folder", type=FOLDER, required=True, help="The study that the labels are of."
)


@import_.command("label-studio", epilog="servicegap import label-studio export.json --study my-study")
@click.argument("file", metavar="FILE.json", type=FOLDER)
@_study
def import_label_studio(file: Path, folder: Path) -> None:
    """Bring in people's labels from Label Studio (there: Export, JSON)."""
    from servicegap.formats.label_studio import read_annotations

    _bring_in(read_annotations(file), folder)


@import_.command("prodigy", epilog="servicegap import prodigy annotated.jsonl --study my-study")
@click.argument("file", metavar="FILE.jsonl", type=FOLDER)
@_study
def import_prodigy(file: Path, folder: Path) -> None:
    """Bring in people's labels from Prodigy."""
    from servicegap.formats.prodigy import read_annotations

    _bring_in(read_annotations(file), folder)


@import_.command("labels", epilog="servicegap import labels labels.csv --study my-study")
@click.argument("file", metavar="FILE.csv", type=FOLDER)
@_study
def import_labels(file: Path, folder: Path) -> None:
    """Bring in people's labels from a CSV table: response_id, and annotation:NAME for each annotator."""
    from servicegap.formats.label_table import read_table

    _bring_in(read_table(file), folder)


def _bring_in(labels: Sequence[OutsideLabel], folder: Path) -> None:
    from servicegap.formats.outside_labels import bring_in
    from servicegap.study import open_study

    study = open_study(folder)
    done = bring_in(study, study.store(), labels)
    click.echo(
        f"{folder}: {done.added} labels added, {done.known} known already, from {done.annotators} annotators"
    )


@click.group(cls=PipeGroup, epilog="servicegap models list")
def models() -> None:
    """Local models whose files servicegap can fetch and check."""


@models.command("list", epilog="servicegap models list")
@json_option
def list_models(as_json: bool) -> None:
    """List the known local models, and which are here."""
    from servicegap.models.weights import list_weights

    known = list_weights()
    if as_json:
        print_json(known)
        return
    for each in known:
        here = "here" if each.path else "not fetched"
        click.echo(f"{each.name:20} {each.size / 1e6:7.0f} MB  {here:12} {each.licence:11} {each.good_for}")


@models.command("get", epilog="servicegap models get smollm2-135m")
@click.argument("name")
@click.option("--accept-licence", is_flag=True, help="Accept the terms of a model that asks for it.")
def get_model(name: str, accept_licence: bool) -> None:
    """Fetch a model's file, check it, and print where it is."""
    from servicegap.models.weights import find_weights

    click.echo(find_weights(name, accept_licence=accept_licence))


@models.command("path", epilog="servicegap models path smollm2-135m")
@click.argument("name")
def model_path(name: str) -> None:
    """Print where a model's file is, without fetching it."""
    from servicegap.models.weights import cached_weights

    click.echo(cached_weights(name))
