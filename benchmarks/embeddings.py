"""Real embeddings in any number, for `vectors.py --vectors`: of random parts of the pictures of folders.

    python benchmarks/embeddings.py FOLDER ... --out FILE.npy [--rows 1e6] [--jobs N] [--seed 0]

Every picture that can be read, files of the same bytes once, gives the same number of parts: rectangles of 5
to 100 % of its area with sides of 2:3 to 3:2, half of them mirrored, at a random gamma of 0.6 to 1.6. The
model of the settings sees each as if it were a picture of its own. Parts of one picture are near each other
where they overlap, which is as near-copies and photographs of one thing are; different pictures are as far
apart as they happen to be. The vectors, float32 (n, d) of length 1, come in random order.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import say
from wherefrom.errors import WherefromError
from wherefrom.features.embedding import embedder
from wherefrom.picture.decode import decode
from wherefrom.picture.picture import Picture
from wherefrom.settings import load

LEAST = 48  # pixels of a side that a part has at least
AREA, STRETCH, GAMMA = (0.05, 1.0), (2 / 3, 3 / 2), (0.6, 1.6)

Vectors = NDArray[np.float32]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = load().recipe.model
    if model is None:
        sys.exit("There is no model that computes embeddings (the setting `model` is none).")
    embedder(model)  # builds the model's file, once for all processes
    start, found = time.monotonic(), list[Vectors]()
    with multiprocessing.get_context("spawn").Pool(options.jobs, _begin) as pool:
        files = list(distinct(options.folders))
        paths = [path for path, there in zip(files, pool.map(_is_usable, files, 16), strict=True) if there]
        if not paths:
            sys.exit("There are no pictures in these folders.")
        per_picture = -(-options.rows // len(paths))
        say(f"{len(paths):,} pictures among {len(files):,} files, {per_picture} parts of each")
        work = [(path, per_picture, options.seed + number) for number, path in enumerate(paths)]
        for some in pool.imap(_parts, work, 4):
            found.append(some)
            if len(found) % 1_000 == 0:
                rate = per_picture * len(found) / (time.monotonic() - start)
                say(f"{len(found):,} pictures, {rate:.0f} vectors a second")
    vectors = np.concatenate(found)
    chosen = np.random.default_rng(options.seed).permutation(len(vectors))[: options.rows]
    np.save(options.out, vectors[chosen])
    print(f"{len(chosen):,} vectors of parts of {len(found):,} pictures")
    return 0


def distinct(folders: list[Path]) -> Iterator[Path]:
    """The files of folders, those of the same bytes once."""
    seen = set()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest not in seen:
            seen.add(digest)
            yield path


def _begin() -> None:
    import cv2

    cv2.setNumThreads(1)


def _is_usable(path: Path) -> bool:
    pixels = _pixels(path)
    return pixels is not None and min(pixels.shape[:2]) >= 2 * LEAST


def _pixels(path: Path) -> NDArray[np.uint8] | None:
    try:
        return decode(path.read_bytes(), colour=True).pixels
    except WherefromError:
        return None


def _parts(work: tuple[Path, int, int]) -> Vectors:
    """The embeddings of parts of a picture."""
    path, count, seed = work
    model, pixels = load().recipe.model, _pixels(path)
    assert model is not None
    assert pixels is not None
    chance = np.random.default_rng(seed)
    return np.stack(
        [embedder(model).embed(Picture.from_array(part(pixels, chance))).vector for _ in range(count)]
    )


def part(pixels: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
    """A part of a picture, as the script's first lines say."""
    height, width = pixels.shape[:2]
    side = (chance.uniform(*AREA) * width * height) ** 0.5
    stretch = chance.uniform(*np.log(STRETCH))
    wide = int(np.clip(side * np.exp(stretch / 2), LEAST, width))
    high = int(np.clip(side * np.exp(-stretch / 2), LEAST, height))
    left, top = chance.integers(0, width - wide + 1), chance.integers(0, height - high + 1)
    found = pixels[top : top + high, left : left + wide]
    if chance.random() < 0.5:
        found = found[:, ::-1]
    curve = 255 * (np.arange(256) / 255) ** np.exp(chance.uniform(*np.log(GAMMA)))
    return np.ascontiguousarray(np.rint(curve).astype(np.uint8)[found])


if __name__ == "__main__":
    sys.exit(main())
