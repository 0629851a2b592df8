"""A server that is killed amid labelling has every label that it acknowledged."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "serve.py"


@pytest.fixture(scope="module")
def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_of_serve", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its records look their module up while they are made.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_killed_server_loses_and_doubles_no_label(benchmark: Any, tmp_path: Path) -> None:
    clients = benchmark.make_study(tmp_path, 1, 4, None)
    for most in (3, 10**6):
        server, address = benchmark.start(tmp_path)

        async def kill_amid(server: Any = server, address: str = address, most: int = most) -> None:
            work = asyncio.create_task(benchmark.label_all(clients, address, most, 0.0))
            saved = -1
            while saved < 20 and not work.done():
                saved = sum(len(client.saved) for client in clients)
                await asyncio.sleep(0.02)
            server.send_signal(signal.SIGKILL)
            await work

        asyncio.run(kill_amid())
        server.wait(20)
    found = benchmark.check(tmp_path, clients)
    assert found["acknowledged"] >= 20
    assert found["lost"] == 0
    assert found["doubled"] == 0
    assert found["most labels of one response"] <= 2
