"""The command line: what it prints, how it ends, and one clear line for whatever is wrong."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import WITHOUT_PRIVILEGES, Ended, SmallStudy

from servicegap import __version__
from servicegap.study import only_one

Run = Callable[..., Ended]
SERVER = "  - id: openai:mock-1\n    base_url: http://127.0.0.1:9/v1"


@pytest.fixture
def asked(small: SmallStudy) -> SmallStudy:
    small.change("study.yaml", SERVER, "  - id: fake:even")
    small.change("study.yaml", "annotators: []", "annotators: [offline]")
    return small


def strict_json(text: str) -> Any:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=no_constant)


def responses(folder: Path) -> int:
    raw = sqlite3.connect(folder / "study.db")
    found = raw.execute("SELECT count(*) FROM responses").fetchone()[0]
    raw.close()
    return int(found)


def in_process(arguments: list[object], before: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with something done to that process first."""
    script = f"import os, resource, sys\n{before}\nfrom servicegap.cli import main\nmain(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **more,
    )


# What it prints.


def test_version_and_help(run: Run) -> None:
    assert run("--version").out == f"servicegap, version {__version__}\n"
    ended = run("--help")
    assert ended.code == 0
    stages = ["audit", "init", "validate", "design", "collect", "annotate", "analyse", "report", "status"]
    places = [ended.out.index(f"\n  {name} ") for name in [*stages, "import", "models"]]
    assert places == sorted(places)


def test_init_validate_and_design(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    made = run(
        "init", folder, "--preset", "study", "--model", "openai:mock-1", "--base-url", "http://127.0.0.1:9/v1"
    )
    assert made.code == 0
    assert f"servicegap audit {folder}" in made.out
    assert "32 templates x 56 signals = 1792 prompts" in run("validate", folder).out
    told = strict_json(run("validate", folder, "--json").out)
    assert told["prompts"] == 1792
    assert [warning.partition(":")[0] for warning in told["warnings"]] == [
        "names with letters beyond ASCII, which most tokenizers split more finely"
    ]
    assert told["notes"] == ["no tokenizer could be asked here: openai:mock-1"]
    assert run("design", folder).out.splitlines()[-1] == "1792 prompts, 5376 calls"
    prompts = strict_json(run("design", folder, "--json").out)["prompts"]
    assert len({prompt["text"] for prompt in prompts}) == 1792
    assert run("status", folder).out.splitlines()[-1] == f"next: servicegap collect {folder}"


def test_json_of_every_stage_is_json(run: Run, asked: SmallStudy) -> None:
    folder = asked.folder
    counted = {
        "planned": 208,
        "stored": 208,
        "failed": 0,
        "unasked": 0,
        "rejected": 0,
        "stopped": False,
        "problem": None,
    }
    assert strict_json(run("collect", folder, "--json").out) == counted
    [annotated] = strict_json(run("annotate", folder, "--json").out)
    assert (annotated["annotator"], annotated["added"]) == ("offline", 208)
    assert run("annotate", folder).out == "nothing to label\n"
    results = strict_json(run("analyse", folder, "--json").out)
    assert results == strict_json((folder / "results.json").read_text())
    assert {"schema", "version", "plan", "labels", "estimates", "warnings", "provenance"} <= results.keys()
    status = strict_json(run("status", folder, "--json").out)
    assert status == {"prompts": 104, "collected": counted, "unlabelled": 0, "next": "report"}


def test_audit_makes_a_report_and_a_second_one_nothing_new(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    first = run("audit", folder, "--model", "fake:uneven", "--names-per-group", "4")
    assert first.code == 0
    assert first.err == ""
    assert first.out.splitlines()[-1] == f"Report: {folder / 'report' / 'index.html'}"
    assert "screening signal" in first.out
    assert "demonstration" in first.out
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".html", ".json")}
    second = run("audit", folder)
    assert second == first
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert responses(folder) == 120
    assert run("status", folder).out.splitlines()[-1] == "all stages are up to date"
    refused = run("audit", folder, "--samples", "2")
    assert refused.code == 2
    assert "there already" in refused.error


