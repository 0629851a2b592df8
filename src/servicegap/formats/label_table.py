"""People's labels as a CSV table: one row a response, one column an annotator.

The layout that published sets of two annotators use; any number of them here. Cells that a spreadsheet would
run as a formula get an apostrophe before them, which is taken off again when the table comes back.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from servicegap.errors import DataError, InputError
from servicegap.formats.outside_labels import OutsideLabel, ToLabel, refuse_if_any
from servicegap.formats.rows.csv_rows import CsvReader
from servicegap.labels import read_category

#: Before an annotator's name in the heading of a column.
ANNOTATION = "annotation:"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet runs.

    Examples
    --------
    >>> guarded("=1+1"), guarded("yes")
    ("'=1+1", 'yes')
    """
    # Blanks before it do not stop a spreadsheet.
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell


def unguarded(cell: str) -> str:
    """Return what a cell held before it was guarded."""
    return cell[1:] if cell.startswith("'") and cell[1:].lstrip(" ").startswith(_FORMULA) else cell


def write_table(
    responses: Sequence[ToLabel],
    labels: Iterable[Mapping[str, Any]],
    gold: Mapping[str, str],
    people: Sequence[str] = (),
) -> str:
    """Return the table: ``response_id, prompt, response``, ``annotation:NAME`` columns, ``gold, automatic``.

    Parameters
    ----------
    responses : sequence of ToLabel
        The rows.
    labels : iterable of mapping
        Every label, as ``outside_labels.every_label`` gives them; the latest of each
        annotator and response is shown.
    gold : mapping
        Response -> what people settled on.
    people : sequence of str
        Annotators to have a column though they have no label yet.
    """
    given = {
        (row["response"], row["annotator"]): row["category"] or ""
        for row in labels
        if row["pass"] != "harm" and row["category"]
    }
    names = sorted({annotator for _, annotator in given} | set(people))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "response_id",
            "prompt",
            "response",
            *(guarded(ANNOTATION + name) for name in names),
            "gold",
            "automatic",
        ]
    )
    for each in responses:
        cells = [
            each.response,
            each.prompt,
            each.text,
            *(given.get((each.response, name), "") for name in names),
            gold.get(each.response, ""),
            each.automatic or "",
        ]
        writer.writerow([guarded(cell) for cell in cells])
    return out.getvalue()


def read_table(path: Path) -> list[OutsideLabel]:
    """Read people's labels from such a table; blank cells are no labels, other columns are ignored.

    Raises
    ------
    InputError
        If the file cannot be read, has no column of an annotator, a row of more or fewer fields than columns,
        or what is no category; every mistake is told, with its line.
    """
    reader = CsvReader(path)
    try:
        heading = reader.columns()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the path of a CSV file") from error
    people = {
        column: unguarded(name).removeprefix(ANNOTATION).strip()
        for column, name in enumerate(heading)
        if ANNOTATION in name
    }
    if "response_id" not in heading or not all(people.values()) or not people:
        raise InputError(
            f"{path}:1: needs a column response_id and one column {ANNOTATION}NAME for each annotator; the "
            f"columns are: {', '.join(heading)}"
        )
    reader.count_rows()
    response = heading.index("response_id")
    problems: list[str] = []
    labels = []
    for line, row in reader.rows():
        for column, annotator in people.items():
            place = f"{path}:{line}: {heading[column]}"
            try:
                category = read_category(unguarded(row[column]), place)
            except DataError as error:
                problems += error.problems
                continue
            if category is not None:
                labels.append(OutsideLabel(row[response].strip(), annotator, category, place))
    refuse_if_any(problems)
    return labels
