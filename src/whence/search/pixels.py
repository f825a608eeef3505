"""Pixels: the best matches looked at again with both pictures side by side, where the match's file is at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from whence.engine.records import Image, digest_of
from whence.errors import WhenceError
from whence.picture.decode import Limits, decode
from whence.picture.picture import Picture
from whence.search.answer import Edit, Kind, Match
from whence.search.changes import changes
from whence.sources.folder import path_of

Original = Callable[[Image], Picture | None]
"""The colour picture of an image, None where it cannot be had."""

_REFUTED, _REFUTING_SHARE = 0.3, 0.25  # agreement, and share of agreeing blocks, below which pictures differ
_TEXTURED = 0.03  # share of the common area that must have texture for that to be said
_MILD_TONE = 0.08  # a change that leaves a picture the same
_MILD_BLUR = 2.0
_STRONG = {"grey", "overlay", "noise", "negative"}


def original(limits: Limits) -> Original:
    """What reads an image's file: one in which it was seen, whose bytes are still the image's."""

    def read(image: Image) -> Picture | None:
        from whence.workers import read_file

        for sighting in image.sightings:
            path = path_of(sighting.uri)
            if path is None or sighting.gone is not None:
                continue
            try:
                data, _ = read_file(path, limits)
                if hashlib.sha256(data).digest() == digest_of(image.id):
                    return decode(data, colour=True, limits=limits)
            except WhenceError:
                continue
        return None

    return read


def looked_at(match: Match, query: Picture, picture: Picture) -> Match | None:
    """A match with the edits of its pixels named, or None when the pixels say that it is none.

    `query` and `picture` are both whole, in colour where they have any, at any size.
    """
    evidence = match.evidence
    if evidence.transform is None or evidence.query_area is None:
        return match
    to_query = np.diag(
        [query.pixels.shape[1] / query.facts.width, query.pixels.shape[0] / query.facts.height, 1]
    )
    to_match = np.diag(
        [picture.facts.width / picture.pixels.shape[1], picture.facts.height / picture.pixels.shape[0], 1]
    )
    area = np.array(evidence.query_area) * np.diag(to_query)[:2]
    negative = any(edit.name == "negative" for edit in evidence.edits)
    found = changes(
        query.pixels,
        picture.pixels,
        to_query @ np.array(evidence.transform) @ to_match,
        negative=negative,
        area=area,
    )
    if found.textured > _TEXTURED and found.agreement < _REFUTED and found.agreeing < _REFUTING_SHARE:
        return None
    back = 1 / np.diag(to_query)[:2]
    added = tuple(
        replace(edit, area=tuple((x * back[0], y * back[1]) for x, y in edit.area)) if edit.area else edit
        for edit in found.edits
        if not (negative and edit.name == "tone" and (edit.amount or 0) < _MILD_TONE)
    )
    evidence = replace(evidence, edits=(*evidence.edits, *added), agreement=found.agreement)
    kind = Kind.COPY if match.kind is Kind.SAME and any(_is_strong(edit) for edit in added) else match.kind
    return replace(match, kind=kind, evidence=evidence)


def _is_strong(edit: Edit) -> bool:
    amount = edit.amount or 0.0
    strong = edit.name == "tone" and amount > _MILD_TONE
    return strong or edit.name in _STRONG or (edit.name == "blur" and amount > _MILD_BLUR)
