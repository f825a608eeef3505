"""The catalog's SQLite database: connections, transactions, and SQLite's errors as sentences.

Write-ahead logging lets many processes read while one writes. Connections that read and the one that
writes are kept apart, so that the writer's cache of pages stays warm. Nothing is memory-mapped: a full
disk or a damaged file is an error, never a signal.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DatabaseError

from wherefrom.engine.lock import same_file
from wherefrom.engine.patience import is_over, present
from wherefrom.errors import CollectionDamaged, CollectionError, MachineFault, UsageError

CURE = "Restore the catalog from a backup, or index the pictures into a new collection."
"""What to do about damage of the catalog itself."""

_BUSY_SECONDS = 60.0
_READER_CACHE_KB = 16_384
_WRITER_CACHE_KB = 262_144
_PAGE_BYTES = 16_384
"""Keypoints take three kilobytes an image: in smaller pages a quarter of the room would lie empty."""

_CHECKPOINT_PAGES = 4_096
"""Pages in the log, 64 MB, at which it is written back: a page that many commits changed is written once."""

_STEPS = 20_000
"""Of a statement, milliseconds, after which it is looked whether anybody still waits for it."""

_DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT}

_Stamp = tuple[int, int, int, bool]

_INHERITED: list[tuple[Engine, Engine]] = []
"""Connections of a parent process, which are kept so that they are not closed."""


class Database:
    """One SQLite file, read by any thread and written by one at a time.

    Where the directory may not be written to, the file is read as long as nobody writes to it from
    elsewhere, and along with whoever does.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Connect to nothing yet. Raises CollectionDamaged when the file is missing and not `create`."""
        self.path = path
        self._place = path.absolute()  # wherever the program goes
        self._known: os.stat_result | None = None  # the file that was opened
        self._create = create
        self._closed = False
        self._frozen: _Stamp | None = None  # the file when it was opened as one that does not change
        self._connect_anew()
        if not create:
            self._check_there()

    def close(self) -> None:
        """Let every connection go; the last one of all processes writes the log back."""
        self._closed = True
        if self._pid == os.getpid():
            self._readers.dispose()
            self._writer.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on one consistent state.

        Raises CollectionDamaged or CollectionError when SQLite cannot read or the file is another by now,
        UsageError once closed, Busy when the patience of whoever reads is over (`patience.py`).
        """
        self._check_open()
        self.check_place()
        if self._frozen is not None and self._frozen != self._stamp():
            self._thaw()
        try:
            with self._readers.connect() as connection, connection.begin():
                yield connection
        except (DatabaseError, UnicodeDecodeError) as error:
            if _code_of(error) == sqlite3.SQLITE_INTERRUPT:
                patience = present()
                raise (KeyboardInterrupt if patience is None else patience.error) from error
            raise self._sentence(error, "read") from error
        if self._frozen is not None and self._frozen != self._stamp():
            raise CollectionError(f"{self.path} was changed while it was being read; try again.")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose changes are committed together when the block ends, or not at all.

        Raises CollectionError when they could not be written, CollectionDamaged when SQLite finds
        damage, UsageError once closed.
        """
        self._check_open()
        with self._writing:
            if self._frozen is not None:
                self._thaw()
            try:
                with self._writer.connect() as connection, connection.begin():
                    yield connection
            except (DatabaseError, UnicodeDecodeError) as error:
                raise self._sentence(error, "written") from error

    def check_place(self) -> None:
        """Raise CollectionError when the file that was opened is not the one at its path any more.

        SQLite would go on with what nobody else can see.
        """
        if self._known is None:
            with suppress(OSError):
                self._known = self._place.stat()
        elif not same_file(self._known, self._place):
            raise CollectionError(
                f"{self.path.parent} was deleted, moved or made anew since it was opened. "
                f"Open it again, and start a service anew."
            )

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("This collection has been closed; open it again.")
        if self._pid != os.getpid():
            # SQLite's connections are of one process: a child that was forked closes none, and makes its own.
            _INHERITED.append((self._readers, self._writer))
            self._connect_anew()

    def _connect_anew(self) -> None:
        self._pid = os.getpid()
        self._writing = threading.Lock()
        self._readers = self._pool(self._connect)
        self._writer = self._pool(self._connect_writer)

    def _check_there(self) -> None:
        try:
            self._known = self._place.stat()
        except FileNotFoundError:
            raise CollectionDamaged(f"{self.path} is missing. {CURE}") from None
        except OSError as error:
            raise CollectionError(f"{self.path} cannot be opened: {error.strerror}.") from error
        if self._known.st_size == 0:
            raise CollectionDamaged(f"{self.path} is empty. {CURE}")

    def _pool(self, connect: object) -> Engine:
        # No limit: a thread that searches holds a connection for moments, and never waits for another's.
        engine = create_engine(
            "sqlite://",
            creator=connect,
            poolclass=QueuePool,
            pool_size=4,
            max_overflow=-1,
            pool_use_lifo=True,
        )

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            # A writer takes its lock at once: a reader that turned writer could find the lock taken.
            connection.exec_driver_sql("BEGIN" if engine is self._readers else "BEGIN IMMEDIATE")

        return engine

    def _connect(self) -> sqlite3.Connection:
        connection = self._opened("mode=rw")
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.OperationalError as error:
            connection.close()
            code = error.sqlite_errorcode & 0xFF
            if code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or self._log_size():
                raise
            # A log cannot be made here and there is none: nobody writes, and the file does not change.
            # Whether that is still so is looked at before and after each read.
            self._frozen = self._stamp()
            connection = self._opened("mode=ro&immutable=1")
        except BaseException:
            connection.close()
            raise
        _set(connection, cache_size=-_READER_CACHE_KB, temp_store="MEMORY")
        # A function of Python's own, in which Ctrl-C is noticed too: both end the statement.
        connection.set_progress_handler(is_over, _STEPS)
        return connection

    def _connect_writer(self) -> sqlite3.Connection:
        connection = self._opened("mode=rwc" if self._create else "mode=rw")
        try:
            _set(
                connection,
                page_size=_PAGE_BYTES,  # of a new file; others keep theirs
                journal_mode="WAL",
                synchronous="FULL",
                fullfsync="ON",  # which only macOS needs
                foreign_keys="ON",
                temp_store="MEMORY",
                cache_size=-_WRITER_CACHE_KB,
                wal_autocheckpoint=_CHECKPOINT_PAGES,
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened(self, how: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self._place.as_uri()}?{how}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,  # transactions are begun by hand, not by the driver
            check_same_thread=False,
        )

    def _log_size(self) -> int:
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    def _stamp(self) -> _Stamp:
        status = self.path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns, self._log_size() > 0

    def _thaw(self) -> None:
        self._frozen = None
        self._readers.dispose()

    def _sentence(
        self, error: DatabaseError | UnicodeDecodeError, what: str
    ) -> CollectionError | MachineFault:
        original = error.orig if isinstance(error, DatabaseError) else error
        if isinstance(original, sqlite3.ProgrammingError):
            raise error  # not the file's fault
        code = _code_of(error)
        if code in _DAMAGED:
            return CollectionDamaged(
                f"{self.path} is damaged ({original}). To see how far, run: wherefrom check. {CURE}"
            )
        if _files_ran_out():
            return MachineFault(f"{self.path} cannot be opened now: too many files are open. {_MORE_FILES}")
        if what == "read":
            if self._log_size():
                return CollectionError(
                    f"{self.path} cannot be read ({original}): its log has to be read first, and that needs "
                    f"a folder that may be written to. Open the collection where it may be, once."
                )
            return CollectionError(
                f"{self.path} cannot be read ({original}). Check its permissions and those of its folder, "
                f"and that the disk is sound."
            )
        return CollectionError(
            f"{self.path} could not be written ({original}). Nothing that was acknowledged is lost; "
            f"check that the disk has room and may be written to, then run the same command again."
        )


_MORE_FILES = "Allow more with: ulimit -n 1024"


def _files_ran_out() -> bool:
    """Whether this process may open no further file: SQLite says no more than that it could not."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False


def _code_of(error: DatabaseError | UnicodeDecodeError) -> int:
    # SQLite quotes what is damaged, and the driver cannot always say that.
    original = error.orig if isinstance(error, DatabaseError) else error
    return int(getattr(original, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)) & 0xFF


def _set(connection: sqlite3.Connection, **pragmas: object) -> None:
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name}={value}")
