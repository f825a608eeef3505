"""The sizes and thresholds of an engine: how much is kept in memory, read, written and compared at a time.

They change how fast something is, and never what is found. Tests give smaller ones, so that a few images
go through everything that happens to many.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DEAD_SHARE = 0.25
"""The share of removed rows above which the others are written anew."""


@dataclass(frozen=True)
class TailSizes:
    """Of an index's tail, in rows (an image's words are one row).

    The writer seals the tail when it has `seal` rows, and a writer that closes seals it from
    `seal_at_close` on, so that the next start is quick. `read` rows are read from the source at a time. Files
    are written anew for removed rows when these are many of them, and above `compact`.
    """

    seal: int
    read: int
    compact: int
    seal_at_close: int = 1_024


@dataclass(frozen=True)
class CodeSizes(TailSizes):
    """Of the Hamming index: multi-index hashing answers from `hashed` sealed rows on.

    From that many it is the faster way (`python -m benchmarks --only crossover`).
    """

    seal: int = 65_536
    read: int = 50_000
    compact: int = 65_536
    hashed: int = 1_000_000


@dataclass(frozen=True)
class WordSizes(TailSizes):
    """Of the words index: a full segment has `segment` images, 65,536 at most."""

    seal: int = 4_096
    read: int = 4_096
    compact: int = 0
    segment: int = 1 << 16


@dataclass(frozen=True)
class ColumnSizes(TailSizes):
    """Of columns."""

    seal: int = 16_384
    read: int = 16_384
    compact: int = 16_384


@dataclass(frozen=True)
class CellSizes:
    """Of cells over vectors, in rows unless said otherwise.

    Cells are built from `least_rows` sealed rows on (`benchmarks/vectors.py`), and again for no fewer than
    `least_growth` more. Allowed rows up to `gather` are gathered one by one although there are cells:
    nothing is missed then. `least_cells` cells are looked at in any case.

    Margins are learnt from a sample of `sample` rows, with each row's nearest neighbours in the numbers of
    `depths`, rising. `part` rows are taken to float32 at a time, and `assigned` assigned to cells.
    """

    least_rows: int = 200_000
    least_growth: int = 16_384
    gather: int = 16_384
    least_cells: int = 8
    depths: tuple[int, ...] = (10, 100, 500)
    sample: int = 512
    part: int = 1 << 16
    assigned: int = 4_096


@dataclass(frozen=True)
class CatalogSizes:
    """Of the catalog.

    The index of digests is written when `digests` images have come since the last time, or more where there
    are many, and by a writer that ends from `settle` on. `page` sightings are read at a time.
    """

    digests: int = 8_192
    settle: int = 1_024
    page: int = 10_000


@dataclass(frozen=True)
class Sizes:
    """Of an engine, part by part."""

    catalog: CatalogSizes = field(default_factory=CatalogSizes)
    codes: CodeSizes = field(default_factory=CodeSizes)
    words: WordSizes = field(default_factory=WordSizes)
    columns: ColumnSizes = field(default_factory=ColumnSizes)
    cells: CellSizes = field(default_factory=CellSizes)
