"""Fit the score of a look-alike: how likely one of its similarity is of the same kind as the query.

    python training/lookalikes.py [--images ../shared/data/images] [--folders grocery clothing]
                                  [--nearest 1000]

Every picture of each folder, which has a sub-folder for each kind, is searched for among the others of its
folder, as a search for look-alikes ranks them. A logistic regression of "of the same kind" on the similarity
of the nearest, in which all folders weigh the same, gives the slope and the middle that
`whence.search.similar` holds. The table says how far that can be relied on: of the look-alikes in each band
of scores, how many were of the same kind, over all folders and in each.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import whence
from whence.engine.embedded import EmbeddedEngine
from whence.features.embedding import dimension_of
from whence.features.extract import EMBEDDING, versions_of
from whence.search.query import embedding_of
from whence.search.similar import Wish, alike
from whence.settings import Settings, load
from whence.sources.folder import path_of

BANDS = 10  # of scores, as wide as each other

Row = tuple[float, bool]
"""The similarity of a look-alike, and whether it is of the same kind as the query."""


def main() -> int:
    """Collect, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--images", type=Path, default=here.parent / "shared" / "data" / "images")
    parser.add_argument("--folders", nargs="+", default=["grocery", "clothing"])
    parser.add_argument("--nearest", type=int, default=1000)
    options = parser.parse_args()
    rows = [list(collected(options.images / name, options.nearest)) for name in options.folders]
    similarity = np.array([row[0] for part in rows for row in part])
    same = np.array([row[1] for part in rows for row in part])
    folder = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    weights = (1 / np.bincount(folder))[folder] / len(rows)
    slope, middle = fitted(similarity, same, weights)
    print(f"slope {slope:.2f}, middle {middle:.3f}, of {len(same):,} look-alikes\n")
    report(1 / (1 + np.exp(-slope * (similarity - middle))), same, weights, folder, options.folders)
    return 0


def collected(root: Path, nearest: int) -> Iterator[Row]:
    """The nearest of each picture of a folder, itself left out; of equal files there is one picture."""
    settings = load()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "c.whence"
        with whence.open(directory, create=True, settings=settings) as collection:
            collection.add(root)
        with closing(engine_of(directory, settings)) as engine:
            keys = [key for some, _ in engine.table(EMBEDDING) for key in some.tolist()]
            images = engine.images(keys)
            label = {key: label_of(image) for key, image in images.items()}
            for key, image in images.items():
                shown = embedding_of(path_of(image.sightings[0].uri), settings)
                if shown is None:
                    sys.exit("There is no model to fit the score of (the setting `model` is none).")
                found = alike(engine, Wish([shown]), nearest + 1)
                for one in [one for one in found if one.key != key][:nearest]:
                    yield one.similarity, label[one.key] == label[key]


def engine_of(directory: Path, settings: Settings) -> EmbeddedEngine:
    """The engine of a collection's directory."""
    card = settings.card
    return EmbeddedEngine(directory, versions=versions_of(card), dimension=dimension_of(card))


def label_of(image: whence.Image) -> str:
    """The name of the sub-folder in which an image was seen."""
    return image.sightings[0].uri.split("/")[-2]


def fitted(
    similarity: NDArray[np.float64], same: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Slope and middle of the weighted logistic regression, by Newton's method."""
    columns = np.c_[similarity, np.ones(len(similarity))]
    found = np.zeros(2)
    for _ in range(50):
        share = 1 / (1 + np.exp(-columns @ found))
        step = np.linalg.solve(
            columns.T @ (columns * (weights * share * (1 - share))[:, None]),
            columns.T @ (weights * (same - share)),
        )
        found += step
        if float(np.abs(step).max()) < 1e-9:
            break
    return float(found[0]), float(-found[1] / found[0])


def report(
    share: NDArray[np.float64],
    same: NDArray[np.bool_],
    weights: NDArray[np.float64],
    folder: NDArray[np.intp],
    names: Sequence[str],
) -> None:
    """How many of the look-alikes in each band were of the same kind, beside what the score says."""
    print("| score | look-alikes | mean score | of the same kind, % |", " | ".join(names), "|")
    print("|" + "---|" * (4 + len(names)))
    band = np.minimum((share * BANDS).astype(int), BANDS - 1)
    for number in range(BANDS):
        inside = band == number
        if not inside.any():
            continue
        cells = [part(same[inside & (folder == place)]) for place in range(len(names))]
        said = 100 * float(np.average(share[inside], weights=weights[inside]))
        true = 100 * float(np.average(same[inside], weights=weights[inside]))
        span = f"{100 * number // BANDS} to {100 * (number + 1) // BANDS}"
        print(f"| {span} | {inside.sum():,} | {said:.1f} | {true:.1f} |", " | ".join(cells), "|")
    said_all, true_all = (100 * float(np.average(values, weights=weights)) for values in (share, same))
    losses = np.log(np.where(same, share, 1 - share))
    print(f"\nall: score {said_all:.1f}, of the same kind {true_all:.1f} %", end="; ")
    print(f"log loss {-float(np.average(losses, weights=weights)):.3f}", end=" ")
    print(f"(without similarity {entropy(true_all / 100):.3f})")


def part(same: NDArray[np.bool_]) -> str:
    """The share of one folder and of how many."""
    return f"{100 * same.mean():.1f} of {len(same):,}" if len(same) else ""


def entropy(share: float) -> float:
    """The log loss of saying this share of everything."""
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)


if __name__ == "__main__":
    sys.exit(main())
