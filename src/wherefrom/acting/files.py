"""Moving and replacing files without ever losing one: nothing is overwritten, nothing is half there.

Errors of the system become `NotDone`, a sentence about the file that it happened to.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wherefrom.engine.files import sync_directory

MARK = ".wherefrom-"
"""What the names of files begin with that are half made; they are nobody's, and may be deleted."""

_CHUNK = 1 << 20
_FICLONE = 0x40049409  # _IOW(0x94, 9, int), of linux/fs.h
_WHY = {
    errno.ENOSPC: "there is no room left",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "what it lies on may only be read",
    errno.EACCES: "it may not be changed there",
    errno.EPERM: "it may not be changed there",
    errno.ENOENT: "it is not there any more",
    errno.EBUSY: "it is in use",
    errno.ENAMETOOLONG: "the name is too long there",
    errno.EMLINK: "a file cannot have more names there",
    errno.EXDEV: "it lies on another disk",
    errno.EIO: "the disk cannot be read or written",
}


class NotDone(Exception):
    """Why a file was passed over, in a phrase: `there is no room left`."""


@contextmanager
def told() -> Iterator[None]:
    """Turn errors of the system into `NotDone`."""
    try:
        yield
    except OSError as error:
        why = _WHY.get(error.errno or 0) or (error.strerror or str(error)).lower()
        raise NotDone(why) from error


def digest_of_file(path: str) -> tuple[str, os.stat_result]:
    """The SHA-256 of a regular file, in hex, and its facts; raises NotDone when it changed meanwhile."""
    with told(), open(path, "rb") as file:  # noqa: PTH123
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise NotDone("it is no file any more")
        digest = hashlib.sha256()
        while some := file.read(_CHUNK):
            digest.update(some)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise NotDone("it is being written to")
    return digest.hexdigest(), after


def same_bytes(one: str, other: str) -> bool:
    """Whether two files hold the same, byte by byte."""
    with told(), open(one, "rb") as first, open(other, "rb") as second:  # noqa: PTH123
        while True:
            some = first.read(_CHUNK)
            if some != second.read(_CHUNK):
                return False
            if not some:
                return True


def still(path: str, before: os.stat_result) -> None:
    """Raises NotDone unless a path leads, without a link, to the file that it led to before, unchanged."""
    with told():
        now = os.lstat(path)
    wanted, found = (
        (one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, stat.S_IFMT(one.st_mode))
        for one in (before, now)
    )
    if wanted != found:
        raise NotDone("it has changed meanwhile")


def move(source: str, target: str) -> None:
    """Move a file to a path at which nothing is: at once on one disk, else by a copy that is compared.

    Raises FileExistsError where something is at the target, NotDone where it cannot be done.
    """
    with told():
        Path(target).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # the name is ours from here
    except FileExistsError:
        raise
    except OSError as error:
        with told():
            raise error from None
    placed = False
    try:
        with told():
            try:
                os.rename(source, target)  # noqa: PTH104
                placed = True
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _copy(source, target)
                os.unlink(source)  # noqa: PTH108
                placed = True
    finally:
        if not placed and os.path.lexists(source):
            with contextlib.suppress(OSError):
                os.unlink(target)  # noqa: PTH108
    for folder in {str(Path(source).parent), str(Path(target).parent)}:
        with contextlib.suppress(OSError):
            sync_directory(Path(folder))


def _copy(source: str, target: str) -> None:
    """Copy a file with its times over a name that is ours, and see that it arrived."""
    half = f"{Path(target).parent}/{MARK}{secrets.token_hex(8)}"
    try:
        with open(source, "rb") as read, open(half, "xb") as write:  # noqa: PTH123
            shutil.copyfileobj(read, write, _CHUNK)
            write.flush()
            os.fsync(write.fileno())
        if not same_bytes(source, half):
            raise NotDone("its copy is not what was written")
        with contextlib.suppress(OSError):  # owner and modes that another disk does not have
            shutil.copystat(source, half)
        Path(half).replace(target)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(half)  # noqa: PTH108


def hard_link(kept: str, spare: str, half: str) -> None:
    """Make a spare file another name of the kept one: linked under the name `half`, then put in its place."""
    with told():
        os.link(kept, half)
        _put(half, spare)


def share(kept: str, spare: str, half: str) -> None:
    """Make a spare file share the kept one's blocks, where the file system can: its own times stay.

    Raises NotDone where it cannot.
    """
    import fcntl

    with told():
        try:
            with open(kept, "rb") as read, open(half, "xb") as write:  # noqa: PTH123
                try:
                    fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
                except OSError as error:
                    if error.errno in (
                        errno.EOPNOTSUPP,
                        errno.EINVAL,
                        errno.ENOTTY,
                        errno.EXDEV,
                        errno.ENOSYS,
                    ):
                        raise NotDone("the file system cannot let files share what they hold") from error
                    raise
                os.fsync(write.fileno())
            if not same_bytes(half, spare):
                raise NotDone("the two are not the same")
            shutil.copystat(spare, half)
            _put(half, spare)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(half)  # noqa: PTH108


def _put(half: str, spare: str) -> None:
    try:
        Path(half).replace(spare)
        with contextlib.suppress(OSError):
            sync_directory(Path(spare).parent)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(half)  # noqa: PTH108 - rename does nothing where both are one file


def part(path: str) -> None:
    """Give a file that is another name of a second one its own copy of the bytes again."""
    half = f"{Path(path).parent}/{MARK}{secrets.token_hex(8)}"
    with told():
        try:
            shutil.copy2(path, half)
            if not same_bytes(path, half):
                raise NotDone("its copy is not what was written")
            Path(half).replace(path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(half)  # noqa: PTH108
