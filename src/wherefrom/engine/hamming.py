"""The Hamming index: fingerprint codes in memory-mapped planes, derived from the catalog (see `derived`).

From `CodeSizes.hashed` rows on multi-index hashing answers radii up to 31 without looking at every code;
otherwise every code is looked at, a word at a time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine import mih, scan
from wherefrom.engine.derived import CURE, DerivedIndex, Source, State, Written
from wherefrom.engine.differences import differences
from wherefrom.engine.rows import WORDS, Batch, Codes, Numbers, RowFiles, RowManifest, Rows
from wherefrom.engine.sizes import CodeSizes
from wherefrom.errors import UsageError

_MIH_GROWTH = 1.25  # the hash tables are built again when the rows have outgrown them by this factor
_log = logging.getLogger("wherefrom.engine.hamming")


class Found(NamedTuple):
    """What was found, int64 arrays of one length sorted by (query, distance, entry)."""

    query: Numbers
    entry: Numbers
    distance: Numbers


class HammingIndex(DerivedIndex[RowManifest, Batch, Rows]):
    """Codes of 256 bits by Hamming distance, exactly, over what a `Source` holds.

    Thread-safe. Every search first catches up with the source.
    """

    _files: RowFiles
    _sizes: CodeSizes

    def __init__(
        self,
        directory: Path,
        source: Source[Batch],
        *,
        feature: str,
        write: bool,
        threads: int = 1,
        sizes: CodeSizes = CodeSizes(),
    ) -> None:
        """An index in `directory` of codes whose version is `feature`; only one process may `write`.

        Raises CollectionDamaged when the files contradict the manifest.
        """
        self._threads = threads
        self._hash_at = 0
        super().__init__(RowFiles(directory, feature, write=write), source, sizes, write=write)

    # Searching

    def within(self, codes: Codes, radius: int) -> Found:
        """Every live entry within `radius` bits of each of the codes, uint8 (q, 32)."""
        sealed, tail = self._state()[1:3]
        queries = np.ascontiguousarray(codes).view("<u8")
        parts: list[tuple[scan.Hits, int, Numbers]] = []
        first = 0
        if sealed.hashes is not None and radius <= mih.RADIUS:
            first = sealed.hashes.covered
            parts.append((sealed.hashes.within(queries, radius, _mask(sealed, 0, first)), 0, sealed.entries))
        for rows, start in ((sealed, first), (tail, 0)):
            if rows.count > start:
                planes, dead = rows.planes[:, start : rows.count], _mask(rows, start, rows.count)
                hits = scan.within(planes, queries, radius, dead, threads=self._threads)
                parts.append((hits, start, rows.entries))
        return _merged(parts)

    def nearest(self, codes: Codes, k: int) -> Found:
        """The k nearest live entries to each of the codes, uint8 (q, 32); of equals the lower entry."""
        sealed, tail = self._state()[1:3]
        queries = np.ascontiguousarray(codes).view("<u8")
        parts: list[tuple[scan.Hits, int, Numbers]] = []
        for rows in (sealed, tail):
            if rows.count:
                planes, dead = rows.planes[:, : rows.count], _mask(rows, 0, rows.count)
                hits = scan.nearest(planes, queries, k, dead, threads=self._threads)
                parts.append((hits, 0, rows.entries))
        found = _merged(parts)
        rank = np.arange(len(found.query)) - np.searchsorted(found.query, found.query)
        kept = rank < k
        return Found(found.query[kept], found.entry[kept], found.distance[kept])

    def __len__(self) -> int:
        sealed, tail = self._state()[1:3]
        return sealed.count - sealed.removed + tail.count - tail.removed

    def __iter__(self) -> Iterator[tuple[Numbers, Codes]]:
        """(entries, codes) of every live row in order of entry, a batch at a time."""
        sealed, tail = self._state()[1:3]
        for rows in (sealed, tail):
            for start in range(0, rows.count, self._sizes.read):
                stop = min(rows.count, start + self._sizes.read)
                live = ~rows.dead[start:stop]
                codes = np.ascontiguousarray(rows.planes[:, start:stop].T[live]).view(np.uint8)
                yield rows.entries[start:stop][live], codes.reshape(-1, 8 * WORDS)

    @property
    def hashed(self) -> int:
        """How many rows multi-index hashing covers."""
        hashes = self._sealed.hashes
        return 0 if hashes is None else hashes.covered

    # What derived indexes say

    def _empty(self) -> Rows:
        return Rows.empty()

    def _opened(self, manifest: RowManifest, *, goes_on: bool) -> Rows:  # noqa: ARG002
        rows = self._files.rows(manifest)
        rows.hashes = self._files.opened_hashes(manifest, rows)
        return rows

    def _written(self, *, tail: bool) -> Written[RowManifest, Rows]:  # noqa: ARG002
        """The tail behind the sealed rows, or with them in new files when these are full or thin."""
        sealed, manifest, compact = self._sealed, self._manifest, self._sealed.is_thin
        live = self._tail.live()
        count = sealed.count - (sealed.removed if compact else 0) + len(live)
        if count > manifest.capacity or compact:
            # Doubling: each row is copied a bounded number of times however long the collection grows.
            step = self._sizes.seal
            capacity = -(-max(count, 0 if compact else 2 * manifest.capacity, 1) // step) * step
            manifest = self._files.grown(
                manifest, sealed if compact else replace(sealed, removed=0), capacity
            )
        rows = self._files.rows(manifest)
        start = rows.count
        rows.planes[:, start:count] = self._tail.planes[:, live]
        rows.entries[start:count] = self._tail.entries[live]
        rows.count, rows.dead = count, np.zeros(count, np.bool_)
        if not compact:
            rows.dead[:start], rows.removed = sealed.dead[:start], sealed.removed
        removal = self._removal if compact else manifest.removal
        manifest = self._with_hashes(replace(manifest, rows=count, key=self._key, removal=removal), rows)
        rows.hashes = sealed.hashes
        if (manifest.hashed, manifest.generation) != (self._manifest.hashed, self._manifest.generation):
            rows.hashes = self._files.opened_hashes(manifest, rows)
        return Written(manifest, rows, Rows.empty())

    def _with_hashes(self, manifest: RowManifest, rows: Rows) -> RowManifest:
        if manifest.rows < max(self._sizes.hashed, self._hash_at, _MIH_GROWTH * manifest.hashed):
            return manifest
        hashed = replace(manifest, hashed=manifest.rows)
        try:
            mih.MultiIndex.build(
                rows.planes[:, : manifest.rows],
                self._files.hashes(hashed),
                memory_limit=_memory_for_hashes(manifest.rows),
                threads=self._threads,
            )
            return replace(hashed, hash_sums=self._files.hash_sums(hashed))
        except (OSError, UsageError) as error:  # no room for them: every code is looked at instead
            self._hash_at = 2 * manifest.rows
            self._files.forget_hashes(hashed)
            _log.warning("The fingerprint index is searched without hash tables: %s", error)
            return manifest

    def _differences(self, state: State[RowManifest, Rows]) -> Iterator[str]:
        found = differences((state.sealed, state.tail), self._source.rows_after, state.key)
        yield from found.sentences(self.name, self._source.removals_after(state.removal)[0])
        manifest = state.manifest
        if not manifest.hashed:
            return
        try:
            sums = self._files.hash_sums(manifest)
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        else:
            due = manifest.hash_sums
            wrong = [name for name in sorted(due) if sums.get(name) != due[name]]
            problem = f"are not what was written ({', '.join(wrong)})" if wrong else ""
        if problem and self._files.manifest() == manifest:  # else the writer has put others in their place
            yield f"{self.name}: the hash tables in {self._files.hashes(manifest)} {problem}. {CURE}"


def _memory_for_hashes(rows: int) -> int:
    """What the hash tables may take: six tenths of the machine's memory less the codes themselves."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(40 * rows, int(0.6 * memory) - 8 * WORDS * rows)


def _mask(rows: Rows, start: int, stop: int) -> NDArray[np.bool_] | None:
    return rows.dead[start:stop] if rows.removed else None


def _merged(parts: list[tuple[scan.Hits, int, Numbers]]) -> Found:
    nothing = np.zeros(0, np.int64)
    query = np.concatenate([nothing, *(hits.query for hits, _, _ in parts)])
    entry = np.concatenate([nothing, *(entries[hits.row + start] for hits, start, entries in parts)])
    distance = np.concatenate([nothing, *(hits.distance for hits, _, _ in parts)])
    order = np.lexsort((entry, distance, query))
    return Found(query[order], entry[order], distance[order])
