"""Mutated and hostile files as queries, by library and command: each back in time, the caller's memory flat.

    python benchmarks/hostile_queries.py [COUNT] [--seconds 5] [--by-command 100] [--by-commands 1000]

Every format that is read here is mutated; among the files are PDFs whose forms show each other without end,
JPEGs of hundreds of scans, pictures of a hundred million pixels in a few kilobytes, and drawings without end.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.pictures import BUILTIN, NAMES, mutated, pdf, png, sample, slow_jpeg, slow_pdf, svg

from common import machine, say, versions

GRACE = 5.0
"""Seconds beyond the limit in which a query has to be back."""

_APART = ("dng", "svg", "pdf")  # each of these takes a process of its own: fewer of them
_SAID = 1000  # queries between lines that tell of progress


class Ended(NamedTuple):
    """How a query ended: the code of its error, `found` or `nothing`; in how many seconds."""

    kind: str
    how: str
    seconds: float


def bombs() -> dict[str, bytes]:
    """Files that ask for more than there is."""
    blank = bytes(10_000 * 1251)
    return {
        "forms": slow_pdf(),
        "wide forms": slow_pdf(6, 60),
        "deep forms": slow_pdf(28, 2),
        "scans": slow_jpeg(),
        "hundred million pixels": png(10_000, 10_000, depth=1, colour=0, rows=blank),
        "a strip of pixels": png(1_000_000, 90, depth=1, colour=0, rows=bytes(90 * 125_001)),
        "a long page": pdf(content=b"q 1 0 0 rg 0 0 96 64 re f Q " * 300_000),
        "a drawing without end": svg(
            '<filter id="f"><feTurbulence baseFrequency="0.1" numOctaves="100000000"/></filter>'
            '<rect width="96" height="64" filter="url(#f)"/>'
        ),
    }


def files(count: int, seed: int = 14) -> Iterator[tuple[str, bytes]]:
    """So many files, each with its kind: the bombs, and mutated samples of every format."""
    chance = random.Random(seed)
    yield from list(bombs().items())[:count]
    for number in range(count - len(bombs())):
        if number % 2500 == 1250:
            name = ("forms", "scans")[number // 2500 % 2]
            yield f"mutated {name}", mutated(bombs()[name], chance)
            continue
        name = chance.choice(_APART) if number % 40 == 0 else chance.choice(_QUICK)
        data = sample(name)
        for _ in range(chance.choice((1, 1, 2, 4))):
            data = mutated(data, chance) or b"x"
        yield name, data


_QUICK = tuple(name for name in NAMES if name not in _APART)
assert set(BUILTIN) <= set(_QUICK)


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak(process: int | str = "self") -> int:
    """The most that it, or another process, ever had."""
    return int(Path(f"/proc/{process}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def gallery(folder: Path) -> Path:
    """A collection of a few of the samples as they are."""
    import wherefrom

    pictures = folder / "pictures"
    pictures.mkdir()
    for name in BUILTIN:
        (pictures / f"{name}.bin").write_bytes(sample(name))
    noise = Image.effect_noise((400, 300), 90)
    noise.save(pictures / "noise.png")
    with wherefrom.open(folder / "c", create=True) as made:
        made.add(pictures)
    return folder / "c"


def by_library(place: Path, count: int, seed: int) -> tuple[list[Ended], list[int]]:
    """Every file through `search`, each tenth through `compare` too; and this process's memory on the way.

    Ctrl-C ends it with what has been done.
    """
    import wherefrom

    ended: list[Ended] = []
    memory: list[int] = []
    with contextlib.suppress(KeyboardInterrupt), wherefrom.open(place) as photos:
        for number, (kind, data) in enumerate(files(count, seed)):
            begun = time.monotonic()
            try:
                how = "found" if len(photos.search(data)) else "nothing"
                if number % 10 == 0:
                    photos.compare(data, sample("png"))
            except wherefrom.WherefromError as error:
                how = error.code
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                how = f"ESCAPED {type(error).__name__}: {error}"[:200]
            ended.append(Ended(kind, how, time.monotonic() - begun))
            if number % 100 == 99:
                memory.append(resident())
            if number % _SAID == _SAID - 1:
                say(f"{number + 1:,} of {count:,}, {memory[-1] / 1e6:.0f} MB")
    return ended, memory


def by_command(
    place: Path, count: int, folder: Path, seed: int, each: int = 1
) -> tuple[list[Ended], list[int]]:
    """So many of the files through `wherefrom search`, `each` on a command; and the most memory of each.

    An honest picture goes first on every command: its seconds are those of the start.
    """
    ended: list[Ended] = []
    memory: list[int] = []
    honest = folder / "honest.png"
    honest.write_bytes(sample("png"))
    asked = files(count, seed)
    while chosen := list(itertools.islice(asked, each)):
        queries = [honest]
        for number, (_, data) in enumerate(chosen):
            queries.append(folder / f"query-{number}")
            queries[-1].write_bytes(data)
        of_these, most = _one_command(place, queries, ["honest", *(kind for kind, _ in chosen)])
        ended += of_these
        memory.append(most)
        if len(memory) % 50 == 0:
            say(f"{len(ended):,} by {len(memory):,} commands, {most / 1e6:.0f} MB")
    return ended, memory


def _one_command(place: Path, queries: list[Path], kinds: list[str]) -> tuple[list[Ended], int]:
    """What a command said of its queries, one line each, and the most memory that it had."""
    command = [sys.executable, "-m", "wherefrom", "search", *map(str, queries), "-c", str(place), "--jsonl"]
    ended: list[Ended] = []
    most = 0
    begun = time.monotonic()
    with (
        tempfile.TemporaryFile() as told_people,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told_people) as running,
    ):
        assert running.stdout is not None
        for line in running.stdout:
            with contextlib.suppress(OSError, ValueError):  # it has ended
                most = max(most, peak(running.pid))
            said = json.loads(line)
            how = said["error"]["code"] if "error" in said else "found" if said["matches"] else "nothing"
            ended.append(Ended(kinds[len(ended)], how, time.monotonic() - begun))
            begun = time.monotonic()
        code = running.wait()
        told_people.seek(0)
        words = told_people.read()
        if b"Traceback" in words or code not in (0, 1, 3, 5) or len(ended) != len(queries):
            how = f"ESCAPED exit {code}: {words.decode(errors='replace')[-500:]}"
            ended.append(Ended(kinds[min(len(ended), len(kinds) - 1)], how, 0.0))
    return ended, most


def told(ended: list[Ended], limit: float) -> dict[str, Any]:
    """The figures of a run; honest pictures say what a command takes to start, which comes to the limit."""
    starts = [one.seconds for one in ended if one.kind == "honest"]
    queries = [one for one in ended if one.kind != "honest"]
    slowest = sorted(queries, key=lambda one: -one.seconds)[:5]
    return {
        "queries": len(queries),
        "ended": dict(Counter(one.how for one in queries)),
        "escaped": [one for one in ended if one.how.startswith("ESCAPED")][:10],
        "late": [one for one in queries if one.seconds > limit + GRACE],
        "slowest": [(one.kind, one.how, round(one.seconds, 2)) for one in slowest],
        "seconds": round(sum(one.seconds for one in ended), 1),
        "commands": len(starts),
        "slowest_start": round(max(starts, default=0.0), 2),
    }


def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """The figures of all runs."""
    os.environ |= {"WHEREFROM_DECODE_SECONDS": f"{asked.seconds:g}", "WHEREFROM_MODEL": "none"}
    with tempfile.TemporaryDirectory(prefix="hostile-queries-") as name:
        place = gallery(Path(name))
        library, memory = by_library(place, asked.count, asked.seed)
        early = memory[: max(1, len(memory) // 4)]
        one, ones = by_command(place, asked.by_command, Path(name), asked.seed + 1)
        many, manies = by_command(place, asked.by_commands, Path(name), asked.seed + 2, asked.each)
        return {
            "machine": machine(),
            "versions": versions(),
            "limit": asked.seconds,
            "seed": asked.seed,
            "library": told(library, asked.seconds),
            "memory": {
                "peak_mb": round(peak() / 1e6),
                "first_quarter_mb": round(max(early, default=0) / 1e6),
                "last_mb": round((memory or [0])[-1] / 1e6),
            },
            "command": told(one, asked.seconds) | _sizes(ones),
            "commands_of_many": told(many, asked.seconds) | _sizes(manies),
        }


def _sizes(memory: list[int]) -> dict[str, int]:
    return {
        "most_mb": round(max(memory, default=0) / 1e6),
        "middle_mb": round(sorted(memory or [0])[len(memory) // 2] / 1e6),
    }


def main() -> None:
    """Run it, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=10_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--by-command", type=int, default=100, help="queries, each a command of its own")
    parser.add_argument("--by-commands", type=int, default=1000, help="queries, many on a command")
    parser.add_argument("--each", type=int, default=100, help="queries on such a command")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = measured(asked)
    text = json.dumps(found, indent=2)
    if asked.out:
        asked.out.write_text(text + "\n")
    print(text)
    if any(found[way]["escaped"] or found[way]["late"] for way in ("library", "command", "commands_of_many")):
        sys.exit(1)


if __name__ == "__main__":
    main()
