"""Read a list of names from CSV: the built-in one, or a user's own in any language and script."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from servicegap.errors import InputError
from servicegap.records import Signal
from servicegap.visible import visible_text

#: The control: a prompt that says nothing of who the person is.
NEUTRAL = Signal(text="someone", group=None, kind="neutral")

BUILT_IN = Path(__file__).with_name("names.csv")
REQUIRED = ("name", "group")
COLUMNS = (*REQUIRED, "gender", "commonness", "evidence", "source", "figures", "notes")
GENDERS = ("woman", "man", "both")
#: What may be written for commonness, and how it is kept; ``least`` is the word of the study's pilot.
COMMONNESS: Mapping[str, str] = {"common": "common", "rare": "rare", "least": "rare"}
#: What no name may hold: templates and prompts mark their places so.
RESERVED = ("{", "}", "[BLANK]", "[NAME]")


def load_signals(path: Path | None = None) -> list[Signal]:
    """Read a list of names.

    Parameters
    ----------
    path : Path, optional
        A CSV file in UTF-8 (a byte-order mark is allowed) whose first line names the columns, in any
        order: ``name`` and ``group`` are required; ``gender`` (woman, man, both), ``commonness`` (common,
        rare; the pilot's ``least`` is read as rare), ``evidence``, ``source``, ``figures`` and ``notes``
        may be absent or empty. None = the built-in names.

    Returns
    -------
    list of Signal
        In the file's order, each text once. Texts are in Unicode's composed form (NFC), without blanks
        around them or unseen characters in them; what is empty is None; the figures stand at the end of
        the notes.

    Raises
    ------
    InputError
        If the file cannot be read or anything in it is wrong: all mistakes, each with its file and the
        line on which its row begins.

    Examples
    --------
    >>> [signal.text for signal in load_signals() if signal.group == "Muslim"][:2]
    ['Fatima', 'Khadija']
    """
    source = BUILT_IN if path is None else path
    mistakes: list[_Mistake] = []
    rows = _rows(_read_text(source, mistakes), mistakes)
    mistakes += [mistake for row in rows for mistake in _mistakes(row)]
    mistakes += _repeated_names(rows)
    if mistakes:
        mistakes.sort(key=lambda mistake: mistake.line)
        raise InputError(*(f"{source}:{mistake.line}: {mistake.text}" for mistake in mistakes))
    return [_signal(row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: the line on which it begins, and its fields by column, or why they cannot be told apart."""

    line: int
    fields: Mapping[str, str]
    malformed: str | None = None


@dataclass(frozen=True, slots=True)
class _Mistake:
    line: int
    text: str


def _read_text(path: Path, mistakes: list[_Mistake]) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror}); give the path of a CSV file of names"
        raise InputError(message) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad = error.object[error.start]
        line = error.object.count(b"\n", 0, error.start) + 1
        mistakes.append(_Mistake(line, f"byte 0x{bad:02x} is not UTF-8; save the file as UTF-8"))
        # Names that differ in such bytes stay different, so the other mistakes can be looked for.
        return raw.decode("utf-8-sig", errors="backslashreplace")


def _allowed() -> str:
    return f"{', '.join(REQUIRED)} (required), {', '.join(COLUMNS[len(REQUIRED) :])}"


def _records(text: str, mistakes: list[_Mistake]) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank with the physical line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    try:
        for record in reader:
            # NFC, so that a name looks up, compares and hashes the same however it was typed.
            tidy = [unicodedata.normalize("NFC", field).strip() for field in record]
            if any(tidy):
                yield begins, tidy
            begins = reader.line_num + 1
    except csv.Error as error:
        reason = (
            f"not CSV from here on ({error}); a field with a comma, a quote or a line "
            f'break stands in double quotes, a quote within it is written ""'
        )
        mistakes.append(_Mistake(begins, reason))


