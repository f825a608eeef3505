"""Whether the catalog is what was written: its structure, its schema, every row, and how many there are.

What is found is told as sentences, each with what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

from sqlalchemy import Connection, Table, create_engine, delete, func, select, text
from sqlalchemy.exc import DatabaseError

from wherefrom.engine import digests, kept, migrations
from wherefrom.engine.database import CURE
from wherefrom.engine.sums import COVERED, crcs, due_times_sum
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

_REBUILD = "Run: wherefrom rebuild"
_NAMED = 3  # damaged rows of a table that are named
_BATCH = 5_000

_IN_WORDS: dict[Table, tuple[str, str, str]] = {
    images: ("image number", "id", CURE),
    sightings: ("sighting number", "id", CURE),
    removals: ("removal number", "seq", CURE),
    feature_versions: ("feature version number", "id", CURE),
    features: ("the features of image number", "image_id", _REBUILD),
    keypoints: ("the keypoints of image number", "image_id", _REBUILD),
    embeddings: ("the embedding of image number", "image_id", _REBUILD),
    fields: ("a field of image number", "image_id", CURE),
    documents: ("the document", "name", _REBUILD),
    signs: ("the signs of image number", "image_id", _REBUILD),
    uploads: ("the upload of image number", "image_id", CURE),
    refusals: ("the refusal of", "uri", _REBUILD),
}


def damage(connection: Connection, kinds: Sequence[str]) -> Iterator[str]:
    """Everything that is wrong; each image owes features of these kinds."""
    parts: list[Callable[[Connection], Iterator[str]]] = [_schema, _structure]
    parts += [partial(_damaged_rows, table) for table in _IN_WORDS]
    parts += [_times, _counts, _digests, _versions, *(partial(_without_features, kind) for kind in kinds)]
    for part in parts:
        try:
            yield from part(connection)
        except DatabaseError as error:  # what cannot even be read; the other parts may say more
            yield f"catalog: {error.orig}. {CURE}"
        except UnicodeDecodeError as error:
            yield f"catalog: {error}. {CURE}"


def repair(connection: Connection) -> None:
    """Make SQLite's indexes anew where they are damaged, and drop refusals, documents, signs and
    features that are."""
    if not _intact(connection) and _tables_are_whole(connection):
        connection.execute(text("REINDEX"))
    if digests.are_wrong(connection, key := _highest_key(connection)):
        digests.derive(connection, key)
    for uri in [row[0] for row in _not_as_written(connection, refusals)]:
        connection.execute(delete(refusals).where(refusals.c.uri == uri))
    for name in [row[0] for row in _not_as_written(connection, documents)]:
        connection.execute(delete(documents).where(documents.c.name == name))
    for number in [row[0] for row in _not_as_written(connection, signs)]:
        connection.execute(delete(signs).where(signs.c.image_id == number))
    for table in kept.TABLES:
        places = [COVERED[table].index(column.name) for column in table.primary_key]
        for row in list(_not_as_written(connection, table)):
            here = zip(table.primary_key, places, strict=True)
            connection.execute(delete(table).where(*(column == row[place] for column, place in here)))


def _intact(connection: Connection) -> bool:
    try:
        return bool(connection.execute(text("PRAGMA integrity_check(1)")).scalar() == "ok")
    except DatabaseError:
        return False


def _tables_are_whole(connection: Connection) -> bool:
    """Whether what only a backup brings back is as it was written, so that all else can follow from it."""
    try:
        kept = [table for table, (_, _, cure) in _IN_WORDS.items() if cure == CURE]
        return not any(any(_not_as_written(connection, table)) for table in kept)
    except (DatabaseError, UnicodeDecodeError):
        return False


def damaged_features(connection: Connection, kind: str) -> list[int]:
    """The keys of the images whose features of this kind are not what was written."""
    table = kept.table_of(kind)
    key = COVERED[table].index("image_id")
    return [int(str(row[key])) for row in _not_as_written(connection, table) if key == 0 or row[0] == kind]


def _structure(connection: Connection) -> Iterator[str]:
    problems = [row[0] for row in connection.execute(text("PRAGMA integrity_check(20)")) if row[0] != "ok"]
    for problem in problems:
        index = "missing from index" in problem or "wrong # of entries in index" in problem
        yield f"catalog: {problem}. {_REBUILD if index and _tables_are_whole(connection) else CURE}"
    for table, row, *_ in connection.execute(text("PRAGMA foreign_key_check")).all():
        yield f"catalog: row {row} of {table} belongs to nothing. {CURE}"


def _schema(connection: Connection) -> Iterator[str]:
    there, due = _declared(connection), _as_made()
    for name in sorted(due.keys() | there.keys()):
        if there.get(name) != due.get(name):
            yield f"catalog: {name} is not declared as it was made. {CURE}"


def _declared(connection: Connection) -> dict[str, str | None]:
    rows = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master")).all()
    own = [row for row in rows if not str(row[1]).startswith("sqlite_stat")]
    return {f"{row[0]} {row[1]} of {row[2]}": row[3] for row in own}


@lru_cache(1)
def _as_made() -> dict[str, str | None]:
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            migrations.migrate(connection, 0)
            return _declared(connection)
    finally:
        engine.dispose()


def _damaged_rows(table: Table, connection: Connection) -> Iterator[str]:
    words, name, cure = _IN_WORDS[table]
    column = COVERED[table].index(name) if name in COVERED[table] else -1
    found = list(_not_as_written(connection, table))
    for row in found[:_NAMED]:
        yield f"catalog: {words} {row[column]} is not what was written. {cure}"
    if len(found) > _NAMED:
        yield f"catalog: {len(found) - _NAMED} more rows of {table.name} are not what was written. {cure}"


def _not_as_written(connection: Connection, table: Table) -> Iterator[Sequence[object]]:
    """The rows whose checksum is wrong: the values that it covers, then it, then the row's number if any."""
    # In plain SQL, so that no value is converted on the way, whatever it has become.
    last = "id" if "id" in table.columns else "crc"
    query = f"SELECT {', '.join(COVERED[table])}, crc, {last} FROM {table.name}"  # noqa: S608 - our own names
    width = len(COVERED[table])
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        result = connection.execute(text(query).execution_options(yield_per=_BATCH))
        for rows in result.partitions():
            for row, crc in zip(rows, crcs(tuple(row[:width]) for row in rows), strict=True):
                if row[width] != crc:
                    yield row
    finally:
        driver.text_factory = str


