"""The catalog: images, sightings and features in SQLite. It is the truth; every index derives from it.

One transaction per call: what a method returns has been committed, or nothing of it has. Write-ahead
logging lets many processes read while one writes; `synchronous=FULL` makes a commit survive a loss of
power as well as a crash.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DatabaseError

from whence.engine import migrations
from whence.engine.batches import batched
from whence.engine.records import FileStamp, Image, NewImage, Place, Refusal, Sighting, image_id, iso, now
from whence.engine.tables import feature_versions, features, images, refusals, removals, sightings
from whence.errors import CollectionDamaged, CollectionError
from whence.picture.metadata import Credit

FILE_NAME = "catalog.sqlite"
_CHUNK = 500  # values in one IN (...)


class Marks(NamedTuple):
    """How far the catalog has come: its highest image key, its last removal, and its images' count."""

    key: int
    removal: int


class Catalog:
    """The tables of one collection. A key is the small integer by which indexes know an image."""

    def __init__(self, directory: Path, *, write: bool) -> None:
        """Open the catalog in `directory`, making or migrating it when `write`.

        Raises CollectionDamaged when the file is no catalog, CollectionTooNew when a later version
        wrote it.
        """
        self.path = directory / FILE_NAME
        self._engine = _connect(self.path)
        try:
            with self._engine.connect() as connection:
                current = migrations.check_not_newer(connection)
            if not current and write:
                with self.writing() as connection:
                    migrations.migrate(connection, now())
            elif not current:
                raise CollectionError(f"{directory} has to be brought up to date; open it for writing once.")
        except DatabaseError as error:
            self.close()
            raise CollectionDamaged(
                f"{self.path} cannot be read as a catalog ({error.orig}). "
                f"Restore it from a backup, or index the pictures into a new collection."
            ) from error
        except CollectionError:
            self.close()
            raise

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on one consistent state of the catalog."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose changes are committed together when the block ends, or not at all."""
        try:
            with self._engine.connect() as plain:
                connection = plain.execution_options(immediate=True)
                with connection.begin():
                    yield connection
        except DatabaseError as error:
            if isinstance(error.orig, sqlite3.OperationalError):
                raise CollectionError(
                    f"The catalog could not be written: {error.orig}. Nothing that was acknowledged is lost; "
                    f"check that the disk has room and may be written to, then run the same command again."
                ) from error
            raise

    # What there is

    def marks(self) -> Marks:
        """How far the catalog has come; indexes compare it with how far they have read."""
        with self.reading() as connection:
            return _marks(connection)

    def count(self) -> int:
        """How many images there are."""
        with self.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(images)).scalar_one())

    def keys_of(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The keys of those digests that are in the catalog."""
        with self.reading() as connection:
            return _keys_of(connection, digests)

    def keys_at(self, uri: str) -> list[int]:
        """The keys of the images seen at a uri, whether or not they are still there."""
        query = select(sightings.c.image_id).where(sightings.c.uri == uri)
        with self.reading() as connection:
            return list(connection.execute(query).scalars())

    def images(self, keys: Sequence[int]) -> dict[int, Image]:
        """The images of those keys that exist, with their sightings (present ones first)."""
        found: dict[int, Image] = {}
        with self.reading() as connection:
            for chunk in batched(keys, _CHUNK):
                seen: dict[int, list[Sighting]] = {}
                order = (sightings.c.gone.is_not(None), sightings.c.first_seen, sightings.c.id)
                query = select(sightings).where(sightings.c.image_id.in_(chunk)).order_by(*order)
                for row in connection.execute(query):
                    seen.setdefault(row.image_id, []).append(_sighting(row))
                for row in connection.execute(select(images).where(images.c.id.in_(chunk))):
                    found[row.id] = _image(row, tuple(seen.get(row.id, ())))
        return found

    def features(self, kind: str, keys: Sequence[int]) -> dict[int, bytes]:
        """One kind of feature of those images that have it."""
        found: dict[int, bytes] = {}
        with self.reading() as connection:
            for chunk in batched(keys, _CHUNK):
                query = select(features.c.image_id, features.c.data)
                query = query.where(features.c.kind == kind, features.c.image_id.in_(chunk))
                found.update((row[0], row[1]) for row in connection.execute(query))
        return found

    def features_after(self, kind: str, key: int, limit: int) -> list[tuple[int, bytes]]:
        """(key, data) of the next features of a kind, in order of key."""
        query = (
            select(features.c.image_id, features.c.data)
            .where(features.c.kind == kind, features.c.image_id > key)
            .order_by(features.c.image_id)
            .limit(limit)
        )
        with self.reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        """The keys removed since removal number `seq`, and the number of the last one."""
        query = (
            select(removals.c.image_id, removals.c.seq).where(removals.c.seq > seq).order_by(removals.c.seq)
        )
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [row[0] for row in rows], rows[-1][1] if rows else seq

    def seen_twice(self) -> list[int]:
        """The keys of images that are in several places at present."""
        query = select(sightings.c.image_id).where(sightings.c.gone.is_(None)).group_by(sightings.c.image_id)
        with self.reading() as connection:
            return list(connection.execute(query.having(func.count() > 1)).scalars())

    def versions(self, kind: str) -> dict[str, list[str]]:
        """The versions of a feature in use here, each with the decoders it was computed after."""
        query = (
            select(feature_versions).where(feature_versions.c.kind == kind).order_by(feature_versions.c.id)
        )
        found: dict[str, list[str]] = {}
        with self.reading() as connection:
            for row in connection.execute(query):
                found.setdefault(row.version, []).append(row.decoder)
        return found

    def forget_unused_versions(self) -> None:
        """Drop the versions that no feature has any more."""
        used = select(features.c.version_id).distinct()
        with self.writing() as connection:
            connection.execute(delete(feature_versions).where(feature_versions.c.id.not_in(used)))

    def keys_of_other_versions(self, kind: str, version: str) -> list[int]:
        """The keys of the images whose feature of this kind has another version, or is missing."""
        good = (
            select(features.c.image_id)
            .join(feature_versions, feature_versions.c.id == features.c.version_id)
            .where(features.c.kind == kind, feature_versions.c.version == version)
        )
        with self.reading() as connection:
            return list(
                connection.execute(
                    select(images.c.id).where(images.c.id.not_in(good)).order_by(images.c.id)
                ).scalars()
            )

    # Adding and removing

    def add(self, new: Sequence[NewImage], version_of: dict[str, str]) -> list[tuple[int, bool]]:
        """Add images and the places they were met at; `version_of` is the version of each feature kind.

        Returns, in the order given, each image's key and whether it was new. One that is known gains
        the place as a sighting.
        """
        moment = now()
        results: list[tuple[int, bool]] = []
        with self.writing() as connection:
            keys = _keys_of(connection, [one.digest for one in new])
            next_key = _next_key(connection)
            image_rows: list[dict[str, Any]] = []
            feature_rows: list[dict[str, Any]] = []
            places: list[tuple[int, Place]] = []
            version_ids: dict[tuple[str, str], int] = {}
            for one in new:
                key = keys.get(one.digest)
                results.append((next_key if key is None else key, key is None))
                if key is None:
                    key = keys[one.digest] = next_key
                    next_key += 1
                    image_rows.append(_image_row(one, key, moment))
                    for kind, data in one.features.items():
                        source = (kind, one.decoder)
                        if source not in version_ids:
                            version_ids[source] = _version_id(
                                connection, kind, version_of[kind], one.decoder, moment
                            )
                        feature_rows.append(
                            {"kind": kind, "image_id": key, "version_id": version_ids[source], "data": data}
                        )
                if one.place is not None:
                    places.append((key, one.place))
            if image_rows:
                connection.execute(insert(images), image_rows)
            if feature_rows:
                connection.execute(insert(features), feature_rows)
            _see(connection, places, moment)
        return results

    def replace_features(self, kind: str, version: str, rows: Sequence[tuple[int, str, bytes]]) -> None:
        """Put (key, decoder, data) in the place of what these images had of this kind."""
        moment = now()
        with self.writing() as connection:
            for key, decoder, data in rows:
                version_id = _version_id(connection, kind, version, decoder, moment)
                connection.execute(
                    delete(features).where(features.c.kind == kind, features.c.image_id == key)
                )
                connection.execute(
                    insert(features), {"kind": kind, "image_id": key, "version_id": version_id, "data": data}
                )

    def remove(self, keys: Sequence[int]) -> int:
        """Remove images with all that hangs on them; returns how many there were."""
        removed = 0
        with self.writing() as connection:
            for chunk in batched(keys, _CHUNK):
                existing = list(
                    connection.execute(select(images.c.id).where(images.c.id.in_(chunk))).scalars()
                )
                if existing:
                    connection.execute(insert(removals), [{"image_id": key} for key in existing])
                    connection.execute(delete(images).where(images.c.id.in_(existing)))
                removed += len(existing)
        return removed

    def forget_sighting(self, uri: str) -> None:
        """Delete the sightings at a uri; the images stay."""
        with self.writing() as connection:
            connection.execute(delete(sightings).where(sightings.c.uri == uri))

    # Files seen before

    def unchanged(self, files: Sequence[tuple[str, FileStamp]], reader: str) -> dict[str, bytes | Refusal]:
        """Of these files, those known by path, size and time: their digest, or why they were refused.

        A refusal counts only when the same `reader` (program, decoders, limits) made it. Sightings of
        the files found are stamped as seen now.
        """
        found: dict[str, bytes | Refusal] = {}
        seen: list[int] = []
        known = (
            select(sightings.c.id, sightings.c.uri, sightings.c.size, sightings.c.mtime_ns, images.c.digest)
            .join(images, images.c.id == sightings.c.image_id)
            .where(sightings.c.gone.is_(None))
        )
        with self.reading() as connection:
            for chunk in batched(files, _CHUNK):
                stamps = dict(chunk)
                for row in connection.execute(known.where(sightings.c.uri.in_(list(stamps)))):
                    stamp = stamps[row[1]]
                    if (row[2], row[3]) == (stamp.size, stamp.mtime_ns):
                        found[row[1]] = row[4]
                        seen.append(row[0])
                missing = [uri for uri in stamps if uri not in found]
                if missing:
                    for row in connection.execute(select(refusals).where(refusals.c.uri.in_(missing))):
                        stamp = stamps[row.uri]
                        if (row.size, row.mtime_ns, row.reader) == (stamp.size, stamp.mtime_ns, reader):
                            found[row.uri] = Refusal(
                                row.uri, stamp, row.code, row.reason, bool(row.skipped), row.reader
                            )
        if seen:
            moment = now()
            with self.writing() as connection:
                for ids in batched(seen, _CHUNK):
                    connection.execute(
                        update(sightings).where(sightings.c.id.in_(ids)).values(last_seen=moment)
                    )
        return found

    def refuse(self, rows: Sequence[Refusal]) -> None:
        """Remember files that gave no picture."""
        if not rows:
            return
        moment = now()
        with self.writing() as connection:
            for chunk in batched(rows, _CHUNK):
                uris = [row.uri for row in chunk]
                connection.execute(delete(refusals).where(refusals.c.uri.in_(uris)))
                connection.execute(insert(refusals), [_refusal_row(row, moment) for row in chunk])

    def present_under(self, prefix: str) -> Iterator[tuple[int, str]]:
        """(sighting number, uri) of the sightings not gone whose uri is `prefix` or lies below it."""
        below = prefix.rstrip("/") + "/"
        last = 0
        inside = (sightings.c.uri == prefix) | (
            (sightings.c.uri >= below) & (sightings.c.uri < below[:-1] + "0")
        )
        while True:
            query = (
                select(sightings.c.id, sightings.c.uri)
                .where(inside, sightings.c.gone.is_(None), sightings.c.id > last)
                .order_by(sightings.c.id)
                .limit(10_000)
            )
            with self.reading() as connection:
                rows = connection.execute(query).all()
            if not rows:
                return
            last = rows[-1][0]
            yield from ((row[0], row[1]) for row in rows)

    def mark_gone(self, numbers: Sequence[int]) -> None:
        """Mark sightings as no longer there."""
        moment = now()
        with self.writing() as connection:
            for chunk in batched(numbers, _CHUNK):
                connection.execute(update(sightings).where(sightings.c.id.in_(chunk)).values(gone=moment))

    # Damage

    def damage(self) -> Iterator[str]:
        """What the database says is wrong with itself, a sentence each."""
        with self.reading() as connection:
            try:
                for row in connection.execute(text("PRAGMA integrity_check(20)")):
                    if row[0] != "ok":
                        yield f"catalog: {row[0]}"
                for row in connection.execute(text("PRAGMA foreign_key_check")):
                    yield f"catalog: row {row[1]} of {row[0]} belongs to no image"
                lost = (
                    select(func.count())
                    .select_from(images)
                    .where(images.c.id.not_in(select(features.c.image_id).where(features.c.kind == "pdq")))
                )
                without = connection.execute(lost).scalar_one()
                if without:
                    yield f"catalog: {without} images have no fingerprint"
            except DatabaseError as error:
                yield f"catalog: {error.orig}"


def _connect(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 60, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(dbapi: sqlite3.Connection, _record: object) -> None:
        dbapi.isolation_level = None  # transactions are begun below, by hand, not by the driver
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-65536",
            "temp_store=MEMORY",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes its lock at once: a reader that turned writer could find the lock taken.
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _marks(connection: Connection) -> Marks:
    key = select(func.coalesce(func.max(images.c.id), 0)).scalar_subquery()
    removal = select(func.coalesce(func.max(removals.c.seq), 0)).scalar_subquery()
    row = connection.execute(select(key, removal)).one()
    return Marks(row[0], row[1])


def _next_key(connection: Connection) -> int:
    used = select(func.coalesce(func.max(images.c.id), 0)).scalar_subquery()
    freed = select(func.coalesce(func.max(removals.c.image_id), 0)).scalar_subquery()
    row = connection.execute(select(used, freed)).one()
    return int(max(row)) + 1


def _keys_of(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for chunk in batched(digests, _CHUNK):
        for row in connection.execute(select(images.c.digest, images.c.id).where(images.c.digest.in_(chunk))):
            found[row[0]] = row[1]
    return found


def _version_id(connection: Connection, kind: str, version: str, decoder: str, moment: int) -> int:
    wanted = {"kind": kind, "version": version, "decoder": decoder}
    query = select(feature_versions.c.id).filter_by(**wanted)
    known = connection.execute(query).scalar()
    if known is None:
        connection.execute(insert(feature_versions), {**wanted, "first_used": moment})
        known = connection.execute(query).scalar_one()
    return int(known)


def _see(connection: Connection, places: Sequence[tuple[int, Place]], moment: int) -> None:
    """Record that images were met at places: new sightings, or old ones seen again.

    Another image that was at the same uri is no longer there.
    """
    old: dict[str, dict[int, int]] = {}
    for chunk in batched({place.uri for _, place in places}, _CHUNK):
        query = select(sightings.c.uri, sightings.c.image_id, sightings.c.id).where(
            sightings.c.uri.in_(chunk)
        )
        for uri, key, number in connection.execute(query):
            old.setdefault(uri, {})[key] = number
        connection.execute(delete(refusals).where(refusals.c.uri.in_(chunk)))
    fresh: dict[tuple[str, int], dict[str, Any]] = {}
    for key, place in places:
        row: dict[str, Any] = {
            "page": place.page,
            "title": place.title,
            "alt": place.alt,
            "size": place.stamp.size if place.stamp else None,
            "mtime_ns": place.stamp.mtime_ns if place.stamp else None,
            "last_seen": moment,
        }
        at = old.get(place.uri, {})
        others = [number for other, number in at.items() if other != key]
        if others:
            is_other = sightings.c.id.in_(others) & sightings.c.gone.is_(None)
            connection.execute(update(sightings).where(is_other).values(gone=moment))
        if key in at:
            connection.execute(update(sightings).where(sightings.c.id == at[key]).values(**row, gone=None))
        else:
            fresh[place.uri, key] = {
                "image_id": key,
                "uri": place.uri,
                "first_seen": moment,
                "gone": None,
                **row,
            }
    if fresh:
        connection.execute(insert(sightings), list(fresh.values()))


def _image_row(one: NewImage, key: int, moment: int) -> dict[str, Any]:
    return {
        "id": key,
        "digest": one.digest,
        "width": one.width,
        "height": one.height,
        "format": one.format,
        "bytes": one.bytes,
        "frames": one.frames,
        "quality": one.quality,
        "credit": json.dumps(one.credit.as_json(), ensure_ascii=False) if one.credit else None,
        "added": moment,
    }


def _refusal_row(row: Refusal, moment: int) -> dict[str, Any]:
    return {
        "uri": row.uri,
        "size": row.stamp.size,
        "mtime_ns": row.stamp.mtime_ns,
        "code": row.code,
        "reason": row.reason,
        "skipped": int(row.skipped),
        "reader": row.reader,
        "seen": moment,
    }


def _sighting(row: Row[Any]) -> Sighting:
    first, last = iso(row.first_seen) or "", iso(row.last_seen) or ""
    return Sighting(row.uri, row.page, row.title, row.alt, first, last, iso(row.gone))


def _image(row: Row[Any], seen: tuple[Sighting, ...]) -> Image:
    return Image(
        id=image_id(row.digest),
        width=row.width,
        height=row.height,
        format=row.format,
        bytes=row.bytes,
        frames=row.frames,
        quality=row.quality,
        added=iso(row.added) or "",
        credit=Credit.from_json(json.loads(row.credit)) if row.credit else Credit(),
        sightings=seen,
    )
