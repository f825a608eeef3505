"""Columns: one feature of fixed width of all images, in memory-mapped rows (see `derived`).

Sealed rows can be laid in groups, so that those that are read together lie together (`Columns.group`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.column_files import Batch, Bytes, ColumnFiles, ColumnManifest, Part, Widths
from wherefrom.engine.derived import DerivedIndex, Source, State, Written
from wherefrom.engine.differences import differences
from wherefrom.engine.rows import Numbers
from wherefrom.engine.sizes import ColumnSizes

__all__ = ["Batch", "Bytes", "ColumnFiles", "Columns", "Part", "Snapshot"]


class Snapshot(NamedTuple):
    """The rows at one moment: `sealed` in files of `generation`, `tail` in memory, whose keys are higher.

    Keys rise but where rows lie in groups. Both parts are exactly as long as they are used; where `dead` is
    True the row is removed.
    """

    generation: int
    sealed: Part
    tail: Part


class Columns(DerivedIndex[ColumnManifest, Batch, Part]):
    """Rows of fixed width by key, over what a `Source` holds. Thread-safe."""

    _files: ColumnFiles

    def __init__(
        self,
        directory: Path,
        source: Source[Batch],
        widths: Widths,
        *,
        feature: str,
        write: bool,
        name: str,
        many: bool = False,
        sizes: ColumnSizes = ColumnSizes(),
    ) -> None:
        """Columns in `directory` of a feature whose version is `feature`; only one process may `write`.

        `widths`: the bytes of each field of a row; the fields lie in files of their own. `name`: what
        this is called when something is wrong, as in "vectors index". Where images have `many` rows, the
        entries of the source are as `column_files.PART_BITS` says.

        Raises CollectionDamaged when the files contradict the manifest.
        """
        self._widths = widths
        self._grouping = False
        super().__init__(ColumnFiles(directory, feature, widths, name, many=many), source, sizes, write=write)

    def snapshot(self) -> Snapshot:
        """The rows after catching up with the source."""
        manifest, sealed, tail, *_ = self._state()
        return Snapshot(manifest.generation, sealed, tail)

    def __len__(self) -> int:
        _, sealed, tail = self.snapshot()
        return sealed.count - sealed.removed + tail.count - tail.removed

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
                self._files.forget([new.generation])
                raise
            self._files.forget([new.generation])
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

    def _store_if_possible(self, *, tail: bool) -> None:
        if not self._grouping:
            super()._store_if_possible(tail=tail)

    # What derived indexes say

    def _empty(self) -> Part:
        return Part.empty(self._widths, bits=self._files.blank.bits)

    def _opened(self, manifest: ColumnManifest, *, goes_on: bool) -> Part:  # noqa: ARG002
        return self._files.rows(manifest)

    def _written(self, *, tail: bool) -> Written[ColumnManifest, Part]:  # noqa: ARG002
        """The tail behind the sealed rows, or all live rows in new files where many are removed."""
        sealed, manifest, compact = self._sealed, self._manifest, self._sealed.is_thin
        if compact:
            manifest = replace(self._files.written(manifest, [sealed, self._tail]), removal=self._removal)
        else:
            manifest = self._files.appended(manifest, self._tail)
        manifest = replace(manifest, key=self._key)
        rows = self._files.rows(manifest)
        if not compact:
            rows.dead[: sealed.count], rows.removed = sealed.dead[: sealed.count], sealed.removed
        return Written(manifest, rows, self._empty())

    def _differences(self, state: State[ColumnManifest, Part]) -> Iterator[str]:
        parts = state.sealed.in_order(), state.tail
        found = differences(parts, self._source.rows_after, state.key, variants=1 << self._files.blank.bits)
        yield from found.sentences(self.name, self._source.removals_after(state.removal)[0])
