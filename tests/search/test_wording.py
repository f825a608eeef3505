"""Edits in words."""

from __future__ import annotations

import pytest

from wherefrom.search.answer import Edit
from wherefrom.search.wording import in_words, listed

NAMES = (
    "crop",
    "mirror",
    "rotate",
    "scale",
    "aspect",
    "perspective",
    "border",
    "grey",
    "sepia",
    "tint",
    "channels",
    "hue",
    "recoloured",
    "tone",
    "negative",
    "blur",
    "compression",
    "noise",
    "mask",
    "overlay",
    "embedded",
    "frames",
)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit("crop", 0.312), "cropped by 31 %"),
        (Edit("crop", 0.004), "cropped by under 1 %"),
        (Edit("mirror"), "mirrored"),
        (Edit("rotate", 90.0), "turned 90° clockwise"),
        (Edit("rotate", 270.0), "turned 90° anticlockwise"),
        (Edit("rotate", -5.25), "turned 5.25° anticlockwise"),
        (Edit("rotate", 180.0), "turned 180°"),
        (Edit("scale", 0.5), "reduced to 50 %"),
        (Edit("scale", 2.0), "enlarged to 200 %"),
        (Edit("aspect", 1.3), "stretched: 1.30 times as wide for its height"),
        (Edit("sepia", 0.04), "colours changed: sepia"),
        (Edit("hue", 203.9), "colours changed: hue turned by 156°"),
        (Edit("tone", 0.03), "tones slightly changed: by 3 % of the range"),
        (Edit("tone", 0.2), "tones strongly changed: by 20 % of the range"),
        (Edit("blur", 2.04), "blurred: by about 2.0 pixels"),
        (Edit("noise", 13.4), "noise added: about 13 grey levels"),
        (Edit("embedded", 0.4), "fills 40 % of the picture"),
        (Edit("something else", 1.0), "something else"),
    ],
)
def test_in_words(edit: Edit, words: str) -> None:
    assert in_words(edit) == words


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("amount", [None, 0.0, 0.4, 1.0])
def test_every_name_has_words_with_an_amount_and_without(name: str, amount: float | None) -> None:
    words = in_words(Edit(name, amount))
    assert words != name
    assert words[0].islower() or words[0].isdigit()
    assert not words.endswith(".")


def test_several_overlays_are_one_phrase_and_the_last() -> None:
    edits = (Edit("overlay", 0.1), Edit("mirror"), Edit("overlay", 0.2))
    assert listed(edits) == ["mirrored", "30 % of it differs, in 2 places"]
    assert listed(edits[:2]) == ["mirrored", "10 % of it differs"]
    assert listed(()) == []
