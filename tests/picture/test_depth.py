"""A ramp is a ramp at every depth, in every container: within two levels of the 8-bit one, or refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.pictures import Order, assert_sentence, box, jxl, png, png_chunk, png_of, tiff
from tests.scenes import picture
from tests.tiffs import PACKED, layered
from wherefrom.errors import MissingExtra, UnsupportedFormat
from wherefrom.picture import extras
from wherefrom.picture.decode import decode
from wherefrom.picture.jxl import Header
from wherefrom.search.changes import changes

WIDTH, HEIGHT = 256, 40
SHARES = np.tile(np.arange(WIDTH) / (WIDTH - 1), (HEIGHT, 1))
CLEAR = 64  # columns on the right that are half clear, where there is alpha

Whole = NDArray[Any]


def ramp(kind: str, bits: int, channels: int, highest: float | None = None) -> Whole:
    """Red rises, green falls, blue rises and falls; alpha, the last of 2 or 4, is half at the right."""
    top = highest or (1.0 if kind == "f" else float(2 ** (bits - (kind == "i")) - 1))
    colours = [SHARES, 1 - SHARES, 1 - np.abs(2 * SHARES - 1)][: 1 if channels < 3 else 3]
    if channels in (2, 4):
        opaque = np.ones_like(SHARES)
        opaque[:, -CLEAR:] = 0.5
        colours.append(opaque)
    size = max(8, bits if kind == "f" else 1 << (bits - 1).bit_length())
    values = np.dstack(colours) * top
    made = (
        values
        if kind == "f"
        else np.minimum(np.floor(values + 0.5), np.nextafter(top, 0) if bits > 53 else top)
    )
    return made.astype(f"{kind}{size // 8}")


def expected(channels: int, levels: int = 255) -> NDArray[np.float64]:
    """What a decoder shows of such a ramp of so many levels, on white."""
    seen = np.floor(ramp("f", 64, channels) * levels + 0.5) / levels * 255
    if channels in (2, 4):
        opaque = seen[..., -1:] / 255
        seen = seen[..., :-1] * opaque + 255 * (1 - opaque)
    return seen if channels > 2 else np.repeat(seen, 3, axis=2)


def depth_of(data: bytes) -> tuple[int, bool]:
    header = Header.of(data)
    return header.bits, header.floats


def shows(data: bytes, channels: int, levels: int = 255, tolerance: float = 2.0) -> bool:
    pixels = decode(data).pixels.astype(float)
    pixels = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    return bool(np.abs(pixels - expected(channels, levels)).max() <= tolerance)


KINDS = [
    ("u", 8),
    ("u", 16),
    ("u", 32),
    ("u", 64),
    ("i", 8),
    ("i", 16),
    ("i", 32),
    ("f", 16),
    ("f", 32),
    ("f", 64),
]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 4),
    st.sampled_from("<>"),
    st.sampled_from(sorted(PACKED)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, (48, 16), (128, 64)]),
    st.integers(1, HEIGHT),
)
def test_tiff_in_every_layout(
    kind: tuple[str, int],
    channels: int,
    order: Order,
    packing: str,
    predicted: bool,
    apart: bool,
    tile: tuple[int, int] | None,
    rows: int,
) -> None:
    predictor = (3 if kind[0] == "f" else 2) if predicted and packing in ("lzw", "deflate", "zstd") else 1
    values = ramp(*kind, channels)
    data = layered(
        values,
        order=order,
        packing=packing,
        predictor=predictor,
        apart=apart and channels > 1,
        tile=tile,
        rows=rows,
    )
    assert shows(data, channels)


@pytest.mark.parametrize("bits", [*range(1, 17), 24])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiff_of_any_bits(bits: int, channels: int) -> None:
    values = ramp("u", bits, channels)
    ways: list[tuple[Order, str, bool]] = [
        ("<", "none", False),
        (">", "lzw", False),
        ("<", "deflate", channels > 1),
    ]
    for order, packing, apart in ways:
        data = layered(values, order=order, packing=packing, apart=apart, bits=bits)
        assert shows(data, channels, 2**bits - 1)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16, 32])
def test_white_is_zero(bits: int) -> None:
    values = ramp("u", bits, 1)
    negative = values.dtype.type(2**bits - 1) - values
    orders: tuple[Order, ...] = ("<", ">")
    for order in orders:
        assert shows(layered(negative, (262, 3, [0]), bits=bits, order=order), 1, 2**bits - 1)
    assert shows(layered(1 - ramp("f", 32, 1), (262, 3, [0])), 1)


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_that_is_multiplied_in(bits: int) -> None:
    straight = ramp("f", 64, 4)
    made = np.dstack([straight[..., :3] * straight[..., 3:], straight[..., 3:]]) * (2**bits - 1)
    assert shows(layered(np.round(made).astype(f"u{bits // 8}"), (338, 3, [1])), 4, tolerance=3)


def test_samples_beside_the_colours() -> None:
    values = ramp("u", 16, 3)
    more = np.dstack([values, values[..., :1], np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)])
    assert shows(layered(more, (338, 3, [0, 0])), 3)
    assert shows(layered(more, (338, 3, [0, 2])), 3)


@pytest.mark.parametrize("bits", [4, 8, 12, 16])
def test_palettes_of_any_depth(bits: int) -> None:
    count = 2**bits
    grey = np.arange(count) * 65535 // (count - 1)
    numbers = ramp("u", bits, 1)
    data = layered(numbers, (262, 3, [3]), (320, 3, [*grey.tolist()] * 3), bits=bits)
    assert shows(data, 1, count - 1)


def test_deep_cmyk_is_as_the_shallow_one() -> None:
    inks = np.dstack([ramp("u", 8, 3), np.full((HEIGHT, WIDTH, 1), 30, np.uint8)])
    plain = decode(layered(inks, (262, 3, [5]), (338, 3, []))).pixels.astype(int)
    deep = decode(layered(inks.astype(np.uint16) * 257, (262, 3, [5]))).pixels
    assert np.abs(deep - plain).max() <= 1


def test_bits_that_are_filled_from_the_other_end() -> None:
    data = bytearray(layered(ramp("u", 12, 1), (266, 3, [2]), bits=12))
    end = struct.unpack_from("<I", data, 4)[0]
    flipped = np.packbits(np.unpackbits(np.frombuffer(bytes(data[8:end]), np.uint8), bitorder="little"))
    data[8:end] = flipped.tobytes()
    assert shows(bytes(data), 1)


def test_highlights_of_floats_are_cut() -> None:
    values = ramp("f", 32, 3)
    values[0, :8] = 40.0
    pixels = decode(layered(values)).pixels.astype(float)
    assert np.abs(pixels - expected(3))[1:].max() <= 2


@pytest.mark.parametrize(
    "data",
    [
        layered(ramp("i", 16, 1) - np.int16(12_000)),  # heights: which of them is black?
        layered(ramp("u", 16, 3), (262, 3, [6])),  # YCbCr
        layered(ramp("u", 16, 1), (339, 3, [5])),  # complex numbers
        layered(ramp("u", 16, 3), (258, 3, [16, 8, 16])),
        layered(ramp("u", 16, 1), (317, 3, [3])),
        layered(ramp("u", 16, 1), (259, 3, [7])),  # JPEG of 12 bits
    ],
)
def test_what_could_be_meant_otherwise_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        decode(data)
    assert_sentence(caught.value)


def test_samples_below_zero_are_read_where_the_file_says_what_black_is() -> None:
    values = (SHARES * 65535 - 32768).astype(np.int16)
    assert shows(layered(values, (340, 8, [-32768]), (341, 8, [32767])), 1)


@pytest.mark.parametrize("name", ["JPEG 2000", "JPEG XL", "JBIG", "LERC"])
def test_compressions_that_are_not_read_are_named(name: str) -> None:
    number = {"JPEG 2000": 34712, "JPEG XL": 50002, "JBIG": 34661, "LERC": 34887}[name]
    with pytest.raises(UnsupportedFormat, match=f"compressed by {name}, which is not read here"):
        decode(layered(ramp("u", 8, 1), (259, 3, [number])))
    with pytest.raises(UnsupportedFormat, match="scheme 60000"):
        decode(layered(ramp("u", 8, 1), (259, 3, [60_000])))


def test_an_orientation_and_a_profile_go_with_deep_samples() -> None:
    data = layered(ramp("f", 32, 3), (274, 3, [6]))
    picture = decode(data)
    assert picture.pixels.shape == (WIDTH, HEIGHT, 3)
    assert (picture.facts.width, picture.facts.height) == (HEIGHT, WIDTH)
    assert np.abs(np.rot90(picture.pixels) - expected(3)).max() <= 2


# JPEG XL and JPEG 2000


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8, 9, 10, 12, 14, 15, 16])
def test_jpeg_xl_and_jpeg_2000(bits: int, channels: int) -> None:
    import imagecodecs

    values = ramp("u", bits, channels)
    assert shows(jxl(values, bitspersample=bits), channels, 2**bits - 1)
    for container in ("jp2", "j2k"):
        data = imagecodecs.jpeg2k_encode(
            np.squeeze(values), bitspersample=bits, reversible=True, codecformat=container
        )
        assert shows(bytes(data), channels, 2**bits - 1)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_jpeg_xl_that_its_encoder_left_dark(bits: int) -> None:
    import imagecodecs

    values = ramp("f", 64, 3) * (2**bits - 1) * (2**bits - 1) / 65535
    dark = np.round(values).astype(np.uint16)
    data = bytes(imagecodecs.jpegxl_encode(dark, lossless=True, bitspersample=bits))
    assert shows(data, 3, tolerance=255 / 2 / (2 ** (2 * bits - 16)) + 2)
    if bits == 14:  # a night is left alone
        assert decode(jxl(dark // 2, bitspersample=bits)).pixels.max() <= 33


def test_jpeg_xl_of_floats() -> None:
    for bits in (16, 32):
        assert shows(jxl(ramp("f", bits, 3)), 3)


def test_jpeg_2000_with_a_sign() -> None:
    import imagecodecs

    for bits in (8, 12, 16):
        top = 2 ** (bits - 1)
        values = np.round(SHARES * (2 * top - 1) - top).astype(np.int8 if bits == 8 else np.int16)
        data = imagecodecs.jpeg2k_encode(values, bitspersample=bits, reversible=True, codecformat="j2k")
        assert shows(bytes(data), 1)


def test_deep_jpeg_2000_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import imagecodecs

    deep = bytes(imagecodecs.jpeg2k_encode(ramp("u", 12, 3), bitspersample=12, reversible=True))
    monkeypatch.setattr(extras, "installed", lambda _: False)
    with pytest.raises(MissingExtra, match=r"of 12 bits needs an extra: pip install 'wherefrom\[jxl\]'"):
        decode(deep)


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 16])
def test_lossy_jpeg_xl(bits: int) -> None:
    import imagecodecs

    for channels in (1, 3, 4):
        values = ramp("u", bits, channels)
        data = bytes(imagecodecs.jpegxl_encode(np.squeeze(values), distance=0.3, bitspersample=bits))
        assert Header.of(data).lossy == (channels < 4)
        seen = decode(data).pixels.astype(float)
        seen = np.repeat(seen[..., None], 3, axis=2) if seen.ndim == 2 else seen
        assert np.abs(seen - expected(channels)).mean() < 2


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("container", [True, False])
def test_jpeg_xl_states_its_depth(bits: int, container: bool) -> None:
    assert depth_of(jxl(ramp("u", bits, 3), bitspersample=bits, usecontainer=container)) == (bits, False)
    frames = np.stack([ramp("u", bits, 3)] * 2)
    assert depth_of(jxl(frames, bitspersample=bits, usecontainer=container)) == (bits, False)


def test_a_codestream_in_many_parts_states_its_depth() -> None:
    whole = jxl(ramp("u", 12, 3), bitspersample=12, usecontainer=False)
    parts = [whole[:5], whole[5:9], whole[9:]]
    body = b"".join(
        box(b"jxlp", struct.pack(">I", n | (0x80000000 if n == 2 else 0)), part)
        for n, part in enumerate(parts)
    )
    head = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    assert depth_of(head + body) == (12, False)
    assert shows(head + body, 3)


# PNG and PNM


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_png_of_any_depth_and_with_a_clear_grey(bits: int) -> None:
    values = ramp("u", bits, 1)[:, :, 0].astype(int)
    digits = values[..., None] >> np.arange(bits - 1, -1, -1) & 1
    packed = np.packbits(digits.astype(np.uint8).reshape(HEIGHT, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    assert shows(png(WIDTH, HEIGHT, depth=bits, colour=0, rows=rows), 1, 2**bits - 1)
    key = int(values[0, 100])
    keyed = png(
        WIDTH, HEIGHT, depth=bits, colour=0, rows=rows, before=[png_chunk(b"tRNS", struct.pack(">H", key))]
    )
    wanted = np.where(values == key, 255, expected(1, 2**bits - 1)[:, :, 0])
    assert np.abs(decode(keyed).luma - wanted).max() <= 2


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_sixteen_bits(channels: int) -> None:
    values = ramp("u", 16, channels)
    assert shows(png_of(values if channels > 1 else values[:, :, 0]), channels)


@pytest.mark.parametrize("top", [1, 2, 3, 15, 100, 254, 255, 256, 1000, 1023, 4095, 40_000, 65_535])
def test_pnm_of_any_highest_value(top: int) -> None:
    for channels, kind in ((1, 5), (3, 6)):
        values = ramp("u", 16, channels, float(top))
        raw = values.astype(">u2" if top > 255 else np.uint8).tobytes()
        assert shows(b"P%d %d %d %d\n" % (kind, WIDTH, HEIGHT, top) + raw, channels, top)
        words = b" ".join(b"%d" % one for one in values.ravel().tolist())
        assert shows(b"P%d %d %d %d\n" % (kind - 3, WIDTH, HEIGHT, top) + words + b"\n", channels, top)


@pytest.mark.shared
def test_the_case_from_the_field(shared: Path) -> None:
    folder = shared / "cases" / "04-deep-colour"
    plain = decode((folder / "reference.png").read_bytes()).luma
    # The first two are what their encoder has left: white at 4 and 16 of 255.
    for name, off in (("jxl-10.jxl", 6), ("jxl-12.jxl", 4), ("jp2-12.jp2", 1), ("jp2-16.jp2", 1)):
        assert np.abs(decode((folder / name).read_bytes()).luma - plain).mean() < off


def test_a_tiff_that_says_nothing_of_its_samples() -> None:
    with pytest.raises(Exception, match="damaged"):
        decode(tiff([(258, 3, [16])]))


@pytest.mark.parametrize(
    ("bits", "kind"), [(10, "jpegxl"), (12, "jpegxl"), (16, "jpeg2k"), (10, "avif"), (14, "tiff")]
)
def test_a_picture_is_the_same_picture_at_every_depth(bits: int, kind: str) -> None:
    """Also where it was encoded anew: no change is named but compression."""
    import imagecodecs

    plain = np.asarray(picture(3, 240, 180))
    deep = np.round(plain / 255 * (2**bits - 1)).astype(np.uint16)
    if kind == "tiff":
        data = layered(deep, bits=bits)
    else:
        quality: dict[str, dict[str, Any]] = {
            "jpegxl": {"distance": 3},
            "jpeg2k": {"level": 0, "codecformat": "jp2"},
        }
        quality["avif"] = {"level": 60, "speed": 9}
        encode = getattr(imagecodecs, f"{kind}_encode")
        data = bytes(encode(deep, bitspersample=bits, **quality[kind]))
    seen = changes(decode(data).pixels, plain, np.eye(3))
    assert seen is not None
    assert {edit.name for edit in seen.edits} <= {"compression"}
