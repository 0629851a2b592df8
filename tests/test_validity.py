"""The proof that crossed Welch holds its level, world by world (benchmarks/validity.py prints the table)."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def benchmark() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "validity.py"
    spec = importlib.util.spec_from_file_location("validity", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["validity"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


VALIDITY = benchmark()
WORLDS = {world.title: world for world in VALIDITY.worlds()}


def test_every_world_is_named_once_and_covers_what_was_asked() -> None:
    worlds = list(VALIDITY.worlds())
    assert len(WORLDS) == len(worlds)
    assert {world.names for world in worlds} >= {(a, b) for a in (4, 8, 16, 24) for b in (4, 8, 16)}
    assert {world.templates for world in worlds} >= {4, 8, 16, 24, 48}
    assert {world.base for world in worlds} >= {0.01, 0.02, 0.05, 0.1, 0.3, 0.5}
    assert {world.name_shape for world in worlds} == {"normal", "outlier", "skewed"}
    assert {(world.missing, world.lost) for world in worlds} >= {(0.2, 0), (0, 0.6)}
    assert {world.group_by_template > 0 for world in worlds} == {True, False}


@pytest.mark.slow
@pytest.mark.parametrize("title", WORLDS)
def test_level_and_coverage_hold(title: str) -> None:
    world = WORLDS[title]
    line = VALIDITY.measure(world, 250, seed=11)
    # Three standard errors: with two bounds in each of 76 worlds, two would fail by chance.
    assert VALIDITY.verdict(world, line, 250, errors=3) != "FAILED", line
