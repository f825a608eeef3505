"""The vector index against brute force, whatever is done to it and whenever it is opened."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from tests.engine.test_columns import SMALL, MemoryColumns
from wherefrom.engine import vector_scan
from wherefrom.engine.column_files import ColumnFiles
from wherefrom.engine.columns import Columns
from wherefrom.engine.sizes import CellSizes
from wherefrom.engine.vector_scan import Queries, Vectors
from wherefrom.engine.vectors import DIMENSIONS, WIDTHS, Found, VectorsIndex
from wherefrom.errors import UsageError

FEATURE = "tests-1"

Floats = NDArray[np.float32]
Hit = tuple[int, float]


def vector(seed: int) -> Floats:
    """A vector of length 1: seeds of one remainder by 5 are alike, and every seventh is an exact double."""
    seed = seed // 7 if seed % 7 == 0 else seed
    rng = np.random.default_rng([5, seed % 5])
    centre = rng.standard_normal(DIMENSIONS)
    mixed = centre + 0.5 * np.random.default_rng([6, seed]).standard_normal(DIMENSIONS)
    return (mixed / np.linalg.norm(mixed)).astype(np.float32)


def kept(numbers: Floats) -> bytes:
    """A vector as the catalog keeps it."""
    scale = np.float32(np.abs(numbers).max() / 127)
    return bytes(np.rint(numbers / scale).astype(np.int8).tobytes() + scale.tobytes())


@cache
def stored(seed: int) -> bytes:
    return kept(vector(seed))


def twin(rows: dict[int, bytes], query: Floats, k: int, allowed: set[int] | None = None) -> list[Hit]:
    """The k best of all rows, in the arithmetic that the index promises."""
    asked = vector_scan.quantised(query[None])
    keys = [key for key in rows if allowed is None or key in allowed]
    data = np.frombuffer(b"".join(rows[key] for key in keys), np.uint8).reshape(-1, sum(WIDTHS))
    sums = data[:, :DIMENSIONS].view(np.int8).astype(np.int64) @ asked.codes[0].astype(np.int64)
    scales = data[:, DIMENSIONS:].copy().view("<f4")[:, 0]
    found = zip(keys, (sums.astype(np.float32) * scales * asked.units[0]).tolist(), strict=True)
    return sorted(found, key=lambda one: (-one[1], one[0]))[:k]


def opened(
    directory: Path,
    source: MemoryColumns,
    *,
    write: bool = True,
    sizes: CellSizes = CellSizes(),
    compiled: bool | None = None,
) -> VectorsIndex:
    columns = Columns(
        directory, source, WIDTHS, feature=FEATURE, write=write, name="vectors index", sizes=SMALL
    )
    return VectorsIndex(columns, sizes=sizes, compiled=compiled)


def filled(directory: Path, count: int) -> tuple[VectorsIndex, MemoryColumns]:
    source = MemoryColumns(sum(WIDTHS))
    for number in range(1, count + 1):
        source.add(stored(number))
    return opened(directory, source), source


def hits(found: Found, query: int = 0) -> list[Hit]:
    mine = found.query == query
    return list(zip(found.key[mine].tolist(), found.similarity[mine].tolist(), strict=True))


def check(
    index: VectorsIndex, source: MemoryColumns, query: Floats, k: int, allowed: set[int] | None = None
) -> None:
    """The index gives what comparing every row gives."""
    keys = None if allowed is None else np.array(sorted(allowed), np.int64)
    found = index.search(query[None], k, allowed=keys, exact=True)
    assert hits(found) == twin(source.rows(), query, k, allowed)
    assert len(index) == len(source.rows())


class VectorsMachine(RuleBasedStateMachine):
    """One writer that comes and goes, and a reader that was there before, over one directory."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="wherefrom-vectors-")) / "v"
        self.source = MemoryColumns(sum(WIDTHS))
        self.writer = opened(self.directory, self.source)
        self.reader = opened(self.directory, self.source, write=False)
        self.query, self.k, self.allowed = vector(3), 4, set[int]()
        self.filtered = False

    def teardown(self) -> None:
        self.writer.close()
        shutil.rmtree(self.directory.parent)

    @rule(seeds=st.lists(st.integers(1, 200), min_size=1, max_size=40))
    def add(self, seeds: list[int]) -> None:
        for seed in seeds:
            self.source.add(b"" if seed % 11 == 0 else stored(seed))

    @precondition(lambda self: self.source.live)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        keys = sorted(self.source.live)
        for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=20, unique=True)):
            self.source.remove(key)

    @rule()
    def reopen(self) -> None:
        self.writer.close()
        self.writer = opened(self.directory, self.source)

    @rule()
    def die(self) -> None:
        """A writer that is killed closes nothing."""
        self.writer = opened(self.directory, self.source)

    @rule()
    def rebuild(self) -> None:
        self.writer.stop_writing()
        ColumnFiles(self.directory, "vectors index").clear(FEATURE, WIDTHS)
        self.writer = opened(self.directory, self.source)

    @rule()
    def another_reader(self) -> None:
        self.reader = opened(self.directory, self.source, write=False)

    @rule(seed=st.integers(1, 200), k=st.integers(1, 30))
    def ask_otherwise(self, seed: int, k: int) -> None:
        self.query, self.k, self.filtered = vector(seed), k, False

    @rule(every=st.integers(1, 40), left=st.integers(0, 40), surplus=st.integers(0, 3))
    def allow(self, every: int, left: int, surplus: int) -> None:
        keys = range(1 + left % every, self.source.key + surplus * 1000, every)
        self.allowed, self.filtered = set(keys), True

    @invariant()
    def both_equal_brute_force(self) -> None:
        allowed = self.allowed if self.filtered else None
        check(self.writer, self.source, self.query, self.k, allowed)
        check(self.reader, self.source, self.query, self.k, allowed)

    @invariant()
    def nothing_is_damaged(self) -> None:
        assert list(opened(self.directory, self.source, write=False).damage()) == []


TestVectorsMachine = VectorsMachine.TestCase
TestVectorsMachine.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


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
        assert hits(found, number) == twin(source.rows(), asked[number], 12)
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


def test_searches_in_many_threads_while_one_adds(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "v", 30)
    wrong: list[object] = []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            first = hits(index.search(vector(8)[None], 1))[0][0]
            if first != 8:
                wrong.append(first)

    searchers = [threading.Thread(target=search) for _ in range(3)]
    for one in searchers:
        one.start()
    for number in range(200):
        key = source.add(stored(1000 + number))
        index.refresh()
        if number % 3 == 0:
            source.remove(key)
    done.set()
    for one in searchers:
        one.join()
    assert wrong == []
    check(index, source, vector(8), 20)


def test_a_small_search_loads_no_compiler(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.engine.test_vectors import filled, vector\n"
        "index, _ = filled(Path(sys.argv[1]), 50)\n"
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
