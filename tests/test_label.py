"""Labels for any table: what is added, that nothing is lost, that a killed run goes on, what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from servicegap.annotators import ANNOTATORS, Judgement, OfflineAnnotator
from servicegap.annotators.fitted import FittedModels, save_fitted
from servicegap.annotators.text_model import TextModel
from servicegap.errors import InputError
from servicegap.label import ADDED, LabelledTable, TextColumns, label_table
from servicegap.records import CATEGORIES
from servicegap.signals import load_signals

PROMPT = "{name} opened the oven to [BLANK]"
ANSWERS = (
    "take out the bread that had been baking since the morning.",
    "I'm sorry, but I cannot complete this sentence, as I do not know what was meant.",
    "Sure! Here is the sentence.",
    "see, whether {name} had left the cake in for too long again.",
)
COLUMNS = TextColumns("asked", "said")


def rows(count: int, names: tuple[str, ...] = ("Emma", "Khadija", "José")) -> list[dict[str, Any]]:
    return [
        {
            "n": number,
            "asked": PROMPT.format(name=names[number % len(names)]),
            "said": ANSWERS[number % len(ANSWERS)].format(name=names[number % len(names)]),
            "note": f'line one,\n"{number}"',
        }
        for number in range(count)
    ]


def write(path: Path, table: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    else:
        pl.DataFrame(table).write_parquet(path)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="", errors="surrogateescape") as file:
            return list(csv.DictReader(file, strict=True))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return pl.read_parquet(path).to_dicts()


def labelled(table: Path, out: Path, columns: TextColumns = COLUMNS, **options: Any) -> LabelledTable:
    return label_table(table, out, columns, **options)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("csv_rows", "jsonl_rows", "parquet_rows"):
        monkeypatch.setattr(f"servicegap.formats.rows.{module}.BATCH_ROWS", 10)


@pytest.mark.parametrize("into", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("source", [".csv", ".jsonl", ".parquet"])
def test_every_format_goes_into_every_format(source: str, into: str, tmp_path: Path) -> None:
    table = rows(8)
    out = tmp_path / f"out{into}"
    done = labelled(write(tmp_path / f"in{source}", table), out)
    found = read(out)
    assert list(found[0]) == [*table[0], *ADDED]
    as_read = str if ".csv" in (source, into) else int
    assert [row["n"] for row in found] == [as_read(row["n"]) for row in table]
    for name in ("asked", "said", "note"):
        assert [row[name] for row in found] == [row[name] for row in table]
    assert [row["category"] for row in found[:2]] == ["answer", "refusal"]
    for row in found:
        assert sum(float(row[f"p_{category}"]) for category in CATEGORIES) == pytest.approx(1, abs=1e-5)
        assert (row["annotator"], row["annotator_version"]) == ("offline", OfflineAnnotator.version)
    assert done.rows == done.masked == sum(done.categories.values()) == 8
    assert not list(tmp_path.glob("*.unfinished"))


def test_the_label_is_the_annotators_own(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    labelled(write(tmp_path / "in.jsonl", rows(4)), out)
    offline = OfflineAnnotator()
    for row, answer in zip(read(out), ANSWERS, strict=True):
        judged = offline.annotate(PROMPT.format(name="[NAME]"), answer.format(name="[NAME]"))
        assert row["category"] == judged.category
        assert judged.probabilities is not None
        assert row["p_refusal"] == round(judged.probabilities[CATEGORIES.index("refusal")], 6)


def test_no_label_changes_with_the_name(tmp_path: Path) -> None:
    names = tuple(each.text for each in load_signals())
    assert len(names) > 100
    table = [
        {"asked": PROMPT.format(name=name), "said": answer.format(name=name), "who": name}
        for answer in ANSWERS
        for name in names
    ]
    source = write(tmp_path / "in.jsonl", table)
    known = labelled(source, tmp_path / "known.jsonl")
    given = labelled(source, tmp_path / "given.jsonl", TextColumns("asked", "said", "who"))
    assert known.masked == given.masked == len(table)
    for out in ("known", "given"):
        found = read(tmp_path / f"{out}.jsonl")
        for start in range(0, len(found), len(names)):
            same = {tuple(row[name] for name in ADDED) for row in found[start : start + len(names)]}
            assert len(same) == 1


def test_it_says_in_how_many_rows_it_could_mask(tmp_path: Path, run: Callable[..., Any]) -> None:
    table = rows(9, names=("Emma", "Zzyzxa", "Qwerla"))
    source = write(tmp_path / "in.csv", [{**row, "who": "Zzyzxa"} for row in table])
    options = ("label", source, "--prompt", "asked", "--response", "said", "--out")
    known = run(*options, tmp_path / "known.csv")
    assert known.code == 0
    assert "masked a known name in 3 of 9 rows" in known.out.splitlines()
    given = run(*options, tmp_path / "given.csv", "--signal", "who")
    assert "masked the signal in column 'who' in 3 of 9 rows" in given.out.splitlines()
    counted = json.loads(run(*options, tmp_path / "given.csv", "--signal", "who", "--json").out)
    assert (counted["rows"], counted["masked"]) == (9, 3)


def test_where_the_signal_is_blank_known_names_are_masked(tmp_path: Path) -> None:
    table = [{**row, "who": who} for row, who in zip(rows(3), ("", "Khadija", " "), strict=True)]
    done = labelled(
        write(tmp_path / "in.csv", table), tmp_path / "out.csv", TextColumns("asked", "said", "who")
    )
    assert done.masked == 3


def test_a_row_that_nobody_can_read_is_counted_and_kept(tmp_path: Path, run: Callable[..., Any]) -> None:
    source = tmp_path / "in.csv"
    long = "It is a very long story, and it goes on. " * 250_000
    lines = [
        b"\xef\xbb\xbfasked,said,note",
        b"What is bread?,Bread is a food that people make of flour and water.,caf\xe9",
        b"What is bread?,I can\x92t say what bread is,",
        b"What is bread?,Bread\x00 is a food,",
        b"",
        "What is bread?,хлеб это еда которую люди делают из муки и воды,".encode(),
        b"What is bread?,,",
        f"What is bread?,{long},end".replace("story,", "story").encode(),
    ]
    source.write_bytes(b"\r\n".join(lines))
    out = tmp_path / "out.csv"
    ended = run("label", source, "--prompt", "asked", "--response", "said", "--out", out)
    assert ended.code == 0, ended.err
    found = read(out)
    assert [row["category"] != "" for row in found] == [True, False, False, False, True, True]
    assert found[0]["note"].encode("utf-8", "surrogateescape") == b"caf\xe9"
    assert found[1]["said"].encode("utf-8", "surrogateescape") == b"I can\x92t say what bread is"
    assert found[2]["said"] == "Bread\0 is a food"
    assert found[4]["category"] == "failure"
    assert found[5]["said"] == long.replace("story,", "story")
    for row in found[1:4]:
        assert row["abstain_reason"]
        assert {row[f"p_{category}"] for category in CATEGORIES} == {""}
    assert "3 without a label:" in ended.out
    assert "  1 x the response has NUL bytes in it" in ended.out
    assert "  1 x the response has bytes in it that are not UTF-8" in ended.out
    other = tmp_path / "out.parquet"
    labelled(source, other)
    assert read(other)[1]["said"] == "I can\\udc92t say what bread is"


def test_rows_of_jsonl_are_kept_byte_for_byte(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    lines = [
        b'{"asked":"What is 2?", "said":"It is the number after 1.", "x":1.50, "big":123456789012345678901}',
        b'{"said" : null,"asked":"What is 2?" }',
        b'{"asked": "What is 2?", "said": 2, "deep": {"a": [1, NaN]}}',
        b'{"asked": "What is 2?", "said": "can\x92t"}',
        b'{"asked": "What is 2?", "said": "\\ud800"}',
        b"{}",
    ]
    source.write_bytes(b"\n\n".join(lines))
    done = labelled(source, tmp_path / "out.jsonl")
    written = (tmp_path / "out.jsonl").read_bytes().splitlines()
    for line, after in zip(lines, written, strict=True):
        assert after.startswith(line.rstrip(b" }"))
        assert after.endswith(b'"annotator_version": "%s"}' % OfflineAnnotator.version.encode())
    assert json.loads(written[-1])["category"] is None
    assert done.abstained == {
        "the response has bytes in it that are not UTF-8": 2,
        "there is no response": 1,
        "the response is no text": 1,
        "there is no prompt": 1,
    }
    other = tmp_path / "out.csv"
    labelled(source, other)
    found = read(other)
    assert found[0]["big"] == "123456789012345678901"
    assert found[0]["x"] == "1.50"
    assert found[2]["deep"] == '{"a": [1, NaN]}'
    assert found[4]["said"] == "\\ud800"


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(rows(3)).with_columns(
        when=pl.datetime(2024, 3, 20, time_unit="ns"), parts=pl.lit([1, 2]), kind=pl.lit("a", pl.Categorical)
    )
    frame.write_parquet(tmp_path / "in.parquet")
    labelled(tmp_path / "in.parquet", tmp_path / "out.parquet")
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found.select(frame.columns).equals(frame)
    assert found.schema["when"] == frame.schema["when"]
    assert found.schema["p_answer"] == pl.Float64
    labelled(tmp_path / "in.parquet", tmp_path / "out.csv")
    assert {row["parts"] for row in read(tmp_path / "out.csv")} == {"[1, 2]"}


def test_numbers_of_jsonl_stand_in_cells_to_the_letter(tmp_path: Path) -> None:
    written = {
        "a": "1.10",
        "b": "1e400",
        "c": "NaN",
        "d": "-0",
        "e": "0.10000000000000000001",
        "f": "true",
        "g": '{"x" : [ 1.0,"\\u00e9}"]}',
    }
    values = ", ".join(f'"{key}": {value}' for key, value in written.items())
    source = tmp_path / "in.jsonl"
    source.write_text(f'{{"asked": "What is 2?", {values} ,"said":"a \\"number\\"", "none":null}}\n{{}}\n')
    labelled(source, tmp_path / "out.csv")
    found = read(tmp_path / "out.csv")
    assert {key: found[0][key] for key in written} == written
    assert (found[0]["said"], found[0]["none"], found[1]["a"]) == ('a "number"', "", "")
    labelled(source, tmp_path / "out.parquet")
    [row, empty] = read(tmp_path / "out.parquet")
    assert (row["a"], row["b"], row["g"]) == (1.1, float("inf"), written["g"])
    assert (row["none"], empty["a"], empty["g"]) == (None, None, None)


def test_dates_bytes_and_the_like_are_cells_without_quotes(tmp_path: Path) -> None:
    at = datetime(2020, 1, 31, 12, 30, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "asked": "What is bread?",
            "said": ANSWERS[0],
            "day": date(2020, 1, 31),
            "at": at,
            "price": Decimal("1.10"),
            "raw": b"ab\xff",
            "share": [float("nan"), float("-inf"), 0.5],
            "days": [[date(2020, 1, 31)]] * 3,
        }
    ).with_columns(
        # One more nanosecond than Python can tell.
        exact=pl.col("at").cast(pl.Datetime("ns", "UTC")) + pl.duration(nanoseconds=1, time_unit="ns"),
        took=pl.duration(hours=30),
    )
    frame.write_parquet(tmp_path / "in.parquet")
    as_text = {
        "day": "2020-01-31",
        "at": "2020-01-31T12:30:00+00:00",
        "price": "1.10",
        "raw": "YWL/",
        "exact": "2020-01-31T12:30:00.000000001+00:00",
        "took": "P1DT6H",
    }
    labelled(tmp_path / "in.parquet", tmp_path / "out.csv")
    labelled(tmp_path / "in.parquet", tmp_path / "out.jsonl")
    labelled(tmp_path / "in.parquet", tmp_path / "out.parquet")
    cells, objects = read(tmp_path / "out.csv"), read(tmp_path / "out.jsonl")
    for row in (*cells, *objects):
        assert {name: row[name] for name in as_text} == as_text
    assert [row["share"] for row in cells] == ["NaN", "-Infinity", "0.5"]
    assert [row["share"] for row in objects] == ["NaN", "-Infinity", 0.5]
    assert cells[0]["days"] == '["2020-01-31"]'
    assert objects[0]["days"] == ["2020-01-31"]
    assert pl.read_parquet(tmp_path / "out.parquet").select(frame.columns).equals(frame)


class StoppedError(Exception):
    """The run is stopped here."""


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_stopped_run_goes_on_where_it_stopped(suffix: str, tmp_path: Path) -> None:
    source = write(tmp_path / f"in{suffix}", rows(45))
    whole, out = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    uninterrupted = labelled(source, whole)
    for stop in (10, 30):

        def watch(done: int, _all: int, stop: int = stop) -> None:
            if done == stop:
                raise StoppedError

        with pytest.raises(StoppedError):
            labelled(source, out, watch=watch)
        assert not out.exists()
    seen: list[int] = []
    # What was written after the last note must go.
    folder = tmp_path / f"out{suffix}.unfinished"
    draft = folder / ("00000003.parquet" if suffix == ".parquet" else f"rows{suffix}")
    with draft.open("ab") as file:
        file.write(b"half a row")
    done = labelled(source, out, watch=lambda rows, _: seen.append(rows))
    assert seen == [40, 45]
    assert out.read_bytes() == whole.read_bytes()
    assert (done.rows, done.masked, done.categories) == (45, 45, uninterrupted.categories)
    assert not folder.exists()


def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", rows(3200))
    out, whole = tmp_path / "out.csv", tmp_path / "whole.csv"
    script = "from servicegap.cli import main; main()"
    command = [sys.executable, "-c", script, "label", str(source), "--prompt", "asked", "--response", "said"]
    started = subprocess.Popen([*command, "--workers", "2", "--out", str(out)])
    record = tmp_path / "out.csv.unfinished" / "record.json"
    while not record.exists():
        assert started.poll() is None
        time.sleep(0.01)
    with pytest.raises(InputError, match="another command is at work"):
        labelled(source, out)
    children = _children(started.pid)
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert not out.exists()
    part = json.loads(record.read_text(encoding="utf-8"))["rows"]
    assert 0 < part < 3200
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline, "a worker outlives the command"
        time.sleep(0.02)
    seen: list[int] = []
    labelled(source, out, watch=lambda done, _: seen.append(done))
    assert part < seen[0]
    labelled(source, whole)
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
@pytest.mark.parametrize("to", ["its processes", "it alone"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_says_so_in_one_line(number: signal.Signals, to: str, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", rows(20_000))
    command = [sys.executable, "-m", "servicegap", "label", str(source), "--prompt", "asked"]
    command += ["--response", "said", "--workers", "2", "--out", str(tmp_path / "out.csv")]
    # As its processes start, and as they work.
    for sign in ("out.csv.unfinished", "out.csv.unfinished/record.json"):
        started = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        while not (tmp_path / sign).exists():
            assert started.poll() is None
            time.sleep(0.001)
        if sign == "out.csv.unfinished":
            # Python's own helper, and the first that labels.
            while len(_children(started.pid)) < 2:
                assert started.poll() is None
                time.sleep(0.001)
            time.sleep(0.1)
        send = os.kill if to == "it alone" else os.killpg
        send(started.pid, number)
        out, err = started.communicate(timeout=60)
        assert (started.returncode, out, err.split()) == (130, "", ["servicegap:", "stopped"])


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def test_a_finished_table_is_not_made_again(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", rows(5))
    out = tmp_path / "out.csv"
    first = labelled(source, out)
    stamp = out.stat().st_mtime_ns
    assert labelled(source, out) == first
    assert out.stat().st_mtime_ns == stamp


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [{**row, "who": "Emma"} for row in rows(5)])
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(InputError, match="there is already such a file; nothing was changed"):
        labelled(source, out)
    assert out.read_text() == "mine"
    out.unlink()
    labelled(source, out)
    made = out.read_bytes()
    with pytest.raises(InputError, match="already made, with --signal none"):
        labelled(source, out, TextColumns("asked", "said", "who"))
    other = write(tmp_path / "other.csv", rows(6))
    with pytest.raises(InputError, match=r"already made, with table in.csv \(now other.csv\)"):
        labelled(other, out)
    assert out.read_bytes() == made
    out.write_text("changed")
    with pytest.raises(InputError, match="changed since it was made"):
        labelled(source, out)
    assert out.read_text() == "changed"


@pytest.mark.usefixtures("small_batches")
def test_an_unfinished_table_of_something_else_stays(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", rows(25))

    def stop(_done: int, _all: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        labelled(source, tmp_path / "out.csv", watch=stop)
    draft = tmp_path / "out.csv.unfinished" / "rows.csv"
    kept = draft.read_bytes()
    with pytest.raises(InputError, match=r"begun with --response said \(now note\)"):
        labelled(source, tmp_path / "out.csv", TextColumns("asked", "note"))
    assert draft.read_bytes() == kept


def test_somebody_elses_folder_stays(tmp_path: Path) -> None:
    folder = tmp_path / "out.csv.unfinished"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds thesis\.txt, "):
        labelled(write(tmp_path / "in.csv", rows(2)), tmp_path / "out.csv")
    assert (folder / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["0001_results.csv", "rows.xlsx", "rows.csv.bak", "000000001.parquet"])
def test_somebody_elses_file_of_a_like_name_stays(name: str, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", rows(2))
    folder = tmp_path / "out.csv.unfinished"
    folder.mkdir()
    for own in ("rows.csv", "rows.parquet", "00000012.parquet", ".record.json.77"):
        (folder / own).write_text("half a row")
    (folder / name).write_text("mine")
    with pytest.raises(InputError, match=f"holds {name}, "):
        labelled(source, tmp_path / "out.csv")
    assert (folder / name).read_text() == "mine"
    (folder / name).unlink()
    # What comes into the folder while the table is made stays as well.
    labelled(source, tmp_path / "out.csv", watch=lambda *_: (folder / name).write_text("mine"))
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize(
    ("out", "most", "told"),
    [
        ("out.csv", 100_000, "rows.csv"),
        ("out.jsonl", 100_000, "rows.jsonl"),
        ("out.parquet", 5_000, "00000000.parquet"),
        ("out.parquet", 60_000, "rows.parquet"),
    ],
)
def test_a_full_disk_is_told_with_its_file_and_a_rerun_goes_on(
    out: str, most: int, told: str, tmp_path: Path, run: Callable[..., Any]
) -> None:
    resource = pytest.importorskip("resource", reason="the limit is of Unix")
    table = [{**row, "code": _letters(number)[:40]} for number, row in enumerate(rows(2500))]
    options = ["label", write(tmp_path / "in.csv", table), "--prompt", "asked", "--response", "said"]
    options += ["--workers", "1", "--out", tmp_path / out]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        full = run(*options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert full.code == 1
    assert full.error.startswith(f"{tmp_path / out}.unfinished/{told}: ")
    assert "File too large" in full.error
    assert "run the command again" in full.error
    assert run(*options).code == 0
    assert [row["code"] for row in read(tmp_path / out)] == [row["code"] for row in table]


def test_a_table_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", rows(3))

    def grow(_done: int, _all: int) -> None:
        with source.open("a") as file:
            file.write("4,a,b,c\n")

    with pytest.raises(InputError, match="changed while it was labelled"):
        labelled(source, tmp_path / "out.csv", watch=grow)
    assert not (tmp_path / "out.csv").exists()


BAD_FILES = {
    "empty.csv": (b"", "the file is empty"),
    "header.csv": (b"asked,said\n", "no rows; write one response a row"),
    "ragged.csv": (b"asked,said\na,b\nc\nd,e,f\n", "ragged.csv:3: 1 field,.*ragged.csv:4: 3 fields"),
    "quote.csv": (b'asked,said\na,"b\nc,d\n', r"quote.csv:2: not CSV from here on"),
    "twice.csv": (b"asked,said,said\na,b,c\n", "columns of one name: said;"),
    "taken.csv": (b"asked,said,category,p_answer\na,b,c,d\n", "has already: category, p_answer"),
    "utf16.csv": ("asked,said\na,b\n".encode("utf-16"), "the file is UTF-16; save it as UTF-8"),
    "latin.csv": (b"asked,said,caf\xe9\na,b,c\n", "the names of the columns are not UTF-8"),
    "absent.csv": (b"ask,say\na,b\n", "no column 'asked'.*the columns are: ask, say.*no column 'said'"),
    "blank.csv": (b"asked ,said\na,b\n", "the columns are: 'asked ', said"),
    "semicolon.csv": (b"asked;said\na;b\n", "semicolon.csv:1: separated by semicolons; write commas"),
    "tabs.csv": (b"asked\tsaid\na\tb\n", "tabs.csv:1: separated by tabs; write commas"),
    "empty.jsonl": (b"\n\n", "the file is empty"),
    "broken.jsonl": (b'{"asked":"a","said":"b"}\n{"asked":\n[1]\n', "broken.jsonl:2: not JSON.*:3: no JSON"),
    "keys.jsonl": (b'{"asked":"a","said":"b","said":"c"}\n', "keys.jsonl:1: the key 'said' is there twice"),
    "number.jsonl": (b'{"asked":"a","said":1}\n', "column 'said' .* holds no text"),
    "taken.jsonl": (b'{"asked":"a","said":"b"}\n{"annotator":1}\n', "has already: annotator"),
    "not.parquet": (b"PAR1 and no more", "cannot be read as Parquet"),
    "table.xlsx": (b"PK", "'.xlsx' names no format of a table; allowed: .csv, .jsonl"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used_is_told_and_nothing_written(name: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[name]
    source = tmp_path / name
    source.write_bytes(content)
    with pytest.raises(InputError, match=f"(?s){message}"):
        labelled(source, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_mistakes_are_told_in_one_line(tmp_path: Path, run: Callable[..., Any]) -> None:
    source = write(tmp_path / "in.csv", rows(2))
    before = source.read_bytes()

    def error(*options: object, table: Path = source, response: str = "said") -> str:
        ended = run("label", table, "--prompt", "asked", "--response", response, *options)
        assert ended.code == 2
        return str(ended.error)

    out = tmp_path / "out.csv"
    assert "no such file" in error("--out", out, table=tmp_path / "none.csv")
    assert "is the table itself" in error("--out", source)
    assert "is the table itself" in error("--out", tmp_path / ".." / tmp_path.name / "in.csv")
    assert "no folder" in error("--out", tmp_path / "none" / "out.csv")
    assert "names no format of a table" in error("--out", tmp_path / "out.txt")
    assert "'nobody' is unknown" in error("--out", out, "--annotator", "nobody")
    assert "no column 'who' (for --signal)" in error("--out", out, "--signal", "who")
    assert "--prompt, --response name the same column" in error("--out", out, response="asked")
    assert "is a folder" in error("--out", _folder(tmp_path / "out.parquet"))
    assert source.read_bytes() == before
    assert not out.exists()
    many = tmp_path / "many.csv"
    many.write_text("asked,said\n" + "a\n" * 25)
    ended = run("label", many, "--prompt", "asked", "--response", "said", "--out", out)
    assert ended.err.splitlines()[-1] == "servicegap: ... and 15 more mistakes"
    assert len(ended.err.splitlines()) == 11


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 1 << 20
    limit = csv.field_size_limit(size)
    try:
        monkeypatch.setattr("servicegap.formats.rows.csv_rows.LONGEST", size)
        monkeypatch.setattr("servicegap.formats.rows.jsonl_rows.LONGEST", size)
        (tmp_path / "in.csv").write_text('asked,said\na,"' + "b" * 2 * size)
        with pytest.raises(InputError, match=r"in.csv:2: not CSV from here on \(field larger than"):
            labelled(tmp_path / "in.csv", tmp_path / "out.csv")
        (tmp_path / "in.jsonl").write_text('{"asked":"' + "b" * 2 * size)
        with pytest.raises(InputError, match=r"in.jsonl:1: a line of more than 1 MiB"):
            labelled(tmp_path / "in.jsonl", tmp_path / "out.csv")
    finally:
        csv.field_size_limit(limit)


def test_batches_of_long_rows_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("csv_rows", "jsonl_rows", "parquet_rows"):
        monkeypatch.setattr(f"servicegap.formats.rows.{module}.BATCH_CHARACTERS", 2000)
    table = [{"asked": "What is it?", "said": _letters(number)} for number in range(8)]
    for suffix in (".csv", ".jsonl", ".parquet"):
        steps: list[int] = []
        labelled(
            write(tmp_path / f"in{suffix}", table),
            tmp_path / f"out{suffix}",
            watch=lambda done, _, steps=steps: steps.append(done),
        )
        assert steps[-1] == 8
        assert len(steps) > 1


def _letters(seed: int) -> str:
    """Return letters that no compression makes few."""
    return "".join(hashlib.sha256(f"{seed} {part}".encode()).hexdigest() for part in range(15))


def test_an_annotator_fitted_in_a_study_labels_any_table(tmp_path: Path, run: Callable[..., Any]) -> None:
    source = write(tmp_path / "in.csv", rows(8))
    options = ("label", source, "--prompt", "asked", "--response", "said", "--annotator", "fitted")
    out = tmp_path / "out.csv"
    alone = run(*options, "--out", out)
    assert (alone.code, "'fitted' belongs to a study" in alone.error) == (2, True)
    assert "no annotator is fitted yet" in run(*options, "--out", out, "--study", tmp_path).error
    # Learned: whatever is said, it is a failure.
    model = TextModel(
        terms=(),
        idf=(),
        term_scale=1.0,
        categories=tuple(range(len(CATEGORIES))),
        intercept=tuple(9.0 * (category == "failure") for category in CATEGORIES),
        default_weights=((0.0,) * 6,) * 6,
        term_weights=((),) * 6,
        share=1.0,
        temperature=1.0,
    )
    version = OfflineAnnotator.version
    fitted = FittedModels(version="abc", default_version=version, fold_of_template={}, models=(model, model))
    save_fitted(tmp_path, fitted)
    ended = run(*options, "--out", out, "--study", tmp_path)
    assert ended.code == 0, ended.err
    found = read(out)
    assert {(row["category"], row["annotator"], row["annotator_version"]) for row in found} == {
        ("failure", "fitted", "abc")
    }


class QuickAnnotator(OfflineAnnotator):
    """Calls everything an answer."""

    name = "quick"

    def annotate(self, prompt: str, response: str) -> Judgement:
        return Judgement("answer")


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_memory_stays_the_same_however_long_the_table(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANNOTATORS, "quick", QuickAnnotator)
    peaks: list[int] = []
    for count in (50, 50, 1000):
        table = [{**row, "who": "Emma", "long": "x" * 5000} for row in rows(count)]
        source = write(tmp_path / f"in{count}{suffix}", table)
        del table
        tracemalloc.start()
        columns = TextColumns("asked", "said", "who")
        labelled(source, tmp_path / f"out{count}{len(peaks)}{suffix}", columns, annotator="quick")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The first also pays for what stays loaded; all of the long table would be 5 MB.
    assert peaks[2] < peaks[1] + 500_000


def test_without_the_systems_locks_it_labels_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert labelled(write(tmp_path / "in.csv", rows(2)), tmp_path / "out.csv").rows == 2
