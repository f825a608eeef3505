"""Published truth: what others say of their own pictures is what comes out here, from the file to the answer.

PDQ's test pictures and hashes are those of its reference (ThreatExchange, `pdq/data/reg-test-input`, with the
hashes that its implementations are tested by). The portraits are of the examples of EXIF orientations: each
is stored turned in another way, is to be seen upright, and has the number of its way written on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wherefrom
from wherefrom.features.fingerprint import fingerprint, query_codes
from wherefrom.picture.decode import decode
from wherefrom.search.answer import Kind, Match

pytestmark = pytest.mark.shared

# The eight ways in which the reference's bridge lies: its hash, and what was done to the original by name
# of the file, mirrored left to right first and then turned (degrees clockwise).
DIHEDRAL = {
    "1-original": ("f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22", False, 0),
    "2-rotate-90": ("30a10efd71cc3d429013d48d0ffffc52e34e0e17ada952a9d29685211ea9e5af", False, 270),
    "3-rotate-180": ("adad5a64b5a142e75b62a09857da895ae63b847fc23794b766b319361bc93188", False, 180),
    "4-rotate-270": ("a5f0a457a48995e8c9065c275aaa5498b61ba4bdf8fcf80387c32f8b1bfc4f05", False, 90),
    "5-flipx": ("f8f80f31e0f417b20e37f5cd028f980fb36ed02a9662c1e233e64c634e9c64dd", True, 180),
    "6-flipy": ("0dad2599b1a1bd1a5362576742da32a5e63b7380c2374b4866b366c91bc9ce77", True, 0),
    "7-flip-plus-1": ("f0a5e102f1ccc0bd945308720fff038de34ef1e8ada9a956d2967ade5ea91a50", True, 270),
    "8-flip-minus-1": ("a5f05aa8a4896a17c906a2d85aaaab07b61b5b42f8fc07fc87c3d0741bfcb0fa", True, 90),
}
# What the names of the reference's other pictures say was done to the bridge: the kinds that this may be.
MODIFIED = {
    "aaa-orig": {Kind.IDENTICAL},
    "blur-a-little": {Kind.SAME},
    "blur-a-lot": {Kind.SAME, Kind.COPY},
    "high-contrast": {Kind.SAME, Kind.COPY},
    "high-saturation": {Kind.SAME, Kind.COPY},
    "sharpen-a-little": {Kind.SAME},
    "sharpen-a-lot": {Kind.SAME, Kind.COPY},
    "shrink-a-little": {Kind.SAME},
    "shrink-a-lot": {Kind.SAME},
    "square-128x128": {Kind.COPY},
    "square-256x256": {Kind.COPY},
    "square-512x512": {Kind.COPY},
}
SAME = 31  # bits within which the reference takes two hashes for one picture
PORTRAITS = (1, 3, 6, 8)


@pytest.fixture(scope="module")
def indexed(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[wherefrom.Collection]:
    """The bridge and a portrait as they are published upright, among photographs that are neither."""
    others = sorted((shared / "images" / "photos").iterdir())[:12]
    place = tmp_path_factory.mktemp("published") / "c.wherefrom"
    with wherefrom.open(place, create=True, settings=wherefrom.Settings(workers=1)) as collection:
        report = collection.add([bridge(shared, "1-original"), portrait(shared, 1), *others])
        assert len(report.added) == 14
        yield collection


def bridge(shared: Path, name: str) -> Path:
    return shared / "images" / "copies" / "pdq_dihedral" / f"bridge-{name}.jpg"


def modified(shared: Path, name: str) -> Path:
    return shared / "images" / "copies" / "pdq_bridge" / f"{name}.jpg"


def portrait(shared: Path, number: int) -> Path:
    return shared / "images" / "exif_orientation" / f"Portrait_{number}.jpg"


def only(answer: wherefrom.Answer, name: str) -> Match:
    """The one match of an answer, which is the file of that name."""
    (match,) = answer
    assert match.sightings[0].uri.endswith(name)
    return match


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.bitwise_count(one ^ other).sum())


def published(name: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(DIHEDRAL[name][0]), np.uint8)


@pytest.mark.parametrize("name", DIHEDRAL)
def test_hashes_are_those_of_the_reference(shared: Path, name: str) -> None:
    data = bridge(shared, name).read_bytes()
    known = fingerprint(decode(data))
    assert known.code.tobytes().hex() == DIHEDRAL[name][0]
    assert known.quality == 100
    # Luma as JPEG stores it, which is what indexing reads, is rounded once more than luma from its colours.
    assert apart(fingerprint(decode(data, colour=False)).code, published(name)) <= 2


@pytest.mark.parametrize("name", DIHEDRAL)
def test_one_file_gives_the_hashes_of_all_eight(shared: Path, name: str) -> None:
    """The code that a query has for each way of lying is the hash of the file that lies so."""
    _, mirrored, turned = DIHEDRAL[name]
    codes, _ = query_codes(decode(bridge(shared, name).read_bytes()))
    (source,) = [
        one
        for one in codes
        if (one.mirrored, one.turned, one.negative, one.box) == (mirrored, turned, False, None)
    ]
    assert apart(source.code, published("1-original")) <= 12  # the eight were saved again, as JPEG


@pytest.mark.parametrize("name", DIHEDRAL)
def test_the_eight_ways_are_found_and_told(shared: Path, indexed: wherefrom.Collection, name: str) -> None:
    _, mirrored, turned = DIHEDRAL[name]
    match = only(indexed.search(bridge(shared, name)), "bridge-1-original.jpg")
    told = {edit.name: edit.amount for edit in match.evidence.edits}
    assert match.kind is (Kind.COPY if mirrored or turned else Kind.IDENTICAL)
    assert told == ({"mirror": None} if mirrored else {}) | ({"rotate": float(turned)} if turned else {})


@pytest.mark.parametrize("name", MODIFIED)
def test_modified_bridges_are_the_bridge(shared: Path, indexed: wherefrom.Collection, name: str) -> None:
    data = modified(shared, name).read_bytes()
    assert apart(fingerprint(decode(data)).code, published("1-original")) <= SAME
    match = only(indexed.search(data), "bridge-1-original.jpg")
    assert match.kind in MODIFIED[name]
    told = {edit.name for edit in match.evidence.edits}
    assert ("aspect" in told) == name.startswith("square")
    assert ("scale" in told) == name.startswith(("shrink", "square"))


@pytest.mark.parametrize("number", PORTRAITS)
def test_portraits_are_upright(shared: Path, number: int) -> None:
    """As the file states and its name says: all of them 1200 × 1800, and seen alike."""
    file = portrait(shared, number)
    with Image.open(file) as stored:
        assert stored.getexif()[274] == number
        assert stored.size == ((1800, 1200) if number > 4 else (1200, 1800))
    picture = decode(file.read_bytes())
    assert (picture.facts.width, picture.facts.height) == (1200, 1800)
    first = decode(portrait(shared, 1).read_bytes())
    assert np.abs(picture.luma - first.luma).mean() < 6
    assert apart(fingerprint(picture).code, fingerprint(first).code) <= SAME


@pytest.mark.parametrize("number", PORTRAITS)
def test_portraits_are_one_and_not_turned(shared: Path, indexed: wherefrom.Collection, number: int) -> None:
    match = only(indexed.search(portrait(shared, number)), "Portrait_1.jpg")
    told = {edit.name for edit in match.evidence.edits}
    # Upright before it is compared: nothing was turned; another number is laid over each.
    assert told == (set() if number == 1 else {"overlay"})
    assert match.kind is (Kind.IDENTICAL if number == 1 else Kind.COPY)
    if match.evidence.transform is not None:
        assert np.allclose(match.evidence.transform, np.eye(3), atol=3e-3 * 1800)


@pytest.mark.parametrize("number", PORTRAITS)
def test_a_portrait_without_its_orientation_is_told_to_be_turned(
    shared: Path, indexed: wherefrom.Collection, number: int
) -> None:
    """The counter-proof: the same pixels, stated to be upright, lie as their name says."""
    turned = {1: None, 3: 180.0, 6: 270.0, 8: 90.0}[number]
    with Image.open(portrait(shared, number)) as stored:
        stored.info.pop("exif", None)
        data = Image.fromarray(np.asarray(stored))
    match = only(indexed.search(wherefrom.Picture.from_array(np.asarray(data))), "Portrait_1.jpg")
    told = {edit.name: edit.amount for edit in match.evidence.edits}
    assert told.get("rotate") == turned
    assert "mirror" not in told
