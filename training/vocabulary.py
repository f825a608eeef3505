"""Train the visual vocabulary that the package ships.

    python training/vocabulary.py [--images ../shared/data/images] \
        [--out src/wherefrom/features/vocabulary.npz]

Pictures: the freely licensed folders grocery (MIT), clothing (CC0), kodak and exif_orientation (MIT) of the
measuring set, and those that scikit-image carries (public domain and CC0, as its README names them). Of each
picture all keypoints are taken, at two sizes and after a few edits, so that a leaf holds what a copy turns it
into. Everything is seeded: the same pictures and library versions give the same file.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wherefrom.evaluate.edits import edit
from wherefrom.features import scalespace, vocabulary
from wherefrom.features.descriptors import LENGTH, descriptors, mirrored, orientations

FOLDERS = ("grocery", "clothing", "kodak", "exif_orientation")
SIDES = (416, 256)
MOST = 700  # keypoints of one view
CENTRES_FROM = 400_000  # descriptors that the first level is trained on
ROUNDS = 12

Floats = NDArray[np.float32]


def main() -> int:
    """Train, write the file and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--images", type=Path, default=here.parent / "shared" / "data" / "images")
    parser.add_argument("--out", type=Path, default=here / "src/wherefrom/features/vocabulary.npz")
    options = parser.parse_args()
    start = time.monotonic()
    named = sorted(pictures(options.images))
    rng = np.random.default_rng(2006)
    found = np.concatenate([one for seed, (_, path) in enumerate(named) for one in described(path, seed)])
    rng.shuffle(found)
    print(f"{len(named)} pictures, {len(found):,} descriptors, {time.monotonic() - start:.0f} s")
    made = trained(found, rng, [name for name, _ in named])
    made.save(options.out)
    print(f"{options.out.name}: {options.out.stat().st_size:,} bytes, {time.monotonic() - start:.0f} s")
    return 0


def pictures(root: Path) -> Iterator[tuple[str, Path]]:
    """(name, path) of every training picture."""
    import skimage.data

    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
                yield path.relative_to(root).as_posix(), path
    for path in Path(skimage.data.__file__).parent.iterdir():
        if path.suffix.lower() in (".jpg", ".png") and "GRAY" not in path.name:
            yield f"scikit-image/{path.name}", path


def described(path: Path, seed: int) -> Iterator[Floats]:
    """Descriptors (n, 128) of a picture's views; every second one as its mirror image has them."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((512, 512), Image.Resampling.LANCZOS)
    for side in SIDES:
        view = image.copy()
        view.thumbnail((side, side), Image.Resampling.LANCZOS)
        softened = edit("jpeg q50", edit("blur 1", view))
        for one in (view, softened, edit("noise 10", edit("jpeg q10", view), seed)):
            space = scalespace.octaves(np.asarray(one.convert("L")))
            points = scalespace.extrema(space, 0.8)
            points = points.take(np.argsort(-points.strength)[:MOST])
            who, angles = orientations(space, points, several=False)
            found = descriptors(space, points.take(who), angles)
            half = np.arange(len(found)) % 2 == 1
            found[half] = mirrored(found[half])
            yield found.reshape(-1, LENGTH)


def trained(found: Floats, rng: np.random.Generator, names: list[str]) -> vocabulary.Vocabulary:
    """The vocabulary of descriptors (n, 128) in random order."""
    mean = found.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(found[:CENTRES_FROM].T - mean[:, None]))
    components = vectors[:, ::-1][:, : vocabulary.DIMENSIONS].astype(np.float32)
    projection = components @ rotation((found[:100_000] - mean) @ components, rng)
    projected = (found - mean) @ projection
    branches = kmeans(projected[:CENTRES_FROM], vocabulary.BRANCHES, rng)
    nearest = np.concatenate([closest(part, branches) for part in np.array_split(projected, 64)])
    leaves = np.concatenate(
        [
            kmeans(projected[nearest == branch], vocabulary.LEAVES, rng, branches[branch])
            for branch in range(vocabulary.BRANCHES)
        ]
    )
    unit = float(np.abs(leaves).max() / 127)
    return vocabulary.Vocabulary(
        vocabulary.VERSION,
        mean.astype(np.float32),
        projection.astype(np.float32),
        branches,
        np.rint(leaves / unit).astype(np.int8),
        unit,
        tuple(names),
    )


def rotation(projected: Floats, rng: np.random.Generator, rounds: int = 50) -> Floats:
    """The orthogonal matrix after which taking signs loses least (ITQ)."""
    turn = np.linalg.qr(rng.normal(size=(projected.shape[1],) * 2))[0]
    for _ in range(rounds):
        signs = np.where(projected @ turn > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(projected.T @ signs)
        turn = left @ right
    return turn.astype(np.float32)


def kmeans(points: Floats, count: int, rng: np.random.Generator, middle: Floats | None = None) -> Floats:
    """`count` centres (Lloyd); around `middle` where there are fewer points than that."""
    if len(points) < count:
        filled = np.concatenate([points, rng.normal(0, 0.02, (count - len(points), points.shape[1]))])
        filled[len(points) :] += middle
        return filled.astype(np.float32)
    centres = points[rng.choice(len(points), count, replace=False)].copy()
    for _ in range(ROUNDS):
        nearest = np.concatenate(
            [closest(part, centres) for part in np.array_split(points, 1 + len(points) // 20_000)]
        )
        order = np.argsort(nearest, kind="stable")
        numbers, starts = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(points[order], starts, axis=0)
        sizes = np.diff([*starts, len(order)])
        centres[numbers] = sums / sizes[:, None]
        empty = np.setdiff1d(np.arange(count), numbers)
        centres[empty] = points[rng.choice(len(points), len(empty), replace=False)]
    return centres


def closest(points: Floats, centres: Floats) -> NDArray[np.intp]:
    """The number of the nearest centre to each point."""
    nearest: NDArray[np.intp] = ((centres**2).sum(axis=1) - 2 * (points @ centres.T)).argmin(axis=1)
    return nearest


if __name__ == "__main__":
    sys.exit(main())
