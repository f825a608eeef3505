"""Random operations on an engine and on the plain twin, and the comparison of what both then hold."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.conformance import world
from tests.conformance.world import DIMENSION, OURS, READER, SEEDS, START, Met, image
from tests.engine.models import Clock
from wherefrom.engine.base import Engine, NearPairs, Selection
from wherefrom.engine.memory import MemoryEngine
from wherefrom.errors import UsageError
from wherefrom.features.embedding import Embedding
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, PALETTE
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.filters.terms import Filter
from wherefrom.records import Image, Refusal, SeenAt

if TYPE_CHECKING:
    from tests.conformance.engine import EngineSuite
    from wherefrom.engine.base import Fields

T = TypeVar("T")

DIGEST = {image(seed).digest: seed for seed in SEEDS}
CLOSE = 0.02  # of cosines: vectors are kept in 8 bits
RADIUS = 60


class Side:
    """One of the two engines, with images called by their seeds and not by its keys."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def keys(self, seeds: Iterable[int]) -> list[int]:
        """The keys of those that are here, and of others one that nothing has."""
        wanted = [image(seed).digest for seed in seeds]
        found = self.engine.keys_of(wanted)
        return [found.get(digest, 1 << 40) for digest in wanted]

    def seeds(self, keys: Iterable[int]) -> list[int]:
        """The seeds of images that are here."""
        found = self.engine.keys_of(list(DIGEST))
        seeds = {key: DIGEST[digest] for digest, key in found.items()}
        return [seeds[key] for key in keys]

    def at(self, places: Iterable[SeenAt]) -> list[tuple[int, str, str | None]]:
        """Places, with seeds for keys, sorted."""
        given = list(places)
        seeds = self.seeds(at.key for at in given)
        found = [(seed, at.uri, at.page) for seed, at in zip(seeds, given, strict=True)]
        return sorted(found, key=lambda one: (one[0], one[1], one[2] or ""))

    def within(self, wanted: Filter | None, without: Sequence[int]) -> Selection | None:
        """What a filter lets through but for some, None for no filter."""
        return None if wanted is None else self.engine.select(wanted).without(self.keys(without))

    def held(self) -> dict[str, Image]:
        """Every image by its id."""
        return {one.id: one for one in self.engine.images(list(self.engine.select(None))).values()}


class Reader:
    """Who follows the changes of an engine: which images there are, and how they were seen."""

    def __init__(self, engine: Engine) -> None:
        self.cursor: str | None = None
        self.known: dict[int, Any] = {}
        self.follow(engine, 100)

    def follow(self, engine: Engine, limit: int) -> None:
        """Read on to the end. Afterwards what it knows is what there is."""
        told: set[int] = set()
        for _ in range(1_000):
            page = engine.changes(self.cursor, limit)
            assert max(len(page.added), len(page.removed), len(page.seen)) <= limit
            assert len({*page.added, *page.removed, *page.seen}) == len(
                [*page.added, *page.removed, *page.seen]
            )
            for key in page.added:
                assert key not in self.known, "added twice"
                self.known[key] = None
            for key in page.removed:
                self.known.pop(key, None)
            told |= {*page.added, *page.seen}
            self.cursor = page.cursor
            if not page.more:
                break
        images = engine.images(list(engine.select(None)))
        assert self.known.keys() == images.keys(), "what was added or removed is not told of"
        for key, one in images.items():
            if key not in told:
                assert self.known[key] == _places(one), "what was seen is not told of"
            self.known[key] = _places(one)
        nothing = engine.changes(self.cursor, limit)
        assert nothing[:3] == ([], [], []), "told twice"
        assert not nothing.more


