"""The summary in plain words: what a study can say, and what it cannot.

Every sentence says what was seen of *prompts with names read as* a group; none says how people are treated,
and none calls a model fair. Groups that were not told apart are not called equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from servicegap.records import Estimate
from servicegap.report.notation import count, interval, number, p_value, percent, points
from servicegap.report.reading import CONTROL, Results, Run

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


@dataclass(frozen=True, slots=True)
class Sentence:
    """One gap in words."""

    group: str
    verdict: Verdict
    text: str

    @property
    def reading(self) -> str:
        """The verdict in words."""
        return VERDICTS[self.verdict]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one model under one condition comes to."""

    heading: str
    lead: str
    sentences: Sequence[Sentence]


@dataclass(frozen=True, slots=True)
class Summary:
    """The words at the head of the report."""

    notices: Sequence[tuple[str, str]]
    runs: Sequence[RunSummary]
    can: Sequence[str]
    cannot: Sequence[str]


def read_as(results: Results, group: str | None) -> str:
    """Return how a group's signals are called: what readers take them for, not who somebody is."""
    if group in (None, CONTROL):
        return "no name (the control)"
    kinds = {signal.get("kind") or "name" for signal in results.part("design").get("signals") or ()}
    return f"{'names' if kinds <= {'name'} else 'signals'} read as {group}"


