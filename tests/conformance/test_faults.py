"""The suite finds what it is for: each of these engines is wrong in one thing, and it says so of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.engine import DIMENSION, OURS, Clock, EngineSuite
from wherefrom.engine.base import Changes, Engine, Page, Selection
from wherefrom.engine.memory import MemoryEngine
from wherefrom.engine.memory.contents import moment_of
from wherefrom.engine.memory.nominate import Plain
from wherefrom.filters.terms import And, Filter
from wherefrom.records import NewImage, Place


class Filtering(MemoryEngine):
    """Looks for one of several parts alone where all of them are asked for."""

    def select(self, wanted: Filter | str | None) -> Plain:
        return super().select(wanted.parts[0] if isinstance(wanted, And) else wanted)


class Removing(MemoryEngine):
    """Keeps the fields of what is removed for when it comes again."""

    def remove(self, keys: Sequence[int]) -> int:
        left = {one.new.digest: one for key, one in self.contents.images.items() if key in keys}
        self.left = getattr(self, "left", {}) | left
        return super().remove(keys)

    def add(
        self, images: Sequence[NewImage], originals: Mapping[bytes, bytes] | None = None
    ) -> list[tuple[int, bool]]:
        found = super().add(images, originals)
        for one, (key, is_new) in zip(images, found, strict=True):
            if is_new and one.digest in getattr(self, "left", {}):
                before = self.left[one.digest].fields
                self.contents.images[key].fields = {**before, **self.contents.images[key].fields}
        return found


class Seeing(MemoryEngine):
    """Believes whoever told it last, and not whoever saw it last."""

    def tell(self, key: int, place: Place, present: int) -> None:
        super().tell(key, place, present)
        spot = (place.uri, key, place.page or "")
        for moment in [moment_of(one) for one in self.contents.told.get(spot, ())]:
            last = self.contents.told[spot][-1]
            self.contents.told[spot][-1] = replace(last, moment=max(moment, moment_of(last)))


class Paging(MemoryEngine):
    """Goes on one too far on the second page."""

    def page(
        self, within: Selection | None, order: str, *, descending: bool, limit: int, after: str | None
    ) -> Page:
        found = super().page(within, order, descending=descending, limit=limit, after=after)
        return found._replace(keys=found.keys[1:]) if after is not None and len(found.keys) > 1 else found


class Telling(MemoryEngine):
    """Does not tell of what is marked as gone."""

    def changes(self, since: str | None, limit: int) -> Changes:
        found = super().changes(since, limit)
        held = self.images(found.seen)
        seen = [key for key, image in held.items() if not all(one.gone for one in image.sightings)]
        return found._replace(seen=seen)


@pytest.mark.parametrize("wrong", [Filtering, Removing, Seeing, Paging, Telling])
def test_a_planted_fault_is_found(wrong: type[MemoryEngine], tmp_path: Path) -> None:
    class Faulty(EngineSuite):
        examples, steps, derandomize = 60, 25, True

        def make(self, directory: Path, clock: Clock) -> Engine:
            return wrong(versions=OURS, dimension=DIMENSION, clock=clock)

    with pytest.raises(AssertionError):
        Faulty().test_random_operations(tmp_path)
