"""A browser's page that is watched: what it says, what goes wrong in it, and where it asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    Response,
)

BROWSER = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
WIDE = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE = 15_000.0  # ms


def launched(playwright: Playwright) -> Browser:
    """The browser that is installed; the test is skipped without one, or fails where one has to be."""
    if not BROWSER.exists():
        if os.environ.get("WHEREFROM_REQUIRE_BROWSER") == "1":
            pytest.fail(f"there is no browser at {BROWSER}")
        pytest.skip(f"there is no browser at {BROWSER}")
    return playwright.chromium.launch(executable_path=str(BROWSER), args=ARGUMENTS)


class Watched:
    """A page with its address, and all that it should not have done.

    `expected` are the statuses of answers that a test brings about: a browser reports those by itself.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.url = url.rstrip("/") + "/"
        self.expected: set[int] = set()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page = page
        page.context.set_default_timeout(PATIENCE)
        page.on("console", self._said)
        page.on("pageerror", self._failed)
        page.on("request", self._request)
        page.on("response", self._response)

    def leave(self) -> bool:
        """Whether the page is as good as new: it forgets what it kept, and nobody listens to it."""
        page = self.page
        if not page.url.startswith(self.url):  # only there can what it kept of the server be cleared
            return False
        page.remove_listener("console", self._said)
        page.remove_listener("pageerror", self._failed)
        page.remove_listener("request", self._request)
        page.remove_listener("response", self._response)
        page.evaluate("localStorage.clear(), sessionStorage.clear()")
        page.context.clear_cookies()
        page.context.set_offline(False)
        page.goto("about:blank")
        return True

    def _failed(self, error: Error) -> None:
        self.wrong.append(f"error: {error}")

    def _said(self, message: ConsoleMessage) -> None:
        brought_about = message.text.startswith("Failed to load resource") and any(
            f"status of {status} " in message.text for status in self.expected
        )
        cut = "net::ERR_" in message.text and 0 in self.expected
        if not (brought_about or cut):
            self.wrong.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)
        if not request.url.startswith((self.url, "blob:", "data:")):
            self.wrong.append(f"asked elsewhere: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.wrong.append(f"{response.status}: {response.url}")

    def open(self, route: str = "") -> Page:
        """The page at an address behind `#`."""
        if self.page.url != "about:blank":  # or else a change behind `#` alone would load nothing
            self.page.goto("about:blank")
        self.page.goto(self.url + route)
        self.page.wait_for_selector("main > *")
        return self.page

    def search(self, file: Path) -> Page:
        """The answer to a picture that was chosen."""
        page = self.open()
        page.locator("input[type=file]").first.set_input_files(file)
        page.wait_for_selector(".verdict h1")
        return page


def context_of(browser: Browser, **options: Any) -> BrowserContext:
    """A context of one's own."""
    return browser.new_context(**({"viewport": WIDE, "locale": "en-GB"} | options))


@contextmanager
def watched(browser: Browser, url: str, **options: Any) -> Iterator[Watched]:
    """A page in a context of its own; afterwards nothing may have gone wrong in it."""
    with context_of(browser, **options) as context:
        one = Watched(context.new_page(), url)
        yield one
        assert not one.wrong, "\n".join(one.wrong)
