"""Several processes that write to one collection take turns, where they are asked to wait."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.scenes import encoded, picture
from wherefrom.collection import open_collection
from wherefrom.errors import CollectionLocked
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)
ROOT = Path(__file__).resolve().parents[2]
OTHER = """
import sys
import wherefrom
from wherefrom.settings import Settings
with wherefrom.open(sys.argv[1], settings=Settings(model="none", workers=1)) as held:
    held.wait_for_turn(60)
    for number in range(int(sys.argv[2])):
        held.attach(sys.argv[3], **{f"other{number}": number})
        print(number, flush=True)
"""


def test_two_processes_change_in_turn(tmp_path: Path) -> None:
    with open_collection(tmp_path / "c", create=True, settings=PLAIN) as held:
        (image,) = held.add(encoded(picture(1, 60, 40))).added
        held.wait_for_turn(60)
        command = [sys.executable, "-c", OTHER, str(tmp_path / "c"), "20", str(image.id)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}
        ) as other:
            mine, end = 0, time.monotonic() + 60
            while other.poll() is None and time.monotonic() < end:
                held.attach(str(image.id), mine=float(mine))
                mine += 1
            assert other.wait(60) == 0
        assert mine > 1
        found = held.get(str(image.id)).fields
        assert {f"other{n}" for n in range(20)} <= set(found)
        assert found["mine"] == mine - 1
        assert held.check() == []


def test_who_is_idle_lets_go_and_who_is_not_asked_to_wait_is_refused(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        open_collection(tmp_path / "c", create=True, settings=PLAIN) as first,
        open_collection(tmp_path / "c", settings=PLAIN) as second,
    ):
        (image,) = first.add(encoded(picture(1, 60, 40))).added
        with pytest.raises(CollectionLocked):
            second.attach(str(image.id), a=1)
        assert not first.let_go(60)
        second.wait_for_turn(60, lambda error: said.append(str(error)))
        thread = threading.Thread(target=lambda: second.attach(str(image.id), a=1))
        thread.start()
        time.sleep(1.5)
        assert thread.is_alive()
        assert first.let_go(60), "since somebody waits"
        thread.join()
        assert "is writing to" in said[0]
        assert not first.let_go(0), "which has nothing to let go"
        assert second.let_go(0)
        first.attach(str(image.id), b=2)
        assert first.get(str(image.id)).fields == {"a": 1.0, "b": 2.0}
        # What was added by the other is found, and what is known to one is known to both.
        assert first.let_go(0)
        new = second.add(encoded(picture(2, 60, 40)))
        assert len(new.added) == 1
        assert second.let_go(0)
        assert len(first.add(encoded(picture(2, 60, 40))).known) == 1
        assert len(first.search(encoded(picture(2, 60, 40)))) == 1
