"""Asking many calls: what ends it early, and what is kept then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pytest
import sqlalchemy as sa
from conftest import SmallStudy
from test_collect import CONCURRENCY, collected, made, rows, served, wait_for_calls

from servicegap.asking import REJECTED_AT_FIRST, Ended, run_until_stopped
from servicegap.collect import collect
from servicegap.design import build_design
from servicegap.errors import InputError
from servicegap.models.protocol import Request
from servicegap.models.wire import request_body
from servicegap.records import Condition, Decoding
from servicegap.store import Store
from servicegap.study import Study
from servicegap.tables import RUNS


def test_where_every_call_is_rejected_the_collection_ends_and_keeps_nothing(
    tmp_path: Path,
) -> None:
    with served(script=lambda number, body: "400") as server:
        study = made(tmp_path / "s", server.base_url)
        ended = collected(study)
        assert ended.problem is not None
        assert f"the first {REJECTED_AT_FIRST} calls were all rejected (HTTP 400" in ended.problem
        assert (ended.stored, ended.unasked) == (0, 60)
        assert server.calls < 60
    assert rows(study) == []


def test_after_one_answer_rejections_are_final_rows(tmp_path: Path) -> None:
    with served(script=lambda number, body: "400" if number else "ok") as server:
        ended = collected(made(tmp_path / "s", server.base_url))
    assert (ended.answered, ended.rejected, ended.unasked, ended.problem) == (1, 59, 0, None)


def test_fewer_calls_than_that_are_kept_though_all_are_rejected(tmp_path: Path) -> None:
    with served(script=lambda number, body: "400") as server:
        study = made(tmp_path / "s", server.base_url)
        assert collect(study, study.store(), build_design(study).prompts[:10]).rejected == 10
    assert len(rows(study)) == 10


def asking(study: Study) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "servicegap", "collect", str(study.folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.mark.parametrize("answered", [0, 20])
def test_a_wait_of_hours_ends_it_with_what_is_stored(tmp_path: Path, answered: int) -> None:
    closed = True

    def script(number: int, _body: dict[str, Any]) -> str:
        return "429" if number >= answered and closed else "ok"

    with served(script=script, retry_after=100_000) as server:
        study = made(tmp_path / "s", server.base_url)
        _, errors = (child := asking(study)).communicate(timeout=60)
        assert child.returncode == 1
        assert errors.startswith("servicegap: openai:mock-1: the server asks to wait 100000 s, longer than")
        assert "run the command again" in errors
        assert errors.count("\n") == 1
        # Each worker asked at most once more.
        assert server.calls <= answered + CONCURRENCY
        kept = Counter(row.error_kind for row in rows(study))
        assert kept[None] == answered
        assert kept["rate_limit"] >= 1
        assert set(kept) <= {None, "rate_limit"}
        closed = False
        assert collected(study).stored == 60


def test_a_first_call_that_a_server_out_of_service_puts_off_says_for_how_long(tmp_path: Path) -> None:
    with served(script=lambda number, body: "503", retry_after=7200) as server:
        study = made(tmp_path / "s", server.base_url)
        ended = collected(study)
        assert server.calls == 1
    assert ended.problem is not None
    assert "the server asks to wait 7200 s" in ended.problem
    assert rows(study) == []


def test_a_wait_of_minutes_is_told_once(tmp_path: Path) -> None:
    with served(script=lambda number, body: "429" if number else "ok", retry_after=500) as server:
        child = asking(made(tmp_path / "s", server.base_url))
        assert child.stderr is not None
        assert child.stderr.readline() == "servicegap: openai:mock-1: the server asks to wait 500 s\n"
        wait_for_calls(server, 1 + CONCURRENCY)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "asks to wait" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_first_answer_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with served(script=lambda n, body: "hang") as server:
        study = made(tmp_path / "s", server.base_url)
        child = asking(study)
        wait_for_calls(server, 1)
        child.send_signal(number)
        _, errors = child.communicate(timeout=10)
    assert child.returncode == 130
    assert errors.startswith("servicegap: stopped")
    assert errors.count("\n") == 1
    store = study.store()
    with store.reading() as connection:
        assert connection.scalar(sa.select(RUNS.c.ended)) is not None
    store.close()


def test_signals_are_handled_afterwards_as_before() -> None:
    async def nothing() -> Ended:
        return Ended(stopped=False, problem=None)

    def mine(*_: object) -> None:
        pass

    before = {number: signal.signal(number, mine) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        run_until_stopped(nothing())
        assert [signal.getsignal(number) for number in before] == [mine, mine]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert run_until_stopped(nothing()) == Ended(stopped=False, problem=None)
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_model_that_cannot_be_asked_is_told_before_any_is(
    small: SmallStudy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SERVICEGAP_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with served() as server:
        small.change(
            "study.yaml",
            "    base_url: http://127.0.0.1:9/v1",
            f"    base_url: {server.base_url}\n  - id: openai:second\n    base_url: https://far.invalid/v1",
        )
        study = small.open()
        with pytest.raises(InputError, match=r"far\.invalid/v1 needs a key"):
            collect(study, store, build_design(study).prompts)
        assert server.calls == 0


@pytest.mark.parametrize("text", ['a "quoted" \\ name\n\0', "Łukasz 王 \ud800", "plain"])
@pytest.mark.parametrize("mode", ["chat", "completion"])
@pytest.mark.parametrize("seed", [None, 5])
def test_the_body_that_is_written_beforehand_says_what_was_asked(
    text: str, mode: Literal["chat", "completion"], seed: int | None
) -> None:
    condition = Condition(
        "c", None if mode == "completion" else 'be "kind"', "Well,", mode, Decoding(top_p=0.5)
    )
    body = json.loads(request_body("m", Request(text, condition, seed)))
    asked = body["prompt"] if mode == "completion" else body["messages"][1]["content"]
    assert asked == (text + "Well," if mode == "completion" else text)
    assert body.get("seed") == seed
    assert body["top_p"] == 0.5
    assert set(body) == {"model", "top_p", "prompt" if mode == "completion" else "messages"} | (
        set() if seed is None else {"seed"}
    )
