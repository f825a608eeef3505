"""A collection is opened by a path or a URL."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

import wherefrom
from tests.engine.models import new_image
from tests.pictures import assert_sentence
from wherefrom.cli.main import run
from wherefrom.cli.serving import named
from wherefrom.engine.base import Engine
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.engine.memory import MemoryEngine
from wherefrom.engine.opening import open_engine
from wherefrom.errors import CollectionMissing, Exit, UsageError
from wherefrom.features.extract import VERSIONS


def opened(target: str | Path, *, create: bool = False) -> Engine:
    return open_engine(target, create=create, versions=VERSIONS, dimension=0)


@pytest.mark.parametrize("form", ["{0}", "file://{0}", "FILE://{0}", "file://localhost{0}"])
def test_a_path_and_the_url_of_a_file_are_a_directory(tmp_path: Path, form: str) -> None:
    place = tmp_path / "a b"
    target = form.format(str(place) if form == "{0}" else str(place).replace(" ", "%20"))
    with closing(opened(target, create=True)) as engine:
        assert isinstance(engine, EmbeddedEngine)
        assert engine.directory == place
        engine.add([new_image(1)])
    with closing(opened(place)) as engine:
        assert engine.count() == 1
    with pytest.raises(CollectionMissing):
        opened(f"{target}-else")


def test_a_collection_in_memory_is_a_new_one_each_time() -> None:
    for _ in range(2):
        with closing(opened("memory://mine")) as engine:
            assert isinstance(engine, MemoryEngine)
            assert engine.count() == 0
            engine.add([new_image(1)])
            beside = engine.directory
            assert beside.is_dir()
        assert not beside.exists()


@pytest.mark.parametrize("url", ["postgres://host/photos", "file://elsewhere/photos", "https://example.com"])
def test_another_url_is_refused_with_what_is_known(url: str) -> None:
    with pytest.raises(UsageError, match="memory://") as caught:
        wherefrom.open(url, create=True)
    assert_sentence(caught.value)


def test_the_command_line_takes_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHEREFROM_REGISTRY", str(tmp_path / "known.json"))
    (tmp_path / "in").mkdir()
    assert run(["index", "in", "-c", f"file://{tmp_path}/photos"]) == Exit.OK
    assert (tmp_path / "photos" / "wherefrom.json").is_file()
    assert run(["index", "in", "-c", "memory://"]) == Exit.OK
    assert run(["index", "in", "-c", "ftp://photos"]) == Exit.USAGE
    assert "memory:" not in (tmp_path / "known.json").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "known.json", "photos"]


def test_what_needs_a_directory_takes_its_url_and_refuses_memory(tmp_path: Path) -> None:
    assert named((f"file://{tmp_path}/a.wherefrom", f"b={tmp_path}/c")) == (
        ("a", tmp_path / "a.wherefrom"),
        ("b", tmp_path / "c"),
    )
    with pytest.raises(UsageError, match="has no directory") as caught:
        named(("memory://",))
    assert_sentence(caught.value)
