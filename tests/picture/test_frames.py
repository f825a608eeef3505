"""Files of several frames: which frame is shown, and when two files are one picture."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import wherefrom
from tests.pictures import jxl, tiff
from tests.test_duplicates import photo
from wherefrom.picture.decode import decode
from wherefrom.picture.frames import MOST, go_on_alike
from wherefrom.picture.picture import Facts
from wherefrom.search.answer import Kind, Match

SIZE = (256, 192)
WHITE, CLEAR, BLACK = "white", (0, 0, 0, 0), "black"


@functools.cache
def scene(number: int) -> Image.Image:
    return photo(number).resize(SIZE)


@functools.cache
def facts_of(data: bytes) -> Facts:
    return decode(data).facts


def save(frames: Sequence[Image.Image], kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if kind == "JXL":
        return jxl(np.stack([np.asarray(frame.convert("RGB")) for frame in frames]))
    options = {"duration": 100} | options if kind in ("GIF", "WEBP", "PNG") else options
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


KINDS: dict[str, Callable[[Sequence[Image.Image]], bytes]] = {
    "gif": lambda frames: save([frame.convert("RGB") for frame in frames], "GIF"),
    "webp": lambda frames: save(frames, "WEBP", quality=95, method=0),
    "apng": lambda frames: save(frames, "PNG"),
    "tiff": lambda frames: save([frame.convert("RGB") for frame in frames], "TIFF", compression="tiff_lzw"),
    "pdf": lambda frames: save([frame.convert("RGB") for frame in frames], "PDF", quality=95),
    "jxl": lambda frames: save(frames, "JXL"),
}
PAGED = [name for name in KINDS if name != "pdf"]


def same(one: bytes, other: bytes) -> bool:
    first, second = facts_of(one), facts_of(other)
    return go_on_alike((first.frames, second.frames), (first.codes, second.codes))


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_one_where_all_their_frames_are(kind: str) -> None:
    title, *rest = [scene(number) for number in range(4)]
    make = KINDS[kind]
    show = make([title, *rest])
    assert facts_of(show).frames == 4
    assert same(show, make([title, *rest]))
    assert not same(show, make([title, rest[0], rest[2], rest[1]]))
    assert not same(show, make([title, rest[0], rest[1], scene(9)]))
    assert not same(show, make([title, *rest[:2]]))
    assert not same(show, make([title]))
    assert same(make([title]), make([title]))


def test_another_encoding_is_no_other_show() -> None:
    frames = [scene(number) for number in range(5)]
    show = KINDS["webp"](frames)
    assert same(show, save(frames, "WEBP", quality=70))
    assert same(show, KINDS["gif"](frames))
    assert same(show, KINDS["apng"]([frame.resize((200, 150)) for frame in frames]))
    assert same(KINDS["tiff"](frames), KINDS["tiff"]([frame.resize((640, 480)) for frame in frames]))


def page(number: int) -> Image.Image:
    """A page of text, of which only the number differs."""
    from PIL import ImageDraw

    sheet = Image.new("RGB", (620, 877), "white")
    draw = ImageDraw.Draw(sheet)
    for line in range(30):
        draw.text(
            (50, 40 + 26 * line), f"Line {line} of what all pages say, word for word.", "black", font_size=18
        )
    draw.text((400, 830), f"Invoice {number}", "black", font_size=18)
    return sheet


def test_pages_that_differ_in_a_number_are_others() -> None:
    one, other = ([page(0), page(last)] for last in (1711, 8364))
    assert same(KINDS["tiff"](one), KINDS["tiff"](one))
    assert not same(KINDS["tiff"](one), KINDS["tiff"](other))


def test_a_long_show_with_a_sentence_more_is_another() -> None:
    from PIL import ImageDraw

    ground = photo(1).resize((320, 240))
    frames = []
    for number in range(20):
        frames.append(ground.copy())
        left = 14 * number
        ImageDraw.Draw(frames[-1]).ellipse((left, 100, left + 30, 130), fill="red")
    show = save(frames, "WEBP", quality=90, method=0)
    assert same(show, save(frames, "WEBP", quality=60, method=0))
    ImageDraw.Draw(frames[7]).text((30, 170), "A sentence that says more", "white", font_size=14)
    assert not same(show, save(frames, "WEBP", quality=60, method=0))


def test_what_is_too_long_to_be_looked_through_is_not_known() -> None:
    frames = [scene(number % 5).resize((48, 36)) for number in range(MOST + 1)]
    assert facts_of(KINDS["webp"](frames)).codes == ""
    long = KINDS["webp"](frames[:MOST])
    assert len(facts_of(long).codes) <= 8000
    assert same(long, KINDS["apng"](frames[:MOST]))
    assert not same(long, KINDS["webp"]([*frames[: MOST - 1], scene(9).resize((48, 36))]))


def test_codes_that_are_none_are_not_alike() -> None:
    assert not go_on_alike((2, 2), ("", ""))
    assert not go_on_alike((2, 2), ("!", "!"))
    assert not go_on_alike((2, 2), ("abcde", "abcde"))
    assert not go_on_alike((2, 2), (None, None))


# The first with something in it


@pytest.mark.parametrize("kind", PAGED)
@pytest.mark.parametrize("ground", [WHITE, BLACK])
def test_a_blank_first_frame_is_passed_over(kind: str, ground: str) -> None:
    wanted = scene(1)
    blank = Image.new("RGB", SIZE, ground)
    picture = decode(KINDS[kind]([blank, blank if kind == "tiff" else wanted, wanted, scene(2)]))
    assert picture.facts.shown == (2 if kind == "tiff" else 1)
    assert np.abs(picture.pixels.astype(int) - np.asarray(wanted)).mean() < 8
    assert decode(KINDS[kind]([wanted, blank])).facts.shown == 0
    assert decode(KINDS[kind]([blank, Image.new("RGB", SIZE, (250, 250, 250))])).facts.shown == 0


def test_a_fade_is_passed_over_to_where_most_of_it_is_there() -> None:
    wanted, ground = scene(1), Image.new("RGB", SIZE, "white")
    fade = [Image.blend(ground, wanted, share) for share in (0.0, 0.1, 0.3, 0.6, 1.0)]
    assert decode(KINDS["webp"](fade)).facts.shown == 3
    clear = [Image.new("RGBA", SIZE, CLEAR), wanted.convert("RGBA")]
    assert decode(KINDS["webp"](clear)).facts.shown == 1


# What is said and told to go


@pytest.mark.parametrize("kind", ["gif", "tiff", "pdf"])
def test_one_cover_is_told_and_lets_nothing_go(kind: str, tmp_path: Path) -> None:
    title = scene(0)
    folder = tmp_path / "shows"
    folder.mkdir()
    make = KINDS[kind]
    (folder / f"a.{kind}").write_bytes(make([title, scene(1), scene(2)]))
    (folder / f"b.{kind}").write_bytes(make([title, scene(3), scene(4)]))
    title.save(folder / "title.png")
    settings = wherefrom.Settings(model="none", workers=1)
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True, settings=settings) as photos:
        assert len(photos.add(folder).added) == 3
        assert list(photos.duplicates()) == []
        for first, second in (
            (f"a.{kind}", f"b.{kind}"),
            ("title.png", f"a.{kind}"),
            (f"b.{kind}", "title.png"),
        ):
            match = photos.compare(folder / first, folder / second)
            assert begins(match)
        found = photos.search(folder / "title.png")
        assert [match.kind for match in found] == [Kind.IDENTICAL, Kind.PARTIAL, Kind.PARTIAL]
        assert all(begins(match) for match in found[1:])
        # A copy of all of it is one, and goes.
        again = make([title, scene(1), scene(2)]) + b"\0"
        (folder / f"again.{kind}").write_bytes(again)
        photos.add(folder)
        (group,) = photos.duplicates()
        assert {len(group.others), group.keep.frames} == {1, 3}
        match = photos.compare(folder / f"a.{kind}", folder / f"again.{kind}")
        assert match is not None
        assert match.kind is Kind.SAME


def begins(match: Match | None) -> bool:
    assert match is not None
    return match.kind is Kind.PARTIAL and any(edit.name == "frames" for edit in match.evidence.edits)


def test_a_reduced_copy_beside_a_scan_is_neither_shown_nor_kept(tmp_path: Path) -> None:
    scan = photo(5)
    folder = tmp_path / "scans"
    folder.mkdir()
    parts = [np.asarray(scan.resize((192, 144))), np.asarray(scan)]
    at = np.cumsum([8, parts[0].nbytes]).tolist()
    pages = [
        [
            (254, 4, [reduced]),
            (256, 4, [part.shape[1]]),
            (257, 4, [part.shape[0]]),
            (258, 3, [8, 8, 8]),
            (259, 3, [1]),
            (262, 3, [2]),
            (273, 4, [start]),
            (277, 3, [3]),
            (278, 4, [part.shape[0]]),
            (279, 4, [part.nbytes]),
        ]
        for reduced, part, start in zip((1, 0), parts, at, strict=True)
    ]
    (folder / "scan.tif").write_bytes(tiff(*pages, body=b"".join(part.tobytes() for part in parts)))
    scan.resize((400, 300)).save(folder / "web.jpg", quality=80)
    settings = wherefrom.Settings(model="none", workers=1)
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True, settings=settings) as photos:
        photos.add(folder)
        (group,) = photos.duplicates()
        assert (group.keep.format, group.keep.width, group.keep.frames) == ("tiff", 640, 1)


@pytest.mark.shared
def test_the_case_from_the_field(shared: Path, tmp_path: Path) -> None:
    folder = shared / "cases" / "02-one-cover"
    settings = wherefrom.Settings(model="none", workers=1)
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True, settings=settings) as photos:
        photos.add(folder)
        assert list(photos.duplicates()) == []
        for kind in ("gif", "pdf"):
            assert begins(photos.compare(folder / f"show-a.{kind}", folder / f"show-b.{kind}"))
