"""Workers: right results, and a decoder that hangs, dies or eats memory takes its own file and no other."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import failing_workers as failing
from tests.pictures import BUILTIN, encode, png, sample
from wherefrom import workers as module
from wherefrom.errors import Corrupt, EmptyFile, NotAPicture, PictureError, TooLarge, TooSlow, WherefromError
from wherefrom.errors import Truncated as Cut
from wherefrom.errors import Unreadable as Shut
from wherefrom.features.extract import Recipe
from wherefrom.picture.limits import DEFAULT_LIMITS, Limits
from wherefrom.records import FileStamp, NewImage
from wherefrom.workers import Read, Task, Workers, new_image

ROOT = Path(__file__).resolve().parent.parent
Start = Callable[..., Workers]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Workers whose decoder fails as files ask it to; closed at the end."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(module, "GRACE", 0.3)
    started: list[Workers] = []

    def start(count: int = 1, seconds: float = 20.0, memory: int = DEFAULT_LIMITS.memory) -> Workers:
        limits = Limits(seconds=seconds, memory=memory)
        started.append(Workers(count, limits, _serve="tests.failing_workers"))
        return started[-1]

    yield start
    for workers in started:
        workers.close()


def work(workers: Workers, tasks: list[Task], seconds: float = 30.0) -> dict[int, Read]:
    """The results of all tasks by number; each comes exactly once."""
    for task in tasks:
        workers.submit(task)
    done: dict[int, Read] = {}
    end = time.monotonic() + seconds
    while workers.pending and time.monotonic() < end:
        for read in workers.ready(0.1):
            assert read.number not in done
            assert (read.image is None) != (read.error is None)
            done[read.number] = read
    assert sorted(done) == sorted(task.number for task in tasks)
    assert workers.ready(0) == []
    return done


def small(number: int = 0, ending: bytes = b"") -> bytes:
    """A picture of its own for each number; what comes behind a PNG is no part of it."""
    return encode(Image.new("RGB", (32, 32), (number % 256, number // 256, 7)), "PNG") + ending


def chunk(ending: bytes, at: int = 5, count: int = 12) -> list[Task]:
    return [Task(n, data=small(n, ending if n == at else b"")) for n in range(count)]


def pids(workers: Workers) -> list[int]:
    return [worker.process.pid for worker in workers._workers]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # dead, and nobody has asked


def ends_within(seconds: float, numbers: list[int]) -> bool:
    end = time.monotonic() + seconds
    while any(map(alive, numbers)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(alive, numbers))


# Results


def test_results_are_those_of_this_process(tmp_path: Path) -> None:
    tasks = []
    for number, name in enumerate(BUILTIN):
        path = tmp_path / f"{name}.txt"  # whose name says nothing
        path.write_bytes(sample(name))
        tasks += [Task(2 * number, path=str(path)), Task(2 * number + 1, data=sample(name))]
    workers = Workers(2)
    try:
        done = work(workers, tasks)
    finally:
        workers.close()
    for number, name in enumerate(BUILTIN):
        expected = new_image(sample(name), DEFAULT_LIMITS, nullcontext())
        read, bare = done[2 * number], done[2 * number + 1]
        assert read.image == bare.image == expected
        assert expected.digest == hashlib.sha256(sample(name)).digest()
        status = (tmp_path / f"{name}.txt").stat()
        assert read.stamp == FileStamp(status.st_size, status.st_mtime_ns)
        assert bare.stamp is None


def test_every_way_of_not_being_readable(start: Start, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("just words")
    (tmp_path / "half.png").write_bytes(sample("png")[:60])
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "broken").symlink_to("nowhere")
    with (tmp_path / "large.png").open("wb") as sparse:
        sparse.write(sample("png"))
        sparse.truncate(300 * 1024 * 1024)
    expected: dict[str, type[PictureError]] = {
        "folder": Shut,
        "pipe": Shut,
        "socket": Shut,
        "empty.jpg": EmptyFile,
        "text.jpg": NotAPicture,
        "half.png": Cut,
        "loop": Shut,
        "broken": Shut,
        "gone.jpg": Shut,
        "large.png": TooLarge,
        "x" * 300: Shut,
        "nul\0.jpg": Shut,
    }
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        tasks = [Task(n, path=str(tmp_path / name)) for n, name in enumerate(expected)]
        done = work(start(2), tasks)
    for number, (name, error) in enumerate(expected.items()):
        assert type(done[number].error) is error, name
        assert str(done[number].error).endswith(".")


def test_names_that_are_not_unicode(start: Start, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xff\x01\n.png")
    Path(name).write_bytes(small())
    assert work(start(), [Task(1, path=name)])[1].image is not None


def test_many_tasks_over_several_workers(start: Start) -> None:
    workers = start(2)
    assert workers.wants == 64
    done = work(workers, [Task(n, data=small(n)) for n in range(300)])
    assert len({read.image.digest for read in done.values() if read.image}) == 300
    assert workers.pending == 0
    assert len(pids(workers)) == 2


def test_large_bytes_travel(start: Start) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1500, 3), np.uint8)
    data = encode(Image.fromarray(noise), "BMP")
    read = work(start(), [Task(0, data=data)])[0]
    assert read.image is not None
    assert read.image.bytes == len(data) == 5_400_054


# Hanging and dying


def test_a_hang_costs_its_own_file(start: Start) -> None:
    began = time.monotonic()
    done = work(start(seconds=0.5), chunk(failing.LOCK))
    assert time.monotonic() - began < 12
    assert type(done.pop(5).error) is TooSlow
    assert all(read.image for read in done.values())


def test_several_hangs_at_once(start: Start) -> None:
    tasks = [Task(n, data=small(n, failing.HANG if n % 4 == 0 else b"")) for n in range(8)]
    done = work(start(2, seconds=0.4), tasks)
    assert {n for n, read in done.items() if type(read.error) is TooSlow} == {0, 4}
    assert sum(read.image is not None for read in done.values()) == 6


def test_a_slow_file_behind_quick_ones_has_its_own_time(start: Start) -> None:
    tasks = [Task(n, data=small(n, failing.HEAVY)) for n in range(5)]  # 0.4 s each, 2 s together
    done = work(start(seconds=0.5), tasks)
    assert all(read.image for read in done.values())


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        (failing.EXIT, "exit 3"),
        (failing.SEGV, "signal 11"),
        (failing.KILL, "signal 9"),
        (failing.ABORT, "signal 6"),
        (failing.RAISE, "exit 1"),
        (failing.BABBLE, ""),
    ],
)
def test_a_death_costs_its_own_file(start: Start, ending: bytes, how: str) -> None:
    done = work(start(), chunk(ending))
    error = done.pop(5).error
    assert type(error) is Corrupt
    assert error.passing
    assert how in str(error)
    assert all(read.image for read in done.values())


def test_a_death_with_every_file(start: Start) -> None:
    done = work(start(2), [Task(n, data=small(n, failing.EXIT)) for n in range(4)])
    assert all(type(read.error) is Corrupt for read in done.values())


def test_killed_from_outside_in_the_middle(start: Start) -> None:
    workers = start()
    for task in chunk(failing.HANG, count=6):
        workers.submit(task)
    done: dict[int, Read] = {}
    killed = 0
    end = time.monotonic() + 20
    while workers.pending and time.monotonic() < end:
        done |= {read.number: read for read in workers.ready(0.1)}
        busy = workers._workers[0] if workers._workers else None
        if busy and busy.started and time.monotonic() - busy.heard > 0.3 and workers.pending:
            os.kill(busy.process.pid, signal.SIGKILL)
            killed += 1
    assert killed in (1, 2)  # in its chunk, and alone, unless the others were answered by then
    assert type(done.pop(5).error) is Corrupt
    assert len(done) == 5
    assert all(read.image for read in done.values())


def test_killed_while_idle_blames_nobody(start: Start) -> None:
    workers = start()
    assert work(workers, [Task(0, data=small())])[0].image
    (before,) = pids(workers)
    os.kill(before, signal.SIGKILL)
    assert ends_within(5, [before])
    assert work(workers, [Task(1, data=small(1))])[1].image
    assert pids(workers) != [before]


def test_memory_is_capped(start: Start) -> None:
    measured = start()
    work(measured, [Task(0, data=small())])
    status = Path(f"/proc/{pids(measured)[0]}/status").read_text()
    usual = int(status.partition("VmSize:")[2].split()[0]) * 1024
    bomb = png(10_000, 10_000, depth=1, colour=0, rows=bytes(10_000 * 1251))  # 100 MB of nothing, in 12 kB
    tasks = [Task(0, data=bomb), *chunk(failing.MEMORY, at=3, count=5)[1:]]
    done = work(start(memory=usual + 70_000_000), tasks)
    for number in (0, 3):
        assert type(done[number].error) is TooLarge
    assert all(done[number].image for number in (1, 2, 4))
    assert work(start(memory=usual + 400_000_000), tasks[:1])[0].image


def test_a_cap_on_memory_that_is_lower_already() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)); "
        "from wherefrom.workers import Task, Workers; import sys; workers = Workers(1); "
        "workers.submit(Task(0, data=sys.stdin.buffer.read())); done = [];\n"
        "while not done: done = workers.ready(0.1)\n"
        "print(done[0].image is not None); workers.close()"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], input=small(), capture_output=True, timeout=30, check=True
    )
    assert (out.stdout, out.stderr) == (b"True\n", b"")


def test_waiting_for_the_gate_is_not_being_slow(start: Start) -> None:
    workers = start(3, seconds=failing.HEAVY_SECONDS + 0.1)
    done = work(workers, [Task(n, data=small(n, failing.HEAVY)) for n in range(6)])
    assert all(read.image for read in done.values())


# Lies: what could not have come of a picture is not believed


def told(**changes: Any) -> dict[str, Any]:
    """What a worker says of a picture, with something in it changed."""
    image = new_image(small(3), DEFAULT_LIMITS, nullcontext())
    fields = {name: getattr(image, name) for name in NewImage.__slots__ if name not in ("place", "signs")}
    told = fields | {"credit": image.credit.as_json(), "signs": None}
    features = changes.pop("features", {})
    if isinstance(features, dict):
        changes["features"] = {**told["features"], **features}
    else:
        changes["features"] = features
    return {"image": told | changes}


LIES: list[dict[str, Any]] = [
    {"digest": "0" * 32},
    {"digest": b"0" * 31},
    {"digest": b"0" * 32},  # of another file
    {"width": 1 << 63},
    {"width": -1},
    {"width": "9"},
    {"width": None},
    {"height": 0},
    {"height": 10**9, "width": 10**9},
    {"bytes": 1 << 63},
    {"bytes": -1},
    {"frames": 0},
    {"frames": 2.5},
    {"quality": 101},
    {"quality": 7},
    {"format": "exe"},
    {"format": None},
    {"decoder": 5},
    {"credit": None},
    {"credit": {"creator": 5}},
    {"credit": {"unknown": "x"}},
    {"signs": {"quality": 900}},
    {"signs": {"software": "x"}},
    {"signs": {"sharp": float("nan")}},
    {"signs": {"more": 1}},
    {"signs": []},
    {"place": ["file:///etc/passwd"]},
    {"more": 1},
    {"features": []},
    {"features": "none"},
    {"features": {"pdq": b""}},
    {"features": {"pdq": "0" * 33}},
    {"features": {"pdq": bytes(34)}},
    {"features": {"keypoints": b"0"}},
    {"features": {"keypoints": bytes(15 * 100_000)}},
    {"features": {"palette": b"0"}},
    {"features": {"embedding": b"0"}},
    {"features": {"unknown": b""}},
]


@pytest.mark.parametrize("change", LIES, ids=lambda change: str(change)[:40])
def test_lies_are_not_believed(change: dict[str, Any]) -> None:
    task, recipe = Task(0, data=small(3)), Recipe()
    assert module._read_result(task, told(), DEFAULT_LIMITS, recipe).image is not None
    with pytest.raises(module._NONSENSE):
        module._read_result(task, told(**change), DEFAULT_LIMITS, recipe)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"image": None},
        {"error": 3, "reason": ""},
        {"error": "corrupt"},
        {"image": {}, "stamp": [1]},
        5,
        None,
    ],
    ids=str,
)
def test_messages_of_another_shape_are_not_believed(message: Any) -> None:
    with pytest.raises(module._NONSENSE):
        module._read_result(Task(0, data=small(3)), message, DEFAULT_LIMITS, Recipe())
    with pytest.raises(module._NONSENSE):
        module._read_result(Task(0, path="x"), told() | {"stamp": [-1, 1 << 70]}, DEFAULT_LIMITS, Recipe())


def test_a_liar_costs_its_own_file(start: Start) -> None:
    done = work(start(), chunk(failing.LIE, count=4, at=2))
    assert type(done.pop(2).error) is Corrupt
    assert all(read.image for read in done.values())


def test_holding_for_ever_is_being_slow(start: Start) -> None:
    done = work(start(seconds=0.3), chunk(failing.HOLD, count=2, at=1))
    assert type(done[1].error) is TooSlow
    assert done[0].image


# Starting and ending


def test_workers_that_cannot_start_are_no_fault_of_the_files() -> None:
    workers = Workers(1, _serve="tests.no_such_module")
    workers.submit(Task(0, data=small()))

    def wait() -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            workers.ready(0.1)

    with pytest.raises(WherefromError, match="cannot be started") as caught:
        wait()
    assert not isinstance(caught.value, PictureError)
    workers.close()


def test_programs_among_the_pictures_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("msgpack", "numpy", "PIL", "wherefrom", "hashlib", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    workers = Workers(1)
    try:
        assert work(workers, [Task(0, data=small())])[0].image
    finally:
        workers.close()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("ending", [b"", failing.HANG, failing.LOCK])
def test_closing_leaves_no_process(start: Start, ending: bytes) -> None:
    workers = start(2)
    for number in range(20):
        workers.submit(Task(number, data=small(number, ending)))
    end = time.monotonic() + 10
    while time.monotonic() < end:
        workers.ready(0.05)
        if workers._workers and all(worker.started for worker in workers._workers):
            break
    numbers = pids(workers)
    assert len(numbers) == 2
    workers.close()
    assert not any(map(alive, numbers))
    workers.close()  # twice does no harm


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the socket or the alarm ends them, later")
def test_a_parent_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    script = """
import sys, time
from tests.failing_workers import LOCK
from wherefrom.workers import Task, Workers
data = sys.stdin.buffer.read()
workers = Workers(3, _serve="tests.failing_workers")
for number in range(3):
    workers.submit(Task(number, data=data + (LOCK if number else b"")))
while workers.pending > 2 or not all(worker.started for worker in workers._workers):
    workers.ready(0.05)
print(*[worker.process.pid for worker in workers._workers], flush=True)
time.sleep(1000)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent, parent.stdin as stdin:
        stdin.write(small())
        stdin.close()
        numbers = [int(number) for number in parent.stdout.readline().split()]
        assert len(numbers) == 3
        assert all(map(alive, numbers))
        parent.kill()
    assert ends_within(5, numbers)  # one idle, two inside a decoder that hears nothing
