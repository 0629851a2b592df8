"""All stages in a row: what a second run does, and what a change makes it do again."""

from __future__ import annotations

import html
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Ended, SmallStudy

from servicegap.audit import (
    bring_to_analyse,
    bring_to_annotate,
    bring_to_collect,
    bring_to_report,
    checked_design,
    fresh_results,
    status,
)
from servicegap.codebook import BUILT_IN
from servicegap.errors import InputError, ModelError
from servicegap.report import render
from servicegap.store import Store


@pytest.fixture
def asked(small: SmallStudy) -> SmallStudy:
    """The small study, put to a fake model that refuses 8 % whatever the (unknown) name."""
    small.change(
        "study.yaml", "  - id: openai:mock-1\n    base_url: http://127.0.0.1:9/v1", "  - id: fake:even"
    )
    small.change("study.yaml", "annotators: []", "annotators: [offline]")
    return small


@pytest.fixture
def store(asked: SmallStudy) -> Iterator[Store]:
    opened = asked.open().store()
    yield opened
    opened.close()


def count(small: SmallStudy, table: str, where: str = "1") -> int:
    raw = sqlite3.connect(small.folder / "study.db")
    found = raw.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]
    raw.close()
    return int(found)


def state(small: SmallStudy) -> dict[str, Any]:
    files = [
        path
        for path in small.folder.rglob("*")
        if path.is_file() and path.suffix != ".lock" and "study.db" not in path.name
    ]
    tables = ("responses", "annotations", "runs", "prompts")
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files} | {
        table: count(small, table) for table in tables
    }


def next_stage(small: SmallStudy, store: Store) -> str | None:
    return status(small.open(), store).stage


def test_stages_follow_one_another(asked: SmallStudy, store: Store) -> None:
    assert next_stage(asked, store) == "collect"
    collected = bring_to_collect(asked.open(), store)
    assert (collected.planned, collected.stored, collected.failed) == (208, 208, 0)
    assert next_stage(asked, store) == "annotate"
    assert sum(each.added for each in bring_to_annotate(asked.open(), store)) == 208
    assert next_stage(asked, store) == "analyse"
    results = bring_to_analyse(asked.open(), store)
    assert json.loads((asked.folder / "results.json").read_text()) == results
    assert next_stage(asked, store) == "report"
    assert bring_to_report(asked.open(), store) == results
    assert next_stage(asked, store) is None


def test_a_second_run_does_nothing_again_and_a_missing_report_alone_is_made(
    asked: SmallStudy, store: Store
) -> None:
    asked.change("templates.yaml", '"{name} took the bus to [BLANK]."', '"{name} wrote <b>& [BLANK]."')
    # The first run is given to the last stage: it does all that is missing before it.
    results = bring_to_report(asked.open(), store)
    assert results["collection"][0]["answered"] == 208
    before = state(asked)
    bring_to_collect(asked.open(), store)
    assert bring_to_report(asked.open(), store) == results
    assert state(asked) == before
    report = asked.folder / "report" / "index.html"
    page = report.read_text()
    assert "wrote &lt;b&gt;&amp; [BLANK]" in page
    assert "wrote <b>" not in page
    report.unlink()
    assert next_stage(asked, store) == "report"
    bring_to_report(asked.open(), store)
    assert report.read_text() == page
    tables = ("responses", "annotations", "runs")
    assert {table: state(asked)[table] for table in tables} == {table: before[table] for table in tables}
    results_path = str(asked.folder / "results.json")
    assert state(asked)[results_path] == before[results_path]


def test_damaged_results_are_made_again(asked: SmallStudy, store: Store) -> None:
    results = bring_to_analyse(asked.open(), store)
    for damaged in ('{"half": ', "[]", '"text"', "null", "[" * 100_000):
        (asked.folder / "results.json").write_text(damaged)
        assert next_stage(asked, store) == "analyse"
        assert fresh_results(asked.open(), store) is None
    assert bring_to_analyse(asked.open(), store)["estimates"] == results["estimates"]


