"""The store keeps the text side of a model beside it, and notices what does not belong there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.models.graphs import MEANS, means, saved
from tests.models.texts import WORDS, WORDY, text_model, tokenizer
from tests.pictures import assert_sentence
from wherefrom.cli.main import run
from wherefrom.errors import ModelError, ModelMissing, UsageError
from wherefrom.models import cards
from wherefrom.models.store import State, Store
from wherefrom.models.text import TextEncoder

pytest.importorskip("onnxruntime")
pytest.importorskip("tokenizers")

KEPT = ["wordy.json", "wordy.onnx", "wordy@text.onnx", "wordy@tokenizer.json"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return saved(tmp_path, text_model(), "text.onnx"), saved(tmp_path, tokenizer(), "tokenizer.json")


def card_file(folder: Path, said: dict[str, Any] = WORDY, **text: Any) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in said.items() if not isinstance(value, dict)]
    for part in ("outputs", "text"):
        if part in said:
            more = text if part == "text" else {}
            lines.append(f"[{part}]")
            lines += [f"{name} = {json.dumps(value)}" for name, value in (said[part] | more).items()]
    path = folder / f"{said['name']}.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def imported(store: Store, folder: Path, files: tuple[Path, Path] | None, **text: Any) -> Path:
    image, said = saved(folder, means(), "image.onnx"), card_file(folder, **text)
    if files is None:
        return store.import_file(image, said)
    return store.import_file(image, said, text=files[0], tokenizer=files[1])


def there(store: Store) -> list[str]:
    return sorted(path.name for path in store.directory.iterdir())


def state(store: Store, name: str = "wordy") -> State:
    return next(one.state for one in store.listed() if one.card.name == name)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_text_side_comes_and_goes_with_its_model(
    store: Store, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    assert imported(store, tmp_path, files) == store.path("wordy") == store.directory / "wordy.onnx"
    assert there(store) == KEPT
    assert "wordy" in store.names()
    assert not any("@" in name for name in store.names())
    text = store.card("wordy").text
    assert text is not None
    assert (text.sha256, text.bytes) == (sha256(text_model()), len(text_model()))
    assert (text.tokenizer_sha256, text.tokenizer_bytes) == (sha256(tokenizer()), len(tokenizer()))
    assert state(store) is State.INSTALLED
    made = TextEncoder(store.card("wordy"), store.text_folder("wordy"))
    assert made.encode("red dog").shape == (3,)
    store.use("wordy")
    store.remove("wordy")
    assert there(store) == []


def test_without_a_text_side_pictures_still_work(store: Store, tmp_path: Path) -> None:
    imported(store, tmp_path, None)
    assert there(store) == KEPT[:2]
    assert state(store) is State.INSTALLED
    assert store.path("wordy").is_file()
    with pytest.raises(ModelMissing, match="--tokenizer") as caught:
        store.text_folder("wordy")
    assert_sentence(caught.value)


@pytest.mark.parametrize("name", KEPT[2:])
def test_damage_to_either_file_is_noticed(
    store: Store, tmp_path: Path, files: tuple[Path, Path], name: str
) -> None:
    imported(store, tmp_path, files)
    path = store.directory / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert state(store) is State.DAMAGED
    with pytest.raises(ModelError, match="wherefrom models remove wordy") as caught:
        store.text_folder("wordy")
    assert_sentence(caught.value)
    path.unlink()
    assert state(store) is State.DAMAGED
    with pytest.raises(ModelMissing):
        store.text_folder("wordy")
    path.write_bytes(whole)
    assert state(store) is State.INSTALLED


def test_the_text_side_stays_with_its_own_picture_side(
    store: Store, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    imported(store, tmp_path, files)
    imported(store, tmp_path, None)
    assert there(store) == KEPT
    assert TextEncoder(store.card("wordy"), store.text_folder("wordy")).encode("cat").shape == (3,)
    store.import_file(saved(tmp_path, means(2), "other.onnx"), card_file(tmp_path))
    assert there(store) == KEPT[:2]
    with pytest.raises(ModelMissing):
        store.text_folder("wordy")
    assert state(store) is State.INSTALLED


def test_a_text_side_may_come_later_and_be_another(
    store: Store, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    imported(store, tmp_path, None)
    image = tmp_path / "image.onnx"
    store.import_file(image, "wordy", text=files[0], tokenizer=files[1])
    first = store.card("wordy")
    files[1].write_bytes(tokenizer([*WORDS[:5], "kitten", "Red"]))
    with pytest.raises(ModelError, match=r"tokenizer\.json is not the one"):
        store.import_file(image, "wordy", text=files[0], tokenizer=files[1])
    store.import_file(image, card_file(tmp_path), text=files[0], tokenizer=files[1])
    assert store.card("wordy") != first
    assert TextEncoder(store.card("wordy"), store.text_folder("wordy")).tokens("kitten") == [5, 1]


def test_what_is_not_whole_is_not_taken(store: Store, tmp_path: Path, files: tuple[Path, Path]) -> None:
    image, said = saved(tmp_path, means(), "image.onnx"), card_file(tmp_path)
    plain = card_file(tmp_path, MEANS)
    refused: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (UsageError, said, {"text": files[0]}),
        (UsageError, said, {"tokenizer": files[1]}),
        (UsageError, plain, {"text": files[0], "tokenizer": files[1]}),
        (ModelError, said, {"text": tmp_path / "absent", "tokenizer": files[1]}),
        (ModelError, said, {"text": tmp_path, "tokenizer": files[1]}),
        (ModelError, said, {"text": files[1], "tokenizer": files[0]}),
        (ModelError, said, {"text": image, "tokenizer": files[1]}),
        (ModelError, said, {"text": files[0], "tokenizer": saved(tmp_path, b"{}", "empty.json")}),
    ]
    for error, how, more in refused:
        with pytest.raises(error) as caught:
            store.import_file(image, how, **more)
        assert_sentence(caught.value)
        assert not store.directory.exists() or there(store) == []


@pytest.mark.parametrize("what", ["sha256", "tokenizer_sha256"])
def test_a_card_may_say_which_files(
    store: Store, tmp_path: Path, files: tuple[Path, Path], what: str
) -> None:
    said = {"sha256": sha256(text_model()), "tokenizer_sha256": sha256(tokenizer())}
    with pytest.raises(ModelError, match="not the one that the card wordy names") as caught:
        imported(store, tmp_path, files, **said | {what: "0" * 64})
    assert_sentence(caught.value)
    assert there(store) == []
    imported(store, tmp_path, None, **said)
    assert state(store) is State.INSTALLED
    imported(store, tmp_path, files, **said)
    assert store.text_folder("wordy") == store.directory


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_failure_in_between_is_noticed(
    store: Store, tmp_path: Path, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    imported(store, tmp_path, files)
    image, real = tmp_path / "image.onnx", Path.replace
    saved(tmp_path, text_model("int32"), "text.onnx")
    saved(tmp_path, tokenizer(end=False), "tokenizer.json")
    moved: list[Path] = []

    def replaced(path: Path, target: Path) -> Path:
        if len(moved) == at:
            raise OSError("the power went")
        moved.append(target)
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replaced)
        with pytest.raises(ModelError):
            store.import_file(image, card_file(tmp_path), text=files[0], tokenizer=files[1])
    assert there(store) == KEPT
    assert state(store) is State.DAMAGED
    store.import_file(image, card_file(tmp_path), text=files[0], tokenizer=files[1])
    assert state(store) is State.INSTALLED


def test_a_model_without_words_says_so(store: Store, tmp_path: Path) -> None:
    store.import_file(saved(tmp_path, means(), "image.onnx"), card_file(tmp_path, MEANS))
    with pytest.raises(UsageError, match="takes no words") as caught:
        store.text_folder("means")
    assert_sentence(caught.value)
    with pytest.raises(ModelMissing):
        store.text_folder("siglip2-base")
    with pytest.raises(UsageError, match="no model"):
        store.text_folder("nonsense")


def test_a_shipped_card_says_more_than_a_record(
    store: Store, tmp_path: Path, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(store, tmp_path, files)
    newer = cards.from_plain(WORDY | {"text": WORDY["text"] | {"notes": "new"}}, "wordy.toml")
    monkeypatch.setattr("wherefrom.models.store.built_in_cards", lambda: {"wordy": newer})
    text = store.card("wordy").text
    assert text is not None
    assert (text.notes, text.sha256) == ("new", sha256(text_model()))
    assert store.text_folder("wordy") == store.directory


def test_command(
    tmp_path: Path,
    files: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WHEREFROM_MODELS", str(tmp_path / "models"))
    image = saved(tmp_path, means(), "image.onnx")
    given = ["models", "import", str(image), "--card", card_file(tmp_path), "--text", str(files[0])]
    assert run([*given, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"
    assert run([*given, "--tokenizer", str(files[1]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "wordy"
    assert run(["models", "list", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed["wordy"]["text"]["tokenizer_sha256"] == sha256(tokenizer())
    assert listed["yolox-nano"]["boxes"] == "yolox"
