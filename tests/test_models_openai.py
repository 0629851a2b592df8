"""Models behind an OpenAI-compatible server, against a real one that counts and misbehaves."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from servicegap.errors import InputError, ModelError
from servicegap.models import CallError, Reply, Request, create_model
from servicegap.models.failures import retry_after
from servicegap.models.openai import OpenAIModel
from servicegap.models.secret import json_without_key
from servicegap.models.wire import read_reply, request_body
from servicegap.records import Condition, Decoding, ErrorKind

sys.path.insert(0, str(Path(__file__).parent))
from fake_server import OUTCOMES, FakeServer

KEY = "sk-test-0123456789abcdefghij"
CHAT = Condition("default")
Result = TypeVar("Result")
SECRET_FIELDS = (
    *("key", "apikey", "api-key", "subscription-key", "token", "access_token", "sig", "signature"),
    *("secret", "client_secret", "password", "code", "Code", "accesstoken", "APIkey", "X-Amz-Signature"),
)
TEXT = "John went to the market to buy [BLANK]."


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SERVICEGAP_API_KEY", "OPENAI_API_KEY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(variable, raising=False)


def with_server(
    server: FakeServer, use: Callable[[OpenAIModel], Awaitable[Result]], name: str = "mock-1"
) -> Result:
    """Run `use` with an opened model that asks `server`."""

    async def run() -> Result:
        async with server:
            model = OpenAIModel(name, base_url=server.base_url)
            await model.open()
            try:
                return await use(model)
            finally:
                await model.close()

    return asyncio.run(run())


def ask(outcome: str, condition: Condition = CHAT, **options: Any) -> Reply:
    """Ask once a server that meets every call with `outcome`."""
    server = FakeServer(script=lambda number, body: outcome, **options)
    return with_server(server, lambda model: model.respond(Request(TEXT, condition, 7)))


def failure(outcome: str, **options: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        ask(outcome, **options)
    return caught.value


# What is sent


def sent(condition: Condition, seed: int | None = None) -> dict[str, Any]:
    body = json.loads(request_body("m", Request("Hello", condition, seed)))
    assert isinstance(body, dict)
    return body


def test_what_is_left_open_is_not_sent() -> None:
    assert sent(CHAT) == {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def test_everything_that_is_set_is_sent() -> None:
    decoding = Decoding(
        temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=64, stop=("\n",), logprobs=0
    )
    condition = Condition("c", system="Be brief.", prefill="Sure", decoding=decoding)
    assert sent(condition, seed=0) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Sure"},
        ],
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "max_tokens": 64,
        "stop": ["\n"],
        "seed": 0,
        "logprobs": True,
        "top_logprobs": 0,
    }


def test_completion_is_plain_text_with_the_prefill_appended() -> None:
    condition = Condition("c", prefill=" and", mode="completion", decoding=Decoding(logprobs=2))
    assert sent(condition) == {"model": "m", "prompt": "Hello and", "logprobs": 2}


def test_the_server_gets_chat_and_completion_at_their_addresses() -> None:
    server = FakeServer()

    async def both(model: OpenAIModel) -> list[Reply]:
        completion = Condition("c", mode="completion")
        return [await model.respond(Request(TEXT, each)) for each in (CHAT, completion)]

    replies = with_server(server, both)
    assert [sorted(body) for body in server.bodies] == [["messages", "model"], ["model", "prompt"]]
    assert [reply.text for reply in replies] == ["He buys bread."] * 2


# What comes back


def test_a_reply_has_text_usage_and_the_served_model() -> None:
    assert ask("ok") == Reply(
        text="He buys bread.",
        finish_reason="stop",
        prompt_tokens=12,
        completion_tokens=4,
        served_model="mock-1-2024 (fp_1)",
    )


@pytest.mark.parametrize("mode", ["chat", "completion"])
def test_log_probabilities_are_the_servers_own_list(mode: Any) -> None:
    reply = ask("ok", Condition("c", mode=mode, decoding=Decoding(logprobs=1)))
    assert reply.logprobs is not None
    expected = (
        [{"token": "He", "logprob": -0.5, "top_logprobs": []}]
        if mode == "chat"
        else {"tokens": ["He"], "token_logprobs": [-0.5]}
    )
    assert json.loads(reply.logprobs) == expected


def test_an_echoed_prefill_is_left_out_and_only_once() -> None:
    assert ask("ok", Condition("c", prefill="He buys")).text == " bread."
    assert ask("ok", Condition("c", prefill="She")).text == "He buys bread."


@pytest.mark.parametrize(
    ("outcome", "text", "finish"),
    [
        ("length", "He buys bread.", "length"),
        ("empty", "", "stop"),
        ("null", "", "stop"),
        ("refusal-field", "I would rather not.", "stop"),
        ("surrogate", "half \ufffd", "stop"),
    ],
)
def test_truncated_empty_and_odd_answers_are_replies(outcome: str, text: str, finish: str) -> None:
    reply = ask(outcome)
    assert (reply.text, reply.finish_reason) == (text, finish)
    reply.text.encode()


def test_text_in_parts_is_joined() -> None:
    content = [{"type": "text", "text": "He "}, {"type": "image"}, {"type": "text", "text": "buys."}]
    raw = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
    assert read_reply(200, {}, raw, Request(TEXT, CHAT)).text == "He buys."


# What goes wrong


@pytest.mark.parametrize(
    ("outcome", "kind", "stop"),
    [
        ("429", "rate_limit", False),
        ("500", "transport", False),
        ("503", "transport", False),
        ("html-500", "transport", False),
        ("error-in-200", "transport", False),
        ("cut", "transport", False),
        ("html", "malformed", False),
        ("not-json", "malformed", False),
        ("other-shape", "malformed", False),
        ("filter-azure-prompt", "content_filter", False),
        ("filter-azure-answer", "content_filter", False),
        ("filter-openai", "content_filter", False),
        ("filter-router", "content_filter", False),
        ("400", "rejected", False),
        ("quota", "rejected", True),
        ("401", "rejected", True),
        ("403", "rejected", True),
        ("404", "rejected", True),
        ("redirect", "rejected", True),
        ("unknown-parameter", "rejected", True),
    ],
)
def test_each_failure_has_its_kind(outcome: str, kind: ErrorKind, stop: bool) -> None:
    error = failure(outcome)
    assert (error.kind, error.stop) == (kind, stop)
    message = str(error)
    assert "\n" not in message
    assert len(message) < 450


def test_every_outcome_of_the_fake_server_ends_in_a_reply_or_a_call_error() -> None:
    for outcome in OUTCOMES:
        if outcome == "hang":
            continue
        try:
            assert isinstance(ask(outcome), Reply)
        except CallError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("401", "SERVICEGAP_API_KEY"),
        ("404", "base URL"),
        ("403", "key's rights"),
        ("quota", "top it up"),
        ("html", "text/html"),
        ("html", "Nothing"),
        ("unknown-parameter", "study.yaml"),
        ("filter-azure-answer", "(hate)"),
    ],
)
def test_messages_say_what_came_and_where_to_look(outcome: str, words: str) -> None:
    assert words in str(failure(outcome))


def test_a_403_after_a_reply_concerns_one_call_alone() -> None:
    server = FakeServer(script=lambda number, body: "ok" if number == 0 else "403")

    async def twice(model: OpenAIModel) -> CallError:
        await model.respond(Request(TEXT, CHAT))
        with pytest.raises(CallError) as caught:
            await model.respond(Request(TEXT, CHAT))
        return caught.value

    error = with_server(server, twice)
    assert (error.kind, error.stop) == ("rejected", False)


@pytest.mark.parametrize(("outcome", "low", "high"), [("429", 2.5, 2.5), ("429-ms", 2.5, 2.5)])
def test_the_wait_that_a_server_asks_for_is_passed_on(outcome: str, low: float, high: float) -> None:
    error = failure(outcome, retry_after=2.5)
    assert error.retry_after is not None
    assert low <= error.retry_after <= high


def test_the_wait_as_a_date_is_seconds_from_now() -> None:
    error = failure("429-date", retry_after=30.0)
    assert error.retry_after is not None
    assert 27 < error.retry_after <= 30


@pytest.mark.parametrize("value", ["soon", "inf", "nan", "Mon, 99 Foo 2024"])
def test_a_wait_that_says_nothing_is_none(value: str) -> None:
    assert retry_after({"Retry-After": value}) is None


def test_newer_models_get_their_own_name_for_the_longest_answer() -> None:
    server = FakeServer(script=lambda number, body: "max-completion-tokens")
    condition = Condition("c", decoding=Decoding(max_tokens=9))

    async def twice(model: OpenAIModel) -> None:
        for _ in range(2):
            await model.respond(Request(TEXT, condition))

    with_server(server, twice)
    fields = [[key for key in body if key.startswith("max")] for body in server.bodies]
    assert fields == [["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"]]


def test_the_servers_hanging_is_left_to_the_callers_timeout() -> None:
    server = FakeServer(script=lambda number, body: "hang")

    async def wait(model: OpenAIModel) -> None:
        async with asyncio.timeout(0.2):
            await model.respond(Request(TEXT, CHAT))

    with pytest.raises(TimeoutError):
        with_server(server, wait)


# Keys and addresses


@pytest.mark.parametrize("variable", ["SERVICEGAP_API_KEY", "OPENAI_API_KEY"])
def test_the_key_comes_from_the_environment_and_is_shown_nowhere(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, KEY)
    server = FakeServer(key=KEY)

    async def use(model: OpenAIModel) -> tuple[str, dict[str, Any]]:
        await model.respond(Request(TEXT, CHAT))
        return repr(model), await model.open()

    shown, provenance = with_server(server, use)
    assert server.counts == {"ok": 1}
    assert provenance["key_from"] == variable
    assert KEY not in shown + json.dumps(provenance)


def test_a_refused_key_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICEGAP_API_KEY", KEY)
    error = failure("401")
    assert "[key]" in str(error)
    assert KEY not in str(error)
    monkeypatch.setenv("SERVICEGAP_API_KEY", "sk-t*******************ghij")
    assert "ghij" not in str(failure("401"))


def test_a_key_that_the_server_repeats_is_hidden_in_all_that_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERVICEGAP_API_KEY", KEY)

    async def use(model: OpenAIModel) -> tuple[Reply, dict[str, Any]]:
        condition = Condition("c", decoding=Decoding(logprobs=0))
        return await model.respond(Request(TEXT, condition)), await model.open()

    reply, provenance = with_server(FakeServer(repeats_key=True), use)
    assert reply == Reply(
        text="He buys bread. You sent Bearer [key]!",
        finish_reason="Bearer [key]",
        prompt_tokens=12,
        completion_tokens=4,
        # The tokens would spell it.
        logprobs=None,
        served_model="Bearer [key] (Bearer [key])",
    )
    assert provenance["server_model"]["owned_by"] == provenance["server"] == "Bearer [key]"


def test_a_key_that_the_server_repeats_is_hidden_in_every_error() -> None:
    def error(payload: object, status: int = 200) -> str:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        with pytest.raises(CallError) as caught:
            read_reply(status, {}, raw, Request(TEXT, CHAT), key=KEY)
        return str(caught.value)

    blocked = {"finish_reason": "content_filter", "content_filter_results": {KEY: {"filtered": True}}}
    assert error({"choices": [blocked]}).endswith("stopped the answer ([key])")
    # A beginning is shown: the key must not be cut before it is looked for.
    for length in range(90, 121):
        assert KEY[:6] not in error(b"x" * length + KEY.encode())
    assert KEY[:6] not in error({"error": {"message": "-" * 290 + KEY}}, 500)


@pytest.mark.parametrize("key", ["17171717", 'n"171717\\1', "n1717171"])
def test_a_key_is_hidden_in_texts_and_names_and_never_breaks_the_json(key: str) -> None:
    said = [{"created": 17171717, key: f"by {key}", "more": ["\n1717171", -0.17171717, None]}]
    hidden = [{"created": 17171717, "[key]": "by [key]", "more": ["\n1717171", -0.17171717, None]}]
    assert json.loads(json_without_key(said, key)) == hidden
    payload = {"choices": [{"text": "bread", "logprobs": said[0]}]}
    reply = read_reply(200, {}, json.dumps(payload).encode(), Request(TEXT, CHAT), key=key)
    assert reply.logprobs is not None
    assert json.loads(reply.logprobs) == hidden[0]


@pytest.mark.parametrize("key", ["x", "none", "anything", "placeholder", "not needed"])
def test_a_word_in_place_of_a_key_is_no_secret_and_mangles_nothing(key: str) -> None:
    text = f"An answer that says {key}, nonexistent.invalid, or anything else."
    raw = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    assert read_reply(200, {}, raw, Request(TEXT, CHAT), key=key).text == text
    with pytest.raises(CallError, match=f"HTTP 400: {text}"):
        read_reply(400, {}, json.dumps({"error": text}).encode(), Request(TEXT, CHAT), key=key)


def test_the_projects_own_key_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("SERVICEGAP_API_KEY", KEY)
    server = FakeServer(key=KEY)
    with_server(server, lambda model: model.respond(Request(TEXT, CHAT)))
    assert server.counts == {"ok": 1}


def test_a_server_elsewhere_needs_a_key() -> None:
    with pytest.raises(InputError, match="set SERVICEGAP_API_KEY"):
        OpenAIModel("gpt", base_url="https://models.example.org/v1")
    with pytest.raises(InputError, match=r"api\.openai\.com/v1 needs a key"):
        create_model("openai:gpt")
    assert create_model("openai:m", base_url="http://localhost:8000/v1").id == "openai:m"


def test_a_key_with_a_line_break_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICEGAP_API_KEY", "sk-1\nsk-2")
    with pytest.raises(InputError, match="a character that no key has") as caught:
        OpenAIModel("m", base_url="http://127.0.0.1:1/v1")
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:8000/v1", "no http or https address"),
        ("ftp://host/v1", "no http or https address"),
        ("http://", "no http or https address"),
        ("http://host:port/v1", "no address"),
        ("http://127.0.0.1:8000/v1/chat/completions", "names one method"),
        ("http://me:secret@127.0.0.1:8000/v1", "holds a user name or a key"),
        ("http://127.0.0.1:8000/v1?api_key=secret", "holds a key in its query, api_key="),
        ("http://127.0.0.1:8000/v1?api-version=7&API-Key=secret", "holds a key in its query, API-Key="),
        ("127.0.0.1:8000/v1?accessToken=secret", "holds a key in its query"),
        *((f"http://h/v1?{field}=hidden", "holds a key in its query") for field in SECRET_FIELDS),
    ],
)
def test_addresses_that_cannot_be_used_are_told(address: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        OpenAIModel("m", base_url=address)
    assert not re.search("[:=]secret|hidden", str(caught.value))


def test_a_query_that_holds_no_key_is_taken() -> None:
    for query in (
        *("api-version=2024-06-01", "deployment=signals", "region=keyport&design=1", "monkey=1"),
        *("donkeyKong=1", "turnkey=yes", "country_code=us", "encode=1", "7=8"),
    ):
        address = f"http://127.0.0.1:8000/v1?{query}"
        assert str(OpenAIModel("m", base_url=address)._base) == address


def test_a_query_is_sent_but_not_shown() -> None:
    model = OpenAIModel("m", base_url="http://127.0.0.1:8000/v1/?api-version=7&route=hidden")
    assert str(model._urls["chat"]) == "http://127.0.0.1:8000/v1/chat/completions?api-version=7&route=hidden"
    assert model.shown_url == "http://127.0.0.1:8000/v1"
    assert "hidden" not in repr(model)


# Opening


def test_the_server_introduces_the_model() -> None:
    async def opened(model: OpenAIModel) -> dict[str, Any]:
        return await model.open()

    provenance = with_server(FakeServer(), opened)
    assert provenance["server_model"] == {"id": "mock-1", "object": "model", "owned_by": "tests"}
    assert provenance["name"] == "mock-1"
    assert "server_model" not in with_server(FakeServer(), opened, name="mock-2")


def test_an_address_at_which_nothing_listens_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    model = OpenAIModel("m", base_url=f"http://127.0.0.1:{port}/v1")
    with pytest.raises(ModelError, match="start the server, or check its base URL") as caught:
        asyncio.run(model.open())
    # A judge's stands in study.yaml alone.
    assert str(caught.value).endswith("(base_url in study.yaml, or --base-url)")
    assert "\n" not in str(caught.value)


def test_a_server_that_says_nothing_about_itself_can_be_asked() -> None:
    async def run() -> dict[str, Any]:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()  # until the client hangs up
            writer.close()
            await writer.wait_closed()
            gone.set()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            model = OpenAIModel("m", base_url=f"http://127.0.0.1:{port}/v1")
            provenance = await model.open()
            await model.close()
            await gone.wait()
        return provenance

    assert asyncio.run(run())["backend"] == "openai"


def test_many_calls_share_the_connections() -> None:
    server = FakeServer(latency=0.02)

    async def many(model: OpenAIModel) -> list[Reply]:
        return await asyncio.gather(*(model.respond(Request(TEXT, CHAT, seed)) for seed in range(120)))

    assert len(with_server(server, many)) == 120
    assert server.counts == {"ok": 120}
    assert server.most_at_once == 50


# Which model


@pytest.mark.parametrize("spec", ["", "gpt-4", "openai:", "hf:model", ":x"])
def test_a_text_that_names_no_model_is_told_with_what_is_allowed(spec: str) -> None:
    with pytest.raises(InputError, match="names no model; allowed: openai:NAME, local:NAME") as caught:
        create_model(spec)
    assert repr(spec) in str(caught.value)


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(InputError) as caught:
        create_model("fake:even", base_url="http://127.0.0.1/v1", concurrency=0)
    assert len(caught.value.problems) == 2
