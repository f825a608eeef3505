"""The small world in which engines are compared: a few images, places and words, so that much meets."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from tests.engine.models import digest, points_of
from tests.support.brute_force import code, flipped
from wherefrom.engine.base import WordQuery
from wherefrom.features.embedding import CLASSES, Embedding
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, KEYPOINTS, PALETTE, VERSIONS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.keypoints import Keypoints
from wherefrom.features.palette import palette
from wherefrom.filters.parser import parse
from wherefrom.filters.terms import And, Not, Or
from wherefrom.picture.metadata import Credit
from wherefrom.picture.picture import Picture
from wherefrom.records import FieldValue, FileStamp, NewImage, Place, Refusal

SEEDS = range(9)
"""The images that there are."""

DIMENSION = 8
OURS = VERSIONS | {PALETTE: "tests 1", EMBEDDING: "tests 1"}
"""What every engine is made with."""

START = 1_700_000_000_000_000
SECOND = 1_000_000
READER = "reader 1"


@cache
def image(seed: int) -> NewImage:
    """An image of everything that an engine keeps. Those of one family (three each) are near each other."""
    family, rng = seed // 3, np.random.default_rng([11, seed])
    shape = {"trimmed": flipped(code(100 + family), range(seed % 4)), "inside": (0.0, 0.1, 1.0, 0.9)}
    known = Fingerprint(
        flipped(code(family), rng.choice(256, 12 * (seed % 3), replace=False).tolist()),
        100,
        usable=seed % 7 != 5,
        **(shape if seed % 2 else {}),  # type: ignore[arg-type]
    )
    vector = np.eye(DIMENSION)[family % DIMENSION] + 0.2 * rng.standard_normal(DIMENSION)
    shown = Embedding(
        (vector / np.linalg.norm(vector)).astype(np.float32),
        rng.choice(np.array([207, 208, 281, 282, 950]), CLASSES, replace=False),
        -np.sort(rng.exponential(2, CLASSES)).astype(np.float32) - np.float32(0.1),
        (),
    )
    pixels = rng.choice([0, 60, 200, 255], (4, 1, 3)).astype(np.uint8)
    colours = palette(Picture.from_array(np.repeat(pixels, 8, axis=1)))
    blank = seed == 6
    return NewImage(
        digest(seed),
        width=100 * (1 + seed % 4),
        height=100 * (1 + seed % 3),
        format=("jpeg", "png", "webp")[seed % 3],
        bytes=1_000 * (1 + seed % 5),
        frames=1 + seed % 2,
        quality=50 + seed,
        credit=Credit(creator="Ann", taken=f"202{seed % 3}-05-06") if seed % 4 == 1 else Credit(),
        decoder="tests",
        features={
            FINGERPRINT: known.to_bytes(),
            KEYPOINTS: keypoints(seed).to_bytes(),
            PALETTE: b"" if blank else colours.to_bytes(),
            EMBEDDING: b"" if blank else shown.to_bytes(),
        },
    )


@cache
def keypoints(seed: int) -> Keypoints:
    """Of those of its family and its own; one image has none."""
    family, own = (
        Keypoints.from_bytes(points_of(seed // 3, 12)),
        Keypoints.from_bytes(points_of(500 + seed, 4)),
    )
    rows = np.random.default_rng([12, seed]).permutation(12)[: 0 if seed == 4 else 7]
    some = family.take(rows)
    if seed == 4:
        return some
    joined = [np.concatenate([getattr(some, name), getattr(own, name)]) for name in _COLUMNS]
    return Keypoints(*joined)


_COLUMNS = ("x", "y", "angles", "scales", "words", "signatures")


def word_query(seed: int) -> WordQuery:
    """What a copy of an image asks for."""
    found = keypoints(seed)
    return WordQuery(found.words, found.signatures, found.angles, found.scales)


def stamp(seed: int) -> FileStamp:
    return FileStamp(1_000 + seed, 5_000 + seed)


# What is drawn

URIS = (
    "file:///pictures/a.jpg",
    "file:///pictures/b%20c.jpg",
    "file:///pictures/sub/a.jpg",
    "file:///pictures",
    "file:///picturesque/d.jpg",
    "https://example.com/Ünder.jpg?q=1",
    "https://example.org/\ud800.jpg",
)
PREFIXES = ("", "file:///pictures", "file:///pictures/", "file:///pictures/a.jpg", "https://", "nowhere://")
_TEXTS = st.sampled_from([None, "", "a Title", "b", "Ünder \ud800"])
_MOMENTS = st.none() | st.integers(-9, 9).map(lambda seconds: START + seconds * SECOND)

seeds = st.sampled_from(list(SEEDS))
uris = st.sampled_from([URIS[0], URIS[0], URIS[0], *URIS])
fields = st.dictionaries(
    st.sampled_from(["brand", "price", "ok"]),
    st.sampled_from([None, "Acme", "7", 7.0, -1.5, True, False, "2024-05-06"]),
    max_size=2,
)
bad_fields = st.sampled_from([{"width": 1.0}, {"a b": "x"}, {f"x{n}": True for n in range(65)}])


@st.composite
def places(draw: st.DrawFn, seed: int) -> Place:
    """A place of an image; one in some is a file that is its own."""
    return Place(
        draw(uris),
        draw(st.sampled_from([None, None, None, "", "https://example.com/one"])),
        draw(_TEXTS),
        draw(_TEXTS),
        draw(st.sampled_from([None, stamp(seed)])),
        draw(_TEXTS),
        draw(st.sampled_from([None, "img", "og:image"])),
        draw(st.sampled_from([None, "2024-05-06"])),
        draw(_MOMENTS),
    )


class Met(NamedTuple):
    """That an image is met: short where it is printed."""

    seed: int
    place: Place | None
    fields: dict[str, FieldValue | None]

    @property
    def new(self) -> NewImage:
        """What is added then."""
        return replace(image(self.seed), place=self.place, fields=self.fields)


@st.composite
def met(draw: st.DrawFn) -> Met:
    """An image, mostly at a place."""
    seed = draw(seeds)
    place = draw(st.none() | places(seed) | places(seed))
    return Met(seed, place, draw(st.just({}) | fields))


refused = st.builds(
    Refusal,
    uris,
    seeds.map(stamp),
    st.just("damaged"),
    st.sampled_from(["It is damaged.", "It is \ud800."]),
    st.booleans(),
    st.sampled_from([READER, "reader 10"]),
    st.booleans(),
)

_TERMS = (
    "width>=200", "width:100..200", "pixels>40000", "aspect:1", "aspect>1.2", "bytes<=2kB", "frames=2",
    "type:png", "type!=webp", "taken:2021", "taken<2021-06", "creator:ann", "added>=2023-11-14T22:13:25Z",
    "seen:2023-11-14T22:13:10Z..2023-11-14T22:13:30Z", "seen>2023-11-14T22:13:30Z", "folder:/pictures",
    "folder=/pictures", "folder:pictures/sub", "path:B*c", "name:a.jpg", "uri:under", "domain:example.com",
    "page:one", "title:title", "title:*", "alt=b", "gone:yes", "gone!=yes", "places>1", "places:0",
    "field.brand:acme", "field.brand:7", "field.price<0", "field.price:*", "field.ok:true",
    "field.brand>=2024-01-01", "label:dog@0.3", "label:cat", "colour:black@20%", "colour!=white",
)  # fmt: skip
filters = st.recursive(
    st.sampled_from([parse(text) for text in _TERMS]),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=4,
)
