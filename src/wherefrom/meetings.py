"""Meetings: which images of a collection meet by their visual words, and what keypoints prove of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace

from wherefrom.batches import batched
from wherefrom.engine.base import Engine, WordQuery
from wherefrom.families import composed
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.keypoints import LEAST, Keypoints
from wherefrom.relations import Known, Relation, related

Progress = Callable[[int, int], None]
"""Told (images looked for by their keypoints, images in all)."""

_MET, _VERIFIED = 40, 20  # images that visual words are asked for, and those of them that are compared
_LIKELY = 0.012  # of an image's votes for itself: with less hardly anything is proven
_OF_ONE, _ASKED_OF_ONE = 3, 64  # of one group of fingerprints: compared for an image, and asked for at all
_LOADED = 256  # images whose features are read at a time


class Union:
    """Disjoint sets of keys."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def add(self, key: int) -> None:
        """Put a key into a set of its own, unless it is in one."""
        self._parent.setdefault(key, key)

    def find(self, key: int) -> int:
        """The least key of its set: of one that was never added itself."""
        root = key
        while self._parent.get(root, root) != root:
            root = self._parent[root]
        while self._parent.get(key, root) != root:
            self._parent[key], key = root, self._parent[key]
        return root

    def join(self, one: int, other: int) -> None:
        """Make one set of the sets of two keys."""
        first, second = sorted((self.find(one), self.find(other)))
        self.add(first)
        self._parent[second] = first

    def groups(self) -> list[list[int]]:
        """The sets with all keys that were added or joined, ascending."""
        found: dict[int, list[int]] = {}
        for key in sorted(self._parent):
            found.setdefault(self.find(key), []).append(key)
        return list(found.values())


def known_of(engine: Engine, keys: Sequence[int], textured: Container[int]) -> dict[int, Known]:
    """The images with their fingerprints, and those of `textured` with their keypoints."""
    images, marks = engine.images(keys), engine.features(FINGERPRINT, keys)
    points = engine.features(KEYPOINTS, [key for key in keys if key in textured])
    return {
        key: Known(key, image, Fingerprint.from_bytes(marks[key]), Keypoints.from_bytes(points.get(key, b"")))
        for key, image in images.items()
        if key in marks
    }


def by_words(
    engine: Engine, keys: Sequence[int], union: Union, turned: bool, progress: Progress | None
) -> Iterator[Relation]:
    """Relations between images that share visual words and that no fingerprint has joined, each once.

    Of images whose fingerprints have joined them only some are asked for, and only some compared: what is
    there thousands of times costs no more than what is there a few times.
    """
    told: set[tuple[int, int]] = set()
    asked: Counter[int] = Counter()
    done = 0
    for batch in batched(keys, _LOADED):
        points, marks = engine.features(KEYPOINTS, batch), engine.features(FINGERPRINT, batch)
        met: list[tuple[int, int]] = []
        for key in batch:
            if key not in marks or not Fingerprint.from_bytes(marks[key]).usable:
                continue
            found = Keypoints.from_bytes(points.get(key, b""))
            home = union.find(key)
            if len(found) < LEAST or asked[home] >= _ASKED_OF_ONE:
                continue
            asked[home] += 1
            query = WordQuery(found.words, found.signatures, found.angles, found.scales)
            votes = engine.near_words([query], _MET)
            least = _LIKELY * max((vote.score for vote in votes), default=0.0)
            likely = [vote.key for vote in votes if vote.score >= least]
            met.extend((key, other) for other in _spread(likely, home, union))
        fresh = sorted({(min(pair), max(pair)) for pair in met} - told)
        wanted = sorted({key for pair in fresh for key in pair})
        known = known_of(engine, wanted, set(wanted))
        for pair in fresh:
            if pair[0] in known and pair[1] in known:
                relation = related(known[pair[0]], known[pair[1]], turned=turned, by_keypoints=True)
                if relation is not None:
                    told.add(pair)
                    yield relation
        done += len(batch)
        if progress is not None:
            progress(done, len(keys))


def _spread(keys: Sequence[int], home: int, union: Union) -> list[int]:
    """The first keys of other groups than `home`, of each group a few."""
    kept: list[int] = []
    taken: Counter[int] = Counter()
    for key in keys:
        group = union.find(key)
        if group != home and taken[group] < _OF_ONE:
            taken[group] += 1
            kept.append(key)
    return kept[:_VERIFIED]


def settled(met: Sequence[Relation], union: Union) -> list[Relation]:
    """The relations, those to the parts of a composition no longer joining."""
    apart = composed(met, lambda one, other: union.find(one) == union.find(other))
    return [replace(one, joins=one.joins and (one.source.key, one.made.key) not in apart) for one in met]
