"""Cells: an approximate vector index, an inverted file that adapts how far it looks to each query.

Rows are grouped by the nearest of about 4 √n centroids (spherical k-means), and those of a cell lie
together (Sivic & Zisserman 2003; Jégou, Douze & Schmid 2011). A search goes through the cells in order of
their centroids' similarity and stops at the first that is less similar than the k-th best row found so
far by more than a *margin*. Margins are learnt when the cells are built: a sample of rows is searched for
exactly, and a margin is what reaches nearly all of their neighbours, by itself for each range of the k-th
similarity and for several *depths*, which are numbers of neighbours. To find k rows among a share s of all
is to go as deep as k / s neighbours go; so a filter needs nothing but the margins of that depth.

Cells are derived from the first rows of one generation of columns and can be thrown away. They lie in a
directory `GENERATION-ROWS`, which takes that name when all of it lasts:

    codes, scales     the rows again, cell by cell: int8 (n, d) and float32 (n,)
    rows              their numbers in the columns, int64 (n,), rising in each cell
    offsets           where each cell starts, int64 (c + 1,)
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

from whence.engine import vector_scan
from whence.engine.files import crc_of, crc_of_file, delete, sync, sync_directory
from whence.engine.rows import Numbers
from whence.engine.scan import large_pages, readonly
from whence.engine.vector_scan import Filter, Near, Queries, Vectors
from whence.errors import CollectionDamaged

RECALL = 0.996
"""The share of a sample's neighbours that the margins reach; new queries reach a little less."""

DEPTHS = (10, 100, 500)
"""Numbers of neighbours of each row of the sample that margins are learnt with."""

DEEPEST = 2_000
"""The depth up to which the margins of the greatest number of neighbours do: beyond it scan every row."""

LEAST_CELLS = 8
"""Cells that are looked at in any case."""

