"""The public names: curated, there, described, and what the type checker sees."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import servicegap

NAMES = servicegap.__all__
INIT = Path(servicegap.__file__)


def test_they_are_sorted_and_each_has_its_home() -> None:
    assert list(NAMES) == sorted(
        set(NAMES), key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert set(servicegap._HOMES) == set(NAMES)
    assert set(NAMES) <= set(dir(servicegap))


def test_the_type_checker_is_told_of_exactly_these() -> None:
    told = {
        alias.name
        for node in ast.walk(ast.parse(INIT.read_text(encoding="utf-8")))
        if isinstance(node, ast.If)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert told == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_module_takes_the_place_of_a_name(name: str) -> None:
    # Importing servicegap.rates, say, would make `rates` of the package that module.
    assert not (INIT.parent / f"{name}.py").exists()
    assert not (INIT.parent / name).exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_one_of_its_module_and_is_described(name: str) -> None:
    found = getattr(servicegap, name)
    assert found is getattr(import_module(f"servicegap.{servicegap._HOMES[name]}"), name)
    if callable(found):
        text = inspect.getdoc(found)
        assert text
        assert not text.startswith(f"{name}("), "a dataclass without a docstring of its own"
    if inspect.isfunction(found):
        assert text
        assert "Returns" in text or "Return " in text.splitlines()[0]
        assert all(p in text for p in inspect.signature(found).parameters), "a parameter is not described"


def test_everything_can_be_imported_by_star() -> None:
    script = f"from servicegap import *\nprint(sorted(set({NAMES!r}) - set(globals())))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'servicegap' has no attribute 'no_such_name'"):
        _ = servicegap.no_such_name


def test_errors_are_one_tree() -> None:
    for name in NAMES:
        if name.endswith("Error"):
            assert issubclass(getattr(servicegap, name), servicegap.ServicegapError)
    assert servicegap.StudyError.exit_code == servicegap.ModelError.exit_code == 1
    assert servicegap.InputError.exit_code == servicegap.DataError.exit_code == 2
    assert servicegap.InputError("a", "b").problems == ("a", "b")
