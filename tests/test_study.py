"""The study folder: its plan, its mistakes told with their lines, its lock, files written whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SmallStudy

from servicegap.errors import InputError, StudyError
from servicegap.study import now, only_one, open_study, write_json_whole, write_text_whole


def mistakes(small: SmallStudy) -> list[str]:
    with pytest.raises(InputError) as error:
        small.open()
    return str(error.value).splitlines()


def test_plan_is_read(small: SmallStudy) -> None:
    plan = small.open().plan
    assert (plan.title, plan.samples, plan.models[0].id) == ("A small study", 2, "openai:mock-1")
    assert plan.plan.model_dump() == {
        "primary": "refused",
        "reference": "North",
        "level": 0.95,
        "margin": None,
        "weights": None,
        "family": None,
    }
    condition = plan.conditions[0].record()
    assert condition.system == "Complete the [BLANK]."
    assert condition.decoding.temperature is None


def test_a_folder_without_a_plan_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=rf"{tmp_path}/study.yaml: not found.*servicegap init {tmp_path}"):
        open_study(tmp_path)


def test_all_mistakes_are_told_at_once_with_their_lines(small: SmallStudy) -> None:
    small.change("study.yaml", "samples: 2", "smaples: 2")
    small.change("study.yaml", "level: 0.95", "level: 95")
    small.change("study.yaml", "id: openai:mock-1", "id: ''")
    lines = mistakes(small)
    assert len(lines) == 3
    assert "study.yaml:3: smaples: unknown key; did you mean samples?" in lines[0]
    assert "study.yaml:10: models[0].id" in lines[1]
    assert "study.yaml:18: plan.level: 95: must be less than 1" in lines[2]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("samples: 2", "samples: 0", "study.yaml:3: samples: 0: must be at least 1"),
        ("samples: 2", "samples: two", "must be a whole number"),
        ("samples: 2", "samples: [2", "study.yaml:4: not YAML"),
        ("samples: 2", "samples: 2\nsamples: 3", 'study.yaml:4: the key "samples" is on line 3 too'),
        ("control: true", "groups: []", "study.yaml:6: signals.groups: []: must have at least 2 entries"),
        ("files: [signals.csv]", "files: []", "signals.files: []: must have at least 1 entries"),
        ("files: [templates.yaml]", "files: []", "templates.files: []: must have at least 1 entries"),
        ("files: [templates.yaml]", "targets: []", "templates.targets: []: must have at least 1 entries"),
        ("primary: refused", "primary: refusal", "allowed: refused, harmful, unserved"),
        ("level: 0.95", "level: .nan", "study.yaml:18: plan.level"),
        ("base_url: http://127.0.0.1:9/v1", "timeout: .inf", "models[0].timeout"),
        ("- {id: default,", "- {id: default, decoding: {temprature: 1},", "did you mean temperature?"),
        ("annotators: []", "annotators: []\nmodles: []", "unknown key; did you mean models?"),
    ],
)
def test_a_mistake_is_told_with_its_place(small: SmallStudy, old: str, new: str, told: str) -> None:
    small.change("study.yaml", old, new)
    assert told in "\n".join(mistakes(small))


@pytest.mark.parametrize("written", ["2", "99"])
def test_a_plan_of_a_newer_version_is_refused(small: SmallStudy, written: str) -> None:
    small.change("study.yaml", "version: 1", f"version: {written}\nsomething_new: {{}}")
    with pytest.raises(
        StudyError, match=rf"study.yaml:1: version {written} is of a newer servicegap.*upgrade"
    ):
        small.open()


@pytest.mark.parametrize("written", ['"2"', "0", "1.5"])
def test_a_version_that_never_was_is_refused(small: SmallStudy, written: str) -> None:
    small.change("study.yaml", "version: 1", f"version: {written}")
    assert "study.yaml:1: version" in mistakes(small)[0]


def test_ids_of_models_and_conditions_are_unique(small: SmallStudy) -> None:
    small.change("study.yaml", "models:", "models:\n  - id: openai:mock-1")
    assert "models: openai:mock-1 is there twice" in mistakes(small)[0]


def test_two_conditions_that_ask_the_same_are_refused(small: SmallStudy) -> None:
    small.change("study.yaml", "annotators:", '  - {id: other, system: "Complete the [BLANK]."}\nannotators:')
    assert "default and other ask the same in the same way" in mistakes(small)[0]


def test_a_second_collector_is_refused_and_the_first_is_named(small: SmallStudy) -> None:
    study = small.open()
    told = f"another collector is at work on this study (process {os.getpid()})"
    with only_one(study, "collector"):
        with pytest.raises(StudyError) as error, only_one(study, "collector"):
            pass
        assert told in str(error.value)
        assert "wait for it or stop it" in str(error.value)
    with only_one(study, "collector"):
        assert (study.folder / ".collector.lock").read_text() == str(os.getpid())


def test_the_lock_of_a_killed_process_is_free(small: SmallStudy) -> None:
    script = (
        "import os, pathlib\nfrom servicegap.study import *\n"
        f"study = open_study(pathlib.Path({str(small.folder)!r}))\n"
        "with only_one(study, 'collector'): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    with only_one(small.open(), "collector"):
        assert (small.folder / ".collector.lock").exists()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "results.json"
    write_json_whole(path, "old")
    with path.open() as reader:
        write_json_whole(path, {"a": [1, None]})
        assert reader.read() == '"old"\n', "a reader of the old file sees it to its end"
    assert json.loads(path.read_text()) == {"a": [1, None]}
    with pytest.raises(ValueError, match="Out of range float"):
        write_json_whole(path, {"a": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        write_text_whole(path, "half \ud800 of a pair")
    assert json.loads(path.read_text()) == {"a": [1, None]}
    assert [each.name for each in path.parent.iterdir()] == ["results.json"]


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("x")
    with pytest.raises(StudyError, match=r"results.json: cannot be written: .*nothing was changed"):
        write_text_whole(tmp_path / "a file" / "results.json", "y")
    (tmp_path / "results.json").mkdir()
    with pytest.raises(StudyError, match="cannot be written"):
        write_text_whole(tmp_path / "results.json", "y")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a file", "results.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("old")
    # A file that must not grow beyond 4 kB is as good as a full disk.
    script = (
        "import pathlib, resource\nfrom servicegap.study import write_text_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        f"write_text_whole(pathlib.Path({str(path)!r}), 'x' * 10000)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "StudyError" in ended.stderr
    assert "cannot be written: File too large; nothing was changed" in ended.stderr
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["results.json"]


def test_time_is_utc_to_the_second() -> None:
    assert now().endswith("+00:00")
    assert "." not in now()
