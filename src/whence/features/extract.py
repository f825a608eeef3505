"""All features of a picture, in the form in which they are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whence.features import fingerprint
from whence.picture.picture import Picture

FINGERPRINT = "pdq"

VERSIONS = {FINGERPRINT: fingerprint.VERSION}
"""The version of each kind of feature that this program computes."""


@dataclass(frozen=True, slots=True)
class Features:
    """What is computed from one picture: bytes by kind, and the fingerprint's quality (0 to 100)."""

    data: dict[str, bytes]
    quality: int


def nothing() -> dict[str, bytes]:
    """The features of an image whose picture cannot be had any more: by them it is never found."""
    blank = fingerprint.Fingerprint(np.zeros(fingerprint.CODE_BYTES, np.uint8), quality=0, usable=False)
    return {FINGERPRINT: blank.to_bytes()}


def extract(picture: Picture) -> Features:
    """Every feature of a picture."""
    known = fingerprint.fingerprint(picture)
    return Features({FINGERPRINT: known.to_bytes()}, known.quality)
