"""Direction: which of two pictures was made from the other, said only with a reason that was measured.

The one judgement for searches, comparisons and duplicates. Every reason speaks for one of the two sides;
where reasons speak for both, or none speaks, nothing is said. `benchmarks/direction.py` measures each on
pairs whose truth is known, both ways round; one that is right in fewer than 97 of 100 has no place here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np

from wherefrom.decoding import decoded_stored
from wherefrom.errors import PictureError
from wherefrom.features.signs import jpeg_tables, orientation_of, signs_of
from wherefrom.picture.limits import Limits
from wherefrom.picture.picture import Picture, Pixels
from wherefrom.picture.signs import Signs
from wherefrom.records import Image
from wherefrom.search import tone, traces
from wherefrom.search.alignment import Matrix, align, luma
from wherefrom.search.answer import Direction, Evidence, Kind, Match, Reason
from wherefrom.search.overlays import differing

Name = Literal["query", "match"]
Kin = TypeVar("Kin")

RATES = {
    "resaved": 0.99,
    "recompressed": 0.99,
    "larger": 0.99,
    "enlarged": 0.99,
    "cut": 0.99,
    "surrounded": 0.99,
    "laid-over": 0.97,
    "colours": 0.99,
    "blurred": 0.97,
    "whole": 0.99,
    "camera": 0.99,
    "raw": 0.99,
    "date": 0.97,
}
"""How often each reason was right where it spoke."""

SENTENCES = {
    "resaved": "the copy holds what the source holds, saved again",
    "recompressed": "the copy was compressed once more",
    "larger": "the source is larger and shows more detail",
    "enlarged": "the copy is an enlargement",
    "cut": "the source goes on where the copy ends",
    "surrounded": "the copy has something around it",
    "laid-over": "the copy has something laid over it",
    "colours": "the copy has lost its colours",
    "blurred": "the copy is blurred",
    "whole": "the copy lacks a part of the picture",
    "camera": "the source is as a camera wrote it",
    "raw": "the source is a camera's raw file",
    "date": "the source is of an earlier date",
}
"""What each reason says, of the source."""

_RESAVED = 0.35  # `traces.Loss.rest` below which all that a JPEG lost is lost in the other file, too
_ROUNDED = (0.8, 1.45)  # between which a JPEG was rounded from the other file ...
_NO_STRAYS, _STRAYS = 0.006, 0.05  # ... with so few strays; and what no file of that JPEG has
_LEVEL, _SAME_COLOURS = 0.7, 6.0  # grey levels by which compression moves the mean, and colours
_MORE, _MUCH_MORE = 0.25, 0.4  # `traces.detail` of what was reduced, by less than 1.7 and by more
_NO_MORE = 0.08  # the same of enlargements
_LITTLE_MORE = 0.04  # the same of enlargements by less than half
_REPEATS = 0.66  # `traces.repeated` of what was enlarged without smoothing, even when compressed afterwards
_TOP = 0.15  # energy in the smaller's topmost band, below which it was enlarged or blurred itself
_REDUCED = 1.25  # linear: a smaller change of size says nothing
_BEYOND = 0.03  # share of a picture beyond what both show
_GOES_ON, _BREAKS, _BREAKS_OFF = 2.2, 2.0, 5.0  # `traces.Edges`: sharpness of the border between the two
_RIM, _EDGE = 1.8, 5.0  # how much sharper the border of what differs is where something was laid over
_DIFFERS = (0.008, 0.5)  # share of the picture that differs, for that to be said
_PHOTOGRAPHED = {"perspective", "crop", "embedded", "border"}
"""Edits of which one or the other is told where a camera took the other picture, on paper or on a screen."""

_COLOURED, _COLOURLESS = 5.0, 1.6  # `traces.Looks.colours`
_BLURRED = 0.3  # of the other's fine detail


@dataclass(eq=False)
class Side:
    """One of the two: its picture, in colour and at any size, and its file's bytes where they are at hand."""

    picture: Picture
    data: bytes | None = None
    kept: Signs | None = None
    taken: str | None = None
    limits: Limits | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture in pixels."""
        return self.picture.facts.width, self.picture.facts.height

    @cached_property
    def signs(self) -> Signs:
        """What is kept of its file's signs, or else what its bytes say."""
        if self.kept is not None:
            return self.kept
        return Signs() if self.data is None else signs_of(self.data, self.picture)

    @cached_property
    def grey(self) -> Pixels | None:
        """The whole picture's luma at full size, None where it cannot be had without decoding anew."""
        height, width = self.picture.pixels.shape[:2]
        stored = None if self.data is None else _stored(self.data, self.picture, self.limits)
        if stored is not None:
            return stored
        return luma(self.picture.pixels) if (width, height) == self.size else None

    @cached_property
    def steps(self) -> traces.Tables | None:
        """A JPEG's quantisation of luma, None for other files and for those that are turned when shown."""
        if self.data is None or self.picture.facts.format != "jpeg":
            return None
        return jpeg_tables(self.data)[0] if self.grey is not None else None


