"""Formats are told by what a file begins with; sizes and ends are read from what it states."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import (
    NAMES,
    Order,
    box,
    dng,
    encode,
    exif_of,
    format_of,
    heic,
    pdf,
    png,
    png_chunk,
    quadrants,
    sample,
    svg,
    text,
    tiff,
)
from wherefrom.picture import formats
from wherefrom.picture.directories import count_pictures, directories, headed, pictures
from wherefrom.picture.formats import (
    FORMATS,
    HEAD,
    is_cut_short,
    orientation_of,
    sniff,
    stated_size,
)


def widths(data: bytes) -> list[int]:
    return [page.integer(256, 0) for page in pictures(data, 64)]


def name_of(data: bytes) -> str | None:
    kind = sniff(data)
    return kind.name if kind else None


@pytest.mark.parametrize("name", NAMES)
def test_every_format_is_told_by_its_bytes(name: str) -> None:
    assert name_of(sample(name)) == format_of(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "dng"])
def test_the_head_is_enough(name: str) -> None:
    assert name_of(sample(name)[:HEAD]) == format_of(name)


def test_sensor_data_is_told_wherever_the_directory_lies() -> None:
    # Behind the pixels, as in many a DNG: the head alone looks like any TIFF.
    assert name_of(dng()) == "raw"
    assert name_of(dng()[:HEAD]) == "tiff"
    assert name_of(dng(width=32, height=16)[:HEAD]) == "raw"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("maker", "name"), [("NIKON CORPORATION", "raw"), ("Epson", "tiff")])
def test_a_preview_beside_sensor_data_is_a_camera_file(order: Order, maker: str, name: str) -> None:
    made = tiff([(254, 4, [1]), (271, 2, text(maker)), (330, 4, [8])], order=order)
    assert name_of(made) == name


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"8BPS\0\1", "psd"),
        (b"\x76\x2f\x31\x01\2\0\0\0", "exr"),
        (b"\0\0\1\0\1\0", "ico"),
        (b"\xff\x0a\0", "jxl"),
        (b"\xff\x4f\xff\x51\0", "jp2"),
        (b"FUJIFILMCCD-RAW 0201", "raw"),
        (b"II*\0\x10\0\0\0CR\2\0", "raw"),
        (b"IIRO\x08\0\0\0", "raw"),
        (b"IIU\0\x08\0\0\0", "raw"),
        (box(b"ftyp", b"crx \0\0\0\1crx isom"), "raw"),
        (box(b"ftyp", b"mif1\0\0\0\0mif1heic"), "heic"),
        (box(b"ftyp", b"mif1\0\0\0\0mif1avif"), "avif"),
        (box(b"ftyp", b"avis\0\0\0\0msf1avis"), "avif"),
        (box(b"ftyp", b"msf1\0\0\0\0"), "heic"),
        (b"II+\0\x08\0\0\0", "tiff"),
        (b"MM\0+\0\x08\0\0", "tiff"),
        (b"P6\n# made by hand\n3 2\n255\n", "pnm"),
        (b"P2\t12 3 255", "pnm"),
        (b"\r\n\r\n%PDF-1.7", "pdf"),
    ],
)
def test_known_beginnings(head: bytes, name: str) -> None:
    assert name_of(head) == name
    assert FORMATS[name].decoded == (name not in ("psd", "exr", "ico"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 5000,
        b"hello",
        b"P5 is the name of a road.",
        b"BM is an abbreviation, and this is a text about it.",
        b"GIF is a format",
        b"MZ\x90\0\3\0\0\0",
        b"\x1f\x8b\x08\0",
        b"PK\3\4",
        box(b"ftyp", b"isom\0\0\2\0isomiso2mp41"),
        box(b"ftyp", b"qt  \0\0\0\0qt  "),
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"<!DOCTYPE html>\n<p>An <svg viewBox='0 0 1 1'></svg> in a page.",
        b"<html><body><svg></svg></body></html>",
        b"<?xml version='1.0'?><report><svg/></report>",
        b"<?xml version='1.0'?><!-- <svg> --><report/>",
        b"<svgs>",
        b"an <svg> in a text",
    ],
)
def test_what_is_no_picture(data: bytes) -> None:
    assert sniff(data) is None


@pytest.mark.parametrize(
    "data",
    [
        svg(),
        svg(prolog='<?xml version="1.0" encoding="UTF-8"?>\n<!-- Made by\n hand > -->\n'),
        svg(prolog='<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://x/svg11.dtd" [<!ENTITY a "b">]>'),
        b"\xef\xbb\xbf  " + svg(),
        svg().decode().encode("utf-16"),
        b"<svg:svg xmlns:svg='http://www.w3.org/2000/svg'/>",
        b"<svg/>",
    ],
)
def test_drawings_behind_every_prolog(data: bytes) -> None:
    assert name_of(data) == "svg"


@given(st.binary(max_size=300), st.sampled_from(NAMES), st.integers(0, 200))
def test_no_bytes_upset_it(noise: bytes, name: str, kept: int) -> None:
    data = sample(name)[:kept] + noise
    kind = sniff(data)
    assert kind is None or kind is FORMATS[kind.name]
    for known in FORMATS:
        is_cut_short(known, data)
        stated_size(known, data)
    assert 1 <= orientation_of(data) <= 8
    assert count_pictures(data) >= 1
    assert 0 <= formats.jp2_halvings(data) <= 32
    formats.is_jpeg_in_one_pass(data)


@pytest.mark.parametrize("name", NAMES)
def test_whole_files_are_not_cut_short(name: str) -> None:
    assert not is_cut_short(format_of(name), sample(name))


# A bare JPEG XL codestream has no container to ask; of several pages the first is enough.
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("codestream", "pages")])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_cut_files_are_told(name: str, share: float) -> None:
    data = sample(name)
    assert is_cut_short(format_of(name), data[: int(share * len(data))])


def test_what_follows_a_picture_does_not_count() -> None:
    assert not is_cut_short("jpeg", sample("jpeg") + bytes(100))
    assert not is_cut_short("webp", sample("webp") + b"more")
    assert not is_cut_short("gif", sample("gif") + bytes(10))
    assert not is_cut_short("pnm", b"P5\n# a comment\n4 4\n255\n" + bytes(16))
    assert is_cut_short("pnm", b"P5\n# a comment\n4 4\n255\n" + bytes(15))
    assert is_cut_short("pnm", b"P5 4 4 65535\n" + bytes(31))
    assert is_cut_short("pnm", b"P4 16 16\n" + bytes(31))
    assert not is_cut_short("pnm", b"P4 16 16\n" + bytes(32))
    for kind, values in (
        (b"P1 2 2\n", b"0101"),
        (b"P2 2 2 9\n", b"0 1 2 3"),
        (b"P3 1 2 9\n", b"0 1 2 3 4 5"),
    ):
        assert not is_cut_short("pnm", kind + values)
        assert is_cut_short("pnm", kind + values[:-1])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int, order: Order) -> None:
    assert orientation_of(exif_of(orientation, order)) == orientation
    assert orientation_of(b"Exif\0\0" + exif_of(orientation, order)) == orientation
    assert (
        orientation_of(tiff([(271, 2, text("Maker")), (274, 4, [orientation])], order=order)) == orientation
    )


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"nonsense of some length",
        exif_of(0),
        exif_of(9),
        exif_of(65535),
        tiff([(274, 2, text("6"))]),
        tiff([(274, 3, [6, 6, 6])]),
        b"II*\0\xff\xff\xff\xff",
        exif_of(6)[:-14],
    ],
)
def test_a_damaged_orientation_is_none(block: bytes) -> None:
    assert orientation_of(block) == 1


def test_sizes_are_read_before_decoders_that_allocate() -> None:
    for name in ("webp", "lossless", "animated", "avif", "heic"):
        assert stated_size(format_of(name), sample(name)) == (96, 64), name
    assert stated_size("webp", encode(quadrants().convert("RGBA"), "WEBP")) == (96, 64)
    assert stated_size("heic", heic(size=(60000, 50000))) == (60000, 50000)
    assert stated_size("png", sample("png")) is None
    assert stated_size("webp", b"RIFF\0\0\0\0WEBPVP8 ") is None
    assert stated_size("avif", b"") is None


def test_pages_are_counted_in_a_straight_line() -> None:
    page = [(256, 4, [1]), (257, 4, [1])]
    assert count_pictures(tiff(*[page] * 3)) == 3
    assert count_pictures(tiff(*[page] * 3, order=">")) == 3
    before = time.process_time()
    assert count_pictures(tiff(*[page] * 50_000)) == 50_000
    assert time.process_time() - before < 2


def test_a_chain_of_pages_may_be_damaged_or_bite_its_tail() -> None:
    page = [(256, 4, [1]), (257, 4, [1])]
    made = tiff(page, page)
    second = struct.unpack_from("<I", made, 8 + 2 + 24)[0]
    assert count_pictures(made[:second]) == 1
    looped = bytearray(made)
    struct.pack_into("<I", looped, second + 2 + 24, 8)
    assert count_pictures(bytes(looped)) == 2
    assert count_pictures(b"II+\0\x08\0\0\0" + b"\xff" * 8) == 1  # BigTIFF, with an offset beyond any file


@pytest.mark.parametrize("order", ["<", ">"])
def test_reduced_copies_and_masks_are_no_pages(order: Order) -> None:
    small, large = [(256, 4, [1]), (257, 4, [1])], [(256, 4, [9]), (257, 4, [9])]
    for said in ((254, 4, [1]), (254, 4, [4]), (254, 4, [5]), (255, 3, [2])):
        made = tiff([*small, said], large, [*small, said], order=order)
        assert (widths(made), count_pictures(made)) == ([9], 1)
        assert next(directories(headed(pictures(made, 1)[0]))).integer(256, 0) == 9
    only = tiff([*small, (254, 4, [1])], order=order)
    assert (widths(only), count_pictures(only)) == ([1], 1)  # better than nothing
    pages = tiff([*small, (254, 4, [2])], [*large, (254, 4, [2])], order=order)
    assert (widths(pages), count_pictures(pages)) == ([1, 9], 2)


def test_a_picture_below_a_reduced_copy_is_found() -> None:
    page = [(256, 4, [1]), (257, 4, [1]), (254, 4, [1])]
    made = bytearray(tiff([*page, (330, 4, [0])], [(256, 4, [9]), (257, 4, [9])]))
    first, second = 8, 8 + 2 + 4 * 12 + 4
    struct.pack_into("<I", made, first + 2 + 4 * 12, 0)  # the chain ends here
    struct.pack_into("<I", made, first + 2 + 3 * 12 + 8, second)
    assert widths(bytes(made)) == [9]


def test_one_pass_of_a_jpeg() -> None:
    assert formats.is_jpeg_in_one_pass(sample("jpeg"))
    assert formats.is_jpeg_in_one_pass(encode(quadrants().convert("L"), "JPEG"))
    assert formats.is_jpeg_in_one_pass(encode(quadrants().convert("CMYK"), "JPEG"))
    assert not formats.is_jpeg_in_one_pass(sample("progressive"))
    assert not formats.is_jpeg_in_one_pass(b"\xff\xd8\xff\xd9")
    # The same components, said to come one after the other.
    apart = bytearray(sample("jpeg"))
    apart[apart.index(b"\xff\xda") + 4] = 1
    assert not formats.is_jpeg_in_one_pass(bytes(apart))


def test_halvings_of_jpeg_2000() -> None:
    for levels in (1, 3, 6):
        data = encode(quadrants(), "JPEG2000", num_resolutions=levels)
        assert formats.jp2_halvings(data) == levels - 1
    assert formats.jp2_halvings(b"\xff\x4f\xff\x51") == 0


def test_the_fixtures_are_what_they_say() -> None:
    assert b"%%EOF" in pdf()
    assert png(1, 1, rows=b"\0\0\0\0").endswith(png_chunk(b"IEND"))
