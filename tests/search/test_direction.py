"""Direction: said with a reason, the same both ways round, and not at all without one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

import wherefrom
from tests.test_duplicates import photo
from wherefrom.evaluate.edits import edit
from wherefrom.features.signs import signs_of
from wherefrom.picture.decode import decode
from wherefrom.picture.signs import Signs
from wherefrom.search.direction import decided
from wherefrom.search.find import compare
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)
Picture = Image.Image


def saved(image: Picture, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def fine(seed: int, side: int = 480) -> Picture:
    """A picture with detail up to the finest, as a sharp photograph has."""
    grain = np.random.default_rng(seed).normal(0, 14, (side * 3 // 4, side, 1))
    soft = np.asarray(photo(seed, side, side * 3 // 4), np.float32)
    return Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))


def written(image: Picture) -> Picture:
    done = image.copy()
    draw = ImageDraw.Draw(done)
    draw.rectangle((90, 120, 380, 220), fill="#e0c020")
    draw.text((110, 140), "NO MORE", "black", font_size=50)
    return done


ORIGINAL = saved(fine(1), quality=92)
WHOLE = Image.open(io.BytesIO(ORIGINAL))
MADE: dict[str, tuple[bytes, str]] = {
    "smaller": (saved(WHOLE.resize((240, 180), Image.Resampling.LANCZOS), quality=90), "larger"),
    "thumbnail": (saved(WHOLE.resize((48, 36), Image.Resampling.LANCZOS), "PNG"), "larger"),
    "larger": (saved(WHOLE.resize((960, 720), Image.Resampling.BICUBIC), quality=95), "enlarged"),
    "saved as PNG": (saved(WHOLE, "PNG"), "resaved"),
    "mirrored as PNG": (saved(ImageOps.mirror(WHOLE), "PNG"), "resaved"),
    "compressed": (saved(WHOLE, quality=40), "recompressed"),
    "cropped": (saved(WHOLE.crop((60, 50, 420, 330)), quality=90), "cut"),
    "framed": (saved(ImageOps.expand(WHOLE, 40, "white"), quality=90), "surrounded"),
    "grey": (saved(ImageOps.grayscale(WHOLE).convert("RGB"), "PNG"), "colours"),
    "written on": (saved(written(WHOLE), quality=90), "laid-over"),
}


@pytest.mark.parametrize("name", MADE)
def test_what_was_made_is_told_both_ways_round(name: str) -> None:
    data, reason = MADE[name]
    for query, other, source in ((data, ORIGINAL, "match"), (ORIGINAL, data, "query")):
        match = compare(query, other, PLAIN)
        assert match is not None
        assert match.direction is not None
        assert match.direction.source == source
        assert reason in {one.code for one in match.direction.why}
        assert match.direction.sure >= 0.97
        told: Any = match.as_json()["direction"]
        assert told == match.evidence.as_json()["direction"]
        assert told["from"] == source
        assert all(one["text"] for one in told["why"])


def sharpened(image: Picture, factor: float) -> Picture:
    """Enlarged as programs do that promise detail."""
    size = (round(image.width * factor), round(image.height * factor))
    large = image.resize(size, Image.Resampling.LANCZOS)
    return large.filter(ImageFilter.UnsharpMask(1.2 * factor, 300, 1))


def stepped(image: Picture, factor: float) -> Picture:
    """Enlarged without smoothing."""
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.NEAREST)


@pytest.mark.parametrize("enlarge", [sharpened, stepped])
@pytest.mark.parametrize("factor", [1.5, 3, 8])
def test_no_enlargement_is_called_the_source(enlarge: Any, factor: float) -> None:
    small = WHOLE.resize((48, 36), Image.Resampling.LANCZOS) if factor == 8 else WHOLE
    made, original = saved(enlarge(small, factor), "PNG"), saved(small, quality=92)
    for query, other, source in ((made, original, "match"), (original, made, "query")):
        match = compare(query, other, PLAIN)
        assert match is not None
        assert match.direction is None or match.direction.source == source


def test_a_camera_that_photographed_the_other_picture_is_not_its_source() -> None:
    shot = edit("photo of a screen", WHOLE, 2, [])
    taken = saved(shot, quality=93, exif=exif(size=shot.size))
    for query, other, source in ((taken, ORIGINAL, "match"), (ORIGINAL, taken, "query")):
        match = compare(query, other, PLAIN)
        assert match is not None
        assert match.direction is not None
        assert match.direction.source == source


def test_nothing_is_said_without_a_reason() -> None:
    first = fine(2)
    warmer = Image.fromarray(np.clip(np.asarray(first) * [1.04, 1.0, 0.95], 0, 255).astype(np.uint8))
    match = compare(saved(first, "PNG"), saved(warmer, "PNG"), PLAIN)
    assert match is not None
    assert match.direction is None
    assert match.as_json()["direction"] is None


def test_reasons_that_contradict_each_other_say_nothing() -> None:
    assert decided({}) is None
    assert decided({"larger": "query", "cut": "match"}) is None
    agreed = decided({"larger": "query", "cut": "query"})
    assert agreed is not None
    assert agreed.source == "query"


def exif(**tags: Any) -> bytes:
    stated = Image.Exif()
    stated[0x010F], stated[0x0110] = "Maker", "Model 5"
    below = stated.get_ifd(0x8769)
    below[0x829A] = 0.01
    below[0xA002], below[0xA003] = tags.get("size", WHOLE.size)
    if "software" in tags:
        stated[0x0131] = tags["software"]
    return stated.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_camera_is_known_by_its_block_and_not_named(kind: str) -> None:
    data = saved(WHOLE, kind, exif=exif())
    signs = signs_of(data, decode(data))
    assert signs.camera
    assert not signs.altered
    assert "Maker" not in repr(signs.as_json())
    assert Signs.from_json(signs.as_json()) == signs


def test_what_an_editor_saved_is_no_camera_file() -> None:
    edited = saved(WHOLE, exif=exif(software="GIMP 2.10"))
    signs = signs_of(edited, decode(edited))
    assert (signs.camera, signs.altered, signs.software) == (False, True, "editor")
    cropped = saved(WHOLE.crop((0, 0, 200, 200)), exif=exif())
    assert not signs_of(cropped, decode(cropped)).camera


def test_a_camera_file_is_the_source_of_what_has_no_block() -> None:
    one = saved(WHOLE, quality=95, exif=exif())
    other = saved(ImageOps.autocontrast(WHOLE, cutoff=0.1), quality=95)
    for query, match, source in ((one, other, "query"), (other, one, "match")):
        found = compare(query, match, PLAIN)
        assert found is not None
        assert found.direction is not None
        assert found.direction.source == source


@pytest.mark.parametrize("cut", range(0, 400, 13))
def test_signs_of_damaged_bytes_raise_nothing(cut: int) -> None:
    data = saved(WHOLE, exif=exif())
    picture = decode(data)
    signs_of(data[:cut], picture)
    signs_of(data[:cut] + b"\xff" * 40 + data[cut + 40 :], picture)


def test_no_byte_is_decoded_in_the_process_that_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large pictures, too, of which the fine detail is looked at in full."""
    large = fine(3, 1376)
    files = {"first.jpg": saved(large, quality=93), "again.jpg": saved(large, quality=45)}
    files["png.png"] = saved(Image.open(io.BytesIO(files["first.jpg"])), "PNG")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("bytes were decoded in the process that asks")

    for name in ("decode.decode", "decode._decode_builtin", "jpeg.decode_stored", "jpeg.decode_jpeg"):
        monkeypatch.setattr(f"wherefrom.picture.{name}", refuse)
    for name in ("simplejpeg.decode_jpeg", "PIL.Image.open", "PIL.ImageFile.ImageFile.load"):
        monkeypatch.setattr(name, refuse)
    match = compare(files["again.jpg"], files["first.jpg"], PLAIN)
    assert match is not None
    assert match.direction is not None
    assert match.direction.source == "match"
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True, settings=PLAIN) as photos:
        photos.add(folder)
        found = photos.search(folder / "again.jpg")
        told = {one.image.format: one.direction for one in found.matches if one.kind.value != "identical"}
        assert told["jpeg"] is not None
        assert [len(group.others) for group in photos.duplicates()] == [2]
