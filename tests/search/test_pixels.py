"""What the pixels refute: the rule by itself, on what was measured of two pictures."""

from __future__ import annotations

import pytest

from whence.search.answer import Edit, Evidence, Transform
from whence.search.changes import Changes
from whence.search.pixels import refutes

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
    ("agreement", "inliers", "refuted"),
    [(0.96, 60, False), (0.93, 60, True), (0.96, 30, True)],
)
def test_what_is_laid_over_a_part_needs_pixels_that_agree_around_it(
    agreement: float, inliers: int, refuted: bool
) -> None:
    text = Changes((Edit("overlay", 0.22),), agreement, 0.7, 0.9, 0.05)
    assert refutes(text, evidence(SQUARE, inliers, coverage=0.5)) is refuted


def test_what_hardly_agrees_needs_very_many_keypoints() -> None:
    poor = seen(0.0, agreement=0.5, agreeing=0.4)
    assert refutes(poor, evidence(TURNED, 20))
    assert not refutes(poor, evidence(TURNED, 50))
