"""The engine of one machine: its promises about what is found, what is refused and what is damaged."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engine.models import digest, new_image, new_images, small, stamp, uri
from tests.support.brute_force import code
from tests.support.kills import bytes_of, restore
from wherefrom.engine import codes, embedded
from wherefrom.engine.catalog import FILE_NAME, Catalog
from wherefrom.engine.embedded import MARKER, EmbeddedEngine
from wherefrom.engine.hamming import HammingIndex
from wherefrom.engine.lock import WriterLock
from wherefrom.errors import (
    CollectionDamaged,
    CollectionError,
    CollectionLocked,
    CollectionMissing,
    CollectionTooNew,
    FeatureMismatch,
    UsageError,
    WherefromError,
)
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS, VERSIONS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.records import Refusal


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    with closing(EmbeddedEngine(tmp_path / "c", create=True)) as made:
        yield made


def found(engine: EmbeddedEngine, seed: int, *, radius: int = 0) -> list[tuple[int, int]]:
    return [(hit.key, hit.part) for hit in engine.near_codes(code(seed)[None], radius)]


def codes_of(engine: EmbeddedEngine) -> list[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """(entries, codes) of every usable fingerprint."""
    return list(engine._indexes.fingerprints())


def problems(directory: Path) -> list[str]:
    with closing(EmbeddedEngine(directory)) as opened:
        return list(opened.damage())


def everything(directory: Path) -> list[object]:
    """Every answer that a collection gives."""
    with closing(EmbeddedEngine(directory)) as opened:
        keys = range(1, 200)
        return [
            opened.count(),
            opened.images(keys),
            opened.features(FINGERPRINT, keys),
            opened.keys_of([digest(n) for n in range(200)]),
            [opened.keys_at(uri(n)) for n in range(0, 200, 9)],
            opened.near_codes(np.stack([code(n) for n in range(-130, 130)]), 20),
            opened.near_codes(code(0)[None], 110),
            [(entries.tolist(), known.tobytes()) for entries, known in codes_of(opened)],
            list(opened.select("places>=2")),
            sorted(opened.present_under("file:///")),
            # (`recognise` writes, so the catalog is asked by itself.)
            [opened._catalog._database.path.name, opened.stale()],
        ]


# Adding, finding, removing


def test_what_is_added_is_found_and_what_is_removed_is_gone(engine: EmbeddedEngine) -> None:
    assert engine.add([new_image(1), new_image(2, trimmed=True), new_image(3, usable=False)]) == [
        (1, True),
        (2, True),
        (3, True),
    ]
    assert found(engine, 1) == [(1, 0)]
    assert found(engine, 2) == [(2, 0)]
    assert found(engine, -3) == [(2, 1)]  # the code inside its bars
    assert found(engine, 3) == []  # too little in it
    assert engine.count() == 3
    assert engine.remove([2, 77]) == 1
    assert found(engine, 2) == found(engine, -3) == []
    assert engine.count() == 2
    assert list(engine.damage()) == []


def test_hits_come_nearest_first(engine: EmbeddedEngine) -> None:
    engine.add(new_images(range(60)))
    hits = engine.near_codes(np.stack([code(4), code(500)]), 256)
    for query in (0, 1):
        mine = [hit for hit in hits if hit.query == query]
        assert mine == sorted(mine, key=lambda hit: (hit.distance, hit.key, hit.part))
    assert len(hits) == 2 * sum(len(entries) for entries, _ in codes_of(engine))


def test_codes_follow_from_fingerprints(engine: EmbeddedEngine) -> None:
    """The packed way equals the plain one."""
    seeds = range(80)
    engine.add(new_images(seeds))
    engine.remove([5, 6])
    due: list[tuple[int, bytes]] = []
    for key, data in engine.features(FINGERPRINT, range(1, 81)).items():
        known = Fingerprint.from_bytes(data)
        if known.usable:
            due.append((2 * key, known.code.tobytes()))
            if known.trimmed is not None:
                due.append((2 * key + 1, known.trimmed.tobytes()))
    given = [
        (e, c.tobytes())
        for entries, known in engine._indexes.fingerprints()
        for e, c in zip(entries.tolist(), known, strict=True)
    ]
    assert given == sorted(due)
    assert len(given) == 80
    assert len({entry // 2 for entry, _ in given}) == 67


@pytest.mark.parametrize("data", [b"", b"x", bytes(32), bytes(34), bytes(74)])
def test_what_is_no_fingerprint_is_damage(engine: EmbeddedEngine, data: bytes) -> None:
    engine._catalog.add([new_image(1), new_image(2, data=data)], VERSIONS)
    with pytest.raises(CollectionDamaged, match=r"image number 2 is damaged\. Run: wherefrom rebuild"):
        found(engine, 1)


def test_everything_lasts(tmp_path: Path) -> None:
    with closing(small(tmp_path / "c", create=True)) as engine:
        for start in range(0, 150, 10):
            engine.add(new_images(range(start, start + 10)))
        engine.remove(list(range(20, 100, 2)))
        engine.refuse([Refusal(uri(900), stamp(900), "empty", "Nothing in it.", False, "r")])
        before = [found(engine, n) for n in range(150)]
        assert list(engine.damage()) == []
    with closing(small(tmp_path / "c")) as engine:
        assert [found(engine, n) for n in range(150)] == before
        assert engine.count() == 110
        assert list(engine.recognise([(uri(900), stamp(900))], "r")) == [uri(900)]
        assert list(engine.damage()) == []


def test_an_index_can_be_thrown_away(tmp_path: Path) -> None:
    with closing(small(tmp_path / "c", create=True)) as engine:
        engine.add(new_images(range(100)))
        engine.remove([3, 50])
    before = everything(tmp_path / "c")
    shutil.rmtree(tmp_path / "c" / "hamming")
    assert everything(tmp_path / "c") == before
    assert problems(tmp_path / "c") == []
    (tmp_path / "c" / "hamming").mkdir()
    with closing(small(tmp_path / "c")) as engine:
        engine.rebuild()
    assert everything(tmp_path / "c") == before


def test_nothing_works_once_closed(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "c", create=True)
    engine.add([new_image(1)])
    engine.close()
    engine.close()
    calls: list[Callable[[], object]] = [
        engine.count,
        lambda: engine.add([new_image(2)]),
        lambda: engine.remove([1]),
        lambda: found(engine, 1),
        engine.rebuild,
    ]
    for call in calls:
        with pytest.raises(UsageError, match="closed"):
            call()
    EmbeddedEngine(tmp_path / "c").close()  # and no lock was taken


# Making and opening


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(CollectionError, match="holds other files"):
        EmbeddedEngine(tmp_path, create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(CollectionMissing, match="wherefrom index FOLDER -c"):
        EmbeddedEngine(tmp_path)
    with pytest.raises(CollectionError, match="is a file"):
        EmbeddedEngine(tmp_path / "holiday.jpg")
    with pytest.raises(CollectionError, match="is a file"):
        EmbeddedEngine(tmp_path / "holiday.jpg", create=True)
    with pytest.raises(CollectionError):
        EmbeddedEngine(tmp_path / "holiday.jpg" / "c", create=True)


def test_an_empty_folder_becomes_one(tmp_path: Path) -> None:
    EmbeddedEngine(tmp_path, create=True).close()
    EmbeddedEngine(tmp_path, create=True).close()  # there already
    with pytest.raises(CollectionMissing):
        EmbeddedEngine(tmp_path / "other")
    assert not (tmp_path / "other").exists()


class Killed(BaseException):
    """What stands for the end of the process."""


@pytest.mark.parametrize(
    "where",
    [
        "wherefrom.engine.embedded.WriterLock",
        "wherefrom.engine.embedded.Catalog",
        "wherefrom.engine.migrations.migrate",
        "wherefrom.engine.embedded.write_marker",
        "wherefrom.engine.files.os.fsync",
    ],
)
def test_a_half_made_collection_is_made_anew(tmp_path: Path, where: str) -> None:
    with patch(where, side_effect=Killed), contextlib.suppress(Killed):
        EmbeddedEngine(tmp_path / "c", create=True)
    with pytest.raises(CollectionMissing):
        EmbeddedEngine(tmp_path / "c")
    with closing(EmbeddedEngine(tmp_path / "c", create=True)) as engine:
        engine.add([new_image(1)])
    assert problems(tmp_path / "c") == []


def test_a_collection_that_cannot_be_made_holds_no_lock(tmp_path: Path) -> None:
    full = OSError(28, "No space left on device")
    with (
        patch("wherefrom.engine.embedded.write_marker", side_effect=full),
        pytest.raises(CollectionError, match="cannot be made: No space left"),
    ):
        EmbeddedEngine(tmp_path / "c", create=True)
    EmbeddedEngine(tmp_path / "c", create=True).close()


def test_made_by_another_process_at_the_same_moment(tmp_path: Path) -> None:
    plain = WriterLock

    def and_meanwhile(path: Path) -> object:
        with (
            patch.object(embedded, "WriterLock", plain),
            closing(EmbeddedEngine(path.parent, create=True)) as other,
        ):
            other.add([new_image(1)])
        return plain(path)

    with patch.object(embedded, "WriterLock", and_meanwhile):
        engine = EmbeddedEngine(tmp_path / "c", create=True)
    assert engine.count() == 1
    engine.close()


def test_later_versions_are_refused(tmp_path: Path) -> None:
    with patch("wherefrom.engine.marker._FORMAT", 2):
        EmbeddedEngine(tmp_path / "c", create=True).close()
    with pytest.raises(CollectionTooNew, match="upgrade Wherefrom"):
        EmbeddedEngine(tmp_path / "c")


def test_a_catalog_that_owes_steps_is_brought_up_to_date(tmp_path: Path) -> None:
    EmbeddedEngine(tmp_path / "c", create=True).close()
    from wherefrom.engine import migrations

    steps = [*migrations.STEPS, ("0098-later", migrations._statements("CREATE TABLE later (id INTEGER)"))]
    with patch.object(migrations, "STEPS", steps):
        with closing(EmbeddedEngine(tmp_path / "c")) as engine:
            assert engine.count() == 0
            EmbeddedEngine(tmp_path / "c").close()
            with closing(EmbeddedEngine(tmp_path / "c")) as writer:
                writer.add([new_image(1)])  # bringing up to date has not kept the lock
        with closing(EmbeddedEngine(tmp_path / "c")) as engine:
            assert found(engine, 1) == [(1, 0)]


def test_two_engines_in_one_process(tmp_path: Path, engine: EmbeddedEngine) -> None:
    engine.add([new_image(1)])
    with closing(EmbeddedEngine(tmp_path / "c")) as other:
        assert found(other, 1) == [(1, 0)]
        for change in (lambda: other.add([new_image(2)]), lambda: other.remove([1]), other.rebuild):
            with pytest.raises(CollectionLocked):
                change()
        engine.add([new_image(2)])
        assert found(other, 2) == [(2, 0)]
        engine.remove([1])
        assert found(other, 1) == []


# Versions of features


@contextmanager
def next_version() -> Iterator[None]:
    with patch.dict(VERSIONS, {FINGERPRINT: "pdq-next"}):
        yield


def test_other_versions_are_never_compared(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    with closing(EmbeddedEngine(directory, create=True)) as engine:
        engine.add(new_images(range(3)))
    with next_version():
        with closing(EmbeddedEngine(directory)) as engine:
            searches: list[Callable[[], object]] = [
                lambda: found(engine, 1),
                lambda: engine.near_pairs(31, turned=False),
                lambda: engine.add([new_image(9)]),
            ]
            for search in searches:
                with pytest.raises(FeatureMismatch, match="Run: wherefrom rebuild"):
                    search()
            assert any("wherefrom rebuild" in problem for problem in engine.damage())
            assert engine.remove([1]) == 1  # what is to go may go
            assert engine.stale() == [2, 3]
            engine.refresh_features([(2, "d", new_image(50).features)])
            with pytest.raises(FeatureMismatch):
                found(engine, 50)
            engine.refresh_features([(3, "d", new_image(51).features), (1, "d", new_image(52).features)])
            engine.rebuild()
            assert found(engine, 50) == [(2, 0)]
            assert found(engine, 1) == found(engine, 52) == []
            assert list(engine.damage()) == []
        assert problems(directory) == []


def test_a_reader_of_the_old_version_refuses_after_the_rebuild(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    with closing(EmbeddedEngine(directory, create=True)) as engine:
        engine.add(new_images(range(3)))
    with closing(EmbeddedEngine(directory)) as old:
        assert found(old, 1) == [(2, 0)]
        with next_version(), closing(EmbeddedEngine(directory)) as engine:
            engine.refresh_features([(key, "d", new_image(key + 50).features) for key in (1, 2, 3)])
            engine.rebuild()
        with pytest.raises(FeatureMismatch):
            found(old, 1)


@pytest.mark.parametrize(
    "where", ["embedded.Indexes.clear", "embedded.Catalog.forget_unused_versions", "embedded.Catalog.repair"]
)
def test_a_rebuild_that_is_killed_is_made_again(tmp_path: Path, where: str) -> None:
    directory = tmp_path / "c"
    with closing(EmbeddedEngine(directory, create=True)) as engine:
        engine.add(new_images(range(3)))
    with next_version():
        with closing(EmbeddedEngine(directory)) as engine:
            engine.refresh_features([(key, "d", new_image(key + 50).features) for key in (1, 2, 3)])
            with patch(f"wherefrom.engine.{where}", side_effect=Killed), pytest.raises(Killed):
                engine.rebuild()
        with closing(EmbeddedEngine(directory)) as engine:
            with pytest.raises(FeatureMismatch):
                found(engine, 51)
            engine.rebuild()
            assert found(engine, 51) == [(1, 0)]
            assert found(engine, 0) == []


# Threads


def test_searching_in_threads_while_adding_removing_and_rebuilding(tmp_path: Path) -> None:
    with closing(small(tmp_path / "c", create=True)) as made:
        made.add(new_images(range(40)))
    wrong: list[object] = []
    done = threading.Event()
    with closing(small(tmp_path / "c")) as engine:  # a reader that turns writer meanwhile

        def search(seed: int) -> None:
            while not done.is_set():
                try:
                    if found(engine, seed) != [(seed + 1, False)]:
                        wrong.append(f"{seed} lost")
                    if engine.keys_of([digest(seed)]) != {digest(seed): seed + 1} or engine.count() < 40:
                        wrong.append(f"{seed} unknown")
                    engine.images([seed + 1])[seed + 1]
                except BaseException as error:
                    wrong.append(error)
                    raise

        threads = [threading.Thread(target=search, args=(seed,)) for seed in (1, 2, 11)]
        for thread in threads:
            thread.start()
        try:
            for number in range(40, 160, 4):
                engine.add(new_images(range(number, number + 4)))
                if found(engine, number + 2) != [(number + 3, False)] and (number + 2) % 7 != 3:
                    wrong.append(number)
                if number % 24 == 0:
                    engine.remove([number + 1, number + 2])
                if number % 40 == 0:
                    engine.rebuild()
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert wrong == []
        assert list(engine.damage()) == []


# Damage


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes], list[object]]:
    """A collection with something in every file, its bytes and its answers."""
    directory = tmp_path_factory.mktemp("filled") / "c"
    with closing(small(directory, create=True)) as engine:
        engine.add(new_images(range(120)))
        engine.add([new_image(n, at=f"file:///again/{n}.jpg") for n in range(5)])
        engine.remove([4, 9, 90, 120])
        engine.refuse(
            [Refusal(uri(900 + n), stamp(n), "empty", "Nothing in it.", False, "r") for n in range(5)]
        )
        engine.mark_gone(list(engine.present_under(uri(6))))
    answers = everything(directory)
    assert problems(directory) == []
    files = bytes_of(directory)
    kinds = {name.partition("-")[0].split("/")[-1] for name in files}
    assert kinds == {
        "wherefrom.json",
        "writer.lock",
        FILE_NAME,
        "manifest.json",
        "planes",
        "entries",
        "hashes",
    }
    return directory, files, answers


Filled = tuple[Path, dict[str, bytes], list[object]]


def judged(filled: Filled, *, catalog: bool) -> tuple[list[str], bool]:
    """What `check` says of the collection as it is now, and whether its answers are what they were.

    What names `rebuild` alone has to be cured by it.
    """
    directory, _, answers = filled
    opens = True
    try:
        named = problems(directory)
    except CollectionError as error:
        named, opens = [str(error)], False
    assert opens or catalog, f"a derived file may not keep a collection from opening: {named}"
    # Of a damaged index nothing is asked: what it answers is what `check` is for.
    unchanged = not named and everything(directory) == answers
    if named and all("wherefrom rebuild" in one for one in named):
        with closing(small(directory)) as engine:
            stale = engine.stale()
            images = {key: int(engine.images([key])[key].bytes) - 1000 for key in stale}
            fresh = {
                seed: one for one, seed in zip(new_images(images.values()), images.values(), strict=True)
            }
            engine.refresh_features([(key, "tests", fresh[images[key]].features) for key in stale])
            engine.rebuild()
        assert problems(directory) == []
        now = everything(directory)
        assert now == answers, named
    return named, unchanged


def derived(name: str) -> bool:
    return name.startswith("hamming/") or name in (MARKER, "writer.lock")


def names_of(filled: Filled, part: str) -> list[str]:
    return sorted(name for name in filled[1] if part in name)


@pytest.mark.parametrize(
    "part", ["planes-", "entries-", "manifest.json", "hashes-", MARKER, FILE_NAME, "writer.lock"]
)
@pytest.mark.parametrize("how", ["deleted", "emptied", "cut", "grown"])
def test_every_file_that_is_gone_or_cut_is_named_and_cured(filled: Filled, part: str, how: str) -> None:
    directory, files, _ = filled
    for name in names_of(filled, part):
        restore(directory, files)
        path = directory / name
        if how == "deleted":
            path.unlink()
        elif how == "grown":
            path.write_bytes(files[name] + bytes(4096))
        else:
            path.write_bytes(files[name][: len(files[name]) // 2 if how == "cut" else 0])
        named, unchanged = judged(filled, catalog=not derived(name))
        assert named or unchanged, (name, how)
        if how in ("deleted", "emptied", "cut") and name != "writer.lock":
            assert named, (name, how)
            assert any(
                path.name in one or path.parent.name in one or "rows" in one or "catalog" in one
                for one in named
            )


def flip(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("part", "times"),
    [("planes-", 12), ("entries-", 4), ("manifest.json", 4), ("hashes-", 3), (MARKER, 4)],
)
def test_every_flipped_bit_of_what_is_derived_is_named_and_cured(
    filled: Filled, part: str, times: int
) -> None:
    directory, files, _ = filled
    rng = random.Random(part)
    count = 0
    for name in names_of(filled, part):
        for _ in range(times):
            restore(directory, files)
            (directory / name).write_bytes(flip(files[name], rng))
            named, unchanged = judged(filled, catalog=False)
            assert named or unchanged, name
            count += bool(named)
    restore(directory, files)
    assert count > 0


def test_every_flipped_bit_of_the_catalog_is_named_or_changes_nothing(filled: Filled) -> None:
    directory, files, _ = filled
    rng = random.Random(7)
    named_at_all = 0
    for _ in range(24):
        restore(directory, files)
        (directory / FILE_NAME).write_bytes(flip(files[FILE_NAME], rng))
        named, unchanged = judged(filled, catalog=True)
        assert named or unchanged
        assert all("wherefrom rebuild" in one or "backup" in one or "upgrade" in one for one in named), named
        named_at_all += bool(named)
    restore(directory, files)
    assert named_at_all  # most of a page is empty in so small a catalog


def test_overwritten_pages_of_the_catalog_are_named(filled: Filled) -> None:
    directory, files, _ = filled
    data = files[FILE_NAME]
    for page in range(0, len(data), 4096):
        restore(directory, files)
        (directory / FILE_NAME).write_bytes(data[:page] + bytes(4096) + data[page + 4096 :])
        named, unchanged = judged(filled, catalog=True)
        assert named or unchanged, page // 4096
    restore(directory, files)


def test_damage_of_the_catalog_is_a_sentence_whatever_is_asked(filled: Filled) -> None:
    directory, files, _ = filled
    data = files[FILE_NAME]
    for page in range(4096, len(data), 2 * 4096):
        restore(directory, files)
        (directory / FILE_NAME).write_bytes(data[:page] + b"\xa5" * 4096 + data[page + 4096 :])
        with contextlib.suppress(WherefromError):
            everything(directory)
        with contextlib.suppress(WherefromError), closing(EmbeddedEngine(directory)) as engine:
            engine.add(new_images(range(300, 310)))
    restore(directory, files)


# Disks


def test_a_full_disk_while_rebuilding_is_a_sentence(engine: EmbeddedEngine) -> None:
    engine.add(new_images(range(3)))
    full = OSError(28, "No space left on device")
    with (
        patch("wherefrom.engine.rows.RowFiles.publish", side_effect=full),
        pytest.raises(CollectionError, match=r"could not be written \(No space left.*wherefrom rebuild"),
    ):
        engine.rebuild()
    engine.rebuild()
    assert found(engine, 1) == [(2, 0)]


FILL = """
import logging, resource, sys
from pathlib import Path
from tests.engine.models import new_images
from tests.support.brute_force import code
from wherefrom.engine.sizes import CatalogSizes, CodeSizes, Sizes
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.errors import CollectionError
sizes = Sizes(CatalogSizes(digests=100), CodeSizes(seal=256, compact=256, seal_at_close=16, hashed=512))
logging.disable()
if sys.argv[2] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
engine = EmbeddedEngine(Path(sys.argv[1]), create=True, sizes=sizes)
count, refused = 0, 0
while refused < 3:
    try:
        engine.add(new_images(range(count, count + 50)))
    except CollectionError as error:
        assert "Nothing that was acknowledged is lost" in str(error), error
        refused += 1
        continue
    count += 50
    print(count, flush=True)
    hits = engine.near_codes(code(count - 50)[None], 0)
    assert len(hits) == 1 or (count - 50) % 7 == 3, hits
