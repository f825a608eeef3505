"""Mutated and hostile files as queries, by library and command: each back in time, the caller's memory flat.

Every format that is read here is mutated; among the files are PDFs whose forms show each other without end,
JPEGs of hundreds of scans, pictures of a hundred million pixels in a few kilobytes, and drawings without end.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from tests.pictures import BUILTIN, NAMES, mutated, pdf, png, sample, slow_jpeg, slow_pdf, svg

import wherefrom
from benchmarks.common import say
from benchmarks.timing import resident, stated

GRACE = 5.0
"""Seconds beyond the limit in which a query has to be back."""

_APART = ("dng", "svg", "pdf")  # each of these takes a process of its own: fewer of them
_QUICK = tuple(name for name in NAMES if name not in _APART)


class Ended(NamedTuple):
    """How a query ended: the code of its error, `found` or `nothing`; in how many seconds."""

    kind: str
    how: str
    seconds: float


def run(
    count: int = 10_000,
    seconds: float = 5,
    by_commands: int = 100,
    by_many: int = 1_000,
    each: int = 100,
    seed: int = 14,
) -> tuple[dict[str, Any], list[str]]:
    """`seconds` is the limit of one file; `each` is how many queries a command of many is given."""
    os.environ |= {"WHEREFROM_DECODE_SECONDS": f"{seconds:g}", "WHEREFROM_MODEL": "none"}
    with tempfile.TemporaryDirectory(prefix="hostile-queries-") as name:
        folder = Path(name)
        place = gallery(folder)
        result = {
            "library": told(*by_library(place, count, seed), seconds),
            "command": told(*by_command(place, by_commands, folder, seed + 1, 1), seconds),
            "commands_of_many": told(*by_command(place, by_many, folder, seed + 2, each), seconds),
        }
    counts = {"queries": sum(way["queries"] for way in result.values()), "limit": seconds, "seed": seed}
    low = [f"{name}: {one}" for name, way in result.items() for one in (*way["escaped"], *way["late"])]
    return counts | result, low


def bombs() -> dict[str, bytes]:
    """Files that ask for more than there is."""
    noise = '<filter id="f"><feTurbulence baseFrequency="0.1" numOctaves="100000000"/></filter>'
    return {
        "forms": slow_pdf(),
        "wide forms": slow_pdf(6, 60),
        "deep forms": slow_pdf(28, 2),
        "scans": slow_jpeg(),
        "hundred million pixels": png(10_000, 10_000, depth=1, colour=0, rows=bytes(10_000 * 1251)),
        "a strip of pixels": png(1_000_000, 90, depth=1, colour=0, rows=bytes(90 * 125_001)),
        "a long page": pdf(content=b"q 1 0 0 rg 0 0 96 64 re f Q " * 300_000),
        "a drawing without end": svg(noise + '<rect width="96" height="64" filter="url(#f)"/>'),
    }


def files(count: int, seed: int = 14) -> Iterator[tuple[str, bytes]]:
    """So many files, each with its kind: the bombs, and mutated samples of every format."""
    chance, hostile = random.Random(seed), bombs()
    yield from list(hostile.items())[:count]
    for number in range(count - len(hostile)):
        if number % 2500 == 1250:
            name = ("forms", "scans")[number // 2500 % 2]
            yield f"mutated {name}", mutated(hostile[name], chance)
            continue
        name = chance.choice(_APART) if number % 40 == 0 else chance.choice(_QUICK)
        data = sample(name)
        for _ in range(chance.choice((1, 1, 2, 4))):
            data = mutated(data, chance) or b"x"
        yield name, data


def gallery(folder: Path) -> Path:
    """A collection of a few of the samples as they are."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for name in BUILTIN:
        (pictures / f"{name}.bin").write_bytes(sample(name))
    Image.effect_noise((400, 300), 90).save(pictures / "noise.png")
    with wherefrom.open(folder / "c", create=True) as made:
        made.add(pictures)
    return folder / "c"


def by_library(place: Path, count: int, seed: int) -> tuple[list[Ended], list[int]]:
    """Every file through `search`, each tenth through `compare` too; and this process's memory on the way."""
    ended, memory = list[Ended](), list[int]()
    with wherefrom.open(place) as photos:
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
                say(f"{number + 1:,} of {count:,}, {memory[-1] / 1e6:.0f} MB")
    return ended, memory


def by_command(place: Path, count: int, folder: Path, seed: int, each: int) -> tuple[list[Ended], list[int]]:
    """So many of the files through `wherefrom search`, `each` on a command; and the most memory of each.

    An honest picture goes first on every command: its seconds are those of the start.
    """
    ended, memory, asked = list[Ended](), list[int](), files(count, seed)
    honest = folder / "honest.png"
    honest.write_bytes(sample("png"))
    while chosen := list(itertools.islice(asked, each)):
        queries = [honest]
        for number, (_, data) in enumerate(chosen):
            queries.append(folder / f"query-{number}")
            queries[-1].write_bytes(data)
        of_these, most = _one_command(place, queries, ["honest", *(kind for kind, _ in chosen)])
        ended += of_these
        memory.append(most)
    return ended, memory


def _one_command(place: Path, queries: Sequence[Path], kinds: Sequence[str]) -> tuple[list[Ended], int]:
    """What a command said of its queries, one line each, and the most memory that it had."""
    command = [sys.executable, "-m", "wherefrom", "search", *map(str, queries), "-c", str(place), "--jsonl"]
    ended, most, begun = list[Ended](), 0, time.monotonic()
    with (
        tempfile.TemporaryFile() as told_people,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told_people) as running,
    ):
        for line in running.stdout or ():
            with suppress(OSError, ValueError):  # it has ended
                most = max(most, stated(f"/proc/{running.pid}/status", "VmHWM"))
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


def told(ended: Sequence[Ended], memory: Sequence[int], limit: float) -> dict[str, Any]:
    """The figures of a run; honest pictures say what a command takes to start, and are not counted."""
    starts = [one.seconds for one in ended if one.kind == "honest"]
    queries = [one for one in ended if one.kind != "honest"]
    return {
        "queries": len(queries),
        "ended": dict(Counter(one.how for one in queries)),
        "escaped": [one for one in ended if one.how.startswith("ESCAPED")][:10],
        "late": [one for one in queries if one.seconds > limit + GRACE],
        "commands": len(starts),
        "slowest_start": round(max(starts, default=0.0), 2),
        "slowest": sorted(queries, key=lambda one: -one.seconds)[:5],
        "memory_mb": [round(one / 1e6) for one in (*memory[:1], max(memory, default=0), *memory[-1:])],
    }
