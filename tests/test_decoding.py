"""Queries are decoded in processes that can be killed: the same pixels, and nothing hostile comes through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import failing_decoder as failing
from tests.pictures import BUILTIN, encode, sample
from tests.test_workers import alive, ends_within
from wherefrom import decoding
from wherefrom.decoding import Decoders, decoded
from wherefrom.errors import Corrupt, NotAPicture, PictureError, TooLarge, TooSlow, WherefromError
from wherefrom.picture.colour import LONGEST_SIDE
from wherefrom.picture.decode import decode
from wherefrom.picture.limits import DEFAULT_LIMITS, Limits
from wherefrom.processes.believed import error_of, facts_of, shape_of

ROOT = Path(__file__).resolve().parent.parent
Ask = Callable[..., Any]

SMALL = encode(Image.new("RGB", (32, 24), (200, 10, 7)), "PNG")  # what comes behind a PNG is no part of it


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Decoders]:
    """Processes whose decoder fails as files ask it to."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(decoding, "GRACE", 0.3)
    kept = Decoders(2, "tests.failing_decoder")
    yield kept
    kept.close()


def ask(kept: Decoders, ending: bytes, seconds: float = 20.0, memory: int = DEFAULT_LIMITS.memory) -> Any:
    return kept.decoded(SMALL + ending, True, Limits(seconds=seconds, memory=memory), 512)


@pytest.mark.parametrize("colour", [True, False])
def test_pixels_and_facts_are_those_of_this_process(colour: bool) -> None:
    for name in BUILTIN:
        here, there = decode(sample(name), colour=colour), decoded(sample(name), colour=colour)
        assert np.array_equal(here.pixels, there.pixels), name
        assert here.facts == there.facts


def test_what_is_wrong_is_told_as_here() -> None:
    for data in (b"", b"just words", sample("png")[:60], sample("jpeg")[:90]):
        with pytest.raises(PictureError) as here:
            decode(data)
        with pytest.raises(type(here.value)) as there:
            decoded(data)
        assert str(there.value) == str(here.value)


def test_what_is_no_picture_costs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Decoders(1)
    monkeypatch.setattr(decoding, "_kept", kept)
    with pytest.raises(NotAPicture):
        decoded(b"just words")
    assert not kept._idle


def test_a_hang_ends_in_time_and_the_next_is_read(hostile: Decoders) -> None:
    assert ask(hostile, b"").facts.width == 32
    began = time.monotonic()
    with pytest.raises(TooSlow) as caught:
        ask(hostile, failing.HANG, seconds=0.5)
    assert time.monotonic() - began < 20
    assert caught.value.passing
    assert ask(hostile, b"").pixels.shape == (24, 32, 3)


def test_a_death_is_a_sentence(hostile: Decoders) -> None:
    with pytest.raises(Corrupt, match="exit 3") as caught:
        ask(hostile, failing.EXIT)
    assert caught.value.passing
    with pytest.raises(TooLarge, match="memory") as full:
        ask(hostile, failing.NO_MEMORY)
    assert full.value.passing
    assert ask(hostile, b"").facts.format == "png"


def test_one_process_is_used_again_and_an_idle_one_that_died_is_replaced(hostile: Decoders) -> None:
    ask(hostile, b"")
    (first,) = hostile._idle
    ask(hostile, b"")
    assert hostile._idle == [first]
    os.kill(first._process.pid, signal.SIGKILL)
    assert ends_within(5, [first._process.pid])
    assert ask(hostile, b"").facts.width == 32
    ask(hostile, b"", memory=DEFAULT_LIMITS.memory - 4096)  # other limits, another process
    assert len(hostile._idle) == 1


def test_threads_share_processes(hostile: Decoders) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(ask(hostile, failing.SLEEP).facts.width))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [32] * 5
    assert 1 <= len(hostile._idle) <= 2


@pytest.mark.parametrize("ending", [failing.DRIP, failing.HOLD])
def test_chatter_is_not_an_answer(hostile: Decoders, ending: bytes) -> None:
    with pytest.raises(PictureError):
        ask(hostile, ending, seconds=0.2)


