"""Pages of a TIFF: the first with something in it, or the first as far as it goes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from wherefrom.errors import (
    Truncated,
)
from wherefrom.picture import lenient, tiff
from wherefrom.picture.colour import to_pixels
from wherefrom.picture.directories import count_pictures, headed, pictures
from wherefrom.picture.formats import Format
from wherefrom.picture.frames import MOST, watch
from wherefrom.picture.limits import HEAVY_PIXELS, Limits, check_pixels
from wherefrom.picture.picture import Facts, Picture, Pixels, upright
from wherefrom.picture.pillow import Stated, decoder, opened, statements

if TYPE_CHECKING:
    pass


def decode_tiff(
    kind: Format,
    data: bytes,
    limits: Limits,
    gate: AbstractContextManager[object],
    *,
    partly: bool = False,
) -> Picture:
    """The first page with something in it that is a picture in its own right.

    If `partly`, the first page as far as it goes.
    """
    pages = pictures(data, MOST)
    if not pages:
        raise Truncated("The TIFF file ends before the picture does.")
    first = tiff.layout_of(pages[0])
    check_pixels(kind, first.width, first.height, limits.pixels)
    if partly:
        return _half_tiff(kind, first, len(pages))
    with gate if first.width * first.height > HEAVY_PIXELS else nullcontext():
        pixels, size = _page(kind, first, limits)
        # Each page is read out of a copy of the file.
        cost = max(first.width * first.height, len(data) // 4)
        count = count_pictures(data) if len(pages) == MOST else len(pages)
        watched = watch(count, pixels, lambda n: _page(kind, tiff.layout_of(pages[n]), limits)[0], cost)
        if watched.shown:
            pixels, size = _page(kind, tiff.layout_of(pages[watched.shown]), limits)
    credit, _ = statements(Stated(headed(pages[0])))
    return Picture(pixels, Facts(kind.name, *size, len(data), count, credit, decoder(), *watched))


def _half_tiff(kind: Format, layout: tiff.Layout, pages: int) -> Picture:
    """A page as far as it goes, with a note; raises Truncated where that is too little."""
    image, there = tiff.read(layout, lenient=True)
    if there < lenient.LEAST * layout.height:
        raise Truncated("The TIFF file ends before the picture does.")
    orientation = layout.page.integer(274, 1)
    size = image.size if orientation < 5 else image.size[::-1]
    missing = max(1 - there / layout.height, lenient.DETAIL)
    credit, _ = statements(Stated(headed(layout.page)))
    facts = Facts(kind.name, *size, len(layout.page.data), pages, credit, decoder())
    facts = replace(facts, missing=missing, notes=(lenient.said(missing),))
    return Picture(upright(to_pixels(image), orientation), facts)


def _page(kind: Format, layout: tiff.Layout, limits: Limits) -> tuple[Pixels, tuple[int, int]]:
    """A page upright, and its width and height, by the decoder that gives its samples right."""
    check_pixels(kind, layout.width, layout.height, limits.pixels)
    if tiff.is_plain(layout):
        with opened("tiff", headed(layout.page)) as image:
            image.load()  # which turns it upright
            return to_pixels(image), image.size
    read, _ = tiff.read(layout)
    orientation = layout.page.integer(274, 1)
    size = read.size if orientation < 5 else read.size[::-1]
    return upright(to_pixels(read), orientation), size
