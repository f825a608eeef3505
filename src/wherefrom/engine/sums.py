"""Checksums of the catalog's rows. SQLite keeps none, and a flipped bit would otherwise pass for truth.

A row's `crc` is the CRC-32 of its values as msgpack writes them. The times of a sighting change in bulk and
are left out of it: `times_sum` covers those, as a sum that an UPDATE can carry forward by itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, func

from wherefrom.engine.tables import (
    documents,
    embeddings,
    feature_versions,
    features,
    fields,
    images,
    keypoints,
    refusals,
    removals,
    sightings,
    signs,
    uploads,
)

LAST_SEEN, GONE, MISSING, CHANGED = 3, 7, 11, 13
"""What the times of a sighting count in `times_sum`; `first_seen` counts once."""

_UNCOVERED = {"crc", "times_sum"}
# A sighting's number is covered by its indexes.
_TIMES = {"id", "first_seen", "last_seen", "gone", "missing", "changed"}

COVERED: dict[Table, tuple[str, ...]] = {
    table: tuple(
        column.name
        for column in table.columns
        if column.name not in _UNCOVERED and not (table is sightings and column.name in _TIMES)
    )
    for table in (
        images,
        sightings,
        removals,
        feature_versions,
        features,
        keypoints,
        embeddings,
        fields,
        documents,
        signs,
        uploads,
        refusals,
    )
}
"""The columns that each table's `crc` covers, in order."""


def crcs(rows: Iterable[Sequence[object]]) -> list[int]:
    """The checksum of each row, given the values of the covered columns in their order."""
    import msgpack

    pack: Any = msgpack.Packer(unicode_errors="surrogatepass").pack
    return [zlib.crc32(pack(row)) for row in rows]


def with_crcs(rows: Sequence[Sequence[object]]) -> list[tuple[object, ...]]:
    """Rows of the covered columns, each with its checksum after them."""
    return [(*row, crc) for row, crc in zip(rows, crcs(rows), strict=True)]


def times_sum(first_seen: int, last_seen: int, gone: int | None, missing: int | None, changed: int) -> int:
    """The sum that covers a sighting's times."""
    ends = GONE * (gone or 0) + MISSING * (missing or 0)
    return first_seen + LAST_SEEN * last_seen + ends + CHANGED * changed


def due_times_sum() -> ColumnElement[int]:
    """The same, as an expression over the table."""
    times = sightings.c
    ends = GONE * func.coalesce(times.gone, 0) + MISSING * func.coalesce(times.missing, 0)
    return times.first_seen + LAST_SEEN * times.last_seen + ends + CHANGED * times.changed
