"""Rows of Parquet; columns keep their types.

Parquet cannot grow, so what is written is kept in parts and put together at the end, part by part.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servicegap.errors import InputError, ServicegapError
from servicegap.formats.rows.protocol import (
    BATCH_CHARACTERS,
    BATCH_ROWS,
    Added,
    Batch,
    Layout,
    as_text,
    named_in_errors,
    written_out,
)

if TYPE_CHECKING:
    import polars as pl

#: Rows that are together in memory when the parts are put together.
ROW_GROUP = 10_000

# polars is imported where Parquet is at hand: CSV and JSONL do without it.
# ruff: noqa: PLC0415


class ParquetReader:
    """Reads a Parquet file.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def layout(self) -> Layout:
        """See ``RowReader``; it reads what the file says of itself."""
        import polars as pl

        with self._explained():
            table = pl.scan_parquet(self.path)
            schema = table.collect_schema()
            rows = int(table.select(pl.len()).collect().item())
        return Layout({name: _kind(dtype) for name, dtype in schema.items()}, rows)

    def batches(self, start: int) -> Iterator[Batch]:
        """See ``RowReader``."""
        import polars as pl

        table = pl.scan_parquet(self.path)
        # Fewer rows at a time where they are long, by the mean of the file.
        rows, size = self.layout().rows, self.path.stat().st_size
        step = min(BATCH_ROWS, max(1, BATCH_CHARACTERS * rows // size))
        while True:
            with self._explained():
                frame = table.slice(start, step).collect()
            if frame.is_empty():
                return
            found = _to_the_nanosecond(frame).to_dicts()
            yield Batch(found, functools.partial(_cells, found), frame)
            start += frame.height

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import polars as pl

        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(
                f"{self.path}: cannot be read as Parquet: {str(error).splitlines()[0]}; write it again, or "
                "give the table as CSV"
            ) from error


class ParquetWriter:
    """Writes a Parquet file; see ``create_writer``. Its mark is the number of parts."""

    def __init__(self, folder: Path, layout: Layout, added: dict[str, type], mark: int) -> None:
        self._folder = folder
        self._kinds = layout.kinds
        self._added = added
        self._mark = mark

    @property
    def mark(self) -> int:
        """Parts written."""
        return self._mark

    def append(self, batch: Batch, added: Sequence[Added]) -> None:
        """See ``RowWriter``."""
        import polars as pl

        own = batch.original if isinstance(batch.original, pl.DataFrame) else self._frame(batch)
        more = pl.DataFrame(list(added), schema=_schema(self._added))
        part = self._folder / f"{self._mark:08d}.parquet"
        with _writing(part), part.open("wb") as file:
            own.hstack(more).write_parquet(file)
            file.flush()
            os.fsync(file.fileno())
        self._mark += 1

    def finish(self) -> Path:
        """See ``RowWriter``."""
        import polars as pl

        whole = self._folder / "rows.parquet"
        parts = [self._folder / f"{number:08d}.parquet" for number in range(self._mark)]
        with _writing(whole):
            pl.scan_parquet(parts, glob=False).sink_parquet(whole, row_group_size=ROW_GROUP)
        return whole

    def _frame(self, batch: Batch) -> pl.DataFrame:
        import polars as pl

        cells = batch.cells()
        return pl.DataFrame(
            {
                name: [
                    _value(row.get(name), written.get(name, ""), kind)
                    for row, written in zip(batch.rows, cells, strict=True)
                ]
                for name, kind in self._kinds.items()
            },
            schema=_schema(self._kinds),
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Put the file's name on what goes wrong; of a full disk polars makes an error of its own."""
    import polars as pl

    try:
        with named_in_errors(path):
            yield
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0].rpartition(": ")[2]  # before it stands where in Polars
        raise ServicegapError(
            f"{path}: cannot be written: {reason}; what is labelled is kept: mend that and run the command "
            "again"
        ) from error


def _value(value: Any, written: str, kind: type) -> object:
    if value is None:
        return None
    return written_out(written) if kind in (str, object) else kind(value)


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{name: as_text(value) for name, value in row.items()} for row in rows]


def _to_the_nanosecond(frame: pl.DataFrame) -> pl.DataFrame:
    """Write out, as in ISO 8601, the times that Python's own, which end at microseconds, would cut short.

    Durations too, for which Python has words of its own.
    """
    import polars as pl

    def cut_short(column: pl.Series) -> bool:
        kind = column.dtype
        of_nanoseconds = kind == pl.Time or (isinstance(kind, pl.Datetime) and kind.time_unit == "ns")
        return of_nanoseconds and bool((column.to_physical() % 1000 != 0).any())

    return frame.with_columns(
        column.dt.to_string("iso:strict")
        for column in frame
        if column.dtype == pl.Duration or cut_short(column)
    )


def _schema(kinds: Any) -> dict[str, Any]:
    import polars as pl

    types = {int: pl.Int64, float: pl.Float64, bool: pl.Boolean}
    return {name: types.get(kind, pl.String) for name, kind in kinds.items()}


def _kind(dtype: pl.DataType) -> type:
    import polars as pl

    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return str
    if dtype.is_integer():
        return int
    if dtype == pl.Boolean:
        return bool
    return float if dtype.is_float() else object
