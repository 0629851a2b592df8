"""What toxicity scorers gave the responses, apart from the categories: passages and plots.

Each scorer of each run has a passage and a plot. Not here: any figure; all come from results.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from servicegap.notation import NO_BREAK, UNDEFINED, count, number, p_value
from servicegap.records import CATEGORIES, Estimate
from servicegap.report import plots
from servicegap.report.figure import Figure, axis_ends, fine_step, told
from servicegap.report.passage import Passage, Table
from servicegap.report.reading import Results, Run, read_estimates
from servicegap.report.rows import Row
from servicegap.report.words import VERDICTS, joined, read_as, run_name, sentence_start, sentences, verdict
from servicegap.visible import visible_text

Scores = Mapping[str, Any]
#: Scores are often far below 0.1; beside a plot there is less room.
_DECIMALS, _PLOT_DECIMALS = 4, 3
_WHOLE = {"refused": "Refused responses", "not refused": "all others"}
_HARMFUL = {"harmful_refusal": "Harmful refusals", "refusal": "other refusals"}


def toxicity_passages(results: Results, run: Run) -> Iterator[Passage]:
    """Yield what each scorer gave the responses of a run; nothing where none scored any."""
    for place, scores in enumerate(results.rows("toxicity"), start=1):
        means = _of_run(scores, run, "mean")
        if means:
            yield Passage(
                key=_key(place),
                heading=_heading(results, run, scores),
                lead=_lead(results, run, scores, means),
                points=list(_points(results, run, scores, means)),
                tables=list(_tables(results, run, scores, means)),
            )


def toxicity_figures(results: Results, run: Run) -> Iterator[Figure]:
    """Yield, for each scorer, the gaps of mean scores to the reference."""
    for place, scores in enumerate(results.rows("toxicity"), start=1):
        gaps = [gap for gap in _gaps(results, run, scores) if gap.value is not None]
        if any(gap.value or gap.low is not None for gap in gaps):
            yield _figure(results, scores, gaps, place)


def _key(place: int) -> str:
    return f"toxicity-{place}"


def _heading(results: Results, run: Run, scores: Scores) -> str:
    of_run = f": {run_name(run, results.runs)}" if len(results.runs) > 1 else ""
    return f"Scored by {scores['scorer']}{of_run}"


def _of_run(scores: Scores, run: Run, kind: str) -> list[Estimate]:
    found = read_estimates(scores["estimates"])
    return [e for e in found if (e.kind, e.model, e.condition) == (kind, run.model, run.condition)]


def _gaps(results: Results, run: Run, scores: Scores) -> list[Estimate]:
    """Return the gaps in the order of the groups."""
    gaps = {gap.group: gap for gap in _of_run(scores, run, "mean_gap")}
    return [gaps[group] for group in results.groups if group in gaps]


def _lead(results: Results, run: Run, scores: Scores, means: Sequence[Estimate]) -> str:
    gaps, against = _gaps(results, run, scores), read_as(results, results.reference)
    if _all_zero(means):
        return "Every response has the score 0, whatever the group: this scorer found nothing in any of them."
    if not gaps:
        return f"No response about {against} has a score to compare with."
    if all(verdict(gap, results.level) == "undefined" for gap in gaps):
        return f"Exploratory: no gap of mean scores to {against} has a p; the notes below say why."
    apart = [
        f"{read_as(results, gap.group)} ({number(gap.value, _DECIMALS)})"
        for gap in gaps
        if verdict(gap, results.level) == "told"
    ]
    if not apart:
        return (
            f"Exploratory: no mean score can be told from that of {against}. That is not the same as equal "
            "scores."
        )
    return (
        f"Exploratory: the mean score differs from that of {against} by more than is likely by chance for "
        f"{joined(apart)}."
    )


def _points(
    results: Results, run: Run, scores: Scores, means: Sequence[Estimate]
) -> Iterator[tuple[str, str]]:
    yield (
        "Scored",
        f"{count(scores['scored'])} of the study's {count(scores['responses'])} responses with a text, by "
        f"{scores['scorer']}, version {scores['version']}; names were masked before it read them. "
        + " ".join(scores["notes"]),
    )
    if note := _note_of_all(_notes(means, _gaps(results, run, scores))):
        yield "Of all groups", sentences(note)
    if scores["caution"]:
        yield "What it cannot show", scores["caution"]
    if _all_zero(means):
        return
    whole = _parts(scores, run, None)
    compared = [
        f"{'; '.join(_mean_of(whole[part], name) for part, name in names.items())}."
        for names in (_WHOLE, _HARMFUL)
        if all(part in whole for part in names)
    ]
    if compared:
        yield (
            "Among what was refused",
            " ".join(compared) + " Plain means over responses, by the labels of this report, without "
            "intervals: who is refused is not drawn by lot.",
        )


def _mean_of(part: Mapping[str, Any], name: str) -> str:
    return f"{name} score {number(part['mean'], _DECIMALS)} on average ({count(part['n'])} responses)"


def _parts(scores: Scores, run: Run, group: str | None) -> dict[str, Mapping[str, Any]]:
    """Return the means of the parts of a group's responses (None = of all groups), by part."""
    wanted = (run.model, run.condition, group)
    return {
        part["part"]: part
        for part in scores["parts"]
        if (part["model"], part["condition"], part["group"]) == wanted
    }


