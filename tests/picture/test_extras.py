"""HEIC, JPEG XL, RAW, SVG and PDF: decoded when their extra is there, refused by its name when it is not."""

from __future__ import annotations

import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import (
    HEIGHT,
    WIDTH,
    assert_sentence,
    box,
    dng,
    exif_of,
    format_of,
    heic,
    jxl,
    mutated,
    pdf,
    quadrants,
    sample,
    shows_quadrants,
    slow_pdf,
    stored,
)
from tests.profiles import ADOBE_D50, matrix_profile
from wherefrom.errors import (
    Corrupt,
    MissingExtra,
    PictureError,
    TooLarge,
    TooSlow,
    Truncated,
    UnsupportedFormat,
)
from wherefrom.picture import apart, extras
from wherefrom.picture.decode import decode
from wherefrom.picture.jxl import Header
from wherefrom.picture.limits import Limits
from wherefrom.picture.refusals import recognise

BEHIND = ("heic", "jxl", "codestream", "dng", "svg", "pdf")
DRAWN = (1024, 683)  # the quadrants, where the format has no pixels of its own


@pytest.mark.parametrize("name", BEHIND)
def test_a_missing_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "installed", lambda _: False)
    extra = format_of(name)
    for call in (lambda: decode(sample(name)), lambda: recognise(sample(name), len(sample(name)))):
        with pytest.raises(MissingExtra, match=rf"pip install 'wherefrom\[{extra}\]'") as caught:
            call()
        assert caught.value.skips


def test_installed_asks_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extras.installed("heic")
    monkeypatch.setattr(extras, "_MODULES", {"heic": "no_such_decoder"})
    assert not extras.installed("heic")


@pytest.mark.parametrize("name", BEHIND)
def test_every_format_decodes(name: str) -> None:
    data = sample(name)
    picture = decode(data)
    facts = picture.facts
    assert shows_quadrants(picture.pixels, 20 if name == "dng" else 12)
    assert picture.pixels.flags.c_contiguous
    size = {"svg": DRAWN, "pdf": DRAWN, "dng": (512, 384)}.get(name, (WIDTH, HEIGHT))
    assert (facts.width, facts.height) == size == picture.pixels.shape[1::-1]
    assert (facts.format, facts.bytes) == (format_of(name), len(data))
    assert facts.frames == (3 if name == "pdf" else 1)
    assert any(
        module in facts.decoder for module in ("pi_heif", "imagecodecs", "rawpy", "resvg_py", "pypdfium2")
    )


