"""Cells: an approximate vector index, an inverted file that adapts how far it looks to each query.

Rows are grouped by the nearest of about 4 √n centroids (spherical k-means), and those of a cell lie
together (Sivic & Zisserman 2003; Jégou, Douze & Schmid 2011). A search goes through the cells in order of
their centroids' similarity and stops at the first that is less similar than the k-th best row found so
far by more than a *margin*. Margins are learnt when the cells are built: a sample of rows is searched for
exactly, and a margin is what reaches nearly all of their neighbours, by itself for each range of the k-th
similarity and for several *depths*, which are numbers of neighbours. To find k rows among a share s of all
is to go as deep as k / s neighbours go; so a filter needs nothing but the margins of that depth.

Cells are derived from the first rows of one generation of columns, which lie cell by cell there
(`Columns.group`): nothing is kept twice. They can be thrown away. They lie in a directory
`GENERATION-ROWS`, which takes that name when all of it lasts:

    offsets           where each cell starts among the rows, int64 (c + 1,)
    centres, units    the centroids as int8 (c, d), and float32 (c,)
    meta.json         sizes, margins, and the CRC-32 of each file
"""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine import vector_scan
from wherefrom.engine.files import crc_of, crc_of_file, delete, sync, sync_directory
from wherefrom.engine.rows import Numbers
from wherefrom.engine.scan import readonly
from wherefrom.engine.sizes import CellSizes
from wherefrom.engine.vector_scan import Near, Queries, Vectors
from wherefrom.errors import CollectionDamaged

RECALL = 0.996
"""The share of a sample's neighbours that the margins reach; new queries reach a little less."""

DEEPEST = 2_000
"""The depth up to which the margins of the greatest number of neighbours do: beyond it scan every row."""

_FORMAT = 2
_META = "meta.json"
_PER_CELL = 32  # rows of the training sample for each cell
_ROUNDS = 6  # of k-means
_RANGES = 4  # of the k-th similarity

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Draft:
    """Cells that are not yet anywhere: the cell of each row int32 (n,), and what `Cells` knows of them."""

    known: NDArray[np.int32]
    trained: int
    centres: Vectors
    edges: Floats
    margins: Floats


@dataclass(frozen=True, eq=False)
class Cells:
    """Opened cells, and what is known of each. `path` is their directory.

    Cell c has the rows from offsets[c] to offsets[c + 1]. `edges` and `margins` float32 (depths, ranges): at
    depth d a k-th similarity from edges[d, i] on calls for margins[d, i]; edges[d, 0] is minus infinity. The
    centroids were trained on `trained` rows. `sizes` are those that they were opened with.
    """

    path: Path
    trained: int
    offsets: Numbers
    centres: Vectors
    edges: Floats
    margins: Floats
    sizes: CellSizes = CellSizes()

    @property
    def rows(self) -> int:
        """How many rows are covered: the first ones of the columns."""
        return int(self.offsets[-1])

    @property
    def bytes(self) -> int:
        """What the files take."""
        return sum(path.stat().st_size for path in self.path.iterdir())

    def depth(self, k: int, allowed: Numbers | None) -> float:
        """How many neighbours deep the k best of those that are allowed lie, for a filter drawn at random."""
        return k if allowed is None else k * self.rows / max(1, len(allowed))

    def nearest(
        self,
        rows: Vectors,
        queries: Queries,
        k: int,
        dead: NDArray[np.bool_] | None = None,
        *,
        keys: Numbers | None = None,
        allowed: Numbers | None = None,
        threads: int = 1,
    ) -> Near:
        """About the k most similar live rows to each query among those covered, in no order.

        Arguments are those of `vector_scan.nearest`; `rows` are those of the columns, and may be more. What
        is found has exactly the similarity that a scan gives it. Loads the kernels.
        """
        from wherefrom.engine import vector_kernels

        depths = self.sizes.depths
        depth = min(int(np.searchsorted(depths, self.depth(k, allowed))), len(depths) - 1)
        k = min(k, self.rows)
        narrowed = vector_scan.for_kernels(dead, keys, allowed)
        known = (
            readonly(self.offsets),
            readonly(self.centres.codes),
            readonly(self.centres.scales),
            readonly(self.edges[depth]),
            readonly(self.margins[depth]),
        )

        def part(first: int, last: int) -> Near:
            asked = readonly(queries.codes[first:last]), readonly(queries.units[first:last])
            names, near, held = vector_kernels.probe(
                readonly(rows.codes),
                readonly(rows.scales),
                *asked,
                k,
                *narrowed,
                *known,
                self.sizes.least_cells,
            )
            query, place = np.nonzero(np.arange(k) < held[:, None])
            return Near(query + first, names[query, place], near[query, place])

        count = len(queries.units)
        step = -(-count // threads) or 1
        spans = [(first, min(first + step, count)) for first in range(0, count, step)]
        if len(spans) < 2:
            return part(0, count)
        with ThreadPoolExecutor(len(spans)) as pool:
            return vector_scan.joined(list(pool.map(part, *zip(*spans, strict=True))))


def drafted(
    rows: Vectors, before: Cells | None, *, threads: int = 1, sizes: CellSizes = CellSizes()
) -> Draft:
    """The cells of rows, the first ones of columns.

    `before`: cells of fewer of these rows, whose centroids are kept until the rows have doubled since
    they were trained. Memory: about 1 KB for each row of a sample of 32 a cell, and 12 bytes a row.
    """
    count = len(rows.scales)
    if before is not None and count < 2 * before.trained:
        cell = np.arange(len(before.offsets) - 1, dtype=np.int32)
        known = np.concatenate(
            [
                np.repeat(cell, np.diff(before.offsets)),
                assigned(rows, before.centres, before.rows, threads, sizes),
            ]
        )
        return Draft(known, before.trained, before.centres, before.edges, before.margins)
    centres = trained_centres(rows, threads, sizes)
    known = assigned(rows, centres, 0, threads, sizes)
    return Draft(known, count, centres, *learnt(rows, centres, known, threads, sizes))


def write(directory: Path, generation: int, draft: Draft, sizes: Numbers) -> Path:
    """Write the cells of columns of `generation`, of which each has so many rows, the first; their directory.

    Raises OSError when there is no room for them; nothing of them is left then.
    """
    offsets = np.zeros(len(draft.centres.scales) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1 : len(sizes) + 1])
    offsets[len(sizes) + 1 :] = offsets[len(sizes)]
    path = directory / f"{generation}-{offsets[-1]}"
    new = directory / f"draft-{path.name}"
    delete(new)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        new.mkdir()
        files: dict[str, NDArray[Any]] = {
            "offsets": offsets,
            "centres": draft.centres.codes,
            "units": draft.centres.scales,
        }
        for name, array in files.items():
            (new / name).write_bytes(array.tobytes())
            sync(new / name)
        meta = {
            "format": _FORMAT,
            "cells": len(draft.centres.scales),
            "width": draft.centres.codes.shape[1],
            "trained": draft.trained,
            "edges": draft.edges[:, 1:].tolist(),
            "margins": draft.margins.tolist(),
            "sums": {name: crc_of_file(new / name) for name in files},
        }
        (new / _META).write_text(json.dumps({"meta": meta, "crc": crc_of(meta)}))
        sync(new / _META)
        sync_directory(new)
        delete(path)
        new.replace(path)
        sync_directory(directory)
    except OSError:
        delete(new)
        raise
    return path


