"""Placing: from a proven transform to kind, areas and named edits, and the same on real edited pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

import wherefrom
from tests.scenes import Grey, encoded, folder_of, picture, scene
from wherefrom.evaluate.edited import carried, corners, homography
from wherefrom.evaluate.edits import edited
from wherefrom.features.fingerprint import Shares
from wherefrom.features.keypoints import Keypoints, Variant
from wherefrom.picture.metadata import Credit
from wherefrom.records import Image
from wherefrom.search.answer import Evidence, Kind, Polygon
from wherefrom.search.explain import Frame
from wherefrom.search.placing import Proof, agrees, area, placed, with_points
from wherefrom.search.verify import FRAME, Box, Geometry, mapped

Matrix = NDArray[np.float64]
WHOLE: Shares = (0.0, 0.0, 1.0, 1.0)
MATCH = (800, 600)
COUNT = 30


def image(width: int = MATCH[0], height: int = MATCH[1]) -> Image:
    return Image("sha256:" + "0" * 64, width, height, "jpeg", 1000, 1, 100, "", Credit())


def shift(across: float, down: float) -> Matrix:
    return np.array([[1.0, 0, across], [0, 1, down], [0, 0, 1]])


def turn(degrees: float, about: tuple[float, float] = (400, 300)) -> Matrix:
    """Clockwise, about a point."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return np.asarray(shift(*about) @ matrix @ shift(-about[0], -about[1]))


def mirror(width: float) -> Matrix:
    return np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]])


class Placed(NamedTuple):
    kind: Kind
    evidence: Evidence
    edits: dict[str, float | None]


def frames(size: tuple[float, float]) -> Matrix:
    """From pixels of a picture to its frame."""
    return np.diag([FRAME / max(size), FRAME / max(size), 1.0])


def place(
    transform: Matrix,
    query: tuple[int, int] = MATCH,
    *,
    match: tuple[int, int] = MATCH,
    mirrored: bool = False,
    negative: bool = False,
    around: Grey | int = 255,
    region: Shares = WHOLE,
    part: Box | None = None,
) -> Placed:
    """What a transform from pixels of the match to pixels of the query's region is said to be.

    `around` is the luma of the region, or the tone of all of it.
    """
    left, top, right, bottom = region
    inner = ((right - left) * query[0], (bottom - top) * query[1])
    within = mirror(inner[0]) @ transform if mirrored else transform
    inward = np.linalg.inv(frames(match))
    random = np.random.default_rng(5)
    theirs = random.uniform(0, 1, (COUNT, 2))
    ours = mapped(np.asarray(within), theirs * match) / inner
    rows = np.arange(COUNT)
    geometry = Geometry(
        np.asarray(frames(inner) @ within @ inward) * 3, rows, rows, 3.0, 0.5, 0.9, 0.9, 1.0, part
    )
    proof = Proof(geometry, Variant(keypoints(ours), mirrored, negative), keypoints(theirs))
    working = (round(inner[0] / 2), round(inner[1] / 2))
    luma = np.full(working[::-1], around, np.uint8) if isinstance(around, int) else around
    kind, evidence = placed(proof, image(*match), Frame(*query, region, working), luma, 77)
    assert evidence.method == "keypoints"
    assert (evidence.inliers, evidence.distance) == (COUNT, 77)
    return Placed(kind, evidence, {edit.name: edit.amount for edit in evidence.edits})


def keypoints(places: Matrix) -> Keypoints:
    return Keypoints(
        places[:, 0].astype(np.float32),
        places[:, 1].astype(np.float32),
        np.zeros(len(places), np.uint8),
        np.zeros(len(places), np.uint8),
        np.zeros((len(places), 1), np.uint16),
        np.zeros(len(places), np.uint64),
    )


