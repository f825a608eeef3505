"""Palettes: what they find in pictures, how they are kept, and how well they answer colours asked for."""

from __future__ import annotations

import colorsys
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageColor

from wherefrom.errors import UsageError
from wherefrom.features import resemblance as module
from wherefrom.features.colours import MOST_WANTED, NAMES, Wanted, colour_of, names_of, parse_colours
from wherefrom.features.lab import lab, rgb
from wherefrom.features.palette import LEAST_SHARE, MOST, WIDTH, Palette, nothing, palette
from wherefrom.features.resemblance import SIGMA, resemblance, share_of
from wherefrom.features.scalespace import Floats
from wherefrom.picture.picture import Picture

Bytes = NDArray[np.uint8]

triples = st.tuples(*[st.integers(0, 255)] * 3)


def painted(*parts: tuple[str, int], height: int = 40) -> Picture:
    """Vertical stripes of colours, each as wide as told."""
    stripes = [np.full((height, width, 3), colour_of(colour), np.uint8) for colour, width in parts]
    return Picture.from_array(np.concatenate(stripes, axis=1))


def on_ground(ground: str, colour: str, share: float = 0.25, side: int = 100) -> NDArray[np.uint8]:
    pixels = np.full((side, side, 3), colour_of(ground), np.uint8)
    half = round(side * math.sqrt(share) / 2)
    middle = slice(side // 2 - half, side // 2 + half)
    pixels[middle, middle] = colour_of(colour)
    return pixels


def row_of(colours: list[tuple[str, float]], background: tuple[int, ...] = ()) -> Bytes:
    """The bytes of a palette of colours with shares."""
    labs = lab(np.array([colour_of(colour) for colour, _ in colours], np.uint8))
    mask = np.isin(np.arange(len(colours)), background)
    kept = Palette(labs, np.array([share for _, share in colours], np.float32), mask)
    return np.frombuffer(kept.to_bytes(), np.uint8)[None]


def alone(labs: Floats) -> Palette:
    return Palette(labs, np.ones(1, np.float32), np.zeros(1, bool))


def random_rows(seed: int, count: int) -> Bytes:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        size = int(rng.integers(1, MOST + 1))
        shares = rng.dirichlet(np.ones(size)).astype(np.float32)
        mask = rng.random(size) < 0.2
        rows.append(Palette(lab(rng.integers(256, size=(size, 3), dtype=np.uint8)), shares, mask).to_bytes())
    return np.frombuffer(b"".join(rows), np.uint8).reshape(count, WIDTH)


# CIELAB


def test_known_colours_in_cielab() -> None:
    """White, black and the primaries of sRGB, to the digits that everybody prints."""
    known = {
        "white": (100, 0, 0),
        "black": (0, 0, 0),
        "red": (53.24, 80.09, 67.20),
        "lime": (87.73, -86.18, 83.18),
        "blue": (32.30, 79.19, -107.86),
        "grey": (53.59, 0, 0),
    }
    found = lab(np.array([colour_of(name) for name in known], np.uint8))
    assert found.dtype == np.float32
    assert np.abs(found - np.array(list(known.values()))).max() < 0.03


@given(st.lists(triples, min_size=1, max_size=50))
def test_colours_come_back_from_cielab(colours: list[tuple[int, int, int]]) -> None:
    values = np.array(colours, np.uint8)
    assert np.array_equal(rgb(lab(values)), values)


@given(triples)
def test_cielab_by_the_definition(colour: tuple[int, int, int]) -> None:
    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    def bent(value: float) -> float:
        return value ** (1 / 3) if value > (6 / 29) ** 3 else value * (29 / 6) ** 2 / 3 + 4 / 29

    r, g, b = (linear(value / 255) for value in colour)
    x = bent((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505)
    y = bent(0.2126 * r + 0.7152 * g + 0.0722 * b)
    z = bent((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089)
    due = [116 * y - 16, 500 * (x - y), 200 * (y - z)]
    assert lab(np.array([colour], np.uint8))[0] == pytest.approx(due, abs=2e-3)


def test_what_srgb_cannot_show_is_cut_off() -> None:
    values = np.array([[50, 128, -128], [0, -100, 100], [100, 100, 100], [120, 0, 0]], np.float32)
    assert rgb(values).shape == (4, 3)
    assert rgb(values)[3].tolist() == [255, 255, 255]


# Finding colours


def test_stripes_are_found_with_their_shares() -> None:
    found = palette(painted(("red", 60), ("navy", 30), ("white", 10))).as_json()
    assert [one["name"] for one in found] == ["red", "navy", "white"]
    assert [one["share"] for one in found] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert [one["colour"] for one in found] == ["#ff0000", "#000080", "#ffffff"]
    assert not any(one["background"] for one in found)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 90), st.integers(1, 90), st.booleans())
def test_what_holds_for_any_picture(seed: int, height: int, width: int, grey: bool) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(256, size=(1 + height // 8, 1 + width // 8, 3), dtype=np.uint8)
    pixels = np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width]
    pixels = pixels[:, :, 0] if grey else pixels
    found = palette(Picture.from_array(np.ascontiguousarray(pixels)))
    assert 1 <= len(found) <= MOST
    assert found.labs.shape == (len(found), 3)
    assert found.labs.dtype == found.shares.dtype == np.float32
    assert found.shares.sum() == pytest.approx(1, abs=1e-5)
    assert found.shares.min() >= LEAST_SHARE
    assert (np.diff(found.shares) <= 0).all()
    assert not found.background.all()
    if grey:
        assert np.abs(found.labs[:, 1:]).max() < 1e-3
    again = palette(Picture.from_array(np.ascontiguousarray(pixels)))
    assert again.to_bytes() == found.to_bytes()
    assert_kept(found)


def assert_kept(found: Palette) -> None:
    data = found.to_bytes()
    assert len(data) == WIDTH
    back = Palette.from_bytes(data)
    assert back.to_bytes()[: 4 * MOST : 4] == data[: 4 * MOST : 4]
    assert np.abs(back.labs - found.labs).max() <= 0.51
    assert np.abs(back.shares - found.shares).max() < 0.012
    assert np.array_equal(back.background, found.background)


def test_a_picture_and_its_luma_tell_the_same_greys() -> None:
    luma = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None], 50, axis=0)
    one, other = (palette(Picture.from_array(np.ascontiguousarray(p))) for p in (luma, np.dstack([luma] * 3)))
    assert one.to_bytes() == other.to_bytes()


