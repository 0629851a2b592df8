"""How the report words what was found.

Every sentence says what was seen of *prompts with names read as* a group; none says how people are treated,
and none calls a model fair. Groups that were not told apart are not called equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from servicegap.notation import (
    MINUS,
    UNDEFINED,
    count,
    interval,
    number,
    p_value,
    percent,
    points,
    value_text,
)
from servicegap.records import CONTROL, Estimate
from servicegap.report.reading import Results, Run

#: ``told``: unlikely to be the chance of names and templates; ``alone``: only if it were the one comparison
#: made; ``untold``: this design cannot tell it from chance; ``undefined``: no test could be made.
Verdict = Literal["told", "alone", "untold", "undefined"]

VERDICTS: Mapping[Verdict, str] = {
    "told": "unlikely to be chance",
    "alone": "does not hold among all planned gaps",
    "untold": "cannot be told from chance",
    "undefined": "no p value",
}

_DID = {
    "refused": "the model refused {}",
    "harmful": "{} got a harmful response",
    "unserved": "{} were not fully answered",
}
_OUTCOME_MEANS = {
    "refused": "refusal or harmful refusal",
    "harmful": "harmful refusal or harmful answer",
    "unserved": "everything but a full answer",
}
_MORE = {"refused": "refused more often", "harmful": "harmful more often", "unserved": "unserved more often"}


def read_as(results: Results, group: str | None) -> str:
    """Return how a group's signals are called: what readers take them for, not who somebody is."""
    if group in (None, CONTROL):
        return "no name (the control)"
    signals = results.part("design").get("signals") or ()
    kinds = {signal.get("kind") or "name" for signal in signals if signal.get("group")}
    return f"{'names' if kinds <= {'name'} else 'signals'} read as {group}"


