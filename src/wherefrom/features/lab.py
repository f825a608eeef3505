"""sRGB to CIELAB and back: CIE 1976 L*a*b* under D65, of sRGB as IEC 61966-2-1 defines it.

L* is 0 (black) to 100 (white); a* runs from green to red, b* from blue to yellow, both within ±128 for what
sRGB can show. Greys have a* = b* = 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.scalespace import Floats

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = _TO_XYZ.sum(axis=1)  # so that greys are neutral to the last digit
_TO_RELATIVE = (_TO_XYZ / _WHITE[:, None]).T.astype(np.float32)
_TO_LINEAR = np.linalg.inv(_TO_XYZ / _WHITE[:, None]).T
_KNEE = 6 / 29  # below it the cube root of CIELAB is a straight line
_SLOPE = np.float32(1 / (3 * _KNEE**2))
_OFFSET = np.float32(4 / 29)

_ENCODED = np.arange(256) / 255
_LINEAR = np.where(_ENCODED <= 0.04045, _ENCODED / 12.92, ((_ENCODED + 0.055) / 1.055) ** 2.4)
_LINEAR_OF = _LINEAR.astype(np.float32)


def lab(rgb: NDArray[np.uint8]) -> Floats:
    """L*, a*, b* float32 (n, 3) of sRGB colours, uint8 (n, 3)."""
    relative = _LINEAR_OF[rgb] @ _TO_RELATIVE
    bent = np.where(relative > np.float32(_KNEE**3), np.cbrt(relative), relative * _SLOPE + _OFFSET)
    found = np.empty(bent.shape, np.float32)
    found[:, 0] = 116 * bent[:, 1] - 16
    found[:, 1] = 500 * (bent[:, 0] - bent[:, 1])
    found[:, 2] = 200 * (bent[:, 1] - bent[:, 2])
    return found


def rgb(lab: Floats) -> NDArray[np.uint8]:
    """The sRGB colours, uint8 (n, 3), of L*, a*, b* (n, 3); what sRGB cannot show is cut off at its edge."""
    values = np.asarray(lab, np.float64)
    middle = (values[:, 0] + 16) / 116
    bent = np.stack([middle + values[:, 1] / 500, middle, middle - values[:, 2] / 200], axis=1)
    relative = np.where(bent > _KNEE, bent**3, (bent - 4 / 29) * 3 * _KNEE**2)
    linear = np.clip(relative @ _TO_LINEAR, 0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    found: NDArray[np.uint8] = np.rint(encoded * 255).astype(np.uint8)
    return found
