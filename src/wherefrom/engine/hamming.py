"""The Hamming index: fingerprint codes in memory-mapped planes, derived from the catalog.

Two parts hold every code. *Sealed* rows lie in files (see `rows`). The *tail* holds in memory what the
source has gained since; every process keeps its own and reads it from the source, so that an image can
be found as soon as its transaction has committed, here and in every other process. When the tail has grown
the writer seals it. Removed rows are masked at once and dropped when a quarter of the files is masked.

Above `CodeSizes.hashed` rows multi-index hashing answers radii up to 31 without looking at every code;
otherwise every code is looked at, a word at a time.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine import mih, scan
from wherefrom.engine.differences import differences
from wherefrom.engine.files import Stamp
from wherefrom.engine.rows import WORDS, Codes, Manifest, Numbers, RowFiles, Rows
from wherefrom.engine.sizes import CodeSizes
from wherefrom.errors import CollectionDamaged, UsageError

_MIH_GROWTH = 1.25  # the hash tables are built again when the rows have outgrown them by this factor
_DEAD_SHARE = 0.25
_log = logging.getLogger("wherefrom.engine.hamming")


class Marks(Protocol):
    """How far a source has come."""

    @property
    def key(self) -> int:
        """The highest key that it ever gave."""
        ...

    @property
    def removal(self) -> int:
        """The number of its last removal."""
        ...


class Source(Protocol):
    """What the index is derived from. Keys rise as they are added and are never given twice."""

    def marks(self) -> Marks:
        """How far the source has come."""
        ...

    def entries_after(self, key: int, limit: int) -> tuple[int, Numbers, Codes]:
        """The codes of the next `limit` keys: (last key read, int64 entries, uint8 (n, 32) codes).

        An entry is 2 × key + variant (0 or 1); entries rise. The key returned equals the one given
        when there are no more.
        """
        ...

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        """The keys removed since removal `seq`, and the number of the last removal."""
        ...


class Found(NamedTuple):
    """What was found, int64 arrays of one length sorted by (query, distance, entry)."""

    query: Numbers
    entry: Numbers
    distance: Numbers


class HammingIndex:
    """Codes of 256 bits by Hamming distance, exactly, over what a `Source` holds.

    Thread-safe. Every search first catches up with the source.
    """

    def __init__(
        self,
        directory: Path,
        source: Source,
        *,
        feature: str,
        write: bool,
        threads: int = 1,
        sizes: CodeSizes = CodeSizes(),
    ) -> None:
        """An index in `directory` of codes whose version is `feature`; only one process may `write`.

        Raises CollectionDamaged when the files contradict the manifest.
        """
        self._files = RowFiles(directory, write=write)
        self._source = source
        self._write = write
        self._threads = threads
        self._sizes = sizes
        self._lock = threading.RLock()
        self._manifest = Manifest(feature)
        self._stamp: Stamp | None = None
        self._sealed, self._tail = Rows.empty(), Rows.empty()
        self._hashes: mih.MultiIndex | None = None
        self._key = self._removal = 0  # how far the source has been read
        self._seal_at = self._compact_at = self._sizes.seal
        self._hash_at = 0
        self._load()
        if write and self._files.manifest() == self._manifest:
            self._files.sweep(self._manifest)
        self.refresh()

    # Searching

    def within(self, codes: Codes, radius: int) -> Found:
        """Every live entry within `radius` bits of each of the codes, uint8 (q, 32)."""
        sealed, tail, hashes = self._snapshot()
        queries = np.ascontiguousarray(codes).view("<u8")
        parts: list[tuple[scan.Hits, int, Numbers]] = []
        first = 0
        if hashes is not None and radius <= mih.RADIUS:
            first = hashes.covered
            parts.append((hashes.within(queries, radius, _mask(sealed, 0, first)), 0, sealed.entries))
        for rows, start in ((sealed, first), (tail, 0)):
            if rows.count > start:
                planes, dead = rows.planes[:, start : rows.count], _mask(rows, start, rows.count)
                hits = scan.within(planes, queries, radius, dead, threads=self._threads)
                parts.append((hits, start, rows.entries))
        return _merged(parts)

    def nearest(self, codes: Codes, k: int) -> Found:
        """The k nearest live entries to each of the codes, uint8 (q, 32); of equals the lower entry."""
        sealed, tail, _ = self._snapshot()
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
        sealed, tail, _ = self._snapshot()
        return sealed.count - sealed.removed + tail.count - tail.removed

    def __iter__(self) -> Iterator[tuple[Numbers, Codes]]:
        """(entries, codes) of every live row in order of entry, a batch at a time."""
        sealed, tail, _ = self._snapshot()
        for rows in (sealed, tail):
            for start in range(0, rows.count, self._sizes.read):
                stop = min(rows.count, start + self._sizes.read)
                live = ~rows.dead[start:stop]
                codes = np.ascontiguousarray(rows.planes[:, start:stop].T[live]).view(np.uint8)
                yield rows.entries[start:stop][live], codes.reshape(-1, 8 * WORDS)

    @property
    def hashed(self) -> int:
        """How many rows multi-index hashing covers."""
        return 0 if self._hashes is None else self._hashes.covered

    # Keeping up

    def refresh(self) -> None:
        """Read from the source what is new; every search does so by itself."""
        with self._lock:
            if not self._write and self._files.stamp != self._stamp:
                self._load()
            self._catch_up()

    def stop_writing(self) -> None:
        """Leave the files to another index; searches that are under way or begin later stay right."""
        with self._lock:
            self._write = False

    def close(self) -> None:
        """Seal what has not been where that is worth it; searches stay right."""
        with self._lock:
            if self._write and self._unsealed() >= self._sizes.seal_at_close:
                self._seal_if_possible()
            self._write = False

    def damage(self) -> Iterator[str]:
        """Every way in which the index differs from its source, a sentence each."""
        cure = "Run: wherefrom rebuild"
        with self._lock:
            sealed, tail, _ = self._snapshot()
            key, removal, manifest = self._key, self._removal, self._manifest
        for path in self._files.strays():
            yield f"fingerprint index: {path} is there and manifest.json is missing. {cure}"
        found = differences((sealed, tail), self._source.entries_after, key)
        yield from found.sentences("fingerprint index", self._source.removals_after(removal)[0])
        yield from self._damaged_hashes(manifest, cure)

    def _damaged_hashes(self, manifest: Manifest, cure: str) -> Iterator[str]:
        if not manifest.hashed:
            return
        try:
            sums = self._files.hash_sums(manifest)
        except OSError as error:
            sums, problem = {}, f"cannot be read ({error.strerror})"
        else:
            wrong = [
                name for name in sorted(manifest.hash_sums) if sums.get(name) != manifest.hash_sums[name]
            ]
            problem = f"are not what was written ({', '.join(wrong)})" if wrong else ""
        if problem and self._files.manifest() == manifest:  # else the writer has put others in their place
            yield f"fingerprint index: the hash tables in {self._files.hashes(manifest)} {problem}. {cure}"

    def _load(self) -> None:
        """Take what is published as one's own, again when the writer replaces it meanwhile."""
        while True:
            stamp = self._files.stamp
            try:
                return self._take(self._files.manifest(), stamp)
            except CollectionDamaged:
                if self._files.stamp == stamp:
                    raise

    def _take(self, manifest: Manifest | None, stamp: Stamp | None) -> None:
        feature = self._manifest.feature
        if manifest is None or manifest.feature != feature:
            # Nothing yet, or codes of another version: what the source gives now comes in their place.
            manifest = Manifest(feature, generation=manifest.generation + 1 if manifest else 0)
        marks = self._source.marks()
        if manifest.key > marks.key or manifest.removal > marks.removal:
            raise CollectionDamaged(
                "The fingerprint index knows more than the catalog, which may have come from a backup. "
                "Run: wherefrom rebuild"
            )
        goes_on = manifest.generation == self._manifest.generation and self._key >= manifest.key > 0
        sealed = self._files.rows(manifest)
        hashes = self._opened_hashes(manifest, sealed)
        self._sealed, self._hashes = sealed, hashes
        self._manifest, self._stamp = manifest, stamp
        if goes_on:
            self._tail.drop_until(manifest.key)
        else:
            self._tail, self._key = Rows.empty(), manifest.key
        self._removal = manifest.removal  # the rows are unmasked now: what was removed since is read again

    def _opened_hashes(self, manifest: Manifest, sealed: Rows) -> mih.MultiIndex | None:
        if not manifest.hashed:
            return None
        return mih.MultiIndex.open(self._files.hashes(manifest), sealed.planes[:, : manifest.hashed])

    def _catch_up(self) -> None:
        marks = self._source.marks()
        while self._key < marks.key:
            key, entries, codes = self._source.entries_after(self._key, self._sizes.read)
            if key == self._key:
                self._key = marks.key  # the keys up to there have gone again, or have no code
                break
            self._tail.append(entries, codes)
            self._key = key
            if self._write and self._unsealed() >= self._seal_at:
                self._seal_if_possible()
        if self._removal < marks.removal:
            removed, self._removal = self._source.removals_after(self._removal)
            keys = np.array(removed, np.int64)
            self._sealed.mask(keys)
            self._tail.mask(keys)
            enough = max(self._compact_at, _DEAD_SHARE * self._sealed.count)
            if self._write and self._sealed.removed > enough:
                self._seal_if_possible(compact=True)

    def _unsealed(self) -> int:
        """Rows in the tail, or keys since the last seal where those are more: many may have no code."""
        return max(self._tail.count, self._key - self._manifest.key)

    def _seal_if_possible(self, *, compact: bool = False) -> None:
        """Seal, or go on with a longer tail when the disk does not take it: nothing depends on it."""
        try:
            self._seal(compact=compact)
            self._seal_at = self._compact_at = self._sizes.seal
        except OSError as error:
            self._seal_at = 2 * max(self._sizes.seal, self._unsealed())
            self._compact_at = 2 * max(self._sizes.seal, self._sealed.removed)
            _log.warning("The fingerprint index stays in memory for now: %s", error)

    def _seal(self, *, compact: bool) -> None:
        """Append the tail to the sealed rows and publish them; with `compact` leave out masked rows."""
        live = self._tail.live()
        sealed, manifest = self._sealed, self._manifest
        count = sealed.count - (sealed.removed if compact else 0) + len(live)
        if self._stamp is None:
            # Files without a manifest are then the trace of a lost manifest, never of a crash.
            self._files.publish(manifest)
        if count > manifest.capacity or compact:
            # Doubling: each row is copied a bounded number of times however long the collection grows.
            step = self._sizes.seal
            capacity = -(-max(count, 0 if compact else 2 * manifest.capacity, 1) // step) * step
            manifest = self._files.grown(
                manifest, sealed if compact else replace(sealed, removed=0), capacity
            )
        try:
            rows = self._files.rows(manifest)
            start = rows.count
            rows.planes[:, start:count] = self._tail.planes[:, live]
            rows.entries[start:count] = self._tail.entries[live]
            rows.count, rows.dead = count, np.zeros(count, np.bool_)
            if not compact:
                rows.dead[:start], rows.removed = sealed.dead[:start], sealed.removed
            removal = self._removal if compact else manifest.removal
            manifest = self._with_hashes(replace(manifest, rows=count, key=self._key, removal=removal), rows)
            hashes = self._hashes
            if manifest.hashed != self._manifest.hashed or manifest.generation != self._manifest.generation:
                hashes = self._opened_hashes(manifest, rows)
            self._files.publish(manifest)
        except OSError:
            if manifest.generation != self._manifest.generation:
                self._files.forget(manifest)
            raise
        self._manifest, self._stamp = manifest, self._files.stamp
        self._sealed, self._tail, self._hashes = rows, Rows.empty(), hashes

    def _with_hashes(self, manifest: Manifest, rows: Rows) -> Manifest:
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

    def _snapshot(self) -> tuple[Rows, Rows, mih.MultiIndex | None]:
        with self._lock:
            self.refresh()
            return self._sealed.view(), self._tail.view(), self._hashes


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
