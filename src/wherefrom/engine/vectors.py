"""The vector index: embeddings in memory-mapped columns, derived from the catalog, by cosine similarity.

Every row is looked at unless there are cells (see `cells`), and `exact` asks for that even then. What may
be found can be narrowed to a set of keys: few of them are gathered row by row; of many it is asked whether
what is near enough is among them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine import cells, vector_scan
from wherefrom.engine.cells import Cells
from wherefrom.engine.columns import Columns, Part, Snapshot
from wherefrom.engine.files import Stamp, stamp_of
from wherefrom.engine.rows import Numbers
from wherefrom.engine.sizes import CellSizes
from wherefrom.engine.vector_scan import Near, Queries, Vectors
from wherefrom.errors import CollectionDamaged, UsageError

DIMENSIONS = 256
"""Numbers in a vector."""

WIDTHS = (DIMENSIONS, 4)
"""The fields of a row: the numbers as int8, and what one of them is worth as a little-endian float32."""


_GROWTH = 0.05  # cells are made anew when the rows have outgrown them by this share
_log = logging.getLogger("wherefrom.engine.vectors")


class Found(NamedTuple):
    """What was found, arrays of one length sorted by (query, similarity falling, key).

    `query` and `key` int64; `similarity` float32, the cosine as estimated from 8 bits a number.
    """

    query: Numbers
    key: Numbers
    similarity: NDArray[np.float32]


class VectorsIndex:
    """The nearest vectors of columns by cosine similarity. Thread-safe; every search first catches up."""

    def __init__(
        self,
        columns: Columns,
        *,
        threads: int = 1,
        sizes: CellSizes = CellSizes(),
        compiled: bool | None = None,
    ) -> None:
        """An index over columns whose first widths are (d, 4), as in `WIDTHS`; it closes them with itself.

        `compiled`: True to search with the kernels, False with NumPy, None to choose by size.

        Builds cells where they are due and the columns are this process's to write. Raises
        CollectionDamaged.
        """
        self._columns = columns
        self._threads = threads
        self._sizes = sizes
        self._compiled = compiled
        self._directory = columns.directory / "cells"
        self._lock = threading.Lock()
        self._building = threading.Lock()
        self._cells: Cells | None = None
        self._seen: tuple[int, int, Stamp | None] | None = None
        self._build_at = 0
        snapshot = columns.snapshot()
        self._usable(snapshot)
        if columns.writing:
            cells.sweep(self._directory, self._path())
            self._build_if_due(snapshot)

    def search(
        self, queries: NDArray[np.float32], k: int, *, allowed: Numbers | None = None, exact: bool = False
    ) -> Found:
        """The k most similar live rows to each query, float32 (q, d) of length 1.

        Of equally similar ones the lower keys come first. `allowed`: int64 keys, rising; nothing else is
        found, keys without a row do no harm. `exact`: look at every row, whatever cells there are; without
        it a few of a hundred of the k may be missed, and nothing else is different. Raises UsageError.
        """
        snapshot = self._columns.snapshot()
        asked = _checked(queries, k, allowed, snapshot.sealed.fields[0].shape[1])
        usable = None if exact else self._usable(snapshot)
        if usable is not None and not vector_scan.use_kernels(usable.rows * len(queries), self._compiled):
            usable = None  # NumPy has looked at every row before the kernels are there
        found = [
            self._near(part, asked, k, allowed, there)
            for part, there in ((snapshot.sealed, usable), (snapshot.tail, None))
        ]
        return Found(*vector_scan.best(vector_scan.joined(found), k))

    def _near(self, part: Part, asked: Queries, k: int, allowed: Numbers | None, there: Cells | None) -> Near:
        rows, dead = vectors(part), part.dead if part.removed else None
        how: dict[str, Any] = {"threads": self._threads, "compiled": self._compiled}
        chosen = None
        if allowed is not None:
            allowed = _between(allowed, part)
            few = vector_scan.GATHER_SHARE * part.count
            if len(allowed) <= (few if there is None else min(few, self._sizes.gather)):
                chosen, allowed = part.places(allowed), None
        if chosen is not None or there is None or there.depth(k, allowed) > cells.DEEPEST:
            return vector_scan.nearest(
                rows, asked, k, dead, keys=part.keys, chosen=chosen, allowed=allowed, **how
            )
        near = there.nearest(rows, asked, k, dead, keys=part.keys, allowed=allowed, threads=self._threads)
        first = there.rows
        rest = vector_scan.nearest(
            Vectors(rows.codes[first:], rows.scales[first:]),
            asked,
            k,
            None if dead is None else dead[first:],
            keys=part.keys[first:],
            allowed=allowed,
            **how,
        )
        return vector_scan.joined([near, rest])

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def covered(self) -> int:
        """How many rows the cells cover; 0 while there are none."""
        usable = self._usable(self._columns.snapshot())
        return 0 if usable is None else usable.rows

    # Keeping up

    def refresh(self) -> None:
        """Read from the source what is new, and build cells where they are due.

        Every search does the former by itself. Building takes a while, one to three minutes for a million
        rows on one core and less when centroids are kept; searches in other threads go on meanwhile.
        """
        snapshot = self._columns.snapshot()
        if self._columns.writing:
            self._build_if_due(snapshot)

    def stop_writing(self) -> None:
        """Leave the files to another index; searches that are under way or begin later stay right."""
        self._columns.stop_writing()

    def close(self) -> None:
        """Seal what has not been where that is worth it; searches stay right."""
        self._columns.close()

    def damage(self) -> Iterator[str]:
        """Every way in which the index differs from its source, a sentence each."""
        yield from self._columns.damage()
        self._usable(self._columns.snapshot())
        path = self._path()
        problem = cells.damage(path) if path else ""
        self._usable(self._columns.snapshot())
        if problem and path == self._path():  # else the writer has put others in their place
            yield f"{self._columns.name}: the cells in {path} {problem}. Run: wherefrom rebuild"

    def _path(self) -> Path | None:
        return None if self._cells is None else self._cells.path

    def _usable(self, snapshot: Snapshot) -> Cells | None:
        """The cells that belong to the rows of a snapshot."""
        with self._lock:
            while True:
                seen = snapshot.generation, snapshot.sealed.grouped, stamp_of(self._directory)
                if seen == self._seen:
                    break
                path = cells.found(self._directory, *seen[:2])
                try:
                    if path != self._path():
                        self._cells = None if path is None else cells.opened(path, self._sizes)
                except CollectionDamaged:
                    if stamp_of(self._directory) == seen[2]:
                        raise
                    continue  # the writer has put others in their place
                self._seen = seen
            return self._cells

    def _build_if_due(self, snapshot: Snapshot) -> None:
        """Build cells, or go on without new ones when the disk does not take them."""
        if not self._building.acquire(blocking=False):
            return
        try:
            before, count = self._usable(snapshot), snapshot.sealed.count
            covered = 0 if before is None else before.rows
            sizes = self._sizes
            grown = max(covered * (1 + _GROWTH), covered + sizes.least_growth)
            if count < max(sizes.least_rows, self._build_at, grown):
                return
            made = cells.drafted(vectors(snapshot.sealed), before, threads=self._threads, sizes=sizes)

            def prepare(generation: int, sizes: Numbers) -> None:
                cells.write(self._directory, generation, made, sizes)

            self._columns.group(snapshot.generation, made.known, prepare)
            self._usable(self._columns.snapshot())
            cells.sweep(self._directory, self._path())
        except OSError as error:
            self._build_at = 2 * count
            _log.warning("The %s is searched without new cells: %s", self._columns.name, error)
        finally:
            self._building.release()


def vectors(part: Part) -> Vectors:
    """The rows of a part of columns as vectors."""
    codes, scales = part.fields[:2]  # what lies behind them is for others
    return Vectors(codes.view(np.int8), scales.view("<f4")[:, 0])


def _between(allowed: Numbers, part: Part) -> Numbers:
    """What is allowed of the range that the keys of a part span."""
    if not part.count:
        return allowed[:0]
    first, last = np.searchsorted(allowed, [part.lowest, part.highest + 1]).tolist()
    return allowed[first:last]


def _checked(queries: NDArray[np.float32], k: int, allowed: Numbers | None, dimensions: int) -> Queries:
    if queries.ndim != 2 or queries.shape[1] != dimensions or queries.dtype != np.float32:
        raise UsageError(
            f"Queries are float32 of shape (q, {dimensions}), not {queries.dtype} of shape {queries.shape}."
        )
    if not np.isfinite(queries).all():
        raise UsageError("A query has numbers that are not finite.")
    if k < 1:
        raise UsageError(f"The most similar images are asked for by a number of at least 1, not {k}.")
    if allowed is not None and (
        allowed.ndim != 1 or allowed.dtype != np.int64 or (allowed[1:] <= allowed[:-1]).any()
    ):
        raise UsageError("Allowed keys are a rising int64 array.")
    return vector_scan.quantised(queries)