def test_size_changes_little() -> None:
    pixels = on_ground("teal", "orange", 0.3, 60)
    small = palette(Picture.from_array(pixels))
    for factor in (2, 3, 11):
        large = palette(Picture.from_array(np.kron(pixels, np.ones((factor, factor, 1), np.uint8))))
        assert np.abs(large.labs - small.labs).max() < 3
        assert np.abs(large.shares - small.shares).max() < 0.03


def test_shading_is_one_colour_and_hues_are_several() -> None:
    shaded = np.array([[(120 + y // 4, 20, 20) for _ in range(80)] for y in range(80)], np.uint8)
    assert len(palette(Picture.from_array(shaded))) == 1
    wheel = [colorsys.hsv_to_rgb(x / 96, 1, 1) for x in range(96)]
    rainbow = np.repeat((np.array(wheel) * 255).astype(np.uint8)[None], 40, axis=0)
    found = palette(Picture.from_array(rainbow))
    assert len(found) == MOST
    apart = np.linalg.norm(found.labs[:, None] - found.labs[None], axis=2)
    assert apart[~np.eye(len(found), dtype=bool)].min() > 12


def test_specks_are_left_out() -> None:
    pixels = np.full((480, 480, 3), 128, np.uint8)
    pixels[200:220, 200:220] = (255, 0, 0)
    assert [one["name"] for one in palette(Picture.from_array(pixels)).as_json()] == ["grey"]


# The background


def backgrounds(pixels: NDArray[np.uint8]) -> list[object]:
    return [one["name"] for one in palette(Picture.from_array(pixels)).as_json() if one["background"]]


def test_the_plain_ground_of_a_shop_is_background() -> None:
    assert backgrounds(on_ground("white", "red")) == ["white"]
    assert backgrounds(on_ground("black", "teal")) == ["black"]
    rng = np.random.default_rng(1)
    noisy = on_ground("white", "red", side=200).astype(np.int16) + rng.integers(-5, 6, (200, 200, 1))
    assert backgrounds(np.clip(noisy, 0, 255).astype(np.uint8)) == ["white"]
    shadowed = on_ground("white", "red")
    shadowed[85:] = colour_of("silver")
    assert sorted(map(str, backgrounds(shadowed))) == ["silver", "white"]


def test_what_is_no_background() -> None:
    assert backgrounds(np.full((50, 50, 3), 255, np.uint8)) == []  # blank: nothing would be left
    half = on_ground("white", "white")
    half[:, 50:] = colour_of("navy")
    assert backgrounds(half) == []
    rng = np.random.default_rng(2)
    textured = rng.integers(0, 256, (100, 100, 3)).astype(np.uint8)
    textured[30:70, 30:70] = 0
    assert backgrounds(textured) == []


def test_the_ground_may_also_be_in_the_middle() -> None:
    pixels = on_ground("white", "red", 0.5)
    pixels[45:55, 45:55] = 255
    found = palette(Picture.from_array(pixels))
    assert found.background.tolist() == [True, False] or found.background.tolist() == [False, True]


# As bytes


def test_bytes_that_are_no_palette() -> None:
    good = bytearray(painted_bytes())
    for changed in (
        good[:-1],
        good + b"\0",
        _changed(good, 35, 1),
        _changed(good, 3, 0),
        _changed(good, 32, 128),
    ):
        with pytest.raises(ValueError, match="palette"):
            Palette.from_bytes(bytes(changed))


def painted_bytes() -> bytes:
    return palette(painted(("red", 50), ("blue", 50))).to_bytes()


def _changed(data: bytearray, place: int, value: int) -> bytearray:
    changed = data.copy()
    changed[place] = value
    return changed


def test_nothing_has_no_colours() -> None:
    assert nothing().to_bytes() == bytes(WIDTH)
    assert len(Palette.from_bytes(bytes(WIDTH))) == 0
    assert nothing().as_json() == []


@given(st.integers(0, 1 << 30))
def test_kept_palettes_stay_as_they_are(seed: int) -> None:
    for row in random_rows(seed, 5):
        back = Palette.from_bytes(row.tobytes())
        assert_kept(back)


# Names


def test_every_css_colour_has_a_readable_name() -> None:
    told = [each for alike in NAMES.values() for each in alike.split() if not each.startswith("#")]
    assert len(told) == len(set(told))
    codes = {colour_of(each) for each in told}
    assert codes == {ImageColor.getrgb(name)[:3] for name in ImageColor.colormap}
    assert len(ImageColor.colormap) == 148
    assert set(NAMES) <= set(ImageColor.colormap)


def test_names_are_those_that_people_give() -> None:
    said = {
        "#ff0000": "red", "#d62b2b": "red", "#1a1a1a": "black", "#f4f4f4": "white", "#777777": "grey",
        "#6b4423": "brown", "#f5f0dc": "beige", "#0b6623": "green", "#1c2a5e": "navy", "#ff69b4": "pink",
        "#f28c28": "orange", "#87ceeb": "skyblue", "#6a0dad": "purple", "#808000": "olive", "#008080": "teal",
    }  # fmt: skip
    found = names_of(lab(np.array([colour_of(code) for code in said], np.uint8)))
    assert found == list(said.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_readable_name_is_its_own_colour(name: str) -> None:
    assert names_of(lab(np.array([colour_of(name)], np.uint8))) == [name]


# Colours as people write them


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("red", "#ff0000"),
        (" RebeccaPurple ", "#663399"),
        ("light sea-green", "#20b2aa"),
        ("gray", "#808080"),
        ("#abc", "#aabbcc"),
        ("#FFcc00", "#ffcc00"),
        ("rgb(1,2,3)", "#010203"),
        ("RGB(1 2 255)", "#0102ff"),
    ],
)
def test_one_colour(text: str, code: str) -> None:
    assert colour_of(text) == tuple(bytes.fromhex(code[1:]))
    assert parse_colours(text) == [Wanted(tuple(lab(np.array([colour_of(code)], np.uint8))[0].tolist()))]


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("red", [None]),
        ("red, blue,#123", [None, None, None]),
        ("red:2, #ffcc00", [2 / 3, 1 / 3]),
        ("red:2, #ffcc00, teal 30%", [0.7 * 2 / 3, 0.7 / 3, 0.3]),
        ("rgb(1, 2, 3) 3, rgb(4 5 6):1", [0.75, 0.25]),
        ("teal 30%", [0.3]),
        ("teal: 30 %, white:50%", [0.3, 0.5]),
        ("red:0.5", [1.0]),
    ],
)
def test_weights(text: str, shares: list[float | None]) -> None:
    found = [one.weight for one in parse_colours(text)]
    assert found == [share if share is None else pytest.approx(share) for share in shares]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "No colour"),
        (" , ", "No colour"),
        ("red,,blue", "no colour"),
        ("gren", "did you mean green"),
        ("#12345", "Write for example"),
        ("rgb(1,2,256)", "from 0 to 255"),
        ("rgb(1,2)", "no colour"),
        ("red:0", "nothing"),
        ("red:-1", "no colour"),
        ("red:nan", "no colour"),
        ("red 80%, blue 30%", "more than 100"),
        ("red 100%, blue", "leave nothing"),
        (", ".join(["red"] * (MOST_WANTED + 1)), "8 at most"),
        ("hsl(0 100% 50%)", "no colour"),
    ],
)
def test_what_is_no_colour_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_colours(text)


