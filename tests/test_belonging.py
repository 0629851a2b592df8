"""A database outside the study's folder: whose it is, who may write to it, and looking without touching."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Ended, SmallStudy

from servicegap.belonging import ID_FILE
from servicegap.errors import StudyError
from servicegap.store import Store, open_store
from servicegap.study import only_one, open_study


def test_two_studies_cannot_share_a_database(
    small: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICEGAP_DATABASE", f"sqlite:///{tmp_path / 'team.db'}")
    small.open().store().close()
    small.open().store().close()
    other = SmallStudy(tmp_path / "other")
    with pytest.raises(StudyError, match=r"team\.db: holds another study than .*other; give each") as error:
        other.open().store()
    assert len(str(error.value).splitlines()) == 1
    assert not (other.folder / ID_FILE).exists()
    # A copy of the folder is the same study.
    shutil.copytree(small.folder, tmp_path / "copy")
    open_study(tmp_path / "copy").store().close()


def test_a_study_may_move_to_a_new_database(
    small: SmallStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "one"):
        monkeypatch.setenv("SERVICEGAP_DATABASE", f"sqlite:///{tmp_path / name}.db")
        small.open().store().close()
    assert (small.folder / ID_FILE).read_text().strip()


def test_a_study_of_its_own_folder_needs_no_note(small: SmallStudy) -> None:
    small.open().store().close()
    assert not (small.folder / ID_FILE).exists()


def test_status_makes_no_database(small: SmallStudy, run: Callable[..., Ended]) -> None:
    ended = run("status", small.folder)
    assert (ended.code, ended.out.splitlines()[-1]) == (0, f"next: servicegap collect {small.folder}")
    assert not list(small.folder.glob("study.db*"))


def test_status_does_not_bring_an_old_database_up_to_date(
    small: SmallStudy, run: Callable[..., Ended]
) -> None:
    path = small.folder / "study.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        connection.execute("INSERT INTO meta VALUES ('schema', '1')")
    ended = run("status", small.folder)
    assert ended.code == 1
    assert "database version 1" in ended.error
    assert f"servicegap design {small.folder}" in ended.error
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM meta").fetchall() == [("1",)]
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("meta",)]


def test_without_locks_of_files_a_study_is_held_all_the_same(
    small: SmallStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    with only_one(small.open(), "collector"):
        assert not (small.folder / ".collector.lock").exists()


def test_two_folders_are_kept_apart_by_postgresql_even_after_kill_9(
    small: SmallStudy, tmp_path: Path, postgres_schema: str
) -> None:
    other = SmallStudy(tmp_path / "other").open()
    first, second = open_store(Path("unused"), postgres_schema), open_store(Path("unused"), postgres_schema)
    with only_one(small.open(), "collector", first):
        taken = only_one(other, "collector", second)
        with pytest.raises(StudyError, match=r"another collector is at work .* another folder or machine"):
            taken.__enter__()
        with only_one(other, "annotator", second):
            pass
        elsewhere = open_store(Path("unused"), os.environ["SERVICEGAP_TEST_POSTGRES"])  # another schema
        with elsewhere.held_for("collector") as free:
            assert free
        elsewhere.close()
    with only_one(other, "collector", second):
        pass
    script = (
        "import os, pathlib; from servicegap.store import open_store; "
        f"held = open_store(pathlib.Path('x'), {postgres_schema!r}).held_for('collector'); "
        "assert held.__enter__(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    until = time.monotonic() + 5  # the server notices a little later
    while not _is_free(second):
        assert time.monotonic() < until
    with only_one(other, "collector", second):
        pass
    first.close()
    second.close()


def test_a_database_is_free_at_once_when_it_is_let_go(postgres_schema: str) -> None:
    store = open_store(Path("unused"), postgres_schema)
    assert all(_is_free(store) for _ in range(200))
    store.close()


def _is_free(store: Store) -> bool:
    with store.held_for("collector") as free:
        return free
