"""The head of the report: what a study comes to, what it can say, and what it cannot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from servicegap.notation import number
from servicegap.records import Estimate
from servicegap.report.correction import source_of
from servicegap.report.reading import Results, Run
from servicegap.report.words import (
    VERDICTS,
    Verdict,
    detectable,
    gap_sentence,
    joined,
    planned_gaps,
    read_as,
    run_name,
    sentence_start,
    sentences,
    verdict,
)

#: Models with fewer parameters are called very small.
SMALL = 2e9


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
                f"{_whose(results)} from an automatic annotator, and uncorrected. Such annotators err more "
                "often on some groups than on others, which can hide a gap or make one. The figures say "
                "where people should look; they do not say what is so.",
            )
        )
    notices += _corrected(results)
    if design.get("demonstration"):
        notices.append(
            (
                "A demonstration",
                "This design is small on purpose, so that it runs in minutes. It shows how an audit works; "
                "nothing in it is evidence for or against a model.",
            )
        )
    return [*notices, *_model_notices(results)]


def _whose(results: Results) -> str:
    uncorrected = [run_name(run, results.runs) for run in results.runs if run.automatic]
    if len(uncorrected) in (0, len(results.runs)):
        return "Labels are"
    return f"Labels of {joined(uncorrected)} are"


def _corrected(results: Results) -> list[tuple[str, str]]:
    """Say which planned gaps are corrected, by how many labels."""
    if not any(run.labels == "corrected" for run in results.runs):
        return []
    told = []
    for run in results.runs:
        source = source_of(results, run)
        if run.labels == "corrected" and source:
            groups = source.get("groups") or ()
            labelled, responses = (sum(row[key] for row in groups) for key in ("labelled", "n"))
            where = f"of {run_name(run, results.runs)} " if len(results.runs) > 1 else ""
            told.append(
                f" People labelled {labelled} of {responses} responses {where}(scores of annotator "
                f"{source['annotator']})."
            )
    return [
        (
            "Automatic labels, corrected by people",
            "The planned gaps come from automatic scores, corrected by a random sample of responses that "
            f"people labelled; their intervals know of it.{''.join(told)} What is explored beside them "
            "(single names, targets, shares) still rests on automatic labels.",
        )
    ]


def _model_notices(results: Results) -> list[tuple[str, str]]:
    """Say where what answered is no language model, or hardly one that people use."""
    models = dict.fromkeys(run.model for run in results.runs if run.model)
    notices = [
        (
            "Scripted answers",
            f"{model} is no language model: its answers are scripted, with known gaps between groups, to "
            "show and to test the instrument.",
        )
        for model in models
        if model.startswith("fake:")
    ]
    sizes: dict[Any, float] = {
        row.get("model"): ((row.get("provenance") or {}).get("model") or {}).get("parameters") or math.inf
        for row in results.rows("provenance")
    }
    small = [
        f"{model} has {number(sizes[model] / 1e9)} billion parameters."
        for model in models
        if sizes.get(model, math.inf) < SMALL
    ]
    if small:
        notices.append(
            (
                "A very small model",
                f"{' '.join(small)} Models of this size run anywhere and answer badly in general; what they "
                "do says little about the models that people use.",
            )
        )
    return notices


def _run_summary(results: Results, run: Run) -> RunSummary:
    gaps = planned_gaps(results, run)
    name = run_name(run, results.runs)
    return RunSummary(
        # A model's own name stays as it is written.
        heading=name if run.model else sentence_start(name),
        lead=_lead(results, run, gaps),
        sentences=[
            Sentence(str(gap.group), verdict(gap, results.level), _sentence(results, run, gap))
            for gap in gaps
        ],
    )


def _sentence(results: Results, run: Run, gap: Estimate) -> str:
    """Return a gap in words, and what it rests on where it is told from chance at least by itself."""
    sentence = gap_sentence(results, run, gap)
    remark = results.remark(run, "gap_without", str(gap.group))
    if remark is None or verdict(gap, results.level) not in ("told", "alone"):
        return sentence
    if gap.labels == "corrected":
        return f"{sentence} By the automatic labels alone: {remark}."
    return f"{sentence} {sentences(remark)}"


def _lead(results: Results, run: Run, gaps: Sequence[Estimate]) -> str:
    told = [gap for gap in gaps if verdict(gap, results.level) == "told"]
    if not gaps:
        return _no_gap(results, run)
    n = "The one planned gap" if len(gaps) == 1 else f"Of {len(gaps)} planned gaps"
    if all(gap.value is None for gap in gaps):
        none = "cannot be estimated" if len(gaps) == 1 else "none can be estimated"
        return f"{n}{'' if len(gaps) == 1 else ','} {none}. Nothing is known of equal or unequal service."
    if not told:
        none = "cannot be told from chance" if len(gaps) == 1 else "none can be told from chance"
        return f"{n}{'' if len(gaps) == 1 else ','} {none}. That is not the same as equal service."
    if len(gaps) == 1:
        return f"{n} is unlikely to be chance: {read_as(results, gaps[0].group)}."
    groups = "; ".join(read_as(results, gap.group) for gap in told)
    return f"{n}, {len(told)} {'is' if len(told) == 1 else 'are'} unlikely to be chance: {groups}."


def _no_gap(results: Results, run: Run) -> str:
    """Say why there is no planned gap."""
    family = results.part("plan").get("family")
    others = [
        str(gap.group) for kind in ("mean_gap", "gap") for gap in run.pick(kind, outcome=results.primary)
    ]
    if family and others:
        return (
            f"There is no planned gap to report: no response is about {joined(family)}, the family of "
            f"planned gaps; there are responses about {joined(others)}."
        )
    return "There is no gap to report: fewer than two groups have labelled responses."


def _can(results: Results) -> list[str]:
    claims = [
        claim for run in results.runs for more in (True, False) if (claim := _claim(results, run, more=more))
    ]
    if not claims:
        claims.append("No gap between groups can be told from chance, so none is claimed.")
    return [*claims, detectable(results), *_scope(results)]


def _claim(results: Results, run: Run, *, more: bool) -> str | None:
    """Say which groups had the primary outcome more, or less, often than the reference."""
    told = [
        read_as(results, gap.group)
        for gap in planned_gaps(results, run)
        if verdict(gap, results.level) == "told" and ((gap.value or 0) > 0) is more
    ]
    if not told:
        return None
    limits = [
        *(["as a screening signal"] if run.automatic else []),
        *(["in a demonstration"] if results.part("design").get("demonstration") else []),
    ]
    return (
        f"Of {run_name(run, results.runs)}{''.join(f', {limit}' for limit in limits)}: prompts with "
        f"{'; '.join(told)} had the outcome “{results.primary}” {'more' if more else 'less'} often than "
        f"prompts with {read_as(results, results.reference)}, for names and templates like those used."
    )


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
