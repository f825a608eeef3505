"""Real embeddings in any number, for `vectors`: of random parts of the pictures of folders, in a .npy file.

Every picture that can be read, files of the same bytes once, gives the same number of parts: rectangles of 5
to 100 % of its area with sides of 2:3 to 3:2, half of them mirrored, at a random gamma of 0.6 to 1.6. The
model of the settings sees each as if it were a picture of its own. Parts of one picture are near each other
where they overlap, which is as near-copies and photographs of one thing are; different pictures are as far
apart as they happen to be. The vectors, float32 (n, d) of length 1, come in random order.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.trying import gathered, pictures
from wherefrom.features.embedding import embedder
from wherefrom.picture.decode import decode
from wherefrom.picture.picture import Picture
from wherefrom.settings import load

LEAST = 48  # pixels of a side that a part has at least
AREA, STRETCH, GAMMA = (0.05, 1.0), (2 / 3, 3 / 2), (0.6, 1.6)


def run(
    out: str, folders: Sequence[str], rows: int = 1_000_000, jobs: int = 2, seed: int = 0
) -> dict[str, Any]:
    paths = [path for folder in folders for path in pictures(Path(folder))]
    each = -(-rows // len(paths))
    work = [(path, each, seed + number) for number, path in enumerate(paths)]
    with multiprocessing.get_context("spawn").Pool(jobs, _begin) as pool:
        vectors = np.concatenate(gathered(pool.imap(_parts, work, 4), "pictures"))
    chosen = np.random.default_rng(seed).permutation(len(vectors))[:rows]
    np.save(out, vectors[chosen])
    return {"vectors": len(chosen), "pictures": len(paths), "of_each": each}


def _begin() -> None:
    import cv2

    cv2.setNumThreads(1)


def _parts(work: tuple[Path, int, int]) -> NDArray[np.float32] | None:
    """The embeddings of parts of a picture; None of one that is too small."""
    path, count, seed = work
    model, pixels = load().recipe.model, decode(path.read_bytes(), colour=True).pixels
    if model is None or min(pixels.shape[:2]) < 2 * LEAST:
        return None
    chance, network = np.random.default_rng(seed), embedder(model)
    return np.stack([network.embed(Picture.from_array(part(pixels, chance))).vector for _ in range(count)])


def part(pixels: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
    """A part of a picture, as the first lines say."""
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
