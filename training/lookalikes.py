"""Fit the score of a look-alike: how likely one of its similarity is of the same kind as the query.

    python training/lookalikes.py [--images ../shared/data/images]

Every picture of the labelled folders of `whitening.py` is held against the others of its folder that the
whitening was not learnt from: it is learnt from one half, and the pairs of the other are taken, both ways. A
logistic regression of "of the same kind" on the similarity of all these pairs, in which both folders weigh
the same, gives the slope and the middle that `wherefrom.search.similar` holds. The table says how far that
can
be relied on: of the look-alikes in each band of scores, how many were of the same kind, over both folders and
in each.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from whitening import LABELLED, classifier, halves, looked_at, similarities

BANDS = 10  # of scores, as wide as each other
MODEL = "efficientnet-lite0-int8"


def main() -> int:
    """Collect, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--images", type=Path, default=here.parent / "shared" / "data" / "images")
    options = parser.parse_args()
    parts = list(halves(looked_at(options.images, MODEL), classifier(MODEL)))
    near: list[NDArray[np.float64]] = []
    alike: list[NDArray[np.bool_]] = []
    where: list[NDArray[np.intp]] = []
    for place, name in enumerate(LABELLED):
        for made, other in parts:
            found, same = similarities(other, made, name)
            pairs = np.isfinite(found)
            near.append(found[pairs])
            alike.append(same[pairs])
            where.append(np.full(int(pairs.sum()), place))
    similarity, same, folder = np.concatenate(near), np.concatenate(alike), np.concatenate(where)
    weights = (1 / np.bincount(folder))[folder] / len(LABELLED)
    slope, middle = fitted(similarity, same, weights)
    print(f"slope {slope:.2f}, middle {middle:.3f}, of {len(same):,} look-alikes\n")
    report(1 / (1 + np.exp(-slope * (similarity - middle))), same, weights, folder, LABELLED)
    return 0


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
