"""How long a search takes as a collection grows, and what the collection weighs.

Half of the folder's pictures are added as they are, by the library; the other half gives the fillers of
`filled`. The first are searched for: edited (cropped to half, written over, turned by 15 degrees, saved at
JPEG quality 30, set into a screenshot), as bytes of a JPEG, through `Collection.search`, warm, all cores.
Each size is reached from the one before. Also given: the rate at which the words index is derived from stored
keypoints, what one more image costs, bytes on disk an image, and resident memory after every page of both
indexes was read.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import wherefrom
from benchmarks.common import place_of
from benchmarks.filled import BATCH, files_of, fillers, seeds_of, upload
from benchmarks.timing import apart, middle, resident, size_of, taken
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.sources.folder import file_uri

BARS = {"p50_ms": 120.0, "p95_ms": 250.0, "resident_gb": 6.0}  # at a million


def run(
    images: Sequence[int] = (10_000, 100_000, 1_000_000),
    folder: str | None = None,
    queries: int = 100,
    at: str | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """`at` is where to put the collection; else a temporary folder."""
    with tempfile.TemporaryDirectory(dir=at) as scratch:
        rows = list(sized(Path(scratch), place_of(folder), sorted(images), queries))
    low = [name for name, bar in BARS.items() if rows[-1]["images"] >= 1e6 and rows[-1][name] > bar]
    return rows, [f"{name} is beyond its bar" for name in low]


def sized(scratch: Path, folder: Path, sizes: Sequence[int], count: int) -> Iterator[dict[str, Any]]:
    """A row of figures for each size."""
    directory, sent = scratch / "c.wherefrom", scratch / "queries"
    wanted, others = files_of(folder, 1_000)
    with wherefrom.open(directory, create=True) as collection:
        collection.add(wanted)
    seeds, rng, made = seeds_of(others), np.random.default_rng(2026), 0
    sent.mkdir()
    for number, index in enumerate(rng.permutation(len(wanted))[:count].tolist()):
        (sent / f"{number:04}.jpg").write_bytes(upload(wanted[index], number))
        (sent / f"{number:04}.txt").write_text(file_uri(wanted[index]))
    for size in sizes:
        engine = EmbeddedEngine(directory)
        start, before = time.perf_counter(), engine.count()
        while (missing := size - engine.count()) > 0:
            engine.add(list(fillers(seeds, rng, min(BATCH, missing), made)))
            made += BATCH
        adding = (engine.count() - before) / (time.perf_counter() - start)
        single = []
        for _ in range(30):
            one = list(fillers(seeds, rng, 1, made := made + 1))
            single.append(1e3 * taken(partial(engine.add, one)))
        engine.close()
        row = {"images": size, "filled_a_second": round(adding)}
        row |= apart(searched, directory=str(directory), queries=str(sent))
        yield row | {"one_more_ms": middle(single)} | derived(directory)


def searched(directory: str, queries: str) -> dict[str, Any]:
    """Times of searches, by stage, and how many found their picture first."""
    files = sorted(Path(queries).glob("*.jpg"))
    times, stages, first = [], [], 0
    with wherefrom.open(directory) as collection:
        for path in files[:5]:
            collection.search(path.read_bytes())
        for path in files:
            data, uri = path.read_bytes(), path.with_suffix(".txt").read_text()
            start = time.perf_counter()
            answer = collection.search(data)
            times.append(1e3 * (time.perf_counter() - start))
            stages.append(answer.timings_ms)
            first += bool(answer) and any(seen.uri == uri for seen in answer[0].sightings)
        engine = collection.engine
        assert isinstance(engine, EmbeddedEngine)
        indexes = engine._indexes
        for segment in indexes.words()._sealed.segments:
            for pages in (segment.images, segment.offsets, segment.signatures, segment.details):
                pages.sum()
        indexes.fingerprints()._sealed.planes.sum()
        memory = resident()
    return {
        "p50_ms": middle(times, 1),
        "p95_ms": round(float(np.percentile(times, 95)), 1),
        "stages_ms": {name: middle([one[name] for one in stages], 1) for name in stages[0]},
        "first": round(first / len(times), 3),
        "resident_gb": round(memory / 1e9, 2),
    }


def derived(directory: Path) -> dict[str, int]:
    """Bytes an image on disk, and the rate at which the words index comes out of the catalog."""
    size = size_of(directory)
    shutil.rmtree(directory / "words", ignore_errors=True)  # a small one is not on the disk at all
    engine = EmbeddedEngine(directory)
    engine._become_writer()
    seconds, count = taken(engine._indexes.words), engine.count()
    engine.close()
    return {"bytes_an_image": round(size / count), "derived_a_second": round(count / seconds)}
