"""Cards: those that are shipped are right and honest; wrong ones are refused in a sentence."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.graphs import MEANS, card
from tests.pictures import assert_sentence
from wherefrom.errors import ModelError, UsageError
from wherefrom.models.cards import ROLES, Card, built_in_card, built_in_cards, from_plain, parsed, read_card


@pytest.mark.parametrize("name", sorted(built_in_cards()))
def test_shipped_cards_are_whole(name: str) -> None:
    found = built_in_card(name)
    assert found.name == name
    assert found.licence
    assert found.source.startswith("https://")
    assert found.measured.endswith(".")
    assert set(found.outputs) <= set(ROLES)
    assert (found.sha256 is None) == (found.bytes is None)
    # What is downloaded is known by its hash.
    assert found.url is None or found.sha256 is not None


@pytest.mark.parametrize("name", sorted(built_in_cards()))
def test_a_card_survives_its_json(name: str) -> None:
    found = built_in_card(name)
    assert from_plain(json.loads(json.dumps(found.as_json())), "again.json") == found


@pytest.mark.shared
def test_the_hash_of_a_card_is_that_of_the_file(shared: Path) -> None:
    import hashlib

    data = (shared / "models" / "yolox_nano.onnx").read_bytes()
    found = built_in_card("yolox-nano")
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (found.sha256, found.bytes)


def test_a_card_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "means.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in MEANS.items() if name != "outputs"]
    path.write_text("\n".join([*lines, "[outputs]", 'vector = "vector"']), encoding="utf-8")
    assert read_card(path) == card()
    assert card().as_json()["outputs"] == {"vector": "vector"}
    assert hash(card()) == hash(read_card(path))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../evil"},
        {"name": ".hidden"},
        {"name": "a@1"},
        {"name": ""},
        {"name": 3},
        {"task": "poetry"},
        {"input_size": [4]},
        {"input_size": [0, 4]},
        {"input_size": [4, 100_000]},
        {"input_size": [4.5, 4]},
        {"mean": [0, 0]},
        {"mean": [0, 0, "x"]},
        {"mean": [0, 0, float("nan")]},
        {"std": [1, 0, 1]},
        {"unit": -1.0},
        {"share": 0.0},
        {"share": 1.5},
        {"fill": 256},
        {"crop": "corner"},
        {"layout": "CHWN"},
        {"channels": "GBR"},
        {"outputs": {}},
        {"outputs": {"smell": "x"}},
        {"outputs": {"vector": 3}},
        {"outputs": 3},
        {"dimension": True},
        {"dimension": 0},
        {"sha256": "abc"},
        {"sha256": "A" * 64},
        {"bytes": 0},
        {"url": "https://pictures.test/a.onnx"},
        {"colour": "red"},
        {"text": {"input": "a"}},
        {"text": 3},
        {"built": {"package": "os", "file": "../x", "sha256": "0" * 64, "precision": "int8"}},
        {"built": {"package": "os", "file": "/x", "sha256": "0" * 64, "precision": "int8"}},
        {"built": {"package": "a b", "file": "x", "sha256": "0" * 64, "precision": "int8"}},
        {"built": {"package": "os", "file": "x", "sha256": "0" * 64, "precision": "int4"}},
    ],
)
def test_wrong_cards_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        card(**changes)
    assert_sentence(caught.value)


DETECTOR = {
    "task": "detection",
    "boxes": "yolox",
    "outputs": {"boxes": "boxes"},
    "crop": "pad",
    "input_size": [32, 64],
}
TEXT = {"input": "ids", "output": "vector", "length": 8}


@pytest.mark.parametrize(
    "changes",
    [
        {"boxes": "yolox"},
        DETECTOR | {"boxes": None},
        DETECTOR | {"boxes": "ssd"},
        DETECTOR | {"boxes": "detr"},
        DETECTOR | {"outputs": {"logits": "logits"}},
        DETECTOR | {"crop": "centre"},
        DETECTOR | {"input_size": [32, 65]},
        {"text": TEXT},
        {"task": "embedding+text"},
        {"task": "embedding+text", "text": TEXT, "outputs": {"features": "vector"}},
        *(
            {"task": "embedding+text", "text": TEXT | wrong}
            for wrong in (
                {"length": 0},
                {"length": 100_000},
                {"length": True},
                {"pad": -1},
                {"pad": 2**31},
                {"lower": 1},
                {"lower": "yes"},
                {"mask": "ids"},
                {"mask": 3},
                {"sha256": "abc"},
                {"tokenizer_sha256": "A" * 64},
                {"bytes": 0},
                {"tokenizer_bytes": -1},
                {"smell": "x"},
            )
        ),
    ],
)
def test_wrong_detectors_and_texts_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        card(**changes)
    assert_sentence(caught.value)


def test_right_detectors_and_texts_are_taken() -> None:
    assert card(**DETECTOR).boxes == "yolox"
    outputs = {"boxes": "boxes", "logits": "logits"}
    assert card(**DETECTOR | {"boxes": "detr", "crop": "squash", "outputs": outputs}).boxes == "detr"
    found = card(task="embedding+text", text=TEXT | {"lower": True, "mask": None})
    assert found.text is not None
    assert (found.text.lower, found.text.pad, found.text.mask) == (True, 0, None)
    assert from_plain(json.loads(json.dumps(found.as_json())), "again.json") == found


@pytest.mark.parametrize("missing", [name for name in MEANS if name != "crop"])
def test_what_a_card_must_say(missing: str) -> None:
    with pytest.raises(ModelError, match=missing):
        from_plain({name: value for name, value in MEANS.items() if name != missing}, "test.toml")


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        parsed(data, "noise.toml")
    assert str(caught.value).endswith(".")


def test_long_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="longer"):
        parsed(b"#" * 70_000, "long.toml")
    with pytest.raises(ModelError, match="cannot be read"):
        read_card(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="yolox-nano"):
        built_in_card("nonsense")


def test_toml_of_the_package_states_no_unknown_url() -> None:
    folder = Path(str(__import__("wherefrom.models.cards", fromlist=["cards"]).__file__)).with_name("cards")
    files = sorted(folder.glob("*.toml"))
    assert len(files) == len(built_in_cards())
    for path in files:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        assert said["name"] == path.stem


def test_cards_cannot_be_changed() -> None:
    found: Card = built_in_card("yolox-nano")
    with pytest.raises(AttributeError):
        found.name = "other"  # type: ignore[misc]
