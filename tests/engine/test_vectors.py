"""The vector index against brute force, whatever is done to it and whenever it is opened."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute_force import best_vectors, hits, rows_of, vector
from tests.support.derived_kinds import VECTORS
from wherefrom.engine import vector_scan
from wherefrom.engine.sizes import CellSizes
from wherefrom.engine.vector_scan import Queries, Vectors
from wherefrom.engine.vectors import DIMENSIONS, VectorsIndex
from wherefrom.errors import UsageError

opened = partial(VECTORS.opened, cells=CellSizes(), compiled=None)
"""Without cells, and with what a small index chooses."""


def filled(directory: Path, count: int) -> tuple[VectorsIndex, Any]:
    source = VECTORS.source(range(count))
    return opened(directory, source), source


def drawn(seed: int, rows: int, queries: int, width: int) -> tuple[Vectors, Queries]:
    """Rows and queries with many exact ties, and the extremes of what a number may be."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 128, (rows, width)).astype(np.int8)
    codes[rng.random(rows) < 0.2] = rng.choice(np.array([-128, 0, 127], np.int8))
    codes[rng.random(rows) < 0.3] = rng.integers(-2, 3, width)
    scales = rng.choice(np.array([0.001, 0.002, 0.0, -0.001], np.float32), rows)
    asked = rng.standard_normal((queries, width)).astype(np.float32)
    asked[rng.random(queries) < 0.2] = rng.choice(np.array([-1, 0, 1], np.float32))
    return Vectors(codes, scales), vector_scan.quantised(asked)


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 10_000),
    rows=st.one_of(st.integers(0, 40), st.integers(200, 1100)),
    queries=st.integers(0, 4),
    k=st.integers(1, 60),
    width=st.sampled_from([1, 40, 256, 512]),
    threads=st.integers(1, 3),
    dead=st.sampled_from([0.0, 0.2, 0.95, 1.0]),
    share=st.sampled_from([None, 0.0, 0.05, 0.6, 1.0]),
)
def test_both_paths_equal_the_twin(
    seed: int, rows: int, queries: int, k: int, width: int, threads: int, dead: float, share: float | None
) -> None:
    given_rows, asked = drawn(seed, rows, queries, width)
    rng = np.random.default_rng(seed + 1)
    mask = rng.random(rows) < dead if dead else None
    chosen = None if share is None else np.flatnonzero(rng.random(rows) < share)
    sums = given_rows.codes.astype(np.int64) @ asked.codes.T.astype(np.int64)
    assert np.abs(sums).max(initial=0) < 2**31
    scores = sums.astype(np.float32) * given_rows.scales[:, None] * asked.units
    usable = np.ones(rows, bool) if mask is None else ~mask
    if chosen is not None:
        usable &= np.isin(np.arange(rows), chosen)
    wanted = []
    for query in range(queries):
        there = np.flatnonzero(usable)
        order = np.lexsort((there, -scores[there, query]))[:k]
        wanted += [(query, row, scores[row, query]) for row in there[order]]
    for compiled in (False, True):
        near = vector_scan.nearest(
            given_rows,
            asked,
            k,
            mask,
            chosen=chosen,
            compiled=compiled,
            threads=threads,
            block=90,
            share=100,
        )
        found = vector_scan.best(near, k)
        assert list(zip(*(one.tolist() for one in found), strict=True)) == wanted


@pytest.mark.parametrize("length", [1, 31, 255, 256, 257, 512])
def test_every_way_to_multiply_gives_the_same(length: int) -> None:
    """Those that this processor does not choose, too, where it can; with the greatest numbers there are."""
    from wherefrom.engine import vector_dots

    rng = np.random.default_rng(length)
    rows = rng.integers(-128, 128, (40, length), dtype=np.int8)
    queries = rng.integers(-32_639, 32_640, (4, length), dtype=np.int16)
    rows[0], rows[1], queries[0], queries[1] = -128, 127, -32_639, 32_639
    wanted = queries.astype(np.int64) @ rows.T.astype(np.int64)
    ways: list[Any] = [(vector_dots._whole, vector_dots._dot_of_numbers, vector_dots._dots_of_numbers)]
    if vector_dots._has_vnni():
        ways.append((vector_dots._split, vector_dots._dot_of_bytes, vector_dots._dots_of_bytes))
    for laid, dot, dots in ways:
        parts, starts = laid(queries)
        for asked in range(4):
            assert [dot(row, parts[asked], starts[asked]) for row in rows] == wanted[asked].tolist()
            out = np.empty(len(rows), np.float32)
            dots(rows, parts[asked], starts[asked], out)
            assert (out == wanted[asked].astype(np.float32)).all()


