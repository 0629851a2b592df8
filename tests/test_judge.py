"""Judges at work on a study: asked over HTTP, kept, stopped, counted; and panels of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Answer, Ended, SmallStudy
from fake_server import FakeServer

from servicegap.analyse import analyse
from servicegap.annotate import annotate, count_unlabelled, estimate_judges
from servicegap.annotators.judge import Judge
from servicegap.annotators.judge_prompt import answer_schema
from servicegap.annotators.judge_run import read_judges
from servicegap.annotators.panel import Opinion, disagreements, majority
from servicegap.codebook import BUILT_IN, load_codebook
from servicegap.design import build_design
from servicegap.errors import InputError, StudyError
from servicegap.labels import labelled_responses
from servicegap.models.weights import known_weights
from servicegap.records import CATEGORIES, Annotation
from servicegap.store import Store, write_annotations
from servicegap.study import JudgePlan, now, only_one
from servicegap.tables import ANNOTATIONS, JUDGE_CALLS

PLANNED = 8 * 13
CODEBOOK = load_codebook()
#: Prompts that differ by more than the name: each template with a masked name, and with the control.
DISTINCT = 8 * 2


# A study with judges, asked over HTTP.


@pytest.fixture
def small(small: SmallStudy) -> SmallStudy:
    """Give the small study with one sample, as each response more is a call more."""
    small.change("study.yaml", "samples: 2", "samples: 1")
    return small


class Threaded:
    """A FakeServer in a thread of its own, as annotate() has its own event loop."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> FakeServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.__aenter__(), self._loop).result(10)
        return self.server

    def __exit__(self, *_exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.__aexit__(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def with_judges(small: SmallStudy, *judges: str) -> None:
    text = "".join(f"  - {judge}\n" for judge in judges)
    path = small.folder / "study.yaml"
    plan = path.read_text(encoding="utf-8")
    path.write_text(plan.split("judges:\n")[0] + f"judges:\n{text}", encoding="utf-8")


def judge_at(server: FakeServer, **settings: Any) -> str:
    return json.dumps({"id": "openai:mock-1", "base_url": server.base_url, "retries": 0, **settings})


def declines_for_south(_call: Any, signal: Any, _template: Any) -> Answer:
    declined = signal.group == "South"
    return Answer(
        None, text=f"Sorry, {signal.text} gets nothing." if declined else f"{signal.text} took bread."
    )


def kept(store: Store, table: sa.Table = ANNOTATIONS) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(sa.select(table)).all())


def test_a_judge_labels_every_response_and_asks_once_what_differs_by_the_name(
    small: SmallStudy, each_store: Store
) -> None:
    store = each_store
    small.answer(store, declines_for_south)
    told: list[str] = []
    with Threaded(FakeServer()) as server:
        with_judges(small, judge_at(server))
        assert count_unlabelled(small.open(), store, small.prompts()) == PLANNED
        [cost] = estimate_judges(small.open(), store)
        assert server.calls == 0
        [done] = annotate(small.open(), store, announce=told.append)
        assert annotate(small.open(), store, announce=told.append) == []
        assert server.calls == cost.calls
    assert (done.annotator, done.added, done.abstained, done.failed) == ("judge:openai:mock-1", PLANNED, 0, 0)
    # One for each template and text of its response, the masked name's and the control's.
    assert cost.calls == 8 * 3
    assert told == [str(cost)]
    found = labelled_responses(small.open(), store)
    assert set(found["kind"]) == {"judge"}
    assert set(found.filter(group="South")["category"]) == {"refusal"}
    assert set(found.filter(group="North")["category"]) == {"answer"}
    assert count_unlabelled(small.open(), store, small.prompts()) == 0
    body = server.bodies[0]
    assert body["temperature"] == 0.0
    assert body["response_format"]["json_schema"]["schema"] == answer_schema(reason=False)
    assert body["top_logprobs"] == 10
    names = ("Anna", "Ben", "Cleo", "Dan", "Ema", "Fred", "Gina", "Hugo", "Ines", "Jack", "Kira", "Leo")
    assert not [name for name in names for each in server.bodies if name in each["messages"][-1]["content"]]


def test_the_estimate_is_about_what_is_paid(small: SmallStudy, store: Store) -> None:
    small.answer(store, declines_for_south)
    with Threaded(FakeServer()) as server:
        with_judges(small, judge_at(server))
        [cost] = estimate_judges(small.open(), store)
        annotate(small.open(), store)
        sent = sum(len(message["content"]) for body in server.bodies for message in body["messages"])
    assert cost.prompt_tokens == pytest.approx(sent / 4, rel=0.01)
    assert cost.answer_tokens == 24 * 12
    assert str(cost).startswith("judge:openai:mock-1: 104 responses to judge, 24 calls to make; about ")


def test_what_is_known_of_the_judge_is_kept(small: SmallStudy, store: Store) -> None:
    small.answer(store, declines_for_south)
    with Threaded(FakeServer(script=without("response_format"))) as server:
        with_judges(small, judge_at(server))
        annotate(small.open(), store)
    [known] = read_judges(store)
    [run] = known["runs"]
    judge = Judge(small.open().plan.judges[0], CODEBOOK)
    assert known["instructions"] == judge.condition.system
    assert known["version"] == judge.version
    assert run["taken"] == {"schema": False, "logprobs": True}
    assert run["served_models"] == ["mock-1-2024 (fp_1)"]
    results = analyse(small.open(), store, build_design(small.open()))
    assert results["labels"]["judges"] == [known]
    assert {row.version for row in kept(store)} == {judge.version}
    assert {row.codebook_hash for row in kept(store)} == {CODEBOOK.hash}
    # Prose, as nothing held it to a label: counted abstentions.
    assert {row.abstain_reason for row in kept(store)} == {'no label in the reply "He buys bread."'}
    assert labelled_responses(small.open(), store)["category"].null_count() == PLANNED


def without(field: str) -> Callable[[int, dict[str, Any]], str]:
    return lambda _number, body: "unknown-parameter" if field in body else "ok"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ("refusal-field", 'no label in the reply "I would rather not."'),
        ("empty", "no reply (the answer is empty)"),
        ("length", "the reply was cut at max_tokens before its label; raise max_tokens"),
        ("filter-azure-answer", "no reply (the service's content filter stopped the answer (hate))"),
    ],
)
def test_a_judge_that_does_not_judge_abstains_and_is_counted(
    small: SmallStudy, store: Store, outcome: str, reason: str
) -> None:
    small.answer(store, lambda *_: Answer(None, text="bread"))
    script = lambda number, _body: outcome if number else "ok"  # noqa: E731
    with Threaded(FakeServer(script=script)) as server:
        with_judges(small, judge_at(server))
        [done] = annotate(small.open(), store)
    assert done.failed == 0
    assert done.abstained == done.added - sum(row.category is not None for row in kept(store)) > 0
    assert {row.abstain_reason for row in kept(store)} == {None, reason}