def opened(path: Path, sizes: CellSizes = CellSizes()) -> Cells:
    """The cells in a directory. Raises CollectionDamaged."""
    meta = _meta(path)
    cells, width = meta["cells"], meta["width"]
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        "offsets": (np.int64, (cells + 1,)),
        "centres": (np.int8, (cells, width)),
        "units": (np.float32, (cells,)),
    }
    offsets, centres, units = (_read(path / name, kind, shape) for name, (kind, shape) in shapes.items())
    count = path.name.partition("-")[2]
    if offsets[0] != 0 or str(offsets[-1]) != count or (np.diff(offsets) < 0).any():
        raise _damaged(f"{path / 'offsets'} contradicts itself")
    edges = np.array([[-np.inf, *one] for one in meta["edges"]], np.float32)
    margins = np.array(meta["margins"], np.float32)
    return Cells(path, meta["trained"], offsets, Vectors(centres, units), edges, margins, sizes)


def damage(path: Path) -> str:
    """What is wrong with the files of cells, as the end of a sentence; empty when nothing is."""
    try:
        sums: dict[str, int] = _meta(path)["sums"]
        wrong = [name for name, crc in sums.items() if crc_of_file(path / name) != crc]
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except CollectionDamaged:
        return "have no meta.json that can be read"
    return f"are not what was written ({', '.join(wrong)})" if wrong else ""


def found(directory: Path, generation: int, rows: int) -> Path | None:
    """The directory of the cells of the first `rows` rows of `generation`, if there is one."""
    path = directory / f"{generation}-{rows}"
    return path if rows and path.is_dir() else None


def sweep(directory: Path, kept: Path | None) -> None:
    """Delete all cells but those that are kept; readers that have mapped them keep what they have."""
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            if path != kept:
                delete(path)


