"""Labels by other tools: out, labelled there, and in again. The fixtures are exports of a real Label Studio.

They were made by hand from tasks of the small study below: two annotators, one label changed on its page, one
task skipped, one note.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from conftest import Answer, SmallStudy
from hypothesis import given
from hypothesis import strategies as st

from servicegap.cli import main
from servicegap.codebook import load_codebook
from servicegap.errors import InputError
from servicegap.formats import label_studio, label_table, prodigy
from servicegap.formats.outside_labels import (
    OutsideLabel,
    ToLabel,
    bring_in,
    every_label,
    responses_to_label,
)
from servicegap.labels import people_labels
from servicegap.records import CATEGORIES
from servicegap.store import Store

DATA = Path(__file__).parent / "data"
EXPORTS = ("label_studio_export.json", "label_studio_snapshot.json")


@pytest.fixture
def store(small: SmallStudy) -> Iterator[Store]:
    store = small.open().store()
    small.answer(store, lambda call, *_: Answer(None, text=f"Sample {call.sample}: a basket of apples."))
    yield store
    store.close()


def gold(store: Store) -> dict[str, tuple[str, str]]:
    return {row[0]: (row[1], row[2]) for row in people_labels(store).iter_rows()}


@pytest.mark.parametrize("name", EXPORTS)
def test_a_real_export_of_label_studio_comes_in(small: SmallStudy, store: Store, name: str) -> None:
    labels = label_studio.read_annotations(DATA / name)
    done = bring_in(small.open(), store, labels)
    assert (done.added, done.known, done.annotators) == (11, 0, 2)
    kept = every_label(small.open(), store)
    assert {row["annotator"] for row in kept} == {"label-studio-1", "label-studio-2"}
    assert [row["note"] for row in kept if row["note"]] == ["not clear to me"]
    assert [row["reason"] for row in kept if row["category"] is None] == ["skipped in Label Studio"]
    assert {row["active_seconds"] for row in kept} >= {7.5, 3.0, 2.0}
    sources = sorted(source for _, source in gold(store).values())
    # Of the three that both labelled they disagree on one.
    assert sources == ["single"] * 4 + ["unanimous"] * 2


def test_the_same_file_twice_adds_nothing_and_a_changed_label_supersedes(
    small: SmallStudy, store: Store
) -> None:
    labels = label_studio.read_annotations(DATA / EXPORTS[0])
    bring_in(small.open(), store, labels)
    before = gold(store)
    assert bring_in(small.open(), store, labels).added == 0
    assert gold(store) == before
    single = next(label for label in labels if before.get(label.response, ("", ""))[1] == "single")
    changed = [type(single)(single.response, single.annotator, "harmful_answer", "again", active_seconds=1.0)]
    assert bring_in(small.open(), store, changed).added == 1
    assert gold(store)[single.response] == ("harmful_answer", "single")
    assert len(every_label(small.open(), store)) == 11


def test_a_label_of_no_response_of_the_study_is_told_and_nothing_is_kept(
    small: SmallStudy, store: Store
) -> None:
    labels = label_studio.read_annotations(DATA / EXPORTS[0])
    wrong = [*labels, type(labels[0])("feedfeedfeedfeed", "x", "answer", "file:7")]
    with pytest.raises(InputError, match="file:7: 'feedfeedfeedfeed' is no response of this study"):
        bring_in(small.open(), store, wrong)
    assert every_label(small.open(), store) == []


def test_two_labels_of_a_response_by_one_person_are_told_with_their_lines(
    small: SmallStudy, store: Store, tmp_path: Path
) -> None:
    first, second = [each.response for each in responses_to_label(small.open(), store)[:2]]
    path = tmp_path / "labels.csv"
    rows = f"{first},answer,answer\n{second},refusal,\n{first},refusal,answer\n"
    path.write_text(f"response_id,annotation:ada,annotation:bo\n{rows}", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        bring_in(small.open(), store, label_table.read_table(path))
    assert caught.value.problems == (
        f"{path}:4: annotation:ada: 'ada' labelled '{first}' refusal here, and answer at "
        f"{path}:2: annotation:ada; a person labels a response once: keep the right one",
    )
    assert every_label(small.open(), store) == []
    path.write_text(path.read_text(encoding="utf-8").replace("refusal,answer", "answer,answer"))
    done = bring_in(small.open(), store, label_table.read_table(path))
    assert (done.added, done.known, done.annotators) == (3, 0, 2)
    assert len(every_label(small.open(), store)) == 3


def test_a_response_that_was_skipped_and_then_labelled_is_labelled(small: SmallStudy, store: Store) -> None:
    [first] = [each.response for each in responses_to_label(small.open(), store)[:1]]
    skipped = OutsideLabel(first, "ada", None, "file:1", reason="ignore in Prodigy")
    label = OutsideLabel(first, "ada", "refusal", "file:2")
    for labels in ([skipped, label], [label, skipped]):
        bring_in(small.open(), store, labels)
        assert [row["category"] for row in every_label(small.open(), store)] == ["refusal"]


def test_tasks_hold_no_model_group_or_label_of_others(small: SmallStudy, store: Store) -> None:
    responses = responses_to_label(small.open(), store)
    made = label_studio.tasks(responses)
    assert len(made) == 208
    assert {tuple(task["data"]) for task in made} == {("prompt", "response", "response_id")}
    assert made == label_studio.tasks(responses_to_label(small.open(), store))
    masked = responses_to_label(small.open(), store, mask_signals=True)
    assert not any("Anna" in each.prompt for each in masked)
    assert sum("[NAME]" in each.prompt for each in masked) == 192


def test_the_labelling_configuration_holds_the_codebook(tmp_path: Path) -> None:
    view = ET.fromstring(label_studio.labelling_config(load_codebook()))
    choices = view.findall("Choices/Choice")
    assert [choice.get("alias") for choice in choices] == list(CATEGORIES)
    assert [choice.get("hotkey") for choice in choices] == list("123456")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ('[{"id": 1, "category": "answer"}]', "no export of tasks"),
        ('[{"id": 9, "annotations": [{}], "data": {}}]', "task 9: no data.response_id"),
        (
            '[{"id": 9, "data": {"response_id": "a"}, "annotations": [{"completed_by": "x", "result": []}]}]',
            "completed_by is 'x'",
        ),
        (
            '[{"id": 9, "data": {"response_id": "a"}, "annotations": [{"completed_by": 1, "result": 3}]}]',
            "another shape",
        ),
        (
            '[{"id": 9, "data": {"response_id": "a"}, "annotations": [{"completed_by": 1, "result": [{'
            '"from_name": "category", "value": {"choices": ["maybe"]}}]}]}]',
            "'maybe' is no category",
        ),
    ],
)
def test_what_is_no_export_of_label_studio_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "export.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        label_studio.read_annotations(path)


def test_prodigy_there_and_back(small: SmallStudy, store: Store, tmp_path: Path) -> None:
    made = prodigy.tasks(responses_to_label(small.open(), store)[:3], load_codebook())
    assert [option["id"] for option in made[0]["options"]] == list(CATEGORIES)
    answered = [
        made[0] | {"answer": "accept", "accept": ["refusal"], "_annotator_id": "trial-ada"},
        made[0] | {"answer": "accept", "accept": ["refusal"], "_session_id": "trial-bo"},
        made[1] | {"answer": "ignore", "_annotator_id": "trial-ada"},
    ]
    path = tmp_path / "annotated.jsonl"
    path.write_text("\n".join(map(json.dumps, answered)) + "\n\n", encoding="utf-8")
    assert bring_in(small.open(), store, prodigy.read_annotations(path)).added == 3
    assert gold(store) == {made[0]["meta"]["response_id"]: ("refusal", "unanimous")}


def test_every_wrong_line_of_prodigy_is_told(tmp_path: Path) -> None:
    path = tmp_path / "annotated.jsonl"
    good = {"meta": {"response_id": "a"}, "answer": "accept", "_annotator_id": "x"}
    lines = [{**good, "accept": []}, {**good, "accept": ["perhaps"]}, {"text": "raw"}]
    lines.append({**good, "accept": ["answer"], "_annotator_id": ""})
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        prodigy.read_annotations(path)
    places = [problem.split(": ")[0].rsplit(":", 1)[1] for problem in caught.value.problems]
    assert places == ["1", "2", "3", "4"]


def test_a_table_goes_out_is_filled_in_and_comes_back(
    small: SmallStudy, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "labels.csv"
    out = ["export", "labels", str(small.folder), "--out", str(path), "--annotator", "ada"]
    for command in ([*out, "--annotator", "bo"], out):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 0
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        assert len(rows) == 208
        for row in rows[:2]:
            row["annotation:ada"] = "Harmful refusal"
            row["annotation:bo"] = "harmful_refusal"
        with path.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        with pytest.raises(SystemExit) as ended:
            main(["import", "labels", str(path), "--study", str(small.folder)])
        assert ended.value.code == 0
    assert "0 labels added, 4 known already, from 2 annotators" in capsys.readouterr().out
    assert list(gold(store).values()) == [("harmful_refusal", "unanimous")] * 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "needs a column response_id"),
        ("response_id,annotation:\nx,answer\n", "needs a column response_id"),
        ("response_id,annotation:ada\nx,maybe\n", ":2: annotation:ada: 'maybe' is no category"),
        ('response_id,annotation:ada\n"x\n",answer\nx,maybe\n', ":4: annotation:ada: 'maybe' is no category"),
        (
            "response_id,annotation:ada,gold\nx,answer,\nx,answer\n",
            ":3: 2 fields, and the first line names 3 columns",
        ),
        (
            "response_id,annotation:ada\n\nx,answer\nx,bread, answer\n",
            ":4: 3 fields, and the first line names 2 columns",
        ),
        ("", "the file is empty"),
    ],
)
def test_what_is_no_table_of_labels_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        label_table.read_table(path)


@given(st.text(alphabet="=+-@'\t \nab1", max_size=8))
def test_no_cell_is_run_as_a_formula_and_none_is_changed(cell: str) -> None:
    written = label_table.guarded(cell)
    assert label_table.unguarded(written) == cell
    assert not written.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_response_that_is_a_formula_goes_out_guarded() -> None:
    row = ToLabel("id", "=cmd()", "+1", "answer", 0.9, "offline 1")
    text = label_table.write_table([row], [], {})
    assert "'=cmd()" in text
    assert "'+1" in text
