"""API keys: made once, shown once, kept as hashes in a small SQLite file that only its owner can read.

A key reads `wherefrom_PREFIX_SECRET`. The secret is 256 random bits, so that a plain SHA-256 of it is as hard
to turn back as any slow hash, and comparing costs nothing. The prefix finds the row and names the key in
lists and logs. Keys that were revoked stay as rows: once a server has had keys, revoking the last one does
not open it to everybody. Nor does losing the file: a mark beside it (`mark_of`) says that keys were made, and
a file without keys locks as well. The file appears whole, with its first key in it, or not at all.

`Keys` is the file, for whoever makes and revokes keys; `watch.py` is how a running server knows them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    NullPool,
    Row,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError

from wherefrom.errors import CollectionError, NotFound, UsageError
from wherefrom.former import OLD_KEY_MARK
from wherefrom.records import iso, now

FILE_NAME = "keys.db"
"""Where keys are kept unless told otherwise, in the directory of the first collection served."""

_MARK = "wherefrom"
_FORM = 1  # of the file
_BUSY_SECONDS = 5.0
_NAME_CHARACTERS = 100
_MOST_IN_WINDOW = 100_000  # requests that a rate may allow: each is remembered until its window has passed

_keys = Table(
    "keys",
    MetaData(),
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scope", String, nullable=False),
    Column("rate", String),
    Column("created", Integer, nullable=False),
    Column("expires", Integer),
    Column("revoked", Integer),
    Column("last_used", Integer),
)


class Scope(StrEnum):
    """What a key allows; each includes those before it."""

    SEARCH = "search"
    ADD = "add"
    ADMIN = "admin"

    def includes(self, other: Scope) -> bool:
        """Whether a key of this scope may do what needs the other."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in any window of so many seconds."""

    requests: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """From `100/minute`, `5/s`, `1000 per day`; raises UsageError for what is no rate."""
        units = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60}
        units |= {"h": 3600, "hour": 3600, "d": 86_400, "day": 86_400}
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:/|per)\s*([a-z]+)\s*", text.lower())
        if match is None or match[2] not in units:
            raise UsageError(f"A rate reads 100/minute, by second, minute, hour or day, not {text!r}.")
        if not 1 <= int(match[1]) <= _MOST_IN_WINDOW:
            raise UsageError(f"A rate allows 1 to {_MOST_IN_WINDOW:,} requests, not {match[1]}.")
        return cls(int(match[1]), units[match[2]])

    def __str__(self) -> str:
        units = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}
        return f"{self.requests}/{units.get(self.seconds, f'{self.seconds} seconds')}"


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; never the key itself. Times are microseconds since 1970 UTC."""

    id: str
    name: str
    digest: bytes
    scope: Scope
    rate: Rate | None
    created: int
    expires: int | None
    revoked: int | None
    last_used: int | None

    def state(self, moment: int) -> str:
        """`live`, `expired` or `revoked` at a moment."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= moment else "live"

    def as_json(self) -> dict[str, object]:
        """The key in the shape that all faces share."""
        return {
            "id": self.id,
            "name": self.name,
            "scope": self.scope.value,
            "rate": None if self.rate is None else str(self.rate),
            "state": self.state(now()),
            "created": iso(self.created),
            "expires": iso(self.expires),
            "revoked": iso(self.revoked),
            "last_used": iso(self.last_used),
        }


