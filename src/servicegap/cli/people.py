"""Commands about the people who label: who may, and how far they agree; no logic of their own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from servicegap.cli.framework import (
    ExampleCommand,
    PipeGroup,
    folder_argument,
    json_option,
    print_json,
)

# As in stages.py, modules with work to do are imported when a command runs.
# ruff: noqa: PLC0415

if TYPE_CHECKING:
    from servicegap.agreement import Agreement
    from servicegap.labelling.agreement import PeopleAgreement
    from servicegap.labelling.people import Role

_ROLES = ("annotator", "adjudicator", "lead")
_CONFUSED = 5
_NAMES = {
    "percent": "same label",
    "cohen": "Cohen's kappa",
    "fleiss": "Fleiss' kappa",
    "alpha": "Krippendorff's alpha",
    "ac1": "Gwet's AC1",
}
_PASSES = {"whole": "Six categories", "quality": "Quality pass", "harm": "Harm pass"}


@click.group(cls=PipeGroup, epilog="servicegap people add my-study mira")
def people() -> None:
    """Say who may label a study over the network: everyone comes in by a secret link of their own."""


@people.command("add", epilog="servicegap people add my-study mira --role adjudicator")
@folder_argument
@click.argument("name", metavar="NAME")
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    default="annotator",
    show_default=True,
    help="What they may do: label; also decide on disagreements; also follow everyone and open rounds.",
)
@json_option
def add(folder: Path, name: str, role: Role, as_json: bool) -> None:
    """Add a person, or let a revoked one in again, and print the secret end of their link.

    It is shown this once, as only a hash of it is kept.
    """
    from servicegap.labelling.people import add_person
    from servicegap.study import open_study

    with closing(open_study(folder).store()) as store:
        token = add_person(store, name, role)
    if as_json:
        print_json({"name": name, "role": role, "path": f"/enter/{token}"})
        return
    click.echo(f"{name} ({role}): give them, and nobody else, the server's address followed by this:")
    click.echo(f"/enter/{token}")


@people.command("list", epilog="servicegap people list my-study --json")
@folder_argument
@json_option
def list_(folder: Path, as_json: bool) -> None:
    """List everyone, with their role and how much they have labelled."""
    from servicegap.labelling.people import list_people
    from servicegap.labelling.progress import labels_by
    from servicegap.study import open_study

    with closing(open_study(folder).store()) as store:
        everyone, labels = list_people(store), labels_by(store)
    if as_json:
        keys = ("name", "role", "consented", "trained", "revoked")
        print_json(
            [
                {key: getattr(person, key) for key in keys} | {"labels": labels.get(person.name, 0)}
                for person in everyone
            ]
        )
        return
    for person in everyone:
        state = f", revoked {person.revoked}" if person.revoked else ""
        click.echo(f"{person.name} ({person.role}): {labels.get(person.name, 0)} labels{state}")
    if not everyone:
        click.echo(f"nobody yet; add someone with: servicegap people add {folder} NAME")


@people.command("revoke", epilog="servicegap people revoke my-study mira")
@folder_argument
@click.argument("name", metavar="NAME")
def revoke(folder: Path, name: str) -> None:
    """End a person's link; their labels stay."""
    from servicegap.labelling.people import revoke as end_link
    from servicegap.study import open_study

    with closing(open_study(folder).store()) as store:
        end_link(store, name)
    click.echo(f"{name}: revoked; their labels stay")


@click.command(
    cls=ExampleCommand, epilog="servicegap agreement my-study\nservicegap agreement my-study --json"
)
@folder_argument
@json_option
def agreement(folder: Path, as_json: bool) -> None:
    """Say how far the people who label agree, with intervals over templates."""
    import numpy as np

    from servicegap.labelling.agreement import measure_agreement
    from servicegap.study import open_study

    study = open_study(folder)
    with closing(study.store()) as store:
        found = measure_agreement(study, store, np.random.default_rng(study.plan.seed))
    if as_json:
        print_json(found)
        return
    for each in found:
        _print_pass(each)


def _print_pass(found: PeopleAgreement) -> None:
    click.echo(
        f"{_PASSES[found.pass_]}: {found.labels} labels of {found.responses} responses "
        f"by {found.annotators} people"
    )
    if found.note:
        click.echo(f"  {found.note}")
    overall = [each for each in found.figures if not (each.group or each.round or each.background)]
    _print_figures("all", [each for each in overall if each.category is None])
    for name in ("category", "round", "group", "background"):
        parts = overall if name == "category" else found.figures
        of_part = [
            each for each in parts if getattr(each, name) and (name == "category" or not each.category)
        ]
        _print_figures(name, [each for each in of_part if each.measure in ("percent", "alpha", "cohen")])
    if found.steady:
        _print_figures("same person, another round", [each for each in found.steady if not each.category])
    for confusion in found.confused[:_CONFUSED]:
        one, other = confusion.categories
        click.echo(
            f"  {one} / {other}: confused {confusion.n_pairs} times, "
            f"{confusion.share:.0%} of all disagreements"
        )


def _print_figures(part: str, figures: Sequence[Agreement]) -> None:
    for figure in figures:
        if figure.measure == "cohen" and part != "all" and not figure.other_background:
            continue
        of = _of(part, figure)
        click.echo(f"  {of}, {_NAMES[figure.measure]}: {_value(figure)}")


def _of(part: str, figure: Agreement) -> str:
    if figure.annotators:
        return " and ".join(figure.annotators)
    if figure.other_background:
        return f"background {figure.background} with {figure.other_background}"
    name = getattr(figure, part, None)
    return f"{part} {name}" if name else part


def _value(figure: Agreement) -> str:
    if figure.value is None:
        return f"none ({figure.note})"
    limits = "" if figure.low is None else f" [{figure.low:.2f}, {figure.high:.2f}]"
    note = f" ({figure.note})" if figure.note else ""
    return f"{figure.value:.2f}{limits}{note}"