def sentence_start(text: str) -> str:
    """Return `text` with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


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
    """Return the gaps of the primary outcome, one a group, in the order of the groups."""
    found = {gap.group: gap for gap in run.pick("gap", outcome=results.primary)}
    return [found[group] for group in results.groups if group in found]


def in_words(results: Results) -> Summary:
    """Return the words at the head of the report."""
    return Summary(
        notices=_notices(results),
        runs=[_run_summary(results, run) for run in results.runs],
        can=_can(results),
        cannot=_cannot(results),
    )


def _notices(results: Results) -> list[tuple[str, str]]:
    design = results.part("design")
    notices = []
    if results.automatic:
        notices.append(
            (
                "A screening signal, not a finding",
                "Every label comes from an automatic annotator and is uncorrected. Such annotators err more "
                "often on some groups than on others, which can hide a gap or make one. The figures say "
                "where people should look; they do not say what is so.",
            )
        )
    if design.get("demonstration"):
        notices.append(
            (
                "A demonstration",
                "This design is small on purpose, so that it runs in minutes. It shows how an audit works; "
                "nothing in it is evidence for or against a model.",
            )
        )
    return notices


def _run_summary(results: Results, run: Run) -> RunSummary:
    gaps = planned_gaps(results, run)
    return RunSummary(
        heading=run_name(run, results.runs),
        lead=_lead(results, gaps),
        sentences=[
            Sentence(str(gap.group), verdict(gap, results.level), gap_sentence(results, run, gap))
            for gap in gaps
        ],
    )


def _lead(results: Results, gaps: Sequence[Estimate]) -> str:
    told = [gap for gap in gaps if verdict(gap, results.level) == "told"]
    if not gaps:
        return "There is no gap to report: fewer than two groups have labelled responses."
    n = "The one planned gap" if len(gaps) == 1 else f"Of {len(gaps)} planned gaps"
    if not told:
        none = "cannot be told from chance" if len(gaps) == 1 else "none can be told from chance"
        return f"{n}{'' if len(gaps) == 1 else ','} {none}. That is not the same as equal service."
    if len(gaps) == 1:
        return f"{n} is unlikely to be chance: {read_as(results, gaps[0].group)}."
    groups = "; ".join(read_as(results, gap.group) for gap in told)
    return f"{n}, {len(told)} {'is' if len(told) == 1 else 'are'} unlikely to be chance: {groups}."


def gap_sentence(results: Results, run: Run, gap: Estimate) -> str:
    """Return one gap in words: both rates, the difference, its interval, and what may be said of it."""
    here, there = (run.one("rate", gap.outcome, group) for group in (gap.group, results.reference))
    did = _DID.get(gap.outcome, "{} had the outcome “" + gap.outcome + "”")
    rates = (
        f"Of the prompts with {read_as(results, gap.group)}, {did.format(_rate(here))}; "
        f"with {read_as(results, results.reference)}, {_rate(there)}."
    )
    if gap.value is None:
        return f"{rates} The difference is not defined{': ' + gap.note if gap.note else ''}."
    level = f"{number(100 * (gap.level or results.level), 0)} % interval"
    limits = f"{level} {interval(gap)}" if interval(gap) else f"no {level}"
    size = f"The difference is {points(gap.value)} points ({limits})."
    return f"{rates} {size} {_judgement(results, gap)}"


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
    screening = " As the labels are uncorrected, this calls for people to look." if results.automatic else ""
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
            return f"No p can be given{': ' + gap.note if gap.note else ''}."


def detectable(results: Results) -> str:
    """Return what the design can see, in one sentence."""
    gap = results.part("design").get("detectable_gap")
    if gap is None:
        return "What gap this design can detect is not known: it may be large."
    return (
        f"This design finds a gap of {points(gap)} points four times out of five; a gap smaller than that "
        "would often be missed."
    )


def naive_contrast(results: Results, run: Run) -> str | None:
    """Return how many gaps an ordinary test would have called, beside those that hold."""
    gaps = planned_gaps(results, run)
    naive = [
        row for row in run.pick("naive_gap", outcome=results.primary) if row.group in {g.group for g in gaps}
    ]
    if not naive:
        return None
    alpha = 1 - results.level
    called = sum(row.p is not None and row.p <= alpha for row in naive)
    alone = sum(gap.p is not None and gap.p <= alpha for gap in gaps)
    told = sum(verdict(gap, results.level) == "told" for gap in gaps)
    return (
        f"A pooled two-proportion test, which takes every response for an independent one, would call "
        f"{called} of {len(gaps)} gaps different from zero. Intervals that hold for other names and "
        f"templates keep {alone}, and {told} after adjusting for {len(gaps)} comparisons."
    )


def _can(results: Results) -> list[str]:
    screening = "As a screening signal: " if results.automatic else ""
    claims = []
    for run in results.runs:
        told = [gap for gap in planned_gaps(results, run) if verdict(gap, results.level) == "told"]
        for gap in told:
            side = "more" if (gap.value or 0) > 0 else "less"
            claims.append(
                f"{screening}{run_name(run, results.runs)}: prompts with {read_as(results, gap.group)} had "
                f"the outcome “{gap.outcome}” {side} often than prompts with "
                f"{read_as(results, results.reference)}, for names and templates like those used."
            )
    if not claims:
        claims.append("No gap between groups can be told from chance, so none is claimed.")
    return [*claims, detectable(results), *_scope(results)]


def _scope(results: Results) -> list[str]:
    models = {run.model for run in results.runs if run.model}
    if not models:
        return []
    which = "the model" if len(models) == 1 else f"the {len(models)} models"
    return [
        f"The figures hold for {which}, the decoding and the dates given under Provenance, and for no other."
    ]


def _cannot(results: Results) -> list[str]:
    claims: list[str] = [
        "That groups are served equally. A gap that was not found may be too small for this design: absence "
        "of evidence is not evidence of equal service.",
        "How people are treated. A name is a sign that readers take for a group; nobody's own identity was "
        "asked, and few people have these names.",
        "That answering is always good. A refusal withholds help, and an answer can carry a stereotype: "
        "refusing and answering can both harm, so read all categories, not the refusals alone.",
        "Why a gap is there. Training data, safety training and decoding can each make one.",
    ]
    if results.automatic:
        claims.insert(0, "That any gap is real before people have labelled a sample of the responses.")
    if results.part("design").get("demonstration"):
        claims.insert(0, "Anything about the model in use: this is a demonstration design.")
    return claims


def missing_by_group(results: Results, run: Run) -> list[Sequence[str]]:
    """Return (group, labelled, unlabelled) responses of the primary outcome, as text."""
    rates = {rate.group: rate for rate in run.pick("rate", outcome=results.primary)}
    return [
        (read_as(results, group), count(rates[group].n_responses), count(rates[group].n_missing))
        for group in (*results.groups, CONTROL)
        if group in rates
    ]
