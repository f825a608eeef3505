"""All features of a picture, and the recipe that says which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.models.graphs import card, means, saved
from tests.scenes import encoded, picture
from wherefrom.errors import ModelError
from wherefrom.features.embedding import (
    Embedding,
    Model,
)
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, KEYPOINTS, PALETTE, Recipe
from wherefrom.features.palette import Palette
from wherefrom.features.registry import blanks
from wherefrom.picture.decode import decode
from wherefrom.picture.picture import Picture

pytest.importorskip("onnxruntime")


def unit(*numbers: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.array(numbers) / np.linalg.norm(numbers)
    return found


@pytest.mark.parametrize("known", [None, Model(card(sha256="a" * 64), "/models/means.onnx")])
def test_a_recipe_in_plain_values(known: Model | None) -> None:
    recipe = Recipe(300, known)
    assert Recipe.from_plain(json.loads(json.dumps(recipe.as_plain()))) == recipe


def test_a_recipe_with_a_card_that_is_wrong_is_refused() -> None:
    plain: dict[str, Any] = Recipe(300, Model(card(), "/models/means.onnx")).as_plain()
    plain["model"]["card"]["dimension"] = -1
    with pytest.raises(ModelError):
        Recipe.from_plain(plain)


def test_every_feature_is_extracted(tmp_path: Path) -> None:
    recipe = Recipe(200, Model(card(), str(saved(tmp_path, means()))))
    recipe.prepare()
    luma = decode(encoded(picture(3)), colour=False)
    calls = []

    def colour() -> Picture:
        calls.append(1)
        return decode(encoded(picture(3)), colour=True)

    found = recipe.extract(luma, colour)
    assert set(found.data) == {FINGERPRINT, KEYPOINTS, PALETTE, EMBEDDING}
    assert len(calls) == 1
    assert len(Palette.from_bytes(found.data[PALETTE])) > 0
    shown = Embedding.from_bytes(found.data[EMBEDDING])
    whole = np.asarray(picture(3), float).mean(axis=(0, 1))
    assert shown.vector == pytest.approx(unit(*whole), abs=0.02)
    in_colour = recipe.extract(decode(encoded(picture(3)), colour=True), lambda: pytest.fail("again"))
    assert in_colour.data[EMBEDDING] == found.data[EMBEDDING]
    assert in_colour.data[PALETTE] == found.data[PALETTE]


def test_without_a_model_there_is_no_embedding() -> None:
    found = Recipe(50).extract(Picture.from_array(np.asarray(picture(1))))
    assert found.data[EMBEDDING] == b""
    assert len(found.data[PALETTE]) > 0
    assert blanks()[EMBEDDING] == b""
