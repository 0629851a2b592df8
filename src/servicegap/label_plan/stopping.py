"""Whether people may stop labelling, since the planned gaps are known well enough.

To look often and stop when an interval is narrow is to stop when it happens to be too narrow. So there are
few looks, at the ends of batches, and none counts before each group has labels and disagreements enough to
know the variance; benchmarks/stopping.py shows what is then left of the coverage. A batch that is not settled
whole is as if nobody had begun it.

Not here: how many labels a width takes (label_plan/), the corrected gaps (correction/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import sqlalchemy as sa

from servicegap.corrected import scored
from servicegap.correction.human_sample import FEWEST_DISAGREEMENTS, FEWEST_LABELS, HumanSample
from servicegap.correction.sampled import gaps_of_sample
from servicegap.label_plan import read_target
from servicegap.labels import labelled_responses
from servicegap.records import Estimate
from servicegap.runs import NEUTRAL, by_run, primary_rows
from servicegap.scores import Judged, label_of, score_of, with_scores
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import GOLD_LABELS, ROUND_ITEMS, ROUNDS


@dataclass(frozen=True, slots=True)
class StopAdvice:
    """Whether labelling may stop, and why.

    Attributes
    ----------
    stop : bool
    reason : str
        In one sentence for whoever labels.
    width : float or None
        Half the width of the widest planned interval, 0 to 1; None where there is none yet.
    target : float or None
    n_labels : int
        Labels of people in whole batches.
    """

    stop: bool
    reason: str
    width: float | None
    target: float | None
    n_labels: int


def look(
    gaps: Mapping[str, Estimate], sample: HumanSample, reference: str, target: float
) -> tuple[float | None, str | None]:
    """Look at one run's planned gaps at the end of a batch.

    Parameters
    ----------
    gaps : mapping of str to Estimate
        The corrected gap of each planned group.
    sample : HumanSample
        What they were corrected by.
    reference : str
    target : float
        Half the width that each interval may have, 0 to 1.

    Returns
    -------
    (float or None, str or None)
        Half the width of the widest interval, and why labelling may not stop; None = it may.
    """
    for group in sorted({*gaps, reference}):
        labelled, responses = sample.counts(group)
        if labelled == responses:
            continue
        if labelled < FEWEST_LABELS:
            return None, f"{labelled} labels of {group}; {FEWEST_LABELS} are the least to judge by"
        if sample.disagreements(group) < FEWEST_DISAGREEMENTS:
            return None, (
                f"people and annotator disagree on {sample.disagreements(group)} responses of {group}; "
                f"{FEWEST_DISAGREEMENTS} are the least to know how much they do"
            )
    widths = {
        group: (gap.high - gap.low) / 2
        for group, gap in gaps.items()
        if gap.low is not None and gap.high is not None
    }
    if len(widths) < len(gaps):
        absent = next(group for group in gaps if group not in widths)
        return None, f"the gap of {absent} has no interval: {gaps[absent].note}"
    widest = max(widths, key=lambda group: widths[group])
    if widths[widest] > target:
        return widths[widest], (
            f"the interval of {widest} is ± {100 * widths[widest]:.1f} points, "
            f"the target ± {100 * target:.1f}"
        )
    return widths[widest], None


def may_stop(study: Study, store: Store) -> StopAdvice:
    """Say whether the planned gaps are as sure as they were to be; for the ends of batches.

    Labels of batches that are not settled whole are left out, so a call in the middle of a batch says what
    was said at the end of the one before.

    Parameters
    ----------
    study : Study
    store : Store
    """
    target = read_target(store)
    if target is None:
        again = f"servicegap annotator plan {study.folder} --width POINTS --open"
        reason = f"no target width is set; set one with: {again}"
        return StopAdvice(False, reason, None, None, 0)
    plan = study.plan.plan
    judged = with_scores(study, store, labelled_responses(study, store))
    if judged.annotator is None:
        reason = "; ".join(judged.warnings) or "there are no labels to correct automatic scores with yet"
        return StopAdvice(False, reason, None, target, 0)
    frame, n_labels = _whole_batches(judged, store)
    widths = []
    for model, condition, run in by_run(frame.filter(pl.col("group").is_not_null())):
        rows = primary_rows(run)
        part = rows["target"].fill_null(NEUTRAL)
        score, label = score_of(rows, plan.primary), label_of(rows, plan.primary)
        found = scored(rows, score, label, part, cross_fitted=judged.cross_fitted)
        if not found.correctable(plan.reference):
            reason = f"{model}, {condition}: {found.sample.obstacle(plan.reference) or 'too few labels yet'}"
            return StopAdvice(False, reason, None, target, n_labels)
        gaps = gaps_of_sample(
            found.sample,
            found.cells,
            plan.reference,
            level=plan.level,
            outcome_name=plan.primary,
            weights=plan.shares,
        )
        planned = {group: gap for group, gap in gaps.items() if plan.in_family(group)}
        width, why_not = look(planned, found.sample, plan.reference, target)
        if why_not:
            return StopAdvice(False, f"{model}, {condition}: {why_not}", width, target, n_labels)
        widths.append(width or 0.0)
    if not widths:
        return StopAdvice(False, "there is no planned gap", None, target, n_labels)
    reason = (
        f"every planned gap is known to ± {100 * max(widths):.1f} points or better, as was the target "
        f"(± {100 * target:.1f}): labelling may stop"
    )
    return StopAdvice(True, reason, max(widths), target, n_labels)


def _whole_batches(judged: Judged, store: Store) -> tuple[pl.DataFrame, int]:
    """Leave out labels of batches that are not settled whole, and lower chances by what is left out.

    Batches hold responses in an order by lot, so whole ones are a random part of each stratum.
    """
    query = (
        sa.select(
            ROUND_ITEMS.c.response,
            ROUND_ITEMS.c.stratum,
            ROUND_ITEMS.c.drawn,
            ROUND_ITEMS.c.batch,
            GOLD_LABELS.c.category.is_not(None).label("settled"),
        )
        .join(ROUNDS, ROUNDS.c.id == ROUND_ITEMS.c.round)
        .outerjoin(GOLD_LABELS, GOLD_LABELS.c.response == ROUND_ITEMS.c.response)
        # Silent gold checks people, and is never settled by them.
        .where(ROUNDS.c.closed.is_(None), ROUND_ITEMS.c.silent_gold.is_(None))
    )
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    schema = {"response": pl.String, "stratum": pl.String, "drawn": pl.Boolean, "batch": pl.Int64}
    items = pl.DataFrame(rows, schema=schema | {"settled": pl.Boolean}, orient="row")
    whole = pl.col("settled").all().over("batch") | pl.col("batch").is_null()
    items = items.with_columns(hidden=pl.col("settled") & ~whole)
    settled = (pl.col("drawn") & pl.col("settled")).sum().over("stratum")
    left = 1 - pl.col("hidden").sum().over("stratum") / settled
    items = items.with_columns(left=left.fill_nan(1.0)).select("response", "hidden", "left")
    frame = (
        judged.frame.join(items, on="response", how="left", maintain_order="left")
        .with_columns(
            people=pl.when(pl.col("hidden").fill_null(False)).then(None).otherwise("people"),
            chance=pl.col("chance") * pl.col("left").fill_null(1.0),
        )
        .drop("hidden", "left")
    )
    return frame, frame["people"].count()
