"""A table being made: what is done so far is kept beside it, so that a command that was killed goes on.

While `OUT` is made there is a folder ``OUT.unfinished`` with the rows so far and a record. At the end the
rows become `OUT`, and the record ``OUT.label.json``: what it was made of, and how. Not here: what is written
(formats/rows), and why (label.py).
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servicegap.errors import InputError
from servicegap.study import write_json_whole

#: The files that a writer (formats/rows) keeps, and drafts of the record that a crash left.
_OWN = re.compile(r"rows\.(csv|jsonl|parquet)|[0-9]{8}\.parquet|\.record\.json\.[0-9]+")
MOST_REASONS = 50
OTHER_REASONS = "other reasons"


@dataclass(slots=True)
class Record:
    """How far a table is.

    Attributes
    ----------
    made_of : mapping of str to str
        What the rows depend on, in words: the input, the columns, the annotator, ...
    rows, masked : int
        Rows written, and those in which a signal could be masked.
    mark : int
        The writer's (formats/rows).
    categories, abstained : dict of str to int
        Rows by category, and by the reason for having none.
    bytes : int or None
        Size of the finished table; None while it is unfinished.
    """

    made_of: Mapping[str, str]
    rows: int = 0
    masked: int = 0
    mark: int = 0
    categories: dict[str, int] = field(default_factory=dict)
    abstained: dict[str, int] = field(default_factory=dict)
    bytes: int | None = None

    def count(self, category: str | None, reason: str | None, masked: bool) -> None:
        """Add one row."""
        self.rows += 1
        self.masked += masked
        if category is not None:
            self.categories[category] = self.categories.get(category, 0) + 1
            return
        reason = reason or "no reason given"
        if reason not in self.abstained and len(self.abstained) >= MOST_REASONS:
            reason = OTHER_REASONS
        self.abstained[reason] = self.abstained.get(reason, 0) + 1


def record_path(out: Path) -> Path:
    """Return where the record of a finished table is."""
    return out.with_name(f"{out.name}.label.json")


def finished(out: Path, made_of: Mapping[str, str]) -> Record | None:
    """Return the record of `out` where it is there already and made of the same; None where it is not there.

    Raises
    ------
    InputError
        If something else is there.
    """
    if not out.exists():
        return None
    kept = _read(record_path(out))
    step = "nothing was changed; give another --out, or move that file away"
    if kept is None:
        raise InputError(f"{out}: there is already such a file; {step}")
    if kept.bytes != out.stat().st_size:
        raise InputError(f"{out}: there is already such a file, and it was changed since it was made; {step}")
    if kept.made_of != made_of:
        raise InputError(f"{out}: already made, with {_difference(kept.made_of, made_of)}; {step}")
    return kept


class Unfinished:
    """The working folder of a table.

    Attributes
    ----------
    folder : Path
        Where the writer keeps its rows.
    record : Record
        To be brought up to date, and kept with ``keep`` after every batch.
    """

    def __init__(self, out: Path, folder: Path, record: Record) -> None:
        self.out = out
        self.folder = folder
        self.record = record

    def keep(self) -> None:
        """Note how far the table is."""
        write_json_whole(self.folder / "record.json", dataclasses.asdict(self.record))

    def finish(self, whole: Path) -> None:
        """Give the finished table its name, and leave the record beside it."""
        self.record.bytes = whole.stat().st_size
        write_json_whole(record_path(self.out), dataclasses.asdict(self.record))
        # Without its record the folder is rubbish, whatever happens from here on.
        (self.folder / "record.json").unlink()
        whole.replace(self.out)
        for path in self.folder.iterdir():
            if _OWN.fullmatch(path.name):
                path.unlink()


@contextmanager
def unfinished(out: Path, made_of: Mapping[str, str]) -> Iterator[Unfinished]:
    """Open the working folder of `out`, a new one or that of a command that did not end.

    Raises
    ------
    InputError
        If the table there is made of something else, or another process is at work on it.
    """
    folder = out.with_name(f"{out.name}.unfinished")
    folder.mkdir(exist_ok=True)
    with _alone(folder):
        kept = _read(folder / "record.json")
        if kept is None and any(each.name != "record.json" for each in folder.iterdir()):
            # Killed within the first batch or at the very end, or somebody else's folder.
            _clear(folder)
        if kept is not None and kept.made_of != made_of:
            raise InputError(
                f"{folder}: begun with {_difference(kept.made_of, made_of)}; nothing was changed; run that "
                "command to its end, give another --out, or remove the folder"
            )
        yield Unfinished(out, folder, kept or Record(made_of))


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if not (_OWN.fullmatch(path.name) and path.is_file()):
            raise InputError(
                f"{folder}: holds {path.name}, which servicegap did not write; give another --out"
            )
    for path in folder.iterdir():
        path.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder; the system lets go even after kill -9."""
    with ExitStack() as held:
        # Unix alone has it. Elsewhere nothing tells two commands with one --out apart.
        with suppress(ModuleNotFoundError):
            import fcntl  # noqa: PLC0415

            handle = os.open(folder, os.O_RDONLY)
            held.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{folder}: another command is at work on it; wait for it or stop it, then run this one "
                    "again"
                ) from error
        yield
        with suppress(OSError):
            folder.rmdir()  # only where nothing was begun


def _read(path: Path) -> Record | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Record(**kept)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not a record of servicegap; move it away, or give another --out"
        ) from error


def _difference(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    return ", ".join(
        f"{key} {one.get(key, 'none')} (now {other.get(key, 'none')})"
        for key in {**one, **other}
        if one.get(key) != other.get(key)
    )
