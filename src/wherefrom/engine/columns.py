"""Columns: one feature of fixed width of all images, in memory-mapped rows, derived from the catalog.

Two parts hold every row. *Sealed* rows lie in files (see `column_files`). The *tail* holds in memory what
the source has gained since; every process keeps its own and reads it from the source, so that a row is
there as soon as its transaction has committed, here and in every other process. When the tail has grown
the writer seals it. Removed rows are masked at once and dropped when a quarter of the files is masked.

Sealed rows can be laid in groups, so that those that are read together lie together (`Columns.group`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.catalog import Catalog
from wherefrom.engine.column_files import Bytes, ColumnFiles, ColumnManifest, Part, Widths, first_manifest
from wherefrom.engine.differences import differences
from wherefrom.engine.files import Stamp
from wherefrom.engine.hamming import Marks
from wherefrom.engine.rows import Numbers
from wherefrom.engine.sizes import ColumnSizes
from wherefrom.errors import CollectionDamaged

__all__ = ["Bytes", "ColumnFiles", "ColumnSource", "Columns", "Part", "Snapshot", "Source"]

_DEAD_SHARE = 0.25
_log = logging.getLogger("wherefrom.engine.columns")


class Source(Protocol):
    """What columns are derived from. Keys rise as they are added and are never given twice."""

    def marks(self) -> Marks:
        """How far the source has come."""
        ...

    def rows_after(self, key: int, limit: int) -> tuple[int, Numbers, Bytes]:
        """The rows of the next `limit` keys: (last key read, int64 keys rising, uint8 (n, width) data).

        A key without a row is left out of both arrays. The key returned equals the one given when there
        are no more.
        """
        ...

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        """The keys removed since removal `seq`, and the number of the last removal."""
        ...


class ColumnSource:
    """One kind of the catalog's features, `width` bytes each or none, as the `Source` of columns."""

    def __init__(self, catalog: Catalog, kind: str, width: int) -> None:
        self._catalog = catalog
        self._kind = kind
        self._width = width

    def marks(self) -> Marks:
        """How far the catalog has come."""
        return self._catalog.marks()

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        """The keys removed since removal `seq`, and the number of the last removal."""
        return self._catalog.removals_after(seq)

    def rows_after(self, key: int, limit: int) -> tuple[int, Numbers, Bytes]:
        """The features among the next `limit` keys that are not empty.

        Raises CollectionDamaged when one is of another width.
        """
        rows = self._catalog.features_after(self._kind, key, limit)
        numbers = [row[0] for row in rows]
        whole = all(isinstance(number, int) for number in numbers)
        if not whole or (np.diff([key, *numbers]) <= 0).any():
            raise CollectionDamaged(
                f"The catalog's features of the kind {self._kind} are in disorder. Run: wherefrom check"
            )
        for number, data in rows:
            if not isinstance(data, bytes) or len(data) not in (0, self._width):
                raise CollectionDamaged(
                    f"The {self._kind} feature of image number {number} is damaged. Run: wherefrom rebuild"
                )
        kept = [row for row in rows if row[1]]
        packed = np.frombuffer(b"".join(row[1] for row in kept), np.uint8).reshape(-1, self._width)
        return numbers[-1] if rows else key, np.array([row[0] for row in kept], np.int64), packed


class Snapshot(NamedTuple):
    """The rows at one moment: `sealed` in files of `generation`, `tail` in memory, whose keys are higher.

    Keys rise but where rows lie in groups. Both parts are exactly as long as they are used; where `dead` is
    True the row is removed.
    """

    generation: int
    sealed: Part
    tail: Part


