"""results.json and example responses -> one offline HTML file, its plots beside it.

``report/index.html`` holds everything it needs: no script, no font, nothing fetched. Plots stand in
``report/plots`` as SVG and as Vega-Lite too.

Not here: any statistic. What the report says beyond results.json is wording (words.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from servicegap.report.example import Example
from servicegap.report.reading import Results, read_results

__all__ = ["Example", "render", "summary", "write_report"]


def render(results: Mapping[str, Any], examples: Sequence[Example] = ()) -> str:
    """Return the report as one HTML text.

    Parameters
    ----------
    results : mapping
        results.json as `analyse` gives it.
    examples : sequence of Example
        Responses to show, already chosen.
    """
    # Plots and templates take most of a second to load; the other commands do without them.
    from servicegap.report.page import page  # noqa: PLC0415

    read = read_results(results)
    return page(read, _figures(read), examples)


def write_report(results: Mapping[str, Any], examples: Sequence[Example], path: Path) -> None:
    """Write the report, and its plots into the folder ``plots`` beside it.

    Parameters
    ----------
    path : Path
        The HTML file. An older report there is replaced once the new one is complete.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    from servicegap.report import svg  # noqa: PLC0415
    from servicegap.report.page import page  # noqa: PLC0415
    from servicegap.study import write_json_whole, write_text_whole  # noqa: PLC0415

    read = read_results(results)
    figures = _figures(read)
    folder = path.parent / "plots"
    written = set()
    for number, found in figures.items():
        prefix = f"run{number + 1}-" if len(figures) > 1 else ""
        for figure in found:
            name = prefix + figure.name
            drawn = svg.for_file(figure.drawing.svg["page"], name, figure.title, figure.description)
            write_text_whole(folder / f"{name}.svg", drawn)
            write_json_whole(folder / f"{name}.vl.json", figure.drawing.specification)
            written.add(name)
    write_text_whole(path, page(read, figures, examples))
    for old in folder.glob("*.vl.json"):
        # A plot of earlier results beside the new ones would be read as one of them.
        if (name := old.name.removesuffix(".vl.json")) not in written:
            old.unlink()
            (folder / f"{name}.svg").unlink(missing_ok=True)


def summary(results: Mapping[str, Any]) -> list[str]:
    """Return the words at the head of the report, one paragraph an entry."""
    from servicegap.report.claims import in_words  # noqa: PLC0415
    from servicegap.report.words import detectable  # noqa: PLC0415

    read = read_results(results)
    words = in_words(read)
    paragraphs = [f"{title}: {text}" for title, text in words.notices]
    for run in words.runs:
        paragraphs.append(f"{run.heading}. {run.lead}")
        paragraphs += [sentence.text for sentence in run.sentences]
    # What gaps rest on comes first among what is said of a design.
    return [*paragraphs, *(read.part("design").get("sentences") or ())[:1], detectable(read)]


def _figures(results: Results) -> dict[int, list[Any]]:
    from servicegap.report.figures import figures  # noqa: PLC0415

    return {number: list(figures(results, run)) for number, run in enumerate(results.runs)}
