"""Fit the temperature of labels, and measure what confidence then means.

    python training/labels.py [--images ../shared/data/images]

Fits one number on the folder `photos`, one picture of each of 360 classes, whose licence allows measuring
and nothing else: that is what this is, no weight is trained, and nothing of the pictures is kept. They may be
among those that the network was trained on, so that the confidence found is rather too high than too low.
Prints the temperature (to be written into `wherefrom.models.labels`), the calibration error before and after,
and how many labels are true at each share.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wherefrom.models.labels import CATEGORY_SHARE, CLASS_SHARE, calibrated, classes, confidences
from wherefrom.models.session import open_session, prepared
from wherefrom.models.store import Store

MODELS = ("efficientnet-lite0", "efficientnet-lite0-int8")
TEMPERATURES = np.linspace(0.3, 2.0, 171)
BINS = 10

Floats = NDArray[np.float32]


def main() -> int:
    """Fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--images", type=Path, default=here.parent / "shared" / "data" / "images")
    options = parser.parse_args()
    paths = sorted((options.images / "photos").glob("n*.jpg"))
    number = {one: place for place, one in enumerate(classes().ids)}
    truth = np.array([number[path.name.partition("_")[0]] for path in paths])
    found = {name: logits(name, paths) for name in MODELS}
    losses = [sum(loss(one, truth, t) for one in found.values()) for t in TEMPERATURES]
    best = float(TEMPERATURES[int(np.argmin(losses))])
    print(f"{len(paths)} pictures, temperature {best:.2f}")
    for name, one in found.items():
        right = float((one.argmax(axis=1) == truth).mean())
        errors = [f"{calibration_error(one, truth, t):.3f}" for t in (1.0, best)]
        print(f"{name}: top-1 {right:.3f}, calibration error {errors[0]} at 1.0, {errors[1]} at {best:.2f}")
        told(one, truth, best)
    return 0


def logits(name: str, paths: list[Path]) -> Floats:
    """float32 (n, 1000)."""
    store = Store()
    session = open_session(store.card(name), store.path(name))
    rows = []
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        rows.append(session.run(prepared(pixels, session.card), ["logits"])["logits"][0])
    return np.stack(rows)


def loss(found: Floats, truth: NDArray[np.intp], temperature: float) -> float:
    """Mean negative logarithm of the share of the true class."""
    shares = [confidences(row, temperature)[true] for row, true in zip(found, truth, strict=True)]
    return float(-np.log(np.maximum(shares, 1e-12)).mean())


def calibration_error(found: Floats, truth: NDArray[np.intp], temperature: float) -> float:
    """Expected calibration error of the likeliest class, in ten equal parts of confidence."""
    shares = np.stack([confidences(row, temperature) for row in found])
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == truth
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    apart = [abs(float((right - sure)[places == place].sum())) for place in range(BINS)]
    return sum(apart) / len(sure)


def told(found: Floats, truth: NDArray[np.intp], temperature: float) -> None:
    """How many labels are true: of classes, and of categories alone."""
    known = classes()
    counts = {"class": [0, 0], "category": [0, 0]}
    silent = 0
    for row, true in zip(found, truth, strict=True):
        labels = calibrated(row, 1, temperature)
        silent += not labels
        for label in labels:
            alone = label.name == label.parent
            right = known.categories[known.parents[true]] if alone else known.names[true]
            count = counts["category" if alone else "class"]
            count[0] += 1
            count[1] += label.name == right
    for kind, (given, right) in counts.items():
        share = CATEGORY_SHARE if kind == "category" else CLASS_SHARE
        print(f"  {kind} from {share}: {right} of {given} true")
    print(f"  nothing said: {silent}")


if __name__ == "__main__":
    sys.exit(main())
