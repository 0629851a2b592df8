"""Somebody's own table of labelled responses, from CSV or Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from servicegap.errors import DataError, InputError
from servicegap.labels import read_category

#: Mistakes shown of one file; a wrong column would give one for every row.
SHOWN = 10
REQUIRED = ("group", "signal", "template", "label")
OPTIONAL = ("model", "target")


def read_table(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """Read a table as `estimates.estimate_all` takes it.

    Parameters
    ----------
    path : Path
        A CSV file in UTF-8, or a Parquet file (``.parquet``), one response a row.
    columns : mapping
        The file's columns that hold ``group``, ``signal``, ``template`` and ``label``, and where it has
        them ``model`` and ``target`` (of the template's stereotype; blank = neutral). A blank label is a
        missing one; a label is a category of records.CATEGORIES.

    Raises
    ------
    InputError
        If the file cannot be read, a column is not there, a key is blank, or a label is no category.
    """
    raw = _read(path)
    absent = [
        f"{path}:1: no column {name!r} (for --{use})"
        for use, name in columns.items()
        if name not in raw.collect_schema().names()
    ]
    if absent:
        raise InputError(*absent, f"{path}:1: the columns are: {', '.join(raw.collect_schema().names())}")
    # Few different words stand in many rows: as categories they cost 4 bytes a row.
    frame = raw.select(
        pl.col(name).cast(pl.String).fill_null("").str.strip_chars().cast(pl.Categorical).alias(use)
        for use, name in columns.items()
    ).collect()
    if frame.is_empty():
        raise InputError(f"{path}: no rows below the header; write one response a row")
    spellings: dict[str, str | None] = {}
    problems = [*_blanks(frame, columns, path), *_labels(frame, columns, path, spellings)]
    if problems:
        more = [f"... and {len(problems) - SHOWN} more mistakes"] if len(problems) > SHOWN else []
        raise InputError(*problems[:SHOWN], *more)
    category = frame["label"].cast(pl.String).replace_strict(spellings, return_dtype=pl.String)
    nothing = pl.lit(None, pl.String)
    given = {
        use: pl.col(use).cast(pl.String).replace("", None) if use in columns else nothing for use in OPTIONAL
    }
    return frame.drop("label").with_columns(
        **given,
        category=category,
        condition=nothing,
        annotator=pl.lit(path.name),
        kind=pl.lit("imported"),
        annotator_version=nothing,
        error_kind=nothing,
    )


def _read(path: Path) -> pl.LazyFrame:
    try:
        if path.suffix == ".parquet":
            frame = pl.scan_parquet(path)
        else:
            # Everything as text: a name such as "None" or "001" stays what it is.
            frame = pl.read_csv(path, infer_schema=False).lazy()
        frame.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{path}: cannot be read as CSV or Parquet: {str(error).splitlines()[0]}; CSV needs to be UTF-8 "
            "text with the names of the columns in its first line and as many fields in every row"
        ) from error
    return frame


def _blanks(frame: pl.DataFrame, columns: Mapping[str, str], path: Path) -> Iterator[str]:
    for use in ("group", "signal", "template"):
        for row in (frame[use] == "").arg_true():
            yield f"{path}: row {row + 1}: {columns[use]} is blank"


def _labels(
    frame: pl.DataFrame, columns: Mapping[str, str], path: Path, spellings: dict[str, str | None]
) -> Iterator[str]:
    """Read each spelling of a label into `spellings`; yield what is no category, where it stands first."""
    first = frame.select("label").with_row_index("row").unique("label", keep="first").sort("row")
    for row, written in first.with_columns(pl.col("label").cast(pl.String)).rows():
        try:
            spellings[written] = read_category(written, f"{path}: row {row + 1}: {columns['label']}")
        except DataError as error:
            yield str(error)
