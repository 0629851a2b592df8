"""Models on this machine: headers of GGUF files, and the smallest known model, really run.

The tests that run it need its file (98 MB): they take it from the cache, fetch it where CI=true or
SERVICEGAP_TEST_LOCAL=1 is set, and are skipped elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from servicegap.errors import InputError, ModelError, WeightsError
from servicegap.models import CallError, Reply, Request, create_model
from servicegap.models.gguf import Header, read_header
from servicegap.models.local import LocalModel
from servicegap.models.weights import find_weights, known_weights
from servicegap.records import Condition, Decoding

SMALLEST = "smollm2-135m"
PURE = Decoding(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=16)
PROMPTS = [f"{name} went to the market to buy [BLANK]." for name in ("John", "Lakisha", "Mohammed", "Mei")]
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def weights() -> Path:
    """The file of the smallest known model."""
    wanted = os.environ.get("CI") == "true" or os.environ.get("SERVICEGAP_TEST_LOCAL") == "1"
    if not wanted:
        if not known_weights(SMALLEST).cached:
            pytest.skip(f"{SMALLEST} is not in the cache; SERVICEGAP_TEST_LOCAL=1 fetches it (98 MB)")
        pytest.importorskip("xllamacpp")
    return find_weights(SMALLEST)


def with_model(model: LocalModel, use: Callable[[dict[str, Any]], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        provenance = await model.open()
        try:
            return await use(provenance)
        finally:
            await model.close()

    return asyncio.run(run())


# Headers


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(pairs: dict[str, bytes], *, version: int = 3) -> bytes:
    """Return a GGUF header of `pairs`: key -> type number and value, packed."""
    body = b"".join(text(key) + value for key, value in pairs.items())
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(pairs)) + body


PAIRS = {
    "general.architecture": struct.pack("<I", 8) + text("llama"),
    "a.count": struct.pack("<II", 4, 7),
    "a.flag": struct.pack("<I?", 7, True),
    "a.words": struct.pack("<IIQ", 9, 8, 3) + text("one") + text("") + text("three"),
    "a.numbers": struct.pack("<IIQ", 9, 6, 2) + struct.pack("<ff", 0.5, 1.5),
    "tokenizer.chat_template": struct.pack("<I", 8) + text("{{ messages }}"),
}


def test_a_header_is_read_past_arrays_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf(PAIRS))
    assert read_header(path) == Header(architecture="llama", name=None, chat_template="{{ messages }}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as GGUF"),
        (b"PK\x03\x04 a zip", "no GGUF file"),
        (b"GGUF", "cannot be read as GGUF"),
        (gguf(PAIRS)[:-3], "ends within its header"),
        (gguf(PAIRS)[:60], "cannot be read as GGUF"),
        (gguf(PAIRS, version=1), "version 1"),
        (gguf({"a": struct.pack("<I", 99)}), "unknown type 99"),
    ],
)
def test_files_that_are_no_gguf_are_told_in_one_line(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words) as caught:
        read_header(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no such file"):
        read_header(tmp_path / "absent.gguf")


# Before anything runs


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="'llama-9' is unknown; known: smollm2-135m"):
        create_model("local:llama-9")


def test_calls_in_flight_are_eight_unless_said() -> None:
    assert create_model(f"local:{SMALLEST}").concurrency == 8
    assert create_model("local:smollm2-135m", concurrency=3).concurrency == 3


def test_a_missing_xllamacpp_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ModelError, match=r"pip install 'servicegap\[local\]'"):
        asyncio.run(LocalModel(SMALLEST).open())


def test_a_file_that_llama_cpp_cannot_load_is_told(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf(PAIRS))
    with pytest.raises(ModelError, match="cannot load it") as caught:
        asyncio.run(LocalModel(str(path)).open())
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the wheel uses OpenMP on Linux alone")
@pytest.mark.parametrize("before", ["", "sys.modules['xllamacpp'] = None"])
def test_threads_sleep_while_they_wait_or_there_is_one(before: str) -> None:
    # In a process of its own: OpenMP reads its variables once, and this one may have loaded it.
    script = f"""
import os, sys
{before}
from servicegap.models.local import _make_threads_wait_quietly
print(_make_threads_wait_quietly(), os.environ.get("OMP_WAIT_POLICY"))
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP", "GOMP"))}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    several = min(4, len(os.sched_getaffinity(0)))
    assert ended.stdout == ("1 None\n" if before else f"{several} passive\n")