class Columns:
    """Rows of fixed width by key, over what a `Source` holds. Thread-safe."""

    def __init__(
        self,
        directory: Path,
        source: Source,
        widths: Widths,
        *,
        feature: str,
        write: bool,
        name: str,
        sizes: ColumnSizes = ColumnSizes(),
    ) -> None:
        """Columns in `directory` of a feature whose version is `feature`; only one process may `write`.

        `widths`: the bytes of each field of a row; the fields lie in files of their own. `name`: what
        this is called when something is wrong, as in "vectors index".

        Raises CollectionDamaged when the files contradict the manifest.
        """
        self.directory = directory
        self.name = name
        self._files = ColumnFiles(directory, name)
        self._source = source
        self._widths = widths
        self._sizes = sizes
        self._write = write
        self._lock = threading.RLock()
        self._manifest = first_manifest(feature, widths)
        self._stamp: Stamp | None = None
        self._sealed, self._tail = Part.empty(widths), Part.empty(widths)
        self._key = self._removal = 0  # how far the source has been read
        self._seal_at = self._compact_at = self._sizes.seal
        self._grouping = False
        self._load()
        if write and self._files.manifest() == self._manifest:
            self._files.sweep(self._manifest)
        self.refresh()

    def snapshot(self) -> Snapshot:
        """The rows after catching up with the source."""
        with self._lock:
            self.refresh()
            return Snapshot(self._manifest.generation, self._sealed.view(), self._tail.view())

    def __len__(self) -> int:
        _, sealed, tail = self.snapshot()
        return sealed.count - sealed.removed + tail.count - tail.removed

    @property
    def writing(self) -> bool:
        """Whether the files are this object's to change."""
        return self._write

    # Keeping up

    def refresh(self) -> None:
        """Read from the source what is new; `snapshot` does so by itself."""
        with self._lock:
            if not self._write and self._files.stamp != self._stamp:
                self._load()
            self._catch_up()

    def group(
        self, generation: int, groups: NDArray[np.int32], prepare: Callable[[int, Numbers], None]
    ) -> bool:
        """Lay sealed rows anew by their groups; False when they are no longer those of `generation`.

        `groups` are numbers from 0 on of the first sealed rows, of which removed ones are left out. Before
        the new files count, `prepare` is given their generation and how many rows each group has. Searches
        go on meanwhile, and what is added waits in memory. Raises OSError when there is no room, and what
        `prepare` raises: nothing has changed then. Only one thread may call this at a time.
        """
        with self._lock:
            if not self._write or self._manifest.generation != generation:
                return False
            manifest, sealed = replace(self._manifest, removal=self._removal), self._sealed
            live, self._grouping = ~sealed.dead[: sealed.count], True
        try:
            rows = np.argsort(groups, kind="stable")
            rows = rows[live[rows]]
            rest = np.flatnonzero(live[len(groups) :]) + len(groups)
            new = self._files.laid(manifest, sealed, rows, rest)
            try:
                prepare(new.generation, np.bincount(groups[rows], minlength=int(groups.max(initial=-1)) + 1))
                if self._published(new, generation):
                    return True
            except BaseException:
                self._files.forget(new)
                raise
            self._files.forget(new)
            return False
        finally:
            self._grouping = False

    def _published(self, new: ColumnManifest, instead: int) -> bool:
        """Make files that last the present ones, if those are still of the generation `instead`."""
        with self._lock:
            if not self._write or self._manifest.generation != instead:
                return False
            rows = self._files.rows(new)
            self._files.publish(new)
            self._manifest, self._stamp, self._sealed = new, self._files.stamp, rows
            self._removal = new.removal  # nothing is masked now: what was removed since is read again
            self._catch_up()
            return True

    def stop_writing(self) -> None:
        """Leave the files to another object; snapshots taken before or later stay right."""
        with self._lock:
            self._write = False

    def close(self) -> None:
        """Seal what has not been where that is worth it; snapshots stay right."""
        with self._lock:
            if self._unsealed() >= self._sizes.seal_at_close:
                self._store_if_possible()
            self._write = False

    def damage(self) -> Iterator[str]:
        """Every way in which the rows differ from their source, a sentence each."""
        with self._lock:
            _, sealed, tail = self.snapshot()
            key, removal = self._key, self._removal
        for path in self._files.strays():
            yield f"{self.name}: {path} is there and manifest.json is missing. Run: wherefrom rebuild"
        found = differences((sealed.in_order(), tail), self._source.rows_after, key, variants=1)
        yield from found.sentences(self.name, self._source.removals_after(removal)[0])

    def _load(self) -> None:
        """Take what is published as one's own, again when the writer replaces it meanwhile."""
        while True:
            stamp = self._files.stamp
            try:
                return self._take(self._files.manifest(), stamp)
            except CollectionDamaged:
                if self._files.stamp == stamp:
                    raise

    def _take(self, manifest: ColumnManifest | None, stamp: Stamp | None) -> None:
        feature = self._manifest.feature
        if manifest is None or (manifest.feature, manifest.widths) != (feature, self._widths):
            # Nothing yet, or another version: what the source gives now comes in its place.
            manifest = first_manifest(feature, self._widths, manifest.generation if manifest else 0)
        marks = self._source.marks()
        if manifest.key > marks.key or manifest.removal > marks.removal:
            raise CollectionDamaged(
                f"The {self.name} knows more than the catalog, which may have come from a backup. "
                f"Run: wherefrom rebuild"
            )
        goes_on = manifest.generation == self._manifest.generation and self._key >= manifest.key > 0
        self._sealed = self._files.rows(manifest)
        self._manifest, self._stamp = manifest, stamp
        if goes_on:
            self._tail = self._tail.beyond(manifest.key)
        else:
            self._tail, self._key = Part.empty(self._widths), manifest.key
        self._removal = manifest.removal  # the rows are unmasked now: what was removed since is read again

    def _catch_up(self) -> None:
        marks = self._source.marks()
        while self._key < marks.key:
            key, keys, data = self._source.rows_after(self._key, self._sizes.read)
            if key == self._key:
                self._key = marks.key  # the keys up to there have gone again, or have no row
                break
            self._tail.append(keys, data)
            self._key = key
            if self._unsealed() >= self._seal_at:
                self._store_if_possible()
        if self._removal < marks.removal:
            removed, self._removal = self._source.removals_after(self._removal)
            keys = np.array(removed, np.int64)
            self._sealed.mask(keys)
            self._tail.mask(keys)
        if self._sealed.removed > self._compact_at and self._thin():
            self._store_if_possible()

    def _thin(self) -> bool:
        """Whether so many sealed rows are removed that the others are to be written anew."""
        return self._sealed.removed > _DEAD_SHARE * self._sealed.count

    def _unsealed(self) -> int:
        """Rows in the tail, or keys since the last seal where those are more: many may have no row."""
        return max(self._tail.count, self._key - self._manifest.key)

    def _store_if_possible(self) -> None:
        """Store what is this object's to store, or go on in memory when the disk does not take it.

        Nothing depends on it.
        """
        if not self._write or self._grouping:
            return
        try:
            self._store()
            self._seal_at = self._compact_at = self._sizes.seal
        except OSError as error:
            self._seal_at = 2 * max(self._sizes.seal, self._unsealed())
            self._compact_at = 2 * max(self._sizes.seal, self._sealed.removed)
            _log.warning("The %s stays in memory for now: %s", self.name, error)

    def _store(self) -> None:
        """Put the tail behind the sealed rows, or all live rows into new files where many are removed."""
        sealed, tail, manifest = self._sealed, self._tail, self._manifest
        if self._stamp is None:
            # Files without a manifest are then the trace of a lost manifest, never of a crash.
            self._files.publish(manifest)
            self._stamp = self._files.stamp
        if self._thin():
            manifest = replace(self._files.written(manifest, [sealed, tail]), removal=self._removal)
        else:
            manifest = self._files.appended(manifest, tail)
        manifest = replace(manifest, key=self._key)
        try:
            rows = self._files.rows(manifest)
            self._files.publish(manifest)
        except OSError:
            if manifest.generation != self._manifest.generation:
                self._files.forget(manifest)
            raise
        if manifest.generation == self._manifest.generation:
            rows.dead[: sealed.count], rows.removed = sealed.dead[: sealed.count], sealed.removed
        self._manifest, self._stamp = manifest, self._files.stamp
        self._sealed, self._tail = rows, Part.empty(self._widths)
