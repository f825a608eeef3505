"""Features as they are kept: small ones together in `features`, large ones in a table for each kind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Delete, Select, Table, bindparam, delete, select, true

from wherefrom.engine.statements import insert_rows, one_of
from wherefrom.engine.sums import with_crcs
from wherefrom.engine.tables import TABLE_OF, features

TABLES = (features, *TABLE_OF.values())
"""Every table that keeps features."""

Row = tuple[int, int, bytes]
"""Key of the image, number of the version, data."""


def table_of(kind: str) -> Table:
    """Where features of a kind are kept."""
    return TABLE_OF.get(kind, features)


def of_kind(kind: str) -> ColumnElement[bool]:
    """What tells the rows of a kind from others in its table."""
    return true() if kind in TABLE_OF else features.c.kind == kind


@cache
def statement(kind: str) -> Select[Any]:
    """(key, data) of the images whose keys are the parameter `values`."""
    at = table_of(kind).c
    return select(at.image_id, at.data).where(of_kind(kind), one_of(at.image_id))


@cache
def statement_after(kind: str) -> Select[Any]:
    """(key, data) of the next `most` images after the key `after`, in order."""
    at = table_of(kind).c
    query = select(at.image_id, at.data).where(of_kind(kind), at.image_id > bindparam("after"))
    return query.order_by(at.image_id).limit(bindparam("most"))


def insert(connection: Connection, kind: str, rows: Sequence[Row]) -> None:
    """Keep features of images that have none of this kind."""
    values: Sequence[tuple[object, ...]] = rows if kind in TABLE_OF else [(kind, *row) for row in rows]
    insert_rows(connection, table_of(kind), with_crcs(values))


def remove(connection: Connection, kind: str, keys: Sequence[int]) -> None:
    """Drop the features of a kind of up to `CHUNK` images."""
    connection.execute(_removal(kind), {"values": keys})


@cache
def _removal(kind: str) -> Delete:
    return delete(table_of(kind)).where(of_kind(kind), one_of(table_of(kind).c.image_id))
