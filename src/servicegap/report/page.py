"""The page: results and examples -> HTML, through page.html.j2."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from servicegap.notation import count, interval, p_value, value_text
from servicegap.records import CATEGORIES, Estimate
from servicegap.report import svg
from servicegap.report.claims import in_words
from servicegap.report.example import Example
from servicegap.report.figure import Figure
from servicegap.report.judges import judges_table, judges_told
from servicegap.report.passage import Passage
from servicegap.report.passages import passages
from servicegap.report.people import agreement_of_people
from servicegap.report.reading import Results, Run
from servicegap.report.toxicity import toxicity_passages
from servicegap.report.words import detectable, missing_by_group, read_as, run_name, sentence_start
from servicegap.visible import visible_html, visible_text

#: Longer responses are cut in the report; the whole text stays in the study's database.
LONGEST_RESPONSE = 4000

_LABELS = {
    "automatic-uncorrected": "automatic, not corrected by people's labels: a screening signal",
    "human": "people",
    "imported": "imported with the responses; servicegap did not see how they were made",
    "corrected": "automatic, corrected by a sample that people labelled",
}


_HEAD = (
    *("Estimate", "Of", "Templates' target", "Figure", "Interval", "p", "Adjusted p", "df", "Responses"),
    *("Missing", "With outcome", "Names", "Templates", "Plan", "Method", "Note"),
)


@dataclass(frozen=True, slots=True)
class RunPart:
    """The sections of one model under one condition."""

    name: str
    run: Run
    figures: Mapping[str, Sequence[tuple[Figure, Sequence[tuple[str, Markup]]]]]
    passages: Sequence[Passage]
    toxicity: Sequence[Passage]


def page(results: Results, figures: Mapping[int, Sequence[Figure]], examples: Sequence[Example]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    results : Results
        What was found.
    figures : mapping of run number to figures
        The plots of each run, by its place in `results.runs`.
    examples : sequence of Example
        Responses to show, in the order in which they are shown within their category.
    """
    environment = Environment(
        loader=PackageLoader("servicegap", "report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "visible": visible_html,
        "count": count,
        "start": sentence_start,
        "when": when,
        "plain": visible_text,
    }
    return environment.get_template("page.html.j2").render(
        style=Markup(resources.files("servicegap.report").joinpath("style.css").read_text("utf-8")),
        r=results,
        title=visible_text(str(results.raw.get("title") or "Untitled study")),
        design=results.part("design"),
        plan=results.part("plan"),
        labels=results.part("labels"),
        agreement=agreement_of_people(results),
        label_words=_LABELS.get(str(results.part("labels").get("kind")), "unknown"),
        summary=in_words(results),
        detectable=detectable(results),
        parts=[_part(results, number, run, figures[number]) for number, run in enumerate(results.runs)],
        estimates=[_estimate_part(results, run) for run in results.runs],
        examples=_by_category(examples),
        longest=LONGEST_RESPONSE,
        groups_table=_group_rows(results),
        templates_table=_template_rows(results),
        annotators_table=_annotator_rows(results),
        judges=judges_table(results),
        told=judges_told(results),
        collection_table=_collection_rows(results),
        missing=[
            (run_name(run, results.runs), rows)
            for run in results.runs
            if (rows := missing_by_group(results, run))
        ],
        evidence=_evidence(results),
        provenance=_provenance(results),
        read_as=lambda group: read_as(results, group),
    )


def _part(results: Results, number: int, run: Run, figures: Sequence[Figure]) -> RunPart:
    sections: dict[str, list[tuple[Figure, Sequence[tuple[str, Markup]]]]] = {}
    for one in figures:
        drawn = [
            (
                width,
                # The drawing is vl-convert's, with all text escaped by it.
                Markup(svg.for_page(text, f"run{number}-{one.name}-{width}", one.title, one.description)),
            )
            for width, text in one.drawing.svg.items()
        ]
        sections.setdefault(one.section, []).append((one, drawn))
    return RunPart(
        run_name(run, results.runs),
        run,
        sections,
        list(passages(results, run)),
        list(toxicity_passages(results, run)),
    )


def _estimate_part(results: Results, run: Run) -> Mapping[str, Any]:
    """Return a run's tables of estimates, and their notes, each said once."""
    notes = {
        e.note: number for number, e in enumerate({e.note: e for e in run.estimates if e.note}.values(), 1)
    }
    whole: list[Sequence[str]] = []
    single: dict[str, list[Sequence[str]]] = {}
    for e in run.estimates:
        if e.signal is None and e.template is None:
            rows = whole
        else:
            of = "name" if e.template is None else "template"
            rows = single.setdefault(f"{e.kind.replace('_', ' ')}, one {of}", [])
        rows.append(_estimate_row(e, notes))
    return {
        "name": run_name(run, results.runs),
        "whole": _filled_columns(whole),
        "single": {title: _filled_columns(rows) for title, rows in single.items()},
        "n_single": sum(map(len, single.values())),
        "notes": list(notes),
    }


def _filled_columns(rows: Sequence[Sequence[str]]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the head and the rows of a table of estimates, without the columns that tell nothing."""
    filled = [i for i in range(len(_HEAD)) if any(row[i] not in ("", "all") for row in rows)]
    return [_HEAD[i] for i in filled], [[row[i] for i in filled] for row in rows]


def _estimate_row(e: Estimate, notes: Mapping[str | None, int]) -> Sequence[str]:
    """Return one row of the table of estimates; the order is that of `_HEAD`."""
    about = e.group or ""
    about += f" to {e.reference}" if e.reference else ""
    about += f", {e.signal}" if e.signal is not None else ""
    about += f", template {e.template}" if e.template is not None else ""
    return (
        f"{e.outcome.replace('_', ' ')}: {e.kind.replace('_', ' ')}",
        about,
        e.target or "all",
        value_text(e),
        interval(e),
        "" if e.p is None else p_value(e.p),
        "" if e.p_adjusted is None else p_value(e.p_adjusted),
        "" if e.df is None else f"{e.df:.1f}",
        *(count(n) for n in (e.n_responses, e.n_missing, e.n_events, e.n_signals, e.n_templates)),
        "planned" if e.planned else "",
        e.method or "",
        f"note {notes[e.note]}" if e.note else "",
    )


def _by_category(examples: Sequence[Example]) -> list[tuple[str, Sequence[Example]]]:
    order = [*CATEGORIES, None]
    found: dict[str | None, list[Example]] = {}
    for example in examples:
        found.setdefault(example.category, []).append(example)
    ordered = sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
    return [((category or "no category").replace("_", " "), shown) for category, shown in ordered]


def _group_rows(results: Results) -> list[Sequence[str]]:
    signals = results.part("design").get("signals") or ()
    sizes = {row["group"]: row["n_signals"] for row in results.part("design").get("groups") or ()}
    return [
        (group, count(sizes[group]), ", ".join(str(s["text"]) for s in signals if s.get("group") == group))
        for group in results.groups
        if group in sizes
    ]


def _template_rows(results: Results) -> list[Sequence[str]]:
    keys = ("id", "text", "task", "target", "stereotype")
    templates = results.part("design").get("templates") or ()
    return [
        [str(row.get(key) or ("neutral" if key == "target" else "")) for key in keys] for row in templates
    ]


def _annotator_rows(results: Results) -> list[Sequence[str]]:
    return [
        (row["name"], row["kind"], row["version"] or "", count(row["n"]), count(row["abstained"]))
        for row in results.part("labels").get("annotators") or ()
    ]


def _collection_rows(results: Results) -> list[Sequence[str]]:
    counted = ("planned", "answered", "failed", "unasked", "blocked", "rejected", "truncated", "empty")
    return [
        [str(row["model"]), str(row["condition"]), *(count(row.get(key)) for key in counted)]
        for row in results.rows("collection")
    ]


def _evidence(results: Results) -> list[tuple[str, int]]:
    """How many names rest on which kind of evidence that readers take them for their group."""
    kinds = [
        str(s.get("evidence") or "none given")
        for s in results.part("design").get("signals") or ()
        if s.get("group")
    ]
    return [(kind, kinds.count(kind)) for kind in dict.fromkeys(kinds)]


def when(time: str | None) -> str:
    """Return an ISO 8601 time as people write it.

    Examples
    --------
    >>> when("2026-11-24T14:17:19+00:00"), when(None)
    ('2026-11-24 14:17 UTC', 'not known')
    """
    if not time:
        return "not known"
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return time
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()


def _provenance(results: Results) -> list[Mapping[str, Any]]:
    """Return the runs that were made alike, with their times and what is known of them by topic."""
    alike: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in results.rows("provenance"):
        known = json.dumps(row.get("provenance") or {}, sort_keys=True)
        alike.setdefault((str(row.get("model") or "unknown model"), known), []).append(row)
    return [
        {
            "model": model,
            "times": [f"{when(row.get('started'))} to {when(row.get('ended'))}" for row in rows],
            "topics": _topics(rows[0].get("provenance") or {}),
        }
        for (model, _), rows in alike.items()
    ]


def _topics(provenance: Mapping[str, Any]) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    single = {key: value for key, value in provenance.items() if not isinstance(value, dict | list)}
    several = {key: value for key, value in provenance.items() if key not in single}
    topics = [(key.replace("_", " "), list(flat(value, key=key))) for key, value in several.items()]
    return [*topics, *([("other", list(flat(single)))] if single else [])]


def flat(value: Any, path: str = "", key: str = "") -> Iterator[tuple[str, str]]:
    """Yield what a nested JSON value holds, as (path, text); None of the decoding is "not sent".

    Examples
    --------
    >>> list(flat({"decoding": {"top_k": None}, "files": ["a", "b"]}))
    [('decoding top_k', 'not sent'), ('files', 'a, b')]
    """
    match value:
        case Mapping():
            for inner_key, inner in value.items():
                yield from flat(inner, f"{path} {inner_key}".strip(), key)
        case list() if any(isinstance(item, dict | list) for item in value):
            for number, inner in enumerate(value, 1):
                yield from flat(inner, f"{path} {number}".strip() if len(value) > 1 else path, key)
        case list():
            yield path, ", ".join(map(str, value)) or "none"
        case None:
            yield path, "not sent" if key == "conditions" or "decoding" in path else "not set or not known"
        case _:
            yield path, str(value)
