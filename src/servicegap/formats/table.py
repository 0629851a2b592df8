"""Somebody's own table of labelled responses, from CSV or Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from servicegap.errors import DataError, InputError
from servicegap.formats.rows.csv_rows import CsvReader
from servicegap.labels import read_category

#: Mistakes shown of one file; a wrong column would give one for every row.
SHOWN = 10
KEYS = ("group", "signal", "template")
OPTIONAL = ("model", "target", "fold")
#: What a table can be of: what its responses were given, and the columns that say so.
KINDS = {"label": ("label",), "value": ("value",), "score": ("score", "human", "probability")}
#: What belongs to one of something, and why.
_NESTED = (
    ("signal", "group", "one signal points to one group"),
    ("template", "target", "one template has one target in all its rows, or none"),
)
_NUMBERS = {"value", "score", "human", "probability"}


def check_columns(columns: Mapping[str, str]) -> None:
    """See that a table's columns are of one kind, and all there.

    Raises
    ------
    InputError
        Columns of no kind or of two, or some of a kind missing.
    """
    given = {kind: [use for use in uses if use in columns] for kind, uses in KINDS.items()}
    chosen = [kind for kind, uses in given.items() if uses]
    listed = "--label (categories), --value (numbers), or --score, --human and --probability"
    if len(chosen) != 1:
        raise InputError(f"--table needs one of these: {listed}; given: {', '.join(chosen) or 'none'}")
    missing = [f"--{use}" for use in KINDS[chosen[0]] if use not in columns]
    if missing:
        raise InputError(f"--table with --{given[chosen[0]][0]} also needs {', '.join(missing)}")
    if "fold" in columns and chosen != ["score"]:
        raise InputError("--fold goes with --score: it says which annotator scored a response out of fold")


def read_table(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """Read a table as `estimates.py` and `measures.py` take it.

    Parameters
    ----------
    path : Path
        A CSV file in UTF-8, or a Parquet file (``.parquet``), one response a row.
    columns : mapping
        The file's columns that hold ``group``, ``signal`` and ``template``; and either ``label`` (a category
        of records.CATEGORIES), or ``value`` (a number), or ``score`` (an annotator's probability, 0 to 1),
        ``human`` (0/1 or yes/no, blank = not asked) and ``probability`` (the chance of being asked, blank =
        not known); where it has them ``model``, ``target`` (of the template's stereotype; blank = neutral)
        and ``fold``. Blank = missing.

    Returns
    -------
    polars.DataFrame
        The columns by their use (``probability`` as ``chance``), and ``category`` (null without a label).

    Raises
    ------
    InputError
        If the file cannot be read, a column is not there, a key is blank, a label is no category, a number
        is none, or a signal is in two groups.
    """
    check_columns(columns)
    raw = _read(path, columns)
    absent = [
        f"{path}:1: no column {name!r} (for --{use})"
        for use, name in columns.items()
        if name not in raw.collect_schema().names()
    ]
    if absent:
        raise InputError(*absent, f"{path}:1: the columns are: {', '.join(raw.collect_schema().names())}")
    # Few different words stand in many rows: as categories they cost 4 bytes a row.
    frame = (
        raw.select(
            _text(name) if use in _NUMBERS else _text(name).cast(pl.Categorical).alias(use)
            for use, name in columns.items()
        )
        .rename({columns[use]: use for use in columns if use in _NUMBERS})
        .collect()
    )
    if frame.is_empty():
        raise InputError(f"{path}: no rows below the header; write one response a row")
    spellings: dict[str, str | None] = {}
    problems = [*_blanks(frame, columns, path)]
    if "label" in columns:
        problems += _labels(frame, columns, path, spellings)
    for use in columns:
        if use in _NUMBERS:
            problems += _not_numbers(frame, columns, use, path)
    if not problems:
        problems += _in_two(frame, columns, path)
    if problems:
        more = [f"... and {len(problems) - SHOWN} more mistakes"] if len(problems) > SHOWN else []
        raise InputError(*problems[:SHOWN], *more)
    return _as_responses(frame, columns, path, spellings)


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).fill_null("").str.strip_chars()


def _as_responses(
    frame: pl.DataFrame, columns: Mapping[str, str], path: Path, spellings: Mapping[str, str | None]
) -> pl.DataFrame:
    nothing = pl.lit(None, pl.String)
    category = (
        frame["label"].cast(pl.String).replace_strict(spellings, return_dtype=pl.String)
        if "label" in columns
        else nothing
    )
    given = {
        use: pl.col(use).cast(pl.String).replace("", None) if use in columns else nothing
        for use in ("model", "target")
    }
    numbers = {use: _number(use) for use in columns if use in _NUMBERS}
    found = frame.with_columns(
        **given,
        **numbers,
        category=category,
        condition=nothing,
        annotator=pl.lit(path.name),
        kind=pl.lit("imported"),
        annotator_version=nothing,
        error_kind=nothing,
    )
    return found.drop("label", strict=False).rename({"probability": "chance"}, strict=False)


def _number(use: str) -> pl.Expr:
    """Read a number; yes and no are 1 and 0."""
    plain = pl.col(use).str.to_lowercase().replace(_YES_NO)
    return plain.cast(pl.Float64, strict=False)


_YES_NO = {"yes": "1", "true": "1", "no": "0", "false": "0"}


def _not_numbers(frame: pl.DataFrame, columns: Mapping[str, str], use: str, path: Path) -> Iterator[str]:
    read = frame.select(written=pl.col(use), number=_number(use)).with_row_index("row", offset=1)
    wrong = read.filter((pl.col("written") != "") & ~pl.col("number").is_finite().fill_null(False))
    if wrong.height:
        row, written = wrong.row(0)[:2]
        yield (
            f"{path}: row {row}: {columns[use]}: {written!r} is no number ({wrong.height} such rows); write "
            "a number, or leave it blank"
        )


def _read(path: Path, columns: Mapping[str, str]) -> pl.LazyFrame:
    try:
        frame = pl.scan_parquet(path) if path.suffix == ".parquet" else _read_csv(path, columns).lazy()
        frame.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{path}: cannot be read as CSV or Parquet: {str(error).splitlines()[0]}; CSV needs to be UTF-8 "
            "text with the names of the columns in its first line and as many fields in every row"
        ) from error
    return frame


def _read_csv(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    reader = CsvReader(path)
    names = reader.columns()
    twice = [name for name in columns.values() if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}:1: columns of one name: {', '.join(twice)}; give each a name of its own")
    try:
        # Everything as text: a name such as "None" or "001" stays what it is.
        frame = pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError:
        reader.count_rows()  # tells the line, where it is for a row of too many fields
        # Polars takes a lone quote within a field (5" screen) for the beginning of quotes.
        return _read_rows(reader, names)
    # Polars fills rows of too few fields with nulls, so that the last column has one. Nor does it pass over
    # blank lines.
    if frame[:, -1].null_count():
        reader.count_rows()
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    return frame


def _read_rows(reader: CsvReader, names: list[str]) -> pl.DataFrame:
    """Read row by row: slower, but each file that `label` reads."""
    rows = []
    for line, row in reader.rows():
        try:
            "".join(row).encode()
        except UnicodeEncodeError:
            raise InputError(f"{reader.path}:{line}: not UTF-8; save the file as UTF-8") from None
        if any(row):
            rows.append(row)
    places = {name: place for place, name in enumerate(names)}
    return pl.DataFrame(
        {name: [row[place] for row in rows] for name, place in places.items()},
        schema=dict.fromkeys(places, pl.String),
    )


def _blanks(frame: pl.DataFrame, columns: Mapping[str, str], path: Path) -> Iterator[str]:
    for use in ("group", "signal", "template"):
        for row in (frame[use] == "").arg_true():
            yield f"{path}: row {row + 1}: {columns[use]} is blank"


def _in_two(frame: pl.DataFrame, columns: Mapping[str, str], path: Path) -> Iterator[str]:
    """Yield the signals of two groups, and the templates of two targets, where they stand first as such."""
    for inner, outer, rule in _NESTED:
        if outer not in columns:
            continue
        keys = [key for key in ("model", inner) if key in columns]
        first = frame.lazy().with_row_index("row", offset=1).group_by(*keys, outer).agg(pl.col("row").min())
        pairs = first.group_by(keys).agg(pl.col("row", outer).sort_by("row")).collect()
        wrong = pairs.filter(pl.col("row").list.len() > 1).sort(pl.col("row").list.get(1))
        for each in wrong.iter_rows(named=True):
            yield (
                f"{path}: row {each['row'][1]}: {columns[inner]} {each[inner]!r} has {columns[outer]} "
                f"{each[outer][1]!r}, and {each[outer][0]!r} in row {each['row'][0]}; {rule}"
            )


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
