"""Fit the score of a match by keypoints: how likely what agrees is true.

    python training/scores.py [--images ../shared/data/images] [--originals 150] [--seed 0]

Pairs of a query and an image that the visual words bring up, each with its geometry: true ones from edited
originals (a few edits drawn for each, hard ones among them), wrong ones from the same searches, from pictures
that are in no index, and from pairs that share a caption, a watermark or the frame of an app. A logistic
regression on the first half of the originals gives the coefficients that `wherefrom.search.rank` holds; on
the
other half is reported how many of the pairs at each score were true. Pairs without a geometry are no matches
and are left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import wherefrom
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.engine.word_votes import WordQuery
from wherefrom.evaluate.edits import SUITE, edit, encoded
from wherefrom.features.extract import KEYPOINTS
from wherefrom.features.keypoints import Keypoints, keypoints, query_keypoints
from wherefrom.picture.decode import decode
from wherefrom.picture.picture import Picture
from wherefrom.search.rank import features_of_proof
from wherefrom.search.verify import verify

STYLES = ("caption above", "caption below", "text over", "watermark", "logo", "screenshot 40 %")
EDITS_EACH = 5
CANDIDATES = 20
_SHRINK = 0.5  # towards coefficients of 0: what is told apart without a fault would else be certain

Row = tuple[bool, int, NDArray[np.float64]]
"""Whether true, number of the original, features."""


def main() -> int:
    """Collect, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--images", type=Path, default=here.parent / "shared" / "data" / "images")
    parser.add_argument("--originals", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    rows = list(collected(options.images, options.originals, rng))
    truth = np.array([row[0] for row in rows])
    half = np.array([row[1] % 2 == 0 for row in rows])
    columns = np.stack([row[2] for row in rows])
    weights = fitted(columns[half], truth[half])
    print("coefficients:", np.round(weights, 4).tolist())
    report(scores(columns[~half], weights), truth[~half])
    return 0


def collected(root: Path, count: int, rng: np.random.Generator) -> Iterator[Row]:
    """Every pair with a geometry."""
    photos = sorted((root / "photos").glob("*.jpg"))
    originals, strangers = photos[:count], photos[count:] + sorted((root / "clothing").rglob("*.jpg"))[:150]
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "c.wherefrom"
        with wherefrom.open(directory, create=True) as collection:
            collection.add([*originals, root / "grocery", root / "memes", root / "screens"])
        engine = EmbeddedEngine(directory)
        for number, path in enumerate(originals):
            image = opened(path)
            for name in rng.choice(SUITE, EDITS_EACH, replace=False).tolist():
                query = decode(encoded(edit(name, image, number), "JPEG", 85), colour=False)
                yield from pairs_of(engine, query, number, path)
        for number, path in enumerate(strangers):
            yield from pairs_of(engine, decode(path.read_bytes(), colour=False), number, None)
        engine.close()
    for style in STYLES:
        pictures = [edit(style, opened(path), 0) for path in strangers[:24]]
        kept = [keypoints(Picture.from_array(np.asarray(one))) for one in pictures]
        for number, one in enumerate(pictures):
            asked = query_keypoints(Picture.from_array(np.asarray(one)))[0].keypoints
            for other, points in enumerate(kept):
                found = verify(asked, one.size, points, pictures[other].size) if other != number else None
                if found is not None:
                    yield False, number, features_of_proof(found)


def pairs_of(engine: EmbeddedEngine, query: Picture, number: int, source: Path | None) -> Iterator[Row]:
    """The candidates of a query that have a geometry."""
    variants = query_keypoints(query)
    asked = [WordQuery(k.words, k.signatures, k.angles, k.scales) for k in (v.keypoints for v in variants)]
    votes = engine.near_words(asked, CANDIDATES)
    keys = votes.keys.tolist()
    images, points = engine.images(keys), engine.features(KEYPOINTS, keys)
    size = query.facts.width, query.facts.height
    for key, variant in zip(keys, votes.variants.tolist(), strict=True):
        image = images[key]
        found = verify(
            variants[variant].keypoints, size, Keypoints.from_bytes(points[key]), (image.width, image.height)
        )
        if found is not None:
            true = source is not None and any(s.uri == source.resolve().as_uri() for s in image.sightings)
            yield true, number, features_of_proof(found)


def opened(path: Path) -> Image.Image:
    """A picture as RGB."""
    with Image.open(path) as image:
        return image.convert("RGB")


def fitted(columns: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Coefficients of a logistic regression with a little shrinkage, the constant last."""
    x = np.c_[columns, np.ones(len(columns))]
    weights = np.zeros(x.shape[1])
    shrink = np.diag([_SHRINK] * columns.shape[1] + [0.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        slope = x.T @ (truth - chance) - shrink @ weights
        bend = (x * (chance * (1 - chance))[:, None]).T @ x + shrink
        weights = weights + np.linalg.solve(bend + 1e-9 * np.eye(len(bend)), slope)
    return weights


def scores(columns: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 to 100."""
    logits = np.c_[columns, np.ones(len(columns))] @ weights
    return np.asarray(100 / (1 + np.exp(-np.clip(logits, -30, 30))))


def report(found: NDArray[np.float64], truth: NDArray[np.bool_]) -> None:
    """How many pairs at each score were true."""
    print("| score | pairs | true | share |\n|---|---|---|---|")
    edges = (0, 1, 10, 50, 90, 99, 99.9, 100.1)
    for low, high in pairwise(edges):
        there = (found >= low) & (found < high)
        share = f"{truth[there].mean():.4f}" if there.any() else ""
        print(f"| {low} to {min(high, 100)} | {there.sum()} | {truth[there].sum()} | {share} |")


if __name__ == "__main__":
    sys.exit(main())