def _times(connection: Connection) -> Iterator[str]:
    query = select(func.count()).where(sightings.c.times_sum != due_times_sum())
    wrong = connection.execute(query).scalar_one()
    if wrong:
        yield f"catalog: the times of {wrong} sightings are not what was written. {CURE}"


def _counts(connection: Connection) -> Iterator[str]:
    there = connection.execute(select(func.count(images.c.id))).scalar_one()
    last = func.coalesce(func.max(removals.c.seq), 0)
    gone, due_gone = connection.execute(select(func.count(removals.c.seq), last)).one()
    if gone != due_gone:
        yield f"catalog: {gone} removals are there where {due_gone} are due. {CURE}"
    due = _highest_key(connection) - due_gone
    if there != due:
        yield f"catalog: {there} images are there where {due} are due. {CURE}"


def _digests(connection: Connection) -> Iterator[str]:
    if digests.are_wrong(connection, _highest_key(connection)):
        yield f"catalog: the index of digests is not what the images give. {_REBUILD}"
    shared = digests.shared(connection)
    if shared:
        yield f"catalog: {shared} digests belong to several images. {CURE}"


def _highest_key(connection: Connection) -> int:
    highest = [func.coalesce(func.max(column), 0) for column in (images.c.id, removals.c.image_id)]
    return max(int(connection.execute(select(one)).scalar_one()) for one in highest)


def _versions(connection: Connection) -> Iterator[str]:
    known = select(feature_versions.c.id)
    lost = 0
    for table in kept.TABLES:
        query = select(func.count()).select_from(table).where(table.c.version_id.not_in(known))
        lost += connection.execute(query).scalar_one()
    if lost:
        yield f"catalog: {lost} features are of no known version. {_REBUILD}"


def _without_features(kind: str, connection: Connection) -> Iterator[str]:
    having = select(kept.table_of(kind).c.image_id).where(kept.of_kind(kind))
    query = select(func.count()).select_from(images).where(images.c.id.not_in(having))
    without = connection.execute(query).scalar_one()
    if without:
        yield f"catalog: {without} images have no {kind} features. {_REBUILD}"