def test_a_table_is_analysed_without_a_study(run: Run, tmp_path: Path) -> None:
    rows = [
        f"{group},{group}{name},t{template}," + ("answer", "refusal")[(name * template + len(group)) % 3 == 0]
        for group in ("a", "bb")
        for name in range(4)
        for template in range(5)
    ]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["who,name,prompt,label", *rows]) + "\n")
    options = ["--group", "who", "--signal", "name", "--template", "prompt", "--label", "label"]
    results = strict_json(run("analyse", "--table", path, *options, "--reference", "a", "--json").out)
    [gap] = [e for e in results["estimates"] if e["planned"]]
    assert (gap["kind"], gap["group"], gap["reference"], gap["n_responses"]) == ("gap", "bb", "a", 40)
    assert "names read as bb" in run("analyse", "--table", path, *options, "--reference", "a").out
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
    for wrong, code, told in (
        (["--reference", "c"], 2, "'c'; groups with responses: a, bb"),
        (["--reference", "a", "--primary", "refusal"], 2, "'refused', 'harmful', 'unserved'"),
        (["--reference", "a", "--level", "95"], 2, "0.5<x<1"),
    ):
        ended = run("analyse", "--table", path, *options, *wrong)
        assert (ended.code, ended.out) == (code, "")
        assert told in ended.error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Usage:"),
        (["no-such-command"], "No such command"),
        (["collect"], "Missing argument 'DIR'"),
        (["init", "x", "--samples", "0"], "--samples"),
        (["analyse"], "Give either a study's DIR or --table"),
        (["analyse", "x", "--table", "y"], "Give either a study's DIR or --table"),
        (["analyse", "--table", "y", "--group", "g"], "--signal, --template, --reference"),
        (["analyse", "x", "--group", "g"], "--group goes with --table"),
        (["import", "pilot", "x.csv"], "Missing option '--study'"),
    ],
)
def test_wrong_use_ends_2(
    run: Run, tmp_path: Path, monkeypatch: Any, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(*arguments)
    assert ended.code == 2
    assert told in ended.err
    assert list(tmp_path.iterdir()) == []


# Bad input: one line with place and next step, and nothing half written.

STAGES = ["validate", "design", "collect", "annotate", "analyse", "report", "status"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_folder_that_is_no_study(run: Run, tmp_path: Path, stage: str) -> None:
    ended = run(stage, tmp_path / "absent")
    assert (ended.code, ended.out) == (1, "")
    assert ended.error == (
        f"{tmp_path}/absent/study.yaml: not found; make a study with: servicegap init {tmp_path}/absent"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "told"),
    [
        ("study.yaml", "samples: 2", "samples: [", 2, "small/study.yaml:5: not YAML"),
        (
            "study.yaml",
            "samples: 2",
            "smaples: 2",
            2,
            "study.yaml:3: smaples: unknown key; did you mean samples",
        ),
        ("study.yaml", "control: true", "groups: []", 2, "study.yaml:6: signals.groups: []"),
        ("study.yaml", "version: 1", "version: 2", 1, "study.yaml:1: version 2 is of a newer servicegap"),
        (
            "study.yaml",
            "reference: North",
            "reference: West",
            2,
            "'West' has no signals; groups that have: North",
        ),
        ("signals.csv", "Ben,North,man", "Ben,North,men", 2, "signals.csv:3: unknown gender 'men'"),
        (
            "signals.csv",
            "Ben,North",
            "Anna,North",
            2,
            "signals.csv:3: the name 'Anna' stands already on line 2",
        ),
        ("signals.csv", "name,group", "name,grp", 2, "signals.csv:1: "),
        ("signals.csv", "Ben,North", 'Ben,"North', 2, "signals.csv:3: not CSV from here on"),
        ("templates.yaml", "{name} took the", "Ben took the", 2, "templates.yaml:3: "),
        ("templates.yaml", "id: s2", "id: s1", 2, 'templates.yaml:3: templates[1].id: "s1"'),
        ("templates.yaml", "id: s2", "di: s2", 2, "templates.yaml:3: "),
    ],
)
@pytest.mark.parametrize("stage", ["validate", "audit"])
def test_mistakes_in_files(
    run: Run, asked: SmallStudy, file: str, old: str, new: str, code: int, told: str, stage: str
) -> None:
    asked.change(file, old, new)
    ended = run(stage, asked.folder)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
    assert all(line.startswith("servicegap: ") for line in ended.err.splitlines())
    assert "Traceback" not in ended.err
    written = {path.name for path in asked.folder.iterdir() if not path.name.startswith("study.db")}
    assert written == {"signals.csv", "study.yaml", "templates.yaml"}


def test_debug_shows_the_traceback(run: Run, tmp_path: Path) -> None:
    ended = run("--debug", "status", tmp_path)
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert ended.err.splitlines()[-1].startswith(f"servicegap: {tmp_path}/study.yaml: not found")


def test_an_unreachable_host_is_told(run: Run, small: SmallStudy) -> None:
    small.change("study.yaml", "/v1", "/v1\n    retries: 0")
    ended = run("collect", small.folder)
    assert ended.code == 1
    assert "127.0.0.1:9" in ended.err
    assert "Traceback" not in ended.err
    assert responses(small.folder) == 0


def test_a_missing_key_is_told(run: Run, small: SmallStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICEGAP_API_KEY", raising=False)
    small.change("study.yaml", SERVER, "  - id: openai:gpt-x")
    ended = run("collect", small.folder)
    assert ended.code in (1, 2)
    assert "SERVICEGAP_API_KEY" in ended.error


@pytest.mark.parametrize("model", ["nonsense", "openai:", "nosuch:model", "fake:odd"])
def test_an_unknown_model_is_told(run: Run, small: SmallStudy, model: str) -> None:
    small.change("study.yaml", SERVER, f"  - id: '{model}'")
    for stage in ("validate", "collect"):
        ended = run(stage, small.folder)
        assert ended.code in (1, 2)
        assert "allowed" in ended.error


def test_a_database_of_a_newer_version_is_refused_and_left_alone(run: Run, asked: SmallStudy) -> None:
    run("collect", asked.folder)
    raw = sqlite3.connect(asked.folder / "study.db")
    raw.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    raw.commit()
    raw.close()
    for stage in ("collect", "annotate", "analyse", "report", "status", "audit"):
        ended = run(stage, asked.folder)
        assert (ended.code, ended.out) == (1, "")
        assert ended.error.startswith(
            f"{asked.folder}/study.db: written by a newer servicegap (database version 99"
        )
        assert "pip install --upgrade servicegap" in ended.error
    assert responses(asked.folder) == 208
    assert not (asked.folder / "results.json").exists()


@pytest.mark.parametrize("stage", ["collect", "audit", "report"])
def test_a_second_collector_is_refused(run: Run, asked: SmallStudy, stage: str) -> None:
    with only_one(asked.open(), "collector"):
        ended = run(stage, asked.folder)
    assert ended.code == 1
    assert f"another collector is at work on this study (process {os.getpid()})" in ended.error
    assert run("collect", asked.folder).code == 0
    assert responses(asked.folder) == 208


def test_two_collectors_at_once_ask_each_call_once(asked: SmallStudy) -> None:
    command = [sys.executable, "-m", "servicegap", "collect", str(asked.folder)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in (1, 2)
    ]
    told = [process.communicate(timeout=60) for process in both]
    codes = sorted(process.returncode for process in both)
    # The later one is refused, or finds everything asked if it came late.
    assert codes in ([0, 0], [0, 1])
    assert all(err.count("another collector") == (out == "") for out, err in told), told
    assert responses(asked.folder) == 208


def test_a_full_disk_ends_1_and_a_rerun_goes_on(run: Run, asked: SmallStudy) -> None:
    run("design", asked.folder)
    # What is there must not grow: as good as a full disk.
    size = (asked.folder / "study.db").stat().st_size + 8192
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    ended = in_process(["collect", asked.folder], limit)
    assert ended.returncode == 1, ended
    assert "Traceback" not in ended.stderr
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"servicegap: {asked.folder}/study.db: ")
    assert "run the same command again" in line
    raw = sqlite3.connect(asked.folder / "study.db")
    assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()
    assert run("collect", asked.folder).code == 0
    assert responses(asked.folder) == 208


def test_results_on_a_full_disk_leave_the_old_ones(run: Run, asked: SmallStudy) -> None:
    run("analyse", asked.folder)
    before = (asked.folder / "results.json").read_bytes()
    asked.change("study.yaml", "level: 0.95", "level: 0.9")
    ended = in_process(["analyse", asked.folder], "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))")
    assert ended.returncode == 1, ended
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"servicegap: {asked.folder}/results.json: cannot be written: File too large; ")
    assert (asked.folder / "results.json").read_bytes() == before
    assert not list(asked.folder.glob(".results*"))


