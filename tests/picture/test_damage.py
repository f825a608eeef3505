"""Whatever the bytes: a picture, or a reason in a sentence; nothing else is raised, warned of or printed."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import (
    BUILTIN,
    HEIGHT,
    WIDTH,
    assert_sentence,
    encode,
    mutated,
    quadrants,
    sample,
    tiff_of,
)
from wherefrom.errors import (
    EmptyFile,
    NotAPicture,
    PictureError,
    Truncated,
    UnsupportedFormat,
)
from wherefrom.picture.decode import decode
from wherefrom.picture.limits import Limits


def test_empty_and_foreign() -> None:
    with pytest.raises(EmptyFile):
        decode(b"")
    for data in (b"not a picture, whatever its name", bytes(10_000), b"\x7fELF\2\1\1\0", b"<html></html>"):
        with pytest.raises(NotAPicture):
            decode(data)
    for data in (b"8BPS\0\1" + bytes(100), b"\x76\x2f\x31\x01" + bytes(100), b"\0\0\1\0\1\0" + bytes(100)):
        with pytest.raises(UnsupportedFormat) as caught:
            decode(data)
        assert_sentence(caught.value)


HALF = ("bmp", "avif", "jp2", "j2k", "ppm", "lossless", "animated")  # of which nothing is read


@pytest.mark.parametrize("name", BUILTIN)
def test_half_a_file_is_truncated_or_read_as_far_as_it_goes(name: str) -> None:
    data = sample(name)
    cut = data[: {"pages": 1000, "gif": 60, "apng": 60, "animated": 60}.get(name, len(data) // 2)]
    if name in HALF:
        with pytest.raises(Truncated, match=r"ends before the picture does\.$"):
            decode(cut)
        return
    try:
        picture = decode(cut)
    except Truncated:
        assert name in (
            "jpeg",
            "progressive",
            "webp",
            "tiff-lzw",
            "pages",
            "gif",
            "apng",
        )  # little but their heads
    else:
        assert picture.facts.missing > 0
        assert picture.facts.notes


@pytest.mark.parametrize("name", BUILTIN)
def test_a_file_cut_anywhere_gives_a_picture_or_a_reason(name: str) -> None:
    data = sample(name)
    places = {
        *range(0, min(len(data), 64), 3),
        *random.Random(name).sample(range(len(data)), 40),
        len(data) - 1,
    }
    for place in places:
        try:
            picture = decode(data[:place])
        except PictureError as error:
            assert_sentence(error)
        else:
            whole = picture.facts.missing == 0
            assert picture.facts.width == WIDTH
            assert picture.facts.height == HEIGHT if whole else picture.facts.height <= HEIGHT


@pytest.mark.parametrize("name", BUILTIN)
def test_nothing_but_picture_errors_whatever_the_bytes(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.randoms(use_true_random=False), st.booleans())
    def hold(chance: random.Random, colour: bool) -> None:
        try:
            picture = decode(mutated(sample(name), chance), colour=colour, limits=Limits(pixels=4_000_000))
        except PictureError as error:
            assert_sentence(error)
        else:
            assert picture.pixels.size > 0

    hold()
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_variant_that_no_decoder_knows_is_unsupported() -> None:
    floats = tiff_of(np.zeros((4, 4, 3), np.float32), (262, 3, [32845]))
    with pytest.raises(UnsupportedFormat):
        decode(floats)


def test_warnings_are_the_program_s_own() -> None:
    # A truncated EXIF makes Pillow warn; the caller's filters are back afterwards.
    before = list(warnings.filters)
    decode(encode(quadrants(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff"))
    assert list(warnings.filters) == before