_FORMAT = 1
_META = "meta.json"
_PER_CELL = 32  # rows of the training sample for each cell
_ROUNDS = 6  # of k-means
_SAMPLE = 512  # rows that margins are learnt from
_RANGES = 4  # of the k-th similarity
_ROWS = 4_096  # assigned at a time
_COPY = 1 << 16  # rows copied at a time

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Cells:
    """Opened cells: rows by cell, and what is known of each cell. `path` is their directory.

    `order` int64 (n,): the numbers in the columns of the rows in `vectors`; cell c has those from
    offsets[c] to offsets[c + 1]. `edges` and `margins` float32 (depths, ranges): at depth d a k-th
    similarity from edges[d, i] on calls for margins[d, i]; edges[d, 0] is minus infinity. The centroids
    were trained on `trained` rows.
    """

    path: Path
    trained: int
    vectors: Vectors
    order: Numbers
    offsets: Numbers
    centres: Vectors
    edges: Floats
    margins: Floats

    @property
    def rows(self) -> int:
        """How many rows are covered: the first ones of the columns."""
        return len(self.order)

    @property
    def bytes(self) -> int:
        """What the files take."""
        return sum(path.stat().st_size for path in self.path.iterdir())

    def depth(self, k: int, only: Filter | None) -> float:
        """How many neighbours deep the k best of those that are allowed lie, for a filter drawn at random."""
        return k if only is None else k * self.rows / max(1, len(only.allowed))

    def nearest(
        self,
        queries: Queries,
        k: int,
        dead: NDArray[np.bool_] | None = None,
        *,
        only: Filter | None = None,
        threads: int = 1,
    ) -> Near:
        """About the k most similar live rows to each query, in no order, as `vector_scan.nearest` does.

        What is found has exactly the similarity that a scan gives it. Loads the kernels.
        """
        from whence.engine import vector_kernels

        given = (
            readonly(self.vectors.codes),
            readonly(self.vectors.scales),
            readonly(self.order),
            readonly(self.offsets),
            readonly(self.centres.codes),
            readonly(self.centres.scales),
        )
        depth = min(int(np.searchsorted(DEPTHS, self.depth(k, only))), len(DEPTHS) - 1)
        margins = readonly(self.edges[depth]), readonly(self.margins[depth])
        narrowed = vector_scan.for_kernels(dead, only)
        k = min(k, self.rows)

        def part(first: int, last: int) -> Near:
            codes, units = queries.codes[first:last], queries.units[first:last]
            rows, near, held = vector_kernels.probe(
                *given, *margins, readonly(codes), readonly(units), k, *narrowed, LEAST_CELLS
            )
            query, place = np.nonzero(np.arange(k) < held[:, None])
            return Near(query + first, rows[query, place], near[query, place])

        count = len(queries.units)
        step = -(-count // threads) or 1
        spans = [(first, min(first + step, count)) for first in range(0, count, step)]
        if len(spans) < 2:
            return part(0, count)
        with ThreadPoolExecutor(len(spans)) as pool:
            return vector_scan.joined(list(pool.map(part, *zip(*spans, strict=True))))


def build(directory: Path, generation: int, rows: Vectors, before: Cells | None, *, threads: int = 1) -> Path:
    """Make the cells of rows, which are the first ones of columns of `generation`; their directory.

    `before`: cells of fewer of these rows, whose centroids are kept until the rows have doubled since
    they were trained. Memory: about 1 KB for each row of a sample of 32 a cell, and 12 bytes a row.
    Raises OSError when there is no room for them; nothing of them is left then.
    """
    count = len(rows.scales)
    path = directory / f"{generation}-{count}"
    draft = directory / f"draft-{generation}-{count}"
    delete(draft)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        draft.mkdir()
        if before is not None and count < 2 * before.trained:
            trained, centres = before.trained, before.centres
            known = np.empty(count, np.int32)
            known[before.order] = np.repeat(
                np.arange(len(before.offsets) - 1, dtype=np.int32), np.diff(before.offsets)
            )
            known[before.rows :] = assigned(rows, centres, before.rows, threads)
            edges, margins = before.edges, before.margins
        else:
            trained, centres = count, trained_centres(rows, threads)
            known = assigned(rows, centres, 0, threads)
            edges, margins = learnt(rows, centres, known, threads)
        order = np.argsort(known, kind="stable")
        offsets = np.searchsorted(known[order], np.arange(len(centres.scales) + 1)).astype(np.int64)
        _write(draft, rows, order, offsets, centres)
        meta = {
            "format": _FORMAT,
            "rows": count,
            "cells": len(centres.scales),
            "width": rows.codes.shape[1],
            "trained": trained,
            "edges": edges[:, 1:].tolist(),
            "margins": margins.tolist(),
            "sums": {one.name: crc_of_file(one) for one in sorted(draft.iterdir())},
        }
        (draft / _META).write_text(json.dumps({"meta": meta, "crc": crc_of(meta)}))
        sync(draft / _META)
        sync_directory(draft)
        delete(path)
        draft.replace(path)
        sync_directory(directory)
    except OSError:
        delete(draft)
        raise
    return path


def opened(path: Path) -> Cells:
    """The cells in a directory, mapped. Raises CollectionDamaged."""
    meta = _meta(path)
    count, cells, width = meta["rows"], meta["cells"], meta["width"]
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        "codes": (np.int8, (count, width)),
        "scales": (np.float32, (count,)),
        "rows": (np.int64, (count,)),
        "offsets": (np.int64, (cells + 1,)),
        "centres": (np.int8, (cells, width)),
        "units": (np.float32, (cells,)),
    }
    codes, scales, order, offsets, centres, units = (
        _mapped(path / name, kind, shape) for name, (kind, shape) in shapes.items()
    )
    if offsets[0] != 0 or offsets[-1] != count or (np.diff(offsets) < 0).any():
        raise _damaged(f"{path / 'offsets'} contradicts itself")
    if count and not 0 <= int(order.min()) <= int(order.max()) < count:
        raise _damaged(f"{path / 'rows'} contradicts itself")
    edges = np.array([[-np.inf, *one] for one in meta["edges"]], np.float32)
    margins = np.array(meta["margins"], np.float32)
    return Cells(
        path, meta["trained"], Vectors(codes, scales), order, offsets, Vectors(centres, units), edges, margins
    )


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
    """The directory of the cells that cover most of the first `rows` rows of `generation`, if any."""
    best: tuple[int, Path] | None = None
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            first, _, last = path.name.partition("-")
            if first == str(generation) and last.isdecimal() and int(last) <= rows:
                best = max(best or (0, path), (int(last), path))
    return best[1] if best else None


def sweep(directory: Path, kept: Path | None) -> None:
    """Delete all cells but those that are kept; readers that have mapped them keep what they have."""
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            if path != kept:
                delete(path)


