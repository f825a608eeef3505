"""The nominations of the plain twin: every row is looked at, and nothing is kept to make that quicker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.base import CodeHit, NearPairs, Scored, Selection, VectorHit, Vote, WordQuery
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, KEYPOINTS
from wherefrom.features.fingerprint import Fingerprint, turned_codes
from wherefrom.features.keypoints import Keypoints
from wherefrom.features.registry import Columns, feature

if TYPE_CHECKING:
    from wherefrom.engine.base import Fields, Score

_COPIES = (FINGERPRINT, KEYPOINTS)


class Plain:
    """Keys in the order in which they were added. A `Selection`."""

    def __init__(self, keys: Iterable[int]) -> None:
        self._keys = dict.fromkeys(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def without(self, keys: Sequence[int]) -> Plain:
        """All of them but these."""
        return Plain(key for key in self._keys if key not in keys)


class MemoryNominate(ABC):
    """Finds candidates by looking at all features of all images."""

    versions: Mapping[str, str]
    dimension: int

    @abstractmethod
    def select(self, wanted: None) -> Plain:
        """All images."""

    @abstractmethod
    def features(self, kind: str, keys: Sequence[int]) -> dict[int, bytes]:
        """What is kept of one kind of feature, of those images that have it."""

    @abstractmethod
    def check_version(self, kinds: Iterable[str]) -> None:
        """Raises FeatureMismatch where features of some kinds are here in another version than ours."""

    def near_codes(
        self,
        codes: NDArray[np.uint8],
        radius: int,
        *,
        enough: int = 0,  # noqa: ARG002  # all of them is never too much
        within: Selection | None = None,
    ) -> list[CodeHit]:
        """Every fingerprint within `radius` bits of each code, uint8 (q, 32), nearest first per code."""
        known = self._codes(within)
        return [
            CodeHit(query, key, part, distance)
            for query, code in enumerate(codes)
            for distance, key, part in sorted((_apart(code, one), key, part) for key, part, one in known)
            if distance <= radius
        ]

    def near_words(
        self, query: Sequence[WordQuery], limit: int, *, within: Selection | None = None
    ) -> list[Vote]:
        """Up to `limit` images that most visual words of a query's variants speak for, best first."""
        from wherefrom.engine.word_files import Postings, Segment
        from wherefrom.engine.word_votes import vote

        self.check_version(_COPIES)
        kept = {key: Keypoints.from_bytes(data) for key, data in self._kept(KEYPOINTS).items()}
        if not kept:
            return []
        keys = np.repeat(np.array(list(kept), np.int64), [len(one) for one in kept.values()])
        all_ = [np.concatenate(arrays) for arrays in zip(*map(_columns, kept.values()), strict=True)]
        segment = Segment.of(Postings(keys, *all_))
        votes = vote([segment], segment.counts(), query, max(1, len(kept)), compiled=False)
        rows = zip(votes.keys.tolist(), votes.variants.tolist(), votes.scores.tolist(), strict=True)
        return [Vote(*row) for row in rows if within is None or row[0] in within][:limit]

    def near_vectors(
        self, queries: NDArray[np.float32], limit: int, *, within: Selection | None = None
    ) -> list[VectorHit]:
        """The `limit` images most similar to each query, float32 (q, d) of length 1, best first."""
        keys, fields = self.rows(EMBEDDING, within)
        if not keys:
            return []
        vectors = fields[0].view(np.int8) * fields[1].view("<f4")
        found = []
        for number, query in enumerate(queries):
            ranked = sorted((-float(np.dot(one, query)), key) for key, one in zip(keys, vectors, strict=True))
            found += [VectorHit(number, key, -less) for less, key in ranked[:limit]]
        return found

    def near_pairs(self, radius: int, *, turned: bool, within: Selection | None = None) -> NearPairs:
        """The images whose fingerprints are within `radius` bits of each other's: every pair of them."""
        known, pairs = self._codes(within), set[tuple[int, int]]()
        for key, _, code in known:
            ways = [one for *how, one in turned_codes(code[None]) if turned or not any(how)]
            for other, _, another in known:
                if key < other and min(_apart(way[0], another) for way in ways) <= radius:
                    pairs.add((key, other))
        return NearPairs(sorted(pairs), [])

    def best(self, kind: str, score: Score, limit: int, *, within: Selection | None = None) -> list[Scored]:
        """The images of which a kind of feature scores highest, best first, of equals the lower key."""
        keys, fields = self.rows(kind, within)
        scores = score(fields).tolist() if keys else []
        ranked: dict[int, float] = {}
        for key, value in sorted(zip(keys, scores, strict=True), key=lambda one: (-one[1], one[0])):
            ranked.setdefault(key, value)  # of an image with many parts the best one counts
        return [Scored(*one) for one in list(ranked.items())[:limit]]

    def scan(self, kind: str) -> Iterator[Fields]:
        """Every row of a kind that lies in columns, all at once."""
        keys, fields = self.rows(kind)
        return iter([fields] if keys else [])

    def rows(self, kind: str, within: Selection | None = None) -> tuple[list[int], Fields]:
        """The keys and the rows of the parts of a kind that lies in columns, in order."""
        self.check_version((kind,))
        index = feature(kind).index
        widths = index.widths(self.dimension) if isinstance(index, Columns) and kind in self.versions else ()
        ends = list(accumulate(widths, initial=0))
        kept = self._kept(kind, within).items() if widths else ()
        parts = [(key, part) for key, data in kept for part in feature(kind).parts(data)]
        table = np.frombuffer(b"".join(part for _, part in parts), np.uint8).reshape(len(parts), ends[-1])
        fields = [np.ascontiguousarray(table[:, start:end]) for start, end in pairwise(ends)]
        return [key for key, _ in parts], fields

    def _kept(self, kind: str, within: Selection | None = None) -> dict[int, bytes]:
        keys = [key for key in self.select(None) if within is None or key in within]
        return self.features(kind, keys)

    def _codes(self, within: Selection | None) -> list[tuple[int, int, NDArray[np.uint8]]]:
        """(key, part, code) of every fingerprint by which an image may be known."""
        self.check_version(_COPIES)
        found = []
        for key, data in self._kept(FINGERPRINT, within).items():
            known = Fingerprint.from_bytes(data)
            parts = (known.code, known.trimmed) if known.usable else ()
            found += [(key, part, code) for part, code in enumerate(parts) if code is not None]
        return found


def _apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.bitwise_count(one ^ other).sum())


def _columns(of: Keypoints) -> tuple[NDArray[np.generic], ...]:
    return of.words[:, 0], of.signatures, of.angles, of.scales
