"""A search from end to end: what is claimed, what is not, and what is said when nothing is found."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

import wherefrom
from tests.scenes import encoded, folder_of, picture, scene
from wherefrom.errors import UsageError
from wherefrom.evaluate.edits import edit
from wherefrom.search.answer import Answer, Kind, Match
from wherefrom.search.recolouring import RECOLOURED

COUNT = 8
PIXELS = {*RECOLOURED, "tone", "blur", "noise", "compression", "overlay"}
"""Edits that only both pictures' pixels show."""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[wherefrom.Collection]:
    root = tmp_path_factory.mktemp("find")
    folder_of(root / "pictures", COUNT)
    with wherefrom.open(root / "collection", create=True) as opened:
        opened.add(root / "pictures")
        yield opened


def search(
    collection: wherefrom.Collection,
    image: Image.Image,
    *,
    limit: int = 20,
    kinds: list[str] | str | None = None,
    min_score: float = 0.0,
) -> Answer:
    return collection.search(encoded(image, "PNG"), limit=limit, kinds=kinds, min_score=min_score)


def shows(match: Match, seed: int) -> bool:
    return match.sightings[0].uri.endswith(f"picture%20{seed:03}.jpg")


def jpeg(image: Image.Image, quality: int = 30) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


# What is found


@pytest.mark.parametrize("seed", range(0, COUNT, 2))
def test_every_picture_is_found_by_a_crop_and_nothing_else_is(
    collection: wherefrom.Collection, seed: int
) -> None:
    answer = search(collection, edit("crop 30 %", picture(seed), seed))
    assert len(answer) == 1
    assert shows(answer[0], seed)
    assert answer[0].evidence.method == "keypoints"
    assert (answer[0].evidence.inliers or 0) >= 8
    assert answer[0].evidence.agreement is not None
    assert answer.query.notes == ()


@pytest.mark.parametrize("seed", [60, 61])
def test_a_stranger_is_not_found_and_the_answer_says_so(collection: wherefrom.Collection, seed: int) -> None:
    answer = search(collection, picture(seed))
    assert len(answer) == 0
    assert answer.query.notes == (f"No match among {COUNT} images.",)


def test_the_very_file_is_identical_and_first(collection: wherefrom.Collection) -> None:
    answer = collection.search(encoded(picture(2)))
    assert answer[0].kind is Kind.IDENTICAL
    assert answer[0].score == 100
    assert shows(answer[0], 2)
    assert len(answer) == 1


def test_a_collage_of_two_finds_both(collection: wherefrom.Collection) -> None:
    canvas = Image.new("RGB", (800, 300))
    canvas.paste(picture(1), (0, 0))
    canvas.paste(picture(5), (400, 0))
    answer = search(collection, canvas)
    assert len(answer) == 2
    assert {seed for match in answer for seed in range(COUNT) if shows(match, seed)} == {1, 5}
    for match in answer:
        left = 0 if shows(match, 1) else 400
        across = [x for x, _ in match.evidence.query_area or ()]
        assert min(across) == pytest.approx(left, abs=12)
        assert max(across) == pytest.approx(left + 400, abs=12)


def test_times_are_told(collection: wherefrom.Collection) -> None:
    answer = search(collection, picture(0))
    assert set(answer.timings_ms) == {"decode", "features", "recall", "verify", "total"}
    assert all(time >= 0 for time in answer.timings_ms.values())
    parts = sum(time for name, time in answer.timings_ms.items() if name != "total")
    assert answer.timings_ms["total"] >= 0.99 * parts


def test_a_search_is_repeatable(collection: wherefrom.Collection) -> None:
    image = edit("screenshot 40 %", picture(3), 3)
    one, two = (search(collection, image).as_json()["matches"] for _ in range(2))
    assert one == two
    assert one


# Limits, kinds, scores


def test_limits_kinds_and_scores(collection: wherefrom.Collection) -> None:
    canvas = Image.new("RGB", (800, 300))
    canvas.paste(picture(1), (0, 0))
    canvas.paste(picture(5).filter(ImageFilter.GaussianBlur(2)), (400, 0))
    both = search(collection, canvas)
    assert len(both) == 2
    assert search(collection, canvas, limit=1).matches == both[:1]
    high, low = both[0].score, both[1].score
    assert low <= high
    assert len(search(collection, canvas, min_score=low)) == 2
    assert len(search(collection, canvas, min_score=high)) == (2 if low == high else 1)
    if high < 100:
        nothing = search(collection, canvas, min_score=100)
        assert len(nothing) == 0
        assert nothing.query.notes == (
            "Nothing of the kinds and scores asked for; left out: 2 of kind partial.",
        )
    assert search(collection, canvas, kinds="partial").matches == both.matches
    assert search(collection, canvas, kinds=["copy", "partial"]).matches == both.matches
    nothing = search(collection, canvas, kinds=["same", "copy"])
    assert len(nothing) == 0
    assert nothing.query.notes == ("Nothing of the kinds and scores asked for; left out: 2 of kind partial.",)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_no_use(collection: wherefrom.Collection, limit: int) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        search(collection, picture(0), limit=limit)


