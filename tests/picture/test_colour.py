"""Any colours, depth and transparency of a file to 8 bits of sRGB on white."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.pictures import (
    HEIGHT,
    WIDTH,
    encode,
    png_of,
    quadrants,
    shows_quadrants,
    tiff_of,
)
from tests.profiles import ADOBE_D50, P3_D50, SRGB_D50, grey_profile, in_srgb, matrix_profile
from wherefrom.picture import colour as module
from wherefrom.picture.colour import is_srgb
from wherefrom.picture.decode import decode

COLOUR = (200, 100, 50)
BEST: dict[str, dict[str, Any]] = {
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 98},
    "AVIF": {"quality": 98},
}


def solid(colour: tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new(mode, size, colour if len(colour) > 1 else colour[0])


def middle(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    height, width = pixels.shape[:2]
    return np.asarray(pixels[height // 2, width // 2], float)


@pytest.mark.parametrize(
    ("primaries", "gamma"),
    [(ADOBE_D50, 2.19921875), (P3_D50, 1.80078125), (SRGB_D50, 1.0)],
    ids=["adobe", "p3", "linear"],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_profiles_are_followed(kind: str, primaries: Any, gamma: float) -> None:
    data = encode(
        solid(COLOUR),
        kind,
        icc_profile=matrix_profile(primaries, gamma, name="sRGB by name alone"),
        **BEST.get(kind, {}),
    )
    expected = in_srgb(COLOUR, primaries, gamma)
    assert np.abs(expected - COLOUR).max() > 15  # or there would be nothing to see
    tolerance = 2.5 if kind in ("PNG", "TIFF", "WEBP") else 5
    assert np.abs(middle(decode(data).pixels) - expected).max() < tolerance
    luma = decode(data, colour=False).luma
    # Luma of JPEG goes through the profile's greys alone: saturated colours come out a few levels off.
    tolerance = 8 if kind == "JPEG" else tolerance
    assert abs(middle(luma.astype(np.uint8)) - expected @ [0.299, 0.587, 0.114]) < tolerance


def test_a_profile_lies_over_strips_and_alpha_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STRIP_PIXELS", 512)
    profile = matrix_profile(ADOBE_D50, 2.19921875)
    data = encode(solid((*COLOUR, 255), "RGBA"), "PNG", icc_profile=profile)
    pixels = decode(data).pixels
    assert np.abs(pixels - in_srgb(COLOUR, ADOBE_D50, 2.19921875)).max() < 2.5


def test_a_grey_profile() -> None:
    for kind in ("PNG", "JPEG"):
        data = encode(solid((60,), "L"), kind, icc_profile=grey_profile(1.0))
        seen = decode(data, colour=False).pixels
        assert seen.ndim == 2
        assert abs(middle(seen) - in_srgb((60, 60, 60), SRGB_D50, 1.0)[0]) < 4


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"junk",
        bytes(200),
        matrix_profile(ADOBE_D50, 2.2)[:200],
        matrix_profile(ADOBE_D50, 2.2) + bytes(5 << 20),
    ],
)
def test_a_broken_profile_leaves_the_colours(profile: bytes) -> None:
    for kind in ("PNG", "TIFF"):
        if kind == "PNG" and len(profile) > 1 << 20:
            continue  # which refuses to unpack it
        pixels = decode(encode(solid(COLOUR), kind, icc_profile=profile)).pixels
        assert np.array_equal(middle(pixels), COLOUR)


def test_a_profile_for_other_colours_is_left_alone() -> None:
    profile = matrix_profile(ADOBE_D50, 2.2)
    assert shows_quadrants(decode(encode(quadrants().convert("CMYK"), "TIFF", icc_profile=profile)).pixels)
    assert np.array_equal(middle(decode(encode(solid((90,), "L"), "PNG", icc_profile=profile)).pixels), 90)


def test_what_counts_as_srgb() -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert is_srgb(own)
    assert is_srgb(matrix_profile(SRGB_D50, 2.2, name="c2"))
    assert not is_srgb(matrix_profile(SRGB_D50, 1.0, name="sRGB"))
    assert not is_srgb(matrix_profile(ADOBE_D50, 2.2, name="sRGB"))
    assert is_srgb(b"no profile")


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    data = encode(quadrants().convert("CMYK"), kind)
    assert shows_quadrants(decode(data).pixels)
    assert shows_quadrants(decode(data, colour=False).pixels)


def test_lab_and_ycbcr() -> None:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(quadrants(), to_lab)
    assert lab is not None
    assert shows_quadrants(decode(encode(lab, "TIFF")).pixels)
    assert shows_quadrants(decode(encode(quadrants().convert("YCbCr"), "TIFF")).pixels)


# Depth

RGB16 = np.asarray(quadrants()).astype(np.uint16) * 257
GREY16 = np.asarray(quadrants().convert("L")).astype(np.uint16) * 257
OPAQUE16 = np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)


def grey_quadrants(data: bytes) -> bool:
    return shows_quadrants(decode(data).luma.astype(np.uint8), 2)


@pytest.mark.parametrize(
    "data",
    [
        png_of(RGB16),
        png_of(np.dstack([RGB16, OPAQUE16])),
        tiff_of(RGB16),
        tiff_of(RGB16, order=">"),
    ],
)
def test_sixteen_bits_of_colour(data: bytes) -> None:
    assert shows_quadrants(decode(data).pixels, 2)


@pytest.mark.parametrize(
    "data",
    [
        png_of(GREY16),
        png_of(np.dstack([GREY16, OPAQUE16])),
        tiff_of(GREY16),
        tiff_of(GREY16, order=">"),
        tiff_of(GREY16.astype(np.uint32)),
        tiff_of(GREY16.astype(np.int32), order=">"),
        tiff_of((GREY16 / 65535).astype(np.float32)),
        tiff_of((GREY16 / 257).astype(np.float32)),
        encode(Image.fromarray(GREY16), "JPEG2000"),
        b"P5 96 64 65535\n" + GREY16.astype(">u2").tobytes(),
    ],
)
def test_more_than_eight_bits_of_grey(data: bytes) -> None:
    assert grey_quadrants(data)


def test_a_dark_picture_of_sixteen_bits_stays_dark() -> None:
    dark = np.full((32, 32), 200, np.uint16)
    for data in (png_of(dark), tiff_of(dark), b"P5 32 32 65535\n" + dark.astype(">u2").tobytes()):
        assert decode(data).pixels.max() <= 1


def test_one_scale_for_all_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    half = np.zeros((64, 96), np.float32)
    half[32:] = 255.0
    half[:32] = 0.9  # nearly black beside the rest, and nearly white alone
    for values in (half, (half * 3).astype(np.uint32)):
        data = tiff_of(values)
        whole = decode(data).pixels
        monkeypatch.setattr(module, "_STRIP_PIXELS", 96 * 8)
        assert np.array_equal(decode(data).pixels, whole)
        assert whole[0, 0] <= 1
        assert whole[-1, 0] == 255 or values.max() > 255
        monkeypatch.undo()


def test_numbers_that_are_none() -> None:
    values = np.full((16, 16), 0.5, np.float32)
    values[0, 0], values[1, 1], values[2, 2] = np.nan, np.inf, -np.inf
    pixels = decode(tiff_of(values)).pixels
    assert pixels[0, 0] == pixels[1, 1] == pixels[2, 2] == 0
    assert pixels[8, 8] == 128


# Alpha


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "JPEG2000"])
def test_alpha_is_laid_on_white(kind: str) -> None:
    for alpha, expected in ((0, (255, 255, 255)), (128, (227, 177, 152)), (255, COLOUR)):
        pixels = decode(encode(solid((*COLOUR, alpha), "RGBA"), kind, **BEST.get(kind, {}))).pixels
        assert pixels.shape[2] == 3
        assert np.abs(middle(pixels) - expected).max() <= (4 if kind == "AVIF" else 2)


def test_alpha_in_other_guises() -> None:
    grey = decode(encode(solid((100, 128), "LA"), "PNG")).pixels
    assert np.abs(middle(grey) - 177).max() <= 1
    palette = solid((1,), "P")
    palette.putpalette([0, 0, 0, *COLOUR])
    for kind in ("PNG", "GIF"):
        assert np.array_equal(middle(decode(encode(palette, kind, transparency=1)).pixels), (255, 255, 255))
        assert np.array_equal(middle(decode(encode(palette, kind)).pixels), COLOUR)
    keyed = decode(encode(solid(COLOUR), "PNG", transparency=COLOUR)).pixels
    assert np.array_equal(middle(keyed), (255, 255, 255))
    assert np.array_equal(middle(decode(encode(solid((1,), "1"), "PNG")).pixels), 255)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (3, 900, 3), (90, 60, 3), (2, 4000), (20, 20)])
def test_pixels_are_bounded_and_average_what_they_were(shape: tuple[int, ...]) -> None:
    pixels = np.resize(np.array([10, 30], np.uint8), shape)
    found = module.bounded(pixels, 400)
    assert found.shape[0] * found.shape[1] <= 400
    assert found.ndim == pixels.ndim
    assert abs(float(found.mean()) - 20) < 1.5
    assert module.bounded(pixels, 10**6) is pixels
    assert max(module.bounded(pixels, 10**6, 100).shape[:2]) <= 100


def test_sides_up_to_forty_to_one_are_kept_and_ribbons_are_not_longer() -> None:
    kept = np.zeros((module.WORKING_SIDE, 40 * module.WORKING_SIDE // 2), np.uint8)
    assert module.bounded(kept) is kept
    for size in ((1_000_000, 90), (90, 1_000_000), (100_000, 1)):
        data = encode(Image.new("1", size), "PNG")
        picture = decode(data)
        assert max(picture.pixels.shape) <= module.LONGEST_SIDE
        assert picture.pixels.size <= module.MOST_PIXELS
        assert (picture.facts.width, picture.facts.height) == size
