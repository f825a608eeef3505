"""Colours changed for others are named, and mild changes of tone are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from tests.scenes import encoded
from wherefrom.evaluate.edits import recoded
from wherefrom.evaluate.scenery import scenery
from wherefrom.search.answer import Edit, Kind
from wherefrom.search.changes import changes
from wherefrom.search.find import compare
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)
Editor = Callable[[Image.Image], Image.Image]


def colourful(seed: int) -> Image.Image:
    """A landscape with things of many colours in it."""
    random = np.random.default_rng(seed)
    image = scenery(random, 420, 300)
    for _ in range(5):
        patch = scenery(random, 90, 70)
        red, green, blue = (int(value) for value in random.integers(0, 256, 3))
        patch = Image.blend(patch, Image.new("RGB", patch.size, (red, green, blue)), 0.6)
        image.paste(patch, (int(random.integers(0, 330)), int(random.integers(0, 230))))
    return image


def stars(seed: int) -> Image.Image:
    """A night sky: hardly any pixel has colour."""
    random = np.random.default_rng(seed)
    sky = random.normal(12, 2, (300, 420, 3)).clip(0, 255)
    for _ in range(160):
        y, x = (int(random.integers(5, side - 5)) for side in (300, 420))
        size = int(random.integers(2, 5))
        sky[y : y + size, x : x + size] = random.choice([[255, 170, 110], [140, 180, 255], [240, 230, 220]])
    return Image.fromarray(sky.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))


def sepia(image: Image.Image) -> Image.Image:
    matrix = (0.393, 0.769, 0.189, 0, 0.349, 0.686, 0.168, 0, 0.272, 0.534, 0.131, 0)
    return image.convert("RGB", matrix)


def turned(degrees: int) -> Editor:
    def edit(image: Image.Image) -> Image.Image:
        hue, saturation, value = image.convert("HSV").split()
        hue = hue.point([(level + round(degrees * 256 / 360)) % 256 for level in range(256)])
        return Image.merge("HSV", (hue, saturation, value)).convert("RGB")

    return edit


def swapped(*order: int) -> Editor:
    return lambda image: Image.merge("RGB", [image.split()[one] for one in order])


def balanced(red: float, blue: float) -> Editor:
    return lambda image: image.convert("RGB", (red, 0, 0, 0, 0, 1, 0, 0, 0, 0, blue, 0))


def measured(query: Image.Image, match: Image.Image) -> tuple[Edit, ...]:
    found = changes(np.asarray(recoded(query, "JPEG", 85)), np.asarray(match), np.eye(3))
    assert found is not None
    return found.edits


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "editor"),
    [
        ("sepia", sepia),
        ("tint", lambda image: ImageOps.colorize(image.convert("L"), "#001030", "#d0f0ff", mid="#2060b0")),
        ("channels", swapped(2, 1, 0)),
        ("channels", swapped(1, 0, 2)),
        ("channels", swapped(1, 2, 0)),
        ("hue", turned(40)),
        ("hue", turned(155)),
        ("hue", turned(270)),
        ("grey", lambda image: image.convert("L").convert("RGB")),
    ],
)
def test_changed_colours_are_named_and_nothing_is_laid_over(seed: int, name: str, editor: Editor) -> None:
    first, *others = (edit.name for edit in measured(editor(colourful(seed)), colourful(seed)))
    assert first == name
    assert set(others) <= {"blur"}


def test_the_hue_is_turned_by_so_many_degrees() -> None:
    for degrees in (40, 155, 270):
        (edit,) = measured(turned(degrees)(colourful(4)), colourful(4))
        assert edit.amount == pytest.approx(degrees, abs=6)


@pytest.mark.parametrize(
    "editor",
    [
        balanced(1.08, 0.92),
        balanced(0.92, 1.08),
        lambda image: ImageEnhance.Color(image).enhance(1.5),
        lambda image: ImageEnhance.Color(image).enhance(0.4),
        lambda image: ImageEnhance.Brightness(image).enhance(1.25),
        lambda image: ImageOps.autocontrast(image, cutoff=1, preserve_tone=True),
        lambda image: Image.blend(image, Image.new("RGB", image.size, (255, 190, 110)), 0.07),
        lambda image: recoded(image, "JPEG", 15),
        lambda image: image.resize((210, 150)).resize(image.size),
    ],
)
@pytest.mark.parametrize("draw", [colourful, stars])
def test_mild_changes_recolour_nothing(draw: Callable[[int], Image.Image], editor: Editor) -> None:
    for edit in measured(editor(draw(6)), draw(6)):
        assert edit.name in ("tone", "blur", "compression", "noise")


def test_a_few_coloured_stars_tell_that_channels_were_swapped() -> None:
    assert [edit.name for edit in measured(swapped(2, 1, 0)(stars(1)), stars(1))] == ["channels"]


@pytest.mark.parametrize("editor", [sepia, swapped(2, 1, 0), turned(155)])
def test_what_was_recoloured_is_a_copy_whichever_is_asked_for(editor: Editor) -> None:
    files = encoded(colourful(7)), encoded(editor(colourful(7)))
    for query, match in (files, files[::-1]):
        found = compare(query, match, PLAIN)
        assert found is not None
        assert found.kind is Kind.COPY
        assert found.evidence.edits
        assert all(edit.name not in ("tone", "overlay") for edit in found.evidence.edits)


@pytest.mark.parametrize("draw", [stars, lambda seed: colourful(seed).convert("L").convert("RGB")])
def test_coloured_stickers_on_a_pale_picture_recolour_nothing(draw: Callable[[int], Image.Image]) -> None:
    query = draw(8)
    for place, colour in ((60, "#ff2ad4"), (260, "#20c040")):
        query.paste(colour, (place, 90, place + 60, 150))
    assert {edit.name for edit in measured(query, draw(8))} == {"overlay"}
