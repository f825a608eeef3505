"""Originals: the bytes of images that came without a file, kept in the collection's directory.

A file `originals/ab/ab12…` is named by the SHA-256 of what is in it. It lies there, whole, before its image
is committed, and goes after the image has; what a crash leaves over belongs to no image: `sweep` finds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from wherefrom.engine.files import delete, fsync, sync_directory
from wherefrom.errors import CollectionError

FOLDER = "originals"


class Originals:
    """The files of one collection. Whoever changes them holds the collection's lock."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / FOLDER

    def path(self, digest: bytes) -> str | None:
        """The file that holds the bytes of this SHA-256 digest; None where none is kept."""
        path = self._path(digest)
        return str(path) if path.is_file() else None

    def read(self, digest: bytes) -> bytes | None:
        """The bytes of this SHA-256 digest; None where none are kept, or others than those."""
        try:
            data = self._path(digest).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).digest() == digest else None

    def keep(self, data: Mapping[bytes, bytes]) -> None:
        """Keep bytes by their SHA-256 digests. Raises CollectionError when the disk does not take them."""
        changed: set[Path] = set()
        try:
            for digest, one in data.items():
                path = self._path(digest)
                if path.is_file() and path.stat().st_size == len(one):
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                new = path.with_suffix(".new")
                with new.open("wb") as file:
                    file.write(one)
                    file.flush()
                    fsync(file.fileno())
                new.replace(path)
                changed.add(path.parent)
        except OSError as error:
            raise CollectionError(
                f"The uploaded pictures could not be kept in {self._folder} ({error.strerror}). Check that "
                f"the disk has room and may be written to."
            ) from error
        for folder in (*changed, *([self._folder, self._folder.parent] if changed else ())):
            sync_directory(folder)

    def remove(self, digests: Iterable[bytes]) -> None:
        """Let these go, if they are kept."""
        if self._folder.is_dir():
            for digest in digests:
                delete(self._path(digest))

    def damage(self, digest: bytes) -> str | None:
        """What is wrong with the file of a digest, None when it is there and whole."""
        path = self._path(digest)
        try:
            return None if holds(path, digest) else f"{path}, which was uploaded, is damaged"
        except FileNotFoundError:
            return f"{path}, which was uploaded, is gone"
        except OSError as error:
            return f"{path}, which was uploaded, cannot be read ({error.strerror})"

    def folders(self) -> Iterator[Path]:
        """The parts in which they lie."""
        if self._folder.is_dir():
            yield from sorted(one for one in self._folder.iterdir() if one.is_dir())

    def sweep(self, folder: Path, known: Callable[[list[bytes]], Collection[bytes]]) -> int:
        """Delete what in a part belongs to no image that is `known`; gives how many there were."""
        there: dict[bytes, Path] = {}
        gone = 0
        for path in folder.iterdir():
            digest = digest_of_name(path.name)
            if digest is None:
                delete(path)  # half written
                gone += 1
            else:
                there[digest] = path
        here = known(list(there))
        for digest, path in there.items():
            if digest not in here:
                delete(path)
                gone += 1
        return gone

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._folder / name[:2] / name


def holds(path: Path, digest: bytes) -> bool:
    """Whether a file has the bytes of a SHA-256 digest. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest() == digest


def digests_in(folder: Path) -> Iterator[bytes]:
    """The digests by whose names files lie in one of the parts."""
    for path in sorted(folder.iterdir()):
        digest = digest_of_name(path.name)
        if digest is not None:
            yield digest


def digest_of_name(name: str) -> bytes | None:
    """The digest that a kept file's name states, None where it is no such name."""
    try:
        digest = bytes.fromhex(name)
    except ValueError:
        return None
    return digest if len(digest) == 32 else None
