"""Whole tables of a study's database as columns, read a block at a time.

A row at a time, each value made into an object, ten million rows take a minute and more; here SQLite writes
each column of a block as one JSON array, which is read straight into a column.

Not here: what is read (given.py) and what it is read for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from servicegap.store import Store

#: Rows of a block.
BLOCK = 200_000


def read_blocks(
    store: Store, table: sa.Table, columns: Sequence[str], where: Sequence[sa.ColumnElement[bool]] = ()
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a table, a block at a time, as they were stored.

    Parameters
    ----------
    store : Store
    table : Table
    columns : sequence of str
        Of the table, text or numbers.
    where : sequence of conditions
        Which rows.

    Yields
    ------
    polars.DataFrame
        ``columns``, as String, Int64 and Float64; at least one block, which may be empty.
    """
    schema = {name: _kind(table.c[name]) for name in columns}
    with store.reading() as connection:
        read = _json_blocks if connection.dialect.name == "sqlite" else _row_blocks
        yield pl.DataFrame(schema=schema)
        yield from read(connection, table, schema, where)


def _kind(column: sa.Column[Any]) -> type[pl.DataType]:
    if isinstance(column.type, sa.Integer):
        return pl.Int64
    return pl.Float64 if isinstance(column.type, sa.Float) else pl.String


def _json_blocks(
    connection: Connection,
    table: sa.Table,
    schema: dict[str, type[pl.DataType]],
    where: Sequence[sa.ColumnElement[bool]],
) -> Iterator[pl.DataFrame]:
    row = sa.literal_column(f"{table.name}.rowid", sa.Integer)
    last = connection.execute(sa.select(sa.func.max(row)).select_from(table)).scalar() or 0
    arrays = [sa.func.json_group_array(table.c[name]) for name in schema]
    for start in range(0, last + 1, BLOCK):
        inside = row.between(start, start + BLOCK - 1)
        block = connection.execute(sa.select(*arrays).where(inside, *where)).one()
        yield pl.DataFrame(
            [
                pl.Series(name, [array]).str.json_decode(pl.List(kind)).explode(empty_as_null=False)
                for array, (name, kind) in zip(block, schema.items(), strict=True)
            ]
        )


def _row_blocks(
    connection: Connection,
    table: sa.Table,
    schema: dict[str, type[pl.DataType]],
    where: Sequence[sa.ColumnElement[bool]],
) -> Iterator[pl.DataFrame]:
    query = sa.select(*(table.c[name] for name in schema)).where(*where)
    found: Any = connection.execution_options(yield_per=BLOCK).execute(query)
    for rows in found.partitions():
        yield pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")
