"""Files of several frames or pages: two of them are one picture only where all their frames are."""

from __future__ import annotations

from dataclasses import replace

from wherefrom.picture.frames import go_on_alike
from wherefrom.picture.picture import Facts
from wherefrom.records import Image
from wherefrom.search.answer import Edit, Kind, Match

FRAMES = "frames"
"""The edit of a match that begins like the query and is not known to go on like it."""

_PAGED = ("pdf", "tiff")  # documents, of which none stands for an animation


def alike(one: Image, other: Image) -> bool:
    """Whether two images are known to show the same from their first frame to the last."""
    return _alike(_told(one), _told(other))


def only_begins(match: Match, query: Facts) -> Match:
    """The match for a query of such facts, `partial` where only what both files begin with is one picture."""
    there = _told(match.image)
    if match.kind not in (Kind.SAME, Kind.COPY, Kind.PARTIAL) or _alike(_asked(query), there):
        return match
    both = bool(query.codes and there[2]) or query.frames != match.image.frames
    edits = (*match.evidence.edits, Edit(FRAMES, 1.0 if both else None))
    return replace(match, kind=Kind.PARTIAL, evidence=replace(match.evidence, edits=edits))


_Told = tuple[str, int, str | None]


def _told(image: Image) -> _Told:
    return image.format, image.frames, image.signs.frames if image.signs else None


def _asked(facts: Facts) -> _Told:
    return facts.format, facts.frames, facts.codes


def _alike(one: _Told, other: _Told) -> bool:
    if one[1] == other[1] == 1:
        return True
    same_kind = one[0] == other[0] or not {one[0], other[0]} & set(_PAGED)
    return same_kind and go_on_alike((one[1], other[1]), (one[2], other[2]))
