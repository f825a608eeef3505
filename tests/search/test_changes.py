"""What was done to the pixels: named where it shows, and nothing named where nothing was done."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from tests.scenes import picture
from wherefrom.features.blocking import blocking
from wherefrom.search.alignment import WORKING_SIDE, Pixels, align
from wherefrom.search.answer import Edit
from wherefrom.search.changes import Changes, changes

Matrix = NDArray[np.float64]
Grid = NDArray[np.float32]


def still(*, across: float = 0, down: float = 0, scale: float = 1) -> Matrix:
    return np.array([[scale, 0, across], [0, scale, down], [0, 0, 1.0]])


def found(
    query: Image.Image, match: Image.Image, transform: Matrix | None = None, *, negative: bool = False
) -> Changes:
    return measured(
        np.asarray(query),
        np.asarray(match),
        still() if transform is None else transform,
        negative=negative,
    )


def measured(query: Pixels, match: Pixels, transform: Matrix, **options: Any) -> Changes:
    seen = changes(query, match, transform, **options)
    assert seen is not None
    return seen


def names(seen: Changes) -> set[str]:
    return {edit.name for edit in seen.edits}


def amount(seen: Changes, name: str) -> float:
    return next(edit.amount for edit in seen.edits if edit.name == name and edit.amount is not None)


def smooth(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    """A picture without the hard steps of the scenes: nothing of it looks like compression or noise."""
    return picture(seed, width, height).filter(ImageFilter.GaussianBlur(1))


def recoded(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def toned(image: Image.Image, power: float) -> Image.Image:
    return image.point([round(255 * (level / 255) ** power) for level in range(256)] * 3)


def noisy(image: Image.Image, sigma: float) -> Image.Image:
    values = np.asarray(image, float) + np.random.default_rng(0).normal(0, sigma, (*image.size[::-1], 1))
    return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def stuck(image: Image.Image) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).ellipse((100, 80, 200, 180), "#ffd23f", "black", 3)
    return image


@pytest.mark.parametrize("seed", range(3))
def test_nothing_was_done(seed: int) -> None:
    seen = found(smooth(seed), smooth(seed))
    assert seen.edits == ()
    assert seen.agreement > 0.95
    assert seen.agreeing > 0.95
    assert seen.textured > 0.5


def test_what_is_flat_in_either_picture_is_left_out_of_what_both_show() -> None:
    whole = smooth(1)
    subject = Image.new("L", whole.size)
    ImageDraw.Draw(subject).ellipse((90, 60, 310, 240), fill=255)
    cut = Image.composite(whole, Image.new("RGB", whole.size, "white"), subject)
    for query, match in ((cut, whole), (whole, cut)):
        seen = found(query, match)
        assert seen.agreement < 0.6
        assert seen.shared.blocks > 50
        assert seen.shared.correlation > 0.97
        assert seen.shared.agreeing > 0.95
        assert seen.shared.differing < 0.03
    assert found(whole, whole).shared.correlation > 0.97
    other = found(whole, smooth(2)).shared
    assert other.correlation < 0.3
    assert other.differing > 0.5
    assert found(whole, Image.new("RGB", whole.size, "grey")).shared.blocks == 0


def displaced(image: Image.Image, far: Callable[[Grid, Grid], tuple[Grid, Grid]]) -> Image.Image:
    """Each pixel taken from a place some pixels off."""
    down, across = np.mgrid[: image.height, : image.width].astype(np.float32)
    right, low = far(across, down)
    moved = cv2.remap(
        np.asarray(image), across + right, down + low, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return Image.fromarray(np.asarray(moved, np.uint8))


def test_parts_of_a_scene_are_shifted_and_those_of_a_bent_picture_are_not() -> None:
    """Balls at several distances, seen from a step aside; and the same picture on paper that is curved."""
    whole = smooth(1)
    chance = np.random.default_rng(5)
    balls = [(*chance.uniform((0, 0), (400, 300)), *chance.uniform(-4, 4, 2)) for _ in range(40)]

    def parallax(across: Grid, down: Grid) -> tuple[Grid, Grid]:
        apart = np.stack([np.hypot(across - x, down - y) for x, y, _, _ in balls])
        nearest = apart.argmin(axis=0)
        far = np.array(balls, np.float32)[nearest]
        return far[..., 2], far[..., 3]

    def curved(across: Grid, down: Grid) -> tuple[Grid, Grid]:
        x, y = across / 200 - 1, down / 150 - 1
        return (4 * y * y).astype(np.float32), (3 * x * y).astype(np.float32)

    scene, paper = (found(displaced(whole, one), whole).shifts for one in (parallax, curved))
    assert scene.median > 0.45
    assert scene.upper > 0.75
    assert paper.blocks > 200
    assert paper.median < 0.15
    for edited in (recoded(whole, 20), noisy(whole, 20), stuck(whole)):
        assert found(edited, whole).shifts.upper < 0.4
    assert found(Image.new("RGB", whole.size, "grey"), whole).shifts.blocks == 0


@pytest.mark.parametrize("factor", [0.5, 0.8, 2.0])
def test_another_size_changes_no_pixels(factor: float) -> None:
    match = smooth(1)
    query = match.resize((round(400 * factor), round(300 * factor)), Image.Resampling.LANCZOS)
    seen = found(query, match, still(scale=factor))
    assert names(seen) == set()
    assert seen.agreement > 0.9


def test_a_transform_that_is_off_by_a_pixel_changes_nothing() -> None:
    seen = found(smooth(2), smooth(2), still(across=1, down=-1))
    assert seen.edits == ()
    assert seen.agreement > 0.9


@pytest.mark.parametrize("quality", [75, 90])
def test_mild_compression_is_not_named(quality: int) -> None:
    assert names(found(recoded(smooth(3), quality), smooth(3))) == set()


def test_strong_compression() -> None:
    seen = found(recoded(smooth(3), 10), smooth(3))
    assert "compression" in names(seen)
    assert 0.4 < amount(seen, "compression") <= 1


def test_compression_that_the_match_has_already_is_not_named() -> None:
    blocky = recoded(smooth(3), 10)
    assert names(found(blocky, blocky)) == set()


def test_compression_is_looked_for_in_the_picture_before_reduction() -> None:
    match = smooth(4, 800, 600)
    blocky = recoded(match, 10)
    small = blocky.resize((320, 240), Image.Resampling.LANCZOS)
    arrays = np.asarray(small), np.asarray(match)
    assert "compression" not in names(measured(*arrays, still(scale=0.4)))
    assert "compression" in names(measured(*arrays, still(scale=0.4), query_full=np.asarray(blocky)))


def test_blocking_rises_as_quality_falls_wherever_the_grid_starts() -> None:
    image = smooth(5)
    values = [blocking(np.asarray(recoded(image, quality))) for quality in (5, 10, 25, 75)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.5 > 0.3 > values[-1]
    moved = blocking(np.asarray(recoded(image, 10))[3:, 5:])
    assert moved == pytest.approx(values[1], abs=0.05)


def test_blocking_of_a_tiny_picture_is_none() -> None:
    assert blocking(np.zeros((20, 400), np.uint8)) == 0


def test_grey() -> None:
    seen = found(smooth(6).convert("L").convert("RGB"), smooth(6))
    assert names(seen) == {"grey"}


def test_grey_is_not_said_of_luma() -> None:
    assert names(found(smooth(6).convert("L"), smooth(6))) == set()


@pytest.mark.parametrize("power", [0.6, 1.7])
def test_tone(power: float) -> None:
    match = smooth(7)
    query = toned(match, power)
    true = np.abs(np.asarray(query, float) - np.asarray(match, float)).mean() / 255
    seen = found(query, match)
    assert names(seen) == {"tone"}
    assert amount(seen, "tone") == pytest.approx(true, abs=0.02)


@pytest.mark.parametrize("seed", [3, 4, 7])
def test_what_the_hardest_compression_does_to_colours_is_no_tone(seed: int) -> None:
    match = picture(seed, 160, 120)
    for one, other in ((recoded(match, 1), match), (match, recoded(match, 1))):
        assert "tone" not in names(found(one, other))


@pytest.mark.parametrize("share", [0.93, 1.07])
def test_a_little_more_or_less_light_is_tone_though_it_is_compressed(share: float) -> None:
    match = smooth(5)
    lit = recoded(match.point([min(255, round(level * share)) for level in range(256)] * 3), 40)
    assert "tone" in names(found(lit, match))
    assert amount(found(lit, match), "tone") < 0.04


def test_tone_that_darkens_the_corners() -> None:
    match = smooth(8)
    x, y = np.meshgrid(np.linspace(-1, 1, 400), np.linspace(-0.75, 0.75, 300))
    shaded = np.asarray(match, float) * (1 - 0.4 * (x**2 + y**2))[..., None]
    assert names(found(Image.fromarray(shaded.astype(np.uint8)), match)) == {"tone"}


def test_negative_is_no_tone() -> None:
    match = smooth(9)
    assert found(ImageOps.invert(match), match, negative=True).edits == ()


@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_blur(sigma: float) -> None:
    match = picture(10)
    seen = found(match.filter(ImageFilter.GaussianBlur(sigma)), match)
    assert names(seen) == {"blur"}
    assert amount(seen, "blur") == pytest.approx(sigma, rel=0.25)


def test_blur_is_said_in_pixels_of_the_query() -> None:
    match = picture(10, 1000, 750)
    seen = found(match.filter(ImageFilter.GaussianBlur(6)), match)
    assert amount(seen, "blur") == pytest.approx(6, rel=0.25)


def test_enlarging_is_no_blur() -> None:
    match = smooth(11, 200, 150)
    query = match.resize((800, 600), Image.Resampling.BICUBIC)
    assert names(found(query, match, still(scale=4))) == set()


@pytest.mark.parametrize("sigma", [15, 30])
def test_noise(sigma: float) -> None:
    match = smooth(12)
    seen = found(noisy(match, sigma), match)
    assert names(seen) == {"noise"}
    assert amount(seen, "noise") == pytest.approx(sigma, rel=0.25)


def test_an_overlay_and_where_it_is() -> None:
    seen = found(stuck(smooth(13)), smooth(13))
    assert names(seen) == {"overlay"}
    (overlay,) = seen.edits
    area = np.array(overlay.area)
    assert np.abs(np.array([area.min(0), area.max(0)]) - [[100, 80], [200, 180]]).max() < 8
    assert overlay.amount == pytest.approx(100 * 100 / (400 * 300), abs=0.03)
    assert seen.agreement > 0.9


def test_an_overlay_is_found_beneath_tone_and_blur() -> None:
    match = smooth(14)
    assert "overlay" in names(found(toned(stuck(match), 0.6), match))
    assert "overlay" in names(found(stuck(match).filter(ImageFilter.GaussianBlur(2)), match))


def test_an_overlay_in_a_crop_is_placed_in_the_query() -> None:
    match = smooth(15)
    query = stuck(match).crop((60, 40, 360, 280)).resize((600, 480), Image.Resampling.BICUBIC)
    seen = found(query, match, np.array([[2.0, 0, -120], [0, 2, -80], [0, 0, 1]]))
    (overlay,) = [edit for edit in seen.edits if edit.name == "overlay"]
    area = np.array(overlay.area)
    assert np.abs(np.array([area.min(0), area.max(0)]) - [[80, 80], [280, 280]]).max() < 16


def test_a_speck_is_no_overlay() -> None:
    query = smooth(16)
    ImageDraw.Draw(query).rectangle((50, 50, 56, 56), "white")
    assert found(query, smooth(16)).edits == ()


def test_what_lies_outside_the_area_is_not_looked_at() -> None:
    query = smooth(17)
    ImageDraw.Draw(query).rectangle((0, 0, 400, 90), "white")
    area = [(0, 95), (400, 95), (400, 300), (0, 300)]
    seen = measured(np.asarray(query), np.asarray(smooth(17)), still(), area=area)
    assert seen.edits == ()
    assert seen.agreement > 0.95


def test_a_perspective_is_undone_before_anything_is_measured() -> None:
    import cv2

    match = np.asarray(smooth(18, 600, 450))
    corners = np.array([[0, 0], [600, 0], [600, 450], [0, 450]], np.float32)
    seen_at = np.array([[30, 20], [560, 60], [590, 430], [10, 400]], np.float32)
    transform = cv2.getPerspectiveTransform(corners, seen_at).astype(np.float64)
    query = cv2.warpPerspective(match, transform, (600, 450), flags=cv2.INTER_CUBIC).astype(np.uint8)
    seen = measured(query, match, transform)
    assert seen.edits == ()
    assert seen.agreement > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_other_pictures_do_not_agree_and_get_no_edits(seed: int) -> None:
    seen = found(picture(2 * seed), picture(2 * seed + 1))
    assert seen.agreement < 0.3
    assert seen.agreeing < 0.2
    assert seen.edits == ()


def test_pictures_that_share_a_caption_do_not_agree() -> None:
    one, other = smooth(19), smooth(20)
    bar = smooth(21).crop((0, 0, 400, 60))
    one.paste(bar, (0, 240))
    other.paste(bar, (0, 240))
    seen = found(one, other)
    assert seen.agreement < 0.3
    assert seen.agreeing < 0.4


@pytest.mark.parametrize("level", [0, 128])
def test_without_texture_nothing_agrees(level: int) -> None:
    flat = Image.new("RGB", (400, 300), (level,) * 3)
    assert found(flat, flat) == Changes((), 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "transform",
    [
        still(across=1000),
        still(scale=0.01),
        np.array([[1, 0, 0], [0, 1, 0], [-0.01, 0, 1]], np.float64),
        np.full((3, 3), np.nan),
        np.zeros((3, 3)),
        np.array([[0, 0, 50], [0, 0, 50], [0, 0, 1]], np.float64),
        np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float64),
    ],
)
def test_nothing_in_common(transform: Matrix) -> None:
    assert changes(np.asarray(smooth(22)), np.asarray(smooth(22)), transform) is None


def test_the_working_frame_is_small_and_enlarges_neither() -> None:
    large, small = np.asarray(smooth(23, 1200, 900)), np.asarray(smooth(23, 120, 90))
    both = align(large, large, still())
    assert both is not None
    assert max(both.mask.shape) == WORKING_SIDE
    assert both.query.shape == both.match.shape == (*both.mask.shape, 3)
    enlarged = align(large, small, still(scale=10))
    assert enlarged is not None
    assert max(enlarged.mask.shape) == pytest.approx(120, abs=1)


def test_any_layout_of_the_arrays() -> None:
    query, match = np.asarray(stuck(smooth(24))), np.asarray(smooth(24))
    plain = measured(query, match, still())
    assert measured(np.asfortranarray(query), match[::-1][::-1], still()) == plain
    query.setflags(write=False)
    assert measured(query, match, still()) == plain


def test_edits_are_plain_values() -> None:
    for edit in found(noisy(stuck(toned(smooth(25), 0.6)), 25), smooth(25)).edits:
        assert isinstance(edit, Edit)
        assert edit.amount is None or type(edit.amount) is float
        assert edit.area is None or all(type(value) is float for point in edit.area for value in point)
