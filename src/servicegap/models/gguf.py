"""What a GGUF file says of itself in its header: architecture, name, chat template.

Only the header is read; the weights are llama.cpp's. The format: "GGUF" in the documentation of ggml.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servicegap.errors import WeightsError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
#: Value types of fixed size: number in the file -> how `struct` reads it.
_SCALARS = {
    number: struct.Struct("<" + code)
    for number, code in {
        0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"
    }.items()
}  # fmt: skip
_COUNT = _SCALARS[10]
_TYPE = _SCALARS[4]


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself; None = it does not say."""

    architecture: str | None
    name: str | None
    chat_template: str | None


def read_header(path: Path) -> Header:
    """Return what a GGUF file says of itself.

    Raises
    ------
    WeightsError
        If the file is absent, is no GGUF file, or ends within its header.
    """
    try:
        with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            begin = data[:4]
            if begin != _MAGIC:
                raise WeightsError(f"{path}: no GGUF file (it begins with {begin!r}); give a model in GGUF")
            found = _Reader(data).metadata()
    except FileNotFoundError:
        raise WeightsError(
            f"{path}: there is no such file; give the path of a GGUF file, or a name that "
            "`servicegap models list` shows"
        ) from None
    except (OSError, ValueError, struct.error) as error:
        # ValueError: an empty file cannot be mapped, and text may not be UTF-8.
        raise WeightsError(f"{path}: cannot be read as GGUF ({error}); fetch the file again") from error
    return Header(
        architecture=_text(found, "general.architecture"),
        name=_text(found, "general.name"),
        chat_template=_text(found, "tokenizer.chat_template"),
    )


def _text(found: Mapping[str, Any], key: str) -> str | None:
    value = found.get(key)
    return value if isinstance(value, str) and value else None


class _Reader:
    """Walks through the key-value pairs; arrays are stepped over."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 4

    def metadata(self) -> dict[str, Any]:
        version = self._scalar(_TYPE)
        if version not in _VERSIONS:
            raise ValueError(f"version {version} of the format, known are {_VERSIONS}")
        self._scalar(_COUNT)  # tensors
        return {self._string(): self._value(self._scalar(_TYPE)) for _ in range(self._scalar(_COUNT))}

    def _scalar(self, kind: struct.Struct) -> Any:
        value = kind.unpack_from(self._data, self._at)[0]
        self._at += kind.size
        return value

    def _string(self) -> str:
        end = self._scalar(_COUNT) + self._at
        if end > len(self._data):
            raise ValueError("it ends within its header")
        raw, self._at = self._data[self._at : end], end
        return raw.decode("utf-8")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._skip_array()
        if kind not in _SCALARS:
            raise ValueError(f"unknown type {kind} in its header")
        return self._scalar(_SCALARS[kind])

    def _skip_array(self) -> None:
        kind, count = self._scalar(_TYPE), self._scalar(_COUNT)
        if kind in _SCALARS:
            self._at += _SCALARS[kind].size * count
            return
        # A vocabulary has hundreds of thousands of strings: this loop is the whole cost of a header.
        data, at, read = self._data, self._at, _COUNT.unpack_from
        if kind != _STRING:
            raise ValueError(f"an array of type {kind} in its header")
        for _ in range(count):
            at += 8 + read(data, at)[0]
        self._at = at