@pytest.mark.parametrize("score", [-0.1, 100.1, float("nan")])
def test_a_score_of_no_use(collection: wherefrom.Collection, score: float) -> None:
    with pytest.raises(UsageError, match="0 to 100"):
        search(collection, picture(0), min_score=score)


@pytest.mark.parametrize("kinds", [[], ["exact"], "partial,exact"])
def test_kinds_of_no_use(collection: wherefrom.Collection, kinds: list[str] | str) -> None:
    with pytest.raises(UsageError, match="kind"):
        search(collection, picture(0), kinds=kinds)


# Too little in the query


def test_a_blank_query(collection: wherefrom.Collection) -> None:
    answer = search(collection, Image.new("RGB", (300, 200), "white"))
    assert len(answer) == 0
    assert answer.query.notes == ("This picture is nearly blank, so only identical files can be found.",)


def test_a_blank_query_is_found_by_its_bytes(tmp_path: Path) -> None:
    blank = encoded(Image.new("RGB", (300, 200), "white"), "PNG")
    (tmp_path / "blank.png").write_bytes(blank)
    with wherefrom.open(tmp_path / "collection", create=True) as opened:
        opened.add(tmp_path / "blank.png")
        (match,) = opened.search(blank)
        assert match.kind is Kind.IDENTICAL
        other = search(opened, Image.new("RGB", (310, 200), "white"))
        assert len(other) == 0


def shapes(seed: int) -> Image.Image:
    """A few large soft shapes: enough to know the whole by, without details."""
    random = np.random.default_rng(seed)
    image = Image.new("L", (640, 480), 120)
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        across, down = random.uniform(-100, 740, 3), random.uniform(-100, 580, 3)
        draw.polygon([*zip(across, down, strict=True)], fill=int(random.integers(256)))
    return image.filter(ImageFilter.GaussianBlur(6))


def test_a_query_without_texture_is_known_as_a_whole_alone(tmp_path: Path) -> None:
    (tmp_path / "shapes.png").write_bytes(encoded(shapes(5), "PNG"))
    with wherefrom.open(tmp_path / "collection", create=True) as opened:
        opened.add(tmp_path / "shapes.png")
        answer = search(opened, shapes(5).resize((320, 240)))
        assert "This picture has too little texture to be found by its parts." in answer.query.notes
        assert len(answer) == 1
        assert answer[0].evidence.distance is not None
        assert len(search(opened, picture(1))) == 0
        assert len(search(opened, shapes(9))) == 0


def test_a_page_of_a_few_lines_is_looked_for_by_its_details(tmp_path: Path) -> None:
    page = np.full((800, 600), 255, np.uint8)
    random = np.random.default_rng(0)
    for line in (60, 90, 120):
        page[line : line + 16, 60:500] = np.where(random.random((16, 440)) < 0.4, 0, 255)
    answer = None
    with wherefrom.open(tmp_path / "collection", create=True) as opened:
        answer = search(opened, Image.fromarray(page))
    assert len(answer) == 0
    first, last = answer.query.notes[0], answer.query.notes[-1]
    assert first == "Most of this picture is plain, so it is looked for by its details alone."
    assert last == "The collection is empty."


def test_borders_and_pages_are_told(collection: wherefrom.Collection) -> None:
    framed = search(collection, edit("border 10 % white", picture(4)))
    assert len(framed) == 1
    assert shows(framed[0], 4)
    assert framed.query.notes == (
        "Plain borders were found around this picture; it was searched with and without them.",
    )
    buffer = io.BytesIO()
    picture(4).save(buffer, "TIFF", save_all=True, append_images=[picture(60), picture(61)])
    pages = collection.search(buffer.getvalue())
    assert shows(pages[0], 4)
    assert pages.query.notes == ("The file has 3 frames or pages; the first was searched.",)


def test_a_grey_query_and_a_picture_of_numbers(collection: wherefrom.Collection) -> None:
    grey = search(collection, picture(6).convert("L"))
    assert shows(grey[0], 6)
    numbers = collection.search(wherefrom.Picture.from_array(np.asarray(picture(6))))
    assert shows(numbers[0], 6)
    assert numbers[0].kind is Kind.SAME


# The match's file


