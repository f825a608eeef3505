"""Edits: the same each time, different by chance, and the truth they tell is where the pixels are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.scenes import picture
from wherefrom.evaluate.edited import (
    VOCABULARY,
    Edited,
    carried,
    corners,
    homography,
    kept,
    linear_scale,
    moved,
    stretched,
    warped,
)
from wherefrom.evaluate.edits import (
    BARS,
    EDITS,
    GEOMETRY,
    HARD,
    OTHER,
    PARTIAL,
    PLAIN,
    SUITE,
    TONE,
    edit,
    edited,
)

CHANCE = (
    "noise 35",
    "crop 70 %",
    "perspective 15 %",
    "caption above",
    "text over",
    "watermark",
    "logo",
    "stickers",
    "photo of a screen",
    "photo of a print",
    "screenshot 40 %",
    "collage 25 %",
    "picture in picture 15 %",
    "cut-out on another",
    "three random edits",
)
NO_HOMOGRAPHY = ("swirl 60", "swirl 30", "swirl 120")
SMALL = ("resize 12 %",)  # leave too little of a small picture to look for blocks in
COVERED = {"cut-out on white": 0.4, "cut-out on another": 0.4, "text over": 0.65}  # much is put over these
SIDE = 24  # pixels of a block that is looked for
REACH = 5  # pixels that it is looked for in each direction

Grey = NDArray[np.float32]


def grey(image: Image.Image) -> Grey:
    """Luma, smoothed so that noise, dots and blocks of the edits do not decide."""
    return np.asarray(cv2.GaussianBlur(np.asarray(image.convert("L"), np.float32), (0, 0), 1.5), np.float32)


def agreement(source: Image.Image, done: Edited) -> float:
    """Share of the blocks of the true area that lie where the transform says, to a pixel.

    The source is warped by the transform; each block of it is looked for around its place in the edited
    picture, and counts when it is most like (or, in a negative, unlike) what it meets within a pixel.
    """
    assert done.transform is not None
    size = done.image.size
    to_centres = moved(-0.5, -0.5) @ done.transform @ moved(0.5, 0.5)  # OpenCV counts from pixel centres
    # Averaged first where the edit makes it smaller, as the edits do.
    smaller = max(0.0, 1 / linear_scale(done.transform, *source.size) - 1)
    soft = cv2.GaussianBlur(np.asarray(source.convert("L"), np.float32), (0, 0), 0.1 + 0.5 * smaller)
    truth = grey(Image.fromarray(cv2.warpPerspective(soft, to_centres, size).astype(np.uint8)))
    seen = grey(done.image)
    ones = np.ones((source.height, source.width), np.uint8)
    inside = cv2.warpPerspective(ones, to_centres, size)
    right = total = 0
    for top in range(REACH, size[1] - SIDE - REACH + 1, SIDE // 2):
        for left in range(REACH, size[0] - SIDE - REACH + 1, SIDE // 2):
            block = truth[top : top + SIDE, left : left + SIDE]
            if inside[top : top + SIDE, left : left + SIDE].all() and block.std() > 4:
                around = seen[top - REACH : top + SIDE + REACH, left - REACH : left + SIDE + REACH]
                likeness = np.abs(cv2.matchTemplate(around, block, cv2.TM_CCOEFF_NORMED))
                y, x = np.unravel_index(int(likeness.argmax()), likeness.shape)
                right += max(abs(int(y) - REACH), abs(int(x) - REACH)) <= 1
                total += 1
    assert total >= 10
    return right / total


OTHERS = [picture(number) for number in range(20, 24)]


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("size", [(400, 300), (260, 390)])
def test_the_truth_is_where_the_pixels_are(name: str, size: tuple[int, int]) -> None:
    source = picture(3, *(3 * side if name in SMALL else side for side in size))
    done = edited(name, source, 5, OTHERS)
    assert done.image.mode == "RGB"
    assert done.names <= VOCABULARY
    if name in NO_HOMOGRAPHY:
        assert done.transform is None
        return
    assert done.transform is not None
    assert done.transform.shape == (3, 3)
    assert done.transform.dtype == np.float64
    assert agreement(source, done) >= COVERED.get(name, 0.8)


@pytest.mark.parametrize("name", ["jpeg q10", "rotate 15", "screenshot 40 %", "photo of a print", "negative"])
def test_another_transform_than_the_truth_is_noticed(name: str) -> None:
    source = picture(4)
    done = edited(name, source, 1, OTHERS)
    assert done.transform is not None
    for wrong in (moved(3, 0), moved(0, -3), stretched(1.04, 1), stretched(1, 0.96)):
        about = moved(*np.array(done.image.size) / 2) @ wrong @ moved(*-np.array(done.image.size) / 2)
        assert agreement(source, Edited(done.image, about @ done.transform, done.names)) < 0.55


@pytest.mark.parametrize("name", EDITS)
def test_the_same_seed_gives_the_same_picture(name: str) -> None:
    one, other = (edited(name, picture(1, 200, 150), 3, OTHERS) for _ in range(2))
    assert np.array_equal(np.asarray(one.image), np.asarray(other.image))
    assert one.names == other.names
    if one.transform is not None:
        assert other.transform is not None
        assert np.array_equal(one.transform, other.transform)


@pytest.mark.parametrize("name", CHANCE)
def test_seeds_differ(name: str) -> None:
    images = [edit(name, picture(1, 200, 150), seed, OTHERS) for seed in range(5)]
    assert len({image.tobytes() for image in images}) >= 2


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("size", [(8, 8), (40, 9), (12, 300)])
def test_small_and_narrow_pictures_are_edited_too(name: str, size: tuple[int, int]) -> None:
    assert min(edited(name, picture(1, *size), 2).image.size) >= 1


@pytest.mark.parametrize("name", ["collage 25 %", "picture in picture 15 %", "cut-out on another"])
def test_landscapes_are_drawn_where_there_are_no_others(name: str) -> None:
    drawn = edit(name, picture(1, 200, 150), 3)
    assert drawn.tobytes() != edit(name, picture(1, 200, 150), 3, OTHERS).tobytes()


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("screenshot 40 %", 0.4),
        ("screenshot 25 %", 0.25),
        ("collage 25 %", 0.25),
        ("picture in picture 15 %", 0.15),
    ],
)
@pytest.mark.parametrize("size", [(400, 300), (240, 400), (3000, 2000)])
def test_parts_take_the_share_they_are_named_for(name: str, share: float, size: tuple[int, int]) -> None:
    source = Image.new("RGB", size, "red")
    done = edited(name, source, 1, OTHERS)
    assert done.transform is not None
    taken = cv2.contourArea(carried(done.transform, corners(*size)).astype(np.float32))
    assert taken / (done.image.width * done.image.height) == pytest.approx(share, rel=0.02)
    assert max(done.image.size) <= 1610


def test_names_are_those_of_what_was_done() -> None:
    source = picture(2)
    assert edited("rotate 5, cropped", source).names == {"rotate", "crop"}
    assert edited("resize 50 %", source).names == {"scale"}
    assert edited("aspect 1.3", source).names == {"aspect", "scale"}
    assert edited("border 10 %, mirror, jpeg q30", source).names == {"border", "mirror", "compression"}
    assert edited("collage 25 %", source).names == {"embedded", "scale"}
    assert edited("crop 90 %", source).names == {"crop"}
    names = edited("perspective 15 %", source).names
    assert "perspective" in names
    assert "border" not in names  # no more than of what is turned: it fills the corners
    assert len({name for seed in range(9) for name in edited("three random edits", source, seed).names}) > 4


def test_chains_compose() -> None:
    source, chance = picture(5), np.random.default_rng(0)
    turned = edited("turn 90", source)
    both = kept(source).then(EDITS["mirror"], chance).then(EDITS["turn 90"], chance)
    assert both.transform is not None
    assert turned.transform is not None
    mirror = edited("mirror", source).transform
    assert mirror is not None
    assert np.allclose(both.transform, turned.transform @ mirror)
    assert both.names == {"mirror", "rotate"}
    assert np.allclose(carried(both.transform, corners(400, 300))[0], (300, 400))
    lost = both.then(EDITS["swirl 60"], chance).then(EDITS["mirror"], chance)
    assert lost.transform is None
    assert lost.names == both.names


def test_homographies_go_through_their_points() -> None:
    source = corners(30, 20)
    target = source + np.array([[1, 2], [-3, 1], [-2, -4], [5, -1]])
    matrix = homography(source, target)
    assert np.allclose(carried(matrix, source), target)
    assert linear_scale(stretched(2, 0.5), 10, 10) == pytest.approx(1)
    assert linear_scale(homography(source, 3 * source), 30, 20) == pytest.approx(3)


def test_warping_keeps_the_origin_at_the_corner() -> None:
    image = Image.new("RGB", (4, 4))
    image.putpixel((1, 2), (255, 255, 255))
    twice = np.asarray(warped(image, stretched(-2, 2) @ moved(-4, 0), (8, 8)))[..., 0]
    assert twice[4:6, 4:6].min() > 100
    assert twice.sum() < 255 * 9


def test_the_suite_names_every_group_and_its_bars() -> None:
    assert len(set(SUITE)) == len(SUITE)
    assert set(SUITE) <= set(EDITS)
    assert set(SUITE) - set(BARS) == set(OTHER)
    assert {BARS[name] for name in (*TONE, *GEOMETRY, *PLAIN)} == {0.99}
    assert {BARS[name] for name in HARD} == {0.95}
    assert [BARS[name] for name in PARTIAL] == [0.97, 0.95, 0.93]
    with pytest.raises(KeyError):
        edited("no such edit", picture(1))
