"""Nearly sound files: what is there is read, what is missing is cut off and said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wherefrom
from tests.pictures import encode, exif_of, png_chunk, stored
from tests.test_duplicates import photo
from tests.tiffs import layered
from wherefrom.errors import PictureError
from wherefrom.picture.decode import decode
from wherefrom.picture.picture import Picture

WIDTH, HEIGHT = 640, 480
SCENE = photo(3)
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 92},
    "PNG": {},
    "GIF": {"interlace": 0},
    "WEBP": {"quality": 90},
    "TIFF": {},
}


def whole(kind: str, **more: Any) -> bytes:
    return encode(SCENE, kind, **OPTIONS[kind], **more)


def agrees(picture: Picture, with_: bytes, within: float = 6) -> bool:
    """Whether what is there is the upper part of the whole."""
    rows, wanted = len(picture.pixels), decode(with_).luma
    assert picture.pixels.shape[:2] == (picture.facts.height, WIDTH)
    return float(np.abs(picture.luma - wanted[:rows]).mean()) < within


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.97])
@pytest.mark.parametrize("kind", OPTIONS)
def test_the_rows_that_are_there_are_read(kind: str, share: float) -> None:
    data = whole(kind)
    for colour in (True, False):
        picture = decode(data[: int(share * len(data))], colour=colour)
        facts = picture.facts
        assert facts.format == kind.lower()
        assert facts.bytes == int(share * len(data))
        assert abs(facts.height / HEIGHT - share) < 0.2
        assert abs(1 - facts.height / HEIGHT - facts.missing) < 0.03
        assert agrees(picture, data)
        (note,) = facts.notes
        assert "of the rows are missing" in note


def test_a_packed_tiff_is_read_up_to_where_it_is_damaged() -> None:
    data = bytearray(layered(np.asarray(SCENE), packing="lzw", rows=16))
    middle = int.from_bytes(data[4:8], "little") // 2
    data[middle : middle + 4000] = b"\xff" * 4000
    picture = decode(bytes(data))
    assert 0.3 < picture.facts.missing < 0.7
    assert agrees(picture, whole("PNG"))


def test_too_little_is_refused() -> None:
    for kind in ("JPEG", "PNG", "GIF"):
        with pytest.raises(PictureError):
            decode(whole(kind)[: len(whole(kind)) // 20])


def test_a_jpeg_without_its_end_marker_is_whole() -> None:
    for progressive in (False, True):
        data = whole("JPEG", progressive=progressive)
        picture = decode(data[:-2])
        assert (picture.facts.missing, picture.facts.height) == (0.0, HEIGHT)
        assert np.array_equal(picture.pixels, decode(data).pixels)
        said = "The end marker of the file is missing; all of the picture is there."
        assert picture.facts.notes in ((said,), ())  # some decoders do not miss it


def test_a_progressive_jpeg_loses_detail_and_no_rows() -> None:
    data = whole("JPEG", progressive=True)
    picture = decode(data[: len(data) // 2])
    assert picture.facts.height == HEIGHT
    assert picture.facts.missing > 0
    assert "finest detail" in picture.facts.notes[0]
    assert agrees(picture, data, 12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_missing_is_cut_off_where_it_lies_once_upright(orientation: int) -> None:
    turned = stored(orientation, SCENE)
    data = encode(turned, "JPEG", quality=92, exif=b"Exif\0\0" + exif_of(orientation))
    picture = decode(data[: len(data) // 2])
    facts = picture.facts
    assert (facts.width, facts.height) == picture.pixels.shape[1::-1]
    part = np.asarray(SCENE.convert("L"), float)
    high, wide = picture.pixels.shape[:2]
    assert high * wide < 0.8 * HEIGHT * WIDTH
    places = [(0, 0), (HEIGHT - high, WIDTH - wide)]
    least = min(
        np.abs(part[top : top + high, left : left + wide] - picture.luma).mean() for top, left in places
    )
    assert least < 8


def test_a_large_jpeg_is_cut_at_its_working_size() -> None:
    data = encode(SCENE.resize((2560, 1920)), "JPEG", quality=85)
    for colour in (True, False):
        picture = decode(data[: len(data) // 2], colour=colour)
        assert picture.facts.width == 2560
        assert 600 < picture.facts.height < 1300
        ratio = picture.facts.height / len(picture.pixels)
        assert abs(ratio - 2560 / picture.pixels.shape[1]) < 0.1


@pytest.mark.parametrize("name", [b"tEXt", b"iCCP", b"eXIf", b"pHYs", b"prVt"])
def test_a_png_with_a_wrong_sum_of_what_holds_no_pixels(name: bytes) -> None:
    data = whole("PNG")
    chunk = png_chunk(name, b"Comment\0words that are not what was written")
    damaged = data[:33] + chunk[:-1] + bytes([chunk[-1] ^ 1]) + data[33:]
    picture = decode(damaged)
    assert np.array_equal(picture.pixels, decode(data).pixels)
    assert picture.facts.missing == 0
    # What no decoder looks at hurts none.
    assert not picture.facts.notes or name.decode() in picture.facts.notes[0]


def test_a_png_whose_pixels_have_a_wrong_sum_and_are_right() -> None:
    data = bytearray(whole("PNG"))
    at = data.index(b"IDAT")
    size = int.from_bytes(data[at - 4 : at], "big")
    data[at + 4 + size] ^= 1
    assert np.array_equal(decode(bytes(data)).pixels, np.asarray(SCENE))


def test_a_png_without_its_end() -> None:
    picture = decode(whole("PNG")[:-12])
    assert np.array_equal(picture.pixels, np.asarray(SCENE))
    assert picture.facts.missing == 0


def test_half_a_gif_with_clear_parts() -> None:
    buffer = io.BytesIO()
    SCENE.quantize(200).save(buffer, "GIF", interlace=0, transparency=7)
    data = buffer.getvalue()
    picture = decode(data[: len(data) // 2])
    wanted = decode(data).pixels[: len(picture.pixels)]
    assert np.abs(picture.pixels.astype(int) - wanted).mean() < 1


def test_half_a_photograph_is_found_and_said_to_be_half(tmp_path: Path) -> None:
    settings = wherefrom.Settings(model="none", workers=1)
    folder = tmp_path / "photos"
    folder.mkdir()
    half = whole("JPEG")[: len(whole("JPEG")) // 2]
    (folder / "half.jpg").write_bytes(half)
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True, settings=settings) as photos:
        report = photos.add(folder)
        (outcome,) = report.added
        assert outcome.note is not None
        assert "of the rows are missing" in outcome.note
        assert report.as_json()["incomplete"] == [{"uri": outcome.uri, "note": outcome.note}]
        (match,) = photos.search(whole("PNG"))
        assert match.image.signs is not None
        assert match.image.signs.missing > 0.3
        answer = photos.search(half)
        assert any("rows are missing" in note for note in answer.query.notes)


@pytest.mark.shared
def test_the_case_from_the_field(shared: Path) -> None:
    folder = shared / "cases" / "05-nearly-sound"
    wanted = decode((folder / "reference.jpg").read_bytes()).luma
    for name in ("no-end-marker.jpg", "wrong-sum-of-text.png"):
        picture = decode((folder / name).read_bytes())
        assert picture.facts.missing == 0
        assert np.abs(picture.luma - wanted).mean() < 3
