"""Collections of any size, filled quickly with images that were never pictures, and uploads to search for.

A filler has real features, perturbed: the keypoints of four pictures, drawn by chance (44 of each), after a
similarity of their own (turned, scaled, moved), with 5 of the 64 bits of each signature flipped on average;
words stay, so that frequent words are as frequent as they are. Its fingerprint is a picture's with 60 bits
flipped.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import wherefrom
from benchmarks.common import say
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.evaluate.edits import edit, encoded
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.keypoints import KEPT, Keypoints
from wherefrom.picture.decode import decode
from wherefrom.picture.metadata import Credit
from wherefrom.records import FileStamp, NewImage, Place
from wherefrom.settings import Settings
from wherefrom.sources.folder import file_uri
from wherefrom.workers import image_of

EDITS = ("crop 50 %", "text over", "rotate 15", "jpeg q30", "screenshot 40 %")
PARTS, FLIPS, CODE_FLIPS = 4, 5 / 64, 60
BATCH = 1_000
_SHOWN = 384  # pixels of the longer side of pictures that are only looked at
Random = np.random.Generator
Seeds = Sequence[tuple[Fingerprint, Keypoints]]


def known(digest: bytes, features: dict[str, bytes], uri: str, number: int) -> NewImage:
    """An image whose features are known, seen in one place."""
    return NewImage(
        digest=digest,
        width=800,
        height=600,
        format="JPEG",
        bytes=123_456,
        frames=1,
        quality=100,
        credit=Credit(),
        decoder="filler",
        features=features,
        place=Place(uri, stamp=FileStamp(123_456, number)),
    )


def seeds_of(files: Sequence[Path]) -> Seeds:
    """The features of pictures that have enough of them."""
    found = []
    for path in files:
        try:
            made = image_of(decode(path.read_bytes(), colour=False), b"").features
        except wherefrom.WherefromError:
            continue
        code, points = Fingerprint.from_bytes(made[FINGERPRINT]), Keypoints.from_bytes(made[KEYPOINTS])
        if code.usable and len(points) >= KEPT // 2:
            found.append((code, points))
    return found


def fillers(seeds: Seeds, rng: Random, count: int, first: int) -> Iterator[NewImage]:
    """So many of them, numbered from the first on."""
    for number in range(first, first + count):
        chosen = rng.choice(len(seeds), PARTS, replace=False)
        points = _mixed([seeds[i][1] for i in chosen], rng)
        flips = np.zeros(256, np.uint8)
        flips[rng.choice(256, CODE_FLIPS, replace=False)] = 1
        code = Fingerprint(seeds[chosen[0]][0].code ^ np.packbits(flips), 100)
        features = {FINGERPRINT: code.to_bytes(), KEYPOINTS: points.to_bytes()}
        yield known(rng.bytes(32), features, f"file:///fillers/{number // 1000}/{number}.jpg", number)


def _mixed(parts: list[Keypoints], rng: Random) -> Keypoints:
    rows = [rng.choice(len(p), min(len(p), KEPT // PARTS), replace=False) for p in parts]
    taken = [p.take(r) for p, r in zip(parts, rows, strict=True)]
    x, y, angles, scales, words, signatures = (
        np.concatenate([getattr(p, name) for p in taken])
        for name in ("x", "y", "angles", "scales", "words", "signatures")
    )
    turn, zoom = rng.integers(256), rng.uniform(0.7, 1.4)
    cos, sin = zoom * np.cos(turn * np.pi / 128), zoom * np.sin(turn * np.pi / 128)
    across, down = x - 0.5, y - 0.5
    flips = np.packbits(rng.random((len(x), 64)) < FLIPS, axis=1).view(np.uint64).ravel()
    return Keypoints(
        np.clip(0.5 + cos * across - sin * down, 0, 0.999).astype(np.float32),
        np.clip(0.5 + sin * across + cos * down, 0, 0.999).astype(np.float32),
        (angles + turn).astype(np.uint8),
        np.clip(scales + 16 * np.log2(zoom), 0, 255).astype(np.uint8),
        words,
        signatures ^ flips,
    )


def files_of(folder: Path, count: int) -> tuple[list[Path], list[Path]]:
    """Pictures that are added as they are, and others that give the fillers."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return files[::2][:count], files[1::2][:count]


