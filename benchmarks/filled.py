"""Collections for the benchmarks of the service, filled quickly, and uploads to search for."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

import wherefrom
from common import say
from search_scale import EDITS, _features, fillers
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.evaluate.edits import edit, encoded
from wherefrom.records import FileStamp, NewImage, Place
from wherefrom.settings import Settings
from wherefrom.sources.folder import file_uri

REAL = 400
SIDE = 500
_BATCH = 1_000
_SHOWN = 384  # pixels of the longer side of pictures that are only looked at


@dataclass(frozen=True)
class Filled:
    """A collection: where it is, how many images it has, and the files whose edited copies are uploaded."""

    directory: Path
    images: int
    wanted: list[Path]


def filled(home: Path, folder: Path, images: int, *, shown: int = 0) -> Filled:
    """A collection of so many images: real pictures and fillers as `search_scale.py` makes them.

    The `shown` added last have files, which are real pictures made small, so that they have thumbnails.
    One that lies in `home` already, made of the same, is taken as it is.
    """
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    wanted = files[::2][:REAL]
    directory, mark = home / "filled.wherefrom", home / "filled.json"
    made = json.dumps([str(folder), len(files), images, shown])
    if not (mark.exists() and mark.read_text() == made):
        home.mkdir(parents=True, exist_ok=True)
        with wherefrom.open(directory, create=True, settings=Settings(model="none")) as collection:
            collection.add(wanted)
            have = len(collection)
        seeds = _features(files[1::2][:REAL])
        try:
            _fill(directory, seeds, images - shown - have)
        except BrokenExecutor as error:
            raise SystemExit(f"The processes that make fillers ended: {error}") from None
        _show(directory, home / "shown", files[1::2][:REAL], seeds, shown)
        mark.write_text(made)
    engine = EmbeddedEngine(directory)
    count = engine.count()
    engine.close()
    return Filled(directory, count, [path for path in wanted if path.stat().st_size > 20_000])


def uploads(files: list[Path], count: int) -> list[bytes]:
    """JPEG files of at most 500 pixels: edited copies of these pictures, each edit in its turn."""
    chance = np.random.default_rng(2026)
    return [
        _upload(files[index], EDITS[number % len(EDITS)], number)
        for number, index in enumerate(chance.integers(0, len(files), count).tolist())
    ]


def _upload(path: Path, name: str, number: int) -> bytes:
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((800, 800))
    done = edit(name, image, number)
    done.thumbnail((SIDE, SIDE))
    return encoded(done, "JPEG", 90)


_seeds: list[object] = []


def _begin(seeds: list[object]) -> None:
    _seeds[:] = seeds


def _made(count: int, number: int) -> list[NewImage]:
    chance = np.random.default_rng([2026, number])
    return list(fillers(_seeds, chance, count, number * _BATCH))  # type: ignore[arg-type]


def _fill(directory: Path, seeds: list[object], missing: int) -> None:
    """Add fillers, which other processes make meanwhile."""
    say(f"Filling a collection with {missing:,} images")
    engine = EmbeddedEngine(directory)
    whole, rest = divmod(max(0, missing), _BATCH)
    with ProcessPoolExecutor(os.cpu_count(), initializer=_begin, initargs=(seeds,)) as makers:
        for batch in makers.map(partial(_made, _BATCH), range(whole)):
            engine.add(batch)
        if rest:
            engine.add(makers.submit(_made, rest, whole).result())
    engine.close()


def _show(directory: Path, folder: Path, files: list[Path], seeds: list[object], count: int) -> None:
    """Add fillers that are seen in files: a real picture each, with a comment that makes it another file."""
    if not count:
        return
    folder.mkdir(exist_ok=True)
    small = list(_small(files))
    _begin(seeds)
    engine = EmbeddedEngine(directory)
    for first in range(0, count, _BATCH):
        batch = []
        for number, filler in enumerate(_made(min(_BATCH, count - first), 10_000 + first // _BATCH), first):
            data, size = small[number % len(small)]
            said = f"number {number}".encode()
            data = data[:2] + b"\xff\xfe" + (len(said) + 2).to_bytes(2, "big") + said + data[2:]
            path = folder / f"shown {number:05}.jpg"
            path.write_bytes(data)
            place = Place(file_uri(path), stamp=FileStamp(len(data), number))
            facts = {"digest": sha256(data).digest(), "bytes": len(data), "place": place}
            batch.append(replace(filler, width=size[0], height=size[1], **facts))
        engine.add(batch)
    engine.close()


def _small(files: list[Path]) -> Iterator[tuple[bytes, tuple[int, int]]]:
    for path in files:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        image.thumbnail((_SHOWN, _SHOWN))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=85)
        yield stream.getvalue(), image.size
