"""What is left after `kill -9` at random instants of indexing and removing.

    python benchmarks/crash.py [--kills 200] [--json]

Each round starts `wherefrom index -v`, or a program that removes images one by one, on a collection that
lives
through all rounds, and kills its process group at a random instant. Acknowledged is what it had printed: an
`added` line comes after the commit. Then the collection is opened: `check` has to be clean, every
acknowledged image found by its path, its bytes and (by a smaller copy) its fingerprint, every acknowledged
removal gone, and no image there that belongs to no file. Seals are made small, so that kills fall into them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.scenes import encoded, picture

import wherefrom

PICTURES = 120
# The constants are lowered so that a few dozen images are sealed, compacted and sealed again.
SMALL = (
    "import functools, wherefrom.adding as a, wherefrom.collection as c; "
    "from wherefrom.engine.sizes import CodeSizes, Sizes; "
    "a.COMMIT_IMAGES, a.COMMIT_SECONDS = 4, 0.02; "
    "small = Sizes(codes=CodeSizes(seal=16, compact=16, seal_at_close=1)); "
    "c.EmbeddedEngine = functools.partial(c.EmbeddedEngine, sizes=small); "
)
INDEX = SMALL + "import sys; from wherefrom.cli.main import main; main(['index', 'pictures', '-v'])"
REMOVE = SMALL + (
    "import sys, wherefrom\n"
    "with wherefrom.open('photos.wherefrom') as photos:\n"
    "    for name in sys.argv[1:]:\n"
    "        photos.remove(name); print('removed', name, file=sys.stderr, flush=True)"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chance = random.Random(1)
    tally = {"kills": 0, "acknowledged_added": 0, "acknowledged_removed": 0, "ended_before_the_kill": 0}
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        (home / "pictures").mkdir()
        for number in range(PICTURES):
            (home / "pictures" / f"{number}.jpg").write_bytes(encoded(picture(number, 160, 120)))
        present: set[str] = set()
        for round_ in range(5 * options.kills):
            if tally["kills"] >= options.kills:
                break
            removing = bool(present) and (round_ % 2 == 1 or len(present) > 0.8 * PICTURES)
            names = sorted(present) if removing else []
            chance.shuffle(names)
            command = [sys.executable, "-c", REMOVE if removing else INDEX, *names[: PICTURES // 2]]
            lines, ended = killed(command, home, chance)
            tally["kills"] += not ended
            tally["ended_before_the_kill"] += ended
            acked = {Path(unquote(line.split(" ", 1)[1].removeprefix("file://"))).name for line in lines}
            unsure = {Path(name).name for name in names} - acked if removing else set()
            tally["acknowledged_removed" if removing else "acknowledged_added"] += len(acked)
            must = {str(home / "pictures" / name) for name in acked} if not removing else set()
            if removing:
                gone = {str(home / "pictures" / name) for name in acked}
                must = {name for name in present if name not in gone and Path(name).name not in unsure}
            else:
                gone = set()
                must |= present
            present = verified(home, must, gone, chance, problems, round_)
    result = {**tally, "problems": problems}
    print(
        json.dumps(result)
        if options.json
        else "\n".join(f"{name}: {value}" for name, value in result.items())
    )
    return int(bool(problems))


def killed(command: list[str], home: Path, chance: random.Random) -> tuple[list[str], bool]:
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
        os.killpg(process.pid, signal.SIGKILL) if not ended else None
        process.wait()
    whole = log.read_text().split("\n")[:-1]
    return [line for line in whole if line.startswith(("added ", "removed "))], ended


def verified(
    home: Path, must: set[str], gone: set[str], chance: random.Random, problems: list[str], round_: int
) -> set[str]:
    """Open, check and look everything up; gives the paths whose images are there."""
    if not (home / "photos.wherefrom" / "wherefrom.json").exists():
        if must:
            problems.append(f"round {round_}: the collection is gone")
        return set()
    with wherefrom.open(home / "photos.wherefrom") as photos:
        problems.extend(f"round {round_}: {problem}" for problem in photos.check())
        there = {str(path) for path in sorted((home / "pictures").iterdir()) if photos.find(path)}
        problems.extend(f"round {round_}: lost {name}" for name in must - there)
        problems.extend(f"round {round_}: not gone {name}" for name in gone & there)
        if len(photos) != len(there):
            problems.append(f"round {round_}: {len(photos)} images for {len(there)} files")
        for name in chance.sample(sorted(there), min(12, len(there))):
            if photos.search(name)[0].kind != "identical":
                problems.append(f"round {round_}: not found by its bytes: {name}")
            copy = encoded(picture(int(Path(name).stem), 160, 120).resize((120, 90)))
            first = photos.find(name)[0].id
            if first not in [match.id for match in photos.search(copy)]:
                problems.append(f"round {round_}: not found by its fingerprint: {name}")
    return there


if __name__ == "__main__":
    sys.exit(main())