@given(st.text(max_size=60))
def test_any_text_is_colours_or_a_sentence(text: str) -> None:
    try:
        found = parse_colours(text)
    except UsageError:
        return
    assert all(0 <= one.lab[0] <= 100.001 for one in found)
    assert sum(one.weight or 0 for one in found) <= 1 + 1e-6


# Resemblance


def brute(wanted: list[Wanted], row: Bytes, ignore_background: bool) -> float:
    """One palette, colour by colour, from the definition in float64."""
    known = Palette.from_bytes(row.tobytes())
    shares = known.shares.astype(np.float64)
    if ignore_background:
        shares = np.where(known.background, 0, shares)
    shares = shares / shares.sum() if shares.sum() > 0 else shares
    merged: dict[tuple[float, float, float], float | None] = {}
    for one in wanted:
        before = merged.get(one.lab)
        merged[one.lab] = one.weight if before is None or one.weight is None else before + one.weight
    amounts = dict.fromkeys(merged, 0.0)
    for (lightness, a, b), share in zip(known.labs.tolist(), shares.tolist(), strict=True):
        near = {}
        for asked in merged:
            wide = 1 + 0.015 * math.hypot(asked[1], asked[2])
            square = ((lightness - asked[0]) / 2) ** 2 + math.dist((a, b), asked[1:]) ** 2 / wide**2
            near[asked] = math.exp(-square / (2 * SIGMA**2))
        claims = sum(value**4 for value in near.values())
        for asked, value in near.items():
            if claims > 1e-25:
                amounts[asked] += share * value * value**4 / claims
    if None in merged.values():
        best = (1 / len(merged)) / (1 / len(merged) + 0.05)
        met = [(value / (value + 0.05) / best, 1 / len(merged)) for value in amounts.values()]
    else:
        total = sum(weight or 0 for weight in merged.values())
        scale = total if total > 0.995 else 1.0
        due = {asked: (weight or 0) / scale for asked, weight in merged.items()}
        met = [(min(1.0, amounts[asked] / weight), weight) for asked, weight in due.items()]
        if scale == 1.0 and total < 0.995:
            met.append((min(1.0, max(0.0, 1 - sum(amounts.values())) / (1 - total)), 1 - total))
    logs = sum(weight * math.log(0.001 + 0.999 * value) for value, weight in met)
    return min(1.0, max(0.0, (math.exp(logs) - 0.001) / 0.999))


