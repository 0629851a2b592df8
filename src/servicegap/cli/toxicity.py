"""The command that scores the toxicity of responses, `toxicity`; no logic of its own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from servicegap.cli.framework import ExampleCommand, folder_argument, json_option, print_json

# As in stages.py, modules with work to do are imported when a command runs.
# ruff: noqa: PLC0415


@click.command(
    cls=ExampleCommand,
    epilog="servicegap toxicity my-study\n"
    "servicegap toxicity my-study --scorer transformers:PATH_OR_NAME --json",
)
@folder_argument
@click.option(
    "--scorer",
    default="lexicon",
    show_default=True,
    help="lexicon, or transformers:PATH_OR_NAME (a classifier; needs the extra toxicity).",
)
@json_option
def toxicity(folder: Path, scorer: str, as_json: bool) -> None:
    """Score how toxic each response reads, with means and gaps by group.

    A score stands beside the category and changes none. It is what safety evaluations report. The study's
    report has a section of it.
    """
    from servicegap.study import open_study
    from servicegap.toxicity import create_scorer
    from servicegap.toxicity.of_study import score_study, sentences

    study = open_study(folder)
    done = score_study(study, study.store(), create_scorer(scorer))
    found = done.found
    if as_json:
        print_json({"added": done.added, **asdict(found)})
        return
    click.echo(
        f"{found.scorer} {found.version}: {found.responses:,} responses, {done.added:,} of them scored now, "
        f"{found.without:,} without a score"
    )
    for line in (*sentences(found.estimates), *found.notes, found.caution):
        if line:
            click.echo(line)