def _stored(data: bytes, picture: Picture, limits: Limits | None) -> Pixels | None:
    """The luma of a JPEG as it is stored, where it is stored upright; decoded in another process."""
    if picture.facts.format != "jpeg" or picture.facts.width * picture.facts.height > _LARGEST:
        return None
    if orientation_of(data) != 1:
        return None
    try:
        found = decoded_stored(data, limits).pixels
    except PictureError:  # nothing is known, then
        return None
    return found if found.shape == (picture.facts.height, picture.facts.width) else None


_LARGEST = 40_000_000


def directed(match: Match, query: Side, other: Side) -> Match:
    """A match with the direction between the two, where there is a reason for one."""
    from dataclasses import replace

    if match.kind in (Kind.SIMILAR, Kind.IDENTICAL):
        return match
    found = direction_of(match.evidence, query, other)
    return replace(match, evidence=replace(match.evidence, direction=found))


def direction_of(evidence: Evidence, query: Side, match: Side) -> Direction | None:
    """Which of two pictures that are one is the source of the other; None where nothing says so."""
    return decided(reasons(evidence, query, match))


def decided(votes: dict[str, Name]) -> Direction | None:
    """The direction that reasons agree on; None where they do not."""
    sides = set(votes.values())
    if len(sides) != 1:
        return None
    why = tuple(Reason(name, SENTENCES[name]) for name in SENTENCES if name in votes)
    return Direction(sides.pop(), why, max(RATES[reason.code] for reason in why))


def reasons(evidence: Evidence, query: Side, match: Side) -> dict[str, Name]:
    """Every reason that speaks, by its code, with the side that it calls the source."""
    votes = by_signs(query.signs, match.signs, query.taken, match.taken)
    names = {edit.name for edit in evidence.edits}
    if names & _PHOTOGRAPHED:
        votes.pop("camera", None)
    turned = "mirror" in names
    raw = [side.picture.facts.format == "raw" for side in (query, match)]
    if raw[0] != raw[1]:
        votes["raw"] = "query" if raw[0] else "match"
    if evidence.transform is None:
        return votes
    transform = np.array(evidence.transform, np.float64)
    try:
        back = np.asarray(np.linalg.inv(transform), np.float64)
    except np.linalg.LinAlgError:
        return votes
    ratio = float(np.sqrt(abs(np.linalg.det(transform[:2, :2] / transform[2, 2]))))
    for found in (
        _by_compression(transform, query, match),
        _by_detail(transform, back, ratio, query, match),
        _by_extent(evidence, query, match),
        _by_looks(evidence, transform, back, ratio, query, match),
    ):
        votes |= found
    if "perspective" in names:
        votes.pop("cut", None)
    if turned:  # whichever is larger may be the one that was mirrored
        votes.pop("larger", None)
        votes.pop("recompressed", None)
    return votes


