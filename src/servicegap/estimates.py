"""A table of labelled responses -> every estimate of the analysis plan, and the exploratory ones.

Primary templates are those that carry a stereotype (all of them, where none does). Neutral templates
never enter a primary gap, and the no-signal control no gap at all.

Not here: the formulas (disparity.py), where the table comes from (labels.py, formats/), results.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from servicegap.disparity import contrasts, gaps, naive_gaps, rates
from servicegap.errors import DataError
from servicegap.labels import kind_of_labels
from servicegap.multiplicity import benjamini_hochberg, holm
from servicegap.records import CATEGORIES, OUTCOMES, Estimate
from servicegap.study import AnalysisPlan

#: How estimates name the group of the no-signal control.
CONTROL = "no signal"


@dataclass(frozen=True, slots=True)
class _Run:
    """The responses of one model under one condition, and what is asked of them."""

    frame: pl.DataFrame
    plan: AnalysisPlan

    def only(self, *predicates: pl.Expr) -> _Run:
        return replace(self, frame=self.frame.filter(*predicates))

    @property
    def groups(self) -> list[str]:
        return sorted(set(self.frame["group"]) - {self.plan.reference})

    @property
    def comparable(self) -> bool:
        """Whether there are responses about the reference and about another group."""
        return bool(self.groups) and self.plan.reference in set(self.frame["group"])


def estimate_all(frame: pl.DataFrame, plan: AnalysisPlan) -> list[Estimate]:
    """Return every estimate, model by model and condition by condition.

    Parameters
    ----------
    frame : polars.DataFrame
        One row a response: ``model, condition, group, signal, template, target, category, kind`` (of the
        label), and where known ``gender, commonness``. ``group`` null = the no-signal control,
        ``category`` null = no label, ``target`` null = a template without a stereotype.
    plan : AnalysisPlan
        Primary outcome, reference and level.

    Raises
    ------
    DataError
        If there is no response of the reference, or of no other group.
    """
    _check_groups(frame, plan.reference)
    found: list[Estimate] = []
    for (model, condition), part in frame.sort("model", "condition").group_by(
        "model", "condition", maintain_order=True
    ):
        # By run: a model that people labelled is not made uncertain by another that a machine labelled.
        labels = kind_of_labels(part)
        for estimate in _adjusted(list(_of_run(_Run(part, plan)))):
            found.append(replace(estimate, model=model, condition=condition, labels=labels))
    return found


def _check_groups(frame: pl.DataFrame, reference: str) -> None:
    groups = sorted(set(frame["group"].drop_nulls()))
    if not groups:
        raise DataError("there are no responses to analyse; collect or import some first")
    if reference not in groups:
        raise DataError(
            f"no response is about the reference {reference!r}; groups with responses: {', '.join(groups)}"
        )
    if len(groups) < 2:
        raise DataError(f"all responses are about {reference!r}; a gap needs another group to compare")


def _of_run(run: _Run) -> Iterator[Estimate]:
    control = run.only(pl.col("group").is_null())
    named = run.only(pl.col("group").is_not_null())
    targeted = named.only(pl.col("target").is_not_null())
    # Where no template carries a stereotype (somebody's own table, say), all of them are primary.
    primary = targeted if targeted.frame.height else named
    outcomes = sorted(OUTCOMES, key=lambda outcome: outcome != run.plan.primary)
    for outcome in outcomes:
        yield from _rates(primary, outcome)
        yield from _gaps(primary, outcome)
        yield from _naive(primary, outcome)
    for outcome in outcomes:
        yield from _control_rate(control, outcome)
        yield from _by_target(named, outcome)
        yield from _signal_rates(primary, outcome)
    for category in CATEGORIES:
        yield from _shares(primary, category)


def _yes(frame: pl.DataFrame, outcome: str) -> pl.Series:
    """Return 1.0 where a response has the outcome, 0.0 where not, null where it has no label."""
    categories = OUTCOMES.get(outcome, {outcome})
    return frame["category"].is_in(list(categories)).cast(pl.Float64)


def _rates(run: _Run, outcome: str) -> list[Estimate]:
    f = run.frame
    found = rates(
        _yes(f, outcome), f["group"], f["signal"], f["template"], level=run.plan.level, outcome_name=outcome
    )
    return list(found.values())


def _gaps(run: _Run, outcome: str) -> list[Estimate]:
    f = run.frame
    planned = outcome == run.plan.primary
    if not run.comparable:
        return [replace(estimate, planned=planned) for estimate in _undefined(run, "gap", outcome)]
    found = gaps(
        _yes(f, outcome),
        f["group"],
        f["signal"],
        f["template"],
        reference=run.plan.reference,
        level=run.plan.level,
        strata=_strata(f),
        outcome_name=outcome,
    )
    return [replace(estimate, planned=planned) for estimate in found.values()]


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


def _strata(frame: pl.DataFrame) -> dict[str, pl.Series] | None:
    known = [
        name
        for name in ("gender", "commonness")
        if name in frame.columns and frame[name].null_count() < frame.height
    ]
    return {name: frame[name] for name in known} or None


def _naive(run: _Run, outcome: str) -> list[Estimate]:
    f = run.frame
    if not run.comparable:
        return _undefined(run, "naive_gap", outcome)
    found = naive_gaps(
        _yes(f, outcome),
        f["group"],
        f["signal"],
        f["template"],
        reference=run.plan.reference,
        level=run.plan.level,
        outcome_name=outcome,
    )
    return list(found.values())


def _control_rate(run: _Run, outcome: str) -> list[Estimate]:
    # One signal has no spread between names: its rate is shown, without an interval.
    labelled = _yes(run.frame, outcome).drop_nulls()
    if not run.frame.height:
        return []
    return [
        Estimate(
            kind="rate",
            outcome=outcome,
            group=CONTROL,
            value=_mean(labelled),
            n_responses=labelled.len(),
            n_missing=run.frame.height - labelled.len(),
            n_events=int(labelled.sum()),
            n_signals=1,
            n_templates=run.frame["template"].n_unique(),
            method="mean over responses",
            note="the no-signal control is shown, never tested: one signal has no names to vary over",
        )
    ]


def _mean(values: pl.Series) -> float | None:
    mean = values.mean()
    return float(mean) if isinstance(mean, int | float) else None


def _by_target(run: _Run, outcome: str) -> Iterator[Estimate]:
    """Yield gaps for each target of the templates, and what they differ by."""
    targets = sorted(set(run.frame["target"].drop_nulls()))
    if not targets:
        return
    for target in targets:
        for estimate in _gaps(run.only(pl.col("target") == target), outcome):
            yield replace(estimate, target=target, planned=False)
    neutral = pl.col("target").is_null()
    if run.frame.select(neutral.any()).item():
        for estimate in _gaps(run.only(neutral), outcome):
            yield replace(estimate, target="neutral", planned=False)
        part = pl.when(neutral).then(pl.lit("neutral")).otherwise(pl.lit("targeted"))
        for estimate in _contrasts(run, outcome, part, "targeted", "neutral"):
            yield replace(estimate, planned=outcome == run.plan.primary)
    for group in run.groups:
        if group not in targets:
            continue
        pair = run.only(pl.col("group").is_in([group, run.plan.reference]))
        part = (
            pl.when(pl.col("target") == group)
            .then(pl.lit("own"))
            .when(neutral)
            .then(pl.lit("neutral"))
            .otherwise(pl.lit("other"))
        )
        for subtrahend in ("other", "neutral"):
            yield from _contrasts(pair, outcome, part, "own", subtrahend)


def _contrasts(run: _Run, outcome: str, part: pl.Expr, minuend: str, subtrahend: str) -> list[Estimate]:
    run = replace(run, frame=run.frame.with_columns(part=part))
    run = run.only(pl.col("part").is_in([minuend, subtrahend]))
    f = run.frame
    target = f"{minuend} - {subtrahend}"
    if f["part"].n_unique() < 2:
        return []
    if not run.comparable:
        return [replace(estimate, target=target) for estimate in _undefined(run, "contrast", outcome)]
    found = contrasts(
        _yes(f, outcome),
        f["group"],
        f["signal"],
        f["template"],
        f["part"],
        reference=run.plan.reference,
        minuend=minuend,
        subtrahend=subtrahend,
        level=run.plan.level,
        outcome_name=outcome,
    )
    return [replace(estimate, target=target) for estimate in found.values()]


def _signal_rates(run: _Run, outcome: str) -> Iterator[Estimate]:
    f = run.frame.with_columns(yes=_yes(run.frame, outcome))
    for (group, signal), part in f.sort("group", "signal").group_by("group", "signal", maintain_order=True):
        cells = part.group_by("template").agg(pl.col("yes").mean())["yes"]
        labelled = part["yes"].drop_nulls()
        yield Estimate(
            kind="rate",
            outcome=outcome,
            group=str(group),
            signal=str(signal),
            value=_mean(cells),
            n_responses=labelled.len(),
            n_missing=part.height - labelled.len(),
            n_events=int(labelled.sum()),
            n_signals=1,
            n_templates=part["template"].n_unique(),
            method="mean over templates",
            note=None if labelled.len() else "no labelled response",
        )


def _shares(run: _Run, category: str) -> list[Estimate]:
    return [replace(estimate, kind="share") for estimate in _rates(run, category)]


def _adjusted(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Adjust p values: Holm within each planned family, Benjamini-Hochberg over the exploratory rest."""
    out = list(estimates)
    families: list[tuple[Callable[[Estimate], bool], Callable[..., list[float | None]]]] = [
        (lambda e: e.planned and e.kind == "gap", holm),
        (lambda e: e.planned and e.kind == "contrast", holm),
        (lambda e: not e.planned and e.kind in ("gap", "contrast"), benjamini_hochberg),
    ]
    for belongs, adjust in families:
        places = [i for i, estimate in enumerate(out) if belongs(estimate)]
        for i, p in zip(places, adjust([out[i].p for i in places]), strict=True):
            out[i] = replace(out[i], p_adjusted=p)
    return out
