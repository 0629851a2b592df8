"""What readers and writers of rows have in common, whatever the format.

Bytes that are not UTF-8 are carried as lone surrogates (Python's ``surrogateescape``), so that they can be
written again as they were.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import polars as pl

#: Rows of a batch; fewer where they are long.
BATCH_ROWS = 1000
#: Characters after which a batch ends.
BATCH_CHARACTERS = 4_000_000
#: The longest cell (CSV) or line (JSONL): a quote that is never closed must not fill the memory.
LONGEST = 64 * 1024 * 1024
#: Mistakes told of one file.
SHOWN = 10

Row = Mapping[str, Any]
#: What a column that is added holds in one row.
Added = Mapping[str, str | float | None]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a table has.

    Attributes
    ----------
    kinds : mapping of str to type
        Its columns in their order: ``str``, ``int``, ``float``, ``bool``, or ``object`` for all else.
    rows : int
    """

    kinds: Mapping[str, type]
    rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, one after the other, by column.

    A column that a row of JSONL lacks is absent from its mapping.

    Attributes
    ----------
    rows : sequence of mapping
    cells : callable
        Gives the rows as cells of text; they are made only where they are written.
    original : optional
        What the file has for them, where its format can carry more than ``rows`` does: the lines of JSONL,
        the frame of Parquet.
    """

    rows: Sequence[Row]
    cells: Callable[[], Sequence[Mapping[str, str]]]
    original: Sequence[str] | pl.DataFrame | None = None


class RowReader(Protocol):
    """Reads a table in batches."""

    def layout(self) -> Layout:
        """Read the whole table once.

        Raises
        ------
        InputError
            With every mistake in it (the first ten, and how many more), each with its line.
        """
        ...

    def batches(self, start: int) -> Iterator[Batch]:
        """Yield the rows from row `start` (0 = the first) on, at most BATCH_ROWS at a time."""
        ...


class RowWriter(Protocol):
    """Writes a table in batches; ``mark`` says how far, and a later writer goes on from there."""

    @property
    def mark(self) -> int:
        """How much is written."""
        ...

    def append(self, batch: Batch, added: Sequence[Added]) -> None:
        """Write rows with what is added to each; they are on the disk when it returns."""
        ...

    def finish(self) -> Path:
        """Return the file with the whole table."""
        ...


class AppendedFile:
    """A file that grows, cut to `mark` bytes first.

    Parameters
    ----------
    path : Path
    mark : int
        Bytes of it that count; what stands behind them was not finished.
    """

    def __init__(self, path: Path, mark: int) -> None:
        self.path = path
        self.mark = mark

    def append(self, text: str) -> None:
        """Write a text; it is on the disk when it returns."""
        with named_in_errors(self.path), self.path.open("r+b" if self.mark else "wb") as file:
            file.truncate(self.mark)
            file.seek(self.mark)
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
            self.mark = file.tell()


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Put the file's name on an error of the system: a full disk is told without one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def shown(problems: Sequence[str], count: int) -> list[str]:
    """Return the mistakes to be told: the first ones, and how many more of `count` there are."""
    more = count - min(len(problems), SHOWN)
    return [*problems[:SHOWN], *([f"... and {more} more mistakes"] if more else [])]


def written_out(text: str) -> str:
    r"""Return a text that every format can hold: what is not Unicode is written out, as in ``\udc92``."""
    return text.encode("utf-8", "backslashreplace").decode()


def as_text(value: object) -> str:
    """Return a value as one cell of text: empty for None, JSON for lists and the like."""
    if value is None:
        return ""
    storable = _storable(value)
    return storable if isinstance(storable, str) else as_json(value)


def as_json(value: object) -> str:
    """Return a value as JSON; what JSON has no word for is text, as in a cell."""
    return json.dumps(_storable(value), ensure_ascii=False, allow_nan=False)


def _storable(value: object) -> object:
    """Return what JSON can hold: dates and times as in ISO 8601, bytes in Base64, NaN as the text NaN."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return written_out(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _NOT_FINITE[str(value)]
    if isinstance(value, Mapping):
        return {written_out(str(key)): _storable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(each) for each in value]
    if isinstance(value, date | time):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