def assert_through(found: Placed, transform: Matrix, match: tuple[int, int] = MATCH) -> None:
    """The transform of the evidence is this one, and the points follow it."""
    assert found.evidence.transform is not None
    given_ = np.array(found.evidence.transform)
    outline = corners(*match)
    assert np.abs(mapped(given_, outline) - mapped(transform, outline)).max() < 0.05
    assert given_[2, 2] == 1
    points = np.array(found.evidence.points)
    assert len(points) == COUNT
    reach = 0.2 * max(1.0, float(np.abs(transform[:2, :2]).max()))
    assert np.abs(mapped(transform, points[:, 2:]) - points[:, :2]).max() < reach


def outline_of(polygon: Polygon | None) -> Matrix:
    assert polygon is not None
    return np.array(polygon, np.float64).reshape(-1, 2)


def laid(width: float, height: float, *, at: tuple[float, float]) -> Matrix:
    """A rectangle with its top left corner there."""
    return np.asarray(corners(width, height) + np.array(at))


def overlap(one: Matrix, other: Matrix) -> float:
    """Intersection over union of two convex polygons."""
    import cv2

    common, _ = cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))
    return float(common) / (area(one) + area(other) - float(common))


# Each edit of shape


def test_nothing_was_done() -> None:
    found = place(np.eye(3))
    assert (found.kind, found.edits) == (Kind.SAME, {})
    assert_through(found, np.eye(3))
    assert found.evidence.query_coverage == found.evidence.match_coverage == 1
    assert overlap(outline_of(found.evidence.query_area), corners(*MATCH)) > 0.999
    assert overlap(outline_of(found.evidence.match_area), corners(*MATCH)) > 0.999


@pytest.mark.parametrize("size", [(400, 300), (1200, 900), (3200, 2400), (88, 66)])
def test_another_size_is_the_same_picture(size: tuple[int, int]) -> None:
    factor = size[0] / MATCH[0]
    matrix = np.diag([factor, factor, 1.0])
    found = place(matrix, size)
    assert (found.kind, found.edits) == (Kind.SAME, {"scale": factor})
    assert_through(found, matrix)
    assert found.evidence.query_coverage == found.evidence.match_coverage == 1


def test_mirrored() -> None:
    found = place(mirror(800), mirrored=True)
    assert (found.kind, found.edits) == (Kind.COPY, {"mirror": None})
    assert_through(found, mirror(800))


def test_negative() -> None:
    found = place(np.eye(3), negative=True)
    assert (found.kind, found.edits) == (Kind.COPY, {"negative": None})


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_quarter_turns(quarters: int, mirrored: bool) -> None:
    matrix, size = np.eye(3), MATCH
    if mirrored:
        matrix = mirror(800)
    for _ in range(quarters):  # clockwise: (x, y) goes to (height - y, x)
        matrix = np.array([[0.0, -1, size[1]], [1, 0, 0], [0, 0, 1]]) @ matrix
        size = size[1], size[0]
    found = place(matrix, size, mirrored=mirrored)
    wanted: dict[str, float | None] = {"rotate": 90.0 * quarters}
    # Turns come after mirroring, as the fingerprint's evidence has them.
    if mirrored:
        wanted["mirror"] = None
    assert found.edits == wanted
    assert found.kind is Kind.COPY
    assert_through(found, matrix)


@pytest.mark.parametrize("degrees", [5.0, 15.0, 30.0, 45.0, 100.0, 345.0])
def test_turned_with_plain_corners(degrees: float) -> None:
    ends = mapped(turn(degrees), corners(*MATCH))
    low, high = ends.min(axis=0), ends.max(axis=0)
    size = round(high[0] - low[0]), round(high[1] - low[1])
    matrix = shift(*-low) @ turn(degrees)
    found = place(matrix, size, around=0)
    # The corners are no border, and show nothing else either.
    assert set(found.edits) == {"rotate"}
    assert found.edits["rotate"] == pytest.approx(degrees, abs=0.1)
    assert found.kind is Kind.COPY
    assert_through(found, matrix)
    assert found.evidence.query_coverage == pytest.approx(480_000 / (size[0] * size[1]), abs=0.01)
    assert overlap(outline_of(found.evidence.query_area), mapped(matrix, corners(*MATCH))) > 0.99


