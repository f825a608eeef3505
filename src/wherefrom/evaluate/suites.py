"""Suites: which edits are tried, how strong each is, and what kind of match is right for it.

An edit belongs to a *family*; within one, those with a *strength* lie on a curve. Its unit is the family's
own (quality, share kept, degrees, ...; `AXES` says which), and what is harder may be more or less of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wherefrom.errors import UsageError
from wherefrom.evaluate.edits import EDITS

TRIALS = 100
"""How often each edit of the default suite is tried, where there are so many originals: at 99 found of 100
the 95 % interval is 94.6 to 99.8 %."""

_SAME, _MILD, _COPY = ("same",), ("same", "copy"), ("copy",)
_PART, _LITTLE = ("partial", "copy"), ("partial",)

AXES: dict[str, str] = {
    "jpeg": "quality",
    "webp": "quality",
    "avif": "quality",
    "resize": "% of the side",
    "crop": "% of the area kept",
    "rotation": "degrees",
    "aspect": "width to height, times",
    "perspective": "% a corner moves",
    "brightness": "%",
    "contrast": "%",
    "gamma": "power",
    "blur": "sigma in pixels",
    "noise": "standard deviation in grey levels",
    "border": "% of the longer side",
    "screenshot": "% of the area",
    "picture in picture": "% of the area",
    "swirl": "degrees",
    "random edits": "edits in a row",
}
"""What the strengths of a family are."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One edit of a suite.

    `edit` is one of `EDITS`; `strength` is its place on the family's curve, None where it has no degree;
    `kinds` are the kinds of match that are right for it. `beside` says that it shows other pictures too, and
    `covered` that the outline of the picture is not what is left of it, so that areas are not compared.
    """

    edit: str
    family: str
    strength: float | None = None
    kinds: tuple[str, ...] = _COPY
    beside: bool = False
    covered: bool = False


@dataclass(frozen=True, slots=True)
class Suite:
    """Edits to try. `trials` is how often each is tried at least, where there are so many originals; None is
    on every original."""

    name: str
    attempts: tuple[Attempt, ...]
    trials: int | None = TRIALS

    def per_original(self, originals: int) -> int:
        """How many edits each of so many originals is put through."""
        count = len(self.attempts)
        if self.trials is None or originals <= self.trials:
            return count
        return min(count, -(-self.trials * count // originals))

    def parts(self, originals: int, seed: int) -> list[tuple[Attempt, ...]]:
        """For each original of the sample the edits that are tried on it, in the suite's order.

        A window over a shuffled suite moves on by its own length from original to original: each edit is
        tried as often as any other, give or take one, and none twice on one original.
        """
        count, wide = len(self.attempts), self.per_original(originals)
        order = np.random.default_rng([seed, count]).permutation(count)
        return [
            tuple(self.attempts[row] for row in sorted(order[(place * wide + np.arange(wide)) % count]))
            for place in range(originals)
        ]

    def only(self, names: Sequence[str]) -> Suite:
        """These edits alone, in the order in which they are given. Raises UsageError for an unknown one."""
        unknown = [name for name in names if name not in ATTEMPTS]
        if unknown:
            raise UsageError(
                f"There is no edit {unknown[0]!r}. There are: {'; '.join(ATTEMPTS)}."
                if len(unknown) == 1
                else f"There are no edits {'; '.join(unknown)}. There are: {'; '.join(ATTEMPTS)}."
            )
        return Suite("chosen", tuple(ATTEMPTS[name] for name in dict.fromkeys(names)), self.trials)


def suite(name: str) -> Suite:
    """The suite of that name; raises UsageError when there is none."""
    if name not in SUITES:
        raise UsageError(f"Suites are {', '.join(SUITES)}; {name!r} is none.")
    return SUITES[name]


def _graded(
    family: str, kinds: tuple[str, ...], *steps: tuple[str, float], beside: bool = False
) -> list[Attempt]:
    return [Attempt(edit, family, strength, kinds, beside) for edit, strength in steps]


def _plain(family: str, kinds: tuple[str, ...], *edits: str, covered: bool = False) -> list[Attempt]:
    return [Attempt(edit, family, None, kinds, covered=covered) for edit in edits]


_ALL: Iterable[Attempt] = (
    *_graded("jpeg", _SAME, ("jpeg q50", 50), ("jpeg q30", 30)),
    *_graded("jpeg", _MILD, ("jpeg q10", 10)),
    *_graded("webp", _MILD, ("webp q40", 40), ("webp q20", 20)),
    *_graded("avif", _MILD, ("avif q40", 40), ("avif q20", 20)),
    *_plain("chain", _MILD, "jpeg q50, webp q40, avif q40"),
    *_graded(
        "resize",
        _SAME,
        ("resize 200 %", 200),
        ("resize 50 %", 50),
        ("resize 25 %", 25),
        ("resize 12 %", 12.5),
    ),
    *_graded("crop", _COPY, ("crop 90 %", 90), ("crop 70 %", 70), ("crop 50 %", 50)),
    *_graded("crop", _PART, ("crop 30 %", 30)),
    *_graded("crop", _LITTLE, ("crop 20 %", 20)),
    *_plain(
        "crop position",
        _COPY,
        "crop 50 %, middle",
        "crop 50 %, top left",
        "crop 50 %, top right",
        "crop 50 %, bottom left",
        "crop 50 %, bottom right",
    ),
    *_graded(
        "rotation",
        _COPY,
        ("rotate 5", 5),
        ("rotate 10", 10),
        ("rotate 15", 15),
        ("rotate 30", 30),
        ("rotate 45", 45),
    ),
    *_plain("rotation, cropped", _COPY, "rotate 5, cropped", "rotate 10, cropped"),
    *_plain("turn", _COPY, "turn 90", "turn 180", "turn 270"),
    *_plain("flip", _COPY, "mirror", "flip", "mirror, turn 90"),
    *_graded("aspect", _COPY, ("aspect 0.77", 0.77), ("aspect 1.3", 1.3), ("aspect 1.6", 1.6)),
    *_graded(
        "perspective",
        _COPY,
        ("perspective 5 %", 5),
        ("perspective 15 %", 15),
        ("perspective 25 %", 25),
    ),
    *_graded(
        "brightness", _MILD, ("brightness -40 %", -40), ("brightness +30 %", 30), ("brightness +60 %", 60)
    ),
    *_graded("contrast", _MILD, ("contrast -50 %", -50), ("contrast +50 %", 50)),
    *_graded("gamma", _MILD, ("gamma 0.6", 0.6), ("gamma 1.6", 1.6)),
    *_plain("colour", _MILD, "saturation +80 %"),
    *_plain("colour", _COPY, "grey", "negative"),
    *_plain("filter", _MILD, "filter warm", "filter cold", "filter vignette"),
    *_plain("filter", _COPY, "filter black and white"),
    *_graded("blur", _MILD, ("blur 1", 1), ("blur 2", 2), ("blur 4", 4)),
    *_plain("sharpen", _MILD, "sharpen"),
    *_graded("noise", _MILD, ("noise 10", 10), ("noise 20", 20), ("noise 35", 35)),
    *_plain("text", _MILD, "text over", covered=False),
    *_plain("caption", _COPY, "caption above", "caption below"),
    *_plain("overlay", _MILD, "watermark", "logo", "stickers"),
    *_graded("border", _COPY, ("border 5 % white", 5), ("border 10 % white", 10), ("border 25 % white", 25)),
    *_plain("border colour", _COPY, "border 10 % black", "border 10 % blue"),
    *_plain("letterbox", _COPY, "letterbox 16:9", "pillarbox 1:1"),
    *_graded("screenshot", _PART, ("screenshot 40 %", 40), ("screenshot 25 %", 25)),
    Attempt("collage 25 %", "collage", None, _LITTLE, beside=True),
    *_graded(
        "picture in picture",
        _LITTLE,
        ("picture in picture 30 %", 30),
        ("picture in picture 15 %", 15),
        ("picture in picture 8 %", 8),
        beside=True,
    ),
    *_plain("photographed", _PART, "photo of a screen", "photo of a print"),
    *_plain("print", _MILD, "halftone 4", "pixelate 4"),
    *_graded("swirl", _PART, ("swirl 30", 30), ("swirl 60", 60), ("swirl 120", 120)),
    Attempt("cut-out on white", "cut-out", None, ("partial", "copy"), covered=True),
    Attempt("cut-out on another", "cut-out", None, ("partial", "copy"), beside=True, covered=True),
    *_plain("several", _COPY, "border 10 %, mirror, jpeg q30"),
    *_graded("random edits", _MILD, ("one random edit", 1), ("two random edits", 2)),
    *_graded("random edits", _MILD, ("three random edits", 3), ("five random edits", 5)),
)

ATTEMPTS: dict[str, Attempt] = {one.edit: one for one in _ALL}
"""Every edit that can be tried, by name, in the order in which a report shows them."""

_QUICK = (
    "jpeg q10",
    "resize 25 %",
    "crop 70 %",
    "crop 30 %",
    "rotate 15",
    "mirror",
    "perspective 15 %",
    "filter warm",
    "text over",
    "border 10 % white",
    "screenshot 40 %",
    "collage 25 %",
    "photo of a screen",
    "three random edits",
)

SUITES: dict[str, Suite] = {
    "quick": Suite("quick", tuple(ATTEMPTS[name] for name in _QUICK)),
    "default": Suite("default", tuple(ATTEMPTS.values())),
    "full": Suite("full", tuple(ATTEMPTS.values()), None),
}
"""The suites by name."""

assert set(ATTEMPTS) <= set(EDITS)
