"""Find the ranges of activations that EfficientNet-Lite0 in 8 bits is built with.

    python training/quantisation.py [--images ../shared/data/images] [--out FILE]

Pictures: every fourth of those that `training/vocabulary.py` names, all freely licensed. Of each activation a
histogram is taken; of the ranges that are all of it or a share of it, the one is kept with which rounding and
clipping together lose least, by mean square (as Jacob et al. 2018 and later calibrations do). Nothing is
random: the same pictures and library versions give the same file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from vocabulary import pictures

from wherefrom.models.building import tensors_of
from wherefrom.models.cards import built_in_card
from wherefrom.models.efficientnet import convolutions, float_graph
from wherefrom.models.session import prepared

EVERY = 4  # pictures
BINS = 2048
SHARES = np.linspace(0.3, 1.0, 71)
BATCH = 8

Floats = NDArray[np.float32]


def main() -> int:
    """Find the ranges, write the file, say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--images", type=Path, default=here.parent / "shared" / "data" / "images")
    parser.add_argument(
        "--out", type=Path, default=here / "src/wherefrom/models/efficientnet_lite0_ranges.json"
    )
    options = parser.parse_args()
    start = time.monotonic()
    named = sorted(pictures(options.images))[::EVERY]
    card = built_in_card("efficientnet-lite0")
    batches = [
        np.concatenate([prepared(opened(path), card) for _, path in named[first : first + BATCH]])
        for first in range(0, len(named), BATCH)
    ]
    ranges = found(batches)
    document = {"ranges": ranges, "pictures": [name for name, _ in named]}
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{len(named)} pictures, {len(ranges)} ranges, {time.monotonic() - start:.0f} s")
    return 0


def opened(path: Path) -> NDArray[np.uint8]:
    """A picture's pixels, uint8 (h, w, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def found(batches: list[Floats]) -> dict[str, list[float]]:
    """The range of each activation, by its name."""
    import onnxruntime

    tensors = tensors_of(built_in_card("efficientnet-lite0"))
    names: list[str] = []
    for layer in convolutions(tensors):
        names += [f"{layer.name}.conv"] if layer.adds else []
        names += [layer.name]
    given = {name: f"{name[:-5]}.raw" if name.endswith(".conv") else name for name in names}
    also = tuple(tensor for tensor in given.values() if tensor != "features")
    session = onnxruntime.InferenceSession(float_graph(tensors, also), providers=["CPUExecutionProvider"])

    def activations() -> Iterator[dict[str, Floats]]:
        wanted = list(given.values())
        for batch in batches:
            yield {"image": batch} | dict(zip(names, session.run(wanted, {"image": batch}), strict=True))

    spans = {name: [0.0, 0.0] for name in ["image", *names]}
    for some in activations():
        for name, values in some.items():
            low, high = spans[name]
            spans[name] = [min(low, float(values.min())), max(high, float(values.max()))]
    counts = {name: np.zeros(BINS) for name in spans}
    for some in activations():
        for name, values in some.items():
            counts[name] += np.histogram(values.ravel()[::5], BINS, spans[name])[0]
    return {name: best(counts[name], *spans[name]) for name in spans}


def best(counts: NDArray[np.float64], low: float, high: float) -> list[float]:
    """The share of a range that loses least, given how many values lie in each equal part of it."""
    middles = low + (np.arange(BINS) + 0.5) * (high - low) / BINS
    losses = []
    for share in SHARES:
        step = (high - low) * share / 255
        beyond = middles - np.clip(middles, low * share, high * share)
        losses.append(float((counts * np.where(beyond == 0, step**2 / 12, beyond**2)).sum()))
    share = float(SHARES[int(np.argmin(losses))])
    return [round(low * share, 6), round(high * share, 6)]


if __name__ == "__main__":
    sys.exit(main())
