"""The suite that every engine is held to: what it does equals what the plain twin in memory does.

An author of an engine subclasses `EngineSuite` in a module of tests, says how one is made, and runs pytest:

    class TestMine(EngineSuite):
        def make(self, directory: Path, clock: Clock) -> Engine:
            return MyEngine(directory, versions=OURS, dimension=DIMENSION, clock=clock)

Random operations are done to the engine and to the twin, and what both hold is compared field by field. Keys
are translated, since each engine has its own; whatever a method may choose freely is let be.
"""

from __future__ import annotations

import contextlib
import itertools
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.conformance.operations import Operations
from tests.conformance.world import DIMENSION, OURS, READER, SECOND, START, URIS, image, places, stamp
from tests.engine.models import Clock
from wherefrom.engine.base import Engine
from wherefrom.errors import UsageError
from wherefrom.records import Image, Place, Refusal

__all__ = ["DIMENSION", "OURS", "Clock", "EngineSuite"]


class EngineSuite(ABC):
    """Tests of an engine. Subclass it as `Test...`."""

    examples = 12
    """How many runs of random operations there are, of up to `steps` each."""

    steps = 30
    derandomize = False
    """Whether every run is the same."""

    phases: tuple[Phase, ...] = (Phase.generate,)
    """What is done about random operations."""

    @abstractmethod
    def make(self, directory: Path, clock: Clock) -> Engine:
        """An empty engine with features of `OURS` and vectors of `DIMENSION`, in a directory that is new."""

    def again(self, engine: Engine, directory: Path, clock: Clock) -> Engine | None:
        """Another one upon what `engine` holds, which is closed here; None where that does not last."""
        return None

    def test_random_operations(self, tmp_path: Path) -> None:
        """Whatever is done, it holds what the twin holds, and answers as the twin does."""

        class Run(Operations):
            suite, root = self, tmp_path

        run_state_machine_as_test(
            Run,
            settings=settings(
                max_examples=self.examples,
                stateful_step_count=self.steps,
                deadline=None,
                derandomize=self.derandomize,
                database=None,
                phases=self.phases,
                suppress_health_check=list(HealthCheck),
            ),
        )

    def test_what_is_seen_does_not_depend_on_the_order_in_which_it_is_told(self, tmp_path: Path) -> None:
        """Observations with moments of their own, told one by one and shuffled, give equal catalogs."""
        number = itertools.count()

        @settings(max_examples=self.examples, deadline=None, derandomize=self.derandomize, database=None)
        @given(st.data())
        def shuffled(data: st.DataObject) -> None:
            told = data.draw(st.lists(_observations(), min_size=2, max_size=7))
            held = []
            for order in (told, data.draw(st.permutations(told)), None):
                with contextlib.closing(self.make(tmp_path / str(next(number)), Clock(START))) as engine:
                    for seed, _ in told:  # the order in which images are added is their own
                        engine.add([image(seed)])
                    if order is None:  # all at once
                        engine.add([replace(image(seed), place=place) for seed, place in told])
                    else:
                        for seed, place in order:
                            engine.add([replace(image(seed), place=place)])
                    held.append(_held(engine))
            assert held[0] == held[1] == held[2]

        shuffled()

    def test_what_was_seen_later_and_told_earlier(self, tmp_path: Path) -> None:
        """An old capture that is read after a newer one marks nothing gone, and is not first seen today."""
        with contextlib.closing(self.make(tmp_path / "e", Clock(START))) as engine:
            engine.add([replace(image(0), place=Place(URIS[0], moment=START - 10 * SECOND))])
            engine.add([replace(image(1), place=Place(URIS[0], moment=START - 90 * SECOND))])
            new, old = (one for one in _held(engine).values())
            assert (new.sightings[0].gone, old.sightings[0].first_seen) == (None, "2023-11-14T22:11:50Z")
            assert old.sightings[0].gone == new.sightings[0].first_seen == "2023-11-14T22:13:10Z"
            found = engine.keys_at(URIS[0])
            assert len(found) == len(set(found)) == 2

    def test_one_uri_on_two_pages(self, tmp_path: Path) -> None:
        """Each page has a sighting of its own, and the image is at its uri once."""
        with contextlib.closing(self.make(tmp_path / "e", Clock(START))) as engine:
            for page in ("https://one.example/", "https://two.example/"):
                engine.add([replace(image(0), place=Place(URIS[5], page))])
            (held,) = _held(engine).values()
            assert [one.page for one in held.sightings] == ["https://one.example/", "https://two.example/"]
            assert len(engine.keys_at(URIS[5])) == 1

    def test_what_is_gone_stays_gone_when_what_came_instead_is_removed(self, tmp_path: Path) -> None:
        """Whatever is told of that place later."""
        with contextlib.closing(self.make(tmp_path / "e", Clock(START))) as engine:
            for seed in (0, 1):
                engine.add([replace(image(seed), place=Place(URIS[0], moment=START + seed * SECOND))])
            engine.remove(list(engine.keys_of([image(1).digest]).values()))
            engine.add([replace(image(2), place=Place(URIS[0], moment=START - SECOND))])
            assert [one.sightings[0].gone for one in _held(engine).values()] == [
                "2023-11-14T22:13:21Z",
                "2023-11-14T22:13:20Z",
            ]

    def test_of_two_images_at_a_uri_the_one_that_is_recognised_stays(self, tmp_path: Path) -> None:
        """Both were seen there at the same moment; the file is that of the first now."""
        clock = Clock(START)
        with contextlib.closing(self.make(tmp_path / "e", clock)) as engine:
            for seed in (0, 1):
                engine.add([replace(image(seed), place=Place(URIS[0], stamp=stamp(seed), moment=START))])
            clock.present = START + 5 * SECOND
            known = engine.recognise([(URIS[0], stamp(0))], READER)
            assert known == {URIS[0]: image(0).digest}
            first, second = (one.sightings[0] for one in _held(engine).values())
            assert (first.gone, first.last_seen) == (None, "2023-11-14T22:13:25Z")
            assert second.gone == "2023-11-14T22:13:25Z"

    def test_no_text_and_an_empty_one_are_told_apart_in_any_order(self, tmp_path: Path) -> None:
        """And no page is the same as an empty one."""
        told = [Place(URIS[5], page, title, moment=START) for page in (None, "") for title in (None, "")]
        held = []
        for number, order in enumerate((told, told[::-1])):
            with contextlib.closing(self.make(tmp_path / str(number), Clock(START))) as engine:
                engine.add([replace(image(0), place=place) for place in order])
                held.append(_held(engine))
        assert held[0] == held[1]
        ((one,),) = (found.sightings for found in held[0].values())
        assert (one.page, one.title) == (None, "")

    def test_the_revision_changes_with_fields(self, tmp_path: Path) -> None:
        """As with images and sightings: what is remembered for a revision may name fields."""
        with contextlib.closing(self.make(tmp_path / "e", Clock(START))) as engine:
            ((key, _),) = engine.add([image(0)])
            seen = [engine.revision()]
            for change in ({"brand": "Acme"}, {"brand": "Other"}, {"brand": None}):
                engine.set_fields([key], change)
                seen.append(engine.revision())
            engine.add([replace(image(0), fields={"price": 3.0})])
            assert len({*seen, engine.revision()}) == 5

    def test_what_is_refused_leaves_no_bytes(self, tmp_path: Path) -> None:
        """Of an image that is known neither; those that were there stay."""
        data = {image(0).digest: b"image 0"}
        bad = replace(image(0), fields={"width": 1.0})
        with contextlib.closing(self.make(tmp_path / "e", Clock(START))) as engine:
            engine.add([image(0)])
            for due in (None, b"image 0"):
                with pytest.raises(UsageError):
                    engine.add([bad], data)
                assert engine.original(image(0).digest) == due
                engine.add([image(0)], data)

    def test_a_refusal_in_passing_counts_for_its_reader_alone(self, tmp_path: Path) -> None:
        """Also where the name of one reader begins as that of another."""
        one = Refusal(URIS[0], stamp(0), "damaged", "It is damaged.", False, "reader 10", passing=True)
        with contextlib.closing(self.make(tmp_path / "e", Clock(START))) as engine:
            for row in (one, replace(one, reader=READER), replace(one, reader=READER)):
                engine.refuse([row])
                assert engine.recognise([(URIS[0], stamp(0))], row.reader) == {}
            engine.refuse([replace(one, reader=READER)])
            due = replace(one, reader=READER, passing=False)
            assert engine.recognise([(URIS[0], stamp(0))], READER) == {URIS[0]: due}

    def test_a_change_is_told_of_after_a_removal(self, tmp_path: Path) -> None:
        """Whoever follows changes misses none because the image that changed last is removed."""
        with contextlib.closing(self.make(tmp_path / "e", Clock(START))) as engine:
            for seed in (0, 1):
                engine.add([replace(image(seed), place=Place(URIS[seed], stamp=stamp(seed)))])
            for _ in range(3):
                engine.add([replace(image(1), place=Place(URIS[3], f"https://example.com/{_}"))])
            first, second = engine.select(None)
            cursor = engine.changes(None, 100).cursor
            engine.remove([second])
            engine.mark_gone(list(engine.present_under(URIS[0])))
            found = engine.changes(cursor, 100)
            assert (found.added, found.removed, found.seen, found.more) == ([], [second], [first], False)

    def test_a_page_goes_on_when_its_last_image_is_removed(self, tmp_path: Path) -> None:
        """What comes behind it is neither passed over nor told twice."""
        with contextlib.closing(self.make(tmp_path / "e", Clock(START))) as engine:
            keys = [key for key, _ in engine.add([image(seed) for seed in range(5)])]
            page = engine.page(None, "added", descending=False, limit=2, after=None)
            assert (page.keys, page.total) == (keys[:2], 5)
            engine.remove(keys[1:2])
            rest = engine.page(None, "added", descending=False, limit=9, after=page.next)
            assert (rest.keys, rest.total, rest.next) == (keys[2:], 4, None)

    def test_what_is_no_cursor_or_order_is_refused(self, tmp_path: Path) -> None:
        """With a sentence, and not with an answer."""
        with contextlib.closing(self.make(tmp_path / "e", Clock(START))) as engine:
            engine.add([image(0)])
            for text in ("", "x", "1.2.3.4.5", "é", "\ud800"):
                with pytest.raises(UsageError):
                    engine.page(None, "added", descending=False, limit=2, after=text)
                with pytest.raises(UsageError):
                    engine.sightings("", after=text, limit=2)
                with pytest.raises(UsageError):
                    engine.changes(text, 2)
            with pytest.raises(UsageError):
                engine.page(None, "beauty", descending=False, limit=2, after=None)

    def test_what_is_closed_says_so(self, tmp_path: Path) -> None:
        """Whatever is called afterwards raises UsageError."""
        engine = self.make(tmp_path / "e", Clock(START))
        (key, _), *_rest = engine.add([image(0)])
        engine.close()
        for call in (
            engine.count,
            engine.revision,
            lambda: engine.images([key]),
            lambda: engine.add([image(1)]),
        ):
            with pytest.raises(UsageError, match="closed"):
                call()


@st.composite
def _observations(draw: st.DrawFn) -> tuple[int, Place]:
    seed = draw(st.integers(0, 2))
    place = draw(places(seed))
    uri = draw(st.sampled_from(URIS[:2]))
    return seed, replace(place, uri=uri, moment=START + SECOND * draw(st.integers(0, 5)))


def _held(engine: Engine) -> dict[str, Image]:
    found = engine.images(list(engine.select(None)))
    return {one.id: one for one in found.values()}
