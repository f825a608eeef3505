"""The catalog's schema, as an ordered list of steps that a database goes through once each.

A step has a name, is never changed once released, and runs in the transaction that records it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, text

from wherefrom.engine.sums import crcs
from wherefrom.errors import CollectionDamaged, CollectionError, CollectionTooNew

Step = Callable[[Connection], None]


def _statements(*sql: str) -> Step:
    def run(connection: Connection) -> None:
        for statement in sql:
            connection.execute(text(statement))

    return run


def _uploads(connection: Connection) -> None:
    """Images whose bytes are kept in the collection's directory, each of which owes a file there.

    Of those that were uploaded before, the ones that have their file.
    """
    from wherefrom.engine.originals import Originals, digests_in
    from wherefrom.engine.sums import with_crcs

    connection.execute(
        text(
            """CREATE TABLE uploads (
                image_id INTEGER PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,
                crc INTEGER NOT NULL)"""
        )
    )
    path = next(row[2] for row in connection.exec_driver_sql("PRAGMA database_list") if row[1] == "main")
    for folder in Originals(Path(path).parent).folders():
        for digest in digests_in(folder):
            sql = "SELECT id FROM images WHERE digest = ?"
            rows = [tuple(row) for row in connection.exec_driver_sql(sql, (digest,))]
            for row in with_crcs(rows):
                connection.exec_driver_sql("INSERT INTO uploads (image_id, crc) VALUES (?, ?)", row)


def _sightings_by_page(connection: Connection) -> None:
    """A sighting is of an image at a uri on a page, and says more of it.

    What its checksum covers has grown: rows that were sound get a new one, those that were not stay so.
    """
    _statements(
        "ALTER TABLE sightings ADD COLUMN caption TEXT",
        "ALTER TABLE sightings ADD COLUMN how TEXT",
        "ALTER TABLE sightings ADD COLUMN published TEXT",
        # When somebody looked and did not find it; `gone` also follows from what else was seen at the uri.
        "ALTER TABLE sightings ADD COLUMN missing INTEGER",
        # The number of the last change of it that matters to whoever follows the collection.
        "ALTER TABLE sightings ADD COLUMN changed INTEGER NOT NULL DEFAULT 0",
        "DROP INDEX sightings_by_uri",
        "CREATE UNIQUE INDEX sightings_by_uri ON sightings (uri, image_id, coalesce(page, ''))",
        "CREATE INDEX sightings_by_change ON sightings (changed, image_id)",
        "UPDATE sightings SET missing = gone, times_sum = times_sum + 11 * coalesce(gone, 0)",
    )(connection)
    before = "image_id, uri, page, title, alt, size, mtime_ns"
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")  # whatever it has become
    try:
        _sum_anew(connection, before)
    finally:
        driver.text_factory = str


def _sum_anew(connection: Connection, before: str) -> None:
    after = 0
    while True:
        sql = f"SELECT id, crc, {before} FROM sightings WHERE id > ? ORDER BY id LIMIT 10000"  # noqa: S608
        rows = [tuple(row) for row in connection.exec_driver_sql(sql, (after,))]
        if not rows:
            return
        old = crcs([row[2:] for row in rows])
        new = crcs([(*row[2:], None, None, None) for row in rows])
        fresh = [(crc, row[0]) for row, was, crc in zip(rows, old, new, strict=True) if row[1] == was]
        if fresh:
            connection.exec_driver_sql("UPDATE sightings SET crc = ? WHERE id = ?", fresh)
        after = rows[-1][0]


STEPS: list[tuple[str, Step]] = [
    (
        "0001-images-sightings-features",
        _statements(
            # Ids rise by one and are never given twice (see `removals`), so that an index can say how
            # far it has read. SQLite has no checksums: `crc` (see `sums`) tells a damaged row.
            """CREATE TABLE images (
                id INTEGER PRIMARY KEY,
                digest BLOB NOT NULL,
                width INTEGER NOT NULL, height INTEGER NOT NULL,
                format TEXT NOT NULL, bytes INTEGER NOT NULL, frames INTEGER NOT NULL,
                quality INTEGER NOT NULL, credit TEXT, added INTEGER NOT NULL, crc INTEGER NOT NULL)""",
            # Images by digest, up to a key (see `digests`).
            """CREATE TABLE digests (
                prefix BLOB NOT NULL, image_id INTEGER NOT NULL,
                PRIMARY KEY (prefix, image_id)) WITHOUT ROWID""",
            "CREATE TABLE digests_until (id INTEGER PRIMARY KEY, key INTEGER NOT NULL)",
            "INSERT INTO digests_until (id, key) VALUES (1, 0)",
            """CREATE TABLE sightings (
                id INTEGER PRIMARY KEY,
                image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
                uri TEXT NOT NULL, page TEXT, title TEXT, alt TEXT,
                size INTEGER, mtime_ns INTEGER,
                first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, gone INTEGER,
                crc INTEGER NOT NULL, times_sum INTEGER NOT NULL)""",
            "CREATE UNIQUE INDEX sightings_by_uri ON sightings (uri, image_id)",
            "CREATE INDEX sightings_by_image ON sightings (image_id)",
            """CREATE TABLE feature_versions (
                id INTEGER PRIMARY KEY,
                kind TEXT NOT NULL, version TEXT NOT NULL, decoder TEXT NOT NULL,
                first_used INTEGER NOT NULL, crc INTEGER NOT NULL, UNIQUE (kind, version, decoder))""",
            """CREATE TABLE features (
                kind TEXT NOT NULL,
                image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
                version_id INTEGER NOT NULL REFERENCES feature_versions(id),
                data BLOB NOT NULL, crc INTEGER NOT NULL,
                PRIMARY KEY (kind, image_id)) WITHOUT ROWID""",
            # Without it, removing an image looks through all features for those that hang on it.
            "CREATE INDEX features_by_image ON features (image_id)",
            # What was removed, in order, for good: indexes read on from the last number they know.
            """CREATE TABLE removals (
                seq INTEGER PRIMARY KEY, image_id INTEGER NOT NULL, crc INTEGER NOT NULL)""",
            "CREATE INDEX removals_by_image ON removals (image_id)",
            """CREATE TABLE refusals (
                uri TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
                code TEXT NOT NULL, reason TEXT NOT NULL, skipped INTEGER NOT NULL,
                reader TEXT NOT NULL, seen INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID""",
        ),
    ),
    (
        "0002-keypoints",
        _statements(
            # By row number: what is added comes last, and its pages are filled.
            """CREATE TABLE keypoints (
                image_id INTEGER PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,
                version_id INTEGER NOT NULL REFERENCES feature_versions(id),
                data BLOB NOT NULL, crc INTEGER NOT NULL)""",
        ),
    ),
    (
        "0003-fields",
        _statements(
            # By name first: a filter names a field, and reads what all images have of it.
            """CREATE TABLE fields (
                name TEXT NOT NULL,
                image_id INTEGER NOT NULL REFERENCES images(id) ON DELETE CASCADE,
                text TEXT, number REAL, crc INTEGER NOT NULL,
                PRIMARY KEY (name, image_id)) WITHOUT ROWID""",
            "CREATE INDEX fields_by_image ON fields (image_id)",
        ),
    ),
    (
        "0004-embeddings",
        _statements(
            """CREATE TABLE embeddings (
                image_id INTEGER PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,
                version_id INTEGER NOT NULL REFERENCES feature_versions(id),
                data BLOB NOT NULL, crc INTEGER NOT NULL)""",
        ),
    ),
    (
        "0005-documents",
        _statements(
            # What is known of the collection as a whole, as JSON by name.
            """CREATE TABLE documents (
                name TEXT PRIMARY KEY, data TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID""",
        ),
    ),
    (
        "0006-signs",
        _statements(
            # What files say of their own history, as JSON; images that were added before have none.
            """CREATE TABLE signs (
                image_id INTEGER PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,
                data TEXT NOT NULL, crc INTEGER NOT NULL)""",
        ),
    ),
    ("0007-uploads", _uploads),
    ("0008-sightings-by-page", _sightings_by_page),
]


def applied(connection: Connection) -> list[str]:
    """The names of the steps that a database has been through, in order."""
    known = connection.execute(
        text("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'migrations'")
    ).scalar_one()
    if not known:
        return []
    return list(connection.execute(text("SELECT name FROM migrations ORDER BY name")).scalars())


def is_current(connection: Connection) -> bool:
    """True when no step is owed.

    Raises CollectionError for a database of before the first release, CollectionTooNew when the database has
    been through all our steps and more, and CollectionDamaged when the names it gives are not such a list.
    """
    done, ours = applied(connection), [name for name, _ in STEPS]
    if done and done != ours:
        _check_age(connection)
    if done == ours[: len(done)]:
        return len(done) == len(ours)
    if done[: len(ours)] == ours:
        raise CollectionTooNew(
            f"A later version of Wherefrom wrote this collection (step {done[-1]}); upgrade Wherefrom."
        )
    raise CollectionDamaged(f"The catalog's list of migrations is damaged: {', '.join(map(repr, done))}.")


def _check_age(connection: Connection) -> None:
    columns = {row[1] for row in connection.exec_driver_sql("PRAGMA table_info(images)")}
    if columns and "crc" not in columns:
        raise CollectionError(
            "This collection was made by an early version, before the first release, and cannot be brought "
            "up to date. Index the pictures into a new collection."
        )


def migrate(connection: Connection, moment: int) -> None:
    """Run the steps that are owed, inside the caller's transaction."""
    if is_current(connection):
        return
    connection.execute(
        text("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied INTEGER NOT NULL)")
    )
    done = applied(connection)
    for name, step in STEPS:
        if name not in done:
            step(connection)
            connection.execute(
                text("INSERT INTO migrations (name, applied) VALUES (:name, :moment)"),
                {"name": name, "moment": moment},
            )
