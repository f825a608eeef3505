"""Hostile files as queries: whatever the bytes, a caller gets an answer or an error of ours, and stays small.

`benchmarks/hostile_queries.py` does so with thousands.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import wherefrom
from tests.pictures import NAMES, assert_sentence, mutated, png, sample, slow_jpeg, slow_pdf
from wherefrom.collection import Collection
from wherefrom.errors import PictureError
from wherefrom.settings import Settings

APART = ("dng", "svg", "pdf")  # which take a process each


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    place = tmp_path_factory.mktemp("hostile")
    (place / "a.png").write_bytes(sample("png"))
    settings = Settings(model="none", workers=1, decode_seconds=0.5)
    with wherefrom.open(place / "c", create=True, settings=settings) as made:
        assert made.add(place / "a.png").added
        yield made


def ended(photos: Collection, data: bytes) -> str:
    """How a search ended: the code of its error, or none."""
    try:
        photos.search(data)
    except PictureError as error:
        assert_sentence(error)
        return error.code
    return "searched"


def test_mutated_files_of_every_format(photos: Collection) -> None:
    chance = random.Random(14)
    names = [name for name in NAMES if name not in APART] * 4 + list(APART)
    found = Counter(ended(photos, mutated(sample(name), chance) or b"x") for name in names)
    assert found["searched"] > 10
    assert len(found) > 3


@pytest.mark.parametrize("make", [slow_pdf, slow_jpeg], ids=["forms", "scans"])
def test_files_without_end_are_given_up(photos: Collection, make: object) -> None:
    data = slow_pdf() if make is slow_pdf else slow_jpeg(4000, 400)
    assert len(data) < 2_500_000
    assert ended(photos, data) == "too-slow"
    assert ended(photos, sample("png")) == "searched"
    if make is slow_pdf:
        with pytest.raises(PictureError):
            photos.compare(sample("png"), data)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is told by Linux alone")
def test_the_caller_stays_small(photos: Collection) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    ribbon = png(400_000, 90, depth=1, colour=0, rows=bytes(90 * 50_001))  # 36 million pixels in 5 kB
    assert ended(photos, ribbon) in ("searched", "too-slow")
    blank = png(9_000, 9_000, depth=1, colour=0, rows=bytes(9_000 * 1126))
    assert ended(photos, blank) in ("searched", "too-slow")
    assert resident() - before < 200_000_000
