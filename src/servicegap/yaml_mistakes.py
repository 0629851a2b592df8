"""Pydantic's errors in words: what was found, and what is allowed there.

Not here: lines and files; yaml_source.py adds them.
"""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

import pydantic

#: The way to a value: keys and list positions (from 0), from the top down.
Loc = tuple[str | int, ...]

_MAX_SHOWN = 60

_LIST = "must be a list (lines that begin with '- ')"
_MAPPING = "must be a mapping (lines of the form 'key: value')"
_TEXT = "must be a text (put it in quotes)"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_YES_NO = "must be true or false"

#: pydantic's kinds of error -> what is allowed, with the error's own values in braces.
_ALLOWED: Mapping[str, str] = MappingProxyType(
    {
        "list_type": _LIST,
        "tuple_type": _LIST,
        "set_type": _LIST,
        "frozen_set_type": _LIST,
        "dict_type": _MAPPING,
        "model_type": _MAPPING,
        "model_attributes_type": _MAPPING,
        "dataclass_type": _MAPPING,
        "string_type": _TEXT,
        "int_type": _WHOLE,
        "int_parsing": _WHOLE,
        "int_from_float": _WHOLE,
        "float_type": _NUMBER,
        "float_parsing": _NUMBER,
        "finite_number": "must be a finite number",
        "bool_type": _YES_NO,
        "bool_parsing": _YES_NO,
        "none_required": "must be empty (null)",
        "greater_than": "must be more than {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be less than {lt}",
        "less_than_equal": "must be at most {le}",
        "string_too_short": "must have at least {min_length} characters",
        "string_too_long": "must have at most {max_length} characters",
        "string_pattern_mismatch": "must match the pattern {pattern}",
        "too_short": "must have at least {min_length} entries, has {actual_length}",
        "too_long": "must have at most {max_length} entries, has {actual_length}",
        "literal_error": "must be {expected}",
        "enum": "must be {expected}",
    }
)


def mistakes(
    model: type[pydantic.BaseModel], data: Any, error: pydantic.ValidationError
) -> list[tuple[Loc, str]]:
    """Return each mistake as its path and one sentence; the alternatives of a union are one mistake.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        What the data had to be.
    data : Any
        Plain data, as it was given to the model.
    error : pydantic.ValidationError
        What the model said.

    Returns
    -------
    list of (path, sentence)
        The path is the part of pydantic's that `data` has, with the key that is missing from it.
    """
    sentences: dict[Loc, list[str]] = {}
    values: dict[Loc, str] = {}
    for item in error.errors(include_url=False):
        loc = _loc_in_data(data, item["loc"])
        if item["type"] == "missing":
            sentences.setdefault((*loc, item["loc"][-1]), []).append("is required and missing; add it")
        elif item["type"] == "extra_forbidden":  # its value stays unsaid: it may be a secret
            sentences.setdefault(loc, []).append(_unknown_key(model, loc))
        else:
            values[loc] = f"{shown(item['input'])}: "
            sentences.setdefault(loc, []).append(_allowed(item["type"], item))
    # A value of the wrong kind has nothing wrong below it; where it has, another member of a union spoke.
    last = [loc for loc in sentences if not any(below[: len(loc)] == loc != below for below in sentences)]
    return [(loc, values.get(loc, "") + " or ".join(dict.fromkeys(sentences[loc]))) for loc in last]


def _allowed(kind: str, item: Mapping[str, Any]) -> str:
    context = item.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"must be {context['expected']}" + _closest(str(item["input"]), choices)
    if kind in _ALLOWED:
        return _ALLOWED[kind].format_map({key: _number(value) for key, value in context.items()})
    return str(item["msg"]).replace("Input should be", "must be").replace("Value error, ", "")


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unknown_key(model: type[pydantic.BaseModel], loc: Loc) -> str:
    known = [name for owner in _models_at(model, loc[:-1]) for name in _keys(owner)]
    return f"unknown key{_closest(str(loc[-1]), known)}; allowed: {', '.join(dict.fromkeys(known))}"


def _closest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _keys(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Return the keys that a file may use for a model, with the type of each."""
    return {spec.alias or name: spec.annotation for name, spec in model.model_fields.items()}


def _models_at(model: type[pydantic.BaseModel], loc: Loc) -> list[type[pydantic.BaseModel]]:
    """Return the models that the value at a path can be: several where a union allows them."""
    found = [model]
    for part in loc:
        types = [_keys(owner)[str(part)] for owner in found if part in _keys(owner)]
        # A list position or a free key of a mapping chooses no field: the models inside stay the same.
        found = [inner for one in types for inner in _models_in(one)] or found
    return found


def _models_in(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _loc_in_data(data: Any, loc: Loc) -> Loc:
    """Return the part of pydantic's path that the data has; the rest names validators and union members."""
    found: list[str | int] = []
    for part in loc:
        known: Container[Any] = ()
        if isinstance(data, dict):
            known = data
        elif isinstance(data, list):
            known = range(len(data))
        if part in known:
            data = data[part]
            found.append(part)
    return tuple(found)


def path_text(loc: Loc) -> str:
    """Return a path as text: ``templates[0].text``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")


def shown(value: Any) -> str:
    """Return a value as a message shows it: as JSON, cut where it is long."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