def test_turned_on_a_wide_plain_ground() -> None:
    found = place(shift(300, 200) @ turn(20), (1400, 1000), around=0)
    assert set(found.edits) == {"rotate", "border"}
    assert found.edits["border"] == pytest.approx(1 - 480_000 / 1_400_000, abs=1e-3)
    assert found.kind is Kind.COPY


@pytest.mark.parametrize("degrees", [0.5, -1.0])
def test_a_turn_too_small_to_tell_is_not_named(degrees: float) -> None:
    assert "rotate" not in place(turn(degrees)).edits


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((0, 0, 800, 540), Kind.COPY),
        ((100, 60, 660, 480), Kind.COPY),
        ((300, 200, 700, 560), Kind.COPY),
        ((300, 200, 600, 500), Kind.PARTIAL),
        ((0, 0, 300, 200), Kind.PARTIAL),
    ],
)
@pytest.mark.parametrize("grow", [1.0, 2.0])
def test_cropped(box: tuple[int, int, int, int], kind: Kind, grow: float) -> None:
    left, top, right, bottom = box
    matrix = np.diag([grow, grow, 1]) @ shift(-left, -top)
    size = round((right - left) * grow), round((bottom - top) * grow)
    found = place(matrix, size)
    kept = (right - left) * (bottom - top) / 480_000
    wanted = {"crop": pytest.approx(1 - kept, abs=1e-3)} | ({} if grow == 1 else {"scale": grow})
    assert found.edits == wanted
    assert found.kind is kind
    assert found.evidence.match_coverage == pytest.approx(kept, abs=1e-3)
    assert found.evidence.query_coverage == 1
    assert (
        overlap(outline_of(found.evidence.match_area), laid(right - left, bottom - top, at=(left, top)))
        > 0.999
    )
    assert_through(found, matrix)


def test_a_sliver_missing_is_not_named() -> None:
    assert place(shift(-8, 0), (792, 600)).edits == {}


def test_framed_in_one_tone() -> None:
    found = place(shift(80, 60), (960, 720), around=30)
    share = 1 - 480_000 / (960 * 720)
    assert found.edits == {"border": pytest.approx(share, abs=1e-3)}
    assert found.kind is Kind.COPY
    assert found.evidence.query_coverage == pytest.approx(1 - share, abs=1e-3)
    assert overlap(outline_of(found.evidence.query_area), laid(800, 600, at=(80, 60))) > 0.999


def test_a_written_bar_is_a_border() -> None:
    luma = np.full((360, 400), 255, np.uint8)
    luma[10:50:2, 60:340] = np.where(np.random.default_rng(0).random((20, 280)) < 0.6, 0, 255)
    found = place(shift(0, 120), (800, 720), around=luma)
    assert found.edits == {"border": pytest.approx(120 / 720, abs=1e-3)}
    assert found.kind is Kind.COPY


def test_set_among_other_things() -> None:
    matrix = np.diag([0.5, 0.5, 1])
    matrix[:2, 2] = 350, 200
    found = place(matrix, (1000, 800), around=scene(400, 500, 3))
    assert found.edits == {"embedded": pytest.approx(120_000 / 800_000, abs=1e-3), "scale": 0.5}
    assert found.kind is Kind.PARTIAL
    assert found.evidence.query_coverage == pytest.approx(0.15, abs=1e-3)
    assert found.evidence.match_coverage == pytest.approx(1, abs=1e-3)
    wanted = laid(400, 300, at=(350, 200))
    assert overlap(outline_of(found.evidence.query_area), wanted) > 0.999
    assert_through(found, matrix)


def test_most_of_a_larger_picture_is_a_copy() -> None:
    found = place(shift(50, 30), (900, 660), around=scene(330, 450, 3))
    assert set(found.edits) == {"embedded"}
    assert found.kind is Kind.COPY


