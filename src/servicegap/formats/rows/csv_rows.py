"""Rows of CSV: comma-separated, in UTF-8, the names of the columns in the first line.

Cells are text and stay as they are, blanks around them included; blank lines are passed over.
"""

from __future__ import annotations

import csv
import functools
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from servicegap.errors import InputError
from servicegap.formats.rows.protocol import (
    BATCH_CHARACTERS,
    BATCH_ROWS,
    LONGEST,
    SHOWN,
    Added,
    AppendedFile,
    Batch,
    Layout,
    as_text,
    shown,
)

if TYPE_CHECKING:
    from _csv import Reader

_QUOTES = (
    "a field with a comma, a quote or a line break stands in double quotes, and a quote within it is "
    'written ""'
)
#: What tables are separated by that are no CSV here.
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs"}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class CsvReader:
    """Reads a CSV file.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def layout(self) -> Layout:
        """See ``RowReader``; a row with more or fewer fields than columns is a mistake."""
        line, columns = self._header(self._records())
        twice = [name for name in dict.fromkeys(columns) if columns.count(name) > 1]
        if twice:
            raise InputError(
                f"{self.path}:{line}: columns of one name: {', '.join(twice)}; give each a name of its own"
            )
        return Layout(dict.fromkeys(columns, str), self.count_rows())

    def columns(self) -> list[str]:
        """Return the names of the columns as they stand in the first line.

        Raises
        ------
        InputError
            If the file is empty, is not UTF-8 there, or has its columns separated by something else.
        """
        return self._header(self._records())[1]

    def count_rows(self) -> int:
        """Count the rows, and see that each has as many fields as there are columns.

        Raises
        ------
        InputError
            With every row that has more or fewer (the first ten, and how many more), each with its line.
        """
        records = self._records()
        _, columns = self._header(records)
        # Most tables are right, and this is several times as fast as a look at every line.
        with suppress(csv.Error), self._reader() as reader:
            counted = Counter(map(len, reader))
            if set(counted) <= {0, len(columns)}:
                return counted[len(columns)] - 1
        problems: list[str] = []
        wrong = rows = 0
        for line, record in records:
            rows += 1
            if len(record) == len(columns):
                continue
            wrong += 1
            if wrong <= SHOWN:
                fields = f"{len(record)} field{'' if len(record) == 1 else 's'}"
                problems.append(
                    f"{self.path}:{line}: {fields}, and the first line names {len(columns)} columns; write "
                    f"as many ({_QUOTES})"
                )
        if problems:
            raise InputError(*shown(problems, wrong))
        return rows

    def batches(self, start: int) -> Iterator[Batch]:
        """See ``RowReader``."""
        records = self._records()
        _, columns = self._header(records)
        rows: list[dict[str, str]] = []
        characters = 0
        for number, (_, record) in enumerate(records):
            if number < start:
                continue
            rows.append(dict(zip(columns, record, strict=True)))
            characters += sum(map(len, record))
            if len(rows) == BATCH_ROWS or characters > BATCH_CHARACTERS:
                yield _batch(rows)
                rows, characters = [], 0
        if rows:
            yield _batch(rows)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row, with the line on which it begins."""
        records = self._records()
        self._header(records)
        yield from records

    def _header(self, records: Iterator[tuple[int, list[str]]]) -> tuple[int, list[str]]:
        """Return the line of the columns' names, and the names."""
        line, columns = next(records, (1, []))
        if not columns:
            raise InputError(
                f"{self.path}: the file is empty; its first line names the columns, each row below is one "
                "response"
            )
        try:
            "".join(columns).encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{self.path}:{line}: the names of the columns are not UTF-8; save the file as UTF-8"
            ) from None
        for separator, called in _OTHER_SEPARATORS.items():
            if len(columns) == 1 and separator in columns[0]:
                raise InputError(f"{self.path}:{line}: separated by {called}; write commas ({_QUOTES})")
        return line, columns

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each record that is not blank, with the line on which it begins."""
        with self._reader() as reader:
            begins = 1
            try:
                for record in reader:
                    if record:
                        yield begins, record
                    begins = reader.line_num + 1
            except csv.Error as error:
                raise InputError(
                    f"{self.path}:{begins}: not CSV from here on ({error}); {_QUOTES}"
                ) from error

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        if csv.field_size_limit() < LONGEST:
            # The module's own limit, 128 Ki, is short of a long response; there is no other way to raise it.
            csv.field_size_limit(LONGEST)
        with self.path.open("rb") as binary:
            if binary.read(2) in _UTF_16:
                raise InputError(f"{self.path}: the file is UTF-16; save it as UTF-8")
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield csv.reader(file, strict=True)


def _batch(rows: list[dict[str, str]]) -> Batch:
    # Its own cells, with their bytes that are no UTF-8.
    return Batch(rows, functools.partial(list, rows))


class CsvWriter:
    """Writes a CSV file; see ``create_writer``."""

    def __init__(self, folder: Path, layout: Layout, added: dict[str, type], mark: int) -> None:
        self._columns = list(layout.kinds)
        self._added = list(added)
        self._file = AppendedFile(folder / "rows.csv", mark)
        if not mark:
            self._write([[*map(as_text, self._columns), *self._added]])

    @property
    def mark(self) -> int:
        """Bytes written."""
        return self._file.mark

    def append(self, batch: Batch, added: Sequence[Added]) -> None:
        """See ``RowWriter``."""
        self._write(
            [
                [row.get(name, "") for name in self._columns] + [as_text(more[name]) for name in self._added]
                for row, more in zip(batch.cells(), added, strict=True)
            ]
        )

    def finish(self) -> Path:
        """See ``RowWriter``."""
        return self._file.path

    def _write(self, records: list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(records)
        self._file.append(text.getvalue())
