"""What scorers gave the responses of a study: means and gaps by group, and means of what was refused.

Scores and the labels that count are joined as columns and counted by prompt and category; no later step
depends on how many responses there are. Not here: the scoring (of_study.py), the method of the intervals
(disparity/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import sqlalchemy as sa

from servicegap.bulk import read_blocks
from servicegap.counting import prompts
from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.group_rates import rates_of
from servicegap.families import adjusted
from servicegap.given import Given, labels_that_count
from servicegap.records import CATEGORIES, OUTCOMES, Estimate
from servicegap.runs import by_run, primary_rows
from servicegap.store import Store
from servicegap.study import AnalysisPlan
from servicegap.tables import TOXICITY
from servicegap.toxicity.lexicon import CAUTION, LexiconScorer

OUTCOME = "toxicity"
#: What must be said wherever a scorer's scores are shown.
CAUTIONS: Mapping[str, str] = {LexiconScorer.name: CAUTION}
#: Scores are summed in millionths, whole numbers: the same in whatever order they come.
_MILLION = 1_000_000
_COUNTS = ("n", "millionths", "without")


@dataclass(frozen=True, slots=True)
class PartMean:
    """The mean score of a part of the responses, each counting the same; without an interval.

    Attributes
    ----------
    model, condition : str or None
    part : str
        A category, ``refused``, ``not refused``, or ``unlabelled``, by the label that counts.
    group : str or None
        None = all groups together.
    n : int
        Responses with a score, at least one.
    mean : float
        0 to 1.
    """

    model: str | None
    condition: str | None
    part: str
    group: str | None
    n: int
    mean: float


@dataclass(frozen=True, slots=True)
class Toxicity:
    """What a scorer has given the responses of a study.

    Attributes
    ----------
    scorer, version : str
    responses : int
        Responses of the plan with a text.
    scored, without, waiting : int
        Of these: with a value, without one, not given to the scorer yet.
    estimates : tuple of Estimate
        Outcome ``toxicity``, of each model under each condition, on the templates that carry a stereotype
        (all, where none does): kind ``mean``, the mean score of a group (0 to 1), and ``mean_gap``, that of
        a group minus that of the reference; exploratory, p adjusted over the groups (Benjamini and
        Hochberg).
    parts : tuple of PartMean
        Means of each category's responses and of refused ones and the rest, on the same templates.
    caution : str or None
        What must be said wherever they are shown.
    notes : tuple of str
        What is missing.
    """

    scorer: str
    version: str
    responses: int
    scored: int
    without: int
    waiting: int
    estimates: tuple[Estimate, ...]
    parts: tuple[PartMean, ...]
    caution: str | None
    notes: tuple[str, ...]


def toxicity_of_study(store: Store, given: Given, plan: AnalysisPlan) -> list[Toxicity]:
    """Return what the latest version of each scorer gave, for those that gave anything, sorted by name."""
    found = (measure(store, given, plan, *each) for each in sorted(_latest_versions(store).items()))
    return [each for each in found if each.scored or each.without]


def measure(store: Store, given: Given, plan: AnalysisPlan, scorer: str, version: str) -> Toxicity:
    """Return what one version of a scorer gave the responses of the plan.

    Parameters
    ----------
    store : Store
    given : Given
        Responses and labels, read one by one or not.
    plan : AnalysisPlan
        Reference and level.
    scorer, version : str
        As they are kept.
    """
    own = (TOXICITY.c.scorer == scorer, TOXICITY.c.version == version)
    counts = _counted(store, given, own)
    scored, without, waiting = (int(counts[name].sum()) for name in ("n", "without", "waiting"))
    named = counts.join(prompts(store), on="prompt").filter(pl.col("group").is_not_null())
    estimates: list[Estimate] = []
    parts: list[PartMean] = []
    for model, condition, run in by_run(named):
        rows = primary_rows(run).filter(pl.col("n") + pl.col("without") > 0)
        if rows.height:
            made = _estimates(_cells(rows), plan)
            estimates += [replace(e, model=model, condition=condition) for e in adjusted(made)]
            parts += _parts(rows, model, condition)
    return Toxicity(
        scorer=scorer,
        version=version,
        responses=scored + without + waiting,
        scored=scored,
        without=without,
        waiting=waiting,
        estimates=tuple(estimates),
        parts=tuple(parts),
        caution=CAUTIONS.get(scorer),
        notes=tuple(_notes(store, given, own, without, waiting)),
    )


def _latest_versions(store: Store) -> Mapping[str, str]:
    found: dict[str, str] = {}
    newest = sa.select(TOXICITY.c.scorer, TOXICITY.c.version).order_by(TOXICITY.c.id.desc()).limit(1)
    with store.reading() as connection:
        # A scorer at a time, newest scores first: grouping millions of rows would take ten times as long.
        while row := connection.execute(newest.where(TOXICITY.c.scorer.not_in(found))).first():
            found[row.scorer] = row.version
    return found


def _counted(store: Store, given: Given, own: tuple[sa.ColumnElement[bool], ...]) -> pl.DataFrame:
    """Count the responses of each model, condition, prompt and category.

    Returns
    -------
    polars.DataFrame
        ``model, condition, prompt, category, n`` (with a value), ``millionths`` (their sum), ``without``,
        ``waiting``.
    """
    key = _key(given)
    blocks = read_blocks(store, TOXICITY, ("response", "value"), own)
    millionths = (pl.col("value") * _MILLION).round().cast(pl.Int32)
    scores = pl.concat(block.select(key, millionths=millionths, seen=True) for block in blocks)
    beside = replace(given, responses=given.responses.join(scores, on="response", how="left"))
    # A call that failed or was blocked has no text to score.
    has_text = pl.col("error_kind").is_null() | pl.col("error_kind").is_in(["truncated", "empty"])
    return (
        pl.concat(
            part.responses.join(
                labels_that_count(part).select("response", "category"), on="response", how="left"
            )
            .group_by("model", "condition", "prompt", "category")
            .agg(
                n=pl.col("millionths").count(),
                millionths=pl.col("millionths").cast(pl.Int64).sum(),
                without=(pl.col("seen") & pl.col("millionths").is_null()).sum(),
                waiting=(pl.col("seen").is_null() & has_text).sum(),
            )
            for part in beside.parts()
        )
        .with_columns(pl.col(pl.Categorical).cast(pl.String))
        .group_by("model", "condition", "prompt", "category")
        .agg(pl.col(*_COUNTS, "waiting").cast(pl.Int64).sum())
    )


def _key(given: Given) -> pl.Expr:
    """Return how responses are known in `given`."""
    key = pl.col("response")
    return key if given.responses["response"].dtype == pl.String else key.hash()


def _cells(rows: pl.DataFrame) -> Cells:
    keys = ("group", "signal", "template")
    sums = rows.group_by(keys).agg(pl.col(_COUNTS).sum())
    columns = [sums[key] for key in keys]

    def table(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        return np.nan_to_num(aggregate(sums[name], *columns).mean).astype(np.int64)

    cells = aggregate(sums["millionths"] / _MILLION / sums["n"], *columns, weight=sums["n"])
    # Scores of 0 and 1 alone are still no yes/no outcome, whose limits would say nothing of a mean score.
    return replace(cells, responses=table("n"), missing=table("without"), scale="proportion")


def _estimates(cells: Cells, plan: AnalysisPlan) -> list[Estimate]:
    means = rates_of(cells, level=plan.level, outcome_name=OUTCOME)
    made = [replace(mean, kind="mean") for mean in means.values()]
    if plan.reference in cells.groups and len(cells.groups) > 1:
        gaps = gaps_of(cells, reference=plan.reference, level=plan.level, outcome_name=OUTCOME)
        made += [replace(gap, kind="mean_gap") for gap in gaps.values()]
    scored = int(cells.responses.sum())
    if scored and not np.nansum(cells.mean):
        note = f"all {scored} scores are 0, so there is neither an interval nor a p"
        made = [replace(e, note=note) if e.value == 0 else e for e in made]
    return made


def _parts(rows: pl.DataFrame, model: str | None, condition: str | None) -> Iterator[PartMean]:
    category = pl.col("category")
    refused = category.is_in(list(OUTCOMES["refused"]))
    wanted = {"refused": refused, "not refused": ~refused}
    wanted |= {each: category == each for each in CATEGORIES}
    for name, which in (wanted | {"unlabelled": category.is_null()}).items():
        found = rows.filter(which).group_by("group").agg(pl.col(_COUNTS).sum()).sort("group")
        whole = found.select(pl.lit(None, dtype=pl.String).alias("group"), pl.col(_COUNTS).sum())
        for group, n, millionths, _ in pl.concat([whole, found]).rows():
            if n:
                yield PartMean(model, condition, name, group, n, millionths / n / _MILLION)


def _notes(
    store: Store, given: Given, own: tuple[sa.ColumnElement[bool], ...], without: int, waiting: int
) -> Iterator[str]:
    if without:
        blocks = read_blocks(store, TOXICITY, ("response", "reason"), (*own, TOXICITY.c.value.is_(None)))
        reasons = (
            pl.concat(block.select(_key(given), pl.col("reason").cast(pl.Categorical)) for block in blocks)
            .join(given.responses.select("response"), on="response", how="semi")
            .group_by(pl.col("reason").cast(pl.String))
            .len()
            .sort("len", "reason", descending=[True, False])
        )
        yield "Without a score: " + "; ".join(f"{n} x {reason}" for reason, n in reasons.rows()) + "."
    if waiting:
        yield f"{waiting} responses have no score yet; run servicegap toxicity again."
