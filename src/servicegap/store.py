"""How a study is kept: SQLAlchemy Core tables with numbered migrations.

SQLite in WAL mode by default, any other database by its URL. Responses and annotations are
append-only: another attempt or another opinion is another row. What the rows mean is in records.py;
which of several labels counts is decided in labels.py.
"""

from __future__ import annotations

import contextlib
import functools
import json
import operator
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.sql.compiler import SQLCompiler

from servicegap.errors import StudyError
from servicegap.records import Annotation, Prompt, Response, Signal, Template, content_hash
from servicegap.tables import ANNOTATIONS, JUDGE_CALLS, META, METADATA, PROMPTS, RESPONSES, SIGNALS, TEMPLATES


def _add_what_is_missing(connection: Connection) -> None:
    """Create tables and columns that the database does not have yet; new columns may be null."""
    names = sa.inspect(connection).get_table_names()
    METADATA.create_all(connection)
    known = sa.inspect(connection)
    for table in METADATA.sorted_tables:
        if table.name not in names:
            continue
        there = {column["name"] for column in known.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                name, kind = (
                    connection.dialect.identifier_preparer.quote(column.name),
                    column.type.compile(connection.dialect),
                )
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind}")


def _add_labelling(connection: Connection) -> None:
    _add_what_is_missing(connection)
    # Before there were two passes, all labels were of the one that gives the whole category.
    connection.execute(sa.update(ANNOTATIONS).values({"pass": "whole"}))


#: Migration k brings a database from version k to k + 1; only ever append. The first makes everything as it
#: is now, so a new database needs no other.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (
    _add_what_is_missing,
    _add_labelling,
    _add_what_is_missing,
)


class Store:
    """A study's database, open.

    Parameters
    ----------
    url : str or sqlalchemy.URL
        Where the database is.
    place : str
        How messages name it (a file's path, or the URL without its password).
    migrate : bool
        Whether a database that is empty or of an older version is brought up to date.

    Raises
    ------
    StudyError
        If it cannot be opened or was written by a newer version of servicegap.
    """

    def __init__(self, url: str | sa.URL, place: str, *, migrate: bool = True) -> None:
        self.place = place
        self.engine = _engine(url)
        with self.reading() as connection:
            self.version = self._version(connection)
        if migrate:
            self._migrate()

    def _migrate(self) -> None:
        if self.version < len(MIGRATIONS):
            with self.writing() as connection:
                # Asked again, as another process may have migrated meanwhile.
                version = self._version(connection)
                for migrate in MIGRATIONS[version:] if version else MIGRATIONS[:1]:
                    migrate(connection)
                write_meta(connection, "schema", str(len(MIGRATIONS)))
            self.version = len(MIGRATIONS)

    def _version(self, connection: Connection) -> int:
        if not sa.inspect(connection).has_table("meta"):
            return 0
        version = int(read_meta(connection, "schema") or 0)
        if version > len(MIGRATIONS):
            raise StudyError(
                f"{self.place}: written by a newer servicegap (database version {version}; this one knows "
                f"up to {len(MIGRATIONS)}); upgrade with: pip install --upgrade servicegap"
            )
        return version

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is kept, or none."""
        with self._explained(), self.engine.execution_options(writes=True).begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection for queries."""
        with self._explained(), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            reason = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error).strip()
            reason = reason.splitlines()[0] if reason else type(error).__name__
            step = _NEXT_STEPS.get(reason, "check that the database can be reached and is not damaged")
            raise StudyError(f"{self.place}: {reason}; {step}") from error

    @contextlib.contextmanager
    def held_for(self, what: str) -> Iterator[bool]:
        """Hold the database of a team for one `what`; give whether nobody else does.

        The server lets go at the end, or when the connection ends, however that comes about. A file is always
        free: its folder has a lock.
        """
        if self.engine.dialect.name != "postgresql":
            yield True
            return
        with self._explained(), self.engine.connect() as connection:
            # Out of the pool, so that closing ends it; without a transaction, which would be open for hours.
            connection.execution_options(isolation_level="AUTOCOMMIT").detach()
            # Locks are the whole database's, which may have a study in each of its schemas.
            schema = str(connection.scalar(sa.select(sa.func.current_schema())))
            key = int(content_hash("servicegap", schema, what), 16) - 2**63
            free = bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))))
            try:
                yield free
            finally:
                if free:  # Said, since the server may take a while to notice that a connection ended.
                    with contextlib.suppress(sa.exc.DBAPIError):
                        connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))

    def close(self) -> None:
        """Release the database's files or connections."""
        self.engine.dispose()


#: How long another writer is waited for.
_WAIT_SECONDS = 5

_NEXT_STEPS = {
    "database or disk is full": "free some space and run the same command again, what is stored stays",
    "attempt to write a readonly database": "make the study folder writable and run the command again",
    "unable to open database file": "check that the study folder exists and is writable",
    "file is not a database": "the file is damaged or not a study's; restore it from a copy",
    "disk I/O error": "check the disk, then run the same command again",
    "database is locked": "another command is writing; wait for it and run this one again",
}


def open_store(path: Path, url: str | None = None) -> Store:
    """Open the database of a study: the file `path`, or the one that `url` names."""
    if url is None:
        return Store(f"sqlite:///{path}", str(path))
    read = _read_url(url)
    return Store(read, read.render_as_string(hide_password=True))


