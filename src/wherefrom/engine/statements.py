"""SQL statements that are made once and run over many values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Table, bindparam, insert

CHUNK = 500
"""Values in one `IN (...)`."""


def one_of(column: ColumnElement[object]) -> ColumnElement[bool]:
    """`column IN (...)` over the parameter `values`, for statements that are made once."""
    return column.in_(bindparam("values", expanding=True))


def insert_rows(connection: Connection, table: Table, rows: Sequence[Sequence[object]]) -> None:
    """Insert rows, each the values of all the table's columns in order.

    They go to the driver as they are: what `execute` does to each row would cost more than SQLite takes.
    """
    if not rows:
        return
    sql, positional = _insert(table, connection.dialect)
    names = [column.name for column in table.columns]
    if positional:
        connection.exec_driver_sql(sql, [tuple(row) for row in rows])
    else:
        connection.exec_driver_sql(sql, [dict(zip(names, row, strict=True)) for row in rows])


def rows_where_in(connection: Connection, sql: str, values: Sequence[object]) -> Sequence[Any]:
    """The rows that `sql` gives, if any, where `{}` in it stands for up to `CHUNK` values.

    The values are filled up with the last one, so that SQLite meets few texts and keeps them prepared.
    """
    size = next(size for size in (1, 16, CHUNK) if len(values) <= size)
    filled = (*values, *[values[-1]] * (size - len(values)))
    result = connection.exec_driver_sql(sql.format(", ".join("?" * size)), filled)
    return result.fetchall() if result.returns_rows else ()


def storable(value: str) -> str:
    """Text as SQLite can keep it: halves of surrogate pairs, which are no characters, become "?"."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


@lru_cache
def _insert(table: Table, dialect: Dialect) -> tuple[str, bool]:
    compiled = insert(table).compile(dialect=dialect, column_keys=[column.name for column in table.columns])
    return str(compiled), compiled.positional
