"""What is left after `kill -9` at random instants of indexing and removing.

Each round starts `wherefrom index -v`, or a program that removes images one by one, on a collection that
lives through all rounds, and kills its process group at a random instant. Acknowledged is what it had
printed: an `added` line comes after the commit. Then the collection is opened: `check` has to be clean, every
acknowledged image found by its path, its bytes and (by a smaller copy) its fingerprint, every acknowledged
removal gone, and no image there that belongs to no file. Seals are made small, so that kills fall into them.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.scenes import encoded, picture

import wherefrom

PICTURES = 120
# The sizes are lowered so that a few dozen images are sealed, compacted and sealed again.
SMALL = """
import functools, sys, wherefrom, wherefrom.adding as a, wherefrom.collection as c
from wherefrom.engine.sizes import CodeSizes, Sizes
a.COMMIT_IMAGES, a.COMMIT_SECONDS = 4, 0.02
small = Sizes(codes=CodeSizes(seal=16, compact=16, seal_at_close=1))
c.EmbeddedEngine = functools.partial(c.EmbeddedEngine, sizes=small)
"""
INDEX = SMALL + "from wherefrom.cli.main import main; main(['index', 'pictures', '-v'])"
REMOVE = SMALL + (
    "with wherefrom.open('photos.wherefrom') as photos:\n"
    "    for name in sys.argv[1:]:\n"
    "        photos.remove(name); print('removed', name, file=sys.stderr, flush=True)"
)


def run(kills: int = 200) -> tuple[dict[str, Any], list[str]]:
    chance, problems, present = random.Random(1), list[str](), set[str]()
    tally = {"kills": 0, "acknowledged_added": 0, "acknowledged_removed": 0, "ended_before_the_kill": 0}
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        (home / "pictures").mkdir()
        for number in range(PICTURES):
            (home / "pictures" / f"{number}.jpg").write_bytes(encoded(picture(number, 160, 120)))
        for round_ in range(5 * kills):
            if tally["kills"] >= kills:
                break
            removing = bool(present) and (round_ % 2 == 1 or len(present) > 0.8 * PICTURES)
            names = sorted(present) if removing else []
            chance.shuffle(names)
            names = names[: PICTURES // 2]
            command = [sys.executable, "-c", REMOVE if removing else INDEX, *names]
            lines, ended = killed(command, home, chance)
            tally["ended_before_the_kill" if ended else "kills"] += 1
            tally["acknowledged_removed" if removing else "acknowledged_added"] += len(lines)
            paths = {unquote(line.split(" ", 1)[1].removeprefix("file://")) for line in lines}
            acked = {str(home / "pictures" / Path(path).name) for path in paths}
            # What was to be removed and was not acknowledged may be there or not.
            must, gone = (present - set(names), acked) if removing else (present | acked, set[str]())
            found = verified(home, must, gone, chance)
            problems += [f"round {round_}: {one}" for one in found[1]]
            present = found[0]
    return {**tally, "problems": problems}, problems


def killed(command: list[str], home: Path, chance: random.Random) -> tuple[set[str], bool]:
    """The acknowledgements printed until the kill, whole lines only, and whether it had ended before."""
    log = home / "acknowledged"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=home, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
        )
        if chance.random() < 0.25:  # at its start: opening, making, catching up
            time.sleep(chance.uniform(0.1, 0.7))
        else:  # in the midst of its work
            deadline = time.monotonic() + 10
            while log.stat().st_size == 0 and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(chance.uniform(0.0, 0.25))
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    whole = log.read_text().split("\n")[:-1]
    return {line for line in whole if line.startswith(("added ", "removed "))}, ended


def verified(home: Path, must: set[str], gone: set[str], chance: random.Random) -> tuple[set[str], list[str]]:
    """Open, check and look everything up; gives the paths whose images are there, and what is wrong."""
    if not (home / "photos.wherefrom" / "wherefrom.json").exists():
        return set(), ["the collection is gone"] if must else []
    with wherefrom.open(home / "photos.wherefrom") as photos:
        problems = [str(one) for one in photos.check()]
        there = {str(path) for path in sorted((home / "pictures").iterdir()) if photos.find(path)}
        problems += [f"lost {name}" for name in must - there] + [f"not gone {name}" for name in gone & there]
        if len(photos) != len(there):
            problems.append(f"{len(photos)} images for {len(there)} files")
        for name in chance.sample(sorted(there), min(12, len(there))):
            if photos.search(name)[0].kind != "identical":
                problems.append(f"not found by its bytes: {name}")
            copy = encoded(picture(int(Path(name).stem), 160, 120).resize((120, 90)))
            if photos.find(name)[0].id not in [match.id for match in photos.search(copy)]:
                problems.append(f"not found by its fingerprint: {name}")
    return there, problems
