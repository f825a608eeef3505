"""Sightings and refusals: what the catalog knows of places, and of files that gave no picture.

Each function works on a connection that the `Catalog` gives it, inside its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update

from wherefrom.batches import batched
from wherefrom.engine.statements import CHUNK, insert_rows, one_of, rows_where_in, storable
from wherefrom.engine.sums import GONE, LAST_SEEN, crcs, times_sum
from wherefrom.engine.tables import images, refusals, sightings
from wherefrom.records import FileStamp, Place, Refusal

TRIES = 3
"""How often a file is tried on which the machine may have failed, before it is the file's fault."""

_TRIED = " tried "  # and how often, behind the reader of a refusal that is not believed yet

_AT = "SELECT uri, image_id, id FROM sightings WHERE uri IN ({})"
_FIRST_REFUSAL = select(refusals.c.uri).limit(1)
_FORGET_REFUSALS = delete(refusals).where(one_of(refusals.c.uri))
_REFUSED = select(refusals).where(one_of(refusals.c.uri))
_KNOWN = (
    select(sightings.c.id, sightings.c.uri, sightings.c.size, sightings.c.mtime_ns, images.c.digest)
    .join(images, images.c.id == sightings.c.image_id)
    .where(sightings.c.gone.is_(None), one_of(sightings.c.uri))
)
_SEVERAL = (
    select(sightings.c.image_id)
    .where(one_of(sightings.c.image_id), sightings.c.gone.is_(None))
    .group_by(sightings.c.image_id)
    .having(func.count() > 1)
)
_PRESENT_OF = select(sightings.c.image_id, sightings.c.id, sightings.c.uri).where(
    one_of(sightings.c.image_id), sightings.c.gone.is_(None), sightings.c.size.is_not(None)
)
_PRESENT = select(sightings.c.id, sightings.c.uri, sightings.c.image_id).where(sightings.c.gone.is_(None))
# A clock that was set back does not make a sighting older than it was.
_LATER = func.max(sightings.c.last_seen, bindparam("moment"))
_SEEN = (
    update(sightings)
    .where(one_of(sightings.c.id))
    .values(
        last_seen=_LATER,
        times_sum=sightings.c.times_sum + LAST_SEEN * (_LATER - sightings.c.last_seen),
    )
)
_GONE = (
    update(sightings)
    .where(one_of(sightings.c.id), sightings.c.gone.is_(None))
    .values(gone=bindparam("moment"), times_sum=sightings.c.times_sum + GONE * bindparam("moment"))
)
_SEEN_AGAIN = (
    update(sightings)
    .where(sightings.c.id == bindparam("number"))
    .values(
        page=bindparam("new_page"),
        title=bindparam("new_title"),
        alt=bindparam("new_alt"),
        size=bindparam("new_size"),
        mtime_ns=bindparam("new_mtime_ns"),
        crc=bindparam("new_crc"),
        last_seen=_LATER,
        gone=None,
        times_sum=sightings.c.times_sum
        + LAST_SEEN * (_LATER - sightings.c.last_seen)
        - GONE * func.coalesce(sightings.c.gone, 0),
    )
)


def see(connection: Connection, places: Sequence[tuple[int, Place]], moment: int) -> None:
    """Record that images were met at places, in order: new sightings, or old ones seen again.

    Whatever other image was at the same uri is no longer there, and a refusal of it is forgotten.
    """
    placed = [(storable(place.uri), key, place) for key, place in places]
    last: dict[str, int] = {uri: key for uri, key, _ in placed}
    old: dict[str, dict[int, int]] = {}
    refused = connection.execute(_FIRST_REFUSAL).first() is not None
    for chunk in batched(last, CHUNK):
        for uri, key, number in rows_where_in(connection, _AT, chunk):
            old.setdefault(uri, {})[key] = number
        if refused:
            connection.execute(_FORGET_REFUSALS, {"values": chunk})
    replaced = [number for uri, at in old.items() for key, number in at.items() if key != last[uri]]
    mark_gone(connection, replaced, moment)
    latest = {(uri, key): place for uri, key, place in placed}
    values = [_covered(key, uri, place) for (uri, key), place in latest.items()]
    fresh: list[tuple[object, ...]] = []
    again: list[dict[str, object]] = []
    for (uri, key), covered, crc in zip(latest, values, crcs(values), strict=True):
        number = old[uri].get(key) if uri in old else None
        if number is None:
            gone = moment if last[uri] != key else None  # met in this very run, and then replaced
            times = (moment, moment, gone)
            fresh.append((None, *covered, *times, crc, times_sum(*times)))
        elif last[uri] == key:
            _, _, *new = covered
            names = ("new_page", "new_title", "new_alt", "new_size", "new_mtime_ns")
            changes = dict(zip(names, new, strict=True))
            again.append({"number": number, "moment": moment, "new_crc": crc, **changes})
    insert_rows(connection, sightings, fresh)
    if again:
        connection.execute(_SEEN_AGAIN, again)


