"""YAML that remembers its lines, so that every mistake in a file a person wrote is told with its place.

Reads plain data only: mappings, lists, texts, numbers, true/false, null and dates. Not here: what the keys
mean; that is a pydantic model's, and `validate` puts the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from servicegap.errors import InputError
from servicegap.yaml_mistakes import Loc, mistakes, path_text, shown

__all__ = ["Loc", "YamlSource", "read_yaml", "validate"]

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_MAX_DEPTH = 100
#: Values in a file once its aliases are written out; more is no configuration but an attack or an accident.
_MAX_VALUES = 1_000_000


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A YAML file's data with the place of each value.

    Attributes
    ----------
    path : Path
        The file, as it was given; messages show it so.
    data : dict, list, str, int, float, bool, date or None
        What the file says; None for a file without content.
    """

    path: Path
    data: Any
    _root: yaml.Node | None = field(default=None, repr=False, compare=False)

    def line(self, loc: Loc = ()) -> int:
        """Return the line of the value at a path: that of its key, or of its list entry.

        Parameters
        ----------
        loc : tuple of str or int
            Keys and list positions (from 0), from the top down. Where the path leads to nothing, the line
            is that of the nearest value around it.

        Returns
        -------
        int
            From 1.
        """
        found = node = self._root
        if found is None or node is None:
            return 1
        for part in loc:
            step = _child(node, part)
            if step is None:
                break
            found, node = step
        return int(found.start_mark.line) + 1

    def problem(self, loc: Loc, message: str) -> str:
        """Return one sentence for a mistake: ``file:line: path: message``."""
        where = f"{self.path}:{self.line(loc)}: "
        return f"{where}{path_text(loc)}: {message}" if loc else where + message


def read_yaml(path: Path) -> YamlSource:
    """Read a YAML file.

    Parameters
    ----------
    path : Path
        A file in UTF-8 with one YAML document.

    Returns
    -------
    YamlSource
        Its data, None where the file is empty, with line numbers.

    Raises
    ------
    InputError
        If the file cannot be read, is not UTF-8, is not YAML, has a key twice in one mapping (all such
        keys are told, with both lines), or holds something other than plain data.
    """
    text = _read_text(path)
    forbidden = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if forbidden:
        line = text.count("\n", 0, forbidden.start()) + 1
        raise InputError(
            f"{path}:{line}: the character U+{ord(forbidden.group()):04X} is not allowed in YAML; remove it"
        )
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return YamlSource(path, None)
        builder = _Builder(path, loader)
        data = builder.build(root).value
    except yaml.MarkedYAMLError as error:
        raise InputError(_yaml_problem(path, error)) from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply; at most {_MAX_DEPTH} levels are allowed") from error
    finally:
        loader.dispose()
    if builder.problems:
        raise InputError(*builder.problems)
    return YamlSource(path, data, None if data is None else root)


def validate(
    model: type[ModelT], source: YamlSource, *, also: Iterable[tuple[Loc, str]] = (), context: Any = None
) -> ModelT:
    """Return a file's data as a pydantic model, or tell every mistake in it at once.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        What the file has to be; with ``extra="forbid"``, so that a misspelt key is a mistake.
    source : YamlSource
        The file.
    also : iterable of (path, message), optional
        Mistakes that were found by other means, to be told together with the model's.
    context : Any, optional
        Handed to the model's validators.

    Returns
    -------
    BaseModel
        An instance of `model`.

    Raises
    ------
    InputError
        With one problem for each mistake, in the order of the file:
        ``file:line: path: value shown: what is allowed``.
    """
    problems = list(also)
    result = None
    try:
        result = model.model_validate({} if source.data is None else source.data, context=context)
    except pydantic.ValidationError as error:
        problems += mistakes(model, source.data, error)
    if problems or result is None:
        problems.sort(key=lambda problem: source.line(problem[0]))
        raise InputError(*(source.problem(loc, message) for loc, message in problems))
    return result


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8 text; save the file as UTF-8"
        ) from error


def _yaml_problem(path: Path, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"{path}:{mark.line + 1}" if mark else f"{path}"
    what = ", ".join(part for part in (error.context, error.problem) if part)
    return (
        f"{place}: not YAML: {what}; check the indentation, and put a text that begins with "
        'one of { [ * & @ % or holds ": " or " #" in quotes'
    )


@dataclass(frozen=True, slots=True)
class _Built:
    value: Any
    size: int


class _Builder:
    """Makes plain data from YAML nodes, gathering keys that are written twice."""

    def __init__(self, path: Path, loader: Any) -> None:
        self._path = path
        self._loader = loader
        self._done: dict[int, _Built] = {}
        self._open: list[int] = []
        self.problems: list[str] = []

    def build(self, node: yaml.Node) -> _Built:
        known = self._done.get(id(node))
        if known is not None:
            return known
        if id(node) in self._open:
            raise self._error(node, "an alias that contains itself; write the values out")
        if len(self._open) >= _MAX_DEPTH:
            raise self._error(node, f"nested too deeply; at most {_MAX_DEPTH} levels are allowed")
        self._open.append(id(node))
        built = self._build_open(node)
        self._open.pop()
        if built.size > _MAX_VALUES:
            raise self._error(node, f"more than {_MAX_VALUES:,} values once its aliases are written out")
        self._done[id(node)] = built
        return built

    def _build_open(self, node: yaml.Node) -> _Built:
        if isinstance(node, yaml.ScalarNode):
            return _Built(self._scalar(node), 1)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            entries = [self.build(entry) for entry in node.value]
            return _Built([entry.value for entry in entries], 1 + sum(entry.size for entry in entries))
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node)
        raise self._error(node, f"the tag {node.tag} is not allowed; write a plain list or mapping")

    def _mapping(self, node: yaml.MappingNode) -> _Built:
        self._find_repeated(node)
        self._loader.flatten_mapping(node)  # replaces "<<" by the keys that it merges, before the own ones
        values: dict[Any, Any] = {}
        size = 1
        for key_node, value_node in node.value:
            built = self.build(value_node)
            values[self._key(key_node)] = built.value
            size += built.size
        return _Built(values, size)

    def _find_repeated(self, node: yaml.MappingNode) -> None:
        first: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _TAG + "merge":
                continue
            key, line = self._key(key_node), key_node.start_mark.line + 1
            if key in first:
                self.problems.append(
                    f"{self._path}:{line}: the key {shown(key)} is on line {first[key]} too; keep one of them"
                )
            first.setdefault(key, line)

    def _key(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a key has to be a text; put it in quotes")
        return self._scalar(node)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            kind = node.tag.removeprefix(_TAG)
            raise self._error(
                node, f"{shown(node.value)} cannot be read as {kind}; put it in quotes if it is a text"
            ) from error

    def _error(self, node: yaml.Node, what: str) -> InputError:
        return InputError(f"{self._path}:{node.start_mark.line + 1}: {what}")


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the node that stands for a part of a path (key or entry) and the node of its value."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in reversed(node.value):  # the last of equal keys counts
            if key_node.value == str(part):
                return key_node, value_node
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None
