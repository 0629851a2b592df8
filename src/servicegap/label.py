"""Labels for any table of prompts and responses, without a study.

Each row gets an automatic annotator's category, or an abstention with its reason; a row is never dropped.
Signals are masked before the annotator looks: those of a column, or else the built-in names. Not here: how
tables are read and written (formats/rows), how a run that was killed goes on (unfinished.py), labels in a
study (annotate.py).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from servicegap import __version__
from servicegap.annotators import create_annotator
from servicegap.annotators.texts import Label, Texts, known_names, label_texts
from servicegap.errors import InputError
from servicegap.formats.rows import Batch, create_writer, extension_of, open_reader
from servicegap.formats.rows.protocol import Added
from servicegap.records import CATEGORIES, content_hash
from servicegap.unfinished import Record, finished, unfinished
from servicegap.workers import in_order

#: The columns that are added, and what they hold; None where a row has none.
ADDED: Mapping[str, type] = {
    "category": str,
    "abstain_reason": str,
    **{f"p_{category}": float for category in CATEGORIES},
    "annotator": str,
    "annotator_version": str,
}
#: Tables of fewer rows are labelled sooner than more processes have started.
FEW_ROWS = 3000


@dataclass(frozen=True, slots=True)
class TextColumns:
    """The table's columns with the prompt, the response and, where there is one, the signal."""

    prompt: str
    response: str
    signal: str | None = None


@dataclass(frozen=True, slots=True)
class LabelledTable:
    """What was done to a table.

    Attributes
    ----------
    out : Path
    rows, masked : int
        Rows, and those in which at least one signal was found and masked.
    signals : str
        What was masked, in words.
    categories, abstained : mapping of str to int
        Rows by category, and by the reason for having none.
    annotator, version : str
    """

    out: Path
    rows: int
    masked: int
    signals: str
    categories: Mapping[str, int]
    abstained: Mapping[str, int]
    annotator: str
    version: str


def label_table(
    table: Path,
    out: Path,
    columns: TextColumns,
    *,
    annotator: str = "offline",
    study: Path | None = None,
    workers: int = 1,
    watch: Callable[[int, int], None] | None = None,
) -> LabelledTable:
    """Write `table` with the columns of ADDED behind its own.

    Safe to run again: a run that was killed goes on where it stopped, and one that ended is not repeated.

    Parameters
    ----------
    table, out : Path
        ``.csv``, ``.jsonl`` (``.ndjson``) or ``.parquet``; the formats may differ.
    columns : TextColumns
    annotator : str
        One of ``servicegap.annotators.ANNOTATORS``, or ``fitted``.
    study : Path, optional
        The folder of the study in which the annotator was fitted.
    workers : int
        Processes; the rows are the same with any number. Above 1, call it from a guarded
        ``if __name__ == "__main__"``.
    watch : callable, optional
        Called after each batch with the rows done and all rows.

    Returns
    -------
    LabelledTable

    Raises
    ------
    InputError
        If the table cannot be read, columns are absent or taken, `out` is in use for something else, or the
        annotator is unknown.
    """
    reader = open_reader(table)
    _check_places(table, out)
    judge = create_annotator(annotator, study)
    layout = reader.layout()
    _check_columns(table, layout.kinds, columns, layout.rows)
    made_of = _made_of(table, columns, judge.name, judge.version)
    record = finished(out, made_of)
    if record is None:
        with unfinished(out, made_of) as work:
            record = work.record
            writer = create_writer(out, work.folder, layout, dict(ADDED), record.mark)
            count = workers if layout.rows - record.rows > FEW_ROWS else 1
            work_on = functools.partial(label_texts, annotator, study)
            pieces = ((batch, _texts(batch, columns)) for batch in reader.batches(record.rows))
            for batch, labels in in_order(work_on, pieces, count):
                writer.append(batch, [_added(label, judge.name, judge.version) for label in labels])
                for label in labels:
                    record.count(label.judgement.category, label.judgement.abstain_reason, label.masked)
                record.mark = writer.mark
                work.keep()
                if watch:
                    watch(record.rows, layout.rows)
            if record.rows != layout.rows or _sha256(table) != made_of["sha256"]:
                raise InputError(
                    f"{table}: changed while it was labelled; remove {work.folder} and run the command again"
                )
            work.finish(writer.finish())
    return _labelled_table(out, record, made_of)


