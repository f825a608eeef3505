"""Which file to keep: what was made of another comes after it, whatever its pixels and bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wherefrom.keeping import merit
from wherefrom.picture.metadata import Credit
from wherefrom.picture.signs import Signs
from wherefrom.records import FileStamp, Image, Sighting

DAY = 86_400 * 10**9
PLAIN = Signs(quality=90)


def image(
    name: str = "2019/IMG_1.jpg",
    side: int = 1_000,
    size: int = 200_000,
    format: str = "jpeg",
    day: int = 0,
    signs: Signs = PLAIN,
) -> Image:
    place = Sighting(
        f"file:///home/{name}", None, None, None, "2024", "2024", stamp=FileStamp(size, day * DAY)
    )
    return Image("sha256:" + name, side, side, format, size, 1, 100, "2024", Credit(), (place,), signs=signs)


ORDERS = {
    "a camera's raw file": (image("a.dng", 800, format="raw"), image(signs=Signs(camera=True))),
    "a camera's file": (image(signs=Signs(camera=True)), image("x.png", 3_000, 9**9, "png")),
    "a lossless file of lossy origin": (
        image(),
        image("x.png", size=9**9, signs=Signs(lossless=True, grid=0.4)),
    ),
    "what an editor wrote": (image(), image("x.jpg", 2_000, signs=Signs(altered=True, software="editor"))),
    "what an app wrote": (image(), image("x.jpg", 2_000, signs=Signs(software="app"))),
    "a smooth enlargement": (image(), image("x.jpg", 2_000, signs=Signs(sharp=0.01))),
    "what is not whole": (image("a copy.jpg", 500), image(signs=Signs(missing=0.2))),
    "an enlargement by its name": (image(), image("x-gigapixel-2x.png", 4_000, 9**9, "png")),
    "another": (image(), image("upscaled_by_some_site.jpg", 4_000, 9**9)),
    "a third": (image(), image("vergrößert.tif", 4_000, 9**9, "tiff")),
    "what a messenger sent": (image(side=700), image("IMG-20200101-WA0030.jpg", 1_000)),
    "a mirrored file": (image(), image("mirrored for the layout.png", size=9**7, format="png")),
    "a flipped one": (image(), image("flipped.png", size=9**7, format="png")),
    "a copy": (image(), image("2019/IMG_1 copy.jpg", size=900_000)),
    "what was changed on a later day": (image(day=3), image("a.jpg", size=900_000, day=400)),
    "fewer bytes": (image(size=300_000), image("a.jpg", size=200_000)),
    "a name that cannot be shown": (image("2019/a.jpg"), image("\n.jpg")),
}


@pytest.mark.parametrize("name", ORDERS)
def test_what_was_made_comes_after_what_it_was_made_of(name: str) -> None:
    first, second = ORDERS[name]
    assert merit(first) < merit(second)


def test_bytes_go_before_a_name_that_is_odd() -> None:
    """A line break in a name says nothing of the picture."""
    odd = image("holiday\nat sea.png", size=900_000, format="png")
    assert merit(odd) < merit(image("modern.avif", size=90_000, format="avif"))


def test_one_plain_name_is_enough() -> None:
    both = image("upscaled.jpg", 2_000)
    other = image("2019/P1.jpg").sightings
    assert merit(replace(both, sightings=(*both.sightings, *other))) < merit(image())
