"""What may be slow to decode is told without decoding it."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.pictures import BUILTIN, dng, encode, pdf, png, sample, svg
from wherefrom.picture.cost import is_slow


@pytest.mark.parametrize("name", BUILTIN)
def test_ordinary_pictures_are_quick(name: str) -> None:
    assert not is_slow(sample(name))
    assert not is_slow(sample(name)[:30])


def test_documents_drawings_and_sensors_are_slow() -> None:
    assert is_slow(pdf())
    assert is_slow(svg())
    assert is_slow(dng())


def test_many_scans_of_many_pixels_are_slow() -> None:
    picture = Image.new("L", (4000, 3000))
    plain, scans = encode(picture, "JPEG"), encode(picture, "JPEG", progressive=True)
    assert not is_slow(plain)
    assert not is_slow(scans)
    start = scans.rindex(b"\xff\xda")
    assert is_slow(scans[:-2] + scans[start:-2] * 30 + scans[-2:])


def test_large_pictures_are_slow() -> None:
    assert is_slow(png(20_000, 10_000, depth=1, colour=0, rows=b""))
    assert not is_slow(png(2_000, 1_000, depth=1, colour=0, rows=b""))
    assert is_slow(sample("jp2") + bytes(5_000_000))


@pytest.mark.parametrize("data", [b"", b"words", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused_quickly(data: bytes) -> None:
    assert not is_slow(data)
