"""No second writer: a child that was forked, a lock file that was deleted, a directory that was made anew."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.models import new_images, small
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.errors import CollectionError, CollectionLocked

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def in_a_child(work: Callable[[], object]) -> int:
    """How a forked child ends that does some work: 0 when it is true of it."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = 9
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def closes(engine: EmbeddedEngine) -> bool:
    """Whether it can be closed."""
    engine.close()
    return True


def refuses(engine: EmbeddedEngine, seed: int, said: str) -> bool:
    """Whether nothing can be added, with a sentence that says so."""
    try:
        engine.add(new_images(range(100 * seed, 100 * seed + 2)))
    except CollectionError as error:
        return said in str(error)
    return False


@forks
def test_a_forked_child_reads_and_does_not_write(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "c", create=True)
    engine.add(new_images(range(100, 140)))
    assert in_a_child(lambda: engine.count() == 40 and list(engine._indexes.fingerprints())) == 0
    assert in_a_child(lambda: refuses(engine, 2, "forked off")) == 0
    assert in_a_child(lambda: closes(engine)) == 0
    engine.add(new_images(range(300, 305)))
    assert engine.count() == 45
    assert not list(engine.damage())
    engine.close()


@forks
def test_a_child_may_open_it_anew_once_the_parent_lets_go(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "c", create=True)
    engine.add(new_images(range(100, 103)))

    def anew() -> bool:
        own = EmbeddedEngine(tmp_path / "c")
        try:
            own.add(new_images(range(200, 203)))
        except CollectionLocked:
            return False
        own.close()
        return True

    assert in_a_child(anew) == 1  # while the parent has the lock
    reader, written = os.pipe()
    pid = os.fork()
    if not pid:  # a child that lives on does not hold the lock with its parent
        os.close(written)
        os.read(reader, 1)
        os._exit(0)
    engine.close()
    assert in_a_child(anew) == 0
    os.close(written)
    os.waitpid(pid, 0)


@forks
def test_a_forked_child_leaves_the_files_of_indexes_alone(tmp_path: Path) -> None:
    engine = small(tmp_path / "c", create=True)
    engine.add(new_images(range(100, 120)))

    def files() -> set[tuple[str, int]]:
        return {(str(path), path.stat().st_ino) for path in (tmp_path / "c" / "hamming").rglob("*")}

    for seed in range(2, 6):
        engine.add(new_images(range(100 * seed, 100 * seed + 20)))
        before = files()
        assert in_a_child(lambda: len(list(engine._indexes.fingerprints())) > 0 and closes(engine)) == 0
        assert files() == before
    assert not list(engine.damage())
    engine.close()


def test_a_lock_that_was_deleted_is_noticed(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "c", create=True)
    engine.add(new_images(range(100, 102)))
    (tmp_path / "c" / "writer.lock").unlink()
    other = EmbeddedEngine(tmp_path / "c")
    other.add(new_images(range(200, 202)))
    assert refuses(engine, 3, "deleted or replaced")
    assert refuses(engine, 3, "open the collection again")
    other.add(new_images(range(400, 402)))
    assert other.count() == 6
    engine.close()
    assert not list(other.damage())
    other.close()


@pytest.mark.parametrize("wrote", [False, True])
def test_a_directory_made_anew_is_noticed(tmp_path: Path, wrote: bool) -> None:
    EmbeddedEngine(tmp_path / "c", create=True).close()
    engine = EmbeddedEngine(tmp_path / "c")
    if wrote:
        engine.add(new_images(range(100, 102)))
    shutil.rmtree(tmp_path / "c")
    assert refuses(engine, 2, "deleted, moved or made anew")
    other = EmbeddedEngine(tmp_path / "c", create=True)
    assert refuses(engine, 2, "deleted, moved or made anew")
    other.add(new_images(range(300, 302)))
    assert other.count() == 2
    with pytest.raises(CollectionError, match="made anew"):
        engine.remove([1])
    engine.close()
    other.close()


def test_who_reads_notices_that_a_directory_was_made_anew(tmp_path: Path) -> None:
    place, writer = tmp_path / "c", EmbeddedEngine(tmp_path / "c", create=True)
    writer.add(new_images(range(100, 102)))
    reader = EmbeddedEngine(place)
    assert reader.count() == 2
    writer.add(new_images(range(200, 202)))
    assert reader.count() == 4  # what changes inside is seen
    writer.close()
    shutil.move(place, tmp_path / "away")
    EmbeddedEngine(place, create=True).close()
    for ask in (reader.count, reader.revision, lambda: reader.near_pairs(31, turned=False)):
        with pytest.raises(CollectionError, match="made anew since it was opened"):
            ask()
    reader.close()
    other = EmbeddedEngine(place)
    assert other.count() == 0
    other.close()