@pytest.mark.parametrize("change", ["gone", "another picture", "no picture", "recoded"])
def test_a_match_whose_file_is_not_what_it_was_is_found_without_its_pixels(
    tmp_path: Path, change: str
) -> None:
    files = folder_of(tmp_path / "pictures", 3)
    query = encoded(edit("noise 20", edit("rotate 10, cropped", picture(1))), "PNG")
    with wherefrom.open(tmp_path / "collection", create=True) as opened:
        opened.add(tmp_path / "pictures")
        (before,) = opened.search(query)
        assert before.evidence.agreement is not None
        assert {one.name for one in before.evidence.edits} & PIXELS
        if change == "gone":
            files[1].unlink()
        elif change == "another picture":
            files[1].write_bytes(encoded(picture(30)))
        elif change == "no picture":
            files[1].write_bytes(b"not a picture any more")
        else:
            files[1].write_bytes(jpeg(picture(1), 60))
        (after,) = opened.search(query)
    assert after.id == before.id
    assert after.score == before.score
    assert after.evidence.agreement is None
    assert not {one.name for one in after.evidence.edits} & PIXELS
    assert {one.name for one in after.evidence.edits} >= {"rotate", "crop"}
    assert after.evidence.query_area == before.evidence.query_area


def test_another_place_of_the_same_file_serves_as_well(tmp_path: Path) -> None:
    files = folder_of(tmp_path / "pictures", 2)
    (tmp_path / "pictures" / "again.jpg").write_bytes(files[1].read_bytes())
    with wherefrom.open(tmp_path / "collection", create=True) as opened:
        opened.add(tmp_path / "pictures")
        files[1].unlink()
        (match,) = search(opened, edit("crop 50 %", picture(1)))
    assert match.evidence.agreement is not None


# What is shared and is no picture


SHARED = ("caption above", "caption below", "screenshot 40 %", "watermark", "text over", "logo")


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Iterator[wherefrom.Collection]:
    """Pictures of which several have the same caption, the same app around them, the same watermark."""
    root = tmp_path_factory.mktemp("alike")
    (root / "pictures").mkdir()
    for name in SHARED:
        for seed in (0, 1):
            for number in (0, 1):
                done = edit(name, picture(10 * seed + number), seed)
                (root / "pictures" / f"{name} {seed} {number}.png").write_bytes(encoded(done, "PNG"))
    with wherefrom.open(root / "collection", create=True) as opened:
        opened.add(root / "pictures")
        yield opened


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", SHARED)
def test_what_was_put_around_or_over_a_picture_is_no_match(
    alike: wherefrom.Collection, name: str, seed: int
) -> None:
    answer = search(alike, edit(name, picture(30 + seed), seed))
    assert [match.sightings[0].uri for match in answer] == []


@pytest.mark.parametrize("picked", [0, 1, 10, 11])
def test_a_plain_picture_is_found_under_all_of_it(alike: wherefrom.Collection, picked: int) -> None:
    seed, number = divmod(picked, 10)
    answer = search(alike, picture(picked))
    assert {match.sightings[0].uri.rpartition("/")[2] for match in answer} == {
        quote(f"{name} {seed} {number}.png") for name in SHARED
    }


@pytest.mark.parametrize("name", SHARED)
def test_a_picture_with_something_put_on_it_is_found_by_what_it_shows(
    collection: wherefrom.Collection, name: str
) -> None:
    answer = search(collection, edit(name, picture(3), 3))
    assert len(answer) == 1
    assert shows(answer[0], 3)


# Two pictures


def test_two_pictures_compared_both_ways(collection: wherefrom.Collection) -> None:
    whole, crop = encoded(picture(70)), encoded(edit("crop 50 %", picture(70)), "PNG")
    match = collection.compare(crop, whole)
    assert match is not None
    assert match.kind is Kind.COPY
    assert {edit.name for edit in match.evidence.edits} >= {"crop"}
    back = collection.compare(whole, crop)
    assert back is not None
    assert back.evidence.query_coverage == pytest.approx(0.5, abs=0.03)
    assert collection.compare(whole, encoded(picture(71))) is None
    same = collection.compare(whole, whole)
    assert same is not None
    assert same.kind is Kind.IDENTICAL


def test_blank_pictures_are_no_match_for_anything(collection: wherefrom.Collection) -> None:
    white, black = (encoded(Image.new("RGB", (300, 200), tone), "PNG") for tone in ("white", "black"))
    assert collection.compare(white, black) is None
    assert collection.compare(white, encoded(picture(1))) is None
    assert collection.compare(encoded(picture(1)), white) is None
    assert collection.compare(encoded(Image.fromarray(scene(3, 500)), "PNG"), white) is None
