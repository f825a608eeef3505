"""The fingerprint: the reference's bits, every orientation, bars, and pictures with too little in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pdqhash
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.scenes import Grey, scene
from wherefrom.features import fingerprint as fp
from wherefrom.picture.decode import decode
from wherefrom.picture.picture import Picture


def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    return int(np.bitwise_count(one ^ other).sum())


def reference(grey: Grey) -> tuple[NDArray[np.uint8], int]:
    bits, quality = pdqhash.compute(np.dstack([grey] * 3))
    return np.packbits(bits), int(quality)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(64, 700),
    width=st.integers(64, 700),
    seed=st.integers(0, 2**32 - 1),
    contrast=st.sampled_from([0.2, 0.5, 1.0]),
)
def test_bits_and_quality_are_the_references(height: int, width: int, seed: int, contrast: float) -> None:
    grey = (scene(height, width, seed) * contrast).astype(np.uint8)
    known = fp.fingerprint(Picture.from_array(grey))
    code, quality = reference(grey)
    # Rounding may turn over the bit that lies at the median, and the one beside it.
    assert distance(known.code, code) <= 2
    assert abs(known.quality - quality) <= 1


def test_bits_are_the_references_to_the_last_one_on_a_hundred_pictures() -> None:
    random = np.random.default_rng(7)
    sizes = random.integers(64, 800, (100, 2))
    pictures = [scene(int(h), int(w), i) for i, (h, w) in enumerate(sizes)]
    differing = sum(
        distance(fp.fingerprint(Picture.from_array(p)).code, reference(p)[0]) > 0 for p in pictures
    )
    assert differing == 0


def test_colour_is_weighed_as_the_reference_does() -> None:
    random = np.random.default_rng(3)
    rgb = np.dstack([scene(seed=int(s)) for s in random.integers(0, 99, 3)])
    bits, quality = pdqhash.compute(rgb)
    known = fp.fingerprint(Picture.from_array(rgb))
    assert distance(known.code, np.packbits(bits)) == 0
    assert known.quality == quality


# Hashes that the reference publishes for its own test pictures.
PUBLISHED = {
    "pdq_bridge/aaa-orig": "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22",
    "pdq_bridge/blur-a-little": "f8f8f0cee0f4a84f06370a2a038f63f0b36e26d596621e1d33e6b39c4e9c9b22",
    "pdq_bridge/blur-a-lot": "f8f8f0cee0f4a84f0637022a038f67f0b36e26d596621e1d33e6b39c4e9c9b22",
    "pdq_bridge/high-contrast": "f8f8f0cee0f4a84f06370a2a068f67f0b36e26d596621e1d33e6339c4e9c9b22",
    "pdq_bridge/high-saturation": "f8f8f0cee0f4a84f06370a22038f67f0b36e2ed596221e1d33e6b39c4e9c9b22",
    "pdq_bridge/sharpen-a-little": "f8f8f0cee0f4a84f0e370a22038f67f0b36e2ed596221e1d33e6b39c4a9c9b22",
    "pdq_dihedral/bridge-1-original": "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22",
    "pdq_dihedral/bridge-2-rotate-90": "30a10efd71cc3d429013d48d0ffffc52e34e0e17ada952a9d29685211ea9e5af",
    "pdq_dihedral/bridge-3-rotate-180": "adad5a64b5a142e75b62a09857da895ae63b847fc23794b766b319361bc93188",
}


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_hashes(shared: Path, name: str) -> None:
    data = (shared / "images" / "copies" / f"{name}.jpg").read_bytes()
    wanted = np.frombuffer(bytes.fromhex(PUBLISHED[name]), np.uint8)
    assert distance(fp.fingerprint(decode(data)).code, wanted) == 0
    # Luma as JPEG stores it is rounded once more than luma from its colours.
    assert distance(fp.fingerprint(decode(data, colour=False)).code, wanted) <= 2


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
@pytest.mark.parametrize("negative", [False, True])
def test_every_orientation_is_undone_exactly(mirrored: bool, turned: int, negative: bool) -> None:
    source = scene()
    query = np.rot90(source[:, ::-1] if mirrored else source, -turned // 90)
    query = 255 - query if negative else query
    codes, _ = fp.query_codes(Picture.from_array(np.ascontiguousarray(query)))
    wanted = fp.fingerprint(Picture.from_array(source)).code
    (code,) = [c for c in codes if (c.mirrored, c.turned, c.negative) == (mirrored, turned, negative)]
    assert distance(code.code, wanted) <= 2
    others = [distance(c.code, wanted) for c in codes if c is not code]
    assert min(others) > 60


def test_turned_codes_are_near_those_of_turned_pixels() -> None:
    source = scene()
    code = fp.fingerprint(Picture.from_array(source)).code
    for mirrored, turned, negative, (approximate,) in fp.turned_codes(code[None]):
        codes, _ = fp.query_codes(Picture.from_array(source))
        (exact,) = [c for c in codes if (c.mirrored, c.turned, c.negative) == (mirrored, turned, negative)]
        assert distance(approximate, exact.code) <= 30


@settings(max_examples=40, deadline=None)
@given(
    top=st.integers(0, 80),
    bottom=st.integers(0, 80),
    left=st.integers(0, 80),
    right=st.integers(0, 80),
    tone=st.integers(0, 255),
)
def test_bars_are_found_where_they_are(top: int, bottom: int, left: int, right: int, tone: int) -> None:
    inner = scene(240, 320)
    height, width = 240 + top + bottom, 320 + left + right
    framed = np.full((height, width), tone, np.uint8)
    framed[top : top + 240, left : left + 320] = inner
    boxes = fp.content_boxes(framed)
    thick = [side for side, whole in ((top, height), (bottom, height), (left, width), (right, width)) if side]
    if not thick:
        assert boxes == []
    elif all(side >= 0.03 * max(height, width) for side in thick):
        assert boxes
        assert np.abs(np.subtract(boxes[0], (left, top, left + 320, top + 240))).max() <= 1


def test_what_lies_inside_bars_is_hashed_too() -> None:
    inner = scene()
    framed = np.full((380, 400), 0, np.uint8)
    framed[40:340] = inner
    known = fp.fingerprint(Picture.from_array(framed))
    assert known.trimmed is not None
    assert known.inside is not None
    assert distance(known.trimmed, fp.fingerprint(Picture.from_array(inner)).code) == 0
    assert np.allclose(known.inside, (0, 40 / 380, 1, 340 / 380))


def test_a_photograph_has_no_bars() -> None:
    assert fp.content_boxes(scene()) == []


@pytest.mark.parametrize(
    "grey",
    [
        np.full((200, 300), 255, np.uint8),
        np.zeros((1, 1), np.uint8),
        np.zeros((4, 900), np.uint8),
        np.tile(np.linspace(0, 255, 300).astype(np.uint8), (200, 1)),
        scene()[:15],
    ],
    ids=["blank", "one pixel", "a line", "a ramp", "a strip"],
)
def test_too_little_in_it(grey: Grey) -> None:
    picture = Picture.from_array(grey)
    assert not fp.fingerprint(picture).usable
    assert fp.query_codes(picture)[0] == []


def test_a_page_with_a_few_lines_has_too_little_in_it() -> None:
    page = np.full((800, 600), 255, np.uint8)
    random = np.random.default_rng(0)
    for line in (60, 90, 120):
        page[line : line + 16, 60:500] = np.where(random.random((16, 440)) < 0.4, 0, 255)
    known = fp.fingerprint(Picture.from_array(page))
    assert known.quality >= fp.MIN_QUALITY
    assert not known.usable


def test_a_pale_copy_is_still_searched_for() -> None:
    source = scene()
    pale = (source * 0.12 + 120).astype(np.uint8)
    assert not fp.fingerprint(Picture.from_array(pale)).usable
    codes, _ = fp.query_codes(Picture.from_array(pale))
    wanted = fp.fingerprint(Picture.from_array(source)).code
    assert min(distance(c.code, wanted) for c in codes) <= 46


@settings(max_examples=50, deadline=None)
@given(
    quality=st.integers(0, 100),
    usable=st.booleans(),
    code=st.binary(min_size=32, max_size=32),
    trimmed=st.none() | st.binary(min_size=32, max_size=32),
)
def test_bytes_and_back(quality: int, usable: bool, code: bytes, trimmed: bytes | None) -> None:
    inner = None if trimmed is None else np.frombuffer(trimmed, np.uint8)
    box = None if trimmed is None else (0.0, 0.25, 1.0, 0.75)
    known = fp.Fingerprint(np.frombuffer(code, np.uint8), quality, usable, inner, box)
    again = fp.Fingerprint.from_bytes(known.to_bytes())
    assert (again.quality, again.usable, again.code.tobytes()) == (quality, usable, code)
    assert (again.trimmed is None) == (trimmed is None)
    if again.inside is not None:
        assert np.allclose(again.inside, (0.0, 0.25, 1.0, 0.75), atol=1e-4)


@pytest.mark.parametrize("length", [0, 32, 34, 72, 74])
def test_bytes_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        fp.Fingerprint.from_bytes(bytes(length))


def test_ribbons_do_not_fill_the_memory_with_what_is_kept_of_their_sides() -> None:
    for side in range(20_000, 20_012):
        fp.transform(np.zeros((5, side), np.float32))
    assert fp._long.cache_info().currsize <= 4
    kept = fp._usual.cache_info().maxsize
    assert kept is not None
    assert kept * 16 * 4 * fp._USUAL_SIDE < 80e6
