"""Which responses people should label next, and how many labels a target width takes.

Not here: the formulas (allocation.py, outlook.py), when labelling may stop (stopping.py), the rounds of
labelling themselves (labelling/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from servicegap.correction.human_sample import FEWEST_LABELS, YES
from servicegap.disparity.cells import Floats, aggregate
from servicegap.disparity.comparison import gaps_of
from servicegap.errors import DataError
from servicegap.label_plan.allocation import chances, draw
from servicegap.label_plan.outlook import PlannedGap, combined, strata_of, uncertainty_of, urgency_of
from servicegap.labelling.population import read_population
from servicegap.labels import labelled_responses, people_labels, planned_scores, sampling_chances
from servicegap.records import CATEGORIES
from servicegap.runs import NEUTRAL, by_run, primary_rows
from servicegap.scores import choose_annotator, label_of, score_of
from servicegap.store import Store, read_meta, write_meta
from servicegap.study import AnalysisPlan, Study

#: Labels that are planned where neither a number nor a width is given.
USUAL_LABELS = 300
_TARGET = "label_width"
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class GapOutlook:
    """Half the width of one planned gap's interval: as expected now, after the labels, and with all of them.

    ``now`` is None where people have labelled nothing by chance yet.
    """

    model: str
    condition: str
    group: str
    now: float | None
    planned: float
    least: float


@dataclass(frozen=True, slots=True)
class Stratum:
    """Responses of one run, group, automatic label and certainty, and how many of them to label."""

    stratum: str
    responses: int
    labelled: int
    chance: float
    expected: float


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """What people should label next.

    Attributes
    ----------
    outcome, annotator : str
        The primary outcome, and whose scores are corrected.
    level : float
    width : float or None
        The target: half the width of the widest planned interval, 0 to 1.
    labels : int
        New labels that are planned.
    needed : int or None
        New labels that reach the target; None = no number does, or there is no target.
    unlabelled : int
        Responses without a label.
    gaps : tuple of GapOutlook
    strata : tuple of Stratum
        Those with most labels to be had first.
    drawn : polars.DataFrame
        ``response, probability, drawn, stratum``: every response that can be labelled.
    """

    outcome: str
    annotator: str
    level: float
    width: float | None
    labels: int
    needed: int | None
    unlabelled: int
    gaps: tuple[GapOutlook, ...]
    strata: tuple[Stratum, ...]
    drawn: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Situation:
    frame: pl.DataFrame
    annotator: str
    gaps: list[PlannedGap]
    uncertainty: Floats
    former: Floats
    already: NDArray[np.bool_]
    urgency: Floats

    def widest(self, labels: int, level: float) -> float:
        """Return half the width of the widest gap that is expected after so many new labels.

        Infinite where a group would have fewer labels than an interval needs.
        """
        new = chances(self.urgency, self.already, labels)
        expected = np.where(self.already, 1.0, new)
        for gap in self.gaps:
            for rows in (gap.rows, gap.reference_rows):
                if expected[rows].sum() < min(FEWEST_LABELS, len(rows)) - _ROUNDING:
                    return np.inf
        chance = combined(self.former, new)
        return max(gap.half_width(self.uncertainty, chance, level) for gap in self.gaps)


def plan_labels(
    study: Study, store: Store, *, width: float | None = None, labels: int | None = None
) -> LabelPlan:
    """Plan the next labels.

    Parameters
    ----------
    study : Study
    store : Store
    width : float, optional
        Target for half the width of the widest planned interval, 0 to 1.
    labels : int, optional
        New labels; by default as many as the target takes, or 300.

    Raises
    ------
    DataError
        If there are no automatic scores, no planned gap has an interval, or everything is labelled.
    """
    situation = _situation(study, store)
    level, unlabelled = study.plan.plan.level, int((~situation.already).sum())
    if not unlabelled:
        raise DataError(f"{study.folder}: people have labelled every response; there is nothing to plan")
    needed = None if width is None else _needed(situation, width, level, unlabelled)
    if labels is None:
        labels = min(USUAL_LABELS, unlabelled) if needed is None else needed
    labels = min(labels, unlabelled)
    chance = chances(situation.urgency, situation.already, labels)
    after = combined(situation.former, chance)
    code = situation.frame["stratum"].rank("dense").to_numpy().astype(np.int64)
    # The same study at the same point gets the same plan.
    rng = np.random.default_rng([study.plan.seed, unlabelled])
    drawn = draw(chance, code, rng)
    return LabelPlan(
        outcome=study.plan.plan.primary,
        annotator=situation.annotator,
        level=level,
        width=width,
        labels=labels,
        needed=needed,
        unlabelled=unlabelled,
        gaps=tuple(_outlooks(situation, after, level)),
        strata=_strata(situation, chance),
        drawn=situation.frame.select("response", "stratum").with_columns(
            probability=pl.Series(chance), drawn=pl.Series(drawn)
        ),
    )


def write_target(store: Store, width: float) -> None:
    """Note the width at which labelling may stop; `stopping.may_stop` reads it."""
    with store.writing() as connection:
        write_meta(connection, _TARGET, repr(width))


def read_target(store: Store) -> float | None:
    """Return the width at which labelling may stop, None where none was set."""
    with store.reading() as connection:
        found = read_meta(connection, _TARGET)
    return None if found is None else float(found)


def _situation(study: Study, store: Store) -> _Situation:
    plan = study.plan.plan
    scores = planned_scores(study, store)
    people = people_labels(store)
    frame = labelled_responses(study, store).drop("category", "annotator", "kind", "annotator_version")
    templates = frame.select("response", "template")
    annotator = choose_annotator(scores.join(templates, on="response"), people)[0]
    if annotator is None:
        raise DataError(
            f"{study.folder}: no automatic annotator has scored the responses; add `offline` to annotators "
            f"in study.yaml and run: servicegap annotate {study.folder}"
        )
    own = scores.filter(pl.col("annotator") == annotator).rename({"category": "automatic"})
    columns = [f"p_{category}" for category in CATEGORIES]
    frame = (
        frame.join(read_population(study, store).select("response"), on="response", how="semi")
        .join(own.select("response", "automatic", *columns), on="response", how="left")
        .join(people.select("response", people="category"), on="response", how="left")
        .join(sampling_chances(store).select("response", chance="probability"), on="response", how="left")
        .sort("response")
    )
    score = score_of(frame, plan.primary)
    # Where the annotator abstained, the mean of the group, as in correction/.
    frame = frame.with_columns(stratum=strata_of(frame, score), score=score).with_columns(
        pl.col("score").fill_null(pl.col("score").mean().over("group")).fill_null(YES)
    )
    truth = label_of(frame, plan.primary).to_numpy().astype(np.float64)
    values = frame["score"].to_numpy().astype(np.float64)
    uncertainty = uncertainty_of(values, truth, frame["stratum"])
    gaps = _planned_gaps(study, frame.with_row_index("place"), plan)
    return _Situation(
        frame=frame,
        annotator=annotator,
        gaps=gaps,
        uncertainty=uncertainty,
        former=frame["chance"].fill_null(0.0).to_numpy().astype(np.float64),
        already=~np.isnan(truth),
        urgency=urgency_of(gaps, uncertainty),
    )


def _planned_gaps(study: Study, frame: pl.DataFrame, plan: AnalysisPlan) -> list[PlannedGap]:
    found = []
    for model, condition, run in by_run(frame.filter(pl.col("group").is_not_null())):
        rows = primary_rows(run)
        if plan.reference not in rows["group"] or rows["group"].n_unique() < 2:
            continue
        part = rows["target"].fill_null(NEUTRAL)
        cells = aggregate(rows["score"] >= YES, rows["group"], rows["signal"], rows["template"], part=part)
        gaps = gaps_of(cells, reference=plan.reference, level=plan.level, weights=plan.shares)
        places = {
            str(group): own["place"].to_numpy().astype(np.int64) for (group,), own in rows.group_by("group")
        }
        found += [
            PlannedGap(
                str(model), str(condition), group, plan.reference,
                places[group], places[plan.reference], gap.se**2, gap.df,
            )
            for group, gap in gaps.items()
            if plan.in_family(group) and gap.se and gap.df
        ]  # fmt: skip
    if not found:
        raise DataError(
            f"{study.folder}: no planned gap of {plan.primary} has an interval by the automatic labels, so "
            "nothing is known of what names and templates do; collect more, or label a random sample: "
            "labelling: {sample: {kind: random}} in study.yaml"
        )
    return found


def _needed(situation: _Situation, width: float, level: float, unlabelled: int) -> int | None:
    if situation.widest(unlabelled, level) > width:
        return None
    low, high = 0, unlabelled
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if situation.widest(middle, level) <= width else (middle, high)
    return high


def _outlooks(situation: _Situation, after: Floats, level: float) -> Sequence[GapOutlook]:
    return [
        GapOutlook(
            model=gap.model,
            condition=gap.condition,
            group=gap.group,
            now=gap.half_width(situation.uncertainty, situation.former, level)
            if min(situation.former[gap.rows].min(), situation.former[gap.reference_rows].min()) > 0
            else None,
            planned=gap.half_width(situation.uncertainty, after, level),
            least=gap.least_half_width(level),
        )
        for gap in situation.gaps
    ]


def _strata(situation: _Situation, chance: Floats) -> tuple[Stratum, ...]:
    new = pl.when(pl.col("labelled")).then(0.0).otherwise(pl.col("chance"))
    known = {"chance": chance, "labelled": situation.already}
    counted = (
        situation.frame.select("stratum")
        .with_columns(pl.Series(name, values) for name, values in known.items())
        .with_columns(expected=new)
        .group_by("stratum")
        .agg(pl.len(), pl.col("labelled").sum(), pl.col("chance").mean(), pl.col("expected").sum())
        .sort(["expected", "stratum"], descending=[True, False])
    )
    return tuple(Stratum(*row) for row in counted.iter_rows())
