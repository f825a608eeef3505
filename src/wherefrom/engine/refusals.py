"""Refusals: files that gave no picture, remembered so that they are not tried again until they change.

Each function works on a connection that the `Catalog` gives it, inside its transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from wherefrom.batches import batched
from wherefrom.engine import sightings
from wherefrom.engine.statements import CHUNK, insert_rows, one_of, storable
from wherefrom.engine.sums import crcs
from wherefrom.engine.tables import refusals
from wherefrom.records import FileStamp, Refusal

TRIES = 3
"""How often a file is tried on which the machine may have failed, before it is the file's fault."""

_TRIED = " tried "  # and how often, behind the reader of a refusal that is not believed yet
_FORGET = delete(refusals).where(one_of(refusals.c.uri))
_REFUSED = select(refusals).where(one_of(refusals.c.uri))


def unchanged(
    connection: Connection, files: Sequence[tuple[str, FileStamp]], reader: str
) -> tuple[dict[str, bytes | Refusal], list[int], list[str]]:
    """Of these files, those known by path, size and time; the numbers of their sightings; and the uris among
    them at which other images are known to be, too.

    A file is given as the digest of the image in it, or as its refusal when the same `reader` made it.
    """
    found: dict[str, bytes | Refusal] = {}
    seen: list[int] = []
    shared: list[str] = []
    for chunk in batched(files, CHUNK):
        names = {storable(uri): uri for uri, _ in chunk}
        stamps = {storable(uri): stamp for uri, stamp in chunk}
        there: dict[str, bytes] = {}
        for number, uri, size, mtime_ns, digest in sightings.known_files(connection, list(stamps)):
            if there.setdefault(uri, digest) != digest:
                shared.append(uri)
            if FileStamp(size, mtime_ns) == stamps[uri]:
                found[names[uri]] = digest
                seen.append(number)
        missing = [uri for uri in stamps if names[uri] not in found]
        if missing:
            for row in connection.execute(_REFUSED, {"values": missing}):
                refusal = _refusal(row)
                if (refusal.stamp, refusal.reader) == (stamps[refusal.uri], reader):
                    found[names[refusal.uri]] = refusal
    return found, seen, shared


def refuse(connection: Connection, rows: Sequence[Refusal], moment: int) -> None:
    """Remember files that gave no picture. An image seen there before is gone, if the file has changed.

    What is `passing` counts as not seen yet, until the same file has failed `TRIES` times in a row.
    """
    latest = {storable(row.uri): row for row in rows}
    replaced: list[int] = []
    before: dict[str, Refusal] = {}
    for chunk in batched(latest, CHUNK):
        for number, uri, size, mtime_ns, _ in sightings.known_files(connection, chunk):
            if FileStamp(size, mtime_ns) != latest[uri].stamp:
                replaced.append(number)
        before.update((row.uri, _refusal(row)) for row in connection.execute(_REFUSED, {"values": chunk}))
        connection.execute(_FORGET, {"values": chunk})
    sightings.mark_numbers_gone(connection, replaced, moment)
    values = []
    for uri, r in latest.items():
        reader, stamp = _reader(r, before.get(uri)), r.stamp
        told = (r.code, storable(r.reason), int(r.skipped), reader, moment)
        values.append((uri, stamp.size, stamp.mtime_ns, *told))
    insert_rows(connection, refusals, [(*row, crc) for row, crc in zip(values, crcs(values), strict=True)])


def _reader(new: Refusal, old: Refusal | None) -> str:
    """What a refusal is kept under: its reader alone is what the next run asks for, and believes."""
    if not new.passing:
        return new.reader
    tries = 1
    if old is not None and old.stamp == new.stamp:
        reader, _, count = old.reader.partition(_TRIED)
        if reader == new.reader:  # without a number it was believed already
            tries = int(count) + 1 if count.isdecimal() else TRIES
    return new.reader if tries >= TRIES else f"{new.reader}{_TRIED}{tries}"


def _refusal(row: Any) -> Refusal:
    stamp = FileStamp(row.size, row.mtime_ns)
    return Refusal(row.uri, stamp, row.code, row.reason, bool(row.skipped), row.reader)
