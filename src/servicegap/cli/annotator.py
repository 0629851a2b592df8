"""Commands about automatic annotators: fit one, check them against people, plan who labels what next."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from servicegap.cli.framework import ExampleCommand, PipeGroup, folder_argument, json_option, print_json

# What the commands do is imported inside them: `servicegap --help` must not wait for it.
# ruff: noqa: PLC0415


@click.group(cls=PipeGroup)
def annotator() -> None:
    """Fit an automatic annotator on people's labels, check it against them, plan the next labels."""


@annotator.command(cls=ExampleCommand, epilog="servicegap annotator fit my-study")
@folder_argument
@click.option(
    "--labels",
    type=click.Choice(["gold", "imported"]),
    default="gold",
    show_default=True,
    help="What to learn from: people's settled labels, or also labels that came with an import.",
)
@click.option(
    "--folds", type=click.IntRange(2), help="Parts that the templates are dealt into.  [default: 6]"
)
@json_option
def fit(folder: Path, labels: str, folds: int | None, as_json: bool) -> None:
    """Fit an annotator on the study's own labels, and label the study with it.

    It starts from the default annotator. Every response is judged by a model that saw no label of its
    template, so that people's labels can correct its scores. Results use it only where `fitted` stands
    under `annotators` in study.yaml. Needs: pip install 'servicegap[fit]'
    """
    from servicegap.annotator_fit import fit_annotator
    from servicegap.annotators.fitted import fitted_folder
    from servicegap.study import open_study
    from servicegap.terminal import say

    study = open_study(folder)
    say("learning from people's labels")
    found = fit_annotator(
        study, study.store(), labels="imported" if labels == "imported" else "gold", folds=folds
    )
    in_plan = found.card.name in study.plan.annotators
    if as_json:
        print_json({**asdict(found), "in_plan": in_plan})
        return
    click.echo(f"Fitted on {found.card.n_labels} labels of {found.card.n_templates} templates.")
    click.echo(found.card.sentence())
    click.echo(f"{found.annotated.added} responses labelled, {found.annotated.abstained} abstentions.")
    click.echo(f"Card: {fitted_folder(folder, found.card.version) / 'card.md'}")
    if not in_plan:
        planned = ", ".join((*study.plan.annotators, found.card.name))
        click.echo(
            "No result uses it yet, as study.yaml does not name it. To correct the gaps with its scores, and "
            f"to label what is collected later, write there: annotators: [{planned}]\n"
            f"Then: servicegap report {folder}"
        )


@annotator.command(cls=ExampleCommand, epilog="servicegap annotator check my-study --json")
@folder_argument
@json_option
def check(folder: Path, as_json: bool) -> None:
    """Check every automatic annotator and judge against people's labels.

    Confusion matrix, kappa, precision and recall, sensitivity and specificity by group, calibration, and
    whether a label hangs on the name.
    """
    from servicegap.annotator_check import check_text, checks
    from servicegap.study import open_study

    study = open_study(folder)
    found = checks(study, study.store())
    if as_json:
        print_json(found)
    elif not found:
        click.echo(f"No automatic annotator has judged a response of {folder} yet.")
    else:
        click.echo("\n\n".join(map(check_text, found)))


@annotator.command(cls=ExampleCommand, epilog="servicegap annotator plan my-study --width 12 --open")
@folder_argument
@click.option(
    "--width",
    type=click.FloatRange(0, 100, min_open=True),
    help="Target for half the width of the planned gaps' intervals, in points (± POINTS).",
    metavar="POINTS",
)
@click.option("--labels", type=click.IntRange(1), help="New labels.  [default: what --width takes, or 300]")
@click.option(
    "--open", "open_it", is_flag=True, help="Open a round of labelling with these responses; keep the target."
)
@json_option
def plan(folder: Path, width: float | None, labels: int | None, open_it: bool, as_json: bool) -> None:
    """Plan which responses people label next, so that the planned gaps become surer fastest.

    More labels where the annotator is unsure; every response keeps a known chance. Says how many labels a
    width takes, and when no number of labels reaches it.
    """
    from servicegap.label_plan import plan_labels, write_target
    from servicegap.label_plan.words import plan_sentences
    from servicegap.labelling.rounds import open_round
    from servicegap.study import open_study

    study = open_study(folder)
    store = study.store()
    found = plan_labels(study, store, width=None if width is None else width / 100, labels=labels)
    if open_it:
        opened = open_round(study, store, responses=found.drawn)
        if found.width is not None:
            write_target(store, found.width)
    if as_json:
        print_json(
            {name: getattr(found, name) for name in found.__slots__ if name != "drawn"}
            | {"responses": found.drawn.filter("drawn")["response"].to_list()}
        )
        return
    for sentence in plan_sentences(found):
        click.echo(sentence)
    if open_it:
        click.echo(f"Round {opened.id} is open; people label it with: servicegap serve {folder}")
    else:
        click.echo(
            f"To open a round with them: servicegap annotator plan {folder} --labels {found.labels} --open"
        )