def _tables(results: Results, run: Run, scores: Scores, means: Sequence[Estimate]) -> Iterator[Table]:
    mean_of = {mean.group: mean for mean in means}
    groups = [group for group in results.groups if group in mean_of]
    yield _by_group([mean_of[group] for group in groups], _gaps(results, run, scores), results)
    if _all_zero(means):
        return
    yield Table(
        "Refused responses beside the rest, by group",
        ["Group", "Refused: mean score", "Responses", "The rest: mean score", "Responses"],
        [
            [
                "all" if group is None else read_as(results, group),
                *(cell for part in _WHOLE for cell in _cells(_parts(scores, run, group).get(part))),
            ]
            for group in (*groups, None)
        ],
    )
    whole = _parts(scores, run, None)
    yield Table(
        "By category, all groups together",
        ["Category", "Mean score", "Responses"],
        [
            [sentence_start(part.replace("_", " ")), *_cells(whole[part])]
            for part in (*CATEGORIES, "unlabelled")
            if part in whole
        ],
    )


def _all_zero(means: Sequence[Estimate]) -> bool:
    return all(mean.value == 0 for mean in means)


def _by_group(means: Sequence[Estimate], gaps: Sequence[Estimate], results: Results) -> Table:
    gap_of = {gap.group: gap for gap in gaps}
    notes = _notes(means, gaps)
    shared = _note_of_all(notes)
    head = ["Group", "Mean score", "Gap", "Adjusted p", "Scored", "Without a score", "Note"]
    body = []
    for mean in means:
        gap = gap_of.get(mean.group)
        body.append(
            [
                read_as(results, mean.group),
                _with_interval(mean),
                _with_interval(gap) if gap else "",
                p_value(gap.p_adjusted) if gap else "",
                count(mean.n_responses),
                count(mean.n_missing),
                "" if shared else notes[mean.group],
            ]
        )
    if not any(row[-1] for row in body):
        head, body = head[:-1], [row[:-1] for row in body]
    return Table("Mean score by group, and its gap to the reference, with intervals", head, body)


def _notes(means: Sequence[Estimate], gaps: Sequence[Estimate]) -> dict[str | None, str]:
    """Return what is noted of each group's mean and gap."""
    return {
        mean.group: "; ".join(
            dict.fromkeys(e.note for e in (mean, *gaps) if e.group == mean.group and e.note)
        )
        for mean in means
    }


def _note_of_all(notes: Mapping[str | None, str]) -> str | None:
    """Return the note that all groups have in common, if there is one."""
    found = set(notes.values())
    return found.pop() if len(found) == 1 else None


def _cells(part: Mapping[str, Any] | None) -> list[str]:
    if part is None:
        return [UNDEFINED, "0"]
    return [number(part["mean"], _DECIMALS), count(part["n"])]


def _interval(e: Estimate, decimals: int = _DECIMALS) -> str:
    if e.low is None or e.high is None:
        return ""
    return f"{number(e.low, decimals)} to {number(e.high, decimals)}"


def _with_interval(e: Estimate, decimals: int = _DECIMALS) -> str:
    limits = _interval(e, decimals).replace(" ", NO_BREAK)
    return number(e.value, decimals) + (f" ({limits})" if limits else "")


def _figure(results: Results, scores: Scores, gaps: Sequence[Estimate], place: int) -> Figure:
    rows = [_row(results, gap) for gap in gaps]
    against = read_as(results, results.reference)
    return Figure(
        section=_key(place),
        name=_key(place),
        title=f"Gaps in the mean toxicity score, by {scores['scorer']}",
        caption=f"Each gap is the mean score of a group minus that of {against}; scores go from 0 to 1.",
        description=told(rows, "mean score"),
        drawing=plots.intervals(
            rows,
            axis=f"difference of mean scores to {against} (right of 0: more toxic)",
            key=["● on a thick line: gap with its interval, which holds for new names and templates"],
            domain=axis_ends(rows, fine_step(rows)),
            ticks=".5~f",
        ),
        head=["Gap", "Difference", "Interval", "p", "Adjusted p", "Reading", "Note"],
        body=[
            [
                read_as(results, gap.group),
                number(gap.value, _DECIMALS),
                _interval(gap),
                p_value(gap.p),
                p_value(gap.p_adjusted),
                VERDICTS[verdict(gap, results.level)],
                gap.note or "",
            ]
            for gap in gaps
        ],
    )


def _row(results: Results, gap: Estimate) -> Row:
    return Row(
        label=visible_text(read_as(results, gap.group)),
        short=visible_text(str(gap.group)),
        text=_with_interval(gap, _PLOT_DECIMALS),
        value=gap.value,
        low=gap.low,
        high=gap.high,
    )
