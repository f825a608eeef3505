"""Answers held to the truth: areas as geometry has them, names as edits have them, what is beyond doubt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from wherefrom.evaluate.edited import Edited, kept, moved
from wherefrom.evaluate.truth import beyond_doubt, held_to_truth, overlap
from wherefrom.picture.metadata import Credit
from wherefrom.records import Image
from wherefrom.search.answer import Edit, Evidence, Kind, Match, Polygon

SHARES = st.floats(0, 0.8)
ROWS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return (left, top), (right, top), (right, bottom), (left, bottom)


def match(evidence: Evidence, width: int = 400, height: int = 300) -> Match:
    image = Image("sha256:" + "0" * 64, width, height, "jpeg", 1, 1, 100, "", Credit())
    return Match(Kind.COPY, 99.0, image, evidence)


@given(SHARES, SHARES, SHARES, SHARES)
def test_the_overlap_of_boxes_is_their_intersection_over_union(
    a: float, b: float, c: float, d: float
) -> None:
    width, height, side = 640, 480, 0.2
    one = box(a * width, b * height, (a + side) * width, (b + side) * height)
    other = box(c * width, d * height, (c + side) * width, (d + side) * height)
    shared = max(0.0, side - abs(a - c)) * max(0.0, side - abs(b - d))
    expected = shared / (2 * side * side - shared)
    found = overlap(one, other, (width, height))
    assert found == pytest.approx(expected, abs=0.03)
    assert overlap(other, one, (width, height)) == found


def test_nothing_overlaps_nothing() -> None:
    assert overlap(box(-9, -9, -5, -5), box(-9, -9, -5, -5), (100, 100)) == 0


def test_areas_are_compared_in_both_pictures() -> None:
    # The right half of a picture of 400 × 300 was cut out.
    done = Edited(Pillow.new("RGB", (200, 300)), moved(-200, 0), frozenset({"crop"}))
    right = Evidence(
        "keypoints", transform=ROWS, query_area=box(0, 0, 200, 300), match_area=box(200, 0, 400, 300)
    )
    held = held_to_truth((400, 300), done, match(right))
    assert held.overlap == pytest.approx(1, abs=0.01)
    assert held.match_overlap == pytest.approx(1, abs=0.01)
    wrong = replace(right, query_area=box(0, 0, 100, 300), match_area=box(0, 0, 200, 300))
    held = held_to_truth((400, 300), done, match(wrong))
    assert held.overlap == pytest.approx(0.5, abs=0.01)
    assert held.match_overlap == pytest.approx(0, abs=0.01)
    covered = held_to_truth((400, 300), done, match(right), covered=True)
    assert (covered.overlap, covered.match_overlap) == (None, None)
    bent = held_to_truth((400, 300), replace(done, transform=None), match(right))
    assert (bent.overlap, bent.match_overlap) == (None, None)


def test_a_change_of_size_counts_only_where_there_was_one() -> None:
    image = Pillow.new("RGB", (400, 300))
    evidence = Evidence("keypoints", edits=(Edit("scale", 1.02), Edit("grey"), Edit("overlay", 0.1)))
    held = held_to_truth((400, 300), kept(image, "grey"), match(evidence))
    assert (held.expected, held.named) == (("grey",), ("grey", "overlay"))
    held = held_to_truth((400, 300), kept(image, "grey", "scale"), match(evidence))
    assert (held.expected, held.named) == (("grey", "scale"), ("grey", "overlay", "scale"))


def test_what_is_beyond_doubt() -> None:
    sure = Evidence("keypoints", inliers=90, query_coverage=0.3, match_coverage=0.99, agreement=0.97)
    assert beyond_doubt(match(Evidence("sha256")))
    assert beyond_doubt(match(sure))
    assert not beyond_doubt(match(replace(sure, agreement=0.8)))  # the pixels do not bear it out
    assert not beyond_doubt(match(replace(sure, match_coverage=0.6)))  # both show more beside it
    unseen = replace(sure, agreement=None)
    assert not beyond_doubt(match(unseen))
    assert beyond_doubt(match(replace(unseen, distance=4)))
    assert not beyond_doubt(match(replace(unseen, distance=30)))
    assert not beyond_doubt(match(Evidence("embedding", similarity=0.99)))