def _check_places(table: Path, out: Path) -> None:
    extension_of(out)
    if not out.parent.is_dir():
        raise InputError(f"{out}: no folder {out.parent}; make it, or give another --out")
    if out.exists() and out.samefile(table):
        raise InputError(f"{out}: --out is the table itself, which stays as it is; give another --out")
    if out.is_dir():
        raise InputError(
            f"{out}: --out is a folder; give a file in it, such as {out / ('labelled' + table.suffix)}"
        )


def _check_columns(table: Path, kinds: Mapping[str, type], columns: TextColumns, rows: int) -> None:
    uses = {"--prompt": columns.prompt, "--response": columns.response, "--signal": columns.signal}
    wanted = {option: name for option, name in uses.items() if name is not None}
    has = ", ".join(name if name == name.strip() else repr(name) for name in kinds)
    problems = [
        f"{table}: no column {name!r} (for {option}); the columns are: {has}"
        for option, name in wanted.items()
        if name not in kinds
    ]
    problems += [
        f"{table}: column {name!r} (for {option}) holds no text; give a column of text"
        for option, name in wanted.items()
        if option != "--signal" and kinds.get(name, str) in (int, float, bool)
    ]
    if len(set(wanted.values())) < len(wanted):
        problems.append(f"{table}: {', '.join(wanted)} name the same column; give each its own")
    taken = [name for name in ADDED if name in kinds]
    if taken:
        problems.append(
            f"{table}: has already: {', '.join(taken)}; servicegap adds columns of these names: rename yours"
        )
    if not rows:
        problems.append(f"{table}: no rows; write one response a row")
    if problems:
        raise InputError(*problems)


def _made_of(table: Path, columns: TextColumns, annotator: str, version: str) -> dict[str, str]:
    """Return all that the labels depend on."""
    names = None if columns.signal else content_hash(*known_names())
    return {
        "table": table.name,
        "sha256": _sha256(table),
        "--prompt": columns.prompt,
        "--response": columns.response,
        "--signal": columns.signal or f"none, known names {names}",
        "annotator": f"{annotator} {version}",
        "servicegap": __version__,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _texts(batch: Batch, columns: TextColumns) -> list[Texts]:
    return [
        Texts(
            row.get(columns.prompt),
            row.get(columns.response),
            row.get(columns.signal) if columns.signal else None,
        )
        for row in batch.rows
    ]


def _added(label: Label, annotator: str, version: str) -> Added:
    judgement = label.judgement
    probabilities = judgement.probabilities or (None,) * len(CATEGORIES)
    return {
        "category": judgement.category,
        "abstain_reason": judgement.abstain_reason,
        **{
            f"p_{category}": None if p is None else round(p, 6)
            for category, p in zip(CATEGORIES, probabilities, strict=True)
        },
        "annotator": annotator,
        "annotator_version": version,
    }


def _labelled_table(out: Path, record: Record, made_of: Mapping[str, str]) -> LabelledTable:
    annotator, version = made_of["annotator"].rsplit(" ", 1)
    given = not made_of["--signal"].startswith("none, known names")
    return LabelledTable(
        out=out,
        rows=record.rows,
        masked=record.masked,
        signals=f"the signal in column {made_of['--signal']!r}" if given else "a known name",
        categories={category: record.categories.get(category, 0) for category in CATEGORIES},
        abstained=dict(sorted(record.abstained.items(), key=lambda each: -each[1])),
        annotator=annotator,
        version=version,
    )
