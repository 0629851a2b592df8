"""Collection against a real server on loopback that counts and misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Ended

from servicegap.arrivals import FLUSH_ROWS
from servicegap.collect import Collected, collect
from servicegap.design import build_design
from servicegap.errors import ModelError
from servicegap.presets import Choices, create_study
from servicegap.provenance import read_runs
from servicegap.study import PLAN_FILE, Study, open_study
from servicegap.tables import RESPONSES

sys.path.insert(0, str(Path(__file__).parent))
from fake_server import FakeServer

CONCURRENCY = 8
KEY = "sk-a-key-that-must-not-be-seen-anywhere"


@contextlib.contextmanager
def served(**options: Any) -> Iterator[FakeServer]:
    """Run a FakeServer in a thread of its own, as `collect` has its own event loop."""
    server = FakeServer(**options)
    loop = asyncio.new_event_loop()
    ready, done = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with server:
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


def made(folder: Path, base_url: str, *, names: int = 2, preset: str = "quick", **plan: object) -> Study:
    create_study(
        folder, Choices(preset=preset, models=("openai:mock-1",), base_url=base_url, names_per_group=names)
    )
    lines = [f"    {key}: {value}\n" for key, value in {"concurrency": CONCURRENCY, **plan}.items()]
    path = folder / PLAN_FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("    base_url:", "".join(lines) + "    base_url:"), encoding="utf-8")
    return open_study(folder)


def collected(study: Study) -> Collected:
    store = study.store()
    try:
        return collect(study, store, build_design(study).prompts)
    finally:
        store.close()


def rows(study: Study) -> list[Any]:
    store = study.store()
    with store.reading() as connection:
        found = connection.execute(sa.select(RESPONSES)).all()
    store.close()
    return list(found)


def test_every_call_is_asked_once_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    with served() as server:
        study = made(tmp_path / "s", server.base_url)
        first = collected(study)
        assert first == Collected(planned=60, stored=60, failed=0, unasked=0, stopped=False)
        assert server.calls == 60
        assert server.most_at_once <= CONCURRENCY
        assert collected(study) == first
        assert server.calls == 60
    found = rows(study)
    assert len({row.id for row in found}) == 60
    assert all(row.text and row.latency > 0 and row.error_kind is None for row in found)


def test_seeds_differ_by_prompt_and_are_what_was_sent(tmp_path: Path) -> None:
    with served() as server:
        study = made(tmp_path / "s", server.base_url)
        collected(study)
        sent = {body["messages"][-1]["content"]: body["seed"] for body in server.bodies}
    stored = {row.prompt: row.seed for row in rows(study)}
    texts = {prompt.id: prompt.text for prompt in build_design(study).prompts}
    assert {texts[prompt]: seed for prompt, seed in stored.items()} == sent
    assert len(set(stored.values())) == 60


def test_rate_limits_and_server_errors_are_asked_again_in_the_same_run(tmp_path: Path) -> None:
    with served(every={"429": 7, "503": 11}, retry_after=0.02) as server:
        study = made(tmp_path / "s", server.base_url)
        assert collected(study).stored == 60
        assert server.counts["429"] > 3
        assert server.counts["503"] > 2


def test_what_was_blocked_cut_or_empty_is_final(tmp_path: Path) -> None:
    names = ("filter-azure-prompt", "filter-openai", "empty", "length", "400")

    def script(number: int, _body: dict[str, Any]) -> str:
        return names[number % 10] if number % 10 < len(names) else "ok"

    with served(script=script) as server:
        study = made(tmp_path / "s", server.base_url)
        assert collected(study) == Collected(60, 60, 0, 0, stopped=False, rejected=6)
        collected(study)
        assert server.calls == 60
    kinds = Counter(row.error_kind for row in rows(study))
    assert kinds == {None: 30, "content_filter": 12, "empty": 6, "truncated": 6, "rejected": 6}
    for row in rows(study):
        assert (row.text is not None) == (row.error_kind in (None, "empty", "truncated"))
        assert (row.error is None) == (row.error_kind is None)


def test_a_failed_call_is_a_row_and_a_rerun_asks_it_as_a_new_attempt(tmp_path: Path) -> None:
    broken = True

    def script(number: int, _body: dict[str, Any]) -> str:
        return "html" if broken and number in (20, 21) else "ok"

    with served(script=script) as server:
        study = made(tmp_path / "s", server.base_url, retries=0)
        assert collected(study) == Collected(60, 58, 2, 0, stopped=False)
        broken = False
        assert collected(study) == Collected(60, 60, 0, 0, stopped=False)
        assert server.calls == 62
    attempts = Counter(row.id for row in rows(study))
    again = [row for row in rows(study) if attempts[row.id] == 2]
    assert sorted((row.attempt, row.error_kind) for row in again) == [
        (1, "malformed"),
        (1, "malformed"),
        (2, None),
        (2, None),
    ]


@pytest.mark.parametrize(
    ("every", "expected"), [({"html": 1}, "text/html"), ({"401": 1}, "key"), ({"404": 1}, "mock-1")]
)
def test_a_server_that_cannot_answer_ends_it_after_one_call(
    tmp_path: Path, every: dict[str, int], expected: str
) -> None:
    with served(every=every) as server:
        study = made(tmp_path / "s", server.base_url, retries=0)
        ended = collected(study)
        assert server.calls == 1
    assert ended.problem is not None
    assert expected in ended.problem
    assert "\n" not in ended.problem
    assert (ended.stored, ended.failed, ended.unasked) == (0, 0, 60)
    assert rows(study) == []


def test_an_unreachable_server_is_one_clear_error(tmp_path: Path) -> None:
    study = made(tmp_path / "s", "http://127.0.0.1:9/v1", retries=0)
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9"):
        collected(study)
    assert rows(study) == []


def test_a_server_that_dies_ends_it_early_and_a_rerun_finishes(tmp_path: Path) -> None:
    dead = False

    def script(number: int, _body: dict[str, Any]) -> str:
        return "cut" if number >= 100 and dead else "ok"

    with served(script=script) as server:
        dead = True
        study = made(tmp_path / "s", server.base_url, names=8, retries=0)
        ended = collected(study)
        assert ended.problem is not None
        assert "all failed" in ended.problem
        assert ended.unasked > 80
        assert ended.stored == 100
        dead = False
        assert collected(study).stored == 240


def test_provenance_says_what_was_sent_and_what_was_not_and_holds_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICEGAP_API_KEY", KEY)
    with served(key=KEY) as server:
        study = made(tmp_path / "s", server.base_url)
        assert collected(study).stored == 60
        assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in server.headers)
    store = study.store()
    (run,) = read_runs(store)
    store.close()
    decoding = run["provenance"]["conditions"][0]["decoding"]
    assert (decoding["temperature"], decoding["top_k"]) == (1.0, None)
    assert run["ended"] >= run["started"]
    assert len(run["provenance"]["served_models"]) == 1
    assert {"system", "processor", "cores"} <= set(run["provenance"]["machine"])
    for path in study.folder.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def test_a_key_that_the_server_repeats_is_in_no_file_of_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Ended]
) -> None:
    monkeypatch.setenv("SERVICEGAP_API_KEY", KEY)
    with served(key=KEY, repeats_key=True) as server:
        study = made(tmp_path / "s", server.base_url)
        ended = run("audit", study.folder)
    assert ended.code == 0, ended.err
    assert run("export", "labels", study.folder, "--out", study.folder / "labels.csv").code == 0
    assert {row.text for row in rows(study)} == {"He buys bread. You sent Bearer [key]!"}
    files = [path for path in study.folder.rglob("*") if path.is_file()]
    assert {"study.db", "results.json", "index.html", "labels.csv"} <= {path.name for path in files}
    assert [path.name for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in ended.out + ended.err


def test_a_base_url_with_a_key_makes_no_study(tmp_path: Path, run: Callable[..., Ended]) -> None:
    address = f"http://127.0.0.1:1/v1?api_key={KEY}"
    ended = run("init", tmp_path / "s", "--model", "openai:m", "--base-url", address)
    assert ended.code == 2
    assert "set SERVICEGAP_API_KEY in the environment" in ended.error
    assert KEY not in ended.err
    assert not (tmp_path / "s").exists()


def command(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "servicegap", "collect", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )


def wait_for_calls(server: FakeServer, calls: int) -> None:
    deadline = time.monotonic() + 30
    while server.calls < calls:
        assert time.monotonic() < deadline, f"only {server.calls} calls"
        time.sleep(0.005)


def test_kill_9_loses_and_a_rerun_repeats_at_most_what_is_promised(tmp_path: Path) -> None:
    with served(latency=0.005, keep=False) as server:
        study = made(tmp_path / "s", server.base_url, names=8, preset="study", concurrency=50)
        child = command(study.folder)
        wait_for_calls(server, 2000)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        time.sleep(0.1)
        asked = server.calls
        kept = len(rows(study))
        assert asked - kept <= 50 + FLUSH_ROWS
        again = command(study.folder)
        _, errors = again.communicate(timeout=60)
        assert again.returncode == 0, errors
        assert len(rows(study)) == 5376
        assert server.calls - 5376 <= 50 + FLUSH_ROWS


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_being_stopped_keeps_what_arrived(tmp_path: Path, name: signal.Signals) -> None:
    with served(latency=0.05) as server:
        study = made(tmp_path / "s", server.base_url, names=8)
        child = command(study.folder)
        wait_for_calls(server, 60)
        child.send_signal(name)
        _, errors = child.communicate(timeout=20)
        assert child.returncode == 130
        assert "Traceback" not in errors
        assert "kept" in errors
        assert len(rows(study)) >= server.calls - CONCURRENCY
        assert collected(study).stored == 240