FACTS: dict[str, Any] = {
    "format": "png",
    "width": 4,
    "height": 4,
    "bytes": 9,
    "frames": 1,
    "credit": {},
    "decoder": "x",
}
LIES: list[dict[str, Any]] = [
    {"width": 1 << 63, "height": 2},
    {"width": 0},
    {"width": "4"},
    {"width": True},
    {"width": 40_000, "height": 40_000},
    {"frames": -1},
    {"frames": None},
    {"format": "exe"},
    {"format": ["png"]},
    {"decoder": 5},
    {"decoder": "x" * 9000},
    {"credit": []},
    {"credit": {"creator": 7}},
    {"credit": {"creator": "x" * 9000}},
    {"credit": {"__class__": "x"}},
    {"bytes": 3},
    {"bytes": -9},
    {"more": 1},
]
SHAPES: tuple[Any, ...] = (
    [4, 4, 4],
    [4, 4, 1],
    [0, 4],
    [-4, -4],
    [1 << 40, 1 << 20],
    [600, 600],
    "44",
    [4.0, 4],
    None,
    {},
)


@pytest.mark.parametrize("change", LIES, ids=str)
def test_facts_that_cannot_be_are_not_believed(change: dict[str, Any]) -> None:
    assert facts_of(FACTS, 9, DEFAULT_LIMITS).width == 4
    with pytest.raises(ValueError, match=r"."):
        facts_of(FACTS | change, 9, DEFAULT_LIMITS)


def test_shapes_and_errors_that_cannot_be_are_not_believed() -> None:
    facts = facts_of(FACTS, 9, DEFAULT_LIMITS)
    assert shape_of([4, 4, 3], facts) == (4, 4, 3)
    for shape in SHAPES:
        with pytest.raises(ValueError, match=r"."):
            shape_of(shape, facts)
    vast = replace(facts, width=10_000, height=10_000)
    assert shape_of([1000, 1000], vast) == (1000, 1000)
    for shape in ([10_000, 10_000], [1, LONGEST_SIDE + 1]):
        with pytest.raises(ValueError, match="more pixels"):
            shape_of(shape, vast)
    for message in ({"error": 3, "reason": "x"}, {"error": "corrupt", "reason": ""}):
        with pytest.raises(ValueError, match="no error"):
            error_of(message)
    assert type(error_of({"error": "usage", "reason": "Our own mistakes are not theirs."})) is Corrupt


@pytest.mark.parametrize("message", [{"shape": [1, 1]}, {"facts": {}, "shape": [4, 4]}], ids=str)
def test_a_liar_is_ended(hostile: Decoders, message: dict[str, Any]) -> None:
    with pytest.raises(Corrupt):
        ask(hostile, failing.lie(message))
    assert not hostile._idle
    assert ask(hostile, b"").facts.width == 32


def test_processes_that_cannot_start_are_no_fault_of_the_file() -> None:
    kept = Decoders(1, "tests.no_such_module")
    with pytest.raises(WherefromError, match="cannot be started") as caught:
        kept.decoded(SMALL, True, DEFAULT_LIMITS, 512)
    kept.close()
    assert not isinstance(caught.value, PictureError)


def run(script: str, *arguments: str, data: bytes = SMALL) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        input=data,
        capture_output=True,
        timeout=60,
        env=environment,
        check=False,
    )


def test_a_forked_child_has_processes_of_its_own() -> None:
    done = run("""
import os, sys
from wherefrom import decoding
data = sys.stdin.buffer.read()
decoding.decoded(data)
(ours,) = decoding._kept._idle
pid = os.fork()
if not pid:
    decoding.decoded(data)
    (theirs,) = decoding._kept._idle
    os._exit(0 if theirs._process.pid != ours._process.pid else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), decoding.decoded(data).facts.width)
assert decoding._kept._idle == [ours]
print(ours._process.pid)
""")
    assert done.stderr == b""
    assert done.stdout.split()[:2] == [b"0", b"32"]
    assert ends_within(5, [int(done.stdout.split()[2])])


def test_ctrl_c_works_while_a_query_is_decoded(hostile: Decoders) -> None:
    ask(hostile, b"")
    (decoder,) = hostile._idle
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        ask(hostile, failing.HANG)
    assert not alive(decoder._process.pid)
    assert not hostile._busy