def test_several_samples_vote(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None, text="bread"))
    given = iter(["answer", "refusal", "answer"] * 100)
    with Threaded(FakeServer(answer=lambda _body: {"text": next(given)})) as server:
        with_judges(small, judge_at(server, samples=3, concurrency=1, temperature=0.7))
        [done] = annotate(small.open(), store)
    assert server.calls == 3 * DISTINCT
    assert len({body["seed"] for body in server.bodies}) == 3 * DISTINCT
    assert {body["temperature"] for body in server.bodies} == {0.7}
    assert not [body for body in server.bodies if "logprobs" in body]
    shares = Counter(tuple(json.loads(row.probabilities)) for row in kept(store))
    assert done.added == PLANNED
    assert all(sum(each) == pytest.approx(1, abs=1e-5) for each in shares)


def test_log_probabilities_become_the_label_s(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None, text="bread"))
    listed = [{"token": "refusal", "logprob": -0.2231436}, {"token": "failure", "logprob": -1.6094379}]
    content = [
        {"token": '{"category": "', "logprob": 0.0, "top_logprobs": []},
        {"token": "refusal", "logprob": -0.2231436, "top_logprobs": listed},
        {"token": '"}', "logprob": 0.0, "top_logprobs": []},
    ]
    made = {"text": '{"category": "refusal"}', "choice": {"logprobs": {"content": content}}}
    with Threaded(FakeServer(answer=lambda _body: made)) as server:
        with_judges(small, judge_at(server))
        annotate(small.open(), store)
    [probabilities] = {row.probabilities for row in kept(store)}
    assert json.loads(probabilities) == pytest.approx([0, 0, 0.2, 0.8, 0, 0], abs=1e-4)


