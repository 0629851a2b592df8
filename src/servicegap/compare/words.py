"""A comparison in words and as JSON: what changed, and what may be said of it.

Not here: the estimates (compare/__init__.py).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from servicegap import __version__
from servicegap.compare import Comparison, Pair
from servicegap.notation import p_value, points
from servicegap.records import Estimate

SCHEMA = 1


def as_results(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison in the shape of results.json: flat estimates, plan, labels, warnings."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "plan": {**comparison.plan.model_dump(), "margin": comparison.margin},
        "labels": {"kind": comparison.labels},
        "baseline": comparison.baseline,
        "compared": comparison.compared,
        "pairs": [
            {
                "baseline": {"model": pair.baseline[0], "condition": pair.baseline[1]},
                "compared": {"model": pair.compared[0], "condition": pair.compared[1]},
                "shared": asdict(pair.shared),
                "different": list(pair.different),
                "gaps": [asdict(gap) for gap in pair.gaps],
            }
            for pair in comparison.pairs
        ],
        "estimates": [asdict(estimate) for pair in comparison.pairs for estimate in pair.estimates],
        "warnings": list(comparison.warnings),
    }


def sentences(comparison: Comparison) -> list[str]:
    """Return a comparison in words, one line an entry."""
    found = [f"warning: {text}" for text in comparison.warnings]
    if comparison.labels == "automatic-uncorrected":
        found.append(
            "Labels are automatic and uncorrected: a screening signal, not a finding; an annotator that errs "
            "differently on one side makes a change of its own."
        )
    for pair in comparison.pairs:
        found += _of_pair(comparison, pair)
    found.append(
        "No plan named this comparison before the data were there: exploratory, unless it was written down "
        "elsewhere. Gaps are in points; p by Holm over the groups."
    )
    return found


def _of_pair(comparison: Comparison, pair: Pair) -> list[str]:
    plan, shared = comparison.plan, pair.shared
    studies = (comparison.baseline, comparison.compared)
    where = ["/".join(run) for run in (pair.baseline, pair.compared)]
    if studies[0] != studies[1]:
        where = [f"{study} ({run})" for study, run in zip(studies, where, strict=True)]
    shares = f"{shared.cells} cells of {shared.names} names and {shared.templates} templates are in both"
    alone = f"{shared.only_baseline} are in the baseline only, {shared.only_compared} in the other only"
    found = [
        "",
        f"{where[1]} compared with the baseline {where[0]}: {plan.primary}, reference {plan.reference}",
        f"  {shares}; {alone}",
        f"  differs: {'; '.join(pair.different) or 'nothing but the answers'}",
    ]
    changes = {each.group: each for each in _primary(comparison, pair, "gap_change")}
    for gap in pair.gaps:
        told = _gap(changes[gap.group], gap.baseline, gap.compared, plan.level)
        found.append(f"  names read as {gap.group}: {told}")
    for rate in _primary(comparison, pair, "rate_change"):
        found.append(f"  rate, names read as {rate.group}: {_change(rate)}")
    for each in _primary(comparison, pair, "noninferiority"):
        found.append(f"  names read as {each.group}: {_margin(each, comparison)}")
    return found


def _primary(comparison: Comparison, pair: Pair, kind: str) -> list[Estimate]:
    return [e for e in pair.estimates if e.kind == kind and e.outcome == comparison.plan.primary]


def _gap(change: Estimate, before: float | None, after: float | None, level: float) -> str:
    said = f"gap {points(before)} -> {points(after)}, {_change(change)}"
    if change.value is None or change.p is None:
        return said
    p = change.p_adjusted if change.p_adjusted is not None else change.p
    if p > 1 - level:
        verdict = "cannot be told from chance" if change.p > 1 - level else "does not hold among all groups"
    else:
        verdict = "the gap rose" if change.value > 0 else "the gap fell"
    return f"{said}; p {p_value(change.p)}, among all groups {p_value(p)}: {verdict}"


def _change(change: Estimate) -> str:
    if change.value is None:
        return f"change not defined: {change.note}"
    if change.low is None or change.high is None:
        return f"change {points(change.value)}, no interval ({change.note})"
    return f"change {points(change.value)} ({points(change.low)} to {points(change.high)})"


def _margin(estimate: Estimate, comparison: Comparison) -> str:
    margin = points(comparison.margin)
    if estimate.p_adjusted is None:
        return f"whether the gap grew by {margin} points or more cannot be tested: {estimate.note}"
    told = estimate.p_adjusted <= 1 - comparison.plan.level
    verdict = (
        f"the gap did not grow by {margin} points or more"
        if told
        else f"that the gap grew by {margin} points or more cannot be ruled out"
    )
    return f"{verdict} (p {p_value(estimate.p_adjusted)})"
