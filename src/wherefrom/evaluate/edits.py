"""Edits: what people do to pictures before they post them again, each with its ground truth.

An edit takes an upright RGB image, chance, and other pictures where it shows several, and gives the
edited one; the same seed and pictures give the same pixels. `EDITS` is all of them by name; the amount
is in the name. `SUITE` is what the robustness table measures, in its order, and `BARS` what is asked.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from wherefrom.evaluate import compositions, geometry, overlays, photographed, tone
from wherefrom.evaluate.edited import Edited, Editor, Others, Random, kept, linear_scale
from wherefrom.evaluate.scenery import companions
from wherefrom.evaluate.tone import encoded, recoded

__all__ = [
    "BARS",
    "EDITS",
    "GEOMETRY",
    "HARD",
    "OTHER",
    "PARTIAL",
    "PLAIN",
    "SUITE",
    "TONE",
    "Edited",
    "edit",
    "edited",
    "encoded",
    "recoded",
]

EDITS: dict[str, Editor] = {}

_SCALE_SLACK = 0.05  # relative: a smaller change of size is not worth naming


def edited(name: str, image: Image.Image, seed: int = 0, others: Others = ()) -> Edited:
    """An image edited by the edit of that name, with the truth about it; KeyError for an unknown name.

    `others` are pictures to show beside it, where the edit shows several; landscapes are drawn where
    they are too few. `scale` is among the names when the picture's middle became over 5 % larger or
    smaller.
    """
    random = np.random.default_rng([seed, len(name), *name.encode()])
    done = EDITS[name](image.convert("RGB"), random, [other.convert("RGB") for other in others])
    if done.transform is None:
        return done
    scale = linear_scale(done.transform, *image.size)
    if abs(scale - 1) <= _SCALE_SLACK:
        return done
    return Edited(done.image, done.transform, done.names | {"scale"})


def edit(name: str, image: Image.Image, seed: int = 0, others: Others = ()) -> Image.Image:
    """The picture alone of `edited`."""
    return edited(name, image, seed, others).image


def _toned(name: str, named: str, editor: Callable[[Image.Image], Image.Image]) -> None:
    """An edit that moves nothing; `named` is what explanations call it, several words apart, or none."""
    EDITS[name] = lambda image, _random, _others: kept(editor(image), *named.split())


def _noised(sigma: int) -> None:
    EDITS[f"noise {sigma}"] = lambda image, random, _others: kept(tone.noisy(image, random, sigma), "noise")


def _moving(name: str, editor: Callable[[Image.Image], Edited]) -> None:
    """An edit that leaves nothing to chance."""
    EDITS[name] = lambda image, _random, _others: editor(image)


def _chancy(name: str, editor: Callable[[Image.Image, Random], Edited]) -> None:
    EDITS[name] = lambda image, random, _others: editor(image, random)


def _chain(name: str, *names: str) -> None:
    """Edits one after the other."""

    def editor(image: Image.Image, random: Random, others: Others) -> Edited:
        return _chained(names, image, random, others)

    EDITS[name] = editor


def _chained(names: tuple[str, ...], image: Image.Image, random: Random, others: Others) -> Edited:
    done = kept(image)
    for name in names:
        done = done.then(EDITS[name], random, others)
    return done


_toned("jpeg q10", "compression", lambda i: recoded(i, "JPEG", 10))
_toned("jpeg q30", "compression", lambda i: recoded(i, "JPEG", 30))
_toned("jpeg q50", "compression", lambda i: recoded(i, "JPEG", 50))
_toned("webp q20", "compression", lambda i: recoded(i, "WEBP", 20))
_toned("webp q40", "compression", lambda i: recoded(i, "WEBP", 40))
_toned("avif q40", "compression", lambda i: recoded(i, "AVIF", 40))
_toned("avif q20", "compression", lambda i: recoded(i, "AVIF", 20))
_moving("resize 12 %", lambda i: geometry.resized(i, 0.125))
_moving("resize 25 %", lambda i: geometry.resized(i, 0.25))
_moving("resize 50 %", lambda i: geometry.resized(i, 0.5))
_moving("resize 200 %", lambda i: geometry.resized(i, 2))
_toned("grey", "grey", tone.grey)
_toned("brightness +30 %", "tone", lambda i: ImageEnhance.Brightness(i).enhance(1.3))
_toned("brightness -40 %", "tone", lambda i: ImageEnhance.Brightness(i).enhance(0.6))
_toned("brightness +60 %", "tone", lambda i: ImageEnhance.Brightness(i).enhance(1.6))
_toned("contrast +50 %", "tone", lambda i: ImageEnhance.Contrast(i).enhance(1.5))
_toned("contrast -50 %", "tone", lambda i: ImageEnhance.Contrast(i).enhance(0.5))
_toned("gamma 0.6", "tone", lambda i: tone.gamma(i, 0.6))
_toned("gamma 1.6", "tone", lambda i: tone.gamma(i, 1.6))
_toned("saturation +80 %", "tone", lambda i: ImageEnhance.Color(i).enhance(1.8))
_toned("filter warm", "tone", tone.warm)
_toned("filter cold", "tone", tone.cold)
_toned("filter black and white", "grey tone", tone.stark)
_toned("filter vignette", "tone", tone.crossed)
_toned("blur 1", "blur", lambda i: tone.blurred(i, 1))
_toned("blur 2", "blur", lambda i: tone.blurred(i, 2))
_toned("blur 4", "blur", lambda i: tone.blurred(i, 4))
_toned("sharpen", "", lambda i: i.filter(ImageFilter.UnsharpMask(2, 150)))
_noised(10)
_noised(20)
_noised(35)
_toned("halftone 4", "grey", lambda i: tone.halftoned(i, 4))
_toned("pixelate 4", "blur", lambda i: tone.pixelated(i, 4))
_toned("negative", "negative", ImageOps.invert)

_moving("aspect 1.3", lambda i: geometry.reshaped(i, 1.3, 1))
_moving("aspect 0.77", lambda i: geometry.reshaped(i, 1, 1.3))
_moving("aspect 1.6", lambda i: geometry.reshaped(i, 1.6, 1))
_moving("mirror", geometry.mirrored)
_moving("flip", geometry.flipped)
_moving("turn 90", lambda i: geometry.quarter_turned(i, 1))
_moving("turn 180", lambda i: geometry.quarter_turned(i, 2))
_moving("turn 270", lambda i: geometry.quarter_turned(i, 3))
_chain("mirror, turn 90", "mirror", "turn 90")
_moving("rotate 5", lambda i: geometry.rotated(i, 5))
_moving("rotate 10", lambda i: geometry.rotated(i, 10))
_moving("rotate 15", lambda i: geometry.rotated(i, 15))
_moving("rotate 30", lambda i: geometry.rotated(i, 30))
_moving("rotate 45", lambda i: geometry.rotated(i, 45))
_moving("rotate 5, cropped", lambda i: geometry.rotated_inside(i, 5))
_moving("rotate 10, cropped", lambda i: geometry.rotated_inside(i, 10))
_chancy("crop 90 %", lambda i, random: geometry.cropped(i, random, 0.9))
_chancy("crop 70 %", lambda i, random: geometry.cropped(i, random, 0.7))
_chancy("crop 50 %", lambda i, random: geometry.cropped(i, random, 0.5))
_chancy("crop 30 %", lambda i, random: geometry.cropped(i, random, 0.3))
_chancy("crop 20 %", lambda i, random: geometry.cropped(i, random, 0.2))
_moving("crop 50 %, top left", lambda i: geometry.cropped_at(i, 0.5, 0, 0))
_moving("crop 50 %, top right", lambda i: geometry.cropped_at(i, 0.5, 1, 0))
_moving("crop 50 %, bottom left", lambda i: geometry.cropped_at(i, 0.5, 0, 1))
_moving("crop 50 %, bottom right", lambda i: geometry.cropped_at(i, 0.5, 1, 1))
_moving("crop 50 %, middle", lambda i: geometry.cropped_at(i, 0.5, 0.5, 0.5))
_chancy("perspective 5 %", lambda i, random: geometry.tilted(i, random, 0.05))
_chancy("perspective 25 %", lambda i, random: geometry.tilted(i, random, 0.25))
_moving("border 5 % white", lambda i: geometry.bordered(i, 0.05, "white"))
_moving("border 25 % white", lambda i: geometry.bordered(i, 0.25, "white"))
_chancy("perspective 15 %", lambda i, random: geometry.tilted(i, random, 0.15))
_moving("border 10 % white", lambda i: geometry.bordered(i, 0.1, "white"))
_moving("border 10 % black", lambda i: geometry.bordered(i, 0.1, "black"))
_moving("border 10 % blue", lambda i: geometry.bordered(i, 0.1, "#2060c0"))
_moving("letterbox 16:9", lambda i: geometry.letterboxed(i, 16 / 9 if i.width / i.height < 1.7 else 4 / 3))
_moving("pillarbox 1:1", lambda i: geometry.letterboxed(i, 1.0))
_chain("border 10 %, mirror, jpeg q30", "border 10 % white", "mirror", "jpeg q30")
_moving("swirl 60", lambda i: geometry.swirled(i, 60))
_moving("swirl 30", lambda i: geometry.swirled(i, 30))
_moving("swirl 120", lambda i: geometry.swirled(i, 120))

_chancy("caption above", lambda i, random: overlays.captioned(i, random, above=True))
_chancy("caption below", lambda i, random: overlays.captioned(i, random, above=False))
_chancy("text over", overlays.written_over)
_chancy("watermark", overlays.watermarked)
_chancy("logo", overlays.badged)
_chancy("stickers", overlays.stickered)

_chancy("photo of a screen", photographed.off_screen)
_chancy("photo of a print", photographed.off_print)
_chancy("screenshot 40 %", lambda i, random: compositions.screenshot(i, random, 0.4))
_chancy("screenshot 25 %", lambda i, random: compositions.screenshot(i, random, 0.25))
EDITS["collage 25 %"] = compositions.collage
EDITS["picture in picture 15 %"] = lambda i, random, others: compositions.inset(i, random, others, 0.15)
EDITS["picture in picture 30 %"] = lambda i, random, others: compositions.inset(i, random, others, 0.3)
EDITS["picture in picture 8 %"] = lambda i, random, others: compositions.inset(i, random, others, 0.08)
_moving("cut-out on white", lambda i: compositions.cut_out(i, "white", "overlay"))
EDITS["cut-out on another"] = lambda i, random, others: compositions.cut_out(
    i, companions(others, random, [i.size])[0], "embedded"
)
_chain("jpeg q50, webp q40, avif q40", "jpeg q50", "webp q40", "avif q40")

# In the order in which people do them: a crop of a bordered picture would mostly crop its border.
_MILD = (
    "crop 90 %",
    "mirror",
    "rotate 5",
    "aspect 1.3",
    "brightness +30 %",
    "contrast -50 %",
    "gamma 0.6",
    "filter warm",
    "grey",
    "sharpen",
    "blur 1",
    "noise 10",
    "logo",
    "text over",
    "watermark",
    "border 10 % white",
    "resize 50 %",
    "webp q20",
    "jpeg q50",
)


def _several(name: str, count: int) -> None:
    """So many different ones of the mild edits, drawn by chance."""

    def editor(image: Image.Image, random: Random, others: Others) -> Edited:
        drawn = np.sort(random.choice(len(_MILD), count, replace=False))
        return _chained(tuple(_MILD[number] for number in drawn), image, random, others)

    EDITS[name] = editor


_several("one random edit", 1)
_several("two random edits", 2)
_several("three random edits", 3)
_several("five random edits", 5)

TONE = (
    "jpeg q10",
    "resize 25 %",
    "grey",
    "brightness +30 %",
    "brightness -40 %",
    "contrast +50 %",
    "contrast -50 %",
    "gamma 0.6",
    "gamma 1.6",
    "blur 1",
    "noise 10",
)
"""Edits that leave a picture what and where it was: fingerprints alone find these."""

GEOMETRY = (
    "mirror",
    "turn 90",
    "turn 180",
    "turn 270",
    "negative",
    "border 10 % white",
    "border 10 % black",
    "border 10 % blue",
    "letterbox 16:9",
    "pillarbox 1:1",
)
"""Edits that orientation, the negative or trimming explains."""

PLAIN = (
    "rotate 5",
    "rotate 10",
    "rotate 15",
    "rotate 30",
    "rotate 45",
    "rotate 5, cropped",
    "rotate 10, cropped",
    "crop 90 %",
    "crop 70 %",
    "crop 50 %",
    "aspect 1.3",
    "aspect 0.77",
    "perspective 15 %",
    "caption above",
    "caption below",
    "text over",
    "watermark",
    "logo",
    "blur 2",
    "noise 35",
    "filter warm",
    "filter cold",
    "filter black and white",
    "filter vignette",
)
"""Edits that keypoints explain, and that leave most of the picture."""

HARD = ("crop 30 %", "blur 4", "photo of a screen", "three random edits")
"""Edits that leave little, or do much at once."""

PARTIAL = ("screenshot 40 %", "collage 25 %", "picture in picture 15 %")
"""Edits after which the picture is a part of another one."""

OTHER = (
    "jpeg q50, webp q40, avif q40",
    "photo of a print",
    "stickers",
    "cut-out on white",
    "cut-out on another",
    "halftone 4",
    "pixelate 4",
    "swirl 60",
)
"""Edits that are measured without a bar."""

SUITE = (*TONE, *GEOMETRY, *PLAIN, *HARD, *PARTIAL, *OTHER)
"""What the robustness table shows, in its order."""

BARS: dict[str, float] = {
    **dict.fromkeys((*TONE, *GEOMETRY, *PLAIN), 0.99),
    **dict.fromkeys(HARD, 0.95),
    "screenshot 40 %": 0.97,
    "collage 25 %": 0.95,
    "picture in picture 15 %": 0.93,
}
"""The least recall@1 as a claim that is asked of each edit; those of `OTHER` have none."""