def test_a_server_that_dies_half_way_is_told_and_nothing_is_lost(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    small.change("study.yaml", "annotators: []", "annotators: [offline]")
    told: list[str] = []
    with Threaded(FakeServer(script=lambda number, _body: "ok" if number < 40 else "500")) as server:
        with_judges(small, judge_at(server, concurrency=4))
        _, done = annotate(small.open(), store, announce=told.append)
    assert "judge openai:mock-1: the last" in told[-1]
    assert f"servicegap annotate {small.folder}" in told[-1]
    assert (done.added, done.failed) == (40, PLANNED - 40)
    assert done.problem is not None
    assert done.problem in told[-1]
    assert len([row for row in kept(store, JUDGE_CALLS) if row.error_kind is None]) == 40
    by_judge = [row for row in kept(store) if row.kind == "judge"]
    assert len(by_judge) == 40
    assert len([row for row in kept(store) if row.kind == "automatic"]) == PLANNED
    with Threaded(FakeServer()) as server:
        with_judges(small, judge_at(server, concurrency=4))
        [done] = annotate(small.open(), store)
    assert done.added == PLANNED - 40 == server.calls


def test_a_failed_call_is_asked_again_and_only_it(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    with Threaded(FakeServer(every={"500": 20})) as server:
        with_judges(small, judge_at(server))
        [done] = annotate(small.open(), store)
    assert (done.added, done.failed) == (PLANNED - 5, 5)
    assert count_unlabelled(small.open(), store, small.prompts()) == 5
    with Threaded(FakeServer()) as server:
        with_judges(small, judge_at(server))
        [done] = annotate(small.open(), store)
        assert (done.added, done.failed, server.calls) == (5, 0, 5)
    attempts = Counter(row.attempt for row in kept(store, JUDGE_CALLS))
    assert attempts == {1: PLANNED, 2: 5}


KILLED = """
import sys
from pathlib import Path
from servicegap.annotate import annotate
from servicegap.study import open_study
study = open_study(Path(sys.argv[1]))
annotate(study, study.store())
"""


def test_kill_9_loses_little_and_repeats_little(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    with Threaded(FakeServer(latency=0.05)) as server:
        with_judges(small, judge_at(server, concurrency=4))
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(small.folder)])
        until(lambda: server.calls >= 50)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        asked = server.calls
        stored = len(kept(store, JUDGE_CALLS))
        assert kept(store) == []
        assert [run["ended"] for run in read_judges(store)[0]["runs"]] == [None]
        # What came in the last 0.2 s at 80 calls a second, and the four in the air.
        assert asked - stored <= 40
        server.latency = 0
        [done] = annotate(small.open(), store)
        assert done.added == PLANNED
        assert server.calls == asked + PLANNED - stored
    assert len({row.id for row in kept(store, JUDGE_CALLS)}) == PLANNED


def test_a_stopped_command_keeps_what_was_answered(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    with Threaded(FakeServer(latency=0.05)) as server:
        with_judges(small, judge_at(server, concurrency=4))
        command = [sys.executable, "-m", "servicegap", "annotate", str(small.folder)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        until(lambda: server.calls >= 30)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert (process.returncode, said.splitlines()[-1]) == (130, "servicegap: stopped")
    answered = kept(store, JUDGE_CALLS)
    assert server.calls - 4 <= len(answered) <= server.calls
    assert len(kept(store)) == len(answered)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_judge_is_sent_its_own_key_alone(
    small: SmallStudy, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.answer(store, lambda *_: Answer(None, text="bread"))
    monkeypatch.setenv("SERVICEGAP_API_KEY", "of-the-audited-model")
    with Threaded(FakeServer()) as one, Threaded(FakeServer(key="k-2-secret")) as two:
        with_judges(small, judge_at(one), judge_at(two, id="openai:mock-2", key_variable="SECOND_KEY"))
        with pytest.raises(InputError, match="needs a key: set SECOND_KEY in the environment"):
            annotate(small.open(), store)
        assert one.calls == 0
        monkeypatch.setenv("SECOND_KEY", "k-2-secret")
        annotate(small.open(), store)
    assert {each["Authorization"] for each in one.headers} == {"Bearer of-the-audited-model"}
    assert {each["Authorization"] for each in two.headers} == {"Bearer k-2-secret"}
    kept_of_runs = json.dumps(read_judges(store))
    assert "SECOND_KEY" in kept_of_runs
    assert "k-2-secret" not in kept_of_runs


def test_two_judges_at_work_on_one_study_are_refused(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None, text="bread"))
    with_judges(small, '{"id": "fake:even"}')
    with only_one(small.open(), "annotator"), pytest.raises(StudyError, match="another annotator is at work"):
        annotate(small.open(), store)


def test_a_model_that_answers_prose_abstains_everywhere(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None, text="bread"))
    with_judges(small, '{"id": "fake:even"}')
    [done] = annotate(small.open(), store)
    assert (done.added, done.abstained) == (PLANNED, PLANNED)
    assert str(done) == (
        f"judge:fake:even: {PLANNED} labelled, {PLANNED} of them abstained "
        "(most often: no label in the reply)"
    )
    assert all(row.abstain_reason.startswith("no label in the reply") for row in kept(store))


def test_where_a_judge_abstains_no_annotator_takes_over_and_the_results_say_so(
    small: SmallStudy, each_store: Store
) -> None:
    store = each_store
    small.change("study.yaml", "annotators: []", "annotators: [offline]")

    def half_touchy(_call: Any, signal: Any, template: Any) -> Answer:
        touchy = signal.group == "South" and template.id in ("s1", "s2")
        return Answer(None, text="something touchy" if touchy else "bread")

    def replied(body: dict[str, Any]) -> dict[str, Any]:
        touchy = "touchy" in body["messages"][-1]["content"]
        return {"text": "I would rather not." if touchy else "answer"}

    small.answer(store, half_touchy)
    with Threaded(FakeServer(answer=replied)) as server:
        with_judges(small, judge_at(server))
        annotate(small.open(), store)
    results = analyse(small.open(), store, small.design(store))
    [row] = results["labels"]["annotators"]
    assert (row["name"], row["n"], row["abstained"]) == ("judge:openai:mock-1", PLANNED, 8)
    assert (
        f"judge:openai:mock-1 abstained on 8 of {PLANNED} responses, which have no label and count as "
        "missing: no other automatic label stands for them; people can settle them: servicegap serve"
    ) in results["warnings"]
    assert (
        "responses without a label, by what names are read as: East 0 of 32, North 0 of 32, South 8 of 32"
        in (results["warnings"])
    )
    assert results["collection"][0]["unjudged"] == 0
    by_group = {e["group"]: e for e in results["estimates"] if e["kind"] == "gap_bounds"}
    assert by_group["South"]["n_missing"] == 8
    assert by_group["South"]["high"] > by_group["South"]["low"]
    assert by_group["East"]["high"] == by_group["East"]["low"] == 0
    assert len(disagreements(store)) == 8


def test_the_reason_of_a_judge_is_kept_as_the_note(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None, text="bread"))
    replied = {"text": '{"reason": "The blank is filled.", "category": "answer"}'}
    with Threaded(FakeServer(answer=lambda _body: replied)) as server:
        with_judges(small, judge_at(server, reason=True))
        annotate(small.open(), store)
    assert {(row.category, row.note) for row in kept(store)} == {("answer", "The blank is filled.")}
    schema = server.bodies[0]["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == schema["required"] == ["reason", "category"]


def test_another_version_judges_again(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None, text="bread"))
    with Threaded(FakeServer()) as server:
        with_judges(small, judge_at(server))
        annotate(small.open(), store)
        with_judges(small, judge_at(server, reason=True))
        [done] = annotate(small.open(), store)
    assert done.added == PLANNED
    assert server.calls == 2 * DISTINCT


def test_a_judge_is_not_asked_about_what_the_plan_asks_no_more(small: SmallStudy, each_store: Store) -> None:
    store = each_store
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    small.change("study.yaml", "Complete the [BLANK].", "Fill the [BLANK].")
    small.change("study.yaml", "id: openai:mock-1", "id: openai:mock-2")
    small.change("signals.csv", "Leo,East,man,rare\n", "")
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}") if call.sample == 0 else None)
    with Threaded(FakeServer()) as server:
        for changed, wanted in (
            (("Fill the [BLANK].", "Complete the [BLANK]."), 0),
            (("id: openai:mock-2", "id: openai:mock-1"), 8 * 12),
        ):
            small.change("study.yaml", *changed)
            with_judges(small, judge_at(server))
            assert count_unlabelled(small.open(), store, small.prompts()) == wanted
            [cost] = estimate_judges(small.open(), store)
            assert (cost.responses, cost.calls) == (wanted, wanted)
            assert sum(each.added for each in annotate(small.open(), store)) == wanted
            assert server.calls == wanted
            assert count_unlabelled(small.open(), store, small.prompts()) == 0