def upload(path: Path, number: int, side: int = 800) -> bytes:
    """An edited copy of a picture, each edit in its turn, as a JPEG of at most `side` pixels."""
    image = Image.open(path).convert("RGB")
    image.thumbnail((800, 800))
    done = edit(EDITS[number % len(EDITS)], image, number)
    if side < 800:
        done.thumbnail((side, side))
    return encoded(done, "JPEG", 90)


def uploads(files: Sequence[Path], count: int) -> list[bytes]:
    """Uploads of 500 pixels, of pictures drawn by chance."""
    drawn = np.random.default_rng(2026).integers(0, len(files), count).tolist()
    return [upload(files[index], number, 500) for number, index in enumerate(drawn)]


@dataclass(frozen=True)
class Filled:
    """A collection: where it is, how many images it has, and the files whose edited copies are uploaded."""

    directory: Path
    images: int
    wanted: list[Path]


def filled(home: Path, folder: Path, images: int, *, shown: int = 0) -> Filled:
    """A collection of so many images, real ones and fillers.

    The `shown` added last have files, which are real pictures made small, so that they have thumbnails.
    One that lies in `home` already, made of the same, is taken as it is.
    """
    wanted, others = files_of(folder, 400)
    directory, mark = home / "filled.wherefrom", home / "filled.json"
    made = json.dumps([str(folder), len(wanted), images, shown])
    if not (mark.exists() and mark.read_text() == made):
        home.mkdir(parents=True, exist_ok=True)
        with wherefrom.open(directory, create=True, settings=Settings(model="none")) as collection:
            collection.add(wanted)
            missing = max(0, images - shown - len(collection))
        seeds = seeds_of(others)
        say(f"Filling a collection with {missing:,} images")
        engine = EmbeddedEngine(directory)
        with ProcessPoolExecutor(os.cpu_count(), initializer=_begin, initargs=(seeds,)) as makers:
            for batch in makers.map(partial(_made, missing), range(0, missing, BATCH)):
                engine.add(batch)
        (home / "shown").mkdir(exist_ok=True)
        for first in range(0, shown, BATCH):
            count = min(BATCH, shown - first)
            some = fillers(
                seeds, np.random.default_rng([2026, 10_000_000 + first]), count, 10_000_000 + first
            )
            engine.add(list(_with_files(some, home / "shown", others)))
        engine.close()
        mark.write_text(made)
    engine = EmbeddedEngine(directory)
    count = engine.count()
    engine.close()
    return Filled(directory, count, [path for path in wanted if path.stat().st_size > 20_000])


class _Held:
    seeds: Seeds


def _begin(seeds: Seeds) -> None:
    _Held.seeds = seeds


def _made(count: int, first: int) -> list[NewImage]:
    chance = np.random.default_rng([2026, first // BATCH])
    return list(fillers(_Held.seeds, chance, min(BATCH, count - first), first))


def _with_files(images: Iterator[NewImage], folder: Path, files: Sequence[Path]) -> Iterator[NewImage]:
    """Fillers that are seen in files: a real picture each, with a comment that makes it another file."""
    for number, filler in enumerate(images):
        image = Image.open(files[number % len(files)]).convert("RGB")
        image.thumbnail((_SHOWN, _SHOWN))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=85, comment=filler.place.uri if filler.place else "")
        data, path = stream.getvalue(), folder / f"{filler.digest.hex()[:16]}.jpg"
        path.write_bytes(data)
        place = Place(file_uri(path), stamp=FileStamp(len(data), number))
        facts: dict[str, Any] = {"width": image.width, "height": image.height, "bytes": len(data)}
        yield replace(filler, digest=sha256(data).digest(), place=place, **facts)
