"""Somebody's own table of labelled responses, from CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from servicegap.errors import DataError, InputError
from servicegap.labels import read_category

#: Mistakes shown of one file; a wrong column would give one for every row.
SHOWN = 10


def read_table(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """Read a table as `estimates.estimate_all` takes it.

    Parameters
    ----------
    path : Path
        A CSV file, UTF-8, one response a row.
    columns : mapping
        The file's columns that hold ``group``, ``signal``, ``template`` and ``label``. A blank label is
        a missing one; a label is a category of records.CATEGORIES.

    Raises
    ------
    InputError
        If the file cannot be read, a column is not there, a key is blank, or a label is no category.
    """
    try:
        # Everything as text: a name such as "None" or "001" stays what it is.
        raw = pl.read_csv(path, infer_schema=False).fill_null("")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}; it needs to be UTF-8 text with "
            "the names of the columns in its first line and as many fields in every row"
        ) from error
    absent = [
        f"{path}:1: no column {name!r} (for --{use})"
        for use, name in columns.items()
        if name not in raw.columns
    ]
    if absent:
        raise InputError(*absent, f"{path}:1: the columns are: {', '.join(raw.columns)}")
    if raw.is_empty():
        raise InputError(f"{path}: no rows below the header; write one response a row")
    frame = raw.select(pl.col(name).str.strip_chars().alias(use) for use, name in columns.items())
    problems = []
    for use in ("group", "signal", "template"):
        blank = frame.with_row_index("row").filter(pl.col(use) == "")["row"].to_list()
        problems += [f"{path}: row {row + 1}: {columns[use]} is blank" for row in blank]
    spellings: dict[str, str | None] = {}
    for row, written in (
        frame.with_row_index("row").unique("label", keep="first").select("row", "label").sort("row").rows()
    ):
        try:
            spellings[written] = read_category(written, f"{path}: row {row + 1}: {columns['label']}")
        except DataError as error:
            problems.append(str(error))
    if problems:
        more = [f"... and {len(problems) - SHOWN} more mistakes"] if len(problems) > SHOWN else []
        raise InputError(*problems[:SHOWN], *more)
    category = pl.Series("category", [spellings[written] for written in frame["label"]], dtype=pl.String)
    return frame.drop("label").with_columns(
        category,
        model=pl.lit(None, pl.String),
        condition=pl.lit(None, pl.String),
        target=pl.lit(None, pl.String),
        annotator=pl.lit(path.name),
        kind=pl.lit("imported"),
        annotator_version=pl.lit(None, pl.String),
        error_kind=pl.lit(None, pl.String),
    )
