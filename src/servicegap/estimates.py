"""A table of labelled responses -> every estimate of the analysis plan, and the exploratory ones.

Neutral templates never enter a primary gap, and the no-signal control no gap at all. Responses are counted
once for each model and condition (runs.py); after that no step depends on how many there are.

Not here: the formulas (disparity/), what stands beside the planned gaps (beside.py),
where the table comes from (labels.py, formats/), results.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from servicegap.beside import Remark, stand_beside
from servicegap.corrected import (
    Scored,
    beside_the_correction,
    corrected_contrasts,
    corrected_rates_and_gaps,
    scored,
)
from servicegap.disparity.categories import CategoryCells, shares_of
from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import contrasts_of, gaps_of
from servicegap.disparity.group_rates import rates_of
from servicegap.disparity.naive import naive_gaps_of
from servicegap.disparity.single import name_rates
from servicegap.errors import DataError
from servicegap.families import adjusted
from servicegap.labels import kind_of_labels
from servicegap.records import CONTROL, OUTCOMES, Estimate
from servicegap.runs import NEUTRAL, by_run, count_run, on_templates, primary_part, primary_rows
from servicegap.scores import label_of, score_of
from servicegap.study import AnalysisPlan


@dataclass(frozen=True, slots=True)
class Estimated:
    """All estimates, what they come to in words, and what is doubtful in the corrections."""

    estimates: list[Estimate]
    remarks: list[Remark]
    doubts: list[str]


@dataclass(frozen=True, slots=True)
class _Run:
    """The named responses of one model under one condition; ``cells.part`` is a template's target.

    ``rows`` are the responses one by one, where their automatic scores are to be corrected (else None).
    """

    counted: CategoryCells
    plan: AnalysisPlan
    rows: pl.DataFrame | None = None
    cross_fitted: bool = False

    @property
    def groups(self) -> list[str]:
        return sorted(set(self.counted.cells.group) - {self.plan.reference})

    @property
    def targets(self) -> list[str]:
        return sorted(set(self.counted.cells.part or ()) - {NEUTRAL})

    @property
    def has_neutral(self) -> bool:
        return NEUTRAL in (self.counted.cells.part or ())

    def on_target(self, target: str) -> _Run:
        wanted = [part == target for part in self.counted.cells.part or ()]
        return replace(self, counted=on_templates(self.counted, wanted))

    def cells(self, outcome: str) -> Cells:
        return self.counted.outcome(OUTCOMES[outcome])

    def scored(self, outcome: str) -> Scored | None:
        """Return scores and people's labels for an outcome, where there are any."""
        if self.rows is None:
            return None
        part = self.rows["target"].fill_null(NEUTRAL)
        score, label = score_of(self.rows, outcome), label_of(self.rows, outcome)
        return scored(self.rows, score, label, part, cross_fitted=self.cross_fitted)

    @property
    def comparable(self) -> bool:
        """Whether there are responses about the reference and about another group."""
        return bool(self.groups) and self.plan.reference in self.counted.cells.group


def estimate_all(frame: pl.DataFrame, plan: AnalysisPlan, *, cross_fitted: bool = False) -> Estimated:
    """Return every estimate, model by model and condition by condition.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a response: ``model, condition, group, signal, template, target, category, kind`` (of the
        label), and where known ``gender, commonness``. ``group`` null = the no-signal control,
        ``category`` null = no label, ``target`` null = a template without a stereotype. With the columns
        of :func:`servicegap.scores.with_scores` automatic scores are corrected wherever people labelled a
        random sample.
    plan : AnalysisPlan
        Primary outcome, reference, level, margin, weights and family.
    cross_fitted : bool
        Whether the scores are out of fold.

    Raises
    ------
    DataError
        If there is no response of the reference, or of no other group.
    """
    check_groups(frame, plan.reference)
    found = Estimated([], [], [])
    for model, condition, part in by_run(frame):
        # By run: a model that people labelled is not made uncertain by another that a machine labelled.
        labels = kind_of_labels(part)
        made = _of_run(part, plan, cross_fitted)
        found.estimates.extend(
            replace(estimate, model=model, condition=condition, labels=estimate.labels or labels)
            for estimate in adjusted(made.estimates)
        )
        found.remarks.extend(replace(remark, model=model, condition=condition) for remark in made.remarks)
        found.doubts.extend(f"{model}: {doubt}" if model else doubt for doubt in made.doubts)
    return found


