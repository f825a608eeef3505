"""How many images have each label, against a brute-force count over all classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wherefrom.features.embedding import CLASSES, EXTRA
from wherefrom.features.registry import answering
from wherefrom.filters.terms import Graded
from wherefrom.models.labels import CLASS_SHARE, TEMPERATURE, classes
from wherefrom.search.lookup import label_counts


class Rows:
    """An engine that has embeddings and nothing else."""

    def __init__(self, rows: NDArray[np.uint8]) -> None:
        self._rows = rows

    def scan(self, kind: str) -> Iterator[tuple[NDArray[np.uint8], ...]]:
        for start in range(0, len(self._rows), 7):
            yield (self._rows[start : start + 7],)

    def labelled(self, name: str) -> int:
        """How many have a label, as a filter asks for it."""
        asked = answering("label")
        assert asked is not None
        rows = asked[1].rows(Graded(name, None))
        return sum(int(rows(fields).sum()) for fields in self.scan(asked[0].kind))


def made(seed: int, count: int) -> NDArray[np.uint8]:
    """Rows as embeddings have them behind their vectors: few, several or no classes, of few categories."""
    random = np.random.default_rng(seed)
    rows = np.zeros((count, EXTRA), np.uint8)
    few = np.flatnonzero(classes().parents < 3)
    for row in rows:
        kept = int(random.integers(0, CLASSES + 1))
        from_few = random.random() < 0.7 and len(few) >= kept
        numbers = random.choice(few if from_few else 1000, kept, replace=False)
        full = np.full(CLASSES, 0xFFFF, "<u2")
        full[:kept] = numbers
        row[: 2 * CLASSES] = full.view(np.uint8)
        shares = np.sort(random.dirichlet(np.full(kept + 1, 0.4)))[::-1][:kept] if kept else np.zeros(0)
        row[2 * CLASSES : 2 * CLASSES + kept] = np.clip(np.rint(-np.log(shares + 1e-9) * 16), 0, 255)
    return rows


def by_hand(rows: NDArray[np.uint8]) -> Counter[tuple[str, str]]:
    """Every class of every row, one at a time."""
    known, counts = classes(), Counter[tuple[str, str]]()
    for row in rows:
        numbers = row[: 2 * CLASSES].view("<u2")
        there = numbers < 1000
        if not there.any():
            continue
        shares = np.exp(row[2 * CLASSES : 3 * CLASSES].astype(np.float32) / np.float32(-16))[there]
        every = np.full(1000, max(1 - shares.sum(), 1e-6) / 1000)
        every[numbers[there]] = shares
        every = every ** (1 / TEMPERATURE)
        every /= every.sum()
        for place in np.flatnonzero(every >= CLASS_SHARE):
            counts[known.names[place], known.categories[known.parents[place]]] += 1
        sums = np.bincount(known.parents, every)
        for place in set(known.parents[numbers[there]].tolist()):
            if sums[place] >= CLASS_SHARE:
                counts[known.categories[place], known.categories[place]] += 1
    return counts


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60))
def test_counts_are_those_by_hand(seed: int, count: int) -> None:
    rows = made(seed, count)
    engine: Any = Rows(rows)
    found = label_counts(engine)
    # A class of the name of its category is one row of each kind.
    told = Counter[tuple[str, str]]()
    for one in found:
        told[one.name, one.parent] += one.images
    assert told == by_hand(rows)
    assert [one.images for one in found] == sorted((one.images for one in found), reverse=True)


def test_counts_are_what_the_filter_lets_through() -> None:
    engine: Any = Rows(made(3, 400))
    names = Counter(classes().names)
    single = [one for one in label_counts(engine) if names[one.name] == 1 and one.name != one.parent]
    single = [one for one in single if one.name not in classes().categories]
    assert len(single) > 5
    for one in single:
        assert engine.labelled(one.name.lower()) == one.images
    for one in label_counts(engine):
        if one.name == one.parent and not names[one.name]:
            assert engine.labelled(one.name.lower()) == one.images
