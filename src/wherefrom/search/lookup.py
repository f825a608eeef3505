"""What the images of a collection show: labels and how many images have each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wherefrom.engine.base import Nominate
from wherefrom.features.embedding import classes_of
from wherefrom.features.extract import EMBEDDING
from wherefrom.features.filtering import shares_of
from wherefrom.models.labels import CLASS_SHARE, classes


class LabelCount(NamedTuple):
    """How many images have a label; of a category, `name` and `parent` are the same."""

    name: str
    parent: str
    images: int

    def as_json(self) -> dict[str, object]:
        """The count in the shape that all faces share."""
        return self._asdict()


def label_counts(engine: Nominate) -> list[LabelCount]:
    """The labels and categories that images have as surely as a filter asks, most images first."""
    known = classes()
    names, categories = len(known.names), len(known.categories)
    members = np.bincount(known.parents, minlength=categories)
    named, parents = np.zeros(names, np.int64), np.zeros(categories, np.int64)
    for fields in engine.scan(EMBEDDING):
        found, logs = classes_of(fields[-1])
        there = found < names
        shares, rest = shares_of(found, logs)
        named += np.bincount(found[there & (shares >= CLASS_SHARE)], minlength=names)
        category = np.where(there, known.parents[np.where(there, found, 0)], -1)
        same = (category[:, :, None] == category[:, None, :]) & there[:, None, :]
        of_category = (same * shares[:, None, :]).sum(axis=2)
        of_category += (members[category] - same.sum(axis=2)) * rest[:, None]
        # Each category of a row once: where the first of its classes stands.
        first = there & ~np.tril(same, -1).any(axis=2)
        parents += np.bincount(category[first & (of_category >= CLASS_SHARE)], minlength=categories)
    counts = [
        LabelCount(known.names[place], known.categories[known.parents[place]], int(named[place]))
        for place in np.flatnonzero(named).tolist()
    ]
    counts += [
        LabelCount(known.categories[place], known.categories[place], int(parents[place]))
        for place in np.flatnonzero(parents).tolist()
    ]
    return sorted(counts, key=lambda one: (-one.images, one.parent, one.name != one.parent, one.name))
