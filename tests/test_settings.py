"""Settings: defaults, the file, the environment, and sentences for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from wherefrom.errors import UsageError
from wherefrom.features.extract import Recipe
from wherefrom.picture.limits import DEFAULT_LIMITS
from wherefrom.settings import Settings, load


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load({})
    assert settings == Settings()
    assert settings.limits == DEFAULT_LIMITS
    assert settings.worker_count >= 1


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('collection = "from-file"\nworkers = 3\ndecode_seconds = 5\n')
    settings = load(
        {"WHEREFROM_CONFIG": str(file), "WHEREFROM_WORKERS": "2", "WHEREFROM_DECODE_SECONDS": "2.5"}
    )
    assert (settings.collection, settings.workers, settings.decode_seconds) == ("from-file", 2, 2.5)
    assert settings.worker_count == 2
    assert settings.limits.seconds == 2.5


def test_a_file_in_the_present_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wherefrom.toml").write_text("max_pixels = 1000\n")
    monkeypatch.chdir(tmp_path)
    assert load({}).limits.pixels == 1000


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("workers = 'x'", "number"),
        ("workers = -1", "-1"),
        ("max_bytes = 0", "0"),
        ("max_bytes = true", "True"),
        ("wrokers = 1", "no setting"),
        ("workers = = 1", "cannot be read"),
        ("device = 'tpu'", "cpu, cuda, rocm"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=word):
        load({"WHEREFROM_CONFIG": str(file)})


@pytest.mark.parametrize(
    ("name", "value"),
    [("WHEREFROM_WORKERS", "two"), ("WHEREFROM_MAX_BYTES", "-5"), ("WHEREFROM_CONFIG", "/no")],
)
def test_wrong_environment(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name if name != "WHEREFROM_CONFIG" else "/no"):
        load({name: value})


def test_what_is_computed_follows_from_the_settings() -> None:
    assert Settings(model="none").card is None
    plain = Settings(model="none", keypoints=50).recipe
    assert (plain.kept, plain.model) == (50, None)
    assert Recipe.from_plain(plain.as_plain()) == plain
    chosen = Settings(model="efficientnet-lite0", device="cuda").recipe
    assert chosen.model is not None
    assert (chosen.model.card.name, chosen.model.device) == ("efficientnet-lite0", "cuda")
    assert Recipe.from_plain(chosen.as_plain()) == chosen
    with pytest.raises(UsageError, match="no model"):
        _ = Settings(model="nonsense").card
