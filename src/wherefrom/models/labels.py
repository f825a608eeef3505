"""Labels: what a picture shows, as far as the 1,000 classes of ImageNet go, with honest confidence.

Each class has a name and a category that a person would look under (`imagenet.tsv`). Confidence is the
softmax of the logits over a temperature (Guo et al. 2017), fitted by `training/labels.py`; that of a category
is the sum over its classes. Where no class is likely enough, the category is named alone, or nothing is.

A picture of something that is none of the classes gets wrong labels, sometimes sure ones: a label is a hint
for looking through a collection, never evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TEMPERATURE = 0.68
"""Of EfficientNet-Lite0, in float32 and in 8 bits."""

CLASS_SHARE = 0.5
"""Confidence from which a picture is found by a label."""

TOLD_SHARE = 0.8
"""Confidence from which people are told a class, or a category alone, and that only as a `perhaps`.

Of 360 photographs, one of each of as many classes, 331 labels reach it and 95.8 % of these are right,
class or category as it is told. Of what shows none of the classes any label is wrong.
"""

_FILE = Path(__file__).with_name("imagenet.tsv")


@dataclass(frozen=True, slots=True)
class Label:
    """Something that a picture shows: `confidence`, above 0 and up to 1, is the chance that it is so.

    `name` is the class, such as `golden retriever`, and `parent` the category, such as `dog`. Where only the
    category is sure, it is the name as well.
    """

    name: str
    parent: str
    confidence: float

    def as_json(self) -> dict[str, object]:
        """The label in the shape that all faces share."""
        return {"name": self.name, "parent": self.parent, "confidence": round(self.confidence, 3)}


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The classes in the order of the logits: identifier in WordNet, name, and number of the category."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    parents: NDArray[np.intp]
    categories: tuple[str, ...]


@cache
def classes() -> Classes:
    """The classes that come with the package."""
    rows = [line.split("\t") for line in _FILE.read_text(encoding="utf-8").splitlines()]
    categories = tuple(sorted({parent for _, _, parent in rows}))
    number = {name: place for place, name in enumerate(categories)}
    parents = np.array([number[parent] for _, _, parent in rows], np.intp)
    return Classes(tuple(row[0] for row in rows), tuple(row[1] for row in rows), parents, categories)


def calibrated(logits: NDArray[np.float32], most: int = 3, temperature: float = TEMPERATURE) -> list[Label]:
    """Up to `most` labels of one picture's logits, float32 (1000,): surest first, each category once.

    Raises ValueError for logits of another shape or that are not finite, and for a temperature of 0 or less.
    """
    shares = confidences(logits, temperature)
    known = classes()
    sums = np.bincount(known.parents, shares, len(known.categories))
    found: list[Label] = []
    for category in np.argsort(-sums, kind="stable")[: max(0, most)].tolist():
        parent = known.categories[category]
        inside = np.flatnonzero(known.parents == category)
        best = int(inside[shares[inside].argmax()])
        if shares[best] >= TOLD_SHARE:
            found.append(Label(known.names[best], parent, float(shares[best])))
        elif sums[category] >= TOLD_SHARE:
            found.append(Label(parent, parent, min(1.0, float(sums[category]))))
    return found


def confidences(logits: NDArray[np.float32], temperature: float = TEMPERATURE) -> NDArray[np.float64]:
    """The share of each class, float64 (1000,), in sum 1. Raises what `calibrated` raises."""
    if logits.shape != (len(classes().names),) or not np.isfinite(logits).all() or not temperature > 0:
        raise ValueError("logits are (1000,) and finite, and the temperature is above 0")
    scaled = logits.astype(np.float64) / temperature
    shares = np.exp(scaled - scaled.max())
    return np.asarray(shares / shares.sum())
