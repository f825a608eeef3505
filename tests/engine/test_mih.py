import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wherefrom.engine import mih, mih_kernels, scan
from wherefrom.errors import CollectionDamaged, UsageError

Words = NDArray[np.uint64]


def flipped(code: Words, bits: int, rng: np.random.Generator) -> Words:
    """A code that differs from this one in so many bits."""
    changed = code.copy()
    for bit in rng.choice(256, bits, replace=False):
        changed[bit >> 6] ^= np.uint64(1 << int(bit & 63))
    return changed


def same(one: scan.Hits, other: scan.Hits) -> bool:
    return (
        np.array_equal(one.query, other.query)
        and np.array_equal(one.row, other.row)
        and np.array_equal(one.distance, other.distance)
    )


def collection(seed: int, count: int) -> tuple[Words, Words, NDArray[np.bool_]]:
    """Codes of which some are equal and bits are skewed, queries at 0 to 39 bits from some, and a mask."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, (count, 4), dtype=np.uint64)
    rare = rng.random(count) < 0.3
    codes[rare] &= rng.integers(0, 2**64, (count, 4), dtype=np.uint64)[rare]
    codes[rare] &= rng.integers(0, 2**64, (count, 4), dtype=np.uint64)[rare]
    codes[: count // 4] = codes[:1]
    queries = rng.integers(0, 2**64, (48, 4), dtype=np.uint64)
    if count:
        queries[:40] = [flipped(codes[rng.integers(count)], bits, rng) for bits in range(40)]
    return np.ascontiguousarray(codes.T), queries, rng.random(count + 3) < 0.2


@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 5000),
    threads=st.integers(1, 3),
    radius=st.integers(0, 31),
    masked=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_finds_exactly_what_a_scan_finds(
    tmp_path: Path,
    seed: int,
    count: int,
    threads: int,
    radius: int,
    masked: bool,
) -> None:
    planes, queries, dead = collection(seed, count)
    mask = dead if masked else None
    index = mih.MultiIndex.build(planes, tmp_path / "index", threads=threads)
    for reach in (radius, mih.RADIUS):
        expected = scan.within(planes, queries, reach, mask, False)
        assert same(index.within(queries, reach, mask, threads=threads, share=1), expected)
    first = index.within(queries[:1], mih.RADIUS, mask, threads=threads, share=1)
    assert same(first, scan.within(planes, queries[:1], mih.RADIUS, mask, False))


@pytest.mark.parametrize("tables", range(6, 33))
def test_any_layout_finds_codes_at_every_distance(tables: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(tables)
    codes = rng.integers(0, 2**64, (640, 4), dtype=np.uint64)
    queries = np.array([flipped(codes[row], row % 32, rng) for row in range(640)])
    bits = min(256 // tables, 11)  # keys lie across words and within them
    keys = [bits] * (mih.RADIUS % tables + 1) + [max(5, bits - 2)] * (mih.RADIUS - mih.RADIUS % tables)
    planes = np.ascontiguousarray(codes.T)
    index = mih.MultiIndex.build(planes, tmp_path, layout=mih.Layout(tuple(keys[:tables])))
    assert index.layout.key_bits == tuple(keys[:tables])
    hits = index.within(queries, scan_instead=1e-9)
    assert same(hits, scan.within(planes, queries, mih.RADIUS, compiled=False))
    found = dict(zip(hits.row.tolist(), hits.distance.tolist(), strict=True))
    assert found == {row: row % 32 for row in range(640)}


@pytest.mark.parametrize("radius", range(32))
def test_tables_reach_far_enough_and_no_further(radius: int) -> None:
    for tables in range(6, 33):
        reach = mih.Layout((8,) * tables).reach(radius)
        assert sum(bits + 1 for bits in reach) == radius + 1
        assert reach == sorted(reach, reverse=True)
        assert min(reach) >= -1


def test_the_shape_of_the_files_is_stated_alike_twice() -> None:
    here = (mih._GROUP_BITS, mih._RECORD, mih._BOUNDS, mih._PADDING)
    there = (mih_kernels.GROUP_BITS, mih_kernels.RECORD, mih_kernels.GROUP + 1, mih_kernels.PADDING)
    assert here == there


def test_crowded_buckets_and_queries_that_meet_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    codes = rng.integers(0, 2**64, (60_000, 4), dtype=np.uint64)
    codes[::3] = codes[0]  # a third of the collection is one picture
    codes[1::3] &= np.uint64(0xFFFF)  # another shares most keys and little else
    planes = np.ascontiguousarray(codes.T)
    queries = np.array([codes[0], flipped(codes[0], 40, rng), codes[1], flipped(codes[2], 31, rng)])
    expected = scan.within(planes, queries, mih.RADIUS, compiled=False)
    assert len(expected) >= 20_000
    index = mih.MultiIndex.build(planes, tmp_path, threads=2)
    assert len(index._crowded) > 10
    scanned = []
    through = scan.within

    def noted(planes: Words, queries: Words, *rest: Any, **named: Any) -> scan.Hits:
        scanned.append(len(queries))
        return through(planes, queries, *rest, **named)

    monkeypatch.setattr(scan, "within", noted)
    for threads in (1, 2, 7):
        assert same(index.within(queries, threads=threads, share=1), expected)
    assert scanned == [3, 3, 3], "queries that share keys with a third of the collection are scanned"
    for threads in (1, 2, 7):
        found = index.within(queries, threads=threads, share=1, scan_instead=1e-9)
        assert same(found, expected)
    assert len(scanned) == 3, "with no such rule the tables answer alone, and the same"


@pytest.mark.parametrize("rows", [0, 1, 1000, 10**6, 10**8, 4 * 10**9])
def test_the_plan_keeps_within_memory(rows: int) -> None:
    free = mih.plan(rows)
    assert sum(free.key_bits) <= 256
    limit = int(0.9 * free.bytes(rows))
    tight = mih.plan(rows, limit)
    assert tight.bytes(rows) <= limit
    assert tight.cost(rows) > free.cost(rows)
    with pytest.raises(UsageError, match=f"takes at least .* {24 * rows} are allowed"):
        mih.plan(rows, 24 * rows)


def test_an_index_is_opened_again_over_more_rows(tmp_path: Path) -> None:
    planes, queries, dead = collection(4, 3000)
    built = mih.MultiIndex.build(planes[:, :2000], tmp_path / "a" / "b")
    index = mih.MultiIndex.open(tmp_path / "a" / "b", planes)
    assert index.covered == built.covered == 2000
    assert index.bytes == built.bytes
    assert index.bytes == sum(file.stat().st_size for file in (tmp_path / "a" / "b").glob("*.u32"))
    assert same(index.within(queries, 31, dead), scan.within(planes[:, :2000], queries, 31, dead, False))


def test_an_index_that_is_replaced_stays_usable(tmp_path: Path) -> None:
    planes, queries, _ = collection(5, 1200)
    old = mih.MultiIndex.build(planes[:, :700], tmp_path)
    new = mih.MultiIndex.build(planes, tmp_path)
    assert same(old.within(queries), scan.within(planes[:, :700], queries, 31, compiled=False))
    assert same(new.within(queries), scan.within(planes, queries, 31, compiled=False))


def test_half_an_index_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planes, _, _ = collection(6, 500)
    mih.MultiIndex.build(planes, tmp_path)

    def fail(_handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        mih.MultiIndex.build(planes, tmp_path)
    monkeypatch.undo()
    with pytest.raises(CollectionDamaged, match="wherefrom rebuild"):
        mih.MultiIndex.open(tmp_path, planes)
    mih.MultiIndex.build(planes, tmp_path)
    mih.MultiIndex.open(tmp_path, planes)


@pytest.mark.parametrize("name", ["rows.u32", "groups.u32", "crowded.u32"])
def test_files_of_another_size_are_refused(name: str, tmp_path: Path) -> None:
    planes, _, _ = collection(6, 500)
    mih.MultiIndex.build(planes, tmp_path)
    os.truncate(tmp_path / name, (tmp_path / name).stat().st_size - 4)
    with pytest.raises(CollectionDamaged, match=f"wherefrom rebuild.*{name}"):
        mih.MultiIndex.open(tmp_path, planes)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"rows": 501},
        {"rows": -1},
        {"key_bits": [8] * 40},
        {"key_bits": None},
        {"crowded": [0]},
        {"sample": 0},
    ],
)
def test_a_meta_that_does_not_fit_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    planes, _, _ = collection(6, 500)
    mih.MultiIndex.build(planes, tmp_path)
    path = tmp_path / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CollectionDamaged, match="wherefrom rebuild"):
        mih.MultiIndex.open(tmp_path, planes)
    path.write_text("[")
    with pytest.raises(CollectionDamaged, match="wherefrom rebuild"):
        mih.MultiIndex.open(tmp_path, planes)


def test_an_index_of_other_codes_is_refused(tmp_path: Path) -> None:
    planes, _, _ = collection(7, 900)
    mih.MultiIndex.build(planes, tmp_path)
    for other in (planes[:, :899], planes[:, ::-1], planes ^ np.uint64(1)):
        with pytest.raises(CollectionDamaged, match="other fingerprints"):
            mih.MultiIndex.open(tmp_path, other)


@pytest.mark.parametrize("name", ["rows.u32", "groups.u32"])
def test_damage_inside_a_file_never_reads_outside_it(name: str, tmp_path: Path) -> None:
    planes, queries, _ = collection(9, 4000)
    mih.MultiIndex.build(planes, tmp_path)
    path = tmp_path / name
    noise = np.random.default_rng(1).integers(0, 2**32, path.stat().st_size // 4, dtype=np.uint32)
    path.write_bytes(noise.tobytes())
    hits = mih.MultiIndex.open(tmp_path, planes).within(queries)
    assert set(hits.row.tolist()) <= set(range(4000))


def test_wrong_arguments_are_refused_in_words(tmp_path: Path) -> None:
    planes, queries, dead = collection(1, 10)
    index = mih.MultiIndex.build(planes, tmp_path)
    for radius in (-1, 32):
        with pytest.raises(UsageError, match="scan instead"):
            index.within(queries, radius)
    with pytest.raises(UsageError, match="at least 10 long"):
        index.within(queries, 31, dead[:9])
    with pytest.raises(UsageError, match="thread"):
        index.within(queries, 31, threads=0)
    with pytest.raises(UsageError, match=r"shape \(4, n\)"):
        mih.MultiIndex.build(planes.T, tmp_path)
    assert len(index.within(queries[:0])) == 0