texts = st.sampled_from(
    ["red", "red, blue", "red:2, #ffcc00", "red:2, #ffcc00, teal 30%", "beige 40%", "red, red, white",
     "black, white, grey, brown", "navy:1, blue:1, #0000fe:3", "teal 20%, orange 20%"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(0, 1 << 30), st.booleans())
def test_resemblance_is_that_of_the_definition(text: str, seed: int, ignore: bool) -> None:
    wanted, rows = parse_colours(text), random_rows(seed, 12)
    found = resemblance(wanted, rows, ignore)
    assert found.dtype == np.float32
    assert found == pytest.approx([brute(wanted, row, ignore) for row in rows], abs=2e-3)
    assert found.min() >= 0
    assert found.max() <= 1


@settings(max_examples=40, deadline=None)
@given(texts, st.integers(0, 1 << 30), st.randoms(use_true_random=False))
def test_order_does_not_matter(text: str, seed: int, rng: object) -> None:
    wanted, rows = parse_colours(text), random_rows(seed, 9)
    shuffled = list(wanted)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    mixed = rows.copy()
    numbers = np.random.default_rng(seed).permutation(MOST)
    mixed[:, : 4 * MOST] = rows[:, : 4 * MOST].reshape(-1, MOST, 4)[:, numbers].reshape(-1, 4 * MOST)
    bits = np.unpackbits(rows[:, 32:33], axis=1, bitorder="little")[:, numbers]
    mixed[:, 32:33] = np.packbits(bits, axis=1, bitorder="little")
    for ignore in (False, True):
        due = resemblance(wanted, rows, ignore)
        assert resemblance(shuffled, rows, ignore) == pytest.approx(due, abs=1e-4)
        assert resemblance(wanted, mixed, ignore) == pytest.approx(due, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["red", "lime", "blue", "yellow", "black", "white", "magenta", "teal"]),
             min_size=1, max_size=4, unique=True),
    st.integers(0, 1 << 30),
    st.booleans(),
)  # fmt: skip
def test_a_picture_of_just_these_colours_is_best(names: list[str], seed: int, weighed: bool) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 6, len(names)) if weighed else np.ones(len(names))
    text = ", ".join(f"{name}:{w}" if weighed else name for name, w in zip(names, weights, strict=True))
    exact = row_of(list(zip(names, (weights / weights.sum()).tolist(), strict=True)))
    others = random_rows(seed, 300)
    found = resemblance(parse_colours(text), np.concatenate([exact, others]))
    assert found[0] > 0.93
    assert found[0] > found[1:].max()


