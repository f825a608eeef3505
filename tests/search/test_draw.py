"""Evidence as pictures: sizes, that they do not change, and that things are where they should be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tests.scenes import encoded, picture
from wherefrom.picture.picture import Picture
from wherefrom.search.answer import Edit, Evidence, Polygon, Transform
from wherefrom.search.draw import difference, draw, image_of, warped
from wherefrom.settings import Settings

WHOLE: Polygon = ((0, 0), (400, 0), (400, 300), (0, 300))
PART: Polygon = ((100, 75), (300, 75), (300, 225), (100, 225))
SAME: Transform = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
HALF: Transform = ((0.5, 0, 100), (0, 0.5, 75), (0, 0, 1))  # the match fills PART of the query
PLAIN = Evidence("fingerprint", transform=SAME, query_area=WHOLE, match_area=WHOLE)
INSIDE = Evidence("fingerprint", transform=HALF, query_area=PART, match_area=WHOLE)

Values = NDArray[np.int_]

GREY = Image.new("RGB", (400, 300), (128, 128, 128))
GAP = 20  # a thirtieth of the height of 600, at which a picture of 400 by 300 is doubled


@dataclass(frozen=True)
class Pointed(Evidence):
    """Evidence with matched points."""

    points: tuple[tuple[float, float, float, float], ...] = ()


def pixel(image: Image.Image, x: float, y: float) -> Values:
    values: Values = np.asarray(image)[round(y), round(x)].astype(int)
    return values


def at(image: Image.Image, x: float, y: float, *, second: bool = False) -> Values:
    """The pixel of a drawing 600 high where a picture of 400 by 300 has (x, y)."""
    return pixel(image, GAP + 2 * x + (800 + GAP if second else 0), GAP + 2 * y)


def is_blue(values: Values) -> bool:
    return bool(values[2] > values[0] + 60)


def is_orange(values: Values) -> bool:
    return bool(values[0] > values[2] + 30)


@pytest.mark.parametrize("height", [64, 200, 480])
@pytest.mark.parametrize("size", [(400, 300), (300, 400), (1000, 20), (3, 900), (1, 1)])
def test_any_size_and_shape(height: int, size: tuple[int, int]) -> None:
    query = Image.new("RGB", size, "red")
    area: Polygon = ((0, 0), (size[0], 0), size, (0, size[1]))
    edits = (Edit("mirror"), Edit("overlay", 0.5, area))
    image = draw(replace(PLAIN, query_area=area, edits=edits), query, GREY, height=height)
    assert image.mode == "RGB"
    assert image.height > height
    assert image.width < 5 * height


def test_the_same_each_time_and_the_pictures_are_left_alone() -> None:
    query, match = picture(1), picture(2)
    before = query.tobytes(), match.tobytes()
    evidence = replace(INSIDE, edits=(Edit("tone", 0.1), Edit("overlay", 0.1, PART)))
    for drawing in (draw, warped, difference):
        assert drawing(evidence, query, match).tobytes() == drawing(evidence, query, match).tobytes()
    assert (query.tobytes(), match.tobytes()) == before


def test_what_both_show_is_outlined_and_the_rest_dimmed() -> None:
    image = draw(INSIDE, GREY, GREY, height=600)
    assert list(at(image, 200, 150)) == [128, 128, 128]
    assert at(image, 50, 150).max() < 90
    for x, y in ((100, 150), (300, 150), (200, 75), (200, 225)):
        assert is_blue(at(image, x, y))
    assert list(at(image, 200, 150, second=True)) == [128, 128, 128]
    assert is_blue(at(image, 399.5, 150, second=True))


def test_without_areas_nothing_is_dimmed() -> None:
    image = draw(Evidence("fingerprint"), GREY, GREY, height=600)
    assert list(at(image, 5, 290)) == [128, 128, 128]


def test_matched_points_and_the_line_between_them() -> None:
    image = draw(Pointed("keypoints", points=((100, 100, 300, 200),)), GREY, GREY, height=600)
    assert is_blue(at(image, 100, 100))
    assert is_blue(at(image, 300, 200, second=True))
    middle = GAP + 2 * 200 + (800 + GAP) / 2, GAP + 2 * 150
    near = np.asarray(image)[round(middle[1]) - 3 : round(middle[1]) + 4, round(middle[0])].astype(int)
    assert (near[:, 2] - near[:, 0]).max() > 20
    assert list(at(image, 100, 200)) == [128, 128, 128]


def test_no_more_lines_than_can_be_told_apart() -> None:
    random = np.random.default_rng(0)
    cluster = [(10 + x, 10 + y, 10 + x, 10 + y) for x, y in random.uniform(0, 20, (5000, 2)).tolist()]
    apart = (380.0, 280.0, 380.0, 280.0)
    image = draw(Pointed("keypoints", points=(*cluster, apart)), GREY, GREY, height=600)
    assert is_blue(at(image, 380, 280))
    few = draw(Pointed("keypoints", points=(*cluster[:1] * 5000, apart)), GREY, GREY, height=600)
    assert is_blue(at(few, 380, 280))


def test_overlays_are_hatched() -> None:
    image = draw(replace(PLAIN, edits=(Edit("overlay", 0.25, PART),)), GREY, GREY, height=600)
    inside = np.asarray(image)[GAP + 160 : GAP + 440, GAP + 210 : GAP + 590].astype(int)
    orange = inside[..., 0] - inside[..., 2] > 90
    assert 0.05 < orange.mean() < 0.5
    assert is_orange(at(image, 100, 150))
    assert list(at(image, 50, 50)) == [128, 128, 128]
    hatched = np.asarray(image)[GAP + 160 : GAP + 440, image.width // 2 :].astype(int)
    assert (hatched[..., 0] - hatched[..., 2] > 90).mean() > 0.03  # what differs is marked on both


def test_the_legend_grows_with_what_is_to_be_said() -> None:
    plain = draw(PLAIN, GREY, GREY)
    many = draw(replace(PLAIN, edits=tuple(Edit("noise", 10.0) for _ in range(12))), GREY, GREY)
    assert many.width == plain.width
    assert many.height > plain.height + 20


def test_smaller_pictures_than_the_evidence_speaks_of() -> None:
    large = draw(INSIDE, GREY, GREY, height=600)
    small = draw(
        INSIDE,
        GREY.resize((200, 150)),
        GREY.resize((100, 75)),
        height=600,
        query_size=(400, 300),
        match_size=(400, 300),
    )
    assert small.size == large.size
    assert np.abs(np.asarray(small, int) - np.asarray(large, int)).max() <= 2


def test_the_match_in_the_frame_of_the_query() -> None:
    match = picture(3)
    image = warped(INSIDE, GREY, match)
    assert (image.mode, image.size) == ("RGBA", (400, 300))
    alpha = np.asarray(image)[..., 3]
    assert (alpha[80:220, 105:295] == 255).all()
    assert not alpha[:70].any()
    assert not alpha[:, 310:].any()
    inside = np.asarray(image.convert("RGB"), int)[75:225, 100:300]
    expected = np.asarray(match.resize((200, 150), Image.Resampling.BOX), int)
    assert np.abs(inside - expected)[2:-2, 2:-2].mean() < 2


def test_warping_is_the_same_for_smaller_pictures() -> None:
    match = picture(3)
    whole = warped(INSIDE, GREY, match).resize((200, 150), Image.Resampling.BOX)
    small = warped(
        INSIDE,
        GREY.resize((200, 150)),
        match.resize((200, 150)),
        query_size=(400, 300),
        match_size=(400, 300),
    )
    assert small.size == (200, 150)
    assert np.abs(np.asarray(small, int) - np.asarray(whole, int))[40:110, 55:145].mean() < 12


def test_the_difference_is_hot_where_something_was_laid_over() -> None:
    match = picture(4)
    query = match.copy()
    ImageDraw.Draw(query).rectangle((150, 100, 250, 200), "white")
    image = difference(PLAIN, query, match)
    assert (image.mode, image.size) == ("RGB", (400, 300))
    values = np.asarray(image, int)
    coloured = np.ptp(values, axis=2) > 20
    assert coloured[105:195, 155:245].mean() > 0.8
    assert not coloured[:, :140].any()
    assert not coloured[210:].any()


def test_another_tone_is_no_difference() -> None:
    match = picture(5)
    query = match.point([min(255, round(level * 0.7 + 30)) for level in range(256)] * 3)
    assert np.ptp(np.asarray(difference(PLAIN, query, match), int), axis=2).max() < 8


def test_without_a_transform_there_is_nothing_to_warp() -> None:
    evidence = Evidence("fingerprint")
    assert not np.asarray(warped(evidence, GREY, GREY)).any()
    assert np.ptp(np.asarray(difference(evidence, picture(1), GREY), int), axis=2).max() == 0


@pytest.mark.parametrize("size", [(0, 300), (400, 0), (-1, 5)])
def test_sizes_without_pixels(size: tuple[int, int]) -> None:
    for drawing in (draw, warped, difference):
        with pytest.raises(ValueError, match="pixel"):
            drawing(PLAIN, GREY, GREY, query_size=size)
        with pytest.raises(ValueError, match="pixel"):
            drawing(PLAIN, GREY, GREY, match_size=size)


def test_a_height_too_small_to_show_anything() -> None:
    with pytest.raises(ValueError, match="64"):
        draw(PLAIN, GREY, GREY, height=63)


def test_a_pil_image_is_read_upright_and_on_white() -> None:
    clear = Image.new("RGBA", (40, 20), (255, 0, 0, 0))
    clear.putpixel((39, 0), (0, 0, 255, 255))
    image, size = image_of(clear, Settings())
    assert (image.mode, size) == ("RGB", (40, 20))
    assert [image.getpixel(place) for place in ((0, 0), (39, 0))] == [(255, 255, 255), (0, 0, 255)]
    clear.getexif()[0x0112] = 6  # shown turned a quarter clockwise
    image, size = image_of(clear, Settings())
    assert (image.size, size) == ((20, 40), (20, 40))
    assert image.getpixel((19, 39)) == (0, 0, 255)


def test_a_picture_decoded_at_a_reduced_size_says_how_large_it_is() -> None:
    large = picture(1).resize((4000, 3000))
    image, size = image_of(encoded(large), Settings())
    assert size == (4000, 3000)
    assert image.width < 4000
    assert image_of(Picture.from_array(np.asarray(GREY.convert("L"))), Settings())[0] == GREY
