"""The suite that the author of a kind of feature subclasses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from tests.scenes import picture
from wherefrom.features.extract import Recipe
from wherefrom.features.registry import Columns, Feature, View
from wherefrom.picture.picture import Picture


class FeatureSuite:
    """Holds one kind to what is promised of all: give `kind`, and `pictures` where ours do not do."""

    kind: Feature
    recipe = Recipe()

    def pictures(self) -> Sequence[Picture]:
        """Pictures that have parts of the kind."""
        return [Picture.from_array(np.asarray(picture(seed, 320, 240))) for seed in (1, 2, 3)]

    def parts(self, shown: Picture) -> list[bytes]:
        """The parts of a picture."""
        return list(self.kind.extract(View(shown, lambda: shown), self.recipe))

    def test_it_says_what_it_is(self) -> None:
        assert self.kind.kind.isidentifier()
        assert all(self.kind.nouns)
        assert self.kind.version(None)

    def test_parts_are_a_pure_function_of_the_picture(self) -> None:
        for shown in self.pictures():
            copy = Picture(shown.pixels.copy(), shown.facts)
            assert self.parts(shown) == self.parts(copy)

    def test_other_pictures_have_other_parts(self) -> None:
        found = [self.parts(shown) for shown in self.pictures()]
        assert all(one != other for number, one in enumerate(found) for other in found[number + 1 :])

    def test_parts_come_back_as_they_were_kept(self) -> None:
        for shown in self.pictures():
            parts = self.parts(shown)
            assert self.kind.many or len(parts) == 1
            assert self.kind.parts(self.kind.packed(parts)) == parts

    def test_what_it_makes_it_takes(self) -> None:
        for shown in self.pictures():
            for part in self.parts(shown):
                self.kind.check(part, self.recipe)

    def test_other_bytes_are_refused(self) -> None:
        (part, *_) = self.parts(self.pictures()[0])
        with pytest.raises(ValueError, match=r"."):
            self.kind.check(part + b"\0", self.recipe)
        if self.kind.many:
            with pytest.raises(ValueError):  # noqa: PT011 - of msgpack, without words
                self.kind.parts(b"\xc1 no parts")

    def test_rows_have_the_width_that_is_said(self) -> None:
        index = self.kind.index
        if isinstance(index, Columns) and not index.vectors:
            width = sum(index.widths(0))
            assert {len(part) for shown in self.pictures() for part in self.parts(shown)} == {width}

    def test_small_and_plain_pictures_are_no_trouble(self) -> None:
        for size in ((1, 1), (3, 200), (17, 16)):
            shown = Picture.from_array(np.asarray(Image.new("RGB", size, (200, 30, 30))))
            for part in self.parts(shown):
                self.kind.check(part, self.recipe)
