"""Template sets: the built-in ones and a user's own, from YAML; and filling a template with a signal.

Not here: which templates a study uses (its plan), crossing them with signals (design.py), and looking for
harsh words in them (checks.py).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from servicegap.errors import InputError
from servicegap.records import Template
from servicegap.yaml_source import Loc, YamlSource, read_yaml, validate

__all__ = ["BLANK", "BUILT_IN", "SLOT", "TemplateEntry", "TemplateFile", "fill", "load_templates"]

#: Where the signal goes, and what the model fills in a template of the task ``completion``.
SLOT = "{name}"
BLANK = "[BLANK]"
#: The sets that come with servicegap; each is a file of this folder.
BUILT_IN: tuple[str, ...] = ("toxigen", "neutral")

_ID = re.compile(r"\w[\w.-]*")
#: What was meant as a slot: words in braces, single or doubled. Other braces (JSON, say) are text.
_BRACES = re.compile(r"\{\{\s*[\w -]*\}\}|\{\s*[\w -]*\}")
_OPENS_SENTENCE = re.compile(r"""(?:^|[.!?…。？！؟।]["'”’»)\]]*\s+)["'“‘«„(\[¿¡]*$""")

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class TemplateEntry(BaseModel):
    """One template as it is written in a file; ``id`` and ``text`` are required."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    id: str
    task: Words = "completion"  # before the text: what the text needs depends on it
    text: str
    stereotype: Words | None = None
    target: Words | None = None
    source: Words | None = None
    study: bool = False

    @field_validator("id")
    @classmethod
    def _id_is_plain(cls, value: str) -> str:
        if not _ID.fullmatch(value):
            raise ValueError("must be letters, digits, '-', '_' and '.', and begin with a letter or a digit")
        return value

    @field_validator("text")
    @classmethod
    def _text_has_slots(cls, value: str, info: ValidationInfo) -> str:
        problems = _text_problems(value, task=info.data.get("task"))
        if problems:
            raise ValueError("; ".join(problems))
        return value.strip()


class TemplateFile(BaseModel):
    """A file of templates."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    description: str | None = None
    licence: str | None = None
    templates: Annotated[list[TemplateEntry], Field(min_length=1)]


def load_templates(source: str | Path) -> list[Template]:
    """Read a set of templates.

    Parameters
    ----------
    source : str or Path
        ``"toxigen"`` (64 templates, 8 for each of 8 target groups), ``"neutral"`` (16 without a stereotype),
        or the path of a YAML file: ``templates:`` with a list of entries, each with ``id``, ``text`` and, if
        wanted, ``task``, ``stereotype``, ``target``, ``source``, ``study``. A built-in set comes before a
        file of the same name; ``./toxigen`` or a Path names the file.

    Returns
    -------
    list of Template
        In the order of the file, at least one.

    Raises
    ------
    InputError
        With every mistake in the file: its line, the value and what is allowed.

    Examples
    --------
    >>> load_templates("neutral")[1].text
    'Dark clouds were coming up, so {name} took [BLANK] along.'
    """
    if isinstance(source, str) and source in BUILT_IN:
        return list(_built_in(source))
    return _read(source)


@functools.cache
def _built_in(name: str) -> tuple[Template, ...]:
    return tuple(_read(name))


def _read(source: str | Path) -> list[Template]:
    read = read_yaml(_path(source))
    entries = validate(TemplateFile, read, also=_repeated_ids(read)).templates
    return [Template(**entry.model_dump()) for entry in entries]


def fill(text: str, signal: str) -> str:
    """Put a signal into a template's slots.

    The signal's first letter becomes a capital where the slot opens a sentence: "someone" needs it, names
    have it, scripts without capitals are left as they are. Nothing else changes.

    Parameters
    ----------
    text : str
        A template's text, with one or more ``{name}``.
    signal : str
        What goes there; braces in it are text.

    Returns
    -------
    str

    Examples
    --------
    >>> fill("{name} took the bus. Why? {name} was late, and nobody saw {name}.", "someone")
    'Someone took the bus. Why? Someone was late, and nobody saw someone.'
    """
    pieces = text.split(SLOT)
    filled = pieces[0]
    before = pieces[0]  # judged without what was filled in: a signal may end in a full stop
    for piece in pieces[1:]:
        filled += (_capitalised(signal) if _OPENS_SENTENCE.search(before) else signal) + piece
        before += SLOT + piece
    return filled


def _capitalised(signal: str) -> str:
    first = signal[:1].title()  # Unicode's title case: not every script with capitals begins a name with one
    return first + signal[1:] if len(first) == 1 else signal


def _path(source: str | Path) -> Path:
    if isinstance(source, str) and source in BUILT_IN:
        return Path(__file__).with_name(f"{source}.yaml")
    path = Path(source)
    if not path.exists():
        raise InputError(
            f"{path}: no such file, and no built-in set of templates; built in are {' and '.join(BUILT_IN)}"
        )
    return path


def _text_problems(text: str, task: str | None) -> list[str]:
    if not text.strip():
        return [f"must not be empty; write a sentence with {SLOT}"]
    problems = []
    odd = dict.fromkeys(found for found in _BRACES.findall(text) if found != SLOT)
    if odd:
        problems.append(f"unknown slot {', '.join(odd)}; {SLOT} is the only slot that is allowed")
    if SLOT not in _BRACES.findall(text):
        problems.append(f"must have the slot {SLOT} where the signal goes")
    if task == "completion" and text.count(BLANK) != 1:
        problems.append(
            f"must have {BLANK} exactly once, has it {text.count(BLANK)} times; a text without a blank needs "
            "another task"
        )
    return problems


def _repeated_ids(source: YamlSource) -> list[tuple[Loc, str]]:
    entries: Any = source.data.get("templates") if isinstance(source.data, dict) else None
    first: dict[str, Loc] = {}
    found: list[tuple[Loc, str]] = []
    for position, entry in enumerate(entries if isinstance(entries, Sequence) else ()):
        identifier = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(identifier, str):
            continue
        loc: Loc = ("templates", position, "id")
        if identifier in first:
            line = source.line(first[identifier])
            found.append(
                (loc, f'"{identifier}": is the id of the template on line {line} too; rename one of them')
            )
        first.setdefault(identifier, loc)
    return found