class Operations(RuleBasedStateMachine):
    """What is done to both."""

    suite: EngineSuite
    root: Path
    runs: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self._directory = self.root / str(next(self.runs))
        self._clock = Clock(START)
        self.mine = Side(self.suite.make(self._directory, self._clock))
        self.twin = Side(MemoryEngine(versions=OURS, dimension=DIMENSION, clock=self._clock))
        self.readers = [Reader(self.mine.engine) for _ in range(2)]
        self._state = self._fingerprint()

    def teardown(self) -> None:
        self.mine.engine.close()
        self.twin.engine.close()

    def both(self, call: Callable[[Side], T]) -> T:
        """The same to both; what comes of it is equal, or both refuse it."""
        answers: list[tuple[T | None, type[UsageError] | None]] = []
        for side in (self.mine, self.twin):
            try:
                answers.append((call(side), None))
            except UsageError as error:
                answers.append((None, type(error)))
        assert answers[0] == answers[1], _apart(*answers)
        return answers[0][0]  # type: ignore[return-value]

    # Changes

    @initialize(some=st.lists(world.met(), min_size=4, max_size=9))
    def begin(self, some: list[Met]) -> None:
        self.add(some, keep=False, bad=None)

    @rule(
        some=st.lists(world.met(), min_size=1, max_size=4),
        keep=st.booleans(),
        bad=st.none() | st.none() | st.none() | world.bad_fields,
    )
    def add(self, some: list[Met], keep: bool, bad: dict[str, Any] | None) -> None:
        if bad is not None:
            some = [*some, some[-1]._replace(fields=bad)]
        new = [one.new for one in some]
        data = {image(one.seed).digest: b"image %d" % one.seed for one in some} if keep else None

        def call(side: Side) -> list[tuple[int, bool]]:
            found = side.engine.add(new, data)
            return [
                (seed, new) for seed, (_, new) in zip(side.seeds(k for k, _ in found), found, strict=True)
            ]

        self.both(call)

    @rule(seeds=st.lists(world.seeds, min_size=1, max_size=3), again=st.booleans())
    def remove(self, seeds: list[int], again: bool) -> None:
        self.both(lambda side: side.engine.remove(side.keys(seeds)))
        if again:
            self.add([Met(seed, None, {}) for seed in seeds], keep=False, bad=None)

    @rule(seeds=st.lists(world.seeds, min_size=1, max_size=4), fields=world.fields | world.bad_fields)
    def set_fields(self, seeds: list[int], fields: dict[str, Any]) -> None:
        self.both(lambda side: side.engine.set_fields(side.keys(seeds), fields))

    @rule(prefix=st.sampled_from(world.PREFIXES), every=st.integers(1, 3))
    def mark_gone(self, prefix: str, every: int) -> None:
        def call(side: Side) -> None:
            there = side.at(side.engine.present_under(prefix))[::every]
            keys = side.keys(seed for seed, _, _ in there)
            side.engine.mark_gone(
                [SeenAt(key, uri, page) for key, (_, uri, page) in zip(keys, there, strict=True)]
            )

        self.both(call)

    @rule(files=st.dictionaries(world.uris, world.seeds.map(world.stamp), min_size=1, max_size=4))
    def recognise(self, files: dict[str, Any]) -> None:
        self.both(lambda side: _told(side.engine.recognise(list(files.items()), READER)))

    @rule(rows=st.lists(world.refused, min_size=1, max_size=2))
    def refuse(self, rows: list[Refusal]) -> None:
        self.both(lambda side: side.engine.refuse(rows))

    @rule(name=st.sampled_from(["one", "two"]), value=st.none() | st.lists(st.integers(), max_size=2))
    def documents(self, name: str, value: Any) -> None:
        self.both(lambda side: side.engine.keep_document(name, value))
        self.both(lambda side: [side.engine.document(one) for one in ("one", "two", "three")])

    @rule(seconds=st.integers(-2, 30))
    def time_passes(self, seconds: int) -> None:
        assert self._clock.present is not None
        self._clock.present += seconds * world.SECOND

    @rule()
    def rebuild(self) -> None:
        self.mine.engine.rebuild()

    @rule()
    def reopen(self) -> None:
        again = self.suite.again(self.mine.engine, self._directory, self._clock)
        if again is not None:
            self.mine = Side(again)

    # What is held

    @invariant()
    def both_hold_the_same(self) -> None:
        self.both(Side.held)
        self.both(lambda side: [side.seeds(side.engine.select(None)), side.engine.count()])
        self.both(lambda side: (side.engine.total_bytes(), side.engine.field_names()))
        state = self._fingerprint()
        self.readers[0].follow(self.mine.engine, 3)
        if state[1] != self._state[1]:
            assert state[0] != self._state[0], "what there is has changed, and the revision has not"
        self._state = state

    def _fingerprint(self) -> tuple[str, Any]:
        held = self.mine.held()
        return self.mine.engine.revision(), {name: (one.fields, _places(one)) for name, one in held.items()}

    @rule()
    def read_features_and_bytes(self) -> None:
        def call(side: Side) -> list[Any]:
            keys = side.keys(SEEDS)
            kinds = [side.engine.features(kind, keys) for kind in OURS]
            named = [dict(zip(side.seeds(kept), kept.values(), strict=True)) for kept in kinds]
            originals = [side.engine.original(image(seed).digest) for seed in SEEDS]
            rows = sorted(
                b"".join(row.tobytes() for row in fields)
                for kind in (PALETTE, EMBEDDING)
                for batch in side.engine.scan(kind)
                for fields in zip(*batch, strict=True)
            )
            return [named, originals, rows, side.engine.stale()]

        self.both(call)

    @rule(prefix=st.sampled_from(world.PREFIXES), limit=st.integers(1, 5))
    def read_places(self, prefix: str, limit: int) -> None:
        self.both(lambda side: side.at(side.engine.present_under(prefix)))
        self.both(lambda side: [sorted(side.seeds(side.engine.keys_at(uri))) for uri in world.URIS])

        def several(side: Side) -> dict[int, Any]:
            found = side.engine.several_places(side.keys(SEEDS))
            return dict(zip(side.seeds(found), map(side.at, found.values()), strict=True))

        self.both(several)

        def walked(side: Side) -> list[Any]:
            pages, after = [], None
            while True:
                page = side.engine.sightings(prefix, after=after, limit=limit)
                pages.append([(name, one, one.stamp) for name, one in page.rows])
                after = page.next
                if after is None:
                    return pages

        self.both(walked)

    @rule(wanted=world.filters, without=st.lists(world.seeds, max_size=3))
    def select(self, wanted: Filter, without: list[int]) -> None:
        def call(side: Side) -> list[Any]:
            found = side.engine.select(wanted)
            less = found.without(side.keys(without))
            there = [key in found for key in side.keys(SEEDS)]
            text = list(side.engine.select(str(wanted)))
            assert text == list(found)
            return [side.seeds(found), len(found), there, side.seeds(less), len(less)]

        self.both(call)

    @rule(
        order=st.sampled_from(["added", "date", "pixels"]),
        descending=st.booleans(),
        limit=st.integers(1, 4),
        wanted=st.none() | world.filters,
    )
    def page(self, order: str, descending: bool, limit: int, wanted: Filter | None) -> None:
        def call(side: Side) -> list[Any]:
            within, pages, after = side.within(wanted, []), [], None
            while True:
                found = side.engine.page(within, order, descending=descending, limit=limit, after=after)
                pages.append((side.seeds(found.keys), found.total))
                after = found.next
                if after is None:
                    return pages

        self.both(call)

    @rule(limit=st.integers(1, 4))
    def read_changes(self, limit: int) -> None:
        self.readers[1].follow(self.mine.engine, limit)

    # What is nominated

    @rule(
        some=st.lists(world.seeds, min_size=1, max_size=2),
        radius=st.integers(0, RADIUS),
        wanted=st.none() | world.filters,
        without=st.lists(world.seeds, max_size=2),
    )
    def near_codes(self, some: list[int], radius: int, wanted: Filter | None, without: list[int]) -> None:
        known = [Fingerprint.from_bytes(image(seed).features[FINGERPRINT]) for seed in some]
        codes = np.stack([one.code if one.trimmed is None else one.trimmed for one in known])

        def call(side: Side) -> list[Any]:
            hits = side.engine.near_codes(codes, radius, within=side.within(wanted, without))
            assert [(hit.query, hit.distance) for hit in hits] == sorted(
                (hit.query, hit.distance) for hit in hits
            )
            seeds = side.seeds(hit.key for hit in hits)
            return sorted((h.query, h.distance, seed, h.part) for h, seed in zip(hits, seeds, strict=True))

        self.both(call)

    @rule(seed=world.seeds, limit=st.integers(1, 20), wanted=st.none() | world.filters)
    def near_words(self, seed: int, limit: int, wanted: Filter | None) -> None:
        query = [world.word_query(other) for other in ((seed + 5) % len(SEEDS), seed)]
        votes = self.mine.engine.near_words(query, limit, within=self.mine.within(wanted, []))
        seeds, scores = self.mine.seeds(vote.key for vote in votes), [vote.score for vote in votes]
        due = self.twin.engine.near_words(query, 100, within=self.twin.within(wanted, []))
        due_seeds = self.twin.seeds(vote.key for vote in due)
        assert len(votes) <= limit
        assert len(set(seeds)) == len(seeds)
        assert set(seeds) <= set(due_seeds)
        assert scores == sorted(scores, reverse=True)
        assert min(scores, default=1.0) > 0
        if due and (len(due) == 1 or due[0].score > 1.5 * due[1].score):
            assert (seeds[0], votes[0].variant) == (due_seeds[0], due[0].variant)

    @rule(
        some=st.lists(world.seeds, min_size=1, max_size=2),
        limit=st.integers(1, 5),
        wanted=st.none() | world.filters,
    )
    def near_vectors(self, some: list[int], limit: int, wanted: Filter | None) -> None:
        given = [image(seed).features[EMBEDDING] or image(0).features[EMBEDDING] for seed in some]
        queries = np.stack([Embedding.from_bytes(data).vector for data in given])
        hits = self.mine.engine.near_vectors(queries, limit, within=self.mine.within(wanted, []))
        due = self.twin.engine.near_vectors(queries, 100, within=self.twin.within(wanted, []))
        seeds = self.mine.seeds(hit.key for hit in hits)
        for query in range(len(some)):
            mine = [(s, h.similarity) for s, h in zip(seeds, hits, strict=True) if h.query == query]
            all_ = dict(
                zip(
                    self.twin.seeds(hit.key for hit in due if hit.query == query),
                    (hit.similarity for hit in due if hit.query == query),
                    strict=True,
                )
            )
            best = list(all_.values())[:limit]
            assert len({seed for seed, _ in mine}) == len(mine) == len(best)
            assert all(abs(all_[seed] - similarity) < CLOSE for seed, similarity in mine)
            assert all(abs(have - wanted_) < CLOSE for (_, have), wanted_ in zip(mine, best, strict=True))
            assert [one for _, one in mine] == sorted((one for _, one in mine), reverse=True)

    @rule(turned=st.booleans(), radius=st.integers(0, RADIUS), wanted=st.none() | world.filters)
    def near_pairs(self, turned: bool, radius: int, wanted: Filter | None) -> None:
        def call(side: Side) -> tuple[NearPairs, set[frozenset[int]]]:
            found = side.engine.near_pairs(radius, turned=turned, within=side.within(wanted, []))
            some = [[tuple(sorted(side.seeds(pair))) for pair in pairs] for pairs in found]
            return NearPairs(*some), _groups(some[0])  # type: ignore[arg-type]

        mine, groups = call(self.mine)
        due, due_groups = call(self.twin)
        assert groups == due_groups
        assert {*mine.holding, *mine.others} <= {*due.holding, *due.others}

    @rule(limit=st.integers(1, 6), wanted=st.none() | world.filters, step=st.integers(2, 90))
    def best(self, limit: int, wanted: Filter | None, step: int) -> None:
        def score(fields: Fields) -> Any:
            return (fields[0].sum(axis=1) % step).astype(np.float32)

        def call(side: Side) -> tuple[list[float], list[int]]:
            found = side.engine.best(PALETTE, score, limit, within=side.within(wanted, []))
            return [one.score for one in found], side.seeds(one.key for one in found)

        self.both(call)

    @rule()
    def nothing_is_damaged(self) -> None:
        assert list(self.mine.engine.damage()) == []