def test_results_of_an_older_shape_are_made_again(
    asked: SmallStudy, store: Store, run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("servicegap.analyse.RESULTS_SCHEMA", 1)
        results = bring_to_report(asked.open(), store)
    assert results["schema"] == 1
    for row in results["collection"]:
        del row["unjudged"]
    asked.write("results.json", json.dumps(results))
    assert next_stage(asked, store) == "analyse"
    assert run("audit", asked.folder).code == 0
    written = json.loads((asked.folder / "results.json").read_text())
    assert [row["unjudged"] for row in written["collection"]] == [0]


def test_a_changed_plan_is_analysed_again_and_shown_as_a_deviation(asked: SmallStudy, store: Store) -> None:
    assert bring_to_analyse(asked.open(), store)["plan"]["deviations"] == []
    asked.change("study.yaml", "reference: North", "reference: South")
    assert next_stage(asked, store) == "analyse"
    results = bring_to_analyse(asked.open(), store)
    told = "reference was 'North' at the first collection and is 'South' now"
    assert results["plan"]["deviations"] == [told]
    assert count(asked, "responses") == 208
    assert told in html.unescape(render(results))


def test_added_names_are_asked_alone(asked: SmallStudy, store: Store) -> None:
    bring_to_analyse(asked.open(), store)
    text = (asked.folder / "signals.csv").read_text()
    asked.write("signals.csv", text + "Max,North,man,rare\nNora,South,woman,common\n")
    assert next_stage(asked, store) == "collect"
    bring_to_collect(asked.open(), store)
    assert count(asked, "responses") == 208 + 2 * 8 * 2
    assert count(asked, "responses", "attempt > 1") == 0
    results = bring_to_analyse(asked.open(), store)
    sizes = {row["group"]: row["n_signals"] for row in results["design"]["groups"]}
    assert sizes == {"North": 5, "South": 5, "East": 4}
    assert count(asked, "annotations") == count(asked, "responses")


def test_answers_under_another_condition_are_kept_and_not_mixed_in(asked: SmallStudy, store: Store) -> None:
    first = bring_to_analyse(asked.open(), store)
    asked.change("study.yaml", "Complete the [BLANK].", "Fill the [BLANK], please.")
    assert next_stage(asked, store) == "collect"
    bring_to_collect(asked.open(), store)
    second = bring_to_analyse(asked.open(), store)
    assert count(asked, "responses") == 2 * 208
    assert {row["planned"] for row in second["collection"]} == {208}

    def numbers(results: dict[str, Any]) -> list[Any]:
        return [
            (e["kind"], e["outcome"], e["group"], e["signal"], e["target"], e["value"])
            for e in results["estimates"]
        ]

    assert max(e["n_responses"] or 0 for e in second["estimates"]) == max(
        e["n_responses"] or 0 for e in first["estimates"]
    )
    asked.change("study.yaml", "Fill the [BLANK], please.", "Complete the [BLANK].")
    assert numbers(bring_to_analyse(asked.open(), store)) == numbers(first)
    assert count(asked, "responses") == 2 * 208


def test_stages_after_a_collection_that_failed_do_not_go_on_by_themselves(
    small: SmallStudy, store: Store
) -> None:
    small.change(
        "study.yaml", "fake:even", "openai:mock-1\n    base_url: http://127.0.0.1:9/v1\n    retries: 0"
    )
    with pytest.raises(ModelError, match=r"127.0.0.1:9"):
        bring_to_report(small.open(), store)
    assert not (small.folder / "results.json").exists()
    assert not (small.folder / "report").exists()


def test_validate_asks_nothing_and_tells_unknown_models_and_annotators(asked: SmallStudy) -> None:
    assert len(checked_design(asked.open()).prompts) == 104
    assert not (asked.folder / "study.db").exists()
    asked.change("study.yaml", "annotators: [offline]", "annotators: [ofline]")
    with pytest.raises(InputError, match="'ofline' is unknown"):
        checked_design(asked.open())
    asked.change("study.yaml", "fake:even", "fake:odd")
    with pytest.raises(InputError, match="'odd' is unknown; allowed: even, uneven"):
        checked_design(asked.open())


def break_codebook(small: SmallStudy) -> None:
    text = BUILT_IN.read_text(encoding="utf-8")
    small.write("codebook.yaml", text.replace("\nversion:", "\nverison:"))


def test_all_mistakes_of_a_study_are_told_at_once_with_their_places(
    asked: SmallStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SERVICEGAP_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    asked.change(
        "study.yaml",
        "  - id: fake:even",
        "  - id: fake:odd\n  - id: openai:a\n    base_url: ftp://x\n  - {id: openai:b}",
    )
    asked.change("study.yaml", "annotators: [offline]", "annotators: [ofline]\njudges: [{id: fake:judge}]")
    asked.change("study.yaml", "  level: 0.95", "  family: [Nope]")
    asked.change("templates.yaml", "{name} took the", "Ben took the")
    break_codebook(asked)
    with pytest.raises(InputError) as error:
        checked_design(asked.open())
    told = [problem.removeprefix(f"{asked.folder}/") for problem in error.value.problems]
    assert [problem.split(" ")[0] for problem in told] == [
        "study.yaml:10:",
        "study.yaml:11:",
        "study.yaml:13:",
        "study.yaml:17:",
        "study.yaml:16:",
        "codebook.yaml:4:",
        "codebook.yaml:4:",
        "templates.yaml:3:",
        "study.yaml:21:",
    ]
    words = [
        "'odd'",
        "ftp://x",
        "SERVICEGAP_API_KEY",
        "'judge'",
        "'ofline'",
        "version",
        "verison",
        "{name}",
        "Nope",
    ]
    assert all(word in problem for word, problem in zip(words, told, strict=True))


def test_a_broken_codebook_is_told_before_anything_is_asked(
    run: Callable[..., Ended], asked: SmallStudy
) -> None:
    break_codebook(asked)
    for stage in ("validate", "collect", "audit", "report", "status"):
        ended = run(stage, asked.folder)
        assert (ended.code, ended.out) == (2, "")
        assert f"{asked.folder}/codebook.yaml:4: the field 'version' is missing" in ended.err
        assert not (asked.folder / "study.db").exists() or count(asked, "responses") == 0
    (asked.folder / "codebook.yaml").unlink()
    assert run("report", asked.folder).code == 0
    break_codebook(asked)
    assert run("status", asked.folder).code == 2


@pytest.mark.parametrize("stage", ["audit", "annotate", "report"])
def test_an_unknown_annotator_is_told_before_anything_is_asked(
    run: Callable[..., Ended], asked: SmallStudy, stage: str
) -> None:
    asked.change("study.yaml", "annotators: [offline]", "annotators: [ofline]")
    ended = run(stage, asked.folder)
    assert ended.code == 2
    assert ended.error.startswith(f"{asked.folder}/study.yaml:13: annotators: 'ofline' is unknown")
    assert not (asked.folder / "study.db").exists() or count(asked, "responses") == 0


def test_imported_responses_can_be_validated_though_not_asked(asked: SmallStudy) -> None:
    asked.change("study.yaml", "fake:even", "imported:llama 7")
    assert len(checked_design(asked.open()).prompts) == 104


def test_an_audit_that_cannot_be_run_leaves_nothing_behind(run: Callable[..., Ended], tmp_path: Path) -> None:
    folder = tmp_path / "s"
    ended = run("audit", folder, "--model", "local:no-such-model")
    assert ended.code == 2
    assert ended.error.startswith("local model 'no-such-model' is unknown")  # names no file that is not there
    assert not folder.exists()
    assert run("audit", folder, "--model", "fake:even", "--names-per-group", "2").code == 0