def test_proportions_count_with_weights_and_presence_without() -> None:
    rows = np.concatenate(
        [
            row_of([("red", 0.67), ("blue", 0.33)]),
            row_of([("red", 0.33), ("blue", 0.67)]),
            row_of([("red", 0.1), ("blue", 0.05), ("lime", 0.85)]),
            row_of([("red", 1.0)]),
            row_of([("lime", 1.0)]),
        ]
    )
    weighed = resemblance(parse_colours("red:2, blue:1"), rows)
    assert (np.diff(weighed) < 0).all()
    assert weighed[1] < 0.8
    plain = resemblance(parse_colours("red, blue"), rows)
    assert plain[0] == pytest.approx(plain[1], abs=0.01)
    assert plain[1] > plain[2] > 0.5 > plain[3] > plain[4]
    assert plain[4] < 0.01
    # A percentage is a share of the picture, and the rest may be anything else.
    part = resemblance(parse_colours("red 10%"), rows)
    assert part[2] > 0.95
    assert part[3] < 0.1


@settings(max_examples=60, deadline=None)
@given(triples, st.integers(0, 1 << 30), st.sampled_from([None, 1.0]))
def test_farther_is_lower(colour: tuple[int, int, int], seed: int, weight: float | None) -> None:
    start = np.array([round(v) for v in lab(np.array([colour], np.uint8))[0]], np.float32)
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    steps = start + np.arange(0, 80, 2)[:, None] * direction
    inside = (np.abs(steps[:, 1:]) < 127).all(axis=1) & (steps[:, 0] >= 0) & (steps[:, 0] <= 100)
    count = int(np.argmin(inside)) if not inside.all() else len(steps)
    assume(count > 2)
    rows = [
        np.frombuffer(
            Palette(one[None].astype(np.float32), np.ones(1, np.float32), np.zeros(1, bool)).to_bytes(),
            np.uint8,
        )
        for one in steps[:count]
    ]
    wanted = [Wanted((float(start[0]), float(start[1]), float(start[2])), weight)]
    for found in (resemblance(wanted, np.array(rows)), share_of(wanted[0], np.array(rows))):
        assert (np.diff(found) <= 0.06).all()  # a byte's rounding may go either way
        assert (found[3:] <= found[:-3]).all()
        assert found[0] > 0.99


