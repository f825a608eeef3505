"""The engine for one machine: a directory with a SQLite catalog and the indexes derived from it."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whence.engine.base import CodeHit
from whence.engine.catalog import Catalog, Marks
from whence.engine.hamming import HammingIndex
from whence.engine.lock import WriterLock
from whence.engine.records import FileStamp, Image, NewImage, Refusal, iso, now
from whence.engine.rows import RowFiles
from whence.errors import (
    CollectionDamaged,
    CollectionError,
    CollectionMissing,
    CollectionTooNew,
    FeatureMismatch,
)
from whence.features.extract import FINGERPRINT, VERSIONS
from whence.features.fingerprint import CODE_BYTES, Fingerprint

MARKER = "whence.json"
"""The file that makes a directory a collection; folders that hold it are never indexed."""

_FORMAT = 1


class EmbeddedEngine:
    """A collection's directory. Reads from the start; becomes its one writer at the first change."""

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        """Open the collection in `directory`, or make it there when `create`.

        Raises CollectionMissing, CollectionDamaged, CollectionTooNew, CollectionLocked or CollectionError.
        """
        self.directory = directory
        self._lock = threading.RLock()
        self._writer: WriterLock | None = None
        self._index: HammingIndex | None = None
        self._threads = (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )
        marked = _read_marker(directory)
        if not marked:
            if not create:
                raise CollectionMissing(
                    f"There is no collection at {directory}. "
                    f"Make one with: whence index FOLDER -c {directory}"
                )
            self._make()
        self._catalog = Catalog(directory, write=self._writer is not None)

    def close(self) -> None:
        """Let files and the writer's lock go."""
        with self._lock:
            if self._index is not None:
                self._index.close()
                self._index = None
            self._catalog.close()
            if self._writer is not None:
                self._writer.release()
                self._writer = None

    # What there is

    def count(self) -> int:
        """How many images there are."""
        return self._catalog.count()

    def images(self, keys: Sequence[int]) -> dict[int, Image]:
        """The images of those keys that exist."""
        return self._catalog.images(keys)

    def features(self, kind: str, keys: Sequence[int]) -> dict[int, bytes]:
        """One kind of feature of those images that have it."""
        return self._catalog.features(kind, keys)

    def keys_of(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The keys of those digests that are here."""
        return self._catalog.keys_of(digests)

    def keys_at(self, uri: str) -> list[int]:
        """The keys of the images seen at a uri."""
        return self._catalog.keys_at(uri)

    def near_codes(self, codes: NDArray[np.uint8], radius: int) -> list[CodeHit]:
        """Every fingerprint within `radius` bits of each code, uint8 (q, 32), nearest first per code."""
        self._check_version()
        found = self._fingerprints().within(codes, radius)
        keys, trimmed = found.entry // 2, found.entry % 2
        columns = (
            found.query.tolist(),
            keys.tolist(),
            trimmed.astype(bool).tolist(),
            found.distance.tolist(),
        )
        return [CodeHit(*row) for row in zip(*columns, strict=True)]

    def codes(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """(2 × key + trimmed, codes) of every usable fingerprint, a batch at a time."""
        self._check_version()
        yield from self._fingerprints()

    def seen_twice(self) -> list[int]:
        """The keys of images that are in several places at present."""
        return self._catalog.seen_twice()

    def unchanged(self, files: Sequence[tuple[str, FileStamp]], reader: str) -> dict[str, bytes | Refusal]:
        """Of these files, those known by path, size and time: their digest, or why they were refused."""
        self._become_writer()
        return self._catalog.unchanged(files, reader)

    def present_under(self, prefix: str) -> Iterator[tuple[int, str]]:
        """(number, uri) of the sightings at or below a uri that are not marked gone."""
        return self._catalog.present_under(prefix)

    def stale(self) -> list[int]:
        """The keys of images whose features are missing or of another version."""
        return self._catalog.keys_of_other_versions(FINGERPRINT, VERSIONS[FINGERPRINT])

    # Changes

    def add(self, images: Sequence[NewImage]) -> list[tuple[int, bool]]:
        """Add images; gives each one's key and whether it was new. Committed and searchable on return."""
        self._become_writer()
        self._check_version()
        with self._lock:
            results = self._catalog.add(images, VERSIONS)
            self._fingerprints().refresh()
        return results

    def remove(self, keys: Sequence[int]) -> int:
        """Remove images; gives how many there were. Gone on return."""
        self._become_writer()
        with self._lock:
            removed = self._catalog.remove(keys)
            self._fingerprints().refresh()
        return removed

    def refuse(self, rows: Sequence[Refusal]) -> None:
        """Remember files that gave no picture."""
        self._become_writer()
        self._catalog.refuse(rows)

    def mark_gone(self, numbers: Sequence[int]) -> None:
        """Mark sightings as no longer there."""
        self._become_writer()
        self._catalog.mark_gone(numbers)

    def refresh_features(self, rows: Sequence[tuple[int, str, dict[str, bytes]]]) -> None:
        """Replace the features of images: (key, decoder, data by kind)."""
        self._become_writer()
        for kind, version in VERSIONS.items():
            self._catalog.replace_features(
                kind, version, [(key, decoder, data[kind]) for key, decoder, data in rows]
            )

    def rebuild(self) -> None:
        """Derive every index from the catalog again."""
        self._become_writer()
        with self._lock:
            if self._index is not None:
                self._index.close()
                self._index = None
            self._catalog.forget_unused_versions()
            RowFiles(self.directory / "hamming", write=True).clear(VERSIONS[FINGERPRINT])
            self._fingerprints()

    # Damage

    def damage(self) -> Iterator[str]:
        """Everything that is wrong with what is kept, a sentence each."""
        yield from self._catalog.damage()
        try:
            self._check_version()
            index = self._fingerprints()
        except CollectionError as error:
            yield str(error)
            return
        found: list[str] = []
        for _ in range(5):  # what another process writes meanwhile is not damage
            before = self._catalog.marks()
            found = list(index.damage())
            if not found or self._catalog.marks() == before:
                break
        yield from found

    # Inside

    def _make(self) -> None:
        if self.directory.exists() and any(self.directory.iterdir()) and not self._left_half_made():
            raise CollectionError(
                f"{self.directory} holds other files and no collection; choose another place for one."
            )
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CollectionError(f"{self.directory} cannot be made: {error.strerror}.") from error
        self._writer = WriterLock(self.directory / "writer.lock")
        Catalog(self.directory, write=True).close()
        # The marker comes last: a directory without it is nothing yet, and is made anew.
        draft = self.directory / (MARKER + ".draft")
        draft.write_text(
            json.dumps({"format": _FORMAT, "id": str(uuid.uuid4()), "created": iso(now())}) + "\n"
        )
        draft.replace(self.directory / MARKER)

    def _left_half_made(self) -> bool:
        ours = {"writer.lock", MARKER + ".draft"}
        return all(p.name in ours or p.name.startswith("catalog.sqlite") for p in self.directory.iterdir())

    def _become_writer(self) -> None:
        with self._lock:
            if self._writer is None:
                self._writer = WriterLock(self.directory / "writer.lock")
                self._catalog.close()
                self._catalog = Catalog(self.directory, write=True)
                if self._index is not None:
                    self._index.close()
                    self._index = None

    def _check_version(self) -> None:
        other = [v for v in self._catalog.versions(FINGERPRINT) if v != VERSIONS[FINGERPRINT]]
        if other:
            raise FeatureMismatch(
                f"Fingerprints here are of version {other[0]}, and this program computes "
                f"{VERSIONS[FINGERPRINT]}; the two cannot be compared. Run: whence rebuild"
            )

    def _fingerprints(self) -> HammingIndex:
        with self._lock:
            if self._index is None:
                self._index = HammingIndex(
                    self.directory / "hamming",
                    _CodeSource(self._catalog),
                    feature=VERSIONS[FINGERPRINT],
                    write=self._writer is not None,
                    threads=self._threads,
                )
            return self._index


class _CodeSource:
    """The catalog's fingerprints, as the Hamming index reads them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def marks(self) -> Marks:
        return self._catalog.marks()

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        return self._catalog.removals_after(seq)

    def entries_after(self, key: int, limit: int) -> tuple[int, NDArray[np.int64], NDArray[np.uint8]]:
        rows = self._catalog.features_after(FINGERPRINT, key, limit)
        entries: list[int] = []
        codes: list[bytes] = []
        for number, data in rows:
            known = Fingerprint.from_bytes(data)
            if known.usable:
                entries.append(2 * number)
                codes.append(known.code.tobytes())
                if known.trimmed is not None:
                    entries.append(2 * number + 1)
                    codes.append(known.trimmed.tobytes())
        last = rows[-1][0] if rows else key
        packed = np.frombuffer(b"".join(codes), np.uint8).reshape(-1, CODE_BYTES)
        return last, np.array(entries, np.int64), packed


def _read_marker(directory: Path) -> bool:
    path = directory / MARKER
    try:
        marker = json.loads(path.read_text())
        number = marker["format"]
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        raise CollectionError(f"{directory} is a file; a collection is a directory.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CollectionDamaged(f"{path} cannot be read ({error}).") from error
    if number != _FORMAT:
        raise CollectionTooNew(f"{directory} was made by a later version of Whence; upgrade Whence.")
    return True
