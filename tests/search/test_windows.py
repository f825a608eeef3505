"""Windows: the same frame around another picture, told from something laid over one picture."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from tests.scenes import picture
from wherefrom.picture.picture import Pixels
from wherefrom.search.agreement import agreement
from wherefrom.search.alignment import align
from wherefrom.search.changes import changes
from wherefrom.search.windows import Window, window

SIZE = (480, 360)
PANE = (120, 80, 340, 260)


def scene(number: int, size: tuple[int, int] = SIZE) -> PIL.Image.Image:
    return picture(number).resize(size)


def around(frame: int, shown: int) -> Pixels:
    """One picture with another in a white pane within it."""
    image = scene(frame)
    left, top, right, bottom = PANE
    image.paste((255, 255, 255), (left - 6, top - 6, right + 6, bottom + 6))
    image.paste(scene(shown, (right - left, bottom - top)), (left, top))
    return np.asarray(image)


def seen(query: Pixels, match: Pixels) -> Window:
    aligned = align(query, match, np.eye(3))
    assert aligned is not None
    return window(aligned, agreement(aligned).other)


@pytest.mark.parametrize("shown", [41, 44, 47])
def test_one_frame_around_two_pictures_is_a_window(shown: int) -> None:
    found = seen(around(40, shown), around(40, shown + 1))
    pane = (PANE[2] - PANE[0]) * (PANE[3] - PANE[1]) / (SIZE[0] * SIZE[1])
    assert 0.3 * pane < found.share < 1.5 * pane
    assert (found.edges > 0.97).sum() >= 2
    measured = changes(around(40, shown), around(40, shown + 1), np.eye(3))
    assert measured is not None
    assert measured.framed == (found.edges >= 0.97).sum()
    assert measured.differing == pytest.approx(found.share, abs=1e-4)


@pytest.mark.parametrize("shown", [41, 44, 47])
def test_what_was_laid_over_one_picture_is_none(shown: int) -> None:
    plain = np.asarray(scene(40))
    laid = scene(40)
    laid.paste(scene(shown, (220, 180)), (120, 80))
    found = seen(np.asarray(laid), plain)
    assert found.share > 0.05
    assert (found.edges > 0.97).sum() < 2


def test_pictures_that_agree_have_none() -> None:
    found = seen(np.asarray(scene(40)), np.asarray(scene(40)))
    assert found.share == 0.0
    assert not found.edges.any()
