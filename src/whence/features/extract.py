"""All features of a picture, in the form in which they are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.features import fingerprint, keypoints
from whence.picture.picture import Picture

FINGERPRINT = "pdq"
KEYPOINTS = "keypoints"

VERSIONS = {FINGERPRINT: fingerprint.VERSION, KEYPOINTS: keypoints.VERSION}
"""The version of each kind of feature that this program computes."""


@dataclass(frozen=True, slots=True)
class Features:
    """What is computed from one picture: bytes by kind, and the fingerprint's quality (0 to 100)."""

    data: dict[str, bytes]
    quality: int


def nothing() -> dict[str, bytes]:
    """The features of an image whose picture cannot be had any more: by them it is never found."""
    blank = fingerprint.Fingerprint(np.zeros(fingerprint.CODE_BYTES, np.uint8), quality=0, usable=False)
    return {FINGERPRINT: blank.to_bytes(), KEYPOINTS: b""}


def extract(picture: Picture, kept: int = keypoints.KEPT) -> Features:
    """Every feature of a picture, with up to `kept` keypoints."""
    known = fingerprint.fingerprint(picture)
    data = {FINGERPRINT: known.to_bytes(), KEYPOINTS: keypoints.keypoints(picture, kept).to_bytes()}
    return Features(data, known.quality)