def test_background_is_ignored_when_asked() -> None:
    shop = row_of([("white", 0.8), ("red", 0.2)], background=(0,))
    flag = row_of([("white", 0.8), ("red", 0.2)])
    rows = np.concatenate([shop, flag])
    red, white = parse_colours("red:1"), parse_colours("white:1")
    assert resemblance(red, rows, ignore_background=True) == pytest.approx([1, 0.2], abs=0.02)
    assert resemblance(red, rows) == pytest.approx([0.2, 0.2], abs=0.02)
    assert resemblance(white, rows, ignore_background=True)[0] < 0.01
    assert share_of(red[0], rows, ignore_background=True) == pytest.approx([1, 0.2], abs=0.02)
    assert resemblance(red, row_of([("red", 1.0)], background=(0,)), ignore_background=True)[0] == 0


def test_nothing_answers_nothing() -> None:
    empty = np.zeros((3, WIDTH), np.uint8)
    assert resemblance(parse_colours("black"), empty).tolist() == [0, 0, 0]
    assert resemblance(parse_colours("black:1, white:2"), empty).tolist() == [0, 0, 0]
    assert len(resemblance(parse_colours("red"), empty[:0])) == 0


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, wanted = random_rows(3, 50), parse_colours("red:2, teal:1")
    due = resemblance(wanted, rows)
    monkeypatch.setattr(module, "_CHUNK", 7)
    assert resemblance(wanted, rows) == pytest.approx(due, abs=1e-6)
    assert resemblance(wanted, rows[::2]) == pytest.approx(due[::2], abs=1e-6)


def test_bad_calls_are_told() -> None:
    rows = random_rows(1, 2)
    with pytest.raises(UsageError, match="ask for 1"):
        resemblance([], rows)
    with pytest.raises(UsageError, match="all of them"):
        resemblance([Wanted((1, 2, 3), 0.5), Wanted((4, 5, 6))], rows)
    with pytest.raises(UsageError, match="1 at most"):
        resemblance([Wanted((1, 2, 3), 1.5)], rows)
    with pytest.raises(UsageError, match="uint8"):
        resemblance(parse_colours("red"), rows[:, :-1])


@pytest.mark.shared
def test_photographs_answer_their_own_colours(shared: Path) -> None:
    files = sorted((shared / "images" / "photos").glob("*.jpg"))[:40]
    found = [palette(Picture.from_array(np.asarray(Image.open(path).convert("RGB")))) for path in files]
    rows = np.frombuffer(b"".join(one.to_bytes() for one in found), np.uint8).reshape(-1, WIDTH)
    first = 0
    for number, one in enumerate(found):
        colours = one.as_json()[:5]
        text = ", ".join(f"{c['colour']}:{c['share']}" for c in colours)
        first += int(np.argmax(resemblance(parse_colours(text), rows)) == number)
    assert first >= 38