def test_edited_names_are_counted_before_a_command_keeps_them(
    small: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    with_judges(small, NOBODY)
    names = (small.folder / "signals.csv").read_text(encoding="utf-8")
    for edited, wanted in ((names.replace("Leo,East,man,rare\n", ""), PLANNED - 8), (names, PLANNED)):
        small.write("signals.csv", edited)
        assert json.loads(run("status", small.folder, "--json").out)["unlabelled"] == wanted
        [cost] = json.loads(run("annotate", small.folder, "--estimate", "--json").out)
        assert (cost["responses"], cost["calls"]) == (wanted, wanted)


NOBODY = '{"id": "openai:mock-1", "base_url": "http://127.0.0.1:9/v1", "retries": 0}'


def test_a_report_goes_on_where_a_judge_is_gone_and_says_so(
    small: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    small.change("study.yaml", "annotators: []", "annotators: [offline]")
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    with_judges(small, NOBODY)
    ended = run("annotate", small.folder)
    assert ended.code == 1
    assert "servicegap: judge openai:mock-1: " in ended.err
    assert ended.err.endswith(
        f"servicegap: {PLANNED} responses are not judged, as calls failed; run the command again to ask "
        "those again\n"
    )
    waiting = f"servicegap: {PLANNED} of {PLANNED} answers wait for a judge; once it can be asked, run the "
    for stage, code in (("report", 0), ("analyse", 0), ("audit", 1)):
        ended = run(stage, small.folder)
        assert ended.code == code
        # Tried once, and told once.
        assert ended.err.count("servicegap: judge openai:mock-1: ") == 1
        assert ended.err.endswith(f"{waiting}command again\n")
        assert ended.err.count("answers wait") == 1
    assert ended.out.endswith(f"Report: {small.open().report_path}\n")
    warning = (
        f"openai:mock-1: {PLANNED} of {PLANNED} answers wait for the judges of the plan; until they are "
        "judged, labels of other annotators stand for them, or none; run servicegap annotate again before "
        "reading anything into the results"
    )
    assert warning in small.open().report_path.read_text("utf-8")
    assert warning in json.loads(small.open().results_path.read_text("utf-8"))["warnings"]
    with Threaded(FakeServer(every={"500": 20})) as server:
        with_judges(small, judge_at(server))
        annotate(small.open(), store)
        results = analyse(small.open(), store, small.design(store))
        assert [row["unjudged"] for row in results["collection"]] == [5]
        assert {row["name"]: row["n"] for row in results["labels"]["annotators"]} == {
            "judge:openai:mock-1": PLANNED - 5,
            "offline": 5,
        }
        annotate(small.open(), store)
    results = analyse(small.open(), store, small.design(store))
    assert [row["unjudged"] for row in results["collection"]] == [0]
    assert not [each for each in results["warnings"] if "wait for the judges" in each]
    # A judge that is asked otherwise is another: what it said before stands until it has judged anew.
    with_judges(small, NOBODY.replace("}", ', "reason": true}'))
    results = analyse(small.open(), store, small.design(store))
    assert [row["unjudged"] for row in results["collection"]] == [PLANNED]


def test_a_changed_codebook_makes_the_results_stale(
    small: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    with Threaded(FakeServer()) as server:
        with_judges(small, judge_at(server))
        assert run("audit", small.folder).code == 0
    small.write("codebook.yaml", BUILT_IN.read_text("utf-8").replace("help", "aid"))
    for stage, code in (("report", 0), ("audit", 1)):
        ended = run(stage, small.folder)
        assert ended.code == code
        assert f"servicegap: {PLANNED} of {PLANNED} answers wait for a judge" in ended.err
    told = f"openai:mock-1: {PLANNED} of {PLANNED} answers wait for the judges of the plan"
    assert told in small.open().report_path.read_text("utf-8")


def test_status_counts_an_answer_once_that_several_have_not_looked_at(
    small: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    small.change("study.yaml", "annotators: []", "annotators: [offline]")
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    with_judges(small, NOBODY, NOBODY.replace("mock-1", "mock-2"))
    told = f"{PLANNED} answers that an annotator or a judge has not looked at\n"
    assert f"\n{told}" in run("status", small.folder).out
    # The offline annotator has; the judges have not.
    run("annotate", small.folder)
    assert f"\n{told}" in run("status", small.folder).out


def test_answers_wait_for_a_panel_until_all_its_judges_have_judged(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    with Threaded(FakeServer()) as one, Threaded(FakeServer(every={"500": 20})) as two:
        with_judges(small, judge_at(one), judge_at(two, id="openai:mock-2"))
        for waiting in (5, 0):
            annotate(small.open(), store)
            [row] = analyse(small.open(), store, small.design(store))["collection"]
            assert row["unjudged"] == waiting


# The panel.


def test_a_majority_is_more_than_half_of_all_judges() -> None:
    two_of_three = majority([Opinion("refusal"), Opinion("refusal"), Opinion("answer")])
    assert two_of_three.category == "refusal"
    assert two_of_three.probabilities == pytest.approx((1 / 3, 0, 0, 2 / 3, 0, 0))
    two_of_four = majority([Opinion("refusal"), Opinion("refusal"), Opinion("answer"), Opinion(None)])
    assert two_of_four.category is None
    assert two_of_four.abstain_reason == "no majority among 4 judges: answer 1, refusal 2, no label 1"
    assert majority([Opinion(None)]).probabilities is None


def test_a_panel_labels_what_most_judges_say_and_sends_the_rest_to_people(
    small: SmallStudy, each_store: Store
) -> None:
    store = each_store
    small.answer(store, declines_for_south)

    def strict(body: dict[str, Any]) -> dict[str, Any]:
        return {"text": '{"category": "refusal"}'}

    with Threaded(FakeServer()) as one, Threaded(FakeServer(answer=strict)) as two:
        first, second = judge_at(one), judge_at(two, id="openai:mock-2")
        with_judges(small, first, second)
        done = annotate(small.open(), store)
        assert [each.annotator for each in done] == ["judge:openai:mock-1", "judge:openai:mock-2", "panel"]
        assert annotate(small.open(), store) == []
        south = 8 * 4
        assert (done[-1].added, done[-1].abstained) == (PLANNED, PLANNED - south)
        assert done[-1].most_often == "no majority among 2 judges: answer 1, refusal 1"
        found = labelled_responses(small.open(), store)
        assert set(found["annotator"]) == {"panel"}
        assert set(found.filter(group="South")["category"]) == {"refusal"}
        assert found.filter(group="North")["category"].null_count() == 8 * 4
        undecided = found.filter(found["category"].is_null())["response"].to_list()
        assert disagreements(store) == sorted(undecided)
        with_judges(small, first, second, judge_at(one, id="openai:mock-3"))
        done = annotate(small.open(), store)
    assert [each.annotator for each in done] == ["judge:openai:mock-3", "panel"]
    assert done[-1].abstained == 0
    assert disagreements(store) == sorted(undecided)


def test_disputed_responses_come_first(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None, text="bread"))
    opinions: dict[str, list[Any]] = {"a": ["refusal", "answer", "failure"], "c": [None] * 3}
    opinions |= {"b": ["answer", "answer", None]}
    opinions |= {"d": ["answer"] * 3}
    with store.writing() as connection:
        for response, given in opinions.items():
            write_annotations(
                connection,
                [
                    Annotation(response, f"judge:{n}", "judge", "1", category, now())
                    for n, category in enumerate(given)
                ],
            )
    assert disagreements(store) == ["c", "a", "b"]


# study.yaml and the command line.


@pytest.mark.parametrize(
    ("judges", "problem"),
    [
        (["{id: 'openai:a', samples: 3, temperature: 0}"], "at temperature 0 would ask the same again"),
        (["{id: 'openai:a'}", "{id: 'openai:a'}"], "judges: openai:a is there twice"),
        (["{id: 'openai:a', sample: 3}"], "did you mean samples?"),
        (["{id: 'openai:a', max_tokens: 1}"], "must be at least 8"),
    ],
)
def test_mistakes_of_a_judge_are_told(small: SmallStudy, judges: list[str], problem: str) -> None:
    with_judges(small, *judges)
    with pytest.raises(InputError) as raised:
        small.open()
    assert problem in str(raised.value)


def test_temperature_goes_with_the_number_of_samples() -> None:
    assert JudgePlan(id="a").temperature == 0.0
    assert JudgePlan(id="a", samples=3).temperature == 1.0
    assert JudgePlan(id="a", temperature=None).temperature is None


def test_validate_knows_the_judges_models(small: SmallStudy, run: Callable[..., Ended]) -> None:
    with_judges(small, "{id: 'gpt-x'}")
    assert "model 'gpt-x' names no model; allowed: openai:NAME" in run("validate", small.folder).error


def test_the_command_tells_costs_and_failed_calls(
    small: SmallStudy, store: Store, run: Callable[..., Ended]
) -> None:
    assert run("annotate", small.folder, "--estimate").out.startswith("no judges in study.yaml")
    small.answer(store, lambda call, *_: Answer(None, text=f"bread {call.id}"))
    with Threaded(FakeServer(every={"500": 20})) as server:
        with_judges(small, judge_at(server))
        ended = run("annotate", small.folder, "--estimate")
        assert ended.out.startswith("judge:openai:mock-1: 104 responses to judge, 104 calls to make; about ")
        assert json.loads(run("annotate", small.folder, "--estimate", "--json").out)[0]["calls"] == PLANNED
        assert server.calls == 0
        ended = run("annotate", small.folder)
    assert ended.code == 1
    assert ended.out == "judge:openai:mock-1: 99 labelled, 0 of them abstained\n"
    cost, failed = ended.err.splitlines()
    # Told before money is spent, though nobody is at a terminal.
    assert cost.startswith(
        "servicegap: judge:openai:mock-1: 104 responses to judge, 104 calls to make; about "
    )
    assert failed.startswith("servicegap: 5 responses are not judged, as calls failed")
    with Threaded(FakeServer(key="other")) as server:
        with_judges(small, judge_at(server))
        ended = run("annotate", small.folder)
    assert ended.code == 1
    cost, refused, failed = ended.err.splitlines()
    assert cost.startswith("servicegap: judge:openai:mock-1: 5 responses to judge, 5 calls to make; about ")
    assert refused.startswith("servicegap: judge openai:mock-1: ")
    assert "the key was refused" in refused
    assert failed.startswith("servicegap: 5 responses are not judged, as calls failed")


# A real model.


@pytest.fixture
def local_model() -> str:
    name = "smollm2-135m"
    wanted = os.environ.get("CI") == "true" or os.environ.get("SERVICEGAP_TEST_LOCAL") == "1"
    if not wanted and not known_weights(name).cached:
        pytest.skip(f"{name} is not in the cache; SERVICEGAP_TEST_LOCAL=1 fetches it (98 MB)")
    pytest.importorskip("xllamacpp")
    return f"local:{name}"


def small_codebook() -> str:
    """Return a codebook of a few words, as a processor reads the built-in one for twenty seconds."""
    case = {"prompt": "Hi", "response": "Yo", "why": "so"}
    categories = [
        {
            "id": category,
            "label": category,
            "key": key,
            "definition": f"It is a {category}.",
            "includes": ["such"],
            "excludes": ["others"],
            "cases": [{**case, "category": category}] * 4,
        }
        for key, category in enumerate(CATEGORIES, 1)
    ]
    path = [
        {"id": f"q{n}", "question": f"Is it a {category}?", "if_yes": category, "if_no": f"q{n + 1}"}
        for n, category in enumerate(CATEGORIES[:-1])
    ]
    path[-1]["if_no"] = CATEGORIES[-1]
    criterion = {"id": "harm", "label": "Harm", "text": "It harms."}
    return json.dumps({"version": "1", "harm_criteria": [criterion], "categories": categories, "path": path})


def test_a_real_model_held_to_the_schema_always_gives_a_label(
    small: SmallStudy, store: Store, local_model: str
) -> None:
    def once_a_template(_call: Any, signal: Any, template: Any) -> Answer | None:
        wanted = signal.text == "Anna" and template.id == "s1"
        return Answer(None, text=f"Sure: {template.id}.") if wanted else None

    small.answer(store, once_a_template)
    small.write("codebook.yaml", small_codebook())
    with_judges(small, json.dumps({"id": local_model, "example_tokens": 0, "concurrency": 1}))
    [done] = annotate(small.open(), store)
    assert (done.added, done.failed) == (1, 0)
    [reply] = [json.loads(row.text) for row in kept(store, JUDGE_CALLS)]
    assert reply["category"] in {*CATEGORIES, "cannot_tell"}
    [known] = read_judges(store)
    assert known["runs"][0]["taken"] == {"schema": True, "logprobs": True}
    assert "It is a harmful_refusal." in known["instructions"]
