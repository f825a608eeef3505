"""One writer at a time, and a sentence for the second."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from wherefrom.engine.lock import WriterLock
from wherefrom.errors import CollectionError, CollectionLocked

HOLD = """
import sys
from pathlib import Path
from wherefrom.engine.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """A process that has the lock, until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with holder(path) as first:
        with pytest.raises(CollectionLocked) as refused:
            WriterLock(path)
        assert f"Another process ({first.pid}, " in str(refused.value)
        assert f"is writing to {tmp_path}." in str(refused.value)
        assert "searching works meanwhile" in str(refused.value)
    WriterLock(path).release()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "writer.lock"
    with holder(path) as first:
        first.send_signal(signal.SIGKILL)
    assert path.exists()
    lock = WriterLock(path)
    assert str(os.getpid()) in path.read_text()
    lock.release()


def test_one_process_twice(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer.lock")
    with pytest.raises(CollectionLocked, match="This process has the collection open elsewhere"):
        WriterLock(tmp_path / "writer.lock")
    lock.release()
    WriterLock(tmp_path / "writer.lock").release()


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"pid": 1}', "\xff" * 100])
def test_a_note_that_says_nothing(tmp_path: Path, note: str) -> None:
    path = tmp_path / "writer.lock"
    lock = WriterLock(path)
    path.write_bytes(note.encode("latin-1"))
    with pytest.raises(CollectionLocked, match=r"^Another process is writing to "):
        WriterLock(path)
    lock.release()


def test_where_nothing_may_be_written(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"cannot be written to \(No such file"):
        WriterLock(tmp_path / "nowhere" / "writer.lock")
    denied = PermissionError(errno.EACCES, "Permission denied")
    with (
        patch("os.open", side_effect=denied),
        pytest.raises(CollectionError, match=r"cannot be written to \(Permission denied\)\. Check"),
    ):
        WriterLock(tmp_path / "writer.lock")


def test_where_there_are_no_locks(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with (
        patch("fcntl.flock", side_effect=OSError(errno.ENOLCK, "No locks available")),
        pytest.raises(CollectionError, match="No locks available"),
    ):
        WriterLock(tmp_path / "writer.lock")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_full_disk_does_not_stop_the_lock(tmp_path: Path) -> None:
    with patch("os.pwrite", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        lock = WriterLock(tmp_path / "writer.lock")
    with pytest.raises(CollectionLocked):
        WriterLock(tmp_path / "writer.lock")
    lock.release()
