"""Collections, keys and running servers for clients of other services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image, ImageOps

# isort: split
from tests.scenes import encoded, picture
from tests.server.compat.served import server

# isort: split
import wherefrom
from wherefrom.receiving import Upload
from wherefrom.server.keys import FILE_NAME, Keys, Rate, Scope


@dataclass(frozen=True)
class Served:
    """A running server: its address, and keys by what they are for."""

    url: str
    keys: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="session")
def cat() -> Image.Image:
    """A photograph of a cat."""
    return Image.fromarray(pytest.importorskip("skimage.data").chelsea())


@pytest.fixture(scope="session")
def query(cat: Image.Image) -> bytes:
    """The cat's head and shoulders, mirrored, as JPEG."""
    return encoded(ImageOps.mirror(cat.crop((0, 0, 300, 300))))


def filled(folder: Path, cat: Image.Image) -> Path:
    """The collections photos, of three pictures, and logos, of none."""
    with wherefrom.open(folder / "photos", create=True, settings=wherefrom.Settings(workers=1)) as photos:
        photos.receive(
            [
                Upload(
                    encoded(cat, "PNG"),
                    "https://www.pictures.test/cat.png",
                    "https://pages.test/cats",
                    "Cats",
                ),
                Upload(encoded(cat.resize((300, 200))), name="small cat.jpg"),
                Upload(encoded(picture(7)), "https://pictures.test/7.jpg"),
            ]
        )
    wherefrom.open(folder / "logos", create=True).close()
    return folder


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, cat: Image.Image) -> Iterator[Served]:
    """A server that wants keys."""
    folder = filled(tmp_path_factory.mktemp("served"), cat)
    keys = Keys(folder / "photos" / FILE_NAME, create=True)
    texts = {scope.value: keys.create(scope.value, scope)[0] for scope in Scope}
    for name in ("counted", "hasty", "batches"):  # which tests use up
        texts[name] = keys.create(name, Scope.SEARCH, rate=Rate.parse("20/hour"))[0]
    with server(folder) as url:
        yield Served(url, texts)


@pytest.fixture(scope="session")
def keyless(tmp_path_factory: pytest.TempPathFactory, cat: Image.Image) -> Iterator[Served]:
    """A server without keys."""
    with server(filled(tmp_path_factory.mktemp("keyless"), cat)) as url:
        yield Served(url)
