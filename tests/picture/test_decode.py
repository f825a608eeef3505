"""Every format to upright sRGB pixels and true facts; every kind of damage to an error of its own."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from tests.pictures import (
    BUILTIN,
    HEIGHT,
    WIDTH,
    encode,
    exif_of,
    format_of,
    png,
    png_chunk,
    quadrants,
    sample,
    shows_quadrants,
    stored,
    tiff_of,
)
from wherefrom.errors import (
    Corrupt,
    PictureError,
    TooLarge,
)
from wherefrom.picture import colour as colour_module
from wherefrom.picture import decode as module
from wherefrom.picture import jpeg
from wherefrom.picture.decode import decode
from wherefrom.picture.limits import Limits
from wherefrom.picture.refusals import recognise

ANIMATED = ("apng", "animated", "gif", "pages")
COLOUR = (200, 100, 50)


def solid(colour: tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new(mode, size, colour if len(colour) > 1 else colour[0])


def middle(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    height, width = pixels.shape[:2]
    return np.asarray(pixels[height // 2, width // 2], float)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("name", BUILTIN)
def test_every_format_decodes(name: str, colour: bool) -> None:
    data = sample(name)
    picture = decode(data, colour=colour)
    facts = picture.facts
    assert shows_quadrants(picture.pixels)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.ndim == (2 if not colour and format_of(name) == "jpeg" else 3)
    assert (facts.format, facts.width, facts.height) == (format_of(name), WIDTH, HEIGHT)
    assert (facts.bytes, facts.frames) == (len(data), 3 if name in ANIMATED else 1)
    assert "pillow" in facts.decoder


# Upright


def _late_exif(orientation: int) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(stored(orientation)))
    late = png_chunk(b"eXIf", exif_of(orientation, ">"))
    width, height = stored(orientation).size
    return png(width, height, rows=rows, after=[late])


ORIENTED: dict[str, Callable[[int], bytes]] = {
    "jpeg": lambda o: encode(stored(o), "JPEG", quality=95, exif=b"Exif\0\0" + exif_of(o)),
    "progressive": lambda o: encode(
        stored(o), "JPEG", quality=95, progressive=True, exif=b"Exif\0\0" + exif_of(o, ">")
    ),
    "png": lambda o: encode(stored(o), "PNG", exif=exif_of(o)),
    "png-late": _late_exif,
    "webp": lambda o: encode(stored(o), "WEBP", lossless=True, exif=exif_of(o, ">")),
    "avif": lambda o: encode(stored(o), "AVIF", quality=95, exif=exif_of(o)),
    "tiff": lambda o: encode(stored(o), "TIFF", tiffinfo={274: o}),
    "tiff-lzw": lambda o: encode(stored(o), "TIFF", compression="tiff_lzw", tiffinfo={274: o}),
    "tiff-16": lambda o: tiff_of(np.asarray(stored(o)).astype(np.uint16) * 257, (274, 3, [o])),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ORIENTED)
def test_every_orientation_comes_out_upright_once(kind: str, orientation: int) -> None:
    data = ORIENTED[kind](orientation)
    for colour in (True, False):
        picture = decode(data, colour=colour)
        assert shows_quadrants(picture.pixels)
        assert (picture.facts.width, picture.facts.height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("orientation", [1, 5, 6, 8])
def test_large_pictures_are_upright_too(orientation: int) -> None:
    large = stored(orientation, quadrants(2400, 1600))
    for data in (
        encode(large, "JPEG", exif=b"Exif\0\0" + exif_of(orientation)),
        encode(large, "PNG", exif=exif_of(orientation), compress_level=1),
        encode(large, "TIFF", tiffinfo={274: orientation}),
    ):
        picture = decode(data, colour=False)
        assert shows_quadrants(picture.pixels)
        assert (picture.facts.width, picture.facts.height) == (2400, 1600)
        assert picture.pixels.shape[0] < 1600


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + exif_of(99)]
)
def test_a_damaged_exif_costs_nothing(exif: bytes) -> None:
    assert shows_quadrants(decode(encode(quadrants(), "JPEG", exif=exif)).pixels)
    assert shows_quadrants(decode(encode(quadrants(), "PNG", exif=exif)).pixels)
    assert shows_quadrants(decode(encode(quadrants(), "WEBP", exif=exif)).pixels)


@pytest.mark.shared
def test_photographs_of_four_orientations_agree(shared: Path) -> None:
    files = sorted((shared / "images" / "exif_orientation").glob("*.jpg"))
    first, *others = [decode(file.read_bytes(), colour=False) for file in files]
    assert len(others) == 3
    for other in others:
        assert other.pixels.shape == first.pixels.shape
        assert np.abs(other.luma - first.luma).mean() < 6


@pytest.mark.shared
def test_one_photograph_in_four_formats_agrees(shared: Path) -> None:
    files = sorted((shared / "images" / "formats").glob("ukbench09380.*"))
    first, *others = [decode(file.read_bytes()) for file in files]
    assert len(others) == 3
    for other in others:
        assert other.pixels.shape == first.pixels.shape
        assert np.abs(other.luma - first.luma).mean() < 4


# Working size


@pytest.mark.parametrize(
    ("size", "factor"),
    [
        ((600, 400), 1),
        ((1023, 3000), 1),
        ((1024, 1024), 2),
        ((1031, 1025), 2),
        ((2300, 2048), 4),
        ((4096, 300), 1),
    ],
)
def test_reduced_until_the_shorter_side_is_near_the_working_side(size: tuple[int, int], factor: int) -> None:
    expected = (-(-size[1] // factor), -(-size[0] // factor))
    for data in (encode(quadrants(*size), "JPEG"), encode(quadrants(*size), "PNG", compress_level=1)):
        for colour in (True, False):
            picture = decode(data, colour=colour)
            assert picture.pixels.shape[:2] == expected
            assert (picture.facts.width, picture.facts.height) == size
            assert shows_quadrants(picture.pixels)


def test_luma_is_that_of_the_colours() -> None:
    ramp = np.add.outer(np.arange(1100) // 8, np.arange(1300) // 8).astype(np.uint8)
    data = encode(
        Image.fromarray(np.dstack([ramp, ramp.T[:1100, :1].repeat(1300, 1), 255 - ramp])), "JPEG", quality=95
    )
    luma, colours = decode(data, colour=False), decode(data)
    assert luma.pixels.shape == colours.pixels.shape[:2]
    assert np.abs(luma.luma - colours.luma).mean() < 1


def test_jpeg_2000_is_halved_while_it_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(quadrants(2400, 1200), "JPEG2000")
    sizes: list[tuple[int, int]] = []
    to_pixels = colour_module.to_pixels

    def noted(image: Image.Image) -> NDArray[np.uint8]:
        sizes.append(image.size)
        return to_pixels(image)

    monkeypatch.setattr(module, "to_pixels", noted)
    picture = decode(data)
    assert sizes == [(1200, 600)]
    assert shows_quadrants(picture.pixels)
    assert (picture.facts.width, picture.facts.height) == (2400, 1200)
    shallow = decode(encode(quadrants(2400, 1200), "JPEG2000", num_resolutions=1))
    assert shallow.pixels.shape[:2] == (600, 1200)
    assert shows_quadrants(shallow.pixels)


@pytest.mark.parametrize("factor_at", [0, 1])
def test_strips_join_without_a_seam(monkeypatch: pytest.MonkeyPatch, factor_at: int) -> None:
    size = ((700, 530), (1543, 1091))[factor_at]
    noise = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    data = encode(Image.fromarray(noise), "PNG", compress_level=1)
    whole = decode(data).pixels
    monkeypatch.setattr(colour_module, "_STRIP_PIXELS", 20_000)
    assert np.array_equal(decode(data).pixels[: whole.shape[0] - 1], whole[: whole.shape[0] - 1])


@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (30_000, 1), (2, 2), (3, 1025)])
def test_odd_shapes(size: tuple[int, int]) -> None:
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP"):
        picture = decode(encode(solid(COLOUR, size=size), kind), colour=False)
        assert picture.pixels.shape[:2] == size[::-1]


# Frames


def test_a_damaged_later_frame_leaves_the_first() -> None:
    data = sample("gif")
    second = data.index(b"!\xf9", data.index(b"!\xf9") + 1)
    picture = decode(data[: second + 12])
    assert shows_quadrants(picture.pixels)
    assert picture.facts.frames >= 1
    pages = bytearray(sample("pages"))
    assert shows_quadrants(decode(bytes(pages[: len(pages) // 2])).pixels)


def test_an_endless_animation_is_counted_quickly() -> None:
    still = encode(Image.new("P", (64, 64)), "GIF")
    frame = still[still.index(b",", 13 + 6) : -1]
    data = still[:-1] + frame * 30_000 + b";"
    before = time.process_time()
    assert decode(data).facts.frames == 30_001
    assert time.process_time() - before < 5


# Caps


def _with_size(name: str, width: int, height: int) -> bytes:
    """A sample whose header states another size."""
    data = bytearray(sample(name))
    if name == "png":
        struct.pack_into(">II", data, 16, width, height)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    elif name in ("jpeg", "progressive"):
        at = data.index(b"\xff\xc0" if name == "jpeg" else b"\xff\xc2")
        struct.pack_into(">HH", data, at + 5, height, width)
    elif name == "gif":
        struct.pack_into("<HH", data, 6, width, height)
    elif name == "webp":
        struct.pack_into("<HH", data, 26, width, height)
    elif name == "bmp":
        struct.pack_into("<ii", data, 18, width, height)
    elif name == "tiff":
        for tag, side in ((256, width), (257, height)):
            at = data.index(struct.pack("<HHI", tag, 4, 1))
            struct.pack_into("<I", data, at + 8, side)
    elif name == "avif":
        struct.pack_into(">II", data, data.index(b"ispe") + 8, width, height)
    elif name == "j2k":
        struct.pack_into(">II", data, data.index(b"\xff\x51") + 6, width, height)
    else:
        return b"P6 %d %d 255\n" % (width, height)
    return bytes(data)


@pytest.fixture
def no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


@pytest.mark.usefixtures("no_pixels")
@pytest.mark.parametrize(
    ("name", "width", "height"),
    [
        ("png", 60_000, 60_000),
        ("png", 20_000, 20_000),
        ("jpeg", 65_500, 65_500),
        ("progressive", 12_000, 12_000),
        ("gif", 65_535, 65_535),
        ("webp", 16_383, 16_383),
        ("bmp", 60_000, 60_000),
        ("bmp", 60_000, -60_000),
        ("tiff", 60_000, 60_000),
        ("tiff", 2_000_000_000, 1),
        ("avif", 30_000, 30_000),
        ("j2k", 60_000, 60_000),
        ("ppm", 60_000, 60_000),
    ],
)
def test_too_many_pixels_are_refused_by_the_header(name: str, width: int, height: int) -> None:
    data = _with_size(name, width, height)
    with pytest.raises(TooLarge, match="pixels; the limit is"):
        decode(data)


def test_the_program_s_own_cap_on_pixels_is_neither_used_nor_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for name in BUILTIN:
        if format_of(name) not in ("webp", "gif", "tiff"):  # which look at it beside our own
            assert shows_quadrants(decode(sample(name)).pixels)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("name", BUILTIN)
def test_the_cap_is_exact(name: str) -> None:
    pixels = WIDTH * HEIGHT * (2 if format_of(name) in ("webp", "avif") else 1)
    assert decode(sample(name), limits=Limits(pixels=pixels))
    with pytest.raises(TooLarge):
        decode(sample(name), limits=Limits(pixels=pixels - 1, scaled_pixels=WIDTH * HEIGHT - 1))


def test_jpegs_held_whole_have_the_lower_cap() -> None:
    limits = Limits(pixels=5_000, scaled_pixels=7_000)
    assert decode(sample("jpeg"), limits=limits)
    apart = bytearray(sample("jpeg"))
    apart[apart.index(b"\xff\xda") + 4] = 1  # the components come one after the other
    for data in (sample("progressive"), bytes(apart)):
        with pytest.raises(TooLarge):
            decode(data, limits=limits)


def test_too_many_bytes() -> None:
    size = len(sample("png"))
    assert decode(sample("png"), limits=Limits(bytes=size))
    with pytest.raises(TooLarge, match="bytes; the limit is"):
        decode(sample("png"), limits=Limits(bytes=size - 1))
    with pytest.raises(TooLarge):
        recognise(sample("png"), 10**12)


def test_no_area() -> None:
    for data in (_with_size("png", 0, 5), _with_size("bmp", 0, 5), b"P6 0 5 255\n"):
        with pytest.raises(Corrupt):
            decode(data)


def test_running_out_of_memory_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(TooLarge, match="memory"):
        decode(sample("png"))


def test_heavy_pictures_pass_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = 0

    @contextmanager
    def gate() -> Iterator[None]:
        nonlocal entered
        entered += 1
        yield

    for decoder in (module, jpeg):
        monkeypatch.setattr(decoder, "HEAVY_PIXELS", WIDTH * HEIGHT - 1)
    large = encode(quadrants(1200, 1100), "JPEG")  # halved inside the decoder: light
    for data, times in ((sample("png"), 1), (sample("jpeg"), 1), (sample("progressive"), 1), (large, 0)):
        entered = 0
        decode(data, gate=gate())
        assert entered == times
    monkeypatch.setattr(module, "HEAVY_PIXELS", WIDTH * HEIGHT)
    entered = 0
    decode(sample("png"), gate=gate())
    assert entered == 0


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_texts_that_unfold_to_gigabytes(name: bytes) -> None:
    unfolded = zlib.compress(bytes(50_000_000), 9)
    body = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[name] + unfolded
    data = png(4, 4, rows=bytes(4 * 13), before=[png_chunk(name, body)])
    before = time.process_time()
    with pytest.raises(PictureError):
        decode(data)
    assert time.process_time() - before < 2


def test_pixels_that_unfold_beyond_the_picture() -> None:
    data = png(4, 4, rows=bytes(30_000_000))
    assert decode(data).pixels.shape == (4, 4, 3)