def _rows(text: str, mistakes: list[_Mistake]) -> list[_Row]:
    """Return the rows; none where the first line does not say what they mean."""
    if not text.strip():
        empty = f"the file is empty; its first line names the columns: {_allowed()}"
        mistakes.append(_Mistake(1, empty))
        return []
    records = list(_records(text, mistakes))
    columns = [column.lower() for column in records[0][1]] if records else []
    known = [column for column in REQUIRED if column in columns]
    if mistakes and not known:  # in another encoding, or not CSV from the start: that says it all
        return []
    if not records:
        missing = f"no column names; the first line names the columns: {_allowed()}"
        mistakes.append(_Mistake(1, missing))
        return []
    (line, _), *body = records
    if not body and not mistakes:
        mistakes.append(_Mistake(line, "no names below the column names; write one name a line"))
    mistakes += [_Mistake(line, problem) for problem in _header_problems(columns)]
    return [_row(begins, columns, record) for begins, record in body] if known else []


def _header_problems(columns: list[str]) -> Iterator[str]:
    allowed = f"the first line names the columns, separated by commas; allowed: {_allowed()}"
    for column in REQUIRED:
        if column not in columns:
            yield f"no column '{column}'; {allowed}"
    for column in dict.fromkeys(columns):
        if column not in COLUMNS:
            yield f"unknown column '{column}'; {allowed}"
        elif columns.count(column) > 1:
            yield f"column '{column}' stands there {columns.count(column)} times; keep one of them"


def _row(line: int, columns: list[str], record: list[str]) -> _Row:
    if len(record) == len(columns):
        return _Row(line, dict(zip(columns, record, strict=True)))
    fields = "1 field" if len(record) == 1 else f"{len(record)} fields"
    reason = (
        f"{fields} in this row, the first line names {len(columns)} columns; write as many, and put one "
        "that has a comma in it in double quotes"
    )
    return _Row(line, {}, malformed=reason)


def _mistakes(row: _Row) -> Iterator[_Mistake]:
    if row.malformed is not None:
        yield _Mistake(row.line, row.malformed)
        return
    texts = [_text_problem(column, row.fields[column]) for column in REQUIRED if column in row.fields]
    words = [_gender_problem(row.fields.get("gender")), _commonness_problem(row.fields.get("commonness"))]
    yield from (_Mistake(row.line, problem) for problem in (*texts, *words) if problem)


def _text_problem(column: str, text: str) -> str | None:
    if not text:
        return f"the {column} is empty; every row needs a name and a group"
    if (shown := visible_text(text)) != text:
        return f"the {column} '{shown}' has a line break or another unseen character in it; take it out"
    if column == "group":
        return None
    if held := [mark for mark in RESERVED if mark.casefold() in text.casefold()]:
        return f"the name '{text}' has {' and '.join(held)} in it, which is a place in a prompt; take it out"
    if text.casefold() == NEUTRAL.text:
        return f"the name '{text}' is the control's, which signals no group; leave it out"
    return None


def _gender_problem(gender: str | None) -> str | None:
    if not gender or gender in GENDERS:
        return None
    return f"unknown gender '{gender}'; allowed: {', '.join(GENDERS)}, or empty"


def _commonness_problem(commonness: str | None) -> str | None:
    if not commonness or commonness in COMMONNESS:
        return None
    return f"unknown commonness '{commonness}'; allowed: common, rare, or empty"


def _repeated_names(rows: list[_Row]) -> Iterator[_Mistake]:
    first: dict[str, _Row] = {}
    for row in rows:
        name = row.fields.get("name")
        if not name:
            continue
        # Capitals alone do not make another name: "Li" and "li" would be one signal twice.
        earlier = first.setdefault(name.casefold(), row)
        group, other = row.fields.get("group"), earlier.fields.get("group")
        if earlier is row:
            continue
        if group == other or not (group and other):
            reason = f"the name '{name}' stands already on line {earlier.line}; keep one of them"
        else:
            reason = (
                f"the name '{name}' is in two groups: '{group}' here, '{other}' on line {earlier.line}; "
                "a name can signal one group only"
            )
        yield _Mistake(row.line, reason)


def _signal(row: _Row) -> Signal:
    fields = {column: row.fields.get(column) or None for column in COLUMNS}
    commonness = fields["commonness"]
    remarks = [remark for remark in (fields["notes"], fields["figures"]) if remark]
    return Signal(
        text=row.fields["name"],
        group=row.fields["group"],
        gender=fields["gender"],
        commonness=COMMONNESS[commonness] if commonness else None,
        evidence=fields["evidence"],
        source=fields["source"],
        notes=" ".join(remarks) or None,
    )