@pytest.mark.parametrize(("across", "down"), [(1.3, 1.0), (1.0, 1.3), (0.6, 0.8)])
def test_squeezed(across: float, down: float) -> None:
    matrix = np.diag([across, down, 1.0])
    found = place(matrix, (round(800 * across), round(600 * down)))
    assert found.edits == {
        "aspect": pytest.approx(across / down, abs=2e-3),
        "scale": pytest.approx(math.sqrt(across * down), abs=2e-3),
    }
    assert found.kind is Kind.COPY
    assert_through(found, matrix)


def test_squeezed_after_a_quarter_turn() -> None:
    quarter = np.array([[0.0, -1, 600], [1, 0, 0], [0, 0, 1]])
    found = place(np.diag([1, 1.25, 1]) @ quarter, (600, 1000))
    assert found.edits["rotate"] == 90
    # Width over height of the query, over that of the match when turned likewise.
    assert found.edits["aspect"] == pytest.approx(1.25, abs=0.01) or found.edits["aspect"] == pytest.approx(
        0.8, abs=0.01
    )


def test_in_perspective() -> None:
    target = np.array([[60, 0], [760, 120], [720, 500], [0, 600.0]])
    matrix = homography(corners(*MATCH), target)
    found = place(matrix, around=0)
    assert "perspective" in found.edits
    assert "aspect" not in found.edits
    assert "crop" not in found.edits
    assert found.kind is Kind.COPY
    assert_through(found, matrix)
    assert overlap(outline_of(found.evidence.query_area), target) > 0.99


def test_several_things_at_once() -> None:
    # Mirrored, turned by 10 degrees, the middle cut out, and made half as large.
    matrix = np.diag([0.5, 0.5, 1]) @ shift(-200, -150) @ turn(10) @ mirror(800)
    found = place(matrix, (200, 150), mirrored=True)
    assert set(found.edits) == {"mirror", "rotate", "crop", "scale"}
    assert found.edits["rotate"] == pytest.approx(10, abs=0.1)
    assert found.edits["crop"] == pytest.approx(0.75, abs=0.01)
    assert found.edits["scale"] == 0.5
    assert_through(found, matrix)


# A region of the query, a part of the match


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_region_is_placed_in_the_whole_query(mirrored: bool) -> None:
    # The lower right of a query of 1000 × 800 shows the match at half its size.
    region = (0.5, 0.375, 1.0, 1.0)
    inner = shift(60, 100) @ np.diag([0.5, 0.5, 1])
    if mirrored:
        inner = inner @ mirror(800)
    found = place(inner, (1000, 800), region=region, mirrored=mirrored, around=scene(250, 250, 1))
    whole = shift(500, 300) @ inner
    assert_through(found, whole)
    wanted = mapped(whole, corners(*MATCH))
    assert overlap(outline_of(found.evidence.query_area), wanted) > 0.999
    assert found.evidence.query_coverage == pytest.approx(120_000 / 800_000, abs=1e-3)
    # What is embedded is embedded in what was searched.
    assert found.edits["embedded"] == pytest.approx(120_000 / 250_000, abs=1e-3)
    assert ("mirror" in found.edits) is mirrored


def test_what_reaches_beyond_the_query_is_cut_there() -> None:
    found = place(shift(-200, 300))
    assert overlap(outline_of(found.evidence.query_area), laid(600, 300, at=(0, 300))) > 0.999
    assert overlap(outline_of(found.evidence.match_area), laid(600, 300, at=(200, 0))) > 0.999
    assert found.evidence.match_coverage == pytest.approx(0.375, abs=1e-3)
    for polygon, size in ((found.evidence.query_area, MATCH), (found.evidence.match_area, MATCH)):
        ends = outline_of(polygon)
        assert ends.min() >= 0
        assert (ends <= np.array(size) + 0.01).all()


