"""What the pixels refute and confirm: the rules by themselves, on what was measured of two pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wherefrom.search.agreement import Shared, Shifts
from wherefrom.search.answer import Edit, Evidence, Transform
from wherefrom.search.changes import Changes
from wherefrom.search.verdict import confirms, refutes

WHOLE = ((0.0, 0.0), (500.0, 0.0), (500.0, 375.0), (0.0, 375.0))

SQUARE: Transform = ((0.8, 0.0, 40.0), (0.0, 0.8, 60.0), (0.0, 0.0, 1.0))
MIRRORED: Transform = ((-0.8, 0.0, 440.0), (0.0, 0.8, 60.0), (0.0, 0.0, 1.0))
SQUEEZED: Transform = ((0.7, 0.0, 40.0), (0.0, 0.8, 60.0), (0.0, 0.0, 1.0))
TURNED: Transform = ((0.79, -0.1, 40.0), (0.1, 0.79, 60.0), (0.0, 0.0, 1.0))
SLANTED: Transform = ((0.8, 0.0, 40.0), (0.0, 0.8, 60.0), (0.0002, 0.0, 1.0))


def evidence(transform: Transform | None, inliers: int, coverage: float = 1.0) -> Evidence:
    return Evidence(
        "keypoints", inliers=inliers, transform=transform, match_area=WHOLE, match_coverage=coverage
    )


def seen(differing: float, framed: int = 0, agreement: float = 0.85, agreeing: float = 0.7) -> Changes:
    return Changes((), agreement, agreeing, 0.9, differing, framed)


@pytest.mark.parametrize("transform", [SQUARE, MIRRORED, None])
def test_a_piece_that_differs_between_few_keypoints_refutes_what_lies_square(
    transform: Transform | None,
) -> None:
    assert refutes(seen(0.18), evidence(transform, 27))
    assert not refutes(seen(0.18), evidence(transform, 60))
    assert not refutes(seen(0.12), evidence(transform, 27))


@pytest.mark.parametrize("transform", [SQUEEZED, TURNED, SLANTED])
def test_what_was_photographed_at_a_slant_may_differ_in_a_larger_piece(transform: Transform) -> None:
    assert not refutes(seen(0.18), evidence(transform, 27))
    assert refutes(seen(0.3), evidence(transform, 27))


@pytest.mark.parametrize("transform", [SQUARE, TURNED])
def test_a_window_with_the_same_edges_refutes_however_it_lies(transform: Transform) -> None:
    assert refutes(seen(0.18, framed=2), evidence(transform, 200))
    assert not refutes(seen(0.18, framed=1), evidence(transform, 200))


def test_a_part_beside_something_else_is_refuted() -> None:
    assert refutes(seen(0.18), evidence(TURNED, 200, coverage=0.5))


@pytest.mark.parametrize(
    "poor",
    [
        {"agreement": 0.89},
        {"differing": 0.21},
        {"framed": 2},
        {"shared": Shared(90, 0.9, 0.9, 0.05)},
        {"covered": 0.35},
    ],
)
def test_a_piece_in_most_of_a_picture_is_what_was_laid_over_it(poor: dict[str, Any]) -> None:
    """A crop that was written on: much agrees around it, and no window is there."""
    written = replace(seen(0.18, agreement=0.92), shared=Shared(90, 0.97, 0.8, 0.15))
    assert not refutes(written, evidence(TURNED, 60, coverage=0.7))
    assert refutes(written, evidence(TURNED, 30, coverage=0.7))
    assert refutes(written, evidence(TURNED, 60, coverage=0.5))
    assert refutes(replace(written, **poor), evidence(TURNED, 60, coverage=0.7))


@pytest.mark.parametrize(
    ("agreement", "inliers", "refuted"),
    [(0.96, 60, False), (0.93, 60, True), (0.96, 30, True)],
)
def test_what_is_laid_over_a_part_needs_pixels_that_agree_around_it(
    agreement: float, inliers: int, refuted: bool
) -> None:
    text = Changes((), agreement, 0.7, 0.9, 0.05, covered=0.22)
    assert refutes(text, evidence(SQUARE, inliers, coverage=0.5)) is refuted


def test_what_covers_a_third_needs_keypoints_beside_it() -> None:
    covered = Changes((), 0.95, 0.7, 0.9, 0.05, covered=0.35)
    assert refutes(covered, evidence(SQUARE, 25))
    assert not refutes(covered, evidence(SQUARE, 35))
    assert not refutes(replace(covered, covered=0.2), evidence(SQUARE, 25))
    # A small picture on a wall, whose few keypoints leave it a little askew, differs by a little all over.
    askew = replace(covered, shared=Shared(350, 0.88, 0.7, 0.2))
    assert not refutes(askew, evidence(SQUARE, 18))
    assert refutes(askew, evidence(SQUARE, 18, coverage=0.5))
    assert refutes(replace(askew, shared=Shared(350, 0.6, 0.5, 0.4)), evidence(SQUARE, 18))
    assert refutes(replace(askew, shared=Shared(40, 0.88, 0.7, 0.2)), evidence(SQUARE, 18))


def test_what_hardly_agrees_needs_very_many_keypoints() -> None:
    poor = seen(0.0, agreement=0.5, agreeing=0.4)
    assert refutes(poor, evidence(TURNED, 20))
    assert not refutes(poor, evidence(TURNED, 50))


CUT_OUT = Shared(60, 0.97, 0.95, 0.02)


@pytest.mark.parametrize(
    "poor", [{"blocks": 40}, {"correlation": 0.9}, {"agreeing": 0.85}, {"differing": 0.1}]
)
def test_what_agrees_wherever_both_show_anything_is_one_picture(poor: dict[str, Any]) -> None:
    """What a subject was cut out of differs, and is white."""
    different = replace(seen(0.3, agreement=0.3, agreeing=0.4), shared=CUT_OUT)
    assert not refutes(different, evidence(SQUARE, 30))
    assert confirms(different, evidence(SQUARE, 30))
    for other, said in (
        (replace(different, shared=replace(CUT_OUT, **poor)), evidence(SQUARE, 30)),
        (different, evidence(SQUARE, 15)),
        (different, evidence(SQUARE, 30, coverage=0.5)),
    ):
        assert refutes(other, said)
        assert not confirms(other, said)


@pytest.mark.parametrize(
    "poor",
    [
        {"agreement": 0.9},
        {"agreeing": 0.7},
        {"differing": 0.1},
        {"textured": 0.02},
        {"shared": Shared(20, 0.9, 0.8, 0.1)},
        {"shared": Shared(90, 0.9, 0.6, 0.1)},
    ],
)
def test_a_hint_is_confirmed_by_pixels_that_agree_everywhere(poor: dict[str, Any]) -> None:
    whole = Changes((), 0.95, 0.9, 0.5, 0.02, 0, Shared(90, 0.9, 0.8, 0.15))
    assert confirms(whole, evidence(SQUARE, 9))
    assert not confirms(replace(whole, **poor), evidence(SQUARE, 9))


@pytest.mark.parametrize("shifts", [Shifts(50, 0.6, 1.0), Shifts(90, 0.4, 1.0), Shifts(90, 0.6, 0.7)])
def test_another_view_of_a_scene_is_no_copy_however_well_it_agrees(shifts: Shifts) -> None:
    near = Changes((), 0.97, 0.99, 0.95, 0.0, 0, Shared(300, 0.97, 1.0, 0.0), Shifts(90, 0.6, 1.0))
    assert refutes(near, evidence(TURNED, 90))
    assert not confirms(near, evidence(TURNED, 90))
    copy = replace(near, shifts=shifts)
    assert not refutes(copy, evidence(TURNED, 90))
    assert confirms(copy, evidence(TURNED, 90))
    blurred = replace(near, edits=(Edit("blur", 4.0),))
    assert not refutes(blurred, evidence(TURNED, 90))
    assert refutes(replace(blurred, shifts=Shifts(90, 0.7, 1.2)), evidence(TURNED, 90))
