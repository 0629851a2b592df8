"""What judges were told, on the report's page."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from conftest import Answer, SmallStudy
from fake_server import FakeServer
from made_up_results import made_up_results
from test_judge import Threaded, judge_at, with_judges

from servicegap.analyse import analyse
from servicegap.annotate import annotate
from servicegap.annotators.judge import Judge
from servicegap.codebook import load_codebook
from servicegap.report import render
from servicegap.report.judges import judges_table, judges_told
from servicegap.report.page import page as page_of
from servicegap.report.reading import read_results
from servicegap.store import Store

HEADING = "What judges were told"


def labels_with(*judges: dict[str, Any]) -> dict[str, Any]:
    return {**made_up_results()["labels"], "judges": list(judges)}


def judge(**changed: Any) -> dict[str, Any]:
    plan = {"id": "openai:a", "samples": 3, "temperature": 1.0, "reason": False}
    runs = [{"served_models": ["a-1", None]}, {"served_models": ["a-1", "a-2"]}, {}]
    return {
        "annotator": "judge:openai:a",
        "version": "v1",
        "plan": plan,
        "instructions": "Label it.",
        "runs": runs,
    } | changed


def without_plots(results: dict[str, Any]) -> str:
    read = read_results(results)
    return page_of(read, {number: [] for number in range(len(read.runs))}, [])


def test_a_study_shows_what_its_judge_was_told(small: SmallStudy, store: Store) -> None:
    small.change("study.yaml", "samples: 2", "samples: 1")
    small.answer(store, lambda call, *_: Answer(None, text=f"Bread, {int(call.id[:2], 16) % 3} loaves."))
    with Threaded(FakeServer()) as server:
        with_judges(small, judge_at(server, reason=True))
        annotate(small.open(), store)
    page = render(analyse(small.open(), store, small.design(store)))
    own = Judge(small.open().plan.judges[0], load_codebook())
    told = re.search(
        r'<details class="screen"><summary>(judge:[^<]*)</summary>\s*<div class="said"[^>]*>(.*?)</div>',
        page,
        flags=re.DOTALL,
    )
    assert told is not None
    assert unescape(told[2]) == own.condition.system
    assert told[1].startswith(f"judge:openai:mock-1, version {own.version}: its instructions (")
    row = re.search(r'<tr><th scope="row">openai:mock-1</th>(.*?)</tr>', page, flags=re.DOTALL)
    assert row is not None
    cells = re.findall(r"<td>(.*?)</td>", row[1])
    assert cells == ["mock-1-2024 (fp_1)", own.version, "1", "0", "104", "0"]


def test_both_tables_say_how_often_a_judge_abstained(small: SmallStudy, store: Store) -> None:
    small.change("study.yaml", "samples: 2", "samples: 1")
    small.change("study.yaml", "annotators: []", "annotators: [offline]")

    def touchy_about_south(_call: Any, signal: Any, _template: Any) -> Answer:
        return Answer(None, text="touchy" if signal.group == "South" else "bread")

    def replied(body: dict[str, Any]) -> dict[str, Any]:
        return {"text": "I would rather not." if "touchy" in body["messages"][-1]["content"] else "answer"}

    small.answer(store, touchy_about_south)
    with Threaded(FakeServer(answer=replied)) as server:
        with_judges(small, judge_at(server))
        annotate(small.open(), store)
    page = without_plots(analyse(small.open(), store, small.design(store)))
    rows = [
        re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row)
        for row in re.findall(r"<tr>(.*?)</tr>", page, flags=re.DOTALL)
    ]
    [annotator] = [row for row in rows if row[:2] == ["judge:openai:mock-1", "judge"]]
    [asked] = [row for row in rows if row[0] == "openai:mock-1" and row[1].startswith("mock-1-2024")]
    assert annotator[-2:] == asked[-2:] == ["104", "32"]
    assert not [row for row in rows if row[0] == "offline" and row[1] == "automatic"]
    assert "judge:openai:mock-1 abstained on 32 of 104 responses" in page


def test_without_a_judge_nothing_is_said_of_judges() -> None:
    for results in (made_up_results(), made_up_results() | {"labels": labels_with()}):
        assert judges_table(read_results(results)) is None
        assert HEADING not in without_plots(results)


def test_instructions_of_a_strangers_codebook_stay_text() -> None:
    bad = "</div><script>x</script>{{ 7 * 7 }}\N{RIGHT-TO-LEFT OVERRIDE} & <b>"
    page = without_plots(made_up_results() | {"labels": labels_with(judge(instructions=bad))})
    assert "<script" not in page
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page
    assert "&lt;/div&gt;&lt;script&gt;x&lt;/script&gt;{{ 7 * 7 }}" in page
    assert HEADING in page


def test_abstentions_are_those_of_the_version_that_judged() -> None:
    check = {
        "annotator": "judge:openai:a",
        "version": "v2",
        "abstentions": [
            {"group": "White", "n": 60, "abstained": 4},
            {"group": "Muslim", "n": 61, "abstained": 5},
        ],
    }
    old = judge(version="v1", plan={"id": "openai:a", "samples": 1, "temperature": None}, runs=[])
    results = read_results(
        made_up_results() | {"labels": labels_with(old, judge(version="v2")), "annotator_check": [check]}
    )
    table = judges_table(results)
    assert table is not None
    rows = [dict(zip(table.head, row, strict=True)) for row in table.body]
    assert [(row["Judged"], row["Abstained"]) for row in rows] == [
        ("not known", "not known"),
        ("121", "9"),
    ]
    assert [(row["Samples"], row["Temperature"]) for row in rows] == [("1", "not sent"), ("3", "1")]
    assert [row["Named by its server"] for row in rows] == ["not known", "a-1, a-2"]
    assert len(judges_told(results)) == 2


@pytest.mark.parametrize("instructions", [None, ""])
def test_a_judge_of_whom_nothing_is_known_has_no_empty_fold(instructions: str | None) -> None:
    results = made_up_results() | {"labels": labels_with(judge(instructions=instructions))}
    assert judges_told(read_results(results)) == []
    assert HEADING in without_plots(results)
