"""Reading a file and saying what came of it: what a worker does with each task."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest

from tests.pictures import sample
from wherefrom import workers
from wherefrom.errors import NotAPicture
from wherefrom.features.extract import Recipe
from wherefrom.picture.limits import DEFAULT_LIMITS
from wherefrom.workers import read_file


def test_reading_a_file_that_changes_under_the_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(sample("png"))
    true = os.fstat

    def stated(difference: int) -> Callable[[int], os.stat_result]:
        def fstat(handle: int) -> os.stat_result:
            status = list(true(handle))
            status[6] += difference
            return os.stat_result(status)

        return fstat

    monkeypatch.setattr(os, "fstat", stated(1000))  # it has shrunk since
    data, stamp = read_file(str(path))
    assert data == sample("png")
    assert stamp.size == len(data) + 1000  # so that it is looked at again the next time
    monkeypatch.setattr(os, "fstat", stated(-100))  # it has grown since
    data, stamp = read_file(str(path))
    assert data == sample("png")[:-100]
    assert stamp.size == len(data)


def test_what_is_no_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    with path.open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(NotAPicture):
        read_file(str(path))


def told(path: Path | None, data: bytes | None) -> dict[str, Any]:
    gate = cast(Any, nullcontext())
    return workers._perform(os.fsencode(path) if path else None, data, DEFAULT_LIMITS, gate, Recipe(50))


def test_a_picture_is_told_with_its_facts_and_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(sample("png"))
    said = told(path, None)
    assert said["stamp"] == [len(sample("png")), path.stat().st_mtime_ns]
    assert (said["image"]["width"], said["image"]["height"], said["image"]["format"]) == (96, 64, "png")
    assert "place" not in said["image"]
    assert "stamp" not in told(None, sample("png"))


def test_a_refusal_is_told_by_its_code(tmp_path: Path) -> None:
    path = tmp_path / "half.png"
    path.write_bytes(sample("png")[:60])
    said = told(path, None)
    assert said["error"] == "truncated"
    assert said["stamp"][0] == 60
    gone = told(tmp_path / "gone", None)
    assert gone["error"] == "unreadable"
    assert "stamp" not in gone
    assert told(None, b"")["error"] == "empty"


def test_running_out_of_memory_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(workers, "new_image", no_memory)
    assert told(None, sample("png"))["error"] == "too-large"
