"""What every kind of derived index promises: a test class of each kind is a subclass of `DerivedSuite`."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import pytest

from tests.support.derived_kinds import Kind
from tests.support.kills import bytes_of, killed_at, restore
from wherefrom.engine.files import crc_of
from wherefrom.errors import CollectionDamaged

PROGRAM = """
import sys
from pathlib import Path
from tests.support import derived_kinds
kind = getattr(derived_kinds, sys.argv[2])
source = kind.source(range(80))
index = kind.opened(Path(sys.argv[1]), source)
print("ready", flush=True)
for number in range(80, 5000):
    source.add(kind.item(number))
    if number % 5 == 0:
        source.remove(number - 60)
    index.refresh()
"""

BEFORE = Path(__file__).parent.parent / "engine" / "indexes-before-0.2.zip"
"""Indexes of each kind, of the seeds 0 to 59, as the program made them before they had one base."""

WAYS = ["first seal", "seal", "compaction"]


class DerivedSuite:
    """Subclasses give `kind`, and its `name` among the kinds of `derived_kinds`."""

    kind: ClassVar[Kind[Any]]
    name: ClassVar[str]

    def test_a_reader_follows_a_writer_through_everything(self, tmp_path: Path) -> None:
        index, source = self.kind.filled(tmp_path / "i", 10)
        reader = self.kind.opened(tmp_path / "i", source, write=False)
        for step in range(8):
            for number in range(17):
                source.add(self.kind.item(1000 * step + number))
            for key in list(source.live)[:: 3 + step]:
                source.remove(key)
            index.refresh()
            self.kind.check(reader, source, step)
        index.close()
        self.kind.check(reader, source, 11)

    def test_what_is_added_and_removed_shows_at_once_and_everywhere(self, tmp_path: Path) -> None:
        index, source = self.kind.filled(tmp_path / "i", 23)
        reader = self.kind.opened(tmp_path / "i", source, write=False)
        source.add(self.kind.item(23))
        for key in (1, 9, 20, 21, 24):
            item = source.live[key]
            assert all(self.kind.finds(one, item, key) for one in (reader, index))
            source.remove(key)
            assert not any(self.kind.finds(one, item, key) for one in (reader, index))
        self.kind.check(index, source)

    def test_what_a_reader_knows_to_be_gone_does_not_return_with_a_seal(self, tmp_path: Path) -> None:
        """The writer learns of additions first, and seals what has been removed meanwhile."""
        index, source = self.kind.filled(tmp_path / "i", 20)
        reader = self.kind.opened(tmp_path / "i", source, write=False)
        source.remove(2)
        source.remove(19)
        self.kind.check(reader, source)
        for seed in range(100, 120):
            source.add(self.kind.item(seed))
        index.refresh()
        assert self.kind.manifest(tmp_path / "i").key > 30
        for one in (reader, index, self.kind.opened(tmp_path / "i", source, write=False)):
            self.kind.check(one, source, 1)

    def test_what_is_removed_from_the_tail_of_a_reader_stays_so_when_files_are_written_anew(
        self, tmp_path: Path
    ) -> None:
        index, source = self.kind.filled(tmp_path / "i", 50)
        source.add(self.kind.item(50))
        index.refresh()
        reader = self.kind.opened(tmp_path / "i", source, write=False)
        self.kind.check(reader, source)
        for key in sorted(source.live):
            source.remove(key)
        index.refresh()
        self.kind.check(reader, source, 1)
        assert len(reader) == len(index) == 0

    def test_images_without_rows_move_the_watermark_too(self, tmp_path: Path) -> None:
        source = self.kind.source()
        for _ in range(64):
            source.add(self.kind.nothing)
        index = self.kind.opened(tmp_path / "i", source)
        index.close()
        assert self.kind.manifest(tmp_path / "i").key == 64
        assert len(index) == 0

    def test_a_reader_sees_what_a_rebuild_has_changed(self, tmp_path: Path) -> None:
        """Features computed anew come under keys that the reader has read."""
        index, source = self.kind.filled(tmp_path / "i", 50)
        readers = [self.kind.opened(tmp_path / "i", source, write=False) for _ in range(2)]
        for key in source.live:
            source.live[key] = self.kind.item(5000 + key)
        index.stop_writing()
        self.kind.files(tmp_path / "i").clear()
        self.kind.check(readers[0], source, 1)
        self.kind.opened(tmp_path / "i", source)
        source.add(self.kind.item(51))
        for one in (*readers, index):
            self.kind.check(one, source, 2)

    def test_what_is_of_another_version_is_replaced_by_what_the_source_has(self, tmp_path: Path) -> None:
        index, source = self.kind.filled(tmp_path / "i", 40)
        index.close()
        before = bytes_of(tmp_path / "i")
        for key in source.live:
            source.live[key] = self.kind.item(5000 + key)
        self.kind.check(self.kind.opened(tmp_path / "i", source, write=False, feature="tests-2"), source, 3)
        assert bytes_of(tmp_path / "i") == before  # a reader leaves the files alone
        writer = self.kind.opened(tmp_path / "i", source, feature="tests-2")
        self.kind.check(writer, source, 3)
        writer.close()
        assert self.kind.manifest(tmp_path / "i").feature == "tests-2"
        assert list(writer.damage()) == []

    def test_an_index_ahead_of_its_source_is_refused(self, tmp_path: Path) -> None:
        """As when the catalog comes from a backup: the keys would be given again to other images."""
        index, _ = self.kind.filled(tmp_path / "i", 60)
        index.close()
        with pytest.raises(CollectionDamaged, match=r"knows more than the catalog.*wherefrom rebuild"):
            self.kind.opened(tmp_path / "i", self.kind.source(range(45)))

    def test_a_disk_that_takes_nothing_costs_speed_and_nothing_else(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        index, source = self.kind.filled(tmp_path / "i", 50)
        before = bytes_of(tmp_path / "i")
        full = OSError(28, "No space left on device")
        with patch("os.fsync", side_effect=full), caplog.at_level(logging.WARNING):
            for number in range(100):
                source.add(self.kind.item(100 + number))
                if number % 5 == 0:
                    index.refresh()
            for key in range(1, 46):
                source.remove(key)
            self.kind.check(index, source, 4)
        assert 1 <= caplog.text.count("index stays in memory for now: [Errno 28]") < 12
        after = bytes_of(tmp_path / "i")
        assert after["manifest.json"] == before["manifest.json"]
        assert after.keys() - {"manifest.draft"} == before.keys()
        self.kind.check(self.kind.opened(tmp_path / "i", source, write=False), source, 4)
        index.close()  # there is room again
        assert self.kind.manifest(tmp_path / "i").key == source.key
        reader = self.kind.opened(tmp_path / "i", source, write=False)
        assert list(reader.damage()) == []
        self.kind.check(reader, source, 4)

    def test_files_of_the_version_before_are_read_and_gone_on_with(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(BEFORE) as packed:
            packed.extractall(tmp_path, [one for one in packed.namelist() if one.startswith(f"{self.name}/")])
        directory = tmp_path / self.name
        source = self.kind.source(range(60))
        for key in (3, 30, 58):
            source.remove(key)
        before = bytes_of(directory)
        for write in (False, True):
            index = self.kind.opened(directory, source, write=write)
            self.kind.check(index, source, 7)
            assert list(index.damage()) == []
        assert self.kind.manifest(directory).key == 60
        assert bytes_of(directory) == before  # nothing was made anew
        for seed in range(60, 100):
            source.add(self.kind.item(seed))
        self.kind.check(index, source, 8)
        assert self.kind.manifest(directory).key > 80
        assert list(self.kind.opened(directory, source, write=False).damage()) == []

    # Crashes

    @pytest.mark.parametrize("what", WAYS)
    def test_a_kill_at_any_step_leaves_the_old_state_or_the_new(self, tmp_path: Path, what: str) -> None:
        directory = tmp_path / "i"
        index, source = self.kind.filled(directory, {"first seal": 2}.get(what, 61))
        index.stop_writing()
        for key in range(1, 2 if what == "first seal" else 40 if what == "compaction" else 4):
            source.remove(key)
        for seed in range(900, 920):
            source.add(self.kind.item(seed))
        before = bytes_of(directory) if directory.exists() else {}
        for step in range(1, 200):
            restore(directory, before)
            if not killed_at(step, lambda: self.kind.opened(directory, source)):
                break
            self.lives(directory, source, step)
        assert step > 6

    def lives(self, directory: Path, source: Any, seed: int) -> None:
        """After a crash, for readers and for the next writer, who leaves nothing lying about."""
        reader = self.kind.opened(directory, source, write=False)
        self.kind.check(reader, source, seed)
        assert list(reader.damage()) == []
        writer = self.kind.opened(directory, source)
        self.kind.check(writer, source, seed)
        self.kind.check(reader, source, seed)
        assert list(writer.damage()) == []
        files = self.kind.files(directory)
        named = {path.name for path in files.named(self.kind.manifest(directory))}
        numbered = {path.name for path in directory.iterdir() if "-" in path.name}
        assert numbered <= named

    def test_a_process_that_is_killed_anywhere(self, tmp_path: Path) -> None:
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "i"), self.name],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(0.05)
            child.send_signal(signal.SIGKILL)
        manifest = self.kind.manifest(tmp_path / "i")
        assert manifest.key >= 64
        source = self.kind.source(range(manifest.key))
        for number in range(manifest.removal):
            source.remove(20 + 5 * number)
        assert list(self.kind.opened(tmp_path / "i", source, write=False).damage()) == []

    # Damage

    def test_damage_is_told_by_kind(self, tmp_path: Path) -> None:
        index, source = self.kind.filled(tmp_path / "i", 64)
        index.close()

        def told(directory: str = "i") -> str:
            return "\n".join(self.kind.opened(tmp_path / directory, source, write=False).damage())

        assert told() == ""
        kept = source.live.pop(41)
        assert "belong to no image of the catalog. Run: wherefrom rebuild" in told()
        source.live[41] = self.kind.nothing
        assert "belong to no image of the catalog. Run: wherefrom rebuild" in told()
        source.live[41] = self.kind.item(5003)
        assert "differ from the catalog, the first of image number 41. Run: wherefrom rebuild" in told()
        del source.live[41]
        self.kind.opened(tmp_path / "without", source).close()
        source.live[41] = kept
        assert told() == ""
        missing = told("without")
        assert "are missing, the first of image number 41. Run: wherefrom rebuild" in missing
        assert missing.count("\n") == 0

    def test_what_changes_while_damage_is_looked_for_is_none(self, tmp_path: Path) -> None:
        index, source = self.kind.filled(tmp_path / "i", 60)
        plain = source.rows_after

        def and_meanwhile(key: int, limit: int) -> object:
            if source.key < 80:
                source.remove(min(source.live))
                source.remove(max(source.live))
                source.add(self.kind.item(5000 + source.key))
            return plain(key, limit)

        with patch.object(source, "rows_after", and_meanwhile):
            assert list(index.damage()) == []

    def test_files_of_other_sizes_are_refused(self, tmp_path: Path) -> None:
        index, source = self.kind.filled(tmp_path / "i", 40)
        index.close()
        whole = bytes_of(tmp_path / "i")
        files = self.kind.files(tmp_path / "i")
        paths = [path for path in files.named(self.kind.manifest(tmp_path / "i")) if path.is_file()]
        for path in paths:
            for change in (None, -8) if self.kind.longer_files else (None, -8, 8):
                restore(tmp_path / "i", whole)
                if change is None:
                    path.unlink()
                else:
                    os.truncate(path, path.stat().st_size + change)
                with pytest.raises(
                    CollectionDamaged, match=rf"index is damaged: .*{path.name}.*wherefrom rebuild"
                ):
                    self.kind.opened(tmp_path / "i", source)
        assert paths

    def test_a_lost_manifest_is_told_and_made_anew(self, tmp_path: Path) -> None:
        index, source = self.kind.filled(tmp_path / "i", 40)
        index.close()
        (tmp_path / "i" / "manifest.json").unlink()
        reader = self.kind.opened(tmp_path / "i", source, write=False)
        self.kind.check(reader, source, 6)
        told = list(reader.damage())
        assert told
        assert all("manifest.json is missing. Run: wherefrom rebuild" in one for one in told)
        writer = self.kind.opened(tmp_path / "i", source)
        assert list(reader.damage()) == []
        self.kind.check(writer, source, 6)

    def test_every_flip_in_a_manifest_is_found(self, tmp_path: Path) -> None:
        self.kind.filled(tmp_path / "i", 40)
        files, manifest = self.kind.files(tmp_path / "i"), self.kind.manifest(tmp_path / "i")
        path = tmp_path / "i" / "manifest.json"
        sound, harmless = path.read_bytes(), 0
        for place in range(len(sound)):
            for bit in (0, 3, 6):
                path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << bit]) + sound[place + 1 :])
                try:
                    assert files.manifest() == manifest  # white space for white space
                    harmless += 1
                except CollectionDamaged:
                    pass
        assert harmless < len(sound) // 5

    def test_what_is_no_manifest_is_refused(self, tmp_path: Path) -> None:
        for text in ("", "[]", "{}", "7", "null", '{"manifest": [], "crc": 223132457}', "\xff"):
            (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
            with pytest.raises(CollectionDamaged, match=r"cannot be read .*wherefrom rebuild"):
                self.kind.files(tmp_path).manifest()

    def test_a_manifest_of_impossible_numbers_is_refused(self, tmp_path: Path) -> None:
        self.kind.filled(tmp_path / "i", 20)
        path = tmp_path / "i" / "manifest.json"
        for wrong in self.kind.impossible:
            body = json.loads(self.kind.manifest(tmp_path / "i").to_text())["manifest"]
            segment: dict[str, Any] = next(iter(body.get("segments", [])), {})
            (segment if wrong.keys() & segment.keys() else body).update(wrong)
            sound = path.read_text()
            path.write_text(json.dumps({"manifest": body, "crc": crc_of(body)}))
            with pytest.raises(CollectionDamaged, match="cannot be read"):
                self.kind.files(tmp_path / "i").manifest()
            path.write_text(sound)

    def test_clearing_uses_numbers_that_nobody_has_seen(self, tmp_path: Path) -> None:
        self.kind.filled(tmp_path / "i", 20)[0].stop_writing()
        before = self.kind.manifest(tmp_path / "i")
        files = self.kind.files(tmp_path / "i", "tests-2")
        for prepare in ("sound", "damaged", "missing", "no directory", "a file"):
            path = tmp_path / "i" / "manifest.json"
            if prepare == "damaged":
                path.write_text("{")
            elif prepare != "sound":
                path.unlink()
            if prepare in ("no directory", "a file"):
                (tmp_path / "i").rmdir()
                if prepare == "a file":
                    (tmp_path / "i").touch()
            files.clear()
            cleared = self.kind.manifest(tmp_path / "i")
            assert (cleared.feature, cleared.key, cleared.removal) == ("tests-2", 0, 0)
            assert cleared.generation > before.generation
            assert files.named(cleared).isdisjoint((tmp_path / "i").iterdir())
            assert [one.name for one in (tmp_path / "i").iterdir()] == ["manifest.json"]

    # Threads

    def test_searches_in_many_threads_while_one_adds(self, tmp_path: Path) -> None:
        index, source = self.kind.filled(tmp_path / "i", 30)
        reader = self.kind.opened(tmp_path / "i", source, write=False)
        item = source.live[8]
        wrong: list[object] = []
        done = threading.Event()

        def search(one: Any) -> None:
            while not done.is_set():
                try:
                    if not self.kind.finds(one, item, 8):
                        wrong.append("lost")
                except BaseException as error:
                    wrong.append(error)
                    raise

        threads = [threading.Thread(target=search, args=(one,)) for one in (index, reader, reader)]
        for thread in threads:
            thread.start()
        try:
            for number in range(120):
                source.add(self.kind.item(10_000 + number))
                index.refresh()
                if number % 20 == 19:
                    for key in sorted(source.live)[20:-5]:
                        source.remove(key)
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert wrong == []