def _read_url(url: str) -> sa.URL:
    with _explained_url():
        return sa.make_url(url)


def look_into_store(path: Path, url: str | None = None) -> Store:
    """Open the database of a study to look at it: none is made, and none brought up to date.

    Raises
    ------
    StudyError
        If it is of an older version.
    """
    if url is None and not path.exists():
        return _nothing_stored(path)
    where = f"sqlite:///{path}" if url is None else _read_url(url)
    place = str(path) if isinstance(where, str) else where.render_as_string(hide_password=True)
    store = Store(where, place, migrate=False)
    if store.version == len(MIGRATIONS):
        return store
    store.close()
    if store.version == 0:
        return _nothing_stored(path)
    raise StudyError(
        f"{place}: of an older servicegap (database version {store.version}); bring it up to date with: "
        f"servicegap design {path.parent}"
    )


def _nothing_stored(path: Path) -> Store:
    return Store("sqlite://", str(path))


@contextlib.contextmanager
def _explained_url() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise StudyError(f"database: {error}; install it with: pip install {error.name}") from error
    except sa.exc.ArgumentError as error:
        raise StudyError(
            f"database: {error}; allowed: a URL such as postgresql+psycopg://user@host/name, "
            "or leave it out for a file in the study folder"
        ) from error


def _engine(url: str | sa.URL) -> Engine:
    with _explained_url():
        engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # WAL lets people read while a collection writes. NORMAL never damages the file, and what is
    # committed outlives the process; only a power cut can take the last moments.
    connection.execute(f"PRAGMA busy_timeout={1000 * _WAIT_SECONDS}")
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    # Python's driver would begin transactions by itself, and leave the making of tables out of them.
    connection.isolation_level = None


def _use_wal(connection: Any) -> None:
    # On a new file SQLite does not wait by itself for another process that does the same.
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its turn at the start: one that reads first and writes later could not wait.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def read_meta(connection: Connection, key: str) -> str | None:
    """Return what was noted under `key`, None if nothing."""
    return connection.execute(sa.select(META.c.value).where(META.c.key == key)).scalar()


def write_meta(connection: Connection, key: str, value: str) -> None:
    """Note `value` under `key`, replacing what was there."""
    connection.execute(sa.delete(META).where(META.c.key == key))
    connection.execute(sa.insert(META).values(key=key, value=value))


def _row(table: sa.Table, record: object) -> dict[str, Any]:
    # `pass` is a word of the language, so the record's field has an underscore; `id` the database gives.
    return {
        name: getattr(record, "pass_" if name == "pass" else name)
        for name in table.columns.keys()  # noqa: SIM118 - a collection of columns, not a dict
        if not (table is ANNOTATIONS and name == "id")
    }


def write_design(
    connection: Connection,
    signals: Sequence[Signal],
    templates: Sequence[Template],
    prompts: Sequence[Prompt],
) -> None:
    """Replace the design; responses stay, and are found again by their prompts' identifiers."""
    for table, records in ((SIGNALS, signals), (TEMPLATES, templates), (PROMPTS, prompts)):
        connection.execute(sa.delete(table))
        _append(connection, table, records)


def write_responses(connection: Connection, responses: Iterable[Response]) -> None:
    """Append responses."""
    _append(connection, RESPONSES, responses)


def write_judge_calls(connection: Connection, replies: Iterable[Response]) -> None:
    """Append what judges replied."""
    _append(connection, JUDGE_CALLS, replies)


@functools.cache
def _insert(table: sa.Table, dialect: sa.Dialect) -> SQLCompiler:
    return sa.insert(table).compile(dialect=dialect)


def _append(connection: Connection, table: sa.Table, records: Iterable[object]) -> None:
    # Straight to the driver, as a collection writes five times a second: half the cost of going through
    # the table for each value. Drivers with named parameters get dictionaries all the same.
    statement = _insert(table, connection.dialect)
    rows: list[Any]
    if statement.positiontup is None:
        rows = [_row(table, record) for record in records]
    else:
        take = operator.attrgetter(*statement.positiontup)
        rows = [take(record) for record in records]
    if rows:
        connection.exec_driver_sql(str(statement), rows)


def latest_responses() -> sa.Subquery:
    """Query the last attempt at each call."""
    return _latest(RESPONSES)


def latest_judge_calls() -> sa.Subquery:
    """Query the last attempt at each call to a judge."""
    return _latest(JUDGE_CALLS)


def _latest(calls: sa.Table) -> sa.Subquery:
    last = (
        sa.select(calls.c.id, sa.func.max(calls.c.attempt).label("attempt")).group_by(calls.c.id).subquery()
    )
    return (
        sa.select(calls)
        .join(last, sa.and_(calls.c.id == last.c.id, calls.c.attempt == last.c.attempt))
        .subquery("latest")
    )


def write_annotations(connection: Connection, annotations: Iterable[Annotation]) -> None:
    """Append annotations."""
    rows = []
    for annotation in annotations:
        row = _row(ANNOTATIONS, annotation)
        if annotation.probabilities is not None:
            row["probabilities"] = json.dumps([round(p, 6) for p in annotation.probabilities])
        row["criteria"] = json.dumps(annotation.criteria) if annotation.criteria else None
        rows.append(row)
    if rows:
        connection.execute(sa.insert(ANNOTATIONS), rows)
