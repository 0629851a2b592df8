"""The database: transactions, versions, attempts, and errors told in one line. Real SQLite files."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from conftest import WITHOUT_PRIVILEGES, Answer, SmallStudy, response_to
from sqlalchemy.engine import Connection

from servicegap.calls import planned_calls
from servicegap.errors import StudyError
from servicegap.records import Annotation, Prompt, Response, Signal, Template
from servicegap.store import (
    MIGRATIONS,
    Store,
    latest_responses,
    open_store,
    read_meta,
    write_annotations,
    write_design,
    write_meta,
    write_responses,
)
from servicegap.tables import ANNOTATIONS, PROMPTS, RESPONSES, SIGNALS, SLOTS, TEMPLATES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(path)
    yield opened
    opened.close()


def responses(small: SmallStudy, count: int) -> list[Response]:
    study = small.open()
    prompts = [Prompt(str(number), "t", "s", str(number)) for number in range(count)]
    calls = list(planned_calls(study, "m", prompts))[:count]
    return [response_to(call, "m", Answer()) for call in calls]


def ids(store: Store) -> list[str]:
    with store.reading() as connection:
        return list(connection.execute(sa.select(RESPONSES.c.id)).scalars())


def test_design_is_replaced_and_responses_stay(store: Store, small: SmallStudy) -> None:
    signals = [Signal("Ana", "A", notes="ä"), Signal("someone", None)]
    template = Template("t", "{name} x [BLANK]", target="A", study=True)
    prompts = [Prompt("1", "t", "Ana", "Ana x [BLANK]"), Prompt("2", "t", "someone", "Someone x [BLANK]")]
    with store.writing() as connection:
        write_design(connection, signals, [template], prompts)
        write_responses(connection, responses(small, 2))
    with store.writing() as connection:
        write_design(connection, signals[:1], [template], prompts[:1])
    with store.reading() as connection:
        assert [Signal(**row) for row in connection.execute(sa.select(SIGNALS)).mappings()] == signals[:1]
        assert [Template(**row) for row in connection.execute(sa.select(TEMPLATES)).mappings()] == [template]
        assert [Prompt(**row) for row in connection.execute(sa.select(PROMPTS)).mappings()] == prompts[:1]
    assert len(ids(store)) == 2


def test_a_response_comes_back_as_it_was_kept(store: Store, small: SmallStudy) -> None:
    [kept] = responses(small, 1)
    kept = replace(
        kept, text='line\nwith "quotes", 中文, \x00 and 😀', raw="raw", seed=2**31 - 1, latency=0.25
    )
    with store.writing() as connection:
        write_responses(connection, [kept])
    with store.reading() as connection:
        [row] = connection.execute(sa.select(RESPONSES)).mappings().all()
    assert Response(**row) == kept


def test_annotations_keep_every_field(store: Store) -> None:
    full = Annotation(
        response="r",
        annotator="a",
        kind="human",
        version="1",
        category="refusal",
        created="now",
        abstain_reason="x",
        probabilities=(0.1, 0.1, 0.1, 0.5, 0.1, 0.1),
        note="n",
        codebook_hash="h",
        round=2,
        pass_="harm",
        harm="stated",
        criteria=("stereotype", "lecture"),
        supersedes=7,
        sampling_probability=0.25,
        active_seconds=3.5,
    )
    with store.writing() as connection:
        write_annotations(connection, [full])
    with store.reading() as connection:
        row = dict(connection.execute(sa.select(ANNOTATIONS)).mappings().one())
    assert row.pop("id") == 1
    assert row.pop("pass") == "harm"
    assert row.pop("criteria") == '["stereotype", "lecture"]'
    assert row.pop("probabilities") == "[0.1, 0.1, 0.1, 0.5, 0.1, 0.1]"
    for name, value in row.items():
        assert getattr(full, name) == value


def test_the_last_attempt_counts(store: Store, small: SmallStudy) -> None:
    first, other = responses(small, 2)
    second = replace(first, attempt=2, text="again")
    with store.writing() as connection:
        write_responses(connection, [replace(first, text=None, error_kind="transport"), other, second])
    latest = latest_responses()
    with store.reading() as connection:
        found = {row.id: row.text for row in connection.execute(sa.select(latest))}
    assert found == {first.id: "again", other.id: "some text"}


def test_a_transaction_is_kept_whole_or_not_at_all(store: Store, small: SmallStudy) -> None:
    first, second, third = responses(small, 3)
    with store.writing() as connection:
        write_responses(connection, [first])
    with pytest.raises(StudyError, match="UNIQUE constraint"), store.writing() as connection:
        write_responses(connection, [second])
        write_responses(connection, [first])
    with pytest.raises(KeyboardInterrupt), store.writing() as connection:
        write_responses(connection, [third])
        raise KeyboardInterrupt
    assert ids(store) == [first.id]


def test_making_tables_is_part_of_the_transaction(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop_half_way(connection: Connection) -> None:
        MIGRATIONS[0](connection)
        raise KeyboardInterrupt

    monkeypatch.setattr("servicegap.store.MIGRATIONS", (stop_half_way, *MIGRATIONS[1:]))
    with pytest.raises(KeyboardInterrupt):
        open_store(path)
    monkeypatch.undo()
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == []
    raw.close()


def test_a_newer_database_is_refused_and_left_alone(path: Path) -> None:
    store = open_store(path)
    with store.writing() as connection:
        write_meta(connection, "schema", "99")
    store.close()
    with pytest.raises(StudyError, match=rf"{path}: written by a newer servicegap \(database version 99"):
        open_store(path)
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("99",)
    raw.close()


def test_opening_again_changes_nothing(store: Store, path: Path) -> None:
    with store.writing() as connection:
        write_meta(connection, "key", "value")
    again = open_store(path)
    with again.reading() as connection:
        assert read_meta(connection, "key") == "value"
        assert read_meta(connection, "schema") == str(len(MIGRATIONS))
        assert read_meta(connection, "absent") is None
    again.close()


def test_people_read_while_a_collection_writes(store: Store, path: Path, small: SmallStudy) -> None:
    other = open_store(path)
    first, second = responses(small, 2)
    with store.writing() as connection:
        write_responses(connection, [first])
        assert ids(other) == []
    assert ids(other) == [first.id]
    assert ids(store) == ids(other) != [second.id]
    other.close()


def test_writers_that_read_first_take_turns(store: Store, path: Path) -> None:
    def count_up(writer: Store) -> None:
        with writer.writing() as connection:
            number = int(read_meta(connection, "number") or 0)
            time.sleep(0.05)
            write_meta(connection, "number", str(number + 1))

    others = [open_store(path) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(count_up, others))
    with store.reading() as connection:
        assert read_meta(connection, "number") == "3"
    for other in others:
        other.close()


def test_a_damaged_file_is_told_in_one_line(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StudyError) as error:
        open_store(path)
    assert str(error.value).startswith(f"{path}: file is not a database; ")
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"absent/study.db: unable to open database file; check that"):
        open_store(tmp_path / "absent" / "study.db")


@pytest.mark.parametrize("url", ["no url", "nosuch://x"])
def test_an_impossible_url_is_told(path: Path, url: str) -> None:
    with pytest.raises(StudyError, match=r"database: .*postgresql\+psycopg://"):
        open_store(path, url)


def test_a_password_is_never_shown() -> None:
    # Whether the driver is there or not: nothing listens on port 9.
    with pytest.raises(StudyError) as error:
        open_store(Path("x"), "postgresql+psycopg://me:secret@127.0.0.1:9/db")
    assert "secret" not in str(error.value)
    assert "psycopg" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_full_disk_keeps_what_was_committed(path: Path, small: SmallStudy) -> None:
    script = f"""