class Keys:
    """The file of keys. Each call is a transaction of its own; several processes may work on it at once."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the file. Where there is none and `create`, the first key makes it, readable by its owner.

        Raises NotFound when there is none and not `create`, CollectionError when it cannot be used: among
        other reasons because others than its owner may write to it, and so give themselves keys.
        """
        self.path = path
        try:
            mode = path.stat().st_mode if path.exists() or not create else 0
        except FileNotFoundError:
            raise NotFound(
                f"There are no keys at {path}. Make one with: wherefrom keys create NAME"
            ) from None
        except OSError as error:
            raise CollectionError(f"The keys at {path} cannot be opened ({error.strerror}).") from error
        if mode & 0o022:
            raise CollectionError(f"Others may write to the keys at {path}. Run: chmod 600 {path}")
        self._engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)

        @event.listens_for(self._engine, "begin")
        def begin(connection: Connection) -> None:
            # Read and write under one lock: a name cannot be given twice at the same moment.
            connection.exec_driver_sql("BEGIN IMMEDIATE" if create else "BEGIN")

        self._writes = create
        if create and mode:
            self._make()

    @classmethod
    def at(cls, path: Path) -> Keys:
        """The file opened to change what is in it; raises what the class raises without `create`."""
        cls(path)
        return cls(path, create=True)

    def create(
        self, name: str, scope: Scope, *, expires: int | None = None, rate: Rate | None = None
    ) -> tuple[str, Key]:
        """Make a key; gives its text, which is nowhere else and never shown again, and what is kept of it.

        Raises UsageError for a name of no use, or one that a live key has.
        """
        name = " ".join(name.split())
        if not name or len(name) > _NAME_CHARACTERS or not name.isprintable():
            raise UsageError(f"A key's name is 1 to {_NAME_CHARACTERS} characters that can be printed.")
        made = None if self.path.exists() else self._first(name, scope, expires, rate)
        return made or self._insert(name, scope, expires, rate)

    def _first(
        self, name: str, scope: Scope, expires: int | None, rate: Rate | None
    ) -> tuple[str, Key] | None:
        """Make the file with its first key in it; None where somebody else has made it meanwhile."""
        draft = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.draft")
        try:
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
            made = Keys(draft, create=True)._insert(name, scope, expires, rate)
            leave_mark(self.path)
            try:
                os.link(draft, self.path)
            except FileExistsError:
                return None
            except OSError:  # a file system without links
                draft.rename(self.path)
        except OSError as error:
            raise CollectionError(f"The keys at {self.path} cannot be made ({error.strerror}).") from error
        finally:
            draft.unlink(missing_ok=True)
        return made

    def _insert(self, name: str, scope: Scope, expires: int | None, rate: Rate | None) -> tuple[str, Key]:
        with self._transaction() as connection:
            known = self._read(connection)
            if any(key.name == name and key.state(now()) == "live" for key in known.values()):
                raise UsageError(f"There is a key named {name!r}: revoke it first, or choose another name.")
            prefix = secrets.token_hex(4)
            while prefix in known:
                prefix = secrets.token_hex(4)
            secret = secrets.token_urlsafe(32)
            key = Key(prefix, name, _digest(secret), scope, rate, now(), expires, None, None)
            row = {column.name: getattr(key, column.name) for column in _keys.columns}
            changes = {"scope": scope.value, "rate": None if rate is None else str(rate)}
            connection.execute(insert(_keys).values(row | changes))
        return f"{_MARK}_{prefix}_{secret}", key

    def every(self) -> list[Key]:
        """Every key that there ever was, oldest first."""
        if not self.path.exists() or not self.path.stat().st_size:
            return []
        with self._transaction() as connection:
            return sorted(self._read(connection).values(), key=lambda key: (key.created, key.id))

    def revoke(self, name_or_id: str) -> Key:
        """Take a key back, by id or by name, for good; servers that run know it within a second.

        Raises NotFound when no key that is not revoked yet has that id or name.
        """
        with self._transaction() as connection:
            there = [key for key in self._read(connection).values() if key.revoked is None]
            found = [key for key in there if key.id == name_or_id]
            found = found or [key for key in there if key.name == name_or_id]
            if not found:
                raise NotFound(f"There is no key {name_or_id!r} to revoke. See: wherefrom keys list")
            # Of one name the live one comes last: those before it have expired.
            key = max(found, key=lambda key: (key.state(now()) == "live", key.created))
            connection.execute(update(_keys).where(_keys.c.id == key.id).values(revoked=now()))
            return self._read(connection)[key.id]

    def used(self, moments: Mapping[str, int]) -> None:
        """Note when keys were last used, by id."""
        with self._transaction() as connection:
            for name, moment in moments.items():
                connection.execute(update(_keys).where(_keys.c.id == name).values(last_used=moment))

    def _make(self) -> None:
        with self._transaction() as connection:
            form = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if form not in (0, _FORM):
                raise CollectionError(f"{self.path} was written by a later version of Wherefrom; upgrade.")
            _keys.create(connection, checkfirst=True)
            connection.exec_driver_sql(f"PRAGMA user_version = {_FORM}")

    def _connect(self) -> sqlite3.Connection:
        how = "rw" if self._writes else "ro"
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={how}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DatabaseError as error:
            raise CollectionError(f"The keys at {self.path} cannot be used ({error.orig}).") from error

    def _read(self, connection: Connection) -> dict[str, Key]:
        return {row.id: _key_of(row) for row in connection.execute(select(_keys))}


def mark_of(path: Path) -> Path:
    """The mark beside a file of keys that says that there were keys, should the file be lost."""
    return path.with_name(path.name + ".locked")


def leave_mark(path: Path) -> None:
    """Leave the mark of a file of keys. Raises OSError where that cannot be done."""
    if not mark_of(path).exists():
        mark_of(path).write_text(
            f"Keys were made here, so the service asks for one even where {path.name} is lost.\n"
            f"To open it to this computer without keys, delete {path.name} and this file.\n"
        )


def parts_of(text: str) -> tuple[str, bytes] | None:
    """The id in a key's text and the digest of its secret; None for what cannot be a key."""
    mark, _, rest = text.strip().partition("_")
    prefix, _, secret = rest.partition("_")
    if (
        mark not in (_MARK, OLD_KEY_MARK)
        or not re.fullmatch("[0-9a-f]{8}", prefix)
        or not 40 <= len(secret) <= 60
    ):
        return None
    return prefix, _digest(secret)


def is_key(key: Key | None, digest: bytes) -> bool:
    """Whether a digest is that of a key, in a time that tells nothing; never for no key."""
    return hmac.compare_digest(bytes(32) if key is None else key.digest, digest) and key is not None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _key_of(row: Row[tuple[object, ...]]) -> Key:
    values = {column.name: getattr(row, column.name) for column in _keys.columns}
    rate = values.pop("rate")
    scope = Scope(values.pop("scope"))
    return Key(**values, scope=scope, rate=None if rate is None else Rate.parse(rate))
