"""The catalog's tables as SQLAlchemy knows them; `migrations` is what makes them."""

from __future__ import annotations

from sqlalchemy import REAL, Column, Dialect, Integer, LargeBinary, MetaData, String, Table


class Blob(LargeBinary):
    """Bytes as the driver gives and takes them.

    SQLAlchemy's own type would make bytes of whatever it finds: of a number, which damage may turn
    them into, that many zeros.
    """

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> None:
        """Nothing is done to what goes in."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Nothing is done to what comes out."""


metadata = MetaData()

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", Blob, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("quality", Integer, nullable=False),
    Column("credit", String),
    Column("added", Integer, nullable=False),
    Column("crc", Integer, nullable=False),
)

digests = Table(
    "digests",
    metadata,
    Column("prefix", Blob, primary_key=True),
    Column("image_id", Integer, primary_key=True),
)

digests_until = Table(
    "digests_until",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Integer, nullable=False),
)

sightings = Table(
    "sightings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", Integer, nullable=False),
    Column("uri", String, nullable=False),
    Column("page", String),
    Column("title", String),
    Column("alt", String),
    Column("size", Integer),
    Column("mtime_ns", Integer),
    Column("first_seen", Integer, nullable=False),
    Column("last_seen", Integer, nullable=False),
    Column("gone", Integer),
    Column("crc", Integer, nullable=False),
    Column("times_sum", Integer, nullable=False),
    Column("caption", String),
    Column("how", String),
    Column("published", String),
    Column("missing", Integer),
    Column("changed", Integer, nullable=False),
)

feature_versions = Table(
    "feature_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("version", String, nullable=False),
    Column("decoder", String, nullable=False),
    Column("first_used", Integer, nullable=False),
    Column("crc", Integer, nullable=False),
)

features = Table(
    "features",
    metadata,
    Column("kind", String, primary_key=True),
    Column("image_id", Integer, primary_key=True),
    Column("version_id", Integer, nullable=False),
    Column("data", Blob, nullable=False),
    Column("crc", Integer, nullable=False),
)


def _of_large(name: str) -> Table:
    """A table for one kind of feature that is large: one row an image."""
    return Table(
        name,
        metadata,
        Column("image_id", Integer, primary_key=True),
        Column("version_id", Integer, nullable=False),
        Column("data", Blob, nullable=False),
        Column("crc", Integer, nullable=False),
    )


keypoints = _of_large("keypoints")

embeddings = _of_large("embeddings")

TABLE_OF = {"keypoints": keypoints, "embedding": embeddings}
"""Where features of a kind are kept: large ones in a table of their own, so that reading small ones passes
them by; the rest in `features`."""

fields = Table(
    "fields",
    metadata,
    Column("name", String, primary_key=True),
    Column("image_id", Integer, primary_key=True),
    Column("text", String),
    Column("number", REAL),
    Column("crc", Integer, nullable=False),
)

signs = Table(
    "signs",
    metadata,
    Column("image_id", Integer, primary_key=True),
    Column("data", String, nullable=False),
    Column("crc", Integer, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("name", String, primary_key=True),
    Column("data", String, nullable=False),
    Column("crc", Integer, nullable=False),
)

removals = Table(
    "removals",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("image_id", Integer, nullable=False),
    Column("crc", Integer, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("image_id", Integer, primary_key=True),
    Column("crc", Integer, nullable=False),
)

refusals = Table(
    "refusals",
    metadata,
    Column("uri", String, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("code", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("reader", String, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("crc", Integer, nullable=False),
)
