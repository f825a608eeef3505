"""JPEG: decoded no larger than is needed, as luma alone where that is enough."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from wherefrom.errors import UnsupportedFormat as Unsupported
from wherefrom.picture import formats
from wherefrom.picture.colour import UNCHANGED, WORKING_SIDE, image_of, is_srgb, to_pixels, tones_of
from wherefrom.picture.formats import Format
from wherefrom.picture.limits import DEFAULT_LIMITS, HEAVY_PIXELS, Limits, check_pixels
from wherefrom.picture.picture import Facts, Picture, Pixels
from wherefrom.picture.pillow import halved
from wherefrom.picture.refusals import broken, recognise

if TYPE_CHECKING:
    from PIL import ImageFile


def decode_stored(
    data: bytes, limits: Limits = DEFAULT_LIMITS, gate: AbstractContextManager[object] | None = None
) -> Picture:
    """The luma that a JPEG stores: at full size, not turned, in the file's own colours.

    Raises what `decode` raises, and UnsupportedFormat for files that are no JPEG.
    """
    import simplejpeg

    kind = recognise(data, len(data), limits)
    if kind.name != "jpeg":
        raise Unsupported(f"A {kind.title} file stores no luma apart.")
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        check_pixels(kind, width, height, limits.pixels)
        with (gate or nullcontext()) if width * height > HEAVY_PIXELS else nullcontext():
            luma: Pixels = simplejpeg.decode_jpeg(data, "GRAY", strict=False)[:, :, 0]
    except ValueError as error:
        raise broken(kind, data, error) from error
    return Picture(luma, Facts(kind.name, width, height, len(data)))


def decode_jpeg(
    kind: Format,
    image: ImageFile.ImageFile,
    data: bytes,
    colour: bool,
    limits: Limits,
    gate: AbstractContextManager[object],
    side: int,
) -> Pixels:
    """The pixels of a JPEG that Pillow has opened as `image`, at working size, or halved down to `side`."""
    buffered = not formats.is_jpeg_in_one_pass(data)
    check_pixels(kind, *image.size, limits.pixels if buffered else limits.scaled_pixels)
    factor = halved(image.size, 3, side)
    profile = image.info.get("icc_profile")
    heavy = image.width * image.height > HEAVY_PIXELS and (buffered or factor == 1)
    with gate if heavy else nullcontext():
        least = {"min_width": -(-image.width // factor), "min_height": -(-image.height // factor)}
        if image.mode in ("L", "RGB") and not colour and (tones := tones_of(profile, image.mode)) is not None:
            import simplejpeg

            # In strict mode it refuses what libjpeg merely warns of; Pillow then decides.
            with contextlib.suppress(ValueError):
                luma: Pixels = simplejpeg.decode_jpeg(data, "GRAY", **least, strict=True)[:, :, 0]
                luma = luma if tones is UNCHANGED else tones[luma]
                return luma if min(luma.shape) < 2 * WORKING_SIDE else to_pixels(image_of(luma))
        if image.mode == "RGB" and side < WORKING_SIDE and (not profile or is_srgb(profile)):
            import simplejpeg

            with contextlib.suppress(ValueError):
                small: Pixels = simplejpeg.decode_jpeg(data, "RGB", **least, strict=True)
                return small
        image.draft(image.mode, (image.width // factor, image.height // factor))
        image.load()
        return to_pixels(image)