def test_a_read_only_folder_is_told(small: SmallStudy) -> None:
    small.change("study.yaml", SERVER, "  - id: fake:even")
    small.folder.chmod(0o555)
    for arguments in (["collect", small.folder], ["init", small.folder / "new"]):
        ended = in_process(list(arguments), WITHOUT_PRIVILEGES)
        assert ended.returncode == 1, ended
        [line] = ended.stderr.splitlines()
        assert line.startswith(f"servicegap: {small.folder}/")
        assert "writable" in line
    small.folder.chmod(0o755)
    assert sorted(p.name for p in small.folder.iterdir()) == ["signals.csv", "study.yaml", "templates.yaml"]


def test_what_was_collected_outlives_a_folder_that_became_read_only(run: Run, small: SmallStudy) -> None:
    small.change("study.yaml", SERVER, "  - id: fake:even")
    assert in_process(["collect", small.folder]).returncode == 0
    (small.folder / "study.db").chmod(0o444)
    small.folder.chmod(0o555)
    for stage in ("collect", "analyse"):
        ended = in_process([stage, small.folder], WITHOUT_PRIVILEGES)
        assert ended.returncode == 1, ended
        [line] = ended.stderr.splitlines()
        assert line.startswith(f"servicegap: {small.folder}/")
        assert "writable" in line
    small.folder.chmod(0o755)
    (small.folder / "study.db").chmod(0o644)
    assert responses(small.folder) == 208