def check_groups(frame: pl.DataFrame, reference: str) -> None:
    """Raise DataError unless there are responses of the reference and of another group."""
    groups = sorted(frame["group"].cast(pl.String).unique().drop_nulls())
    if not groups:
        raise DataError("there are no responses to analyse; collect or import some first")
    if reference not in groups:
        raise DataError(
            f"no response is about the reference {reference!r}; groups with responses: {', '.join(groups)}"
        )
    if len(groups) < 2:
        raise DataError(f"all responses are about {reference!r}; a gap needs another group to compare")


def _of_run(frame: pl.DataFrame, plan: AnalysisPlan, cross_fitted: bool) -> Estimated:
    control = frame.filter(pl.col("group").is_null())
    named = frame.filter(pl.col("group").is_not_null())
    found = Estimated([], [], [])
    outcomes = sorted(OUTCOMES, key=lambda outcome: outcome != plan.primary)
    if control.height:
        found.estimates.extend(_control_rate(control, outcome) for outcome in outcomes)
    if not named.height:
        return found
    judged = "chance" in frame.columns and kind_of_labels(frame) == "automatic-uncorrected"
    run = _Run(count_run(named), plan, named if judged else None, cross_fitted)
    primary = replace(run, counted=primary_part(run.counted), rows=primary_rows(named) if judged else None)
    if judged and not _can_correct(primary, found):
        run, primary = replace(run, rows=None), replace(primary, rows=None)
    gaps = []
    for outcome in outcomes:
        made = _rates_and_gaps(primary, outcome)
        gaps += [e for e in made if e.planned]
        found.estimates.extend([*made, *_naive(primary, outcome)])
    for outcome in outcomes:
        found.estimates.extend(_by_target(run, outcome))
        found.estimates.extend(_signal_rates(primary.cells(outcome), plan, outcome))
    for shares in shares_of(primary.counted, level=plan.level).values():
        found.estimates.extend(shares.values())
    if primary.comparable:
        beside = stand_beside(primary.counted, plan, gaps, ratios=primary.rows is None)
        found.estimates.extend(beside.estimates)
        found.remarks.extend(beside.remarks)
    if (judged_primary := primary.scored(plan.primary)) is not None:
        found.estimates.extend(beside_the_correction(judged_primary, plan, plan.primary))
        found.doubts.extend(judged_primary.sample.warnings())
    return found


def _can_correct(primary: _Run, found: Estimated) -> bool:
    """See whether people's labels can correct the scores of a run; say in its doubts why not."""
    judged = primary.scored(primary.plan.primary) if primary.comparable else None
    if judged is None or not judged.sample.labelled.any():
        return False
    if judged.correctable(primary.plan.reference):
        return True
    found.doubts.append(
        "people's labels do not correct the automatic ones yet, as not even the reference and one more group "
        f"could be corrected: {'; '.join(judged.sample.warnings())}"
    )
    return False


def _rates_and_gaps(run: _Run, outcome: str) -> list[Estimate]:
    """Return each group's rate and gap over all primary templates; those that the plan names are marked."""
    plan = run.plan
    try:
        made = _all_templates(run, outcome)
    except DataError as error:
        if plan.shares is None:
            raise
        # Weights that do not fit the templates there are so far: told, and nothing else is lost.
        made = _undefined(run, "gap", outcome, f"the plan's weights do not fit: {error}")
    return [
        replace(e, planned=e.kind == "gap" and outcome == plan.primary and plan.in_family(e.group))
        for e in made
    ]


def _all_templates(run: _Run, outcome: str) -> list[Estimate]:
    plan, judged = run.plan, run.scored(outcome)
    if judged is not None:
        return corrected_rates_and_gaps(judged, plan, outcome, plan.shares)
    cells = run.cells(outcome)
    rates = rates_of(cells, level=plan.level, outcome_name=outcome, weights=plan.shares)
    made = [*rates.values(), *_gaps(run, outcome, weighted=True)]
    if plan.shares is not None:
        made += [replace(e, kind="gap_unweighted") for e in _gaps(run, outcome)]
    return made


def _gaps(run: _Run, outcome: str, *, weighted: bool = False) -> list[Estimate]:
    if not run.comparable:
        return _undefined(run, "gap", outcome)
    found = gaps_of(
        run.cells(outcome),
        reference=run.plan.reference,
        level=run.plan.level,
        outcome_name=outcome,
        weights=run.plan.shares if weighted else None,
    )
    return list(found.values())


