"""Pixels: the best matches looked at again both pictures side by side, where the match's file is at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wherefrom.decoding import decoded
from wherefrom.errors import WherefromError
from wherefrom.picture.limits import Limits
from wherefrom.picture.picture import Picture
from wherefrom.records import Image, digest_of
from wherefrom.search import verdict
from wherefrom.search.answer import Edit, Kind, Match
from wherefrom.search.changes import Changes, changes
from wherefrom.search.direction import Side
from wherefrom.search.placing import cut_to
from wherefrom.search.recolouring import RECOLOURED
from wherefrom.sources.folder import path_of

Original = Callable[[Image], Picture | None]
"""The colour picture of an image, None where it cannot be had."""

Read = Callable[[Image], Side | None]
"""An image with its picture and its bytes, None where they cannot be had."""

Kept = Callable[[bytes], bytes | None]
"""The bytes of a digest that are kept, None where they are not."""


def _nowhere(_: bytes) -> None:
    return None


_UNTOUCHED = 0.8  # agreement below which something was done, whether or not it can be named
_MILD_TONE = 0.08  # a change that leaves a picture the same
_MILD_BLUR = 2.0
_STRONG = {*RECOLOURED, "overlay", "mask", "noise", "negative"}


def original(limits: Limits, kept: Kept = _nowhere) -> Original:
    """What reads an image's bytes, wherever `bytes_of` finds them."""
    read = sides(limits, kept)

    def picture(image: Image) -> Picture | None:
        side = read(image)
        return None if side is None else side.picture

    return picture


def sides(limits: Limits, kept: Kept = _nowhere) -> Read:
    """What reads an image with its bytes, wherever `bytes_of` finds them, as one side of a direction."""

    def read(image: Image) -> Side | None:
        data = bytes_of(image, limits, kept)
        try:
            picture = None if data is None else decoded(data, limits=limits)
        except WherefromError:
            return None
        return None if picture is None else Side(picture, data, image.signs, image.credit.taken, limits)

    return read


def bytes_of(image: Image, limits: Limits, kept: Kept = _nowhere) -> bytes | None:
    """An image's bytes: of a file in which it was seen and that still has them, or else those that are kept.

    None where they are nowhere.
    """
    from wherefrom.workers import read_file

    digest = digest_of(image.id)
    seen = (path_of(sighting.uri) for sighting in image.sightings if sighting.gone is None)
    for path in seen:
        if path is None:
            continue
        try:
            data, _ = read_file(path, limits)
        except WherefromError:
            continue
        if hashlib.sha256(data).digest() == digest:
            return data
    return kept(digest)


def confirms(match: Match, query: Picture, picture: Picture) -> bool:
    """Whether the pixels say that two pictures are one where keypoints only suggest it."""
    found = compared(match, query, picture)
    return found is not None and verdict.confirms(found, match.evidence)


def looked_at(match: Match, query: Picture, picture: Picture) -> Match | None:
    """A match with the edits of its pixels named, or None when the pixels say that it is none.

    `query` and `picture` are both whole, in colour where they have any, at any size.
    """
    evidence = match.evidence
    found = compared(match, query, picture)
    if found is None:
        return match
    across, down = _reduction(query).tolist()
    negative = any(edit.name == "negative" for edit in evidence.edits)
    if verdict.refutes(found, evidence):
        return None
    added = tuple(
        replace(edit, area=tuple((x / across, y / down) for x, y in edit.area)) if edit.area else edit
        for edit in found.edits
        if not (negative and edit.name == "tone" and (edit.amount or 0) < _MILD_TONE)
    )
    kind = match.kind
    if found.visible is not None:
        whole = query.facts.width, query.facts.height
        box = np.array(found.visible).reshape(2, 2) / _reduction(picture)
        left, top, right, bottom = box.ravel().tolist()
        evidence = cut_to(
            evidence, (left, top, right, bottom), whole, (match.image.width, match.image.height)
        )
        kind = Kind.COPY if kind is Kind.SAME else kind
    evidence = replace(evidence, edits=(*evidence.edits, *added), agreement=found.agreement)
    unlike = found.textured > verdict.TEXTURED and found.agreement < _UNTOUCHED
    if kind is Kind.SAME and (unlike or any(_is_strong(edit) for edit in added)):
        kind = Kind.COPY
    return replace(match, kind=kind, evidence=evidence)


def compared(match: Match, query: Picture, picture: Picture) -> Changes | None:
    """What was done to the pixels of a match.

    None where the evidence does not say how the two lie, or what both show is too small to be looked at.
    """
    evidence = match.evidence
    if evidence.transform is None or evidence.query_area is None:
        return None
    shrunk, match_shrunk = _reduction(query), _reduction(picture)
    return changes(
        query.pixels,
        picture.pixels,
        np.diag([*shrunk, 1.0]) @ np.array(evidence.transform) @ np.diag([*(1 / match_shrunk), 1.0]),
        negative=any(edit.name == "negative" for edit in evidence.edits),
        area=np.array(evidence.query_area) * shrunk,
    )


def _reduction(picture: Picture) -> NDArray[np.float64]:
    """What a picture's width and height were multiplied by when it was decoded."""
    height, width = picture.pixels.shape[:2]
    return np.array([width / picture.facts.width, height / picture.facts.height])


def _is_strong(edit: Edit) -> bool:
    amount = edit.amount or 0.0
    strong = edit.name == "tone" and amount > _MILD_TONE
    return strong or edit.name in _STRONG or (edit.name == "blur" and amount > _MILD_BLUR)
