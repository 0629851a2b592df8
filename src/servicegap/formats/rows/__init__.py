"""Tables read and written a batch of rows at a time: CSV, JSONL and Parquet, by the file's extension.

Memory stays the same however long a table is. What is wrong with a file is told before its first row is
used. Not here: what the rows mean (label.py), tables of labels to be analysed (formats/table.py).
"""

from __future__ import annotations

from pathlib import Path

from servicegap.errors import InputError
from servicegap.formats.rows.csv_rows import CsvReader, CsvWriter
from servicegap.formats.rows.jsonl_rows import JsonlReader, JsonlWriter
from servicegap.formats.rows.parquet_rows import ParquetReader, ParquetWriter
from servicegap.formats.rows.protocol import Batch, Layout, RowReader, RowWriter

__all__ = [
    "EXTENSIONS",
    "Batch",
    "Layout",
    "RowReader",
    "RowWriter",
    "create_writer",
    "extension_of",
    "open_reader",
]

_READERS: dict[str, type[CsvReader | JsonlReader | ParquetReader]] = {
    ".csv": CsvReader,
    ".jsonl": JsonlReader,
    ".ndjson": JsonlReader,
    ".parquet": ParquetReader,
}
_WRITERS: dict[str, type[CsvWriter | JsonlWriter | ParquetWriter]] = {
    ".csv": CsvWriter,
    ".jsonl": JsonlWriter,
    ".ndjson": JsonlWriter,
    ".parquet": ParquetWriter,
}
#: The extensions that say which format a file has.
EXTENSIONS = tuple(_READERS)


def open_reader(path: Path) -> RowReader:
    """Return a reader of the table in `path`.

    Raises
    ------
    InputError
        If the file is not there, or its extension is none of EXTENSIONS.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a table: {', '.join(EXTENSIONS)}")
    return _READERS[extension_of(path)](path)


def create_writer(out: Path, folder: Path, layout: Layout, added: dict[str, type], mark: int) -> RowWriter:
    """Return a writer of the table that is to become `out`.

    Parameters
    ----------
    out : Path
        Its extension says the format; the file itself is not touched.
    folder : Path
        Where the writer keeps what it has written until all is.
    layout : Layout
        Of the table that the rows come from.
    added : dict of str to type
        The columns put after the table's own: str or float, None where a row has none.
    mark : int
        The ``mark`` of an earlier writer to go on from (what it wrote after that is dropped); 0 = start.

    Raises
    ------
    InputError
        If the extension is none of EXTENSIONS.
    """
    return _WRITERS[extension_of(out)](folder, layout, added, mark)


def extension_of(path: Path) -> str:
    """Return the extension of a table's file, in lower case.

    Raises
    ------
    InputError
        If it is none of EXTENSIONS.
    """
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        written = repr(path.suffix) if path.suffix else "no extension"
        raise InputError(f"{path}: {written} names no format of a table; allowed: {', '.join(EXTENSIONS)}")
    return extension