# The real thing


def test_the_model_answers_and_says_what_it_is(weights: Path) -> None:
    model = LocalModel(SMALLEST)
    condition = Condition("c", system="Complete the [BLANK].", prefill="Sure,", decoding=PURE)
    completion = Condition(
        "d", mode="completion", decoding=Decoding(temperature=0.0, max_tokens=4, logprobs=1)
    )

    async def use(provenance: dict[str, Any]) -> tuple[dict[str, Any], list[list[Reply]], Reply, list[int]]:
        def chat() -> Awaitable[list[Reply]]:
            requests = [Request(prompt, condition, n) for n, prompt in enumerate(PROMPTS)]
            return asyncio.gather(*map(model.respond, requests))

        twice = [await chat(), await chat()]
        plain = await model.respond(Request("The capital of France is", completion))
        return provenance, twice, plain, await model.count_tokens(["John", "Lakisha", ""])

    provenance, (first, second), plain, tokens = with_model(model, use)
    for reply in first:
        assert reply.text.strip()
        assert not reply.text.startswith("Sure,")
        assert reply.finish_reason in {"stop", "length"}
        assert reply.completion_tokens is not None
        assert reply.completion_tokens <= 16
    # This file's sums do not depend on what is computed beside them, so a seed repeats exactly.
    assert [reply.text for reply in first] == [reply.text for reply in second]
    assert len({reply.text for reply in first}) > 1
    assert "Paris" in plain.text
    assert len(json.loads(plain.logprobs or "[]")) == 4
    assert tokens[0] == 1
    assert tokens[1] > 1
    assert tokens[2] == 0
    assert provenance["sha256"] == known_weights(SMALLEST).sha256
    assert provenance["quantisation"] == "Q4_1"
    assert provenance["architecture"] == "llama"
    assert "<|im_start|>" in provenance["chat_template"]
    assert provenance["server_defaults"]["top_k"] == 40
    assert provenance["server_defaults"]["min_p"] == 0.05
    assert str(weights.parent) not in json.dumps(provenance)


def test_too_long_a_prompt_is_rejected_with_the_servers_words(weights: Path) -> None:
    model = LocalModel(str(weights), context=256, concurrency=1)

    async def use(provenance: dict[str, Any]) -> CallError:
        with pytest.raises(CallError) as caught:
            await model.respond(Request("word " * 2000, Condition("c", decoding=PURE)))
        return caught.value

    error = with_model(model, use)
    assert (error.kind, error.stop) == ("rejected", False)
    assert "context size" in str(error)


def test_a_base_model_under_chat_is_told_to_use_completion(weights: Path, tmp_path: Path) -> None:
    # The same file with the template's key misspelt: a model without a chat template.
    base = tmp_path / "base.gguf"
    base.write_bytes(weights.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_templatX", 1))
    model = LocalModel(str(base), concurrency=1)

    async def use(provenance: dict[str, Any]) -> tuple[Any, CallError, Reply]:
        with pytest.raises(CallError) as caught:
            await model.respond(Request("Hello", Condition("c", decoding=PURE)))
        plain = Condition("d", mode="completion", decoding=PURE)
        return provenance["chat_template"], caught.value, await model.respond(Request("Hello", plain, 1))

    template, error, reply = with_model(model, use)
    assert template is None
    assert (error.kind, error.stop) == ("rejected", True)
    assert "mode: completion" in str(error)
    assert reply.text


SCRIPT = f"""
import asyncio
from servicegap.models.local import LocalModel
from servicegap.models.protocol import Request
from servicegap.records import Condition, Decoding

async def main():
    model = LocalModel({SMALLEST!r})
    await model.open()
    print("open", flush=True)
    condition = Condition("c", decoding=Decoding(temperature=1.0, max_tokens=900))
    try:
        await asyncio.gather(*(model.respond(Request("A long story.", condition, n)) for n in range(16)))
    finally:
        await model.close()
        print("closed", flush=True)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_it_quickly_and_without_noise(weights: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said, noise = process.communicate(timeout=15)
    assert said == "closed\ninterrupted\n"
    assert noise == ""
    assert process.returncode == 0