def test_what_is_no_number_is_never_found() -> None:
    rows, asked = drawn(1, 600, 2, 256)
    rows.scales[::3] = np.nan
    for compiled in (False, True):
        found = vector_scan.best(vector_scan.nearest(rows, asked, 600, compiled=compiled), 600)
        assert set(found.key.tolist()) == {row for row in range(600) if row % 3}


def test_quantised_queries_are_near_what_was_asked() -> None:
    queries = np.stack([vector(seed) for seed in range(20)] + [np.zeros(DIMENSIONS, np.float32)])
    asked = vector_scan.quantised(queries)
    assert np.abs(asked.codes * asked.units[:, None] - queries).max() < 1e-5
    assert (np.abs(asked.codes[:20]).max(axis=1) == 32_639).all()
    assert not asked.codes[20].any()


def test_similarity_is_the_cosine(tmp_path: Path) -> None:
    index, _ = filled(tmp_path / "v", 300)
    vectors = np.stack([vector(seed) for seed in range(1, 301)])
    found = index.search(vectors[:20], 300)
    wanted = (vectors[:20] @ vectors.T)[found.query, found.key - 1]
    assert np.abs(found.similarity - wanted).max() < 0.01


def test_several_queries_at_once(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "v", 90)
    asked = np.stack([vector(3), vector(77), vector(500)])
    found = index.search(asked, 12)
    for number in range(3):
        assert hits(found, number) == best_vectors(rows_of(source), asked[number], 12)
    assert index.search(asked[:0], 5).query.size == 0
    assert [one.dtype for one in found] == [np.int64, np.int64, np.float32]


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    index, _ = filled(tmp_path / "v", 0)
    assert index.search(vector(1)[None], 3).key.size == 0
    assert index.search(vector(1)[None], 3, allowed=np.array([1, 2])).key.size == 0


@pytest.mark.parametrize(
    ("queries", "k", "allowed"),
    [
        (np.zeros((1, 255), np.float32), 1, None),
        (np.zeros(256, np.float32), 1, None),
        (np.zeros((1, 256)), 1, None),
        (np.full((1, 256), np.nan, np.float32), 1, None),
        (np.zeros((1, 256), np.float32), 0, None),
        (np.zeros((1, 256), np.float32), 1, np.array([2, 1])),
        (np.zeros((1, 256), np.float32), 1, np.array([1, 1])),
        (np.zeros((1, 256), np.float32), 1, np.array([[1]])),
        (np.zeros((1, 256), np.float32), 1, np.array([1.0])),
    ],
)
def test_bad_questions_are_refused(tmp_path: Path, queries: Any, k: int, allowed: Any) -> None:
    index, _ = filled(tmp_path / "v", 3)
    with pytest.raises(UsageError):
        index.search(queries, k, allowed=allowed)


def test_a_small_search_loads_no_compiler(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.support.brute_force import vector\n"
        "from tests.support.derived_kinds import VECTORS, CellSizes\n"
        "source = VECTORS.source(range(50))\n"
        "index = VECTORS.opened(Path(sys.argv[1]), source, cells=CellSizes(), compiled=None)\n"
        "assert index.search(vector(5)[None], 3).key[0] == 5\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "v")], cwd=Path(__file__).parents[2], check=True
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [np.inf, np.nan, 3e38])
def test_scales_that_were_damaged_make_no_noise(scale: float) -> None:
    rows = Vectors(np.full((3, 8), 127, np.int8), np.array([1.0, scale, 1.0], np.float32))
    queries = Queries(np.full((1, 8), 30_000, np.int16), np.array([3e4], np.float32))
    assert vector_scan.similarities(rows, queries).shape == (3, 1)