def test_a_part_in_common_is_partial_and_its_area_is_that_part() -> None:
    # The left half of both, in frame pixels of the match.
    found = place(np.eye(3), part=(0.0, 0.0, 256.0, 384.0), around=scene(300, 400, 1))
    assert found.kind is Kind.PARTIAL
    for polygon in (found.evidence.query_area, found.evidence.match_area):
        assert overlap(outline_of(polygon), corners(400, 600)) > 0.99
    assert found.evidence.match_coverage == found.evidence.query_coverage == pytest.approx(0.5, abs=0.01)
    assert_through(found, np.eye(3))


@settings(max_examples=40, deadline=None)
@given(
    degrees=st.floats(-180, 180),
    across=st.floats(-500, 500),
    down=st.floats(-400, 400),
    grow=st.floats(0.4, 2.5),
)
def test_areas_are_those_of_the_pixels(degrees: float, across: float, down: float, grow: float) -> None:
    matrix = shift(across, down) @ turn(degrees) @ np.diag([grow, grow, 1])
    y, x = np.mgrid[2:600:4, 2:800:4]
    back = mapped(np.asarray(np.linalg.inv(matrix)), np.stack([x.ravel(), y.ravel()], axis=1).astype(float))
    seen = ((back >= 0) & (back <= MATCH)).all(axis=1).mean()
    if seen < 0.02:
        return
    evidence = place(matrix).evidence
    assert evidence.query_coverage == pytest.approx(seen, abs=0.01)
    assert evidence.match_coverage == pytest.approx(min(1.0, seen / grow**2), abs=0.01 / min(1, grow**2))
    assert area(outline_of(evidence.query_area)) / 480_000 == pytest.approx(seen, abs=0.01)


@pytest.mark.parametrize(
    ("polygon", "wanted"),
    [
        ([[0, 0], [4, 0], [4, 3], [0, 3]], 12.0),
        ([[0, 3], [4, 3], [4, 0], [0, 0]], 12.0),
        ([[1, 1], [5, 1], [1, 4]], 6.0),
        ([[0, 0], [9, 9]], 0.0),
        ([], 0.0),
    ],
)
def test_area(polygon: list[list[float]], wanted: float) -> None:
    assert area(np.array(polygon, np.float64).reshape(-1, 2)) == wanted


# Two kinds of evidence for one thing


def test_evidence_that_puts_it_in_the_same_place_agrees() -> None:
    exact = place(np.eye(3)).evidence
    assert agrees(exact, place(shift(10, -8)).evidence, MATCH, image())
    assert not agrees(exact, place(shift(60, 0)).evidence, MATCH, image())
    assert not agrees(exact, place(turn(8)).evidence, MATCH, image())
    assert not agrees(exact, place(mirror(800), mirrored=True).evidence, MATCH, image())
    assert not agrees(Evidence("fingerprint"), exact, MATCH, image())
    assert not agrees(exact, Evidence("keypoints"), MATCH, image())


def test_exact_evidence_keeps_its_place_and_gains_points() -> None:
    exact = Evidence("fingerprint", distance=3, transform=((1, 0, 0), (0, 1, 0), (0, 0, 1)), query_coverage=1)
    rough = place(shift(5, 5)).evidence
    both = with_points(exact, rough)
    assert (both.method, both.distance, both.inliers) == ("keypoints", 3, COUNT)
    assert (both.transform, both.query_coverage) == (exact.transform, 1)
    assert both.points == rough.points


# Real pictures


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[wherefrom.Collection]:
    root = tmp_path_factory.mktemp("placing")
    folder_of(root / "pictures", 6)
    with wherefrom.open(root / "collection", create=True) as opened:
        opened.add(root / "pictures")
        yield opened


def others() -> list[Pillow.Image]:
    return [picture(number) for number in (40, 41, 42)]