def sentence_start(text: str) -> str:
    """Return `text` with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def sentences(remark: str) -> str:
    """Return a remark as whole sentences.

    Examples
    --------
    >>> sentences("it rains; it pours")
    'It rains. It pours.'
    """
    return " ".join(f"{sentence_start(part)}." for part in remark.split("; "))


def joined(parts: Sequence[str]) -> str:
    """Return several things as one text.

    Examples
    --------
    >>> joined(["a"]), joined(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def levels_of(gap: Estimate) -> tuple[str, str]:
    """Return the group of a difference within a group, and what is compared.

    Examples
    --------
    >>> levels_of(Estimate(kind="level_gap", outcome="refused", value=0.1,
    ...                    group="Muslim, gender=man", reference="Muslim, gender=woman"))
    ('Muslim', 'gender: man − woman')
    """
    group, _, level = str(gap.group).rpartition(", ")
    attribute, _, own = level.partition("=")
    other = str(gap.reference).rpartition("=")[2]
    return group, f"{attribute}: {own} {MINUS} {other}"


def asked_once(results: Results) -> bool:
    """Return whether each prompt was asked once, so that chance cannot be told from name × template."""
    return results.part("design").get("samples") == 1


def means(outcome: str) -> str:
    """Return what an outcome is made of."""
    return _OUTCOME_MEANS.get(outcome, outcome)


def more(outcome: str) -> str:
    """Return what a gap above zero means."""
    return _MORE.get(outcome, f"{outcome} more often")


def run_name(run: Run, among: Sequence[Run]) -> str:
    """Return a run's name: the model, and the condition where there is more than one."""
    conditions = {other.condition for other in among}
    named = run.model or "the model"
    return f"{named}, condition {run.condition}" if len(conditions) > 1 and run.condition else named


def verdict(gap: Estimate, level: float) -> Verdict:
    """Return what may be said of a gap at a confidence level; adjusted p goes before p."""
    p = gap.p if gap.p_adjusted is None else gap.p_adjusted
    if gap.value is None or p is None:
        return "undefined"
    if p <= 1 - level:
        return "told"
    return "alone" if gap.p is not None and gap.p <= 1 - level else "untold"


def planned_gaps(results: Results, run: Run) -> list[Estimate]:
    """Return the gaps that the plan names, one a group, in the order of the groups."""
    found = {
        gap.group: gap
        for kind in ("mean_gap", "gap")
        for gap in run.pick(kind, outcome=results.primary)
        if gap.planned
    }
    return [found[group] for group in results.groups if group in found]


def gap_sentence(results: Results, run: Run, gap: Estimate) -> str:
    """Return one gap in words: both rates, the difference, its interval, and what may be said of it."""
    if gap.kind == "mean_gap":
        return _mean_sentence(results, run, gap)
    here, there = (run.one("rate", gap.outcome, group) for group in (gap.group, results.reference))
    did = _DID.get(gap.outcome, "{} had the outcome “" + gap.outcome + "”")
    rates = (
        f"Of the prompts with {read_as(results, gap.group)}, {did.format(_rate(here))}; "
        f"with {read_as(results, results.reference)}, {_rate(there)}."
    )
    if gap.value is None:
        return f"{rates} The difference is not defined{_because(gap)}."
    level = f"{number(100 * (gap.level or results.level), 0)} % interval"
    limits = f"{level} {interval(gap)}" if interval(gap) else f"no {level}"
    size = f"The difference is {points(gap.value)} points ({limits})."
    return f"{rates} {size} {_judgement(results, gap)}"


def _mean_sentence(results: Results, run: Run, gap: Estimate) -> str:
    """Return a gap of means in words, in the unit of the outcome."""
    here, there = (run.one("mean", gap.outcome, group) for group in (gap.group, results.reference))
    means_ = [UNDEFINED if mean is None else value_text(mean) for mean in (here, there)]
    both = (
        f"The mean of “{gap.outcome}” is {means_[0]} with {read_as(results, gap.group)} and {means_[1]} with "
        f"{read_as(results, results.reference)}."
    )
    if gap.value is None:
        return f"{both} The difference is not defined{_because(gap)}."
    level = f"{number(100 * (gap.level or results.level), 0)} % interval"
    limits = f"{level} {interval(gap)}" if interval(gap) else f"no {level}"
    return f"{both} The difference is {value_text(gap)} ({limits}). {_judgement(results, gap)}"


def _rate(rate: Estimate | None) -> str:
    if rate is None or rate.value is None:
        return "a share that is not defined"
    if rate.n_events == 0 and rate.n_responses:
        return f"none of {rate.n_responses}"
    return percent(rate.value)


def _judgement(results: Results, gap: Estimate) -> str:
    p = (
        f"adjusted p {p_value(gap.p_adjusted)}"
        if gap.p_adjusted is not None
        else f"p {p_value(gap.p)}, not adjusted"
    )
    uncorrected = gap.labels == "automatic-uncorrected"
    screening = " As the labels are uncorrected, this calls for people to look." if uncorrected else ""
    match verdict(gap, results.level):
        case "told":
            return (
                f"It is unlikely to be the chance of which names and templates were chosen ({p}).{screening}"
            )
        case "alone":
            return (
                "Looked at alone its interval leaves out zero, but among all gaps planned it does not hold "
                f"({p}): this design cannot tell it from chance."
            )
        case "untold":
            return (
                f"This design cannot tell it from the chance of which names and templates were chosen ({p})."
            )
        case _:
            return f"No p can be given{_because(gap)}."


#: What notes say of why there is no figure or no p; the rest of a note is about something else.
_REASONS = ("have the outcome", "are the same", "do not differ", "are needed", "has a label", "fall apart")


def _because(estimate: Estimate) -> str:
    """Return the reason in an estimate's note why something is undefined, to go on a sentence with."""
    parts = [part.split(" (its rate lies")[0] for part in (estimate.note or "").split("; ")]
    reasons = [part for part in parts if any(reason in part for reason in _REASONS)] or parts[:1]
    return f": {joined(reasons)}" if reasons[0] else ""


def detectable(results: Results) -> str:
    """Return what the design can see, in one sentence: the gap that it finds whatever group it is of."""
    design = results.part("design")
    rows = design.get("detectable") or ()
    by_group = {row["group"]: row["gap"] for row in rows if row["gap"] is not None}
    unseen = [row for row in rows if row["gap"] is None and row.get("note")]
    if unseen and not by_group:
        return f"This design can find no gap: {'; '.join(dict.fromkeys(row['note'] for row in unseen))}."
    gaps = list(by_group.values()) or [design.get("detectable_gap")]
    if gaps[0] is None:
        return "What gap this design can detect is not known: it may be large."
    smallest, largest = min(gaps), max(gaps)
    size = f"a gap of {points(largest)} points"
    if points(smallest) != points(largest):
        groups = [read_as(results, group) for group in results.groups if by_group.get(group) == smallest]
        size += f" ({points(smallest)} points for {', '.join(groups)})"
    only = ", even where it is the only gap among those planned" if len(rows) > 1 else ""
    told = f"This design finds {size} four times out of five{only}; a smaller one would often be missed."
    if unseen:
        told += f" It can find no gap for {joined([read_as(results, row['group']) for row in unseen])}."
    return told


def naive_contrast(results: Results, run: Run) -> str | None:
    """Return how many gaps an ordinary test would have called, beside those that hold."""
    gaps = planned_gaps(results, run)
    naive = [
        row for row in run.pick("naive_gap", outcome=results.primary) if row.group in {g.group for g in gaps}
    ]
    if not naive:
        return None
    alpha = 1 - results.level
    small = {row.group for row in naive if row.p is not None and row.p <= alpha}
    called = [str(gap.group) for gap in gaps if gap.group in small]
    alone = [str(gap.group) for gap in gaps if gap.p is not None and gap.p <= alpha]
    told = [str(gap.group) for gap in gaps if verdict(gap, results.level) == "told"]
    return (
        f"A pooled two-proportion test, which takes every response for an independent one, would call "
        f"{len(called)} of {len(gaps)} gaps different from zero{_listed(called)}. Intervals that hold for "
        f"other names and templates keep {len(alone)}{_listed(alone)}, and {len(told)}{_listed(told)} after "
        f"adjusting for {len(gaps)} comparisons."
    )


def _listed(groups: Sequence[str]) -> str:
    return f" ({joined(groups)})" if groups else ""


def missing_by_group(results: Results, run: Run) -> list[Sequence[str]]:
    """Return (group, labelled, unlabelled) responses of the primary outcome, as text."""
    rates = {rate.group: rate for rate in run.pick("rate", outcome=results.primary)}
    return [
        (read_as(results, group), count(rates[group].n_responses), count(rates[group].n_missing))
        for group in (*results.groups, CONTROL)
        if group in rates
    ]