def _covered(key: int, uri: str, place: Place) -> tuple[object, ...]:
    stamp = place.stamp
    size, mtime_ns = (stamp.size, stamp.mtime_ns) if stamp else (None, None)
    texts = (text and storable(text) for text in (place.page, place.title, place.alt))
    return key, uri, *texts, size, mtime_ns


def mark_gone(connection: Connection, numbers: Iterable[int], moment: int) -> None:
    """Mark sightings as no longer there; those that are marked keep the time at which they were."""
    for chunk in batched(numbers, CHUNK):
        connection.execute(_GONE, {"values": chunk, "moment": moment})


def mark_seen(connection: Connection, numbers: Iterable[int], moment: int) -> None:
    """Mark sightings as still there."""
    for chunk in batched(numbers, CHUNK):
        connection.execute(_SEEN, {"values": chunk, "moment": moment})


def unchanged(
    connection: Connection, files: Sequence[tuple[str, FileStamp]], reader: str
) -> tuple[dict[str, bytes | Refusal], list[int]]:
    """Of these files, those known by path, size and time, and the numbers of their sightings.

    A file is given as the digest of the image in it, or as its refusal when the same `reader` made it.
    """
    found: dict[str, bytes | Refusal] = {}
    seen: list[int] = []
    for chunk in batched(files, CHUNK):
        stamps = dict(chunk)
        for number, uri, size, mtime_ns, digest in connection.execute(_KNOWN, {"values": list(stamps)}):
            if FileStamp(size, mtime_ns) == stamps[uri]:
                found[uri] = digest
                seen.append(number)
        missing = [uri for uri in stamps if uri not in found]
        if missing:
            for row in connection.execute(_REFUSED, {"values": missing}):
                refusal = _refusal(row)
                if (refusal.stamp, refusal.reader) == (stamps[refusal.uri], reader):
                    found[refusal.uri] = refusal
    return found, seen


def several(connection: Connection, keys: Sequence[int]) -> dict[int, list[tuple[int, str]]]:
    """(number, uri) of the files in which images are seen at present, of those that are in several places."""
    found: dict[int, list[tuple[int, str]]] = {}
    for chunk in batched(keys, CHUNK):
        many = list(connection.execute(_SEVERAL, {"values": chunk}).scalars())
        if many:
            for key, number, uri in connection.execute(_PRESENT_OF, {"values": many}):
                found.setdefault(key, []).append((number, uri))
    return found


def refuse(connection: Connection, rows: Sequence[Refusal], moment: int) -> None:
    """Remember files that gave no picture. An image seen there before is gone, if the file has changed.

    What is `passing` counts as not seen yet, until the same file has failed `TRIES` times in a row.
    """
    latest = {storable(row.uri): row for row in rows}
    replaced: list[int] = []
    before: dict[str, Refusal] = {}
    for chunk in batched(latest, CHUNK):
        for number, uri, size, mtime_ns, _ in connection.execute(_KNOWN, {"values": chunk}):
            if FileStamp(size, mtime_ns) != latest[uri].stamp:
                replaced.append(number)
        before.update((row.uri, _refusal(row)) for row in connection.execute(_REFUSED, {"values": chunk}))
        connection.execute(_FORGET_REFUSALS, {"values": chunk})
    mark_gone(connection, replaced, moment)
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
    if old is not None and old.stamp == new.stamp and old.reader.startswith(new.reader):
        said = old.reader.removeprefix(new.reader + _TRIED)
        tries = int(said) + 1 if said.isdecimal() else TRIES
    return new.reader if tries >= TRIES else f"{new.reader}{_TRIED}{tries}"


def present_at(connection: Connection, uri: str) -> Sequence[Any]:
    """(number, uri, image key) of the sightings at a uri that are not marked gone."""
    return connection.execute(_PRESENT.where(sightings.c.uri == uri)).all()


def present_below(connection: Connection, prefix: str, after: tuple[str, int], limit: int) -> Sequence[Any]:
    """The next (number, uri, image key) not gone whose uri begins with `prefix`, which ends in a slash.

    They come in order of uri and key; `after` is those of the last one read, ("", 0) to begin with.
    """
    at = sightings.c
    query = (
        _PRESENT.where(
            tuple_(at.uri, at.image_id) > tuple_(*max(after, (prefix, 0))), at.uri < prefix[:-1] + "0"
        )
        .order_by(at.uri, at.image_id)
        .limit(limit)
    )
    return connection.execute(query).all()


def seen_from(connection: Connection, prefix: str, after: tuple[str, int], limit: int) -> Sequence[Any]:
    """The next rows whose uri begins with `prefix`, gone or not, in order of uri and image key."""
    at = sightings.c
    query = select(sightings).where(tuple_(at.uri, at.image_id) > tuple_(*after))
    if prefix:
        query = query.where(at.uri >= prefix, at.uri < prefix + "\U0010ffff")
    return connection.execute(query.order_by(at.uri, at.image_id).limit(limit)).all()


def _refusal(row: Any) -> Refusal:
    stamp = FileStamp(row.size, row.mtime_ns)
    return Refusal(row.uri, stamp, row.code, row.reason, bool(row.skipped), row.reader)
