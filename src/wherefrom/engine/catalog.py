"""The catalog: images, sightings and features in SQLite. It is the truth; every index derives from it.

One transaction per call: what a method returns has been committed, or nothing of it has. Write-ahead
logging lets many processes read while one writes; `synchronous=FULL` makes a commit survive a loss of
power as well as a crash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, func, select, union

from wherefrom.batches import batched
from wherefrom.engine import (
    digests,
    documents,
    fields,
    kept,
    migrations,
    orders,
    refusals,
    sightings,
    soundness,
)
from wherefrom.engine.conditions import Extra, select_keys
from wherefrom.engine.copying import copy_collection
from wherefrom.engine.database import Database
from wherefrom.engine.images import image_of, image_values, sighting_of
from wherefrom.engine.sizes import CatalogSizes
from wherefrom.engine.statements import CHUNK, insert_rows, one_of, storable
from wherefrom.engine.sums import with_crcs
from wherefrom.engine.tables import feature_versions, images, removals, signs, uploads
from wherefrom.engine.tables import sightings as places_seen
from wherefrom.errors import CollectionDamaged
from wherefrom.filters.parser import parse
from wherefrom.filters.terms import Filter
from wherefrom.records import FieldValue, FileStamp, Image, NewImage, Place, Refusal, SeenAt, Sighting, now

if TYPE_CHECKING:
    from wherefrom.engine.base import Copied, OnPages

FILE_NAME = "catalog.sqlite"


class Marks(NamedTuple):
    """How far the catalog has come: the highest image key it ever gave, and its last removal.

    Keys rise by one and each removal is of one image, so the difference is how many images there are.
    """

    key: int
    removal: int


_MARKS = select(
    func.coalesce(select(func.max(images.c.id)).scalar_subquery(), 0),
    func.coalesce(select(func.max(removals.c.image_id)).scalar_subquery(), 0),
    func.coalesce(select(func.max(removals.c.seq)).scalar_subquery(), 0),
)
_IMAGES = select(images).where(one_of(images.c.id))
_UPLOADED = select(uploads.c.image_id).where(one_of(uploads.c.image_id))
_SIGNS = select(signs).where(one_of(signs.c.image_id))
_SIGHTINGS = (
    select(places_seen)
    .where(one_of(places_seen.c.image_id))
    .order_by(
        places_seen.c.gone.is_not(None),
        places_seen.c.first_seen,
        places_seen.c.uri,
        func.coalesce(places_seen.c.page, ""),
    )
)
_VERSIONS = (
    select(feature_versions.c.version, feature_versions.c.decoder)
    .where(feature_versions.c.kind == bindparam("of_kind"))
    .order_by(feature_versions.c.id)
)
_THERE = select(images.c.id).where(one_of(images.c.id)).order_by(images.c.id)
_REMOVE = delete(images).where(one_of(images.c.id))


class Catalog:
    """The tables of one collection. A key is the small integer by which indexes know an image."""

    def __init__(
        self,
        directory: Path,
        *,
        create: bool = False,
        sizes: CatalogSizes = CatalogSizes(),
        clock: Callable[[], int] = now,
    ) -> None:
        """Open the catalog in `directory`; with `create`, make it there when there is none.

        `clock` tells the present, in microseconds since 1970 UTC.

        Raises CollectionDamaged when the file is missing or no catalog, CollectionTooNew when a later
        version wrote it, CollectionError when it cannot be opened.
        """
        self.path = directory / FILE_NAME
        self._database = Database(self.path, create=create)
        self._recent = digests.RecentDigests()
        self._sizes = sizes
        self._clock = clock
        try:
            if create:
                self.migrate()
            with self._database.reading() as connection:
                self.current = migrations.is_current(connection)
        except BaseException:
            self.close()
            raise

    def check_place(self) -> None:
        """Raise CollectionError when the file is not the one at its path any more, as every read does."""
        self._database.check_place()

    def migrate(self) -> None:
        """Bring the tables up to date; only the process that holds the writer's lock may."""
        with self._database.writing() as connection:
            migrations.migrate(connection, self._clock())
        self.current = True

    def close(self) -> None:
        """Give every connection back. Whatever is called afterwards raises UsageError."""
        self._database.close()

    # What there is

    def marks(self) -> Marks:
        """How far the catalog has come; indexes compare it with how far they have read."""
        with self._database.reading() as connection:
            return _marks(connection)

    def count(self) -> int:
        """How many images there are."""
        marks = self.marks()
        return marks.key - marks.removal

    def keys_of(self, wanted: Sequence[bytes]) -> dict[bytes, int]:
        """The keys of those digests that are in the catalog."""
        with self._database.reading() as connection:
            return digests.keys_of(connection, wanted)

    def keys_at(self, uri: str) -> list[int]:
        """The keys of the images seen at a uri, whether or not they are still there."""
        here = select(places_seen.c.image_id).where(places_seen.c.uri == storable(uri))
        query = here.distinct().order_by(places_seen.c.image_id)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def images(self, keys: Sequence[int]) -> dict[int, Image]:
        """The images of those keys that exist, with their sightings (present ones first).

        Raises CollectionDamaged when what is kept of one cannot be true.
        """
        found: dict[int, Image] = {}
        with self._database.reading() as connection:
            for chunk in batched(keys, CHUNK):
                seen: dict[int, list[Any]] = {}
                for row in connection.execute(_SIGHTINGS, {"values": chunk}):
                    seen.setdefault(row.image_id, []).append(sighting_of(row))
                attached = fields.read(connection, chunk)
                told = {row.image_id: row.data for row in connection.execute(_SIGNS, {"values": chunk})}
                for row in connection.execute(_IMAGES, {"values": chunk}):
                    found[row.id] = image_of(
                        row, tuple(seen.get(row.id, ())), attached.get(row.id, {}), told.get(row.id)
                    )
        return found

    def features(self, kind: str, keys: Sequence[int]) -> dict[int, bytes]:
        """One kind of feature of those images that have it."""
        found: dict[int, bytes] = {}
        with self._database.reading() as connection:
            for chunk in batched(keys, CHUNK):
                rows = connection.execute(kept.statement(kind), {"values": chunk})
                found.update((row[0], row[1]) for row in rows)
        return found

    def features_after(self, kind: str, key: int, limit: int) -> list[tuple[int, bytes]]:
        """(key, data) of the next features of a kind, in order of key."""
        with self._database.reading() as connection:
            rows = connection.execute(kept.statement_after(kind), {"after": key, "most": limit})
            return [(row[0], row[1]) for row in rows]

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        """The keys removed since removal number `seq`, and the number of the last one."""
        query = (
            select(removals.c.image_id, removals.c.seq).where(removals.c.seq > seq).order_by(removals.c.seq)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        removed = [row[0] for row in rows]
        if not all(isinstance(key, int) for key in removed):
            raise CollectionDamaged("The catalog's removals are damaged. Run: wherefrom check")
        return removed, rows[-1][1] if rows else seq

    def matching(self, wanted: Filter | str | None, extra: Extra | None = None) -> NDArray[np.int64]:
        """The keys of the images that a filter, or the text of one, lets through, all for None: sorted int64.

        `extra` answers for labels and colours (see `select_keys`). Raises UsageError.
        """
        with self._database.reading() as connection:
            if wanted is None:
                return orders.ordered(connection, "added")
            if isinstance(wanted, str):
                wanted = parse(wanted, fields.names(connection))
            return select_keys(connection, wanted, extra)

    def field_names(self) -> list[str]:
        """The name of every field that some image has, in order."""
        with self._database.reading() as connection:
            return fields.names(connection)

    def ordered(self, by: str) -> NDArray[np.int64]:
        """The keys of all images in one of `orders.ORDERS`, rising. Raises UsageError for no order."""
        with self._database.reading() as connection:
            return orders.ordered(connection, by)

    def several_places(self, keys: Sequence[int]) -> dict[int, list[SeenAt]]:
        """The files in which images are at present, of those that are in several places."""
        with self._database.reading() as connection:
            return sightings.several(connection, keys)

    def versions(self, kind: str) -> dict[str, list[str]]:
        """The versions of a feature in use here, each with the decoders it was computed after."""
        found: dict[str, list[str]] = {}
        with self._database.reading() as connection:
            for version, decoder in connection.execute(_VERSIONS, {"of_kind": kind}):
                found.setdefault(version, []).append(decoder)
        return found

    def forget_unused_versions(self) -> None:
        """Drop the versions that no feature has any more."""
        used = union(*(select(table.c.version_id).distinct() for table in kept.TABLES))
        with self._database.writing() as connection:
            connection.execute(delete(feature_versions).where(feature_versions.c.id.not_in(used)))

    def stale(self, kind: str, version: str) -> list[int]:
        """The keys of the images whose feature of this kind is missing, damaged or of another version."""
        table = kept.table_of(kind)
        good = (
            select(table.c.image_id)
            .join(feature_versions, feature_versions.c.id == table.c.version_id)
            .where(kept.of_kind(kind), feature_versions.c.version == version)
        )
        query = select(images.c.id).where(images.c.id.not_in(good))
        with self._database.reading() as connection:
            found = set(connection.execute(query).scalars())
            found.update(soundness.damaged_features(connection, kind))
        return sorted(found)

    # Adding and removing

    def add(
        self, new: Sequence[NewImage], version_of: Mapping[str, str], kept_bytes: Container[bytes] = ()
    ) -> list[tuple[int, bool]]:
        """Add images and the places they were met at; `version_of` is the version of each feature kind.

        Those whose digest is among `kept_bytes` were uploaded: they owe a file in the collection's directory.

        Returns, in the order given, each image's key and whether it was new. One that is known gains
        the place as a sighting.
        """
        moment = self._clock()
        results: list[tuple[int, bool]] = []
        fresh: dict[bytes, int] = {}
        image_rows: list[tuple[object, ...]] = []
        feature_rows: dict[str, list[kept.Row]] = {}
        sign_rows: list[tuple[object, ...]] = []
        places: list[tuple[int, Place]] = []
        version_ids: dict[tuple[str, str], int] = {}
        with self._database.writing() as connection:
            marks, covered = _marks(connection), digests.until(connection)
            recent = self._recent.at(connection, (covered, *marks))
            sealed = digests.sealed_keys(connection, [one.digest for one in new])
            last = marks.key
            for one in new:
                digest = one.digest
                key = sealed.get(digest) or recent.get(digest) or fresh.get(digest)
                results.append((last + 1 if key is None else key, key is None))
                if key is None:
                    key = last = fresh[digest] = last + 1
                    image_rows.append(image_values(one, key, moment))
                    if one.signs is not None:
                        sign_rows.append((key, json.dumps(one.signs.as_json())))
                    for kind, data in one.features.items():
                        source = (kind, one.decoder)
                        if source not in version_ids:
                            version_ids[source] = _version_id(
                                connection, kind, version_of[kind], one.decoder, moment
                            )
                        feature_rows.setdefault(kind, []).append((key, version_ids[source], data))
                if one.place is not None:
                    places.append((key, one.place))
            insert_rows(connection, images, with_crcs(image_rows))
            insert_rows(connection, signs, with_crcs(sign_rows))
            owing = {key for one, (key, _) in zip(new, results, strict=True) if one.digest in kept_bytes}
            there = set(connection.execute(_UPLOADED, {"values": list(owing)}).scalars()) if owing else set()
            insert_rows(connection, uploads, with_crcs([(key,) for key in sorted(owing - there)]))
            for kind, rows in feature_rows.items():
                kept.insert(connection, kind, rows)
            sightings.see(connection, places, moment)
            for one, (key, _) in zip(new, results, strict=True):
                if one.fields:
                    fields.put(connection, [key], one.fields)
            if any(one.fields for one in new):
                sightings.note_change(connection, sightings.last_change(connection) + 1)
            if digests.is_due(covered, last, self._sizes.digests):
                digests.seal(connection, last)
                covered = last
        self._recent.go_on((covered, last, marks.removal), fresh)
        return results

    def settle(self) -> None:
        """Write what makes the next start quicker, where there is enough of it."""
        with self._database.writing() as connection:
            key = _marks(connection).key
            if key - digests.until(connection) >= self._sizes.settle:
                digests.seal(connection, key)

    def replace_features(self, kind: str, version: str, rows: Sequence[tuple[int, str, bytes]]) -> None:
        """Put (key, decoder, data) in the place of what these images had of this kind.

        Images that have been removed meanwhile are passed over.
        """
        moment = self._clock()
        with self._database.writing() as connection:
            fresh: list[kept.Row] = []
            for chunk in batched(rows, CHUNK):
                keys = [key for key, _, _ in chunk]
                kept.remove(connection, kind, keys)
                there = set(connection.execute(_THERE, {"values": keys}).scalars())
                for key, decoder, data in chunk:
                    if key in there:
                        fresh.append((key, _version_id(connection, kind, version, decoder, moment), data))
            kept.insert(connection, kind, fresh)

    def set_fields(self, keys: Sequence[int], new: Mapping[str, FieldValue | None]) -> int:
        """Give images fields, or with None take them away; gives how many images there were.

        Raises UsageError for a name or value that none can have, or too many fields.
        """
        with self._database.writing() as connection:
            found = fields.put(connection, keys, new)
            sightings.note_change(connection, sightings.last_change(connection) + 1)
        return found

    def document(self, name: str) -> Any:
        """The JSON value kept under that name, None when there is none; raises CollectionDamaged."""
        with self._database.reading() as connection:
            return documents.read(connection, name)

    def keep_document(self, name: str, value: Any) -> bool:
        """Keep a JSON value under a name, or with None forget it; gives whether there was one before."""
        with self._database.writing() as connection:
            return documents.put(connection, name, value)

    def remove(self, keys: Sequence[int]) -> int:
        """Remove images with all that hangs on them; returns how many there were."""
        removed = 0
        with self._database.writing() as connection:
            last = _marks(connection).removal
            for chunk in batched(keys, CHUNK):
                existing = list(connection.execute(_THERE, {"values": chunk}).scalars())
                if existing:
                    digests.forget(connection, existing)
                    sightings.before_removal(connection, existing)
                    numbered: list[tuple[object, ...]] = list(enumerate(existing, last + removed + 1))
                    insert_rows(connection, removals, with_crcs(numbered))
                    connection.execute(_REMOVE, {"values": existing})
                removed += len(existing)
        return removed

    # Files seen before

    def unchanged(self, files: Sequence[tuple[str, FileStamp]], reader: str) -> dict[str, bytes | Refusal]:
        """Of these files, those known by path, size and time: their digest, or why they were refused.

        A refusal counts only when the same `reader` (program, decoders, limits) made it. Sightings of
        the files found are stamped as seen now.
        """
        with self._database.reading() as connection:
            found, seen, shared = refusals.unchanged(connection, files, reader)
        if seen:
            with self._database.writing() as connection:
                sightings.mark_seen(connection, seen, self._clock())
                sightings.settle(connection, shared)
        return found

    def refuse(self, rows: Sequence[Refusal]) -> None:
        """Remember files that gave no picture; images seen there before they changed are there no more."""
        if rows:
            with self._database.writing() as connection:
                refusals.refuse(connection, rows, self._clock())

    def present_under(self, prefix: str) -> Iterator[SeenAt]:
        """The sightings not gone whose uri is `prefix` or lies below it."""
        prefix = storable(prefix)
        if not prefix.endswith("/"):
            with self._database.reading() as connection:
                found = sightings.present_at(connection, prefix)
            yield from found
        after = ("", 0, "")
        while True:
            with self._database.reading() as connection:
                found = sightings.present_below(connection, prefix.rstrip("/") + "/", after, self._sizes.page)
            if not found:
                return
            yield from found
            last = (found[-1].uri, found[-1].key, found[-1].page or "")
            if last <= after:
                raise CollectionDamaged("The catalog's sightings are in disorder. Run: wherefrom check")
            after = last

    def sightings_from(
        self, prefix: str, after: tuple[str, int, str], limit: int
    ) -> list[tuple[int, bytes, Sighting]]:
        """(image key, digest, sighting) of the next sightings whose uri begins with `prefix`, gone or not.

        They come in order of uri, key and page; `after` is those of the last one read, ("", 0, "") to begin
        with.
        """
        behind = (storable(after[0]), after[1], storable(after[2]))
        with self._database.reading() as connection:
            rows = sightings.seen_from(connection, storable(prefix), behind, limit)
            keys = {row.image_id for row in rows}
            known: dict[int, bytes] = {}
            for chunk in batched(keys, CHUNK):
                known.update((row.id, row.digest) for row in connection.execute(_IMAGES, {"values": chunk}))
        here = [row for row in rows if row.image_id in known]
        return [(row.image_id, known[row.image_id], sighting_of(row)) for row in here]

    def last_change(self) -> int:
        """The number of the last change of a sighting or field."""
        with self._database.reading() as connection:
            return sightings.last_change(connection)

    def sightings_changed(self, number: int, key: int, limit: int) -> list[tuple[int, int]]:
        """The next (change, image key) of sightings that changed, behind those given."""
        with self._database.reading() as connection:
            return [(row[0], row[1]) for row in sightings.changed_after(connection, number, key, limit)]

    def keys_after(self, key: int, limit: int) -> list[int]:
        """The keys of the next `limit` images, in the order in which they were added."""
        query = select(images.c.id).where(images.c.id > key).order_by(images.c.id).limit(limit)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def total_bytes(self) -> int:
        """The sizes of the images' files, in sum."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.sum(images.c.bytes), 0))).scalar_one())

    def mark_gone(self, places: Sequence[SeenAt]) -> None:
        """Remember that images are no longer at places."""
        if places:
            with self._database.writing() as connection:
                sightings.mark_gone(connection, places, self._clock())

    def uploaded(self) -> Iterator[tuple[int, bytes]]:
        """(key, digest) of the images whose bytes are kept in the collection's directory, in order of key."""
        query = select(images.c.id, images.c.digest).join(uploads, uploads.c.image_id == images.c.id)
        query, last = query.order_by(images.c.id).limit(CHUNK), 0
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(query.where(images.c.id > last)).all()
            if not rows:
                return
            yield from ((row[0], row[1]) for row in rows)
            last = rows[-1][0]

    # Damage

    def damage(self, kinds: Sequence[str]) -> Iterator[str]:
        """What is wrong with the catalog itself, a sentence each; every image owes features of `kinds`."""
        with self._database.reading() as connection:
            yield from soundness.damage(connection, kinds)

    def copy(self, directory: Path, progress: OnPages | None = None) -> Copied:
        """Copy the catalog and what was uploaded to a directory, as they are now: see `copying`."""
        return copy_collection(self._database, directory, progress)

    def repair(self) -> None:
        """Put right what the rest of the catalog tells, or what is only a note.

        That is SQLite's own indexes, refusals, documents, and features that belong to nothing.
        """
        with self._database.writing() as connection:
            soundness.repair(connection)


def _marks(connection: Connection) -> Marks:
    here, removed, removal = connection.execute(_MARKS).one()
    return Marks(max(here, removed), removal)


def _version_id(connection: Connection, kind: str, version: str, decoder: str, moment: int) -> int:
    query = select(feature_versions.c.id).filter_by(kind=kind, version=version, decoder=decoder)
    known = connection.execute(query).scalar()
    if known is None:
        highest = connection.execute(select(func.max(feature_versions.c.id))).scalar()
        known = (highest or 0) + 1
        insert_rows(connection, feature_versions, with_crcs([(known, kind, version, decoder, moment)]))
    return int(known)
