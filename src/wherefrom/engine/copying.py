"""Copying a collection while it is read and written: the catalog as it was at one moment, and uploads.

Indexes are derived and left out: the copy makes its own when it is first opened. The marker, without which a
directory is no collection, is written last; until then a note says what the directory is, so that whatever
stops the copying leaves nothing that looks finished, or that a new collection would be made in.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from wherefrom.engine.base import Copied
from wherefrom.engine.database import Database
from wherefrom.engine.files import sync, sync_directory
from wherefrom.engine.marker import MARKER, marker_of, write_marker
from wherefrom.engine.originals import FOLDER as UPLOADS
from wherefrom.engine.originals import digest_of_name, holds
from wherefrom.errors import CollectionError, UsageError

if TYPE_CHECKING:
    from wherefrom.engine.base import OnPages

UNFINISHED = "UNFINISHED BACKUP.txt"
"""The note in a directory that a backup is being written to."""

_PAGES = 512  # of 16 kB, copied at a time: 8 MB, between which the copying can be stopped


def copy_collection(database: Database, target: Path, progress: OnPages | None = None) -> Copied:
    """Copy the collection whose catalog is `database` to `target`, which is made or is empty.

    What was committed before the call is in the copy; of what is committed meanwhile, nothing. Raises
    UsageError when there is something in `target` or it lies inside the collection, CollectionError when it
    could not be written.
    """
    source, target = database.path.parent.resolve(), Path(os.path.abspath(target)).resolve()
    if target == source or source in target.parents:
        raise UsageError(f"{target} is inside the collection: choose a directory outside of it.")
    try:
        _begin(target)
        images = _copy_catalog(database, target / database.path.name, progress)
        # After the catalog: an upload's file is there before its image is.
        files = list(_copy_files(source / UPLOADS, target / UPLOADS))
        damaged = tuple(str(path.relative_to(target)) for path in files if not _is_whole(path))
        _finish(source, target)
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    except sqlite3.Error as error:
        raise CollectionError(
            f"The catalog could not be copied to {target} ({error}). Check that the disk has room, "
            f"delete {target} and try again."
        ) from error
    except OSError as error:
        raise CollectionError(
            f"{error.filename or target} could not be copied ({error.strerror}). Check that the disk has "
            f"room and may be written to, delete {target} and try again."
        ) from error
    return Copied(images, len(files), size, damaged)


def _begin(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file: a backup goes to a directory that is new or empty.")
    if (target / UNFINISHED).exists() and not (target / MARKER).exists():
        raise UsageError(f"{target} holds a backup that was never finished: delete it and try again.")
    if target.exists() and any(target.iterdir()):
        raise UsageError(
            f"There is something in {target}: a backup goes to a directory that is new or empty."
        )
    target.mkdir(parents=True, exist_ok=True)
    (target / UNFINISHED).write_text(
        "A backup of a Wherefrom collection is being written here, or was stopped before its end.\n"
        "As long as this file is here without wherefrom.json, it is of no use and may be deleted.\n"
    )
    sync_directory(target)


def _copy_catalog(database: Database, target: Path, progress: OnPages | None) -> int:
    """Copy the database as it is now; gives how many images there are in it."""
    with (
        database.reading() as connection,
        closing(sqlite3.connect(f"{target.absolute().as_uri()}?mode=rwc", uri=True)) as there,
    ):
        # The first read holds on to one state of the source; without it, each commit of the writer's would
        # begin the copying anew, and beside a busy one it would never end.
        images = int(connection.exec_driver_sql("SELECT count(*) FROM images").scalar_one())
        size = int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
        here = connection.connection.driver_connection
        assert isinstance(here, sqlite3.Connection)

        def tell(_status: int, left: int, total: int) -> None:
            if progress is not None:
                progress((total - left) * size, total * size)

        here.backup(there, pages=_PAGES, progress=tell, sleep=0)
    sync(target)
    return images


def _copy_files(source: Path, target: Path) -> Iterator[Path]:
    """Copy the files of a folder, if there is one; those deleted meanwhile are passed over."""
    for folder, _, names in os.walk(source):
        inside = target / Path(folder).relative_to(source)
        inside.mkdir(parents=True, exist_ok=True)
        for name in sorted(names):
            if name.endswith(".new"):
                continue  # being written
            try:
                shutil.copy2(Path(folder) / name, inside / name)
            except FileNotFoundError:
                continue
            sync(inside / name)
            yield inside / name
        sync_directory(inside)


def _is_whole(path: Path) -> bool:
    digest = digest_of_name(path.name)
    return digest is None or holds(path, digest)


def _finish(source: Path, target: Path) -> None:
    sync_directory(target)
    draft = target / (MARKER + ".draft")
    try:
        draft.write_bytes(marker_of(source).read_bytes())
        sync(draft)
        draft.replace(target / MARKER)
    except FileNotFoundError:  # a collection is one without its marker, as long as the catalog is there
        write_marker(target)
    sync_directory(target)
    (target / UNFINISHED).unlink()
    sync_directory(target)
