import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wherefrom.engine import scan
from wherefrom.errors import UsageError

Words = NDArray[np.uint64]
SIZES = [0, 1, 5, 1023, 1024, 1025, 2500]


def collection(seed: int, count: int, queries: int) -> tuple[Words, Words, NDArray[np.bool_]]:
    """Codes around a few centres and far from all, queries near some of them, and a mask."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**64, (4, 4), dtype=np.uint64)
    codes = rng.integers(0, 2**64, (count, 4), dtype=np.uint64)
    near = rng.random(count) < 0.4
    noise = np.bitwise_and.reduce(rng.integers(0, 2**64, (3, count, 4), dtype=np.uint64))
    codes[near] = (centres[rng.integers(0, 4, count)] ^ noise)[near]
    asked = rng.integers(0, 2**64, (queries, 4), dtype=np.uint64)
    asked[: queries // 2] = centres[rng.integers(0, 4, queries // 2)]
    return np.ascontiguousarray(codes.T), asked, rng.random(count + 3) < rng.choice([0.0, 0.3, 1.0])


def distances(planes: Words, query: Words) -> list[int]:
    """The distance of each row, computed with nothing but integers."""
    return [sum((int(a) ^ int(b)).bit_count() for a, b in zip(code, query, strict=True)) for code in planes.T]


def triples(hits: scan.Hits) -> list[tuple[int, int, int]]:
    assert hits.query.dtype == hits.row.dtype == hits.distance.dtype == np.int64
    return list(zip(hits.query.tolist(), hits.distance.tolist(), hits.row.tolist(), strict=True))


@pytest.mark.parametrize("compiled", [False, True])
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 300),
    queries=st.integers(0, 4),
    radius=st.integers(0, 256),
    k=st.integers(1, 400),
    masked=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_both_paths_find_what_the_definition_says(
    compiled: bool, seed: int, count: int, queries: int, radius: int, k: int, masked: bool
) -> None:
    planes, asked, dead = collection(seed, count, queries)
    if not masked:
        dead = np.zeros(count, dtype=np.bool_)
    pairs = sorted(
        (query, distance, row)
        for query in range(queries)
        for row, distance in enumerate(distances(planes, asked[query]))
        if not dead[row]
    )
    mask = dead if masked else None
    found = scan.within(planes, asked, radius, mask, compiled)
    assert triples(found) == [pair for pair in pairs if pair[1] <= radius]
    nearest = scan.nearest(planes, asked, k, mask, compiled)
    assert triples(nearest) == [
        pair for query in range(queries) for pair in [pair for pair in pairs if pair[0] == query][:k]
    ]


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_kernels_equal_numpy_across_blocks_and_threads(count: int, threads: int) -> None:
    planes, asked, dead = collection(count, count, 70)
    for mask in (None, dead):
        for radius in (0, 31, 41, 62, 71, 128, 256):
            expected = scan.within(planes, asked, radius, mask, False)
            found = scan.within(planes, asked, radius, mask, True, threads=threads, share=1000)
            assert triples(found) == triples(expected)
        for k in (1, 10, 3000):
            expected = scan.nearest(planes, asked, k, mask, False)
            found = scan.nearest(planes, asked, k, mask, True, threads=threads, share=1000)
            assert triples(found) == triples(expected)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("falling", [False, True])
def test_the_order_of_distances_does_not_matter(compiled: bool, falling: bool) -> None:
    # Every code is nearer than all before it, or as near: the worst order for a bound that shrinks.
    bits = [distance for distance in range(257) for _ in range(20)]
    order = bits[::-1] if falling else bits
    codes = np.array([[(1 << min(64, max(0, n - 64 * w))) - 1 for w in range(4)] for n in order], np.uint64)
    planes = np.ascontiguousarray(codes.T)
    query = np.zeros((1, 4), dtype=np.uint64)
    for k in (1, 50, 2000, 6000):
        rows, found = scan.nearest(planes, query, k, compiled=compiled).of(0)
        assert found.tolist() == bits[:k]
        assert rows.tolist() == sorted(range(len(order)), key=lambda row: (order[row], row))[:k]


@pytest.mark.parametrize("compiled", [False, True])
def test_codes_that_are_all_the_same(compiled: bool) -> None:
    planes = np.full((4, 3000), 7, dtype=np.uint64)
    query = np.full((2, 4), 7, dtype=np.uint64)
    dead = np.zeros(3000, dtype=np.bool_)
    dead[:100] = True
    assert scan.nearest(planes, query, 3, dead, compiled).row.tolist() == [100, 101, 102] * 2
    assert len(scan.within(planes, query, 0, dead, compiled)) == 2 * 2900
    assert len(scan.nearest(planes, query, 3, np.ones(3000, dtype=np.bool_), compiled)) == 0


@pytest.mark.parametrize("compiled", [False, True])
def test_any_strides_and_read_only_files(compiled: bool, tmp_path: Path) -> None:
    planes, asked, _ = collection(3, 1500, 9)
    wide = np.zeros((9, 4000), dtype=np.uint64)
    wide[1::2, 7:3007:2] = planes
    mapped = np.memmap(tmp_path / "planes", dtype=np.uint64, mode="w+", shape=(4, 2000))
    mapped[:, :1500] = planes
    mapped.flush()
    mapped = np.memmap(tmp_path / "planes", dtype=np.uint64, mode="r", shape=(4, 2000))
    scan.large_pages(mapped)
    layouts = [wide[1::2, 7:3007:2], np.ascontiguousarray(planes.T).T, mapped[:, :1500]]
    expected = [triples(scan.within(planes, asked, 60)), triples(scan.nearest(planes, asked, 5))]
    for layout in layouts:
        assert np.array_equal(layout, planes)
        for queries in (asked, np.asfortranarray(asked), asked[::-1].copy()[::-1]):
            found = scan.within(layout, queries, 60, compiled=compiled)
            nearest = scan.nearest(layout, queries, 5, compiled=compiled)
            assert [triples(found), triples(nearest)] == expected


def test_large_batches_take_several_passes() -> None:
    planes, asked, dead = collection(5, 2100, 20)
    expected = triples(scan.nearest(planes, asked, 40, dead, False))
    found = scan.nearest(planes, asked, 40, dead, True, threads=2, share=1000, buffers=100_000)
    assert triples(found) == expected


def test_hits_of_one_query() -> None:
    planes = np.arange(8, dtype=np.uint64).reshape(1, 8).repeat(4, axis=0)
    hits = scan.within(planes, planes[:, [1, 7]].T, 4)
    rows, found = hits.of(1)
    assert (rows.tolist(), found.tolist()) == ([7, 3, 5, 6], [0, 4, 4, 4])
    assert len(hits.of(2)[0]) == 0


def test_wrong_arguments_are_refused_in_words() -> None:
    planes, asked, dead = collection(1, 10, 2)
    for bad_planes in (planes.T, planes[0], planes.astype(np.int64)):
        with pytest.raises(UsageError, match=r"shape \(4, n\)"):
            scan.within(bad_planes, asked, 3)  # type: ignore[arg-type]
    for bad_queries in (asked[0], asked.astype(np.float64), asked[:, :3]):
        with pytest.raises(UsageError, match=r"shape \(q, 4\)"):
            scan.nearest(planes, bad_queries, 3)  # type: ignore[arg-type]
    for bad_mask in (dead[:9], dead.astype(np.uint8), dead[None]):
        with pytest.raises(UsageError, match="at least 10 long"):
            scan.within(planes, asked, 3, bad_mask)  # type: ignore[arg-type]
    for radius in (-1, 257):
        with pytest.raises(UsageError, match="radius"):
            scan.within(planes, asked, radius)
    with pytest.raises(UsageError, match="at least 1, not 0"):
        scan.nearest(planes, asked, 0)
    with pytest.raises(UsageError, match="thread"):
        scan.nearest(planes, asked, 1, threads=0)


def test_numba_is_loaded_only_when_it_pays() -> None:
    program = """
import sys
import numpy as np
from wherefrom.engine import mih, scan
planes, queries = np.zeros((4, 1000), np.uint64), np.zeros((10, 4), np.uint64)
scan.NUMPY_PAIRS = 25_000
for _ in range(2):
    scan.within(planes, queries, 31)
    assert "numba" not in sys.modules
scan.nearest(planes, queries, 3)
assert "numba" in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_a_kernel_works_where_compiled_code_cannot_be_kept() -> None:
    from wherefrom.engine import kernels

    space: dict[str, object] = {}
    exec(compile("def double(number):\n    return 2 * number", "<nowhere>", "exec"), space)
    assert kernels.kernel(space["double"])(21) == 42  # type: ignore[arg-type]