def _apart(mine: Any, twin: Any) -> str:
    """What differs, one part a line."""
    if type(mine) is type(twin) and isinstance(mine, dict):
        some = [
            f"{key}: {_apart(mine.get(key), twin.get(key))}"
            for key in {**mine, **twin}
            if mine.get(key) != twin.get(key)
        ]
    elif type(mine) is type(twin) and isinstance(mine, list | tuple) and len(mine) == len(twin):
        some = [f"[{n}] {_apart(a, b)}" for n, (a, b) in enumerate(zip(mine, twin, strict=True)) if a != b]
    else:
        some = [f"{mine!r}\nand the twin says\n{twin!r}"]
    return "\n".join(some)


def _places(one: Image) -> list[Any]:
    """How an image was seen, but for when it was last."""
    return [replace(place, last_seen="") for place in one.sightings]


def _told(found: dict[str, bytes | Refusal]) -> dict[str, Any]:
    return {uri: json.dumps([DIGEST[one]]) if isinstance(one, bytes) else one for uri, one in found.items()}


def _groups(pairs: Iterable[tuple[int, ...]]) -> set[frozenset[int]]:
    """What pairs connect."""
    groups: list[frozenset[int]] = []
    for pair in pairs:
        touched = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in touched]
        groups.append(frozenset(pair).union(*touched))
    return set(groups)