def trained_centres(rows: Vectors, threads: int = 1) -> Vectors:
    """Centroids of about 4 √n cells: spherical k-means over a sample, always the same for the same rows."""
    count = len(rows.scales)
    cells = max(1, min(int(4 * count**0.5), count // 4))
    rng = np.random.default_rng(count)
    sample = np.sort(rng.choice(count, min(count, _PER_CELL * cells), replace=False))
    vectors = _units_of(rows, sample)
    centres = vectors[rng.choice(len(vectors), cells, replace=False)]
    for _ in range(_ROUNDS):
        nearest = _nearest_centre(vectors, centres, threads)
        order = np.argsort(nearest, kind="stable")
        sizes = np.bincount(nearest, minlength=cells)
        filled = sizes > 0
        sums = np.add.reduceat(vectors[order], (np.cumsum(sizes) - sizes)[filled], axis=0)
        centres = vectors[rng.choice(len(vectors), cells)]  # an empty cell starts anew somewhere
        centres[filled] = _unit(sums)
    scales = (np.abs(centres).max(axis=1) / 127).astype(np.float32)
    scales[scales == 0] = 1
    return Vectors(np.rint(centres / scales[:, None]).astype(np.int8), scales)


def assigned(rows: Vectors, centres: Vectors, first: int, threads: int = 1) -> NDArray[np.int32]:
    """The cell of each row from `first` on."""
    whole = centres.codes * centres.scales[:, None]
    found = np.empty(len(rows.scales) - first, np.int32)
    for start in range(first, len(rows.scales), _COPY):
        part = rows.codes[start : start + _COPY].astype(np.float32)  # how long they are does not matter
        found[start - first : start - first + len(part)] = _nearest_centre(part, whole, threads)
    return found


def learnt(
    rows: Vectors, centres: Vectors, known: NDArray[np.int32], threads: int = 1
) -> tuple[Floats, Floats]:
    """Edges and margins that reach `RECALL` of the neighbours of a sample of rows, without themselves."""
    count = len(rows.scales)
    rng = np.random.default_rng(count + 1)
    sample = np.sort(rng.choice(count, min(count, _SAMPLE), replace=False))
    queries = vector_scan.quantised(_units_of(rows, sample))
    deepest = min(DEPTHS[-1], count - 1)
    near = vector_scan.best(
        vector_scan.nearest(rows, queries, deepest + 1, compiled=True, threads=threads), deepest + 1
    )
    row = near.row.reshape(len(sample), deepest + 1)
    # The row itself comes first, or after others that are equal to it; if too many are, the last one goes.
    own = row == sample[:, None]
    own[~own.any(axis=1), -1] = True
    row = row[~own].reshape(len(sample), deepest)
    similar = near.similarity[~own.ravel()].reshape(len(sample), deepest)
    towards = vector_scan.similarities(centres, queries).T
    towards = np.take_along_axis(towards, known[row].astype(np.int64), axis=1)
    edges = np.full((len(DEPTHS), _RANGES), -np.inf, np.float32)
    margins = np.full((len(DEPTHS), _RANGES), np.inf, np.float32)  # where nothing is known: every cell
    for depth, neighbours in enumerate(DEPTHS):
        if neighbours <= deepest:
            kth = similar[:, neighbours - 1]
            gaps = kth[:, None] - towards[:, :neighbours]
            edges[depth, 1:] = np.quantile(kth, np.arange(1, _RANGES) / _RANGES)
            of = np.searchsorted(edges[depth], kth, "right") - 1
            for one in set(of.tolist()):
                margins[depth, one] = np.quantile(gaps[of == one], RECALL)
    return edges, margins


def _nearest_centre(vectors: Floats, centres: Floats, threads: int) -> NDArray[np.int32]:
    """The most similar centroid of each vector."""

    def part(start: int) -> NDArray[np.int32]:
        best: NDArray[np.int32] = (vectors[start : start + _ROWS] @ centres.T).argmax(axis=1).astype(np.int32)
        return best

    with ThreadPoolExecutor(threads) as pool:
        found: NDArray[np.int32] = np.concatenate(list(pool.map(part, range(0, len(vectors), _ROWS))))
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


def _write(directory: Path, rows: Vectors, order: Numbers, offsets: Numbers, centres: Vectors) -> None:
    for name, whole in (("codes", rows.codes), ("scales", rows.scales)):
        with (directory / name).open("xb") as file:
            for start in range(0, len(order), _COPY):
                file.write(whole[order[start : start + _COPY]].data)
    for name, array in (
        ("rows", order),
        ("offsets", offsets),
        ("centres", centres.codes),
        ("units", centres.scales),
    ):
        (directory / name).write_bytes(array.tobytes())
    for path in directory.iterdir():
        sync(path)


def _meta(path: Path) -> dict[str, Any]:
    try:
        document = json.loads((path / _META).read_text())
        meta: dict[str, Any] = document["meta"]
        if document["crc"] != crc_of(meta) or meta["format"] != _FORMAT:
            raise ValueError("its checksum or format is wrong")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(f"{path / _META} cannot be read ({error})") from error
    return meta


def _mapped(path: Path, kind: type, shape: tuple[int, ...]) -> NDArray[Any]:
    due = int(np.prod(shape)) * np.dtype(kind).itemsize
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _damaged(f"{path} cannot be read ({error.strerror})") from None
    if size != due:
        raise _damaged(f"{path} has {size:,} bytes where {due:,} are due")
    mapped: np.memmap[Any, Any] = np.memmap(path, kind, "r", shape=shape)
    large_pages(mapped)
    return mapped.view(np.ndarray)


def _damaged(what: str) -> CollectionDamaged:
    return CollectionDamaged(f"The vectors index is damaged: {what}. Run: whence rebuild")
