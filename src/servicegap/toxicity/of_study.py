"""Scoring a study's responses, beside their categories and never in place of them.

Signals are masked before a scorer looks, so that no score can depend on whom the prompt was about. Not here:
the scorers (lexicon.py, classifier.py), what is estimated from scores (measured.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from servicegap.annotators.study_mask import read_mask
from servicegap.counting import latest
from servicegap.errors import DataError
from servicegap.given import read_given
from servicegap.records import Estimate
from servicegap.store import Store
from servicegap.study import Study, now, only_one
from servicegap.tables import RESPONSES, TOXICITY
from servicegap.toxicity.measured import Toxicity, measure
from servicegap.toxicity.protocol import ToxicityScorer

BATCH = 200


@dataclass(frozen=True, slots=True)
class Scored:
    """How many scores are new, and what all of the scorer's come to."""

    added: int
    found: Toxicity


def score_study(study: Study, store: Store, scorer: ToxicityScorer) -> Scored:
    """Score what `scorer` has not scored yet, keep it, and estimate means and gaps by group.

    Safe to run again: a response that a scorer has scored is not given to it twice, unless its version
    changed.

    Raises
    ------
    DataError
        If there is no response with a text.
    StudyError
        If another command is scoring the study.
    """
    with only_one(study, "scorer", store):
        added = _add_scores(store, scorer)
    given = read_given(study, store, one_by_one=False)
    found = measure(store, given, study.plan.plan, scorer.name, scorer.version)
    if not found.responses:
        raise DataError(f"{study.folder}: no response to score; run: servicegap collect {study.folder}")
    return Scored(added, found)


def _add_scores(store: Store, scorer: ToxicityScorer) -> int:
    scored = sa.exists().where(
        TOXICITY.c.response == RESPONSES.c.id,
        TOXICITY.c.scorer == scorer.name,
        TOXICITY.c.version == scorer.version,
    )
    unscored = (
        sa.select(RESPONSES.c.id, RESPONSES.c.text)
        .where(RESPONSES.c.text.is_not(None), ~scored, *latest(store))
        .order_by(RESPONSES.c.id)
        .limit(BATCH)
    )
    mask = read_mask(store)
    added, last = 0, ""
    while rows := _read(store, unscored.where(RESPONSES.c.id > last)):
        found = [(row.id, scorer.score(mask.apply(row.text))) for row in rows]
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
        added, last = added + len(rows), rows[-1].id
    return added


def _read(store: Store, query: sa.Select[tuple[str, str | None]]) -> Sequence[Any]:
    with store.reading() as connection:
        return connection.execute(query).all()


def sentences(estimates: Sequence[Estimate]) -> list[str]:
    """Return the means by group, with their gaps, a line for each."""
    lines = []
    gap_of = {(e.model, e.condition, e.group): e for e in estimates if e.kind == "mean_gap"}
    for mean in (each for each in estimates if each.kind == "mean"):
        gap = gap_of.get((mean.model, mean.condition, mean.group))
        line = f"{mean.model}, {mean.condition}: names read as {mean.group}: mean {_figure(mean)}"
        if gap is not None:
            p = "" if gap.p_adjusted is None else f", adjusted p = {gap.p_adjusted:.3g}"
            line += f"; gap to {gap.reference} {_figure(gap)}{p}"
        lines.append(line)
    return lines


def _figure(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"undefined ({estimate.note})"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.4f} ({estimate.note})"
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"
