"""Rows of JSONL: one JSON object a line, in UTF-8; rows may have different keys.

What is read is written again byte for byte, with the added keys behind; blank lines are passed over.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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
    as_json,
    shown,
    written_out,
)


class JsonlReader:
    """Reads a JSONL file.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def layout(self) -> Layout:
        """See ``RowReader``; the columns are the keys of all rows, in the order in which they turn up."""
        kinds: dict[str, type] = {}
        problems: list[str] = []
        wrong = rows = 0
        for number, line in self._lines():
            rows += 1
            try:
                row = _object(line, _once)
            except ValueError as error:
                wrong += 1
                if wrong <= SHOWN:
                    problems.append(f"{self.path}:{number}: {error}; write one JSON object a line")
                continue
            for key, value in row.items():
                kinds[key] = _wider(kinds.get(key), value)
        if not rows:
            raise InputError(f"{self.path}: the file is empty; write one JSON object a line, one a response")
        if problems:
            raise InputError(*shown(problems, wrong))
        unknown = type(None)
        return Layout({key: str if kind is unknown else kind for key, kind in kinds.items()}, rows)

    def batches(self, start: int) -> Iterator[Batch]:
        """See ``RowReader``."""
        lines: list[str] = []
        characters = 0
        for number, (_, line) in enumerate(self._lines()):
            if number < start:
                continue
            lines.append(line)
            characters += len(line)
            if len(lines) == BATCH_ROWS or characters > BATCH_CHARACTERS:
                yield _batch(lines)
                lines, characters = [], 0
        if lines:
            yield _batch(lines)

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line that is not blank, with its number."""
        with self.path.open("rb") as file:
            number = 0
            while raw := file.readline(LONGEST + 1):
                number += 1
                if len(raw) > LONGEST:
                    raise InputError(
                        f"{self.path}:{number}: a line of more than {LONGEST // 2**20} MiB; write one JSON "
                        "object a line"
                    )
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape").strip()
                if line:
                    yield number, line


def _batch(lines: list[str]) -> Batch:
    return Batch([_object(each) for each in lines], functools.partial(_all_cells, lines), lines)


def _all_cells(lines: list[str]) -> list[dict[str, str]]:
    return [_cells(each) for each in lines]


def _cells(line: str) -> dict[str, str]:
    """Return an object's values as cells: texts without quotes, all else to the letter, null as nothing."""
    found: dict[str, str] = {}
    place = _past_gap(line, 1)
    while line[place] != "}":
        key, place = _DECODER.raw_decode(line, place)
        start = _past_gap(line, place)
        value, end = _DECODER.raw_decode(line, start)
        written = "" if value is None else value if isinstance(value, str) else line[start:end]
        found[key] = written_out(written)
        place = _past_gap(line, end)
    return found


def _past_gap(line: str, place: int) -> int:
    gap = _GAP.match(line, place)
    return gap.end() if gap else place


_DECODER = json.JSONDecoder()
#: What may stand between the keys and values of an object that is known to be JSON.
_GAP = re.compile(r"[ \t\r\n:,]+")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found


def _object(
    line: str, hook: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None
) -> dict[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=hook)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"no JSON object but {type(found).__name__}")  # noqa: TRY004 - of the file, not a type
    return found


def _wider(kind: type | None, value: object) -> type:
    """Return the kind of a column that held `kind` (None = nothing yet) and now also holds `value`."""
    own = type(value) if isinstance(value, str | bool | int | float | None) else object
    if own is int and not -(2**63) <= int(value) < 2**63:  # type: ignore[call-overload]
        own = object
    if kind in (None, own) or kind is type(None):
        return own
    if own is type(None):
        return kind or own
    return float if {kind, own} == {int, float} else object


class JsonlWriter:
    """Writes a JSONL file; see ``create_writer``."""

    def __init__(self, folder: Path, layout: Layout, added: dict[str, type], mark: int) -> None:
        self._file = AppendedFile(folder / "rows.jsonl", mark)

    @property
    def mark(self) -> int:
        """Bytes written."""
        return self._file.mark

    def append(self, batch: Batch, added: Sequence[Added]) -> None:
        """See ``RowWriter``."""
        lines = batch.original if isinstance(batch.original, list) else [as_json(row) for row in batch.rows]
        self._file.append("".join(_with(line, more) for line, more in zip(lines, added, strict=True)))

    def finish(self) -> Path:
        """See ``RowWriter``."""
        return self._file.path


def _with(line: str, added: Added) -> str:
    """Return an object's line with keys put behind its own."""
    before = line[:-1].rstrip()
    separator = "" if before.endswith("{") else ", "
    return f"{before}{separator}{as_json(added)[1:]}\n"
