"""The catalog's tables as SQLAlchemy knows them; `migrations` is what makes them."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("quality", Integer, nullable=False),
    Column("credit", String),
    Column("added", Integer, nullable=False),
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
)

feature_versions = Table(
    "feature_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("version", String, nullable=False),
    Column("decoder", String, nullable=False),
    Column("first_used", Integer, nullable=False),
)

features = Table(
    "features",
    metadata,
    Column("kind", String, primary_key=True),
    Column("image_id", Integer, primary_key=True),
    Column("version_id", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

removals = Table(
    "removals",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("image_id", Integer, nullable=False),
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
)
