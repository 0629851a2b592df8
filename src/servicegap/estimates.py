"""A table of labelled responses -> every estimate of the analysis plan, and the exploratory ones.

Neutral templates never enter a primary gap, and the no-signal control no gap at all. Responses are counted
once for each model and condition (runs.py); after that no step depends on how many there are.

Not here: the formulas (disparity/), what stands beside the planned gaps (beside.py),
where the table comes from (labels.py, formats/), results.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from servicegap.beside import Remark, stand_beside
from servicegap.disparity.categories import CategoryCells, shares_of
from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import contrasts_of, gaps_of
from servicegap.disparity.group_rates import rates_of
from servicegap.disparity.multiplicity import benjamini_hochberg, holm
from servicegap.disparity.naive import naive_gaps_of
from servicegap.disparity.single import name_rates
from servicegap.errors import DataError
from servicegap.labels import kind_of_labels
from servicegap.records import CONTROL, OUTCOMES, Estimate
from servicegap.runs import NEUTRAL, count_run, on_templates, primary_part
from servicegap.study import AnalysisPlan


@dataclass(frozen=True, slots=True)
class Estimated:
    """All estimates, and what they come to in words."""

    estimates: list[Estimate]
    remarks: list[Remark]


@dataclass(frozen=True, slots=True)
class _Run:
    """The named responses of one model under one condition; ``cells.part`` is a template's target."""

    counted: CategoryCells
    plan: AnalysisPlan

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

    @property
    def comparable(self) -> bool:
        """Whether there are responses about the reference and about another group."""
        return bool(self.groups) and self.plan.reference in self.counted.cells.group


def estimate_all(frame: pl.DataFrame, plan: AnalysisPlan) -> Estimated:
    """Return every estimate, model by model and condition by condition.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a response: ``model, condition, group, signal, template, target, category, kind`` (of the
        label), and where known ``gender, commonness``. ``group`` null = the no-signal control,
        ``category`` null = no label, ``target`` null = a template without a stereotype.
    plan : AnalysisPlan
        Primary outcome, reference, level and margin.

    Raises
    ------
    DataError
        If there is no response of the reference, or of no other group.
    """
    _check_groups(frame, plan.reference)
    found = Estimated([], [])
    for model, condition in frame.select("model", "condition").unique().sort("model", "condition").rows():
        part = frame.filter(
            pl.col("model").eq_missing(pl.lit(model)) & pl.col("condition").eq_missing(pl.lit(condition))
        )
        # By run: a model that people labelled is not made uncertain by another that a machine labelled.
        labels = kind_of_labels(part)
        made = _of_run(part, plan)
        found.estimates.extend(
            replace(estimate, model=model, condition=condition, labels=labels)
            for estimate in _adjusted(made.estimates)
        )
        found.remarks.extend(replace(remark, model=model, condition=condition) for remark in made.remarks)
    return found


def _check_groups(frame: pl.DataFrame, reference: str) -> None:
    groups = sorted(frame["group"].cast(pl.String).unique().drop_nulls())
    if not groups:
        raise DataError("there are no responses to analyse; collect or import some first")
    if reference not in groups:
        raise DataError(
            f"no response is about the reference {reference!r}; groups with responses: {', '.join(groups)}"
        )
    if len(groups) < 2:
        raise DataError(f"all responses are about {reference!r}; a gap needs another group to compare")


def _of_run(frame: pl.DataFrame, plan: AnalysisPlan) -> Estimated:
    control = frame.filter(pl.col("group").is_null())
    named = frame.filter(pl.col("group").is_not_null())
    estimates: list[Estimate] = []
    remarks: list[Remark] = []
    outcomes = sorted(OUTCOMES, key=lambda outcome: outcome != plan.primary)
    if control.height:
        estimates += [_control_rate(control, outcome) for outcome in outcomes]
    if not named.height:
        return Estimated(estimates, remarks)
    run = _Run(count_run(named), plan)
    primary = _Run(primary_part(run.counted), plan)
    for outcome in outcomes:
        cells = primary.cells(outcome)
        estimates += rates_of(cells, level=plan.level, outcome_name=outcome).values()
        planned = outcome == plan.primary
        estimates += [replace(estimate, planned=planned) for estimate in _gaps(primary, outcome)]
        estimates += _naive(primary, outcome)
    for outcome in outcomes:
        estimates += _by_target(run, outcome)
        estimates += _signal_rates(primary.cells(outcome), plan, outcome)
    for shares in shares_of(primary.counted, level=plan.level).values():
        estimates += shares.values()
    if primary.comparable:
        beside = stand_beside(primary.counted, plan)
        estimates += beside.estimates
        remarks += beside.remarks
    return Estimated(estimates, remarks)


def _gaps(run: _Run, outcome: str) -> list[Estimate]:
    if not run.comparable:
        return _undefined(run, "gap", outcome)
    cells = run.cells(outcome)
    found = gaps_of(cells, reference=run.plan.reference, level=run.plan.level, outcome_name=outcome)
    return list(found.values())


def _naive(run: _Run, outcome: str) -> list[Estimate]:
    if not run.comparable:
        return _undefined(run, "naive_gap", outcome)
    cells = run.cells(outcome)
    found = naive_gaps_of(cells, reference=run.plan.reference, level=run.plan.level, outcome_name=outcome)
    return list(found.values())


def _undefined(run: _Run, kind: str, outcome: str) -> list[Estimate]:
    """Return the estimates of a run that cannot be made, as no response is about the reference yet."""
    return [
        Estimate(
            kind=kind,
            outcome=outcome,
            value=None,
            group=group,
            reference=run.plan.reference,
            note=f"there is no response about {run.plan.reference} to compare with",
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
        for estimate in _contrasts(run, outcome, parts, "targeted", NEUTRAL):
            yield replace(estimate, planned=outcome == run.plan.primary)
    for group in run.groups:
        if group not in run.targets:
            continue
        names = {NEUTRAL: NEUTRAL, group: "own"}
        parts = [names.get(part, "other") for part in run.counted.cells.part or ()]
        for subtrahend in ("other", NEUTRAL):
            for estimate in _contrasts(run, outcome, parts, "own", subtrahend):
                if estimate.group == group:
                    yield estimate


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


def _adjusted(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Adjust p values: Holm within each planned family, Benjamini-Hochberg over the exploratory rest."""
    out = list(estimates)
    families: list[tuple[Callable[[Estimate], bool], Callable[..., list[float | None]]]] = [
        (lambda e: e.planned and e.kind == "gap", holm),
        (lambda e: e.planned and e.kind == "contrast", holm),
        (lambda e: not e.planned and e.kind in EXPLORED, benjamini_hochberg),
    ]
    for belongs, adjust in families:
        places = [i for i, estimate in enumerate(out) if belongs(estimate)]
        for i, p in zip(places, adjust([out[i].p for i in places]), strict=True):
            out[i] = replace(out[i], p_adjusted=p)
    return out


#: What is explored beyond the plan, one family of comparisons.
EXPLORED = frozenset({"gap", "contrast", "level_gap", "interaction", "template_gap"})