# A signal while something is asked.


@pytest.mark.parametrize(
    ("stage", "name"),
    [("collect", "SIGINT"), ("collect", "SIGTERM"), ("report", "SIGINT"), ("audit", "SIGINT")],
)
def test_a_signal_stops_cleanly_and_nothing_is_half_done(
    run: Run, small: SmallStudy, stage: str, name: str
) -> None:
    server = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).with_name("fake_server.py")),
            "--port",
            "0",
            "--latency-ms",
            "50",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        base_url = server.stdout.readline().split()[-1]
        small.change("study.yaml", "http://127.0.0.1:9/v1", f"{base_url}\n    concurrency: 4")
        command = [sys.executable, "-m", "servicegap", stage, str(small.folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not stored(small.folder):
            time.sleep(0.05)
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, (out, err)
        assert "stopped" in err
        assert "Traceback" not in err
        kept = responses(small.folder)
        assert 0 < kept < 208
        assert not (small.folder / "results.json").exists()
        assert not (small.folder / "report").exists()
        small.change("study.yaml", "concurrency: 4", "concurrency: 50")
        assert run("collect", small.folder).code == 0
        assert responses(small.folder) == 208
    finally:
        server.terminate()
        server.communicate(timeout=10)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_while_the_command_line_is_loaded_is_told_in_one_line(name: str) -> None:
    script = f"""
import signal, sys

class Stopping:
    def find_spec(self, name, *_):
        if name == "click":
            signal.raise_signal(signal.{name})

sys.meta_path.insert(0, Stopping())
from servicegap.__main__ import run
run()
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "servicegap: stopped\n")


def stored(folder: Path) -> int:
    try:
        return responses(folder)
    except sqlite3.OperationalError:
        return 0