@pytest.mark.parametrize("name", BEHIND)
def test_half_a_file_is_truncated(name: str) -> None:
    with pytest.raises(Truncated):
        decode(sample(name)[: len(sample(name)) // 2])


@pytest.mark.parametrize("name", BEHIND)
def test_nothing_but_picture_errors_whatever_the_bytes(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = dng(width=64, height=48) if name == "dng" else sample(name)

    # Each of these three takes a process of its own.
    @settings(max_examples=8 if name in ("dng", "svg", "pdf") else 60, deadline=None)
    @given(st.randoms(use_true_random=False))
    def hold(chance: random.Random) -> None:
        try:
            picture = decode(mutated(data, chance), limits=Limits(pixels=4_000_000))
        except PictureError as error:
            assert_sentence(error)
        else:
            assert picture.pixels.size > 0

    hold()
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


# HEIC


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_as_the_container_says_and_once(orientation: int) -> None:
    # EXIF states the same, as telephones write it; it is the container that counts.
    picture = decode(heic(orientation, exif=exif_of(orientation, ">")))
    undone = {6: 8, 8: 6}.get(orientation, orientation)
    expected = np.asarray(stored(undone))
    assert picture.pixels.shape == expected.shape
    assert (picture.facts.width, picture.facts.height) == expected.shape[1::-1]
    assert np.abs(picture.pixels.astype(int) - expected).mean() < 6


def test_heic_does_not_turn_by_exif_alone() -> None:
    assert shows_quadrants(decode(heic(exif=exif_of(6))).pixels)


def test_heic_under_a_profile() -> None:
    plain = decode(heic()).pixels.astype(int)
    wide = decode(heic(icc=matrix_profile(ADOBE_D50, 2.19921875))).pixels.astype(int)
    assert (wide[10, 60] - plain[10, 60])[0] < -20  # green: more saturated than sRGB can show


def test_heic_states_too_many_pixels() -> None:
    with pytest.raises(TooLarge, match="60,000 × 50,000"):
        decode(heic(size=(60_000, 50_000)))


# JPEG XL


def test_jpeg_xl_in_every_depth_and_with_alpha() -> None:
    colours, grey = np.asarray(quadrants()), np.asarray(quadrants().convert("L"))
    for values in (
        colours.astype(np.uint16) * 257,
        colours.astype(np.float32) / 255,
        np.dstack([colours, grey * 0 + 255]),
    ):
        assert shows_quadrants(decode(jxl(values)).pixels, 2)
    for values in (grey, grey.astype(np.uint16) * 257, np.dstack([grey, grey * 0 + 255])):
        assert shows_quadrants(decode(jxl(values)).luma.astype(np.uint8), 2)
    clear = decode(jxl(np.dstack([colours, grey * 0]))).pixels
    assert clear.min() == 255


def test_jpeg_xl_frames_are_counted_and_the_first_is_shown() -> None:
    first = np.asarray(quadrants())
    picture = decode(jxl(np.stack([first, 255 - first, first])))
    assert picture.facts.frames == 3
    assert shows_quadrants(picture.pixels, 2)


@pytest.mark.parametrize("container", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (96, 64), (256, 256), (257, 100), (640, 480), (1, 700)])
def test_jpeg_xl_states_its_size(size: tuple[int, int], container: bool) -> None:
    assert Header.of(jxl(np.asarray(quadrants(*size)), usecontainer=container)).size == size


def jxl_head(width: int, height: int) -> bytes:
    bits = 0 | 3 << 1 | (height - 1) << 3 | 0 << 33 | 3 << 36 | (width - 1) << 38
    return b"\xff\x0a" + bits.to_bytes(10, "little")


def test_jpeg_xl_states_too_many_pixels() -> None:
    huge = jxl_head(60_000, 50_000)
    assert Header.of(huge).size == (60_000, 50_000)
    hidden = (
        box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ") + box(b"junk", sample("codestream"))
    )
    split = hidden + box(b"jxlp", b"\0\0\0\0", huge)
    for data in (huge + bytes(100), hidden + box(b"jxlc", huge), split, hidden + b"\0\0\0\0jxlc" + huge):
        with pytest.raises(TooLarge, match="60,000 × 50,000"):
            decode(data)


def test_a_container_without_a_codestream() -> None:
    head = box(b"JXL ", b"\r\n\x87\n")
    with pytest.raises(Truncated):
        decode(head)
    with pytest.raises(Corrupt):
        decode(head + b"\0\0\0\3jxlc")
    with pytest.raises(Corrupt):
        decode(head + box(b"jxlc", b"none"))


# RAW


@pytest.mark.parametrize("orientation", range(1, 9))
def test_raw_is_upright(orientation: int) -> None:
    picture = decode(dng(orientation))
    assert shows_quadrants(picture.pixels, 20)
    assert (picture.facts.width, picture.facts.height) == (512, 384) == picture.pixels.shape[1::-1]


def test_large_raw_is_decoded_at_half_its_size() -> None:
    picture = decode(dng(width=1600, height=1100))
    assert (picture.facts.width, picture.facts.height) == (1600, 1100)
    assert picture.pixels.shape == (550, 800, 3)
    with pytest.raises(TooLarge):
        decode(dng(), limits=Limits(pixels=512 * 384 - 1))


# PDF


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_page_is_turned_as_it_says(turn: int) -> None:
    picture = decode(pdf(rotate=turn))
    back = Image.fromarray(picture.pixels).rotate(turn, expand=True)
    assert shows_quadrants(np.asarray(back))


def test_pages_have_a_bounded_size() -> None:
    for page, size in (
        ("0 0 9000 1", (1024, 1)),
        ("0 0 1 9000", (1, 1024)),
        ("0 0 9000 6000", DRAWN),
        ("0 0 0.6 0.4", DRAWN),
    ):
        picture = decode(pdf(box=page))
        assert abs(picture.facts.width - size[0]) <= 1
        assert abs(picture.facts.height - size[1]) <= 1


def test_a_page_lies_on_white() -> None:
    assert decode(pdf(content=b"")).pixels.min() == 255


def test_a_locked_document_is_unsupported() -> None:
    locked = pdf().replace(
        b"/Root 1 0 R",
        b"/Root 1 0 R/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%b>/U<%b>>>"
        % (b"00" * 32, b"11" * 32),
    )
    with pytest.raises(UnsupportedFormat, match="password"):
        decode(locked)


def test_documents_may_be_decoded_in_several_threads() -> None:
    with ThreadPoolExecutor(2) as pool:
        for picture in pool.map(decode, [pdf(2)] * 3):
            assert shows_quadrants(picture.pixels)


def test_a_document_that_would_take_for_ever_is_given_up() -> None:
    data = slow_pdf()
    assert len(data) < 3000
    with pytest.raises(TooSlow, match=r"longer than 0\.7 seconds") as caught:
        decode(data, limits=Limits(seconds=0.7))
    assert caught.value.passing


def test_a_document_that_asks_for_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "MEMORY", 70_000_000)
    with pytest.raises(PictureError) as caught:
        decode(pdf(content=b"q 1 0 0 rg 0 0 96 64 re f Q " * 200_000))
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    "lie",
    [
        b"",
        b"[]",
        b"{}",
        b'{"error": "usage", "reason": "x"}',
        b'{"mode": "RGB", "size": [9, 9], "width": 9, "height": 9, "pages": 1}',
        b'{"mode": "P", "size": [0, 9], "width": 9, "height": 9, "pages": 1}',
        b'{"mode": "L", "size": [1, 1], "width": -1, "height": 9, "pages": "x"}',
    ],
)
def test_what_a_decoder_apart_says_is_looked_at(lie: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, lie + b"\n?"))
    with pytest.raises(Corrupt):
        decode(pdf())


def test_a_document_without_pages() -> None:
    with pytest.raises(PictureError):
        decode(pdf(pages=0))
