"""One collection, one server and one browser for all that is tested of the page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageOps

import wherefrom
from tests.scenes import encoded, picture
from tests.server.running import served
from wherefrom.settings import Settings

pytest.importorskip("playwright", reason="the browser's driver is not installed")

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.page.watching import Watched, context_of, launched, watched

MODEL = "efficientnet-lite0-int8"
RIGHT_TO_LEFT = "صورة قديمة من البيت.jpg"
ODD = (
    b"line\nbreak \x1b[31mred\x07 <b>.jpg",
    b"caf\xe9 \xff \xc3\xa9.jpg",
    "a\u202egpj.exe \u2066x\u2069 \u2028 \x85 \U000e0001.jpg".encode(),
)
"""Names of one picture in bytes of their own; nothing in them may be obeyed or hidden."""

Look = Callable[..., Watched]


@dataclass(frozen=True)
class House:
    """A server and what it serves: `folder` has the pictures, `queries` others to search for."""

    url: str
    folder: Path
    queries: Path
    more: Path


@pytest.fixture(scope="session")
def driver() -> Iterator[Playwright]:
    """What drives browsers."""
    with sync_playwright() as one:
        yield one


@pytest.fixture(scope="session")
def browser(driver: Playwright) -> Iterator[Browser]:
    """The browser."""
    one = launched(driver)
    yield one
    one.close()


@pytest.fixture(scope="session")
def house(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server of three collections: `small` and `odd`, of hostile names, which tests leave as they are, and
    `spare`, which they change."""
    root = tmp_path_factory.mktemp("house")
    folder, queries, more = root / "pictures", root / "queries", root / "more"
    for path in (folder / "edited", queries, more / "folder"):
        path.mkdir(parents=True)
    originals(folder)
    edited(folder / "edited")
    asked(queries, folder)
    for number in range(40, 46):
        (more / "folder" / f"new {number}.jpg").write_bytes(encoded(picture(number)))
    (more / "folder" / "broken.jpg").write_bytes(encoded(picture(50))[:600])
    for name in ("small", "spare"):
        with wherefrom.open(
            root / f"{name}.wherefrom", create=True, settings=Settings(model=MODEL)
        ) as collection:
            assert not collection.add(folder).failed
    odd = root / "odd pictures"
    odd.mkdir()
    for number, odd_name in enumerate(ODD):
        (odd / os.fsdecode(odd_name)).write_bytes(encoded(picture(0, 320, 240 - number)))
    with wherefrom.open(root / "odd.wherefrom", create=True, settings=Settings(model=MODEL)) as collection:
        assert not collection.add(odd).failed
    os.environ["WHEREFROM_ALLOW_PRIVATE"] = "127.0.0.0/8"
    bins = os.environ.get("XDG_DATA_HOME")
    os.environ["XDG_DATA_HOME"] = str(root / "data")
    try:
        stores = [f"{name}={root / name}.wherefrom" for name in ("small", "spare", "odd")]
        with served(*stores, options=("--index-root", str(more), "--workers", "1"), model=MODEL) as running:
            yield House(running.url, folder, queries, more)
    finally:
        del os.environ["WHEREFROM_ALLOW_PRIVATE"], os.environ["XDG_DATA_HOME"]
        if bins is not None:
            os.environ["XDG_DATA_HOME"] = bins


class Tab:
    """The page of a person without wishes. Tests hand it on to each other: a new one takes half a second."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._page: Page | None = None

    @contextmanager
    def watched(self, url: str) -> Iterator[Watched]:
        """It, as if it were new; afterwards nothing may have gone wrong in it."""
        page = self._page or context_of(self._browser).new_page()
        self._page = None
        one = Watched(page, url)
        try:
            yield one
            assert not one.wrong, "\n".join(one.wrong)
            if one.leave():
                self._page = page
        finally:
            if self._page is not page:
                page.context.close()  # and the next gets a new one


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Tab:
    """What `look` opens where nothing is asked for."""
    return Tab(browser)


@pytest.fixture
def look(browser: Browser, house: House, tab: Tab) -> Iterator[Look]:
    """Opens watched pages: `look(viewport=…, color_scheme=…)`; `own=True` for who listens or alters it."""
    with ExitStack() as stack:

        def opened(*, own: bool = False, **options: Any) -> Watched:
            plain = not own and not options
            return stack.enter_context(
                tab.watched(house.url) if plain else watched(browser, house.url, **options)
            )

        yield opened


def originals(folder: Path) -> None:
    """Eight pictures without relation."""
    for number in range(8):
        (folder / f"original {number}.jpg").write_bytes(encoded(picture(number)))


def edited(folder: Path) -> None:
    """Copies of the first picture, one of which has a name that is written from right to left."""
    image = picture(0)
    width, height = image.size
    ImageOps.mirror(image).save(folder / "mirrored.jpg", quality=92)
    image.crop((60, 30, width, height)).save(folder / "cropped.jpg", quality=92)
    image.resize((width // 2, height // 2)).save(folder / RIGHT_TO_LEFT, quality=92)
    captioned = image.copy()
    ImageDraw.Draw(captioned).rectangle((0, height - 50, width, height), fill="black")
    captioned.save(folder / ("a caption and a name that is very long indeed " * 3 + ".jpg"), quality=92)
    sheet = Image.new("RGB", (2 * width, height), "white")
    sheet.paste(image, (0, 0))
    sheet.paste(picture(1), (width, 0))
    sheet.save(folder / "collage.jpg", quality=92)


def asked(folder: Path, pictures: Path) -> None:
    """Pictures to search for."""
    (folder / "same.jpg").write_bytes((pictures / "original 0.jpg").read_bytes())
    image = picture(0)
    part = ImageOps.mirror(image).crop((0, 0, 330, 300))
    ImageDraw.Draw(part).ellipse((20, 20, 90, 90), fill="orange")
    part.save(folder / "edited.jpg", quality=85)
    picture(30).save(folder / "unknown.jpg", quality=85)
    (folder / "text.txt").write_text("This is not a picture.")