def trained_centres(rows: Vectors, threads: int = 1, sizes: CellSizes = CellSizes()) -> Vectors:
    """Centroids of about 4 √n cells: spherical k-means over a sample, always the same for the same rows."""
    count = len(rows.scales)
    cells = max(1, min(int(4 * count**0.5), count // 4))
    rng = np.random.default_rng(count)
    sample = np.sort(rng.choice(count, min(count, _PER_CELL * cells), replace=False))
    vectors = _units_of(rows, sample)
    centres = vectors[rng.choice(len(vectors), cells, replace=False)]
    for _ in range(_ROUNDS):
        nearest = _nearest_centre(vectors, centres, threads, sizes)
        order = np.argsort(nearest, kind="stable")
        held = np.bincount(nearest, minlength=cells)
        filled = held > 0
        sums = np.add.reduceat(vectors[order], (np.cumsum(held) - held)[filled], axis=0)
        centres = vectors[rng.choice(len(vectors), cells)]  # an empty cell starts anew somewhere
        centres[filled] = _unit(sums)
    scales = (np.abs(centres).max(axis=1) / 127).astype(np.float32)
    scales[scales == 0] = 1
    return Vectors(np.rint(centres / scales[:, None]).astype(np.int8), scales)


def assigned(
    rows: Vectors, centres: Vectors, first: int, threads: int = 1, sizes: CellSizes = CellSizes()
) -> NDArray[np.int32]:
    """The cell of each row from `first` on."""
    whole = centres.codes * centres.scales[:, None]
    found = np.empty(len(rows.scales) - first, np.int32)
    for start in range(first, len(rows.scales), sizes.part):
        part = rows.codes[start : start + sizes.part].astype(np.float32)  # how long they are does not matter
        found[start - first : start - first + len(part)] = _nearest_centre(part, whole, threads, sizes)
    return found


def learnt(
    rows: Vectors,
    centres: Vectors,
    known: NDArray[np.int32],
    threads: int = 1,
    sizes: CellSizes = CellSizes(),
) -> tuple[Floats, Floats]:
    """Edges and margins that reach `RECALL` of the neighbours of a sample of rows, without themselves."""
    count = len(rows.scales)
    rng = np.random.default_rng(count + 1)
    sample = np.sort(rng.choice(count, min(count, sizes.sample), replace=False))
    queries = vector_scan.quantised(_units_of(rows, sample))
    deepest = min(sizes.depths[-1], count - 1)
    near = vector_scan.best(
        vector_scan.nearest(rows, queries, deepest + 1, compiled=True, threads=threads), deepest + 1
    )
    row = near.key.reshape(len(sample), deepest + 1)
    # The row itself comes first, or after others that are equal to it; if too many are, the last one goes.
    own = row == sample[:, None]
    own[~own.any(axis=1), -1] = True
    row = row[~own].reshape(len(sample), deepest)
    similar = near.similarity[~own.ravel()].reshape(len(sample), deepest)
    towards = vector_scan.similarities(centres, queries).T
    towards = np.take_along_axis(towards, known[row].astype(np.int64), axis=1)
    edges = np.full((len(sizes.depths), _RANGES), -np.inf, np.float32)
    margins = np.full((len(sizes.depths), _RANGES), np.inf, np.float32)  # where nothing is known: every cell
    for depth, neighbours in enumerate(sizes.depths):
        if neighbours <= deepest:
            kth = similar[:, neighbours - 1]
            gaps = kth[:, None] - towards[:, :neighbours]
            edges[depth, 1:] = np.quantile(kth, np.arange(1, _RANGES) / _RANGES)
            of = np.searchsorted(edges[depth], kth, "right") - 1
            for one in set(of.tolist()):
                margins[depth, one] = np.quantile(gaps[of == one], RECALL)
    return edges, margins


def _nearest_centre(vectors: Floats, centres: Floats, threads: int, sizes: CellSizes) -> NDArray[np.int32]:
    """The most similar centroid of each vector."""
    step = sizes.assigned

    def part(start: int) -> NDArray[np.int32]:
        best: NDArray[np.int32] = (vectors[start : start + step] @ centres.T).argmax(axis=1).astype(np.int32)
        return best

    with ThreadPoolExecutor(threads) as pool:
        found: NDArray[np.int32] = np.concatenate(list(pool.map(part, range(0, len(vectors), step))))
    return found


def _units_of(rows: Vectors, chosen: Numbers) -> Floats:
    """Some rows as vectors of length 1; those whose scale is no number have length 0."""
    scales = np.where(np.isfinite(rows.scales[chosen]), np.sign(rows.scales[chosen]), 0)
    return _unit(rows.codes[chosen] * scales.astype(np.float32)[:, None])


def _unit(vectors: Floats) -> Floats:
    """Vectors of length 1; those of length 0 stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    length[length == 0] = 1
    unit: Floats = (vectors / length).astype(np.float32)
    return unit


def _meta(path: Path) -> dict[str, Any]:
    try:
        document = json.loads((path / _META).read_text())
        meta: dict[str, Any] = document["meta"]
        if document["crc"] != crc_of(meta) or meta["format"] != _FORMAT:
            raise ValueError("its checksum or format is wrong")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(f"{path / _META} cannot be read ({error})") from error
    return meta


def _read(path: Path, kind: type, shape: tuple[int, ...]) -> NDArray[Any]:
    due = int(np.prod(shape)) * np.dtype(kind).itemsize
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _damaged(f"{path} cannot be read ({error.strerror})") from None
    if len(data) != due:
        raise _damaged(f"{path} has {len(data):,} bytes where {due:,} are due")
    return np.frombuffer(data, kind).reshape(shape)


def _damaged(what: str) -> CollectionDamaged:
    return CollectionDamaged(f"The vectors index is damaged: {what}. Run: wherefrom rebuild")
