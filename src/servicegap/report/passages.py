"""What stands beside the planned gaps, in words and tables: estimates and remarks -> passages.

The figures of the passages are in beside_figures.py, the checks in checks.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from servicegap.notation import NO_BREAK, UNDEFINED, interval, number, p_value, points, value_text
from servicegap.records import Estimate
from servicegap.report.annotator_figures import annotator_passage
from servicegap.report.checks import checks
from servicegap.report.correction import correction
from servicegap.report.measures import lengths
from servicegap.report.passage import Passage, Table
from servicegap.report.reading import ANY, Results, Run
from servicegap.report.words import (
    asked_once,
    detectable,
    joined,
    naive_contrast,
    planned_gaps,
    read_as,
    sentence_start,
    sentences,
)

_NOT_CORRECTED = (
    "Crossed intervals, adjusted p and intervals at once are of the corrected gaps; the naive test, "
    "permutation and mixed model take the labels as they are, uncorrected."
)
#: Below this share of the reference's favourable outcomes, US guidelines speak of adverse impact.
FOUR_FIFTHS = 0.8


def passages(results: Results, run: Run) -> Iterator[Passage]:
    """Yield the passages beside the gaps, in the order of the report; without estimates there is none."""
    made = (
        correction(results, run),
        # Of the whole study: told once.
        annotator_passage(results) if run is results.runs[0] else None,
        _naive(results, run),
        _without(results, run),
        _variance(results, run),
        _ratios(results, run),
        _within(results, run),
        lengths(results, run),
        checks(results, run),
        _templates(run),
    )
    yield from (passage for passage in made if passage is not None)


def _naive(results: Results, run: Run) -> Passage | None:
    contrast = naive_contrast(results, run)
    if contrast is None:
        return None
    gaps = planned_gaps(results, run)

    def beside(kind: str) -> list[Estimate | None]:
        return [run.one(kind, gap.outcome, gap.group) for gap in gaps]

    columns = {
        "Group": [str(gap.group) for gap in gaps],
        "Naive (wrong)": [_interval_and_p(e) for e in beside("naive_gap")],
        "Crossed": [_interval_and_p(gap) for gap in gaps],
        "Adjusted p": ["" if gap.p_adjusted is None else p_value(gap.p_adjusted) for gap in gaps],
        "All intervals at once": [_unbroken(interval(e)) if e else "" for e in beside("gap_simultaneous")],
        "Permutation, these templates only": [
            f"p {p_value(e.p)}" if e and e.p is not None else "" for e in beside("permutation")
        ],
        "Mixed model": [
            f"{points(e.value)}: {_interval_and_p(e)}" if e and e.value is not None else ""
            for e in beside("mixed_gap")
        ],
    }
    columns = {title: cells for title, cells in columns.items() if any(cells)}
    body = list(zip(*columns.values(), strict=True))
    return Passage(
        key="naive",
        early=True,
        heading="The naive analysis beside the right one",
        lead=contrast,
        points=[
            ("What this design can find", detectable(results)),
            *([("Corrected and not", _NOT_CORRECTED)] if run.labels == "corrected" else []),
            *_mixed_doubts(results, run, gaps),
        ],
        tables=[Table("Each planned gap by several analyses, points", list(columns), body)],
    )


def _interval_and_p(e: Estimate | None) -> str:
    if e is None:
        return ""
    parts = [interval(e), f"p {p_value(e.p)}" if e.p is not None else ""]
    return ", ".join(_unbroken(part) for part in parts if part) or UNDEFINED


def _unbroken(text: str) -> str:
    """Keep a figure on one line of its cell."""
    return text.replace(" ", NO_BREAK)


def _mixed_doubts(results: Results, run: Run, gaps: Sequence[Estimate]) -> list[tuple[str, str]]:
    """Say where the sensitivity check tells another story, or could not be made."""
    mixed = [(gap, run.one("mixed_gap", gap.outcome, gap.group)) for gap in gaps]
    apart = [
        read_as(results, gap.group)
        for gap, e in mixed
        if e and e.value is not None and None not in (gap.low, gap.high)
        if not (gap.low or 0.0) <= e.value <= (gap.high or 0.0)
    ]
    notes = dict.fromkeys(e.note for e in run.pick("mixed_gap") if e.note)
    said = [("The mixed model", sentence_start(f"{note}.")) for note in notes]
    if apart:
        said.append(
            (
                "The mixed model disagrees",
                f"For {joined(apart)} its gap lies outside the crossed interval. It is a sensitivity check "
                "with stronger assumptions: the crossed interval stands, with that much more doubt.",
            )
        )
    return said


def _without(results: Results, run: Run) -> Passage | None:
    groups = [gap.group for gap in planned_gaps(results, run) if gap.group is not None]
    groups = [g for g in groups if run.pick("gap_without", group=g, signal=ANY, template=ANY)]
    if not groups:
        return None
    remarks = {group: results.remark(run, "gap_without", group) for group in groups}
    said = [(sentence_start(read_as(results, g)), sentences(text)) for g, text in remarks.items() if text]
    others = [read_as(results, group) for group, text in remarks.items() if not text]
    if others:
        few = (
            "Either no single name and no single template carries a fifth or more of the gap, or the gap "
            f"itself cannot be told from chance, and nothing is put down to a name: {joined(others)}."
        )
        said.append(("The rest" if len(others) < len(groups) else "All", few))
    return Passage(
        key="without",
        early=True,
        heading="How much rests on one name or one template",
        lead=(
            "Each gap is estimated again without each name and without each template; a gap that is mostly "
            "one name speaks of that name more than of a group."
        ),
        points=said,
    )


def _variance(results: Results, run: Run) -> Passage | None:
    shares = run.pick("variance_share", target=ANY)
    said = [
        (sentence_start(read_as(results, group)), sentences(text))
        for group in results.groups
        for about in ("variance_share", "design_effect")
        if (text := results.remark(run, about, group))
    ]
    if not shares and not said:
        return None
    return Passage(
        key="variance",
        heading="What makes rates vary",
        lead=(
            "More samples of the same prompt make chance smaller and nothing else; only more names and more "
            "templates make smaller what comes from them."
            + (
                " As each prompt was asked once, chance cannot be told from name × template."
                if asked_once(results)
                else ""
            )
        ),
        points=said,
    )


def _ratios(results: Results, run: Run) -> Passage | None:
    gaps = planned_gaps(results, run)
    fifths = [(gap, run.one("four_fifths", results.primary, gap.group)) for gap in gaps]
    if not any(e for _, e in fifths):
        return None
    body = [
        [
            str(gap.group),
            _with_interval(fifth),
            _mark(fifth),
            _with_interval(run.one("ratio", results.primary, gap.group)),
            _with_interval(run.one("odds_ratio", results.primary, gap.group)),
            "; ".join(_ratio_notes(run, gap)),
        ]
        for gap, fifth in fifths
    ]
    head = ["Group", "Four-fifths", "The 0.8 mark", "Ratio", "Odds ratio", "Note"]
    if not any(row[-1] for row in body):
        head, body = head[:-1], [row[:-1] for row in body]
    below = [
        read_as(results, gap.group)
        for gap, e in fifths
        if e and e.value is not None and e.value < FOUR_FIFTHS
    ]
    tables = [Table(f"Ratios in the outcome {results.primary}", head, body)]
    if margin := results.part("plan").get("margin"):
        tables.append(_equivalence(results, run, gaps, float(margin)))
    return Passage(
        key="ratios",
        heading="Ratios",
        lead=(
            f"Below the four-fifths mark of 0.8: {joined(below)}."
            if below
            else "No group is below the four-fifths mark of 0.8."
        ),
        points=[
            (
                "Four-fifths",
                f"How often the outcome “{results.primary}” did not happen, as a share of how often it did "
                f"not with {read_as(results, results.reference)}. Below 0.8, US guidelines speak of adverse "
                "impact.",
            ),
            (
                "Ratio and odds ratio",
                "Of the rates; 1 = no difference. They grow without limit where the reference's rate is near "
                "0, so the gap in points stays the headline.",
            ),
        ],
        tables=tables,
    )


def _with_interval(e: Estimate | None) -> str:
    if e is None or e.value is None:
        return UNDEFINED
    if e.low is None or e.high is None:
        return number(e.value, 2)
    return f"{number(e.value, 2)} {_unbroken(f'({number(e.low, 2)} to {number(e.high, 2)})')}"


def _mark(e: Estimate | None) -> str:
    """Say on which side of four fifths a ratio and its interval lie."""
    if e is None or e.value is None:
        return ""
    below = e.value < FOUR_FIFTHS
    side = "below" if below else "not below"
    if e.low is None or e.high is None:
        return f"{side}, without an interval"
    crosses = e.high >= FOUR_FIFTHS if below else e.low < FOUR_FIFTHS
    return f"{side}, but the interval reaches across" if crosses else f"{side}, with the whole interval"


def _ratio_notes(run: Run, gap: Estimate) -> list[str]:
    """Return what the ratios' notes say, but for how standard errors are to be read: none are shown."""
    found = [run.one(kind, gap.outcome, gap.group) for kind in ("four_fifths", "ratio", "odds_ratio")]
    return list(dict.fromkeys(e.note for e in found if e and e.note and not e.note.startswith("se is")))