engine.close()
print("closed", flush=True)
"""


def fill(directory: Path, limit: int = 0) -> int:
    """Add until the disk is full, in a process of its own; how many images were acknowledged."""
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(directory), str(limit)],
        capture_output=True,
        check=False,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    lines = done.stdout.split()
    assert lines[-1] == "closed"
    return int(lines[-2])


def holds(directory: Path, count: int) -> None:
    """What was acknowledged is there, and nothing half of what was not."""
    with closing(EmbeddedEngine(directory)) as engine:
        assert list(engine.damage()) == []
        there = engine.count()
        assert there % 50 == 0
        assert count <= there <= count + 50
        assert len(engine.keys_of([digest(n) for n in range(count)])) == count
        assert all(found(engine, n) for n in range(0, count, 97) if n % 7 != 3)


@pytest.mark.parametrize("limit", [440_000, 1_000_000])
def test_files_that_may_not_grow(tmp_path: Path, limit: int) -> None:
    count = fill(tmp_path / "c", limit)
    assert count >= 50
    holds(tmp_path / "c", count)
    with closing(EmbeddedEngine(tmp_path / "c")) as engine:
        engine.add(new_images(range(count, count + 100)))
        engine.rebuild()
    holds(tmp_path / "c", count + 100)


@contextmanager
def mounted(target: Path, *options: str) -> Iterator[Path]:
    """A file system of one's own, where this process may make one."""
    target.mkdir(exist_ok=True)
    made = subprocess.run(["mount", *options, str(target)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("mounting needs more rights than this process has")
    try:
        yield target
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting is for root")
@pytest.mark.parametrize("size", ["1m", "3m"])
def test_a_disk_that_is_full(tmp_path: Path, size: str) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={size}", "tmpfs") as disk:
        count = fill(disk / "c")
        assert count >= 50
        shutil.copytree(disk / "c", tmp_path / "copy")
        holds(disk / "c", count)
        with closing(EmbeddedEngine(disk / "c")) as engine, contextlib.suppress(CollectionError):
            engine.remove(list(range(1, count + 1)))
        with closing(EmbeddedEngine(disk / "c")) as engine:
            assert engine.count() in (0, *range(count, count + 51))
            assert list(engine.damage()) == []
    holds(tmp_path / "copy", count)


# Where nothing may be written

READ_ONLY = """
import os, sys
from contextlib import closing
from pathlib import Path
sys.path.insert(0, os.getcwd())
from tests.engine.models import new_image
from tests.support.brute_force import code
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.errors import CollectionError
new_image(0)  # imports what the other user may not be able to read
if sys.argv[2] == "user":
    os.setgid(65534), os.setuid(65534)
with closing(EmbeddedEngine(Path(sys.argv[1]))) as engine:
    def found(seed):
        return [hit.key for hit in engine.near_codes(code(seed)[None], 0)]

    print(found(1), engine.count(), list(engine.damage()), flush=True)
    for line in sys.stdin:
        print(found(int(line)), flush=True)
    try:
        engine.add([new_image(9)])
    except CollectionError as error:
        print(error)
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder below which every user may look."""
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and path.parent != path and str(path) != "/tmp":
            path.chmod(path.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    return tmp_path


def reading(directory: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", READ_ONLY, str(directory), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def ask(process: subprocess.Popen[str], seed: int) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{seed}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user is for root")
@pytest.mark.parametrize("how", ["user", "mount"])
def test_searching_where_nothing_may_be_written(world: Path, how: str) -> None:
    with closing(EmbeddedEngine(world / "c", create=True)) as engine:
        engine.add(new_images(range(1500)))
    with ExitStack() as stack:
        place = world / "c"
        if how == "mount":
            place = stack.enter_context(mounted(world / "seen", "--bind", "-o", "ro", str(world / "c")))
        process = stack.enter_context(reading(place, how))
        assert process.stdout is not None
        assert process.stdout.readline() == "[2] 1500 []\n"
        # Somebody else may write meanwhile, and what they write is seen.
        with closing(EmbeddedEngine(world / "c")) as engine:
            assert ask(process, 1) == "[2]"
            engine.add([new_image(2001)])
            assert ask(process, 2001) == "[1501]"
            engine.remove([2])
            assert ask(process, 1) == "[]"
        assert ask(process, 2001) == "[1501]"
        with closing(EmbeddedEngine(world / "c")) as engine:
            engine.add([new_image(2002)])
        assert ask(process, 2002) == "[1502]"
        rest, _ = process.communicate(timeout=30)
        assert "cannot be written to" in rest
        assert process.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user is for root")
def test_a_log_that_cannot_be_read_where_it_lies(world: Path) -> None:
    """After a crash the log holds what was acknowledged; without it the answers would be wrong."""
    directory = world / "c"
    with closing(EmbeddedEngine(directory, create=True)) as engine:
        engine.add([new_image(1)])
        shutil.copytree(directory, world / "crashed")
    (world / "crashed" / (FILE_NAME + "-shm")).unlink()
    with reading(world / "crashed", "user") as process:
        output, _ = process.communicate(timeout=30)
    assert output == ""
    assert process.returncode == 1
    with closing(EmbeddedEngine(world / "crashed")) as engine:
        assert found(engine, 1) == [(1, 0)]


def test_an_index_directory_that_cannot_be_made_costs_speed_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(small(tmp_path / "c", create=True)) as engine:
        with patch.object(Path, "mkdir", side_effect=PermissionError(13, "Permission denied")):
            engine.add(new_images(range(100)))
            assert found(engine, 50) == [(51, False)]
        assert "stays in memory" in caplog.text


def test_the_source_says_how_far_it_has_come(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path, create=True)) as catalog:
        source = codes.code_source(catalog)
        assert source.rows_after(0, 10)[0] == 0
        catalog.add(new_images(range(30)), {FINGERPRINT: "tests-1", KEYPOINTS: "tests-1"})
        catalog.remove([1, 30])
        last, (entries, packed) = source.rows_after(0, 10)
        assert (last, len(entries)) == (11, len(packed))
        assert source.rows_after(29, 10)[0] == 29
        assert source.marks().key == 30
        index = HammingIndex(tmp_path / "hamming", source, feature="tests-1", write=False)
        assert list(index.damage()) == []
        assert logging.getLogger("wherefrom").level == logging.NOTSET
