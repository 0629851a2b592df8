"""The planned responses of a study, all labels that machines, judges and imports gave, and which one counts.

The label that counts is, in this order: the gold label of people, an imported one, the panel's, a judge's, an
automatic annotator's, the provider's. Of judges and annotators only those of the plan count, in the plan's
order: one taken out of study.yaml leaves its labels in the database, and no trace in the results. One
annotator's latest label is its label.

A judge's abstention, and the panel's, stands: an annotator that takes over just where a judge declines would
mix two annotators by what is hard to judge. It is left to people. Any other abstention hides no label, it
stands only where nobody of all these gave a category.

Not here: single people's labels (labelling/), which count once people have settled on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl
import sqlalchemy as sa

from servicegap.annotators.panel import NAME as PANEL
from servicegap.bulk import read_blocks
from servicegap.counting import planned
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import ANNOTATIONS, GOLD_LABELS, RESPONSES

_IMPORTED, _PROVIDER = 0, 10_000
#: Responses that are joined with their labels at once.
_PART = 1_500_000
_WORDS = ("category", "annotator", "kind", "annotator_version")


@dataclass(frozen=True, slots=True)
class Given:
    """What a study holds of responses and labels; ``response`` is the key of each.

    Attributes
    ----------
    responses : polars.DataFrame
        The last attempt at each planned call: ``response, model, condition, prompt, error_kind``, and
        ``sample`` where they are read one by one.
    annotations : polars.DataFrame
        Labels by all but people that no other supersedes: ``response, id, rank, category, annotator, kind,
        annotator_version``. ``rank``: the lower counts first, null = not in the plan.
    gold : polars.DataFrame
        ``response, category, annotator, kind, annotator_version``: what people settled on.
    """

    responses: pl.DataFrame
    annotations: pl.DataFrame
    gold: pl.DataFrame

    def parts(self) -> Iterator[Given]:
        """Yield parts that share no response: joining them one by one needs a part of the memory."""
        n = 1 + self.responses.height // _PART
        for k in range(n):
            own = pl.col("response").hash() % n == k
            yield Given(self.responses.filter(own), self.annotations.filter(own), self.gold.filter(own))


def read_given(study: Study, store: Store, *, one_by_one: bool) -> Given:
    """Read the responses of the plan and their labels.

    Parameters
    ----------
    study : Study
    store : Store
    one_by_one : bool
        Whether ``response`` is the identifier itself; otherwise it is a number of 64 bits made from it, in an
        eighth of the memory. (Identifiers are 64 bits of a hash themselves.)
    """
    key = pl.col("response") if one_by_one else pl.col("response").hash()
    sample = ("sample",) if one_by_one else ()
    return Given(_responses(study, store, key, sample), _annotations(study, store, key), _gold(store, key))


def labels_that_count(given: Given) -> pl.DataFrame:
    """Return the label that counts for each response that has any.

    Returns
    -------
    polars.DataFrame
        ``response, category, annotator, kind, annotator_version``; ``category`` null = a judge abstained, or
        all did.
    """
    planned = given.annotations.filter(pl.col("rank").is_not_null())
    if planned["response"].n_unique() < planned.height:
        own = planned.sort("id", descending=True).unique(
            ["response", "annotator", "kind"], keep="first", maintain_order=True
        )
        planned = (
            own.with_columns(passes_on=pl.col("category").is_null() & (pl.col("kind") != "judge"))
            .sort("passes_on", "rank", "id", descending=[False, False, True])
            .unique("response", keep="first", maintain_order=True)
        )
    labels = planned.select("response", *_WORDS)
    if given.gold.is_empty():
        return labels
    return pl.concat([given.gold, labels.join(given.gold, on="response", how="anti")])


def plan_order(study: Study) -> Mapping[str, int]:
    """Return the judges and annotators of the plan as annotations name them, and which counts first."""
    panel = [PANEL] if len(study.plan.judges) > 1 else []
    judges = [f"judge:{judge.id}" for judge in study.plan.judges]
    return {name: k for k, name in enumerate((*panel, *judges, *study.plan.annotators), _IMPORTED + 1)}


def _responses(study: Study, store: Store, key: pl.Expr, more: tuple[str, ...]) -> pl.DataFrame:
    # By what was sent, not by the condition's name at the time: a condition can be renamed.
    names = {condition.record().settings: condition.id for condition in study.plan.conditions}
    columns = ("id", "attempt", "model", "settings", "prompt", "error_kind", *more)
    blocks = [
        block.rename({"id": "response"}).select(
            key,
            pl.col("attempt", *more).cast(pl.UInt32),
            pl.col("model", "prompt", "error_kind").cast(pl.Categorical),
            condition=pl.col("settings").replace_strict(names, return_dtype=pl.String).cast(pl.Categorical),
        )
        for block in read_blocks(store, RESPONSES, columns, planned(study))
    ]
    found = pl.concat(blocks)
    if found.height and found["attempt"].max() != found["attempt"].min():
        found = found.filter(pl.col("attempt") == pl.col("attempt").max().over("response"))
    return found.drop("attempt")


def _annotations(study: Study, store: Store, key: pl.Expr) -> pl.DataFrame:
    order = plan_order(study)
    rank = (
        pl.when(pl.col("kind") == "imported")
        .then(_IMPORTED)
        .when(pl.col("kind") == "provider")
        .then(_PROVIDER)
        .otherwise(pl.col("annotator").replace_strict(order, default=None, return_dtype=pl.Int16))
        .cast(pl.Int16)
    )
    columns = ("id", "response", "category", "annotator", "kind", "version")
    blocks = [
        block.rename({"version": "annotator_version"}).select(
            key, pl.col("id").cast(pl.UInt32), pl.col(_WORDS).cast(pl.Categorical), rank=rank
        )
        for block in read_blocks(store, ANNOTATIONS, columns, (ANNOTATIONS.c.kind != "human",))
    ]
    found = pl.concat(blocks)
    with store.reading() as connection:
        replaced = sa.select(ANNOTATIONS.c.supersedes).where(ANNOTATIONS.c.supersedes.is_not(None))
        superseded = connection.execute(replaced).scalars().all()
    return found.filter(~pl.col("id").is_in(superseded)) if superseded else found


def _gold(store: Store, key: pl.Expr) -> pl.DataFrame:
    blocks = list(read_blocks(store, GOLD_LABELS, ("response", "category", "source")))
    return (
        pl.concat(blocks)
        .rename({"source": "annotator"})
        .with_columns(key, kind=pl.lit("human"), annotator_version=pl.lit(None, dtype=pl.String))
        .select("response", pl.col(_WORDS).cast(pl.Categorical))
    )