def _equivalence(results: Results, run: Run, gaps: Sequence[Estimate], margin: float) -> Table:
    body = []
    for gap in gaps:
        e = run.one("equivalence", results.primary, gap.group)
        shown = e is not None and e.p is not None and e.p <= 1 - results.level
        body.append(
            [
                str(gap.group),
                value_text(gap),
                interval(gap),
                p_value(e.p if e else None),
                f"shown to be smaller than {points(margin)} points" if shown else "not shown",
            ]
        )
    title = f"Is the gap smaller than the margin of {points(margin)} points?"
    return Table(title, ["Group", "Gap", "Interval", "p of “as large as the margin”", "Reading"], body)


def _within(results: Results, run: Run) -> Passage | None:
    found = [
        e
        for kind in ("level_gap", "interaction")
        for e in run.pick(kind, outcome=results.primary, target=ANY)
    ]
    if not found:
        return None
    p = [e.p if e.p_adjusted is None else e.p_adjusted for e in found]
    told = sum(each is not None and each <= 1 - results.level for each in p)
    return Passage(
        key="within",
        heading="Who within a group",
        lead=(
            f"Exploratory: of {len(found)} differences by what else is known of names, "
            f"{told or 'none'} can be told from chance after adjusting (Benjamini and Hochberg)."
        ),
    )


def _templates(run: Run) -> Passage | None:
    if not run.pick("template_gap", template=ANY):
        return None
    return Passage(
        key="templates",
        heading="Template by template",
        lead="The gap differs from template to template; which templates are asked decides part of it.",
        folded=True,
    )
