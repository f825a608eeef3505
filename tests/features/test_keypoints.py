"""Keypoints: spread over the picture, the same every time, and kept in 15 bytes each."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.scenes import Grey, picture, scene
from wherefrom.features import keypoints as kp
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS, VERSIONS, Recipe
from wherefrom.features.keypoints import (
    ASKED,
    BYTES,
    KEPT,
    LEAST,
    Keypoints,
    columns,
    keypoints,
    prepare,
    query_keypoints,
)
from wherefrom.features.registry import blanks, versions_of
from wherefrom.picture.picture import Picture


def of(grey: Grey, count: int = KEPT) -> Keypoints:
    return keypoints(Picture.from_array(grey), count)


def equal(one: Keypoints, other: Keypoints) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))


def first(found: Keypoints, count: int) -> Keypoints:
    return found.take(np.arange(count))


def drawn(count: int, seed: int) -> Keypoints:
    random = np.random.default_rng(seed)
    return Keypoints(
        random.random(count, np.float32),
        random.random(count, np.float32),
        random.integers(256, size=count, dtype=np.uint8),
        random.integers(256, size=count, dtype=np.uint8),
        random.integers(1 << 16, size=(count, 1), dtype=np.uint16),
        random.integers(1 << 64, size=count, dtype=np.uint64),
    )


# Bytes

SHARE = st.floats(0, 1, width=32)
POINT = st.tuples(
    SHARE,
    SHARE,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**64 - 1),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(POINT, max_size=12))
def test_bytes_and_back(points: list[tuple[float, float, int, int, int, int]]) -> None:
    whole = [[point[place] for point in points] for place in range(6)]
    kept = Keypoints(
        np.array(whole[0], np.float32),
        np.array(whole[1], np.float32),
        np.array(whole[2], np.uint8),
        np.array(whole[3], np.uint8),
        np.array(whole[4], np.uint16).reshape(-1, 1),
        np.array(whole[5], np.uint64),
    )
    data = kept.to_bytes()
    assert len(data) == BYTES * len(points)
    again = Keypoints.from_bytes(data)
    assert len(again) == len(points)
    for name in ("angles", "scales", "words", "signatures"):
        assert getattr(again, name).tolist() == getattr(kept, name).tolist()
        assert getattr(again, name).dtype == getattr(kept, name).dtype
    for ours, theirs in ((again.x, kept.x), (again.y, kept.y)):
        assert ours.dtype == np.float32
        assert (np.abs(ours - theirs) <= 0.5 / 4096 + 1e-6).all()
    assert again.to_bytes() == data


@given(st.integers(0, 4095), st.integers(0, 4095))
def test_every_place_has_bytes_of_its_own(across: int, down: int) -> None:
    one = drawn(1, 0)
    placed = Keypoints(
        np.array([(across + 0.5) / 4096], np.float32),
        np.array([(down + 0.5) / 4096], np.float32),
        *(getattr(one, name) for name in ("angles", "scales", "words", "signatures")),
    )
    data = placed.to_bytes()
    assert int.from_bytes(data[:3], "little") == across | down << 12
    again = Keypoints.from_bytes(data)
    assert (again.x[0] * 4096, again.y[0] * 4096) == (across + 0.5, down + 0.5)


def test_words_beyond_the_first_are_not_kept() -> None:
    asked = query_keypoints(Picture.from_array(scene()))[0].keypoints
    assert asked.words.shape[1] == 2
    assert Keypoints.from_bytes(asked.to_bytes()).words.tolist() == asked.words[:, :1].tolist()


@pytest.mark.parametrize("length", [1, 14, 16, 29, 31, 3001])
def test_bytes_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"{length} bytes"):
        Keypoints.from_bytes(bytes(length))


@settings(max_examples=30, deadline=None)
@given(images=st.integers(1, 5), count=st.integers(1, 9), seed=st.integers(0, 99))
def test_columns_of_several_images_are_those_of_each(images: int, count: int, seed: int) -> None:
    each = [drawn(count, 1000 * seed + number) for number in range(images)]
    angles, scales, words, signatures = columns(b"".join(one.to_bytes() for one in each), count)
    assert [a.shape for a in (angles, scales, words, signatures)] == [(images, count)] * 4
    assert [a.dtype for a in (angles, scales, words, signatures)] == [
        np.uint8,
        np.uint8,
        np.uint16,
        np.uint64,
    ]
    for row, one in enumerate(each):
        again = Keypoints.from_bytes(one.to_bytes())
        assert angles[row].tolist() == again.angles.tolist() == one.angles.tolist()
        assert scales[row].tolist() == again.scales.tolist() == one.scales.tolist()
        assert words[row].tolist() == again.words[:, 0].tolist() == one.words[:, 0].tolist()
        assert signatures[row].tolist() == again.signatures.tolist() == one.signatures.tolist()


def test_some_of_them() -> None:
    found = drawn(9, 1)
    some = found.take(np.array([7, 2]))
    assert len(some) == 2
    for one in fields(found):
        assert np.array_equal(getattr(some, one.name), getattr(found, one.name)[[7, 2]])


# How many and where


@pytest.mark.parametrize("count", [1, 35, 36, 37, 100, 200])
def test_no_more_than_asked_for_and_the_best_first(count: int) -> None:
    everything = of(scene(), 10_000)
    assert len(everything) > 200
    found = of(scene(), count)
    assert len(found) == count
    assert equal(found, first(everything, count))


def test_more_are_asked_than_kept() -> None:
    rich = Picture.from_array(scene(600, 800))
    assert len(keypoints(rich)) == KEPT
    asked = query_keypoints(rich)[0].keypoints
    assert len(asked) >= ASKED > KEPT
    assert len(asked) < 2 * ASKED
    assert len(query_keypoints(rich, 50)[0].keypoints) < 100


def parts(found: Keypoints) -> NDArray[np.intp]:
    """How many lie in each of 6 × 6 parts."""
    number = (found.y * 6).astype(np.intp) * 6 + (found.x * 6).astype(np.intp)
    return np.bincount(number, minlength=36)


def test_rich_texture_in_one_quarter_leaves_points_to_the_others() -> None:
    grey = (scene(300, 400, 1) * 0.15 + 100).astype(np.uint8)
    grey[:150, :200] = scene(150, 200, 2)
    everything = of(grey, 100_000)
    left = parts(everything).reshape(6, 6)
    assert left[:3, :3].sum() > 90
    found = parts(of(grey, 90))
    # In turn: each part gives its share, or all that it has.
    # (A point right between two parts is counted in one and was taken for the other.)
    assert (found >= np.minimum(left.ravel() - 1, 2)).all()
    assert found.reshape(6, 6)[:3, :3].sum() < 60
    assert found.reshape(6, 6)[3:].sum() > 20


def test_the_strongest_of_each_part_come_first() -> None:
    # One strong spot among faint ones in every part: of a point for each part, all are the strong ones.
    y, x = np.mgrid[:360, :360]
    grey = np.full((360, 360), 90.0)
    for row in range(6):
        for column in range(6):
            for across, down, tone in ((30, 30, 100), (14, 46, 30), (46, 14, 30)):
                apart = (x - 60 * column - across) ** 2 + (y - 60 * row - down) ** 2
                grey += tone * np.exp(-apart / (2 * 3.0**2))
    found = of(grey.astype(np.uint8), 36)
    assert parts(found).tolist() == [1] * 36
    assert np.abs(found.x * 6 % 1 - 0.5).max() < 0.02
    assert np.abs(found.y * 6 % 1 - 0.5).max() < 0.02


def spots(height: int, width: int, places: list[tuple[float, float]], sigma: float) -> Grey:
    y, x = np.mgrid[:height, :width] + 0.5
    grey = np.full((height, width), 60.0)
    for across, down in places:
        grey += 120 * np.exp(-((x - across) ** 2 + (y - down) ** 2) / (2 * sigma**2))
    return np.asarray(grey.astype(np.uint8))


@pytest.mark.parametrize("grow", [1, 2, 4])
def test_places_are_shares_and_scales_are_of_the_frame(grow: int) -> None:
    grey = spots(300 * grow, 400 * grow, [(100.0 * grow, 210.0 * grow)], 7.0 * grow)
    for found in (of(grey), query_keypoints(Picture.from_array(grey))[0].keypoints):
        best = int(np.hypot(found.x - 0.25, found.y - 0.7).argmin())
        assert abs(found.x[best] - 0.25) < 0.001
        assert abs(found.y[best] - 0.7) < 0.0015
        # In the frame the spot has 7 · 512 / 400 pixels, and its blur is smaller by 2 ** (1 / 6).
        wanted = 16 * np.log2(7 * 512 / 400 / 2 ** (1 / 6))
        assert abs(int(found.scales[best]) - wanted) <= 1.5


@pytest.mark.parametrize("turn", [0, 30, 64, 100, 128, 192, 250])
def test_angles_are_256ths_of_a_turn_clockwise_as_seen(turn: int) -> None:
    # A spot on a slope that grows lighter that way.
    y, x = np.mgrid[:257, :257] - 128.0
    angle = turn * np.pi / 128
    slope = 0.65 * (np.cos(angle) * x + np.sin(angle) * y)
    grey = (120 + slope + 14 * np.exp(-(x**2 + y**2) / (2 * 7.0**2))).clip(0, 255).astype(np.uint8)
    found = [of(grey), *(variant.keypoints for variant in query_keypoints(Picture.from_array(grey)))]
    for one, wanted in zip(found, (turn, turn, 128 - turn, 128 + turn), strict=True):
        best = int(np.hypot(one.x - 0.5, one.y - 0.5).argmin())
        assert np.hypot(one.x[best] - 0.5, one.y[best] - 0.5) < 0.01
        assert abs((int(one.angles[best]) - wanted + 128) % 256 - 128) <= 5


# What pictures give


def test_the_same_picture_gives_the_same_bytes() -> None:
    one = Picture.from_array(scene(seed=4))
    assert keypoints(one).to_bytes() == keypoints(one).to_bytes()
    assert keypoints(one).to_bytes() == keypoints(Picture.from_array(scene(seed=4).copy())).to_bytes()
    assert keypoints(one).to_bytes() != keypoints(Picture.from_array(scene(seed=5))).to_bytes()
    again = [variant.keypoints for variant in query_keypoints(one)]
    for variant, other in zip(query_keypoints(one), again, strict=True):
        assert equal(variant.keypoints, other)


def test_colour_is_seen_by_its_luma() -> None:
    colour = Picture.from_array(np.asarray(picture(3)))
    grey = Picture.from_array(colour.luma8)
    assert colour.pixels.ndim == 3
    assert equal(keypoints(colour), keypoints(grey))
    equal_channels = Picture.from_array(np.dstack([scene(seed=6)] * 3))
    found, wanted = keypoints(equal_channels), of(scene(seed=6))
    assert len(found) == len(wanted)
    assert np.median(np.bitwise_count(found.signatures ^ wanted.signatures)) == 0


@pytest.mark.parametrize(
    "grey",
    [
        np.full((200, 300), 255, np.uint8),
        np.zeros((300, 200), np.uint8),
        np.zeros((1, 1), np.uint8),
        np.full((3, 900), 9, np.uint8),
        scene(1, 900),
        scene(900, 3),
        np.tile(np.linspace(0, 255, 300).astype(np.uint8), (200, 1)),
    ],
    ids=["white", "black", "a pixel", "a line", "a drawn line", "a drawn column", "a ramp"],
)
def test_blank_pictures_give_none(grey: Grey) -> None:
    found = of(grey)
    assert len(found) == 0
    assert found.words.shape == (0, 1)
    assert found.to_bytes() == b""
    variants = query_keypoints(Picture.from_array(grey))
    assert [len(variant.keypoints) for variant in variants] == [0, 0, 0]
    assert variants[0].keypoints.words.shape == (0, 2)


def test_a_picture_of_texture_has_enough_and_one_spot_too_few() -> None:
    assert len(of(scene(64, 80))) >= LEAST
    assert 1 <= len(of(spots(200, 260, [(100, 90)], 6))) < LEAST


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 2**32 - 1))
def test_any_picture_gives_keypoints_inside_it(height: int, width: int, seed: int) -> None:
    grey = np.random.default_rng(seed).integers(256, size=(height, width), dtype=np.uint8)
    for found in (of(grey), *(v.keypoints for v in query_keypoints(Picture.from_array(grey)))):
        assert ((found.x >= 0) & (found.x <= 1) & (found.y >= 0) & (found.y <= 1)).all()
        assert len({len(getattr(found, one.name)) for one in fields(found)}) == 1


def test_a_longer_side_is_reduced_to_one_size() -> None:
    large = scene(1200, 1600, 2)
    import cv2

    small = np.asarray(cv2.resize(large, (416, 312), interpolation=cv2.INTER_AREA), np.uint8)
    assert equal(of(large), of(small))


# A query's variants


def agreement(query: Keypoints, kept: Keypoints) -> float:
    """The share of kept keypoints that the query has too: place, angle, scale and signature."""
    near = np.hypot(query.x[:, None] - kept.x, query.y[:, None] - kept.y) < 0.006
    near &= np.bitwise_count(query.signatures[:, None] ^ kept.signatures) <= 12
    turn = (query.angles[:, None].astype(int) - kept.angles + 128) % 256 - 128
    near &= np.abs(turn) <= 12
    near &= np.abs(query.scales[:, None].astype(int) - kept.scales) <= 6
    return float(near.any(axis=0).mean())


@pytest.mark.parametrize(
    ("number", "edit"),
    [(0, lambda grey: grey), (1, lambda grey: grey[:, ::-1]), (2, lambda grey: 255 - grey)],
    ids=["plain", "mirrored", "negative"],
)
def test_the_variant_of_what_was_done_has_the_keypoints_of_the_source(number: int, edit: object) -> None:
    assert callable(edit)
    source = scene(300, 400, 9)
    kept = of(source)
    variants = query_keypoints(Picture.from_array(np.ascontiguousarray(edit(source))))
    assert [(v.mirrored, v.negative) for v in variants] == [(False, False), (True, False), (False, True)]
    shares = [agreement(variant.keypoints, kept) for variant in variants]
    assert shares[number] > 0.6
    others = [share for place, share in enumerate(shares) if place != number]
    assert max(others) < 0.1


def test_words_asked_for_are_nearest_first_and_the_kept_one_is_among_them() -> None:
    source = Picture.from_array(scene(300, 400, 9))
    two, five = (query_keypoints(source, words=n)[0].keypoints.words for n in (2, 5))
    assert two.shape[1] == 2
    assert five.shape[1] == 5
    assert (five[:, :2] == two).all()
    assert all(len(set(row)) == 5 for row in five.tolist())


# With the other features


def test_features_of_a_picture_hold_its_keypoints() -> None:
    source = Picture.from_array(scene())
    found = Recipe().extract(source)
    assert set(found.data) == set(versions_of(None)) > set(VERSIONS) == {FINGERPRINT, KEYPOINTS}
    assert found.data[KEYPOINTS] == keypoints(source).to_bytes()
    assert Recipe(17).extract(source).data[KEYPOINTS] == keypoints(source, 17).to_bytes()
    assert VERSIONS[KEYPOINTS] == kp.VERSION
    assert len(Keypoints.from_bytes(blanks()[KEYPOINTS])) == 0


def test_preparing_is_allowed_at_any_time() -> None:
    prepare()
    prepare()
