"""Checks of a run: the largest difference, all categories at once, what is missing, placebo splits."""

from __future__ import annotations

import re

from servicegap.notation import interval, number, p_value, percent, points
from servicegap.records import Estimate
from servicegap.report.passage import Passage, Table
from servicegap.report.reading import Results, Run
from servicegap.report.words import joined, planned_gaps, read_as, sentence_start

# How the estimator of the largest gap notes what was seen, and what a study without any gap would show.
_SEEN_AND_EXPECTED = re.compile(r"observed ([\d.]+); such a design shows ([\d.]+) on average")


def checks(results: Results, run: Run) -> Passage | None:
    """Return the checks of a run, or None where none was made."""
    made = {
        "Largest difference": _largest(results, run),
        "All categories at once": _omnibus(run),
        "Missing labels": _missing(results, run),
        "Placebo": _placebo(results, run),
    }
    said = [(title, text) for title, text in made.items() if text]
    if not said:
        return None
    return Passage(
        key="checks",
        heading="Checks",
        lead="What could make a gap look larger, or surer, than it is.",
        points=said,
        tables=[table for table in (_bounds(results, run),) if table],
    )


def _largest(results: Results, run: Run) -> str | None:
    found = next(iter(run.pick("largest_gap")), None)
    if found is None:
        return None
    if found.value is None:
        return f"Not defined{': ' + found.note if found.note else ''}."
    noted = _SEEN_AND_EXPECTED.search(found.note or "")
    seen = (
        f" As observed it is {points(float(noted[1]))} points; a study like this would show about "
        f"{points(float(noted[2]))} points if no group differed at all."
        if noted
        else f" {sentence_start(found.note or '')}."
        if found.note
        else ""
    )
    p = f" Exchanging names between all groups gives p {p_value(found.p)}." if found.p is not None else ""
    return (
        f"Between the groups with the most and the least, {read_as(results, found.group)} and "
        f"{read_as(results, found.reference)}, the difference is {points(found.value)} points after shrinking"
        f"{f' (interval {interval(found)})' if interval(found) else ''}.{seen}{p}"
    )


def _omnibus(run: Run) -> str | None:
    found = next(iter(run.pick("omnibus", group=None)), None)
    if found is None:
        return None
    if found.p is None:
        return f"No p can be given{': ' + found.note if found.note else ''}."
    return (
        "If group made no difference to any of the six categories, shares that differ as much as these "
        f"would come up with p {p_value(found.p)}, on these templates."
    )


def _missing(results: Results, run: Run) -> str | None:
    found = next(iter(run.pick("missingness", group=None)), None)
    if found is None:
        return None
    if found.value == 0:
        return "No label is missing, so nothing can hide behind missing labels."
    share = f"{percent(found.value)} of the labels are missing"
    if found.p is None:
        return f"{share}{'; ' + found.note if found.note else ''}."
    depends = "depends" if found.p <= 1 - results.level else "is not seen to depend"
    return (
        f"{share}. Which labels are missing {depends} on the group or on group and template "
        f"(p {p_value(found.p)})."
    )


def _bounds(results: Results, run: Run) -> Table | None:
    gaps = planned_gaps(results, run)
    found = [(gap, run.one("gap_bounds", gap.outcome, gap.group)) for gap in gaps]
    body = [
        [str(gap.group), points(gap.value), interval(e), str(e.n_missing or 0), _outside(e)]
        for gap, e in found
        if e is not None and interval(e) and e.low != e.high
    ]
    if not body:
        return None
    head = ["Group", "Gap", "Worst cases", "Missing labels", "Note"]
    if not any(row[-1] for row in body):
        head, body = head[:-1], [row[:-1] for row in body]
    return Table("The gap of these responses, whatever the missing labels are", head, body)


def _outside(bounds: Estimate) -> str:
    """Say where the gap that was estimated lies outside its bounds: it is of other templates than they."""
    return sentence_start(f"{(bounds.note or '').split('; ')[-1]}.") if bounds.value is None else ""


def _placebo(results: Results, run: Run) -> str | None:
    known = [e for e in run.pick("placebo") if e.value is not None]
    if not known:
        notes = dict.fromkeys(e.note for e in run.pick("placebo") if e.note)
        return f"Not made: {'; '.join(notes)}." if notes else None
    values = [100 * (e.value or 0.0) for e in known]
    alpha = 100 * (1 - results.level)
    often = [
        read_as(results, e.group) for e, v in zip(known, values, strict=True) if v > 2 * alpha and e.group
    ]
    limits = (
        number(min(values))
        if min(values) == max(values)
        else f"{number(min(values))} to {number(max(values))}"
    )
    judged = (
        f"well above {number(alpha, 0)} % for {joined(often)}: intervals are too narrow there"
        if often
        else f"about {number(alpha, 0)} % or fewer, as it should be"
    )
    return (
        "Random halves of one group's names, between which there is no gap, were called different in "
        f"{limits} % of splits: {judged}."
    )
