"""The words index's view of the catalog: every keypoint once, in order, and damage told apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.models import new_image
from wherefrom.engine.catalog import Catalog
from wherefrom.engine.postings import posting_source
from wherefrom.engine.word_files import Postings
from wherefrom.errors import CollectionDamaged
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.features.keypoints import BYTES, Keypoints

VERSION = {FINGERPRINT: "tests-1", KEYPOINTS: "tests-1"}


class Posting(NamedTuple):
    key: int
    word: int
    signature: int
    angle: int
    scale: int


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path_factory.mktemp("catalog"), create=True)) as made:
        yield made


def drawn(count: int, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    return Keypoints(
        random.random(count, np.float32),
        random.random(count, np.float32),
        random.integers(256, size=count, dtype=np.uint8),
        random.integers(256, size=count, dtype=np.uint8),
        random.integers(1 << 16, size=(count, 1), dtype=np.uint16),
        random.integers(1 << 64, size=count, dtype=np.uint64),
    ).to_bytes()


def by_loops(rows: list[tuple[int, bytes]]) -> list[Posting]:
    """One keypoint after another, as `from_bytes` has it."""
    found = []
    for key, data in rows:
        known = Keypoints.from_bytes(data) if data else None
        for place in range(len(known) if known is not None else 0):
            assert known is not None
            found.append(
                Posting(
                    key,
                    int(known.words[place, 0]),
                    int(known.signatures[place]),
                    int(known.angles[place]),
                    int(known.scales[place]),
                )
            )
    return found


def listed(postings: Postings) -> list[Posting]:
    assert [
        a.dtype
        for a in (postings.keys, postings.words, postings.signatures, postings.angles, postings.scales)
    ] == [np.int64, np.uint16, np.uint64, np.uint8, np.uint8]
    columns = (postings.keys, postings.words, postings.signatures, postings.angles, postings.scales)
    return [Posting(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def kept_as(catalog: Catalog, rows: list[tuple[int, bytes]]) -> tuple[int, Postings]:
    """What the source makes of rows that the catalog gives."""
    with patch.object(Catalog, "features_after", return_value=rows):
        return posting_source(catalog).rows_after(0, 100)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.sampled_from([0, 1, 2, 3, 3, 3, 7, 200]), max_size=9),
    steps=st.lists(st.integers(1, 2**40), min_size=9, max_size=9),
    seed=st.integers(0, 999),
)
def test_postings_are_those_of_a_loop(
    catalog: Catalog, counts: list[int], steps: list[int], seed: int
) -> None:
    keys = np.cumsum(steps).tolist()[: len(counts)]
    rows = [
        (key, drawn(count, 100 * seed + place))
        for place, (key, count) in enumerate(zip(keys, counts, strict=True))
    ]
    last, found = kept_as(catalog, rows)
    assert listed(found) == by_loops(rows)
    assert len(found) == sum(counts)
    assert last == (keys[-1] if keys else 0)


def test_postings_of_a_catalog_in_portions(tmp_path: Path) -> None:
    counts = [3, 0, 5, 5, 0, 200, 1, 3, 0, 2]
    rows = [(place + 1, drawn(count, place)) for place, count in enumerate(counts)]
    new = [
        replace(new_image(place), features={**new_image(place).features, KEYPOINTS: data})
        for place, (_, data) in enumerate(rows)
    ]
    with closing(Catalog(tmp_path, create=True)) as made:
        assert [key for key, _ in made.add(new, VERSION)] == [key for key, _ in rows]
        source = posting_source(made)
        for limit in (1, 3, 10, 99):
            after, found, keys = 0, [], []
            while True:
                last, postings = source.rows_after(after, limit)
                if last == after:
                    assert len(postings) == 0
                    break
                # Images without keypoints count too, so that a portion of nothing else ends nothing.
                wanted = [row for row in rows if after < row[0] <= after + limit]
                assert listed(postings) == by_loops(wanted)
                assert last == wanted[-1][0]
                keys.append(last)
                found += listed(postings)
                after = last
            assert found == by_loops(rows)
            assert len(keys) == -(-len(rows) // limit)


def test_removed_images_are_gone_and_told(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path, create=True)) as made:
        made.add([new_image(seed) for seed in range(4)], VERSION)
        source = posting_source(made)
        before = source.marks()
        assert source.removals_after(0) == ([], 0)
        assert made.remove([2]) == 1
        keys, last = source.removals_after(0)
        assert keys == [2]
        assert source.removals_after(last) == ([], last)
        assert source.marks() != before
        assert source.marks() == made.marks()
        _, postings = source.rows_after(0, 99)
        assert set(postings.keys.tolist()) == {1, 3, 4}


@pytest.mark.parametrize("length", [1, BYTES - 1, BYTES + 1, 200 * BYTES - 1])
def test_a_wrong_length_is_damage_and_names_the_image(catalog: Catalog, length: int) -> None:
    with pytest.raises(CollectionDamaged, match="image number 8 are damaged"):
        kept_as(catalog, [(3, drawn(4, 0)), (8, bytes(length)), (9, drawn(4, 1))])


@pytest.mark.parametrize("data", [None, "text of 15 ch..", 15, 1.5, "\0" * BYTES])
def test_what_is_no_bytes_is_damage(catalog: Catalog, data: object) -> None:
    with pytest.raises(CollectionDamaged, match="image number 3 are damaged"):
        kept_as(catalog, [(3, data), (4, drawn(4, 1))])  # type: ignore[list-item]


@pytest.mark.parametrize("keys", [[3, 2], [3, 3], [0, 1], [-1, 4], ["3", 4], [None, 4], [3, 4.5]])
def test_keys_in_disorder_are_damage(catalog: Catalog, keys: list[int]) -> None:
    with pytest.raises(CollectionDamaged, match="in disorder"):
        kept_as(catalog, [(key, drawn(2, 0)) for key in keys])


def test_nothing_after_the_last() -> None:
    empty = _empty()
    assert [len(column) for column in (empty.keys, empty.words, empty.signatures)] == [0, 0, 0]


def _empty() -> Postings:
    from wherefrom.engine.postings import _postings

    return _postings([], [])
