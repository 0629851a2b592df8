"""Outcomes that are numbers: means and gaps of means, in the unit of the outcome; words per response.

The same crossed estimator as for rates, on means of name by template. Kinds ``mean`` and ``mean_gap``.

Not here: yes/no outcomes (estimates.py), where a table's numbers come from (formats/table.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import sqlalchemy as sa

from servicegap.beside import SEED
from servicegap.counting import count_rows, latest, planned, prompts
from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.comparison import gaps_of, permutation_of
from servicegap.disparity.group_rates import rates_of
from servicegap.disparity.multiplicity import simultaneous
from servicegap.disparity.single import name_rates
from servicegap.families import adjusted
from servicegap.records import Estimate
from servicegap.runs import NEUTRAL, by_run, primary_rows
from servicegap.store import Store
from servicegap.study import AnalysisPlan, Study
from servicegap.tables import RESPONSES

WORDS = "words"
#: Words are counted in so many samples of a prompt at most: more of the same prompt say almost nothing.
WORD_SAMPLES = 5
_WORDS_NOTE = (
    "words per response, whatever its category: a refusal can be shorter or longer than an answer; an answer "
    "cut at max_tokens counts as it is"
)


def estimate_measure(
    frame: pl.DataFrame, plan: AnalysisPlan, outcome: str, *, planned: bool
) -> list[Estimate]:
    """Return means and gaps of means, model by model, for names and templates like those used.

    Parameters
    ----------
    frame : polars.DataFrame
        ``model, condition, group, signal, template, target, value`` and, where a row stands for several
        responses with that mean, ``n``. ``value`` null = missing.
    plan : AnalysisPlan
        Reference, level, weights and family.
    outcome : str
        What the number is called.
    planned : bool
        Whether its gaps are the planned ones.

    Returns
    -------
    list of Estimate
        Kinds ``mean``, ``mean_gap`` (above 0 = the group has more), ``mean_gap_simultaneous`` where planned,
        ``permutation``, and ``mean`` of each name (``signal`` set), all in the unit of the outcome.

    Raises
    ------
    DataError
        Numbers that cannot be used; no reference or no other group.
    """
    estimates = []
    for model, condition, rows in by_run(frame):
        named = primary_rows(rows.filter(pl.col("group").is_not_null()))
        if plan.reference not in set(named["group"].cast(pl.String)):
            continue
        made = list(_of_cells(_cells(named), plan, outcome, planned=planned))
        estimates += [replace(e, model=model, condition=condition) for e in adjusted(made)]
    return estimates


def _cells(named: pl.DataFrame) -> Cells:
    keys = (named["group"], named["signal"], named["template"])
    weight = named["n"] if "n" in named.columns else None
    cells = aggregate(named["value"], *keys, weight=weight, part=named["target"].fill_null(NEUTRAL))
    if weight is not None:
        counts = np.nan_to_num(aggregate(weight, *keys).mean).astype(np.int64)
        cells = replace(cells, responses=counts)
    # A number may go beyond 0 to 1 though none here does.
    return replace(cells, scale="number")


def _of_cells(cells: Cells, plan: AnalysisPlan, outcome: str, *, planned: bool) -> Iterator[Estimate]:
    for mean in rates_of(cells, level=plan.level, outcome_name=outcome, weights=plan.shares).values():
        yield replace(mean, kind="mean")
    if len(cells.groups) > 1:
        found = gaps_of(
            cells, reference=plan.reference, level=plan.level, outcome_name=outcome, weights=plan.shares
        )
        gaps = [
            replace(gap, kind="mean_gap", planned=planned and plan.in_family(gap.group))
            for gap in found.values()
        ]
        yield from gaps
        yield from simultaneous([gap for gap in gaps if gap.planned])
        rng = np.random.default_rng(SEED)
        for gap in gaps:
            yield permutation_of(cells, str(gap.group), plan.reference, rng, outcome_name=outcome)
    for name in name_rates(cells, level=plan.level, outcome_name=outcome):
        if name.kind == "name_rate":
            yield replace(name, kind="mean")


def word_gaps(study: Study, store: Store, plan: AnalysisPlan) -> list[Estimate]:
    """Return how long the responses of a study are, in words, by group: exploratory.

    Words are what stands between blanks, counted in the database, in the first WORD_SAMPLES samples of each
    prompt. Responses without text (failed or blocked calls) have none.
    """
    frame = _words(study, store)
    if not frame.height or frame.filter(pl.col("group").is_not_null())["group"].n_unique() < 2:
        return []
    found = estimate_measure(frame, plan.model_copy(update={"weights": None}), WORDS, planned=False)
    return [
        replace(e, note="; ".join(filter(None, [e.note, _WORDS_NOTE]))) if e.kind == "mean_gap" else e
        for e in found
    ]


def _words(study: Study, store: Store) -> pl.DataFrame:
    """Return the mean words of each prompt's responses, one row for each model, condition and prompt."""
    spaced: sa.ColumnElement[str] = RESPONSES.c.text
    for blank in ("\n", "\t", "\r"):
        spaced = sa.func.replace(spaced, blank, " ")
    text = sa.func.trim(spaced)
    words = sa.func.length(text) - sa.func.length(sa.func.replace(text, " ", "")) + 1
    query = sa.select(RESPONSES.c.model, RESPONSES.c.settings, RESPONSES.c.prompt, words).where(
        RESPONSES.c.sample < WORD_SAMPLES,
        *planned(study),
        *latest(store),
        sa.func.coalesce(RESPONSES.c.error_kind, "").in_(("", "truncated")),
        text != "",
    )
    names = {condition.record().settings: condition.id for condition in study.plan.conditions}
    rows = [
        (model, names[settings], prompt, float(length), n)
        for (model, settings, prompt, length), n in count_rows(store, query).items()
    ]
    schema: dict[str, type[pl.DataType]] = dict.fromkeys(("model", "condition", "prompt"), pl.String)
    lengths = pl.DataFrame(rows, schema=schema | {"length": pl.Float64, "n": pl.Int64}, orient="row")
    means = lengths.group_by("model", "condition", "prompt").agg(
        value=(pl.col("length") * pl.col("n")).sum() / pl.col("n").sum(), n=pl.col("n").sum()
    )
    return means.join(prompts(store), on="prompt").sort("model", "condition", "prompt")
