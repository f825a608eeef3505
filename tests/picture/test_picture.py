"""A picture of pixels at hand, its luma, and what upright means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.pictures import exif_of, quadrants, stored
from wherefrom.errors import UsageError
from wherefrom.picture.colour import LONGEST_SIDE
from wherefrom.picture.picture import Picture, upright


def test_pixels_at_hand_make_a_picture() -> None:
    for pixels in (np.zeros((3, 5), np.uint8), np.zeros((3, 5, 3), np.uint8)):
        picture = Picture.from_array(pixels)
        assert (picture.facts.width, picture.facts.height) == (5, 3)
        assert (picture.facts.format, picture.facts.frames, picture.facts.bytes) == (
            "array",
            1,
            pixels.nbytes,
        )
        assert not picture.facts.credit


def test_a_ribbon_at_hand_is_averaged_as_one_of_a_file() -> None:
    picture = Picture.from_array(np.full((2, 2 * LONGEST_SIDE), 9, np.uint8))
    assert (picture.facts.width, picture.facts.height) == (2 * LONGEST_SIDE, 2)
    assert picture.pixels.shape == (2, LONGEST_SIDE)
    assert (picture.pixels == 9).all()


@pytest.mark.parametrize("shape", [(5, 300_000, 3), (700, 900, 3), (1, 1, 3)])
def test_luma_of_blocks_of_rows_is_that_of_the_whole(shape: tuple[int, ...]) -> None:
    picture = Picture(
        np.random.default_rng(1).integers(0, 256, shape, np.uint8),
        Picture.from_array(np.zeros((1, 1), np.uint8)).facts,
    )
    whole = picture.pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    assert np.array_equal(picture.luma, whole)
    assert np.array_equal(picture.luma8, (whole + 0.5).astype(np.uint8))


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((3, 5), np.float32),
        np.zeros((3, 5), np.int8),
        np.zeros((3, 5, 4), np.uint8),
        np.zeros((3, 5, 1), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((0, 5), np.uint8),
        np.zeros((3, 0, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(pixels: np.ndarray[Any, Any]) -> None:
    with pytest.raises(UsageError, match="uint8 array of shape"):
        Picture.from_array(pixels)


def test_luma_is_that_of_bt_601() -> None:
    colours = Picture.from_array(
        np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    )
    assert colours.luma == pytest.approx(np.array([[76.245, 149.685, 29.07, 255.0]]), abs=1e-3)
    assert colours.luma8.tolist() == [[76, 150, 29, 255]]
    grey = Picture.from_array(np.array([[7, 200]], np.uint8))
    assert grey.luma.dtype == np.float32
    assert grey.luma.tolist() == [[7.0, 200.0]]
    assert grey.luma8 is grey.pixels


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_undoes_each_orientation(orientation: int) -> None:
    image = quadrants(6, 4)
    turned = upright(np.asarray(stored(orientation, image)), orientation)
    assert np.array_equal(turned, np.asarray(image))
    assert turned.flags.c_contiguous
    # Another program's idea of the same: the whole point is to agree with viewers.
    marked = stored(orientation, image)
    marked.info["exif"] = exif_of(orientation)
    theirs = ImageOps.exif_transpose(marked)
    assert isinstance(theirs, Image.Image)
    assert np.array_equal(turned, np.asarray(theirs))


def test_an_orientation_that_is_none_changes_nothing() -> None:
    pixels = np.asarray(quadrants(6, 4))
    for orientation in (0, 1, 9, -1, 65535):
        assert upright(pixels, orientation) is pixels