def _naive(run: _Run, outcome: str) -> list[Estimate]:
    if not run.comparable:
        return _undefined(run, "naive_gap", outcome)
    cells = run.cells(outcome)
    found = naive_gaps_of(cells, reference=run.plan.reference, level=run.plan.level, outcome_name=outcome)
    return list(found.values())


def _undefined(run: _Run, kind: str, outcome: str, reason: str | None = None) -> list[Estimate]:
    """Return the estimates of a run that cannot be made: no response is about the reference yet, say."""
    return [
        Estimate(
            kind=kind,
            outcome=outcome,
            value=None,
            group=group,
            reference=run.plan.reference,
            note=reason or f"there is no response about {run.plan.reference} to compare with",
        )
        for group in run.groups
    ]


def _control_rate(control: pl.DataFrame, outcome: str) -> Estimate:
    # One signal has no spread between names: its rate is shown, without an interval.
    yes = control["category"].is_in(list(OUTCOMES[outcome])).cast(pl.Float64)
    labelled = yes.drop_nulls()
    return Estimate(
        kind="rate",
        outcome=outcome,
        group=CONTROL,
        value=float(labelled.to_numpy().mean()) if labelled.len() else None,
        n_responses=labelled.len(),
        n_missing=control.height - labelled.len(),
        n_events=int(labelled.sum()),
        n_signals=1,
        n_templates=control["template"].n_unique(),
        method="mean over responses",
        note="the no-signal control is shown, never tested: one signal has no names to vary over",
    )


def _signal_rates(cells: Cells, plan: AnalysisPlan, outcome: str) -> Iterator[Estimate]:
    for estimate in name_rates(cells, level=plan.level, outcome_name=outcome):
        # A rate is a rate; that it is of one signal shows in its field.
        yield replace(estimate, kind="rate") if estimate.kind == "name_rate" else estimate


def _by_target(run: _Run, outcome: str) -> Iterator[Estimate]:
    """Yield gaps for each target of the templates, and what they differ by."""
    if not run.targets:
        return
    for target in run.targets:
        for estimate in _gaps(run.on_target(target), outcome):
            yield replace(estimate, target=target)
    if run.has_neutral:
        for estimate in _gaps(run.on_target(NEUTRAL), outcome):
            yield replace(estimate, target=NEUTRAL)
        parts = [part if part == NEUTRAL else "targeted" for part in run.counted.cells.part or ()]
        for estimate in _targeted(run, outcome, parts):
            planned = outcome == run.plan.primary and run.plan.in_family(estimate.group)
            yield replace(estimate, planned=planned)
    for group in run.groups:
        if group not in run.targets:
            continue
        names = {NEUTRAL: NEUTRAL, group: "own"}
        parts = [names.get(part, "other") for part in run.counted.cells.part or ()]
        for subtrahend in ("other", NEUTRAL):
            for estimate in _contrasts(run, outcome, parts, "own", subtrahend):
                if estimate.group == group:
                    yield estimate


def _targeted(run: _Run, outcome: str, parts: Sequence[str]) -> list[Estimate]:
    """Return targeted minus neutral; corrected, where the planned gaps are."""
    if run.rows is None or outcome != run.plan.primary:
        return _contrasts(run, outcome, parts, "targeted", NEUTRAL)
    part = pl.when(pl.col("target").is_null()).then(pl.lit(NEUTRAL)).otherwise(pl.lit("targeted"))
    rows = run.rows
    score, label = score_of(rows, outcome), label_of(rows, outcome)
    judged = scored(rows, score, label, rows.select(part=part)["part"], cross_fitted=run.cross_fitted)
    return corrected_contrasts(judged, run.plan, outcome, "targeted", NEUTRAL)


def _contrasts(
    run: _Run, outcome: str, parts: Sequence[str], minuend: str, subtrahend: str
) -> list[Estimate]:
    if subtrahend not in parts:
        return []
    if not run.comparable:
        target = f"{minuend} - {subtrahend}"
        return [replace(estimate, target=target) for estimate in _undefined(run, "contrast", outcome)]
    found = contrasts_of(
        replace(run.cells(outcome), part=tuple(parts)),
        reference=run.plan.reference,
        minuend=minuend,
        subtrahend=subtrahend,
        level=run.plan.level,
        outcome_name=outcome,
    )
    return list(found.values())