@pytest.mark.parametrize(
    ("name", "kinds", "named", "reach"),
    [
        ("crop 30 %", {Kind.COPY, Kind.PARTIAL}, {"crop"}, 0.9),
        ("crop 70 %", {Kind.COPY}, {"crop"}, 0.9),
        ("rotate 15", {Kind.COPY}, {"rotate"}, 0.9),
        ("rotate 10, cropped", {Kind.COPY}, {"rotate", "crop"}, 0.9),
        ("aspect 1.3", {Kind.COPY}, {"aspect"}, 0.9),
        ("aspect 0.77", {Kind.COPY}, {"aspect"}, 0.9),
        ("screenshot 40 %", {Kind.PARTIAL}, {"embedded"}, 0.9),
        ("collage 25 %", {Kind.PARTIAL}, {"embedded"}, 0.9),
        ("picture in picture 15 %", {Kind.PARTIAL}, {"embedded"}, 0.9),
        ("caption above", {Kind.COPY}, {"border"}, 0.9),
        ("caption below", {Kind.COPY}, {"border"}, 0.9),
        ("mirror", {Kind.COPY}, {"mirror"}, 0.9),
        ("mirror, turn 90", {Kind.COPY}, {"mirror", "rotate"}, 0.9),
    ],
)
@pytest.mark.parametrize("seed", [1, 4])
def test_edited_pictures_are_placed(
    collection: wherefrom.Collection, name: str, kinds: set[Kind], named: set[str], reach: float, seed: int
) -> None:
    assert_placed(collection, name, kinds, named, reach, seed)


@pytest.mark.parametrize("seed", [0, 3, 4, 5])
def test_pictures_in_perspective_are_placed(collection: wherefrom.Collection, seed: int) -> None:
    assert_placed(collection, "perspective 15 %", {Kind.COPY}, {"perspective"}, 0.97, seed)


def assert_placed(
    collection: wherefrom.Collection, name: str, kinds: set[Kind], named: set[str], reach: float, seed: int
) -> None:
    source = picture(seed)
    done = edited(name, source, seed, others())
    assert done.transform is not None
    answer = collection.search(encoded(done.image, "PNG"))
    assert len(answer) == 1
    match = answer[0]
    assert match.sightings[0].uri.endswith(f"picture%20{seed:03}.jpg")
    assert match.kind in kinds
    found = {edit.name for edit in match.evidence.edits}
    assert named <= found
    assert not found & {"mirror", "negative", "rotate", "aspect", "perspective"} - named
    truth = carried(done.transform, corners(*source.size))
    import cv2

    ground = corners(*done.image.size)
    _, clipped = cv2.intersectConvexConvex(truth.astype(np.float32), ground.astype(np.float32))
    assert overlap(outline_of(match.evidence.query_area), clipped.reshape(-1, 2).astype(np.float64)) > reach
    back = np.asarray(np.linalg.inv(done.transform), np.float64)
    seen = carried(back, clipped.reshape(-1, 2).astype(np.float64))
    assert overlap(outline_of(match.evidence.match_area), seen) > reach
    assert match.evidence.transform is not None
    given_ = carried(np.array(match.evidence.transform), seen)
    assert np.abs(given_ - carried(done.transform, seen)).max() < 0.03 * max(done.image.size)


def test_a_region_of_a_collage_is_placed_in_the_whole(collection: wherefrom.Collection) -> None:
    canvas = Pillow.new("RGB", (800, 600))
    for number, (left, top) in enumerate(((0, 0), (400, 0), (0, 300))):
        canvas.paste(picture(50 + number), (left, top))
    canvas.paste(picture(3), (400, 300))
    (match,) = collection.search(encoded(canvas, "PNG"), region=(380, 280, 800, 600))
    assert match.sightings[0].uri.endswith("picture%20003.jpg")
    assert overlap(outline_of(match.evidence.query_area), laid(400, 300, at=(400, 300))) > 0.95
    assert match.evidence.query_coverage == pytest.approx(0.25, abs=0.02)
    elsewhere = collection.search(encoded(canvas, "PNG"), region=(0, 0, 380, 280))
    assert len(elsewhere) == 0