def by_signs(query: Signs, match: Signs, taken: str | None, other: str | None) -> dict[str, Name]:
    """What files say by themselves: a camera's is the source of what no camera wrote."""
    votes: dict[str, Name] = {}
    if (query.missing > 0) != (match.missing > 0):
        votes["whole"] = "query" if match.missing > 0 else "match"
    if query.camera != match.camera:
        votes["camera"] = "query" if query.camera else "match"
    if taken and other and len(taken) >= 10 and len(other) >= 10 and taken[:10] != other[:10]:
        votes["date"] = "query" if taken < other else "match"
    return votes


def by_files(query: Image, match: Image, evidence: Evidence) -> Direction | None:
    """The direction between two images of one picture whose files are not at hand.

    Nothing is told from sizes alone: enlargements can be as sharp at their own pixels as photographs are.
    """
    mine, its = query.signs or Signs(), match.signs or Signs()
    votes = by_signs(mine, its, query.credit.taken, match.credit.taken)
    if {edit.name for edit in evidence.edits} & _PHOTOGRAPHED:
        votes.pop("camera", None)
    if (query.format == "raw") != (match.format == "raw"):
        votes["raw"] = "query" if query.format == "raw" else "match"
    return decided(votes)


def _by_compression(transform: Matrix, query: Side, match: Side) -> dict[str, Name]:
    """Of two files of one size: what the JPEG has rounded away, the other has or has not."""
    exact = traces.exactly(transform, query.size, match.size)
    if exact is None or query.grey is None or match.grey is None:
        return {}
    turns, mirrored = exact
    turned = np.rot90(match.grey, turns)
    there = np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)
    here = np.ascontiguousarray(np.rot90(query.grey[:, ::-1] if mirrored else query.grey, -turns))
    level = abs(float(query.grey.mean()) - float(there.mean()))
    even = level < _LEVEL and query.picture.pixels.ndim == match.picture.pixels.ndim
    even = even and abs(_colour(query.picture.pixels) - _colour(match.picture.pixels)) < _SAME_COLOURS
    losses: dict[Name, traces.Loss | None] = {"query": None, "match": None}
    if query.steps is not None:
        losses["query"] = traces.loss(query.grey, query.steps, there)
    if match.steps is not None:
        losses["match"] = traces.loss(match.grey, match.steps, here)
    votes: dict[str, Name] = {}
    for one, other in _WAYS:
        mine, theirs = losses[one], losses[other]
        if mine is None:
            continue
        if mine.rest < _RESAVED and (theirs is None or theirs.rest > 2 * mine.rest):
            votes["resaved"] = one
        apart = theirs is None or theirs.strays > _STRAYS
        sure = theirs is not None or _sides(query, match)[other].signs.lossless
        if _ROUNDED[0] < mine.rest < _ROUNDED[1] and mine.strays < _NO_STRAYS and apart and sure and even:
            votes["recompressed"] = other
    return votes


def _sides(query: Kin, match: Kin) -> dict[Name, Kin]:
    return {"query": query, "match": match}


def _colour(pixels: Pixels) -> float:
    """The mean distance between the channels."""
    return 0.0 if pixels.ndim == 2 else float(np.ptp(pixels[::3, ::3].astype(np.int16), axis=2).mean())


_WAYS: tuple[tuple[Name, Name], ...] = (("query", "match"), ("match", "query"))


def _by_detail(transform: Matrix, back: Matrix, ratio: float, query: Side, match: Side) -> dict[str, Name]:
    """Of two sizes: whether the larger shows what the smaller cannot hold."""
    if 1 / _REDUCED < ratio < _REDUCED or query.grey is None or match.grey is None:
        return {}
    larger: Name = "query" if ratio > 1 else "match"
    if larger == "query":
        found = traces.detail(query.grey, match.grey, transform)
    else:
        found = traces.detail(match.grey, query.grey, back)
    if found is None:
        return {}
    more, top, repeats = found
    far = max(ratio, 1 / ratio) >= 1.7
    if more > (_MUCH_MORE if far else _MORE):
        return {"larger": larger} if repeats > _REPEATS else {}
    bound = _NO_MORE if far else _LITTLE_MORE
    if more < bound and top > _TOP:
        return {"enlarged": _other(larger)}
    return {}


