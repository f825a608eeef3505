"""Verdicts: what aligned pixels say of a match, against it or for it.

Keypoints agree in whatever two pictures share: one picture, or a caption, the frame of an app, a thing that
was photographed twice. Pixels tell these apart. Thresholds are set by what true copies and false pairs of
`benchmarks/copies.py` reach: edits of photographs; other photographs of the same products; one style.
"""

from __future__ import annotations

from wherefrom.search.answer import Evidence
from wherefrom.search.changes import Changes

# Of all that has texture in either picture.
_ALIKE, _ALIKE_SHARE = 0.9, 0.66  # agreement, or share of agreeing blocks, that edited pictures reach
_SURE, _SURE_SHARE, _SURE_DIFFERS = 0.915, 0.72, 0.08  # what no other picture of the same thing reaches
TEXTURED = 0.03  # share of the common area that must have texture for anything to be said
_CUT_OUT, _CUT_OUT_SHARE = 45, 0.38  # inliers, and share, that a subject cut out reaches

# Of what both show, where neither is flat.
_BLOCKS, _ONE, _ONE_SHARE, _ONE_DIFFERS = 50, 0.95, 0.9, 0.05  # what only one picture reaches ...
_ONE_INLIERS, _WHOLE = 20, 0.6  # ... with so many inliers, in so much of the match
_SOME_BLOCKS, _SOME_SHARE = 30, 0.65  # what has to agree there where keypoints only suggest a match

# Of shifts of blocks from a smooth map: their number, median and upper quartile in pixels of a frame of 200.
_SHIFTED, _PARALLAX, _FAR = 60, 0.45, 0.75  # what scenes have, and pictures have not
_BLURRED, _SOFT = 3.0, 1.4  # pixels from which what is blurred says less where it lies, and how much less

# Of what differs in one piece.
_PIECE, _SIDES = 0.15, 2  # its share, and sides along which both pictures have an edge: a window
_LARGER = 0.25  # the share, where the two do not lie square to each other
_FEW = 40  # inliers below which a piece needs no edges to speak against a match
_SLANT = 0.01  # share of the longer side by which what lies square may miss
_STRETCHED = 0.03  # of a side, by which what keeps its shape may miss
_COVERED, _BESIDE = 0.3, 30  # share that is laid over, and inliers that have to agree beside so much

# Of a part of the match, which two pictures may share.
_PART = 0.8  # of the match that is shown: less is a part
_WRITTEN_ON = 0.945  # agreement around what is laid over a part, that no second photograph of a thing reaches
_MOST_OF_IT = 0.2  # of the common area: a piece that is smaller may be what was laid over most of a picture


def refutes(found: Changes, evidence: Evidence) -> bool:
    """Whether the pixels say that two pictures only share a part, or a thing that was photographed twice."""
    if is_another_view(found):
        return True
    if is_one(found, evidence):
        return False
    inliers, coverage = evidence.inliers or 0, evidence.match_coverage or 1.0
    if coverage < _PART and _shares_a_part(found, inliers, coverage, found.covered):
        return True  # the same column of text beside another picture
    if found.covered > _COVERED and inliers < _BESIDE and not _agrees_beside(found, coverage):
        return True
    # Screens lie square to each other, photographs of things do not.
    least = _PIECE if _is_square(evidence) else _LARGER
    framed = found.framed >= _SIDES or (inliers < _FEW and found.differing > least)
    if found.differing > _PIECE and framed:
        return True  # the same app around another picture
    if found.textured < TEXTURED or found.agreement > _ALIKE or found.agreeing > _ALIKE_SHARE:
        return False
    # What was cut out and set on another ground differs in all else, and agrees in very many places.
    return inliers < _CUT_OUT or found.agreeing < _CUT_OUT_SHARE


def confirms(found: Changes, evidence: Evidence) -> bool:
    """Whether the pixels say that two pictures are one where keypoints only suggest it."""
    if is_another_view(found):
        return False
    if is_one(found, evidence):
        return True
    both = found.shared
    return (
        found.agreement > _SURE
        and found.agreeing > _SURE_SHARE
        and found.differing < _SURE_DIFFERS
        and found.textured > TEXTURED
        and both.blocks >= _SOME_BLOCKS
        and both.agreeing > _SOME_SHARE
    )


def is_another_view(found: Changes) -> bool:
    """Whether a scene was photographed twice, from two places: parallax shifts its parts by their distance.

    Nothing that is done to a picture does so: a print or a screen that is photographed is bent smoothly.
    """
    shifts = found.shifts
    blurred = any((edit.amount or 0.0) >= _BLURRED for edit in found.edits if edit.name == "blur")
    least = _SOFT if blurred else 1.0
    return shifts.blocks >= _SHIFTED and shifts.median > least * _PARALLAX and shifts.upper > least * _FAR


def is_one(found: Changes, evidence: Evidence) -> bool:
    """Whether most of the match is shown, and agrees wherever both pictures show anything.

    So does a subject that was cut out and set on white, and a picture that was written on where it was plain,
    although half of all that has texture in either differs.
    """
    both = found.shared
    return (
        both.blocks >= _BLOCKS
        and both.correlation >= _ONE
        and both.agreeing >= _ONE_SHARE
        and both.differing <= _ONE_DIFFERS
        and (evidence.inliers or 0) >= _ONE_INLIERS
        and (evidence.match_coverage or 1.0) >= _WHOLE
    )


def _shares_a_part(found: Changes, inliers: int, coverage: float, laid_over: float) -> bool:
    """Whether a part that both show is one that different pictures may share: much else is in it."""
    most = (
        coverage > _WHOLE
        and inliers >= _FEW
        and found.agreement > _ALIKE
        and found.shared.correlation > _ONE
        and found.differing < _MOST_OF_IT
        and found.framed < _SIDES
        and laid_over < _COVERED
    )
    if most:
        return False
    around = found.agreement > _WRITTEN_ON and inliers >= _FEW
    return found.differing > _PIECE or (laid_over > _PIECE and not around)


def _agrees_beside(found: Changes, coverage: float) -> bool:
    """Whether all of the match is shown, and most of it agrees: it is small, and aligned a little askew."""
    both = found.shared
    return coverage > _PART and both.blocks >= _BLOCKS and both.agreeing > _SOME_SHARE


def _is_square(evidence: Evidence) -> bool:
    """Whether the one picture lies in the other with upright sides, and in its own shape."""
    if evidence.transform is None or evidence.match_area is None:
        return True
    (across, slant, _), (lean, down, _), (near, far, whole) = evidence.transform
    width, height = (max(ends) for ends in zip(*evidence.match_area, strict=True))
    side = max(abs(across) * width, abs(down) * height, 1e-9) / max(abs(whole), 1e-9)
    misses = (slant * height, lean * width, near * width * side, far * height * side)
    if abs(abs(down) - abs(across)) > _STRETCHED * abs(across):
        return False
    return all(abs(miss) <= _SLANT * side * abs(whole) for miss in misses)
