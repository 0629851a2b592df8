"""The rules of the architecture: who imports whom, what loads when, that everything is described."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from servicegap.cli import cli

SOURCE = Path(__file__).parents[1] / "src" / "servicegap"
FILES = sorted(SOURCE.rglob("*.py"))
STAGES = ("design", "collect", "annotate", "analyse", "report")
HEAVY = (
    "torch",
    "altair",
    "sqlalchemy",
    "scipy",
    "starlette",
    "polars",
    "pydantic",
    "aiohttp",
    "numpy",
    "pandas",
    "sklearn",
    "xllamacpp",
    "vl_convert",
    "jinja2",
    "yaml",
    "rich",
)
MOST_LINES = 400


def module(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Yield every module of servicegap that a file imports, inside functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield str(node.module)


def belongs(name: str, part: str) -> bool:
    return name == f"servicegap.{part}" or name.startswith(f"servicegap.{part}.")


def test_there_is_something_to_check() -> None:
    assert {f"servicegap.{stage}" for stage in STAGES} <= {module(path) for path in FILES}


@pytest.mark.parametrize("stage", STAGES)
def test_stages_never_import_one_another(stage: str) -> None:
    for path in FILES:
        if belongs(module(path), stage):
            others = [n for n in imported(path) for other in STAGES if other != stage and belongs(n, other)]
            assert others == [], f"{path.name} imports {others}; audit.py alone puts stages together"


def test_nothing_imports_the_command_line_or_the_web() -> None:
    for path in FILES:
        own = module(path)
        for part in ("cli", "web"):
            if not belongs(own, part) and not belongs(own, "cli") and own != "servicegap.__main__":
                found = [name for name in imported(path) if belongs(name, part)]
                assert found == [], f"{path.name} imports {found}"


def test_statistics_know_no_study_and_no_database() -> None:
    families = ("disparity", "correction", "agreement", "power")
    paths = [path for family in families for path in (SOURCE / family).glob("*.py")]
    assert len(paths) > 30
    for path in paths:
        found = [
            n for n in imported(path) for part in ("study", "store", "audit", *STAGES) if belongs(n, part)
        ]
        assert found == [], f"{path} imports {found}"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_every_module_says_what_it_is_and_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, f"{path} has no docstring"
    assert len(docstring.split()) >= 4
    assert len(text.splitlines()) <= MOST_LINES, (
        f"{path} is longer than {MOST_LINES} lines; split it by meaning"
    )


@pytest.mark.parametrize(
    "statement", ["import servicegap", "from servicegap.cli import main; main(['--help'])"]
)
def test_no_heavy_library_is_loaded_before_it_is_needed(statement: str) -> None:
    script = f"""
import sys
try:
    {statement}
except SystemExit as ended:
    assert ended.code == 0
print("loaded:", sorted(name for name in sys.modules if name in {HEAVY!r}))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "loaded: []"


def test_collecting_loads_no_plots_and_no_statistics() -> None:
    script = f"import sys, servicegap.audit; print(sorted(set(sys.modules) & {set(HEAVY)!r}))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"altair", "vl_convert", "scipy", "polars", "numpy"} & set(ast.literal_eval(ended.stdout))


def commands(
    group: click.Group = cli, before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        else:
            yield (*before, name), command


COMMANDS = dict(commands())


def test_the_commands_are_those_promised() -> None:
    first = {name for name, *_ in COMMANDS}
    promised = "audit init validate design collect annotate analyse report status plan compare import models"
    assert set(promised.split()) <= first


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_that_parses(name: tuple[str, ...]) -> None:
    command = COMMANDS[name]
    context = click.Context(
        command,
        info_name=" ".join(name),
        parent=click.Context(cli, info_name="servicegap", **cli.context_settings),
    )
    text = command.get_help(context)
    assert command.help
    assert "Example:" in text
    example = text.split("Example:")[1].replace("\\\n", " ")
    for line in filter(None, map(str.strip, example.splitlines())):
        words = line.split()
        assert words[: 1 + len(name)] == ["servicegap", *name]
        # Parsed for real: an option that is renamed breaks its example.
        command.make_context(" ".join(name), words[1 + len(name) :])


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_every_option_is_described(name: tuple[str, ...]) -> None:
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(name)}: {parameter.opts} has no help"