def _other(name: Name) -> Name:
    return "match" if name == "query" else "query"


def _by_extent(evidence: Evidence, query: Side, match: Side) -> dict[str, Name]:
    """What lies beyond the common part: of one piece with it, or put around it."""
    votes: dict[str, Name] = {}
    areas: tuple[tuple[Name, Side, Any], ...] = (
        ("query", query, evidence.query_area),
        ("match", match, evidence.match_area),
    )
    said: set[tuple[str, Name]] = set()
    for name, side, area in areas:
        if not area:
            continue
        pixels = luma(side.picture.pixels)
        shrunk = np.array([pixels.shape[1] / side.size[0], pixels.shape[0] / side.size[1]])
        found = traces.edges(pixels, np.array(area) * shrunk)
        if found is None or found.outside < _BEYOND:
            continue
        if found.sharpest < _GOES_ON and found.plain < 0.8:
            said.add(("cut", name))
        elif found.cut > _BREAKS and found.sharpest > _BREAKS_OFF:
            said.add(("surrounded", _other(name)))
    for code, name in said:
        if (code, _other(name)) not in said:
            votes[code] = name
    return votes


def _by_looks(
    evidence: Evidence, transform: Matrix, back: Matrix, ratio: float, query: Side, match: Side
) -> dict[str, Name]:
    """What the one shows and the other has lost, where both are laid over each other."""
    one, other = query.picture.pixels, match.picture.pixels
    if any(edit.name == "negative" for edit in evidence.edits):
        return {}
    shrunk = np.diag([one.shape[1] / query.size[0], one.shape[0] / query.size[1], 1.0])
    theirs = np.diag([other.shape[1] / match.size[0], other.shape[0] / match.size[1], 1.0])
    if one.ndim != other.ndim:
        one, other = (part if part.ndim == 3 else np.repeat(part[..., None], 3, 2) for part in (one, other))
    names: tuple[Name, Name] = ("query", "match")
    swapped = ratio > 1.02 or (ratio > 0.98 and _key(one) > _key(other))
    area = evidence.match_area if swapped else evidence.query_area
    if swapped:
        one, other, shrunk, theirs, transform = other, one, theirs, shrunk, back
        names = ("match", "query")
    corners = None if not area else np.array(area) @ shrunk[:2, :2]
    aligned = align(one, other, shrunk @ transform @ np.linalg.inv(theirs), corners)
    if aligned is None:
        return {}
    toned = tone.fit(aligned).apply(aligned.match)
    mine, its, share, alike = traces.looks(aligned, differing(aligned, toned))
    votes: dict[str, Name] = {}
    for source, a, b in ((names[0], its, mine), (names[1], mine, its)):
        # `a` is what was made, `b` the source
        if (
            _DIFFERS[0] < share < _DIFFERS[1]
            and alike < 0.6
            and a.rim > _RIM * b.rim + _EDGE
            and a.flat > b.flat - 0.1
        ):
            votes["laid-over"] = source
        if b.colours > _COLOURED and a.colours < _COLOURLESS:
            votes["colours"] = source
        if a.top < _BLURRED * b.top and 0.9 < ratio < 1.1 and share < _DIFFERS[0]:
            votes["blurred"] = source
    return votes


def _key(pixels: Pixels) -> tuple[float, ...]:
    """What puts two pictures into an order that does not depend on which of them was searched for."""
    return (*pixels.shape, float(pixels[::7, ::7].mean()), float(pixels[::5, ::3].std()))
