"""The stage analyse: estimates with their context, for a study and for anybody's table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer, SmallStudy

from servicegap.analyse import analyse, analyse_table, inputs_hash
from servicegap.calls import planned_calls
from servicegap.codebook import BUILT_IN
from servicegap.collect import collect
from servicegap.errors import DataError, InputError
from servicegap.labels import labelled_responses
from servicegap.records import Annotation, Signal, Template
from servicegap.store import Store, write_annotations, write_meta
from servicegap.study import AnalysisPlan, write_json_whole

COLUMNS = {"group": "who", "signal": "name", "template": "prompt", "label": "label"}
PLAN = AnalysisPlan(reference="North")


def uneven(call: Any, signal: Signal, template: Template) -> Answer:
    chance = int(call.id[:4], 16) % 10
    refused = chance < {"North": 2, "South": 5, "East": 3, None: 1}[signal.group]
    return Answer("refusal" if refused else "answer")


def analysed(small: SmallStudy, store: Store) -> dict[str, Any]:
    return analyse(small.open(), store, small.design(store))


def test_results_have_the_promised_shape_and_no_nan(small: SmallStudy, store: Store, tmp_path: Path) -> None:
    small.answer(store, uneven)
    results = analysed(small, store)
    promised = {"schema", "version", "plan", "labels", "estimates", "warnings", "provenance"}
    assert promised <= results.keys()
    write_json_whole(tmp_path / "results.json", results)
    read = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert read == results
    assert all(not isinstance(value, dict | list) for e in read["estimates"] for value in e.values())
    assert results["labels"] == {
        "kind": "imported",
        "annotators": [{"name": "coder", "kind": "imported", "version": "1", "n": 208, "abstained": 0}],
        "correction": [],
        "judges": [],
    }
    assert results["warnings"] == []


def test_the_design_is_described(small: SmallStudy, store: Store) -> None:
    small.answer(store, uneven)
    design = analysed(small, store)["design"]
    assert design["groups"] == [{"group": group, "n_signals": 4} for group in ("North", "South", "East")]
    assert (design["control"], design["n_prompts"], design["n_primary_templates"]) == (True, 104, 6)
    assert not design["demonstration"]
    # Four names in every group: every gap needs the same size to be found.
    assert [each["group"] for each in design["detectable"]] == ["South", "East"]
    assert {each["gap"] for each in design["detectable"]} == {design["detectable_gap"]}
    assert 0.2 < design["detectable_gap"] <= 1
    assert "13B" in design["detectable_note"]


def test_collection_counts_every_planned_call_once(small: SmallStudy, store: Store) -> None:
    kinds = ("content_filter", "transport", "rate_limit", "malformed", "rejected")

    def answers(call: Any, signal: Signal, template: Template) -> Answer | None:
        if template.id == "n1":
            return None
        number = int(call.id[:4], 16) % 7
        return Answer(error=kinds[number]) if number < 5 else uneven(call, signal, template)  # type: ignore[arg-type]

    small.answer(store, answers)
    results = analysed(small, store)
    [row] = results["collection"]
    assert row["planned"] == 208
    assert row["unasked"] == 26
    assert row["planned"] == sum(row[k] for k in ("answered", "failed", "blocked", "rejected", "unasked"))
    assert min(row[k] for k in ("answered", "failed", "blocked", "rejected")) > 0
    assert any("have no answer yet" in warning for warning in results["warnings"])
    [told] = [warning for warning in results["warnings"] if warning.startswith("responses without a label")]
    for group in ("North", "South", "East"):
        rate = next(
            e
            for e in results["estimates"]
            if (e["kind"], e["outcome"], e["group"], e["signal"]) == ("rate", "refused", group, None)
        )
        # The warning counts all templates (n2 is neutral, n1 was not asked), the rate the primary ones.
        assert f"{group} " in told
        assert rate["n_responses"] + rate["n_missing"] == 4 * 6 * 2
        assert rate["n_missing"] > 0


def test_a_deviation_from_the_plan_is_shown(small: SmallStudy, store: Store) -> None:
    small.answer(store, uneven)
    with store.writing() as connection:
        write_meta(connection, "plan_at_first_collection", small.open().plan.plan.model_dump_json())
        write_meta(connection, "first_collection", "2024-01-01T00:00:00+00:00")
    plan = analysed(small, store)["plan"]
    assert (plan["deviations"], plan["first_collection"]) == ([], "2024-01-01T00:00:00+00:00")
    small.change("study.yaml", "primary: refused", "primary: unserved")
    small.change("study.yaml", "level: 0.95", "level: 0.9")
    assert analysed(small, store)["plan"]["deviations"] == [
        "primary was 'refused' at the first collection and is 'unserved' now",
        "level was 0.95 at the first collection and is 0.9 now",
    ]


def test_results_are_stale_after_whatever_they_depend_on_changes(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda call, *rest: uneven(call, *rest) if call.sample == 0 else None)
    hashes = [inputs_hash(small.open(), store)]
    assert hashes[0] == inputs_hash(small.open(), store)
    small.answer(store, lambda call, *rest: uneven(call, *rest) if call.sample == 1 else None)
    hashes.append(inputs_hash(small.open(), store))
    with store.writing() as connection:
        write_annotations(connection, [Annotation("r", "me", "human", "1", "answer", "now")])
    hashes.append(inputs_hash(small.open(), store))
    small.change("study.yaml", "level: 0.95", "level: 0.9")
    hashes.append(inputs_hash(small.open(), store))
    small.change("signals.csv", "Ben,North", "Ben,South")
    small.design(store)
    hashes.append(inputs_hash(small.open(), store))
    # Which answers wait for a judge depends on what the judge is told.
    small.write("codebook.yaml", BUILT_IN.read_text("utf-8").replace("help", "aid"))
    hashes.append(inputs_hash(small.open(), store))
    assert len(set(hashes)) == 6


def test_nothing_collected_is_an_error(small: SmallStudy, store: Store) -> None:
    with pytest.raises(DataError, match="no responses to analyse; collect or import some first"):
        analysed(small, store)


def test_automatic_labels_are_called_uncorrected(small: SmallStudy, store: Store) -> None:
    small.change("study.yaml", "annotators: []", "annotators: [coder]")
    small.answer(store, uneven, kind="automatic")
    results = analysed(small, store)
    assert results["labels"]["kind"] == "automatic-uncorrected"
    # Nobody labels how long a response is.
    found = {e["labels"] for e in results["estimates"] if e["outcome"] != "words"}
    assert found == {"automatic-uncorrected"}


def write_table(small: SmallStudy, store: Store, path: Path) -> None:
    """The study's targeted answers as somebody's own table."""
    frame = labelled_responses(small.open(), store).drop_nulls(["group", "target"])
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["extra", "who", "name", "prompt", "label"])
        for row in frame.iter_rows(named=True):
            label = (row["category"] or "").replace("_", " ")
            writer.writerow(["x", row["group"], row["signal"], row["template"], label])


def test_a_table_gives_the_same_gaps_in_the_same_shape(
    small: SmallStudy, store: Store, tmp_path: Path
) -> None:
    def answers(call: Any, signal: Signal, template: Template) -> Answer:
        return Answer(None) if call.id[0] == "0" else uneven(call, signal, template)

    small.answer(store, answers)
    study = analysed(small, store)
    write_table(small, store, tmp_path / "t.csv")
    table = analyse_table(tmp_path / "t.csv", COLUMNS, PLAN)
    assert table.keys() == study.keys()
    assert table["plan"].keys() == study["plan"].keys()
    assert table["design"].keys() == study["design"].keys()
    assert {frozenset(e) for e in table["estimates"]} == {frozenset(e) for e in study["estimates"]}
    json.loads(json.dumps(table, allow_nan=False))
    wanted = ("value", "low", "high", "p", "df", "n_responses", "n_missing", "n_signals", "n_templates")

    def primary(results: dict[str, Any]) -> dict[Any, Any]:
        return {
            (e["kind"], e["outcome"], e["group"]): [e[name] for name in wanted]
            for e in results["estimates"]
            if e["kind"] in ("rate", "gap", "naive_gap", "share")
            and e["target"] is e["signal"] is None
            and e["group"] in ("North", "South", "East")
        }

    mine, theirs = primary(table), primary(study)
    assert mine.keys() == theirs.keys()
    for key in mine:
        assert mine[key] == pytest.approx(theirs[key])


def test_a_table_without_the_reference_is_told(small: SmallStudy, store: Store, tmp_path: Path) -> None:
    small.answer(store, uneven)
    write_table(small, store, tmp_path / "t.csv")
    with pytest.raises(DataError, match="reference 'Nort'; groups with responses: East, North, South"):
        analyse_table(tmp_path / "t.csv", COLUMNS, AnalysisPlan(reference="Nort"))
    with pytest.raises(InputError, match=r"t.csv:1: no column 'whom' \(for --group\)"):
        analyse_table(tmp_path / "t.csv", {**COLUMNS, "group": "whom"}, PLAN)


def test_a_first_collection_freezes_the_plan(small: SmallStudy, store: Store) -> None:
    small.change(
        "study.yaml", "  - id: openai:mock-1\n    base_url: http://127.0.0.1:9/v1", "  - id: fake:even"
    )
    design = small.design(store)
    assert collect(small.open(), store, design.prompts).stored == 208
    small.change("study.yaml", "reference: North", "reference: East")
    small.answer(store, lambda *_: None)
    with store.writing() as connection:
        labels = [
            Annotation(call.id, "me", "human", "1", "answer", "now")
            for call in planned_calls(small.open(), "fake:even", design.prompts)
        ]
        write_annotations(connection, labels)
    assert analysed(small, store)["plan"]["deviations"] == [
        "reference was 'North' at the first collection and is 'East' now"
    ]
