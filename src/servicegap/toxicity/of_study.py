"""How toxic a study's responses read, beside their categories and never in place of them.

Signals are masked before a scorer looks, so that no score can depend on whom the prompt was about. Not here:
the scorers (lexicon.py, classifier.py), the method of the intervals (disparity/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl
import sqlalchemy as sa

from servicegap.annotators.study_mask import read_mask
from servicegap.disparity import gaps, rates
from servicegap.errors import DataError
from servicegap.labels import labelled_responses
from servicegap.records import Estimate
from servicegap.store import Store, latest_responses
from servicegap.study import Study, now, only_one
from servicegap.tables import TOXICITY
from servicegap.toxicity.protocol import ToxicityScorer

OUTCOME = "toxicity"
BATCH = 200


@dataclass(frozen=True, slots=True)
class StudyToxicity:
    """What a scorer has given the responses of a study.

    Attributes
    ----------
    scorer, version : str
    added : int
        Scores that are new.
    responses, without : int
        Responses of the plan with a text, and those among them without a value.
    estimates : tuple of Estimate
        Outcome ``toxicity``, of each model under each condition: kind ``rate``, the mean score (0 to 1) of a
        group, and kind ``gap``, that of a group minus that of the reference; exploratory, p not adjusted.
    notes : tuple of str
        What must be said beside them.
    """

    scorer: str
    version: str
    added: int
    responses: int
    without: int
    estimates: tuple[Estimate, ...]
    notes: tuple[str, ...]


def score_study(study: Study, store: Store, scorer: ToxicityScorer) -> StudyToxicity:
    """Score what `scorer` has not scored yet, keep it, and estimate means and gaps by group.

    Safe to run again: a response that a scorer has scored is not given to it twice, unless its version
    changed. The estimates are over the templates that carry a stereotype, or all where none does.

    Raises
    ------
    DataError
        If there is no response with a text.
    StudyError
        If another command is scoring the study.
    """
    with only_one(study, "scorer", store):
        added = _add_scores(store, scorer)
    frame = scored_responses(study, store, scorer)
    if frame.is_empty():
        raise DataError(f"{study.folder}: no response to score; run: servicegap collect {study.folder}")
    without = frame["value"].null_count()
    notes = [scorer.caution] if scorer.caution else []
    if without:
        reasons = frame["reason"].drop_nulls().value_counts(sort=True, name="count").rows()
        notes.append(
            "Without a score: " + "; ".join(f"{count} x {reason}" for reason, count in reasons) + "."
        )
    return StudyToxicity(
        scorer=scorer.name,
        version=scorer.version,
        added=added,
        responses=frame.height,
        without=without,
        estimates=tuple(_estimates(frame, study.plan.plan.reference, study.plan.plan.level)),
        notes=tuple(notes),
    )


def scored_responses(study: Study, store: Store, scorer: ToxicityScorer) -> pl.DataFrame:
    """Return the responses of the plan that have a score.

    Returns
    -------
    polars.DataFrame
        The columns of ``labels.labelled_responses`` and ``value`` (0 to 1, null = none), ``reason``.
    """
    query = sa.select(TOXICITY.c.response, TOXICITY.c.value, TOXICITY.c.reason).where(
        TOXICITY.c.scorer == scorer.name, TOXICITY.c.version == scorer.version
    )
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    schema = {"response": pl.String, "value": pl.Float64, "reason": pl.String}
    scores = pl.DataFrame(rows, schema=schema, orient="row")
    return labelled_responses(study, store).join(scores, on="response", how="inner", maintain_order="left")


def _add_scores(store: Store, scorer: ToxicityScorer) -> int:
    latest = latest_responses()
    scored = sa.select(TOXICITY.c.response).where(
        TOXICITY.c.scorer == scorer.name, TOXICITY.c.version == scorer.version
    )
    unscored = sa.select(latest.c.id, latest.c.text).where(
        latest.c.text.is_not(None), latest.c.id.not_in(scored)
    )
    mask = read_mask(store)
    with store.reading() as connection:
        rows = connection.execute(unscored.order_by(latest.c.id)).all()
    for start in range(0, len(rows), BATCH):
        found = [(row.id, scorer.score(mask.apply(row.text))) for row in rows[start : start + BATCH]]
        values = [
            {
                "response": response,
                "scorer": scorer.name,
                "version": scorer.version,
                "value": each.value,
                "reason": each.reason,
                "created": now(),
            }
            for response, each in found
        ]
        with store.writing() as connection:
            connection.execute(sa.insert(TOXICITY), values)
    return len(rows)


def _estimates(frame: pl.DataFrame, reference: str, level: float) -> list[Estimate]:
    named = frame.filter(pl.col("group").is_not_null())
    targeted = named.filter(pl.col("target").is_not_null())
    found: list[Estimate] = []
    for (model, condition), rows in sorted(
        (targeted if targeted.height else named).group_by("model", "condition", maintain_order=True),
        key=lambda run: [str(part) for part in run[0]],
    ):
        columns = (rows["value"], rows["group"], rows["signal"], rows["template"])
        means = rates(*columns, level=level, outcome_name=OUTCOME)
        differences = gaps(*columns, reference=reference, level=level, outcome_name=OUTCOME)
        found += [
            replace(_without_spread(each, rows["value"]), model=str(model), condition=str(condition))
            for each in (*means.values(), *differences.values())
        ]
    return found


def _without_spread(estimate: Estimate, values: pl.Series) -> Estimate:
    """Return an estimate from equal scores without an interval."""
    present = values.drop_nulls()
    if present.n_unique() != 1:
        return estimate
    # Scores of 0 alone would be taken for a yes/no outcome, whose limits say nothing of a mean score.
    note = f"all {len(present)} scores are {present[0]:g}, so there is neither an interval nor a p"
    return replace(estimate, low=None, high=None, se=None, df=None, p=None, n_events=None, note=note)


def sentences(estimates: Sequence[Estimate]) -> list[str]:
    """Return the means by group, with their gaps, a line for each."""
    lines = []
    gap_of = {(e.model, e.condition, e.group): e for e in estimates if e.kind == "gap"}
    for mean in (each for each in estimates if each.kind == "rate"):
        gap = gap_of.get((mean.model, mean.condition, mean.group))
        line = f"{mean.model}, {mean.condition}: names read as {mean.group}: mean {_figure(mean)}"
        if gap is not None:
            p = "" if gap.p is None else f", p = {gap.p:.3g}"
            line += f"; gap to {gap.reference} {_figure(gap)}{p}"
        lines.append(line)
    return lines


def _figure(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"undefined ({estimate.note})"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4f} (no interval: {estimate.note})"
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"