import pathlib, resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import Answer, response_to
from servicegap.calls import planned_calls
from servicegap.errors import StudyError
from servicegap.records import Prompt
from servicegap.store import open_store, write_responses
from servicegap.study import open_study
study = open_study(pathlib.Path({str(small.folder)!r}))
store = open_store(pathlib.Path({str(path)!r}))
prompts = [Prompt(str(n), "t", "s", str(n)) for n in range(1000)]
rows = [response_to(call, "m", Answer(text="x" * 500)) for call in planned_calls(study, "m", prompts)]
with store.writing() as connection:
    write_responses(connection, rows[:10])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    with store.writing() as connection:
        write_responses(connection, rows[10:])
except StudyError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(f"{path}: ")
    assert "run the same command again" in ended.stdout
    assert len(ended.stdout.splitlines()) == 1
    store = open_store(path)
    assert len(ids(store)) == 10
    store.close()


def test_a_read_only_folder_is_told(path: Path) -> None:
    open_store(path).close()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    script = f"""
import pathlib
from servicegap.errors import StudyError
from servicegap.store import open_store, write_meta
{WITHOUT_PRIVILEGES}
try:
    with open_store(pathlib.Path({str(path)!r})).writing() as connection:
        write_meta(connection, "a", "b")
except StudyError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    path.parent.chmod(0o755)
    assert ended.stderr == ""
    assert ended.stdout.startswith(f"{path}: ")
    assert "writable" in ended.stdout


def test_postgresql_keeps_the_same(small: SmallStudy, postgres_schema: str) -> None:
    store = open_store(Path("unused"), postgres_schema)
    rows = responses(small, 3)
    with store.writing() as connection:
        connection.execute(sa.delete(RESPONSES))
        write_responses(connection, rows)
        write_meta(connection, "key", "value")
    assert sorted(ids(store)) == sorted(row.id for row in rows)
    with store.reading() as connection:
        assert read_meta(connection, "key") == "value"
    store.close()


def test_a_database_of_the_first_version_gets_what_came_later(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        raw.execute("INSERT INTO meta VALUES ('schema', '1')")
        raw.execute(
            "CREATE TABLE annotations (id INTEGER PRIMARY KEY, response TEXT, annotator TEXT, kind TEXT, "
            "version TEXT, category TEXT, round INTEGER, pass TEXT, created TEXT)"
        )
        raw.execute(
            "INSERT INTO annotations VALUES (1, 'r', 'a', 'imported', '1', 'answer', 1, 'quality', 'now')"
        )
    store = open_store(path)
    with store.reading() as connection:
        row = connection.execute(sa.select(ANNOTATIONS)).mappings().one()
        assert (row["pass"], row["harm"], row["category"]) == ("whole", None, "answer")
        assert connection.execute(sa.select(sa.func.count()).select_from(SLOTS)).scalar_one() == 0
        assert read_meta(connection, "schema") == str(len(MIGRATIONS))
    store.close()
