"""Amounts are of pixels: masks, overlays of any outline, and what a collage cuts off."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.scenes import encoded
from wherefrom.evaluate.edits import edit
from wherefrom.evaluate.scenery import scenery
from wherefrom.search.answer import Edit, Kind, Match
from wherefrom.search.changes import changes
from wherefrom.search.find import compare
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)


def landscape(seed: int, width: int = 600, height: int = 450) -> Image.Image:
    """A landscape with things all over it, so that every part has something to be known by."""
    random = np.random.default_rng(seed)
    image = scenery(random, width, height)
    for _ in range(24):
        size = int(random.integers(40, 90)), int(random.integers(30, 80))
        place = int(random.integers(0, width - size[0])), int(random.integers(0, height - size[1]))
        image.paste(scenery(random, *size), place)
    return image


def square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def cut(image: Image.Image, ground: str, *, round_corners: bool = False) -> Image.Image:
    """The picture as a circle, or with rounded corners, on a plain ground."""
    shape = Image.new("L", image.size)
    ends = (0, 0, image.width - 1, image.height - 1)
    if round_corners:
        ImageDraw.Draw(shape).rounded_rectangle(ends, min(image.size) // 4, 255)
    else:
        ImageDraw.Draw(shape).ellipse(ends, 255)
    sheet = Image.new("RGB", image.size, ground)
    sheet.paste(image, (0, 0), shape)
    return sheet


def found(query: Image.Image, match: Image.Image) -> Match:
    seen = compare(encoded(query), encoded(match), PLAIN)
    assert seen is not None
    return seen


def shares(match: Match, name: str) -> float:
    return sum(edit.amount or 0.0 for edit in match.evidence.edits if edit.name == name)


def named(match: Match) -> set[str]:
    return {edit.name for edit in match.evidence.edits}


@pytest.mark.parametrize("ground", ["white", "#202225"])
@pytest.mark.parametrize("seed", [31, 32])
def test_a_circle_is_a_mask_of_as_much_as_it_hides(seed: int, ground: str) -> None:
    match = found(cut(square(landscape(seed)), ground), landscape(seed))
    assert match.kind is Kind.COPY
    assert named(match) == {"crop", "mask"}
    assert shares(match, "mask") == pytest.approx(1 - np.pi / 4, abs=0.03)
    assert shares(match, "crop") == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("side", [128, 160])
def test_an_avatar_is_found(side: int) -> None:
    match = found(cut(square(landscape(33)), "white").resize((side, side)), landscape(33))
    assert 0.15 < shares(match, "mask") < 0.28


def test_rounded_corners_are_a_mask() -> None:
    match = found(cut(landscape(34), "white", round_corners=True), landscape(34))
    hidden = (4 - np.pi) * (450 // 4) ** 2 / (600 * 450)
    assert named(match) == {"mask"}
    assert shares(match, "mask") == pytest.approx(hidden, abs=0.01)


@pytest.mark.parametrize("shape", ["ellipse", "triangle", "bars"])
def test_what_is_laid_over_counts_by_its_pixels(shape: str) -> None:
    query, sheet = landscape(35), Image.new("L", (600, 450))
    draw, pen = ImageDraw.Draw(query), ImageDraw.Draw(sheet)
    for one, colour in ((draw, "#ff2ad4"), (pen, "white")):
        if shape == "ellipse":
            one.ellipse((120, 80, 360, 330), colour)
        elif shape == "triangle":
            one.polygon([(100, 100), (420, 140), (130, 390)], colour)
        else:
            one.rectangle((100, 90, 140, 360), colour)
            one.rectangle((100, 320, 420, 360), colour)
    true = float(np.asarray(sheet, np.float64).mean() / 255)
    seen = changes(np.asarray(query), np.asarray(landscape(35)), np.eye(3))
    assert seen is not None
    assert {edit.name for edit in seen.edits} == {"overlay"}
    assert sum(edit.amount or 0.0 for edit in seen.edits) == pytest.approx(true, rel=0.15)


@pytest.mark.parametrize("gutter", [0, 10])
def test_what_a_collage_cuts_off_is_cropped(gutter: int) -> None:
    sizes = [(600, 480), (500, 380), (620, 410), (400, 600)]
    tiles = [landscape(50 + number, *size) for number, size in enumerate(sizes)]
    step = 400 + gutter
    sheet = Image.new("RGB", (step + 400, step + 400), "white")
    for number, tile in enumerate(tiles):
        sheet.paste(square(tile).resize((400, 400)), (number % 2 * step, number // 2 * step))
    for tile in tiles:
        match = found(sheet, tile)
        missing = 1 - min(tile.size) / max(tile.size)
        assert shares(match, "crop") == pytest.approx(missing, abs=0.03)
        assert "overlay" not in named(match)
        assert match.evidence.match_coverage == pytest.approx(1 - missing, abs=0.03)


def test_what_is_laid_over_within_the_picture_is_no_mask() -> None:
    query = landscape(36)
    ImageDraw.Draw(query).rectangle((150, 100, 350, 250), "white")
    match = found(query, landscape(36))
    (laid,) = match.evidence.edits
    assert laid == Edit("overlay", laid.amount, laid.area)
    assert laid.amount == pytest.approx(200 * 150 / (600 * 450), rel=0.1)


def test_letters_that_reach_the_frame_are_neither_mask_nor_crop() -> None:
    query = edit("text over", landscape(37))
    for match in (landscape(37), landscape(37).resize((300, 225))):
        assert not named(found(query, match)) & {"mask", "crop"}
