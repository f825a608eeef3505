"""Sightings: what the catalog knows of where images were seen.

A sighting is of an image at a uri on a page. Whoever saw it gives the moment, and what is kept follows from
all that was told and not from the order in which it was: `first_seen` and `last_seen` are the first and the
last of the moments, texts are those of the last, and `gone` follows from two things: somebody looked and did
not find it (`missing`), or another image was seen at its uri afterwards.

Each function works on a connection that the `Catalog` gives it, inside its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update

from wherefrom.batches import batched
from wherefrom.engine import documents
from wherefrom.engine.statements import CHUNK, insert_rows, one_of, rows_where_in, storable
from wherefrom.engine.sums import CHANGED, GONE, LAST_SEEN, MISSING, crcs, times_sum
from wherefrom.engine.tables import images, refusals, sightings
from wherefrom.records import Place, SeenAt

Covered = tuple[object, ...]
Times = tuple[int, int, int | None, int | None, int]
Texts = tuple[str | None, ...]
"""Title, alt, caption, how and published; then size and time of the file."""

_AT = (
    "SELECT id, uri, image_id, page, title, alt, caption, how, published, size, mtime_ns, first_seen, "
    "last_seen, gone, missing, changed FROM sightings WHERE uri IN ({})"
)
_FIRST_REFUSAL = select(refusals.c.uri).limit(1)
_FORGET_REFUSALS = delete(refusals).where(one_of(refusals.c.uri))
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
_SEEN_AT = (sightings.c.image_id, sightings.c.uri, sightings.c.page)
_PRESENT_OF = select(*_SEEN_AT).where(
    one_of(sightings.c.image_id), sightings.c.gone.is_(None), sightings.c.size.is_not(None)
)
_PRESENT = select(*_SEEN_AT).where(sightings.c.gone.is_(None))
_PLACE = (sightings.c.uri, sightings.c.image_id, func.coalesce(sightings.c.page, ""))
"""What sightings are unique by, and read in the order of."""

_CHANGES = "changes"  # the document that holds the number of a change, where no sighting does
_LAST_CHANGE = select(func.coalesce(func.max(sightings.c.changed), 0))
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
_AFTER = func.max(sightings.c.last_seen + 1, bindparam("moment"))
_GONE = (
    update(sightings)
    .where(one_of(sightings.c.id), sightings.c.gone.is_(None))
    .values(
        gone=_AFTER,
        missing=_AFTER,
        changed=bindparam("number"),
        times_sum=sightings.c.times_sum
        + GONE * _AFTER
        + MISSING * (_AFTER - func.coalesce(sightings.c.missing, 0))
        + CHANGED * (bindparam("number") - sightings.c.changed),
    )
)
_OTHERS = sightings.alias()
# What is gone because another image was seen there stays gone when that one is removed.
_HOLD_GONE = (
    update(sightings)
    .where(
        sightings.c.uri.in_(select(_OTHERS.c.uri).where(one_of(_OTHERS.c.image_id))),
        sightings.c.gone.is_not(None),
    )
    .values(
        missing=sightings.c.gone,
        times_sum=sightings.c.times_sum
        + MISSING * (sightings.c.gone - func.coalesce(sightings.c.missing, 0)),
    )
)
_TIMES = ("first_seen", "last_seen", "gone", "missing", "changed")
_COVERED = ("image_id", "uri", "page", "title", "alt", "size", "mtime_ns", "caption", "how", "published")
_WRITTEN = (*_COVERED, *_TIMES, "crc", "times_sum")
_CHANGE = (
    update(sightings)
    .where(sightings.c.id == bindparam("of_id"))
    .values({name: bindparam(f"new_{name}") for name in _WRITTEN})
)


@dataclass(slots=True)
class _Sighting:
    """A row while it is worked on; `id` is None for one that is new."""

    id: int | None
    uri: str
    key: int
    page: str | None
    texts: Texts
    stamp: tuple[int | None, int | None]
    first: int
    last: int
    gone: int | None = None
    missing: int | None = None
    changed: int = 0

    @property
    def covered(self) -> Covered:
        """What the checksum covers, in the order of the table."""
        title, alt, caption, how, published = self.texts
        return (self.key, self.uri, self.page, title, alt, *self.stamp, caption, how, published)

    @property
    def times(self) -> Times:
        """The times, in the order of the table."""
        return self.first, self.last, self.gone, self.missing, self.changed


def see(connection: Connection, places: Sequence[tuple[int, Place]], present: int) -> None:
    """Record that images were met at places: each at its own moment, or else at the present, in order.

    Refusals of what is at those uris are forgotten.
    """
    placed = [(storable(place.uri), key, place) for key, place in places]
    uris = list(dict.fromkeys(uri for uri, _, _ in placed))
    if connection.execute(_FIRST_REFUSAL).first() is not None:
        for chunk in batched(uris, CHUNK):
            connection.execute(_FORGET_REFUSALS, {"values": chunk})
    at = _at(connection, uris)
    before = _state(at)
    for uri, key, place in placed:
        moment = place.moment
        if moment is None:
            # The present comes after all that was seen here, whatever the clock says.
            moment = max([present, *(one.last + (one.key != key) for one in at[uri])])
        _told(at[uri], uri, key, place, moment)
    _write(connection, at, before)


def settle(connection: Connection, uris: Sequence[str]) -> None:
    """Work out anew what is gone from some uris."""
    at = _at(connection, uris)
    _write(connection, at, _state(at))


def _at(connection: Connection, uris: Sequence[str]) -> dict[str, list[_Sighting]]:
    """What was seen at each of some uris."""
    at: dict[str, list[_Sighting]] = {uri: [] for uri in uris}
    for chunk in batched(at, CHUNK):
        for row in rows_where_in(connection, _AT, chunk):
            number, uri, key, page, *texts, size, mtime_ns, first, last, gone, missing, changed = row
            times = (first, last, gone, missing, changed)
            at[uri].append(_Sighting(number, uri, key, page, tuple(texts), (size, mtime_ns), *times))
    return at


def _state(at: Mapping[str, Sequence[_Sighting]]) -> dict[int | None, tuple[Covered, Times]]:
    return {one.id: (one.covered, one.times) for seen in at.values() for one in seen}


def _write(
    connection: Connection,
    at: Mapping[str, Sequence[_Sighting]],
    before: Mapping[int | None, tuple[Covered, Times]],
) -> None:
    """Write what is new at some uris and what has changed there, with what is gone because of it."""
    change = _next_change(connection)
    fresh: list[_Sighting] = []
    again: list[_Sighting] = []
    for seen in at.values():
        for one in seen:
            one.gone = _gone(one, seen)
            if one.id is None:
                one.changed = change
                fresh.append(one)
            elif (one.covered, one.times) != before[one.id]:
                was = before[one.id]
                if one.covered != was[0] or one.gone != was[1][2] or one.first != was[1][0]:
                    one.changed = change
                again.append(one)
    _insert(connection, fresh)
    if again:
        connection.execute(_CHANGE, [_values(one, crc) for one, crc in zip(again, _crcs(again), strict=True)])


def _told(seen: list[_Sighting], uri: str, key: int, place: Place, moment: int) -> None:
    """Take an observation in."""
    page = storable(place.page) if place.page else None
    told = (place.title, place.alt, place.caption, place.how, place.published)
    texts = tuple(text and storable(text) for text in told)
    stamp = (None, None) if place.stamp is None else (place.stamp.size, place.stamp.mtime_ns)
    one = next((one for one in seen if one.key == key and (one.page or "") == (page or "")), None)
    if one is None:
        seen.append(_Sighting(None, uri, key, page, texts, stamp, moment, moment))
        return
    if moment > one.last or (moment == one.last and _order(texts, stamp) > _order(one.texts, one.stamp)):
        one.texts, one.stamp = texts, stamp
    one.first, one.last = min(one.first, moment), max(one.last, moment)


def _order(texts: Texts, stamp: tuple[int | None, int | None]) -> tuple[object, ...]:
    """Of what was told of one moment the greatest counts, whichever came first."""
    said = (part for text in texts for part in (text is not None, text or ""))
    return (*said, *(-1 if one is None else one for one in stamp))


def _gone(one: _Sighting, seen: Sequence[_Sighting]) -> int | None:
    """When a sighting was found to be over, by what is known of its uri."""
    ends = [
        other.first if other.first > one.last else other.last
        for other in seen
        if other.key != one.key and other.last > one.last
    ]
    if one.missing is not None and one.missing > one.last:
        ends.append(one.missing)
    return min(ends, default=None)


def _crcs(rows: Sequence[_Sighting]) -> list[int]:
    return crcs(one.covered for one in rows)


def _insert(connection: Connection, rows: Sequence[_Sighting]) -> None:
    values = []
    for one, crc in zip(rows, _crcs(rows), strict=True):
        key, uri, page, title, alt, size, mtime_ns, *more = one.covered
        first, last, gone, missing, changed = one.times
        head = (None, key, uri, page, title, alt, size, mtime_ns, first, last, gone)
        values.append((*head, crc, times_sum(*one.times), *more, missing, changed))
    insert_rows(connection, sightings, values)


def _values(one: _Sighting, crc: int) -> dict[str, object]:
    new = (*one.covered, *one.times, crc, times_sum(*one.times))
    named = {f"new_{name}": value for name, value in zip(_WRITTEN, new, strict=True)}
    return {"of_id": one.id, **named}


def _next_change(connection: Connection) -> int:
    return last_change(connection) + 1


def last_change(connection: Connection) -> int:
    """The number of the last change of any sighting or field."""
    noted = documents.read(connection, _CHANGES) or 0
    return max(int(noted), int(connection.execute(_LAST_CHANGE).scalar_one()))


def note_change(connection: Connection, number: int) -> None:
    """Remember the number of a change that no sighting has, so that none has it later."""
    documents.put(connection, _CHANGES, number)


def changed_after(connection: Connection, number: int, key: int, limit: int) -> Sequence[Any]:
    """The next (change, image key) of sightings that changed, in this order, behind those given."""
    at = sightings.c
    query = (
        select(at.changed, at.image_id)
        .where(tuple_(at.changed, at.image_id) > tuple_(number, key))
        .distinct()
        .order_by(at.changed, at.image_id)
        .limit(limit)
    )
    return connection.execute(query).all()


def mark_gone(connection: Connection, places: Iterable[SeenAt], moment: int) -> None:
    """Remember that images are no longer at places; what is marked keeps the time at which it was."""
    wanted = {(storable(at.uri), at.key, "" if at.page is None else storable(at.page)) for at in places}
    numbers: list[int] = []
    for chunk in batched({uri for uri, _, _ in wanted}, CHUNK):
        for row in rows_where_in(connection, _AT, chunk):
            if (row[1], row[2], row[3] or "") in wanted:
                numbers.append(row[0])
    mark_numbers_gone(connection, numbers, moment)


def mark_numbers_gone(connection: Connection, numbers: Iterable[int], moment: int) -> None:
    """The same of sightings by the numbers of their rows."""
    change = _next_change(connection)
    for chunk in batched(numbers, CHUNK):
        connection.execute(_GONE, {"values": chunk, "moment": moment, "number": change})


def before_removal(connection: Connection, keys: Sequence[int]) -> None:
    """Keep what follows from sightings of images that will be removed, and stays so without them."""
    connection.execute(_HOLD_GONE, {"values": keys})
    note_change(connection, last_change(connection))


def mark_seen(connection: Connection, numbers: Iterable[int], moment: int) -> None:
    """Mark sightings as still there."""
    for chunk in batched(numbers, CHUNK):
        connection.execute(_SEEN, {"values": chunk, "moment": moment})


def known_files(connection: Connection, uris: Sequence[str]) -> Sequence[Any]:
    """(number, uri, size, mtime_ns, digest) of what is at up to `CHUNK` uris at present."""
    return connection.execute(_KNOWN, {"values": uris}).all()


def several(connection: Connection, keys: Sequence[int]) -> dict[int, list[SeenAt]]:
    """The files in which images are seen at present, of those that are in several places."""
    found: dict[int, list[SeenAt]] = {}
    for chunk in batched(keys, CHUNK):
        many = list(connection.execute(_SEVERAL, {"values": chunk}).scalars())
        if many:
            for row in connection.execute(_PRESENT_OF, {"values": many}):
                found.setdefault(row[0], []).append(SeenAt(*row))
    return found


def present_at(connection: Connection, uri: str) -> list[SeenAt]:
    """The sightings at a uri that are not gone."""
    return [SeenAt(*row) for row in connection.execute(_PRESENT.where(sightings.c.uri == uri))]


def present_below(
    connection: Connection, prefix: str, after: tuple[str, int, str], limit: int
) -> list[SeenAt]:
    """The next sightings that are not gone and whose uri begins with `prefix`, which ends in a slash.

    They come in order of uri, key and page; `after` is those of the last one read, ("", 0, "") to begin with.
    """
    behind = tuple_(*_PLACE) > tuple_(*max(after, (prefix, 0, "")))
    query = _PRESENT.where(behind, sightings.c.uri < prefix[:-1] + "0").order_by(*_PLACE).limit(limit)
    return [SeenAt(*row) for row in connection.execute(query)]


def seen_from(connection: Connection, prefix: str, after: tuple[str, int, str], limit: int) -> Sequence[Any]:
    """The next rows whose uri begins with `prefix`, gone or not, in order of uri, image key and page."""
    at = sightings.c
    query = select(sightings).where(tuple_(*_PLACE) > tuple_(*after))
    if prefix:
        query = query.where(at.uri >= prefix, at.uri < prefix + "\U0010ffff")
    return connection.execute(query.order_by(*_PLACE).limit(limit)).all()
