"""Cells against the rule they follow, against exact search, and whatever happens to their files."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from numpy.typing import NDArray

from tests.support.brute_force import Floats, MemorySource, check_cells, check_exact, stored, vector
from tests.support.derived import DerivedSuite
from tests.support.derived_kinds import VECTORS
from tests.support.derived_life import Life, lives
from tests.support.kills import bytes_of, restore
from wherefrom.engine import cells, vector_scan
from wherefrom.engine.cells import Cells
from wherefrom.engine.sizes import CellSizes
from wherefrom.engine.vector_scan import Vectors
from wherefrom.engine.vectors import WIDTHS, VectorsIndex
from wherefrom.errors import CollectionDamaged

SMALL = VECTORS.CELLS


class TestVectors(DerivedSuite):
    kind, name = VECTORS, "VECTORS"

    def lives(self, directory: Path, source: MemorySource[bytes], seed: int) -> None:
        super().lives(directory, source, seed)
        assert not (directory / "cells").is_dir() or len(list((directory / "cells").iterdir())) <= 1


class VectorsLife(Life):
    kind = VECTORS

    @rule()
    def throw_cells_away(self) -> None:
        shutil.rmtree(self.directory / "cells", ignore_errors=True)

    @invariant()
    def both_have_the_same_cells(self) -> None:
        assert self.reader.covered == self.writer.covered


TestVectorsLife = lives(VectorsLife, 10, 10)


def rows_of(count: int, seed: int = 0) -> Vectors:
    data = np.frombuffer(b"".join(stored(seed + number) for number in range(1, count + 1)), np.uint8)
    data = data.reshape(count, sum(WIDTHS))
    return Vectors(data[:, :256].copy().view(np.int8), data[:, 256:].copy().view("<f4")[:, 0])


class Laid(NamedTuple):
    """Cells, the rows as they lie in them, and which of the rows given these are."""

    cells: Cells
    rows: Vectors
    order: NDArray[np.intp]


def built(directory: Path, rows: Vectors, before: Cells | None = None, sizes: CellSizes = SMALL) -> Laid:
    draft = cells.drafted(rows, before, sizes=sizes)
    order = np.argsort(draft.known, kind="stable")
    path = cells.write(directory, 7, draft, np.bincount(draft.known))
    return Laid(cells.opened(path, sizes), Vectors(rows.codes[order], rows.scales[order]), order)


def probed(
    laid: Laid, query: Floats, k: int, keys: NDArray[np.int64], usable: NDArray[np.bool_], depth: int
) -> list[tuple[int, float]]:
    """The rule that is promised, one cell after the other."""
    found = laid.cells
    asked = vector_scan.quantised(query[None])
    towards = vector_scan.similarities(found.centres, asked)[:, 0]
    similar = vector_scan.similarities(laid.rows, asked)[:, 0]
    best: list[tuple[int, float]] = []
    for number, cell in enumerate(np.argsort(-towards, kind="stable")):
        if number >= SMALL.least_cells and len(best) == k:
            at = np.searchsorted(found.edges[depth], best[-1][1], "right") - 1
            if towards[cell] < np.float32(best[-1][1]) - found.margins[depth, at]:
                break
        for row in range(found.offsets[cell], found.offsets[cell + 1]):
            if usable[row]:
                best.append((int(keys[row]), float(similar[row])))
        best = sorted(best, key=lambda one: (-one[1], one[0]))[:k]
    return best


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 300),
    count=st.integers(1, 250),
    k=st.integers(1, 30),
    dead=st.sampled_from([0.0, 0.3, 1.0]),
    share=st.sampled_from([None, 0.0, 0.1, 0.7]),
)
def test_probing_follows_its_rule(seed: int, count: int, k: int, dead: float, share: float | None) -> None:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        laid = built(Path(folder), rows_of(count, seed))
        mask = rng.random(count) < dead if dead else None
        keys = rng.permutation(3 * np.arange(count) + 5)
        allowed = None if share is None else np.sort(keys[rng.random(count) < share])
        usable = np.ones(count, bool) if mask is None else ~mask
        if allowed is not None:
            usable &= np.isin(keys, allowed)
        depth = min(int(np.searchsorted(SMALL.depths, laid.cells.depth(k, allowed))), len(SMALL.depths) - 1)
        queries = np.stack([vector(seed + 3), vector(seed + 1000)])
        asked = vector_scan.quantised(queries)
        near = vector_scan.best(
            laid.cells.nearest(laid.rows, asked, k, mask, keys=keys, allowed=allowed, threads=2), k
        )
        for number, query in enumerate(queries):
            mine = near.query == number
            ours = list(zip(near.key[mine].tolist(), near.similarity[mine].tolist(), strict=True))
            assert ours == probed(laid, query, min(k, count), keys, usable, depth)


def test_nothing_is_missed_when_every_cell_is_called_for(tmp_path: Path) -> None:
    rows = rows_of(500)
    laid = built(tmp_path, rows)
    laid.cells.margins[:] = np.inf
    asked = vector_scan.quantised(np.stack([vector(seed) for seed in range(900, 920)]))
    ours = vector_scan.best(laid.cells.nearest(laid.rows, asked, 40, keys=laid.order), 40)
    wanted = vector_scan.best(vector_scan.nearest(rows, asked, 40), 40)
    assert [one.tolist() for one in ours] == [one.tolist() for one in wanted]


def test_of_equally_similar_rows_in_several_cells_the_lower_keys_come_first(tmp_path: Path) -> None:
    laid = built(tmp_path, rows_of(200))
    laid.cells.margins[:] = np.inf
    equal = Vectors(laid.rows.codes, np.zeros(200, np.float32))
    asked = vector_scan.quantised(vector(3)[None])
    near = vector_scan.best(laid.cells.nearest(equal, asked, 9, keys=laid.order), 9)
    assert near.key.tolist() == list(range(9))


def test_most_neighbours_are_found_among_few_rows(tmp_path: Path) -> None:
    """Five clusters: the margins call for one of them, and not for the rest."""
    found, rows, _ = built(tmp_path, rows_of(3000), sizes=replace(SMALL, depths=(10, 100), sample=300))
    asked = vector_scan.quantised(np.stack([vector(seed) for seed in range(9001, 9061)]))
    wanted = vector_scan.nearest(rows, asked, 10)
    ours = found.nearest(rows, asked, 10)
    pairs = set(zip(wanted.query.tolist(), wanted.key.tolist(), strict=True))
    met = pairs & set(zip(ours.query.tolist(), ours.key.tolist(), strict=True))
    assert len(met) > 0.97 * len(pairs)
    assert np.isfinite(found.margins).all()
    towards = vector_scan.similarities(found.centres, asked)
    kth = vector_scan.best(ours, 10).similarity.reshape(-1, 10)[:, -1]
    called = towards >= kth - found.margins[0].max()
    assert called.mean() < 0.5


def test_cells_that_grow_keep_their_centroids_until_the_rows_have_doubled(tmp_path: Path) -> None:
    whole = rows_of(250)
    before: Cells | None = None
    rows = Vectors(whole.codes[:0], whole.scales[:0])
    trained = []
    for count in (100, 130, 199, 200, 250):
        more = slice(len(rows.scales), count)
        rows = Vectors(
            np.concatenate([rows.codes, whole.codes[more]]), np.concatenate([rows.scales, whole.scales[more]])
        )
        found, rows, _ = built(tmp_path, rows, before)
        assert found.rows == count
        cell = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
        assert (cells.assigned(rows, found.centres, 0, sizes=SMALL) == cell).all()
        trained.append(found.trained)
        before = found
    assert trained == [100, 100, 100, 200, 200]


def test_rows_that_are_all_one_and_rows_that_are_no_numbers(tmp_path: Path) -> None:
    rows = rows_of(120)
    rows.codes[:60] = rows.codes[0]
    rows.codes[60:80] = 0
    rows.scales[80:90] = np.nan
    found, laid, _ = built(tmp_path, rows)
    asked = vector_scan.quantised(vector(1)[None])
    near = vector_scan.best(found.nearest(laid, asked, 60), 60)
    wanted = vector_scan.best(vector_scan.nearest(rows, asked, 60), 60)
    assert (near.similarity == wanted.similarity).all()


def index_of(directory: Path, count: int) -> tuple[VectorsIndex, MemorySource[bytes]]:
    source = VECTORS.source(range(count))
    return VECTORS.opened(directory, source), source


def test_cells_come_with_the_rows_and_readers_see_them(tmp_path: Path) -> None:
    index, source = index_of(tmp_path / "v", 30)
    reader = VECTORS.opened(tmp_path / "v", source, write=False)
    assert (index.covered, reader.covered) == (0, 0)
    for number in range(31, 90):
        source.add(stored(number))
        index.refresh()
    assert (index.covered, reader.covered) == (84, 84)
    assert [path.name for path in (tmp_path / "v" / "cells").iterdir()] == [index._path().name]  # type: ignore[union-attr]
    for key in range(1, 60):
        source.remove(key)
    index.refresh()
    assert (index.covered, reader.covered) == (0, 0)
    check_cells(reader, source, vector(70), 9)


def test_an_exact_search_looks_at_no_cell(tmp_path: Path) -> None:
    index, source = index_of(tmp_path / "v", 90)
    with patch.object(Cells, "nearest", side_effect=AssertionError):
        check_exact(index, source, vector(5), 6)
        check_exact(index, source, vector(5), 90, set(range(1, 80)))
        with pytest.raises(AssertionError):
            index.search(vector(5)[None], 6)


def test_damaged_cells_are_told_or_refused(tmp_path: Path) -> None:
    index, source = index_of(tmp_path / "v", 90)
    index.close()
    folder = index._path()
    assert folder is not None
    whole = bytes_of(folder)
    assert set(whole) == {"offsets", "centres", "units", "meta.json"}
    for name, data in whole.items():
        restore(folder, whole)
        (folder / name).write_bytes(data[:-1])
        with pytest.raises(CollectionDamaged, match=r"vectors index is damaged: .*wherefrom rebuild"):
            VECTORS.opened(tmp_path / "v", source, write=False)
        (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        try:
            told = list(VECTORS.opened(tmp_path / "v", source, write=False).damage())
        except CollectionDamaged:
            continue
        assert len(told) == 1
        assert f"are not what was written ({name}). Run: wherefrom rebuild" in told[0]
    VECTORS.files(tmp_path / "v").clear()
    index = VECTORS.opened(tmp_path / "v", source)
    assert list(index.damage()) == []
    assert index.covered == 80


def test_a_disk_without_room_for_cells_costs_speed_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        patch("wherefrom.engine.cells.sync", side_effect=OSError(28, "No space left on device")),
        caplog.at_level(logging.WARNING),
    ):
        index, source = index_of(tmp_path / "v", 90)
    assert "vectors index is searched without new cells" in caplog.text
    assert index.covered == 0
    assert list((tmp_path / "v" / "cells").iterdir()) == []
    check_cells(index, source, vector(7), 5)
