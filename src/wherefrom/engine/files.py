"""Files of an index: taking room for them, making them last, and publishing them by a manifest."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import zlib
from pathlib import Path

Stamp = tuple[int, int, int]
"""What changes whenever a file is replaced: inode, time and size."""

PIECE = 1 << 24
"""Bytes of a file read or written at a time."""


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a file; None while there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def crc_of(body: object) -> int:
    """The CRC-32 of what JSON can say."""
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())


def crc_of_file(path: Path) -> int:
    """The CRC-32 of a file. Raises OSError."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            crc = zlib.crc32(piece, crc)
    return crc


def allocate(handle: int, size: int) -> None:
    """Take the room now: a full disk is then an error here, not a crash at a later write to the mapping."""
    try:
        os.posix_fallocate(handle, 0, size)
    except (AttributeError, OSError) as error:  # macOS has no such call, some file systems do not take it
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        zeros = bytes(PIECE)
        for start in range(0, size, PIECE):
            os.pwrite(handle, zeros[: size - start], start)


def delete(path: Path) -> None:
    """Delete a file or directory; what cannot be deleted is in nobody's way."""
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def fsync(handle: int) -> None:
    """Make what was written to a file last, on the disk itself. Raises OSError."""
    if sys.platform == "darwin":  # where `fsync` leaves it in the disk's cache
        import fcntl

        with contextlib.suppress(OSError):  # not every file system has it
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def sync(path: Path) -> None:
    """Make a file, or the names in a directory, last. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fsync(handle)
    finally:
        os.close(handle)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory last, on file systems that sync directories."""
    with contextlib.suppress(OSError):
        sync(directory)
