"""The browser extension: what was right-clicked arrives in the page, and it needs little leave."""

from __future__ import annotations

import base64
import http.server
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, Worker, expect

from tests.page.conftest import House
from tests.page.test_searching import site
from tests.page.watching import ARGUMENTS, BROWSER, PATIENCE

FOLDER = Path(__file__).resolve().parents[2] / "extension"
PRESS = """async ([info]) => {
    const [tab] = await chrome.tabs.query({url: "http://127.0.0.1/*"});
    chrome.contextMenus.onClicked.dispatch({menuItemId: "find", frameId: 0, ...info}, tab);
}"""


@pytest.fixture
def context(driver: Playwright, house: House, tmp_path: Path) -> Iterator[BrowserContext]:
    """A browser with the extension in it, which may use the server's address."""
    # Leave is given in a window of the browser, where nothing can be pressed here: this copy has it already.
    copy = shutil.copytree(FOLDER, tmp_path / "extension", ignore=shutil.ignore_patterns("*.py"))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["host_permissions"] = ["http://127.0.0.1/*"]
    manifest["permissions"].append("tabs")
    (copy / "manifest.json").write_text(json.dumps(manifest))
    arguments = [*ARGUMENTS, f"--disable-extensions-except={copy}", f"--load-extension={copy}"]
    one = driver.chromium.launch_persistent_context(
        str(tmp_path / "profile"),
        executable_path=str(BROWSER),
        args=arguments,
        ignore_default_args=["--disable-extensions"],
    )
    one.set_default_timeout(PATIENCE)
    yield one
    one.close()


@pytest.fixture
def worker(context: BrowserContext, house: House) -> Worker:
    """The extension at work, with the server's address as its options give it."""
    one = context.service_workers[0] if context.service_workers else context.wait_for_event("serviceworker")
    page = context.new_page()
    page.goto(f"{one.url.rpartition('/')[0]}/options.html")
    page.get_by_label("Address of your Wherefrom").fill(house.url.removeprefix("http://"))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    page.close()
    return one


def until(what: Callable[[], bool]) -> None:
    """Wait for something of which the page has no event."""
    end = time.monotonic() + PATIENCE / 1000
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def pressed(context: BrowserContext, worker: Worker, info: dict[str, Any]) -> Page:
    """The page that "Find this picture" opens."""
    with context.expect_page(lambda page: "options" not in page.url) as found:
        worker.evaluate(PRESS, [info])
    return found.value


def test_a_picture_that_anybody_can_fetch_is_named_by_its_address(
    context: BrowserContext, worker: Worker, house: House
) -> None:
    with site(house.queries) as url:
        page = pressed(context, worker, {"srcUrl": f"{url}/edited.jpg", "pageUrl": "https://example.org/"})
        expect(page.locator(".verdict h1")).to_contain_text("The same picture as")
        assert "url=http" in page.url


def test_a_picture_that_only_the_browser_has_is_handed_to_the_page(
    context: BrowserContext, worker: Worker, house: House
) -> None:
    data = base64.b64encode((house.queries / "edited.jpg").read_bytes()).decode()
    with site(house.queries) as url:
        context.new_page().goto(f"{url}/text.txt")
        page = pressed(
            context, worker, {"srcUrl": f"data:image/jpeg;base64,{data}", "pageUrl": f"{url}/text.txt"}
        )
        expect(page.locator(".verdict h1")).to_contain_text("The same picture as")
        assert "token=" in page.url


def test_a_key_goes_to_no_address_where_others_could_read_it(context: BrowserContext, worker: Worker) -> None:
    page = context.new_page()
    page.goto(f"{worker.url.rpartition('/')[0]}/options.html")
    page.get_by_label("Address of your Wherefrom").fill("http://wherefrom.example.org")
    page.get_by_label("Key, if it asks for one").fill("secret")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("https://")
    assert worker.evaluate("async () => (await chrome.storage.local.get('key')).key ?? ''") == ""


def test_the_key_is_given_to_the_servers_own_origin_alone(
    context: BrowserContext, worker: Worker, house: House
) -> None:
    """Leave is given by host: another port of it, and where a redirect leads to, are somebody else's."""
    given = "async ([server]) => chrome.storage.local.set({server, key: 'wherefrom_secret'})"
    ask = "() => chrome.action.onClicked.dispatch({})"
    has = "() => sessionStorage.getItem('wherefrom-key')"

    def opened(server: str) -> Page:
        worker.evaluate(given, [server])
        with context.expect_page() as found:
            worker.evaluate(ask)
        page = found.value
        page.wait_for_load_state()
        return page

    class Leading(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", target[0])
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    target = [""]
    with (
        site(house.queries) as other,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Leading) as leading,
    ):
        thread = threading.Thread(target=leading.serve_forever)
        thread.start()
        try:
            target[0] = f"{other}/text.txt"
            led = opened(f"http://127.0.0.1:{leading.server_port}/")
            led.wait_for_url(f"{other}/text.txt")
            own = opened(f"{house.url}/")
            until(lambda: own.evaluate(has) == "wherefrom_secret")  # so it has had its time there too
            assert led.evaluate(has) is None
        finally:
            leading.shutdown()
            thread.join()


def test_it_asks_for_no_more_than_it_needs() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert manifest["manifest_version"] == 3
    assert set(manifest["permissions"]) == {"activeTab", "contextMenus", "scripting", "storage"}
    assert "host_permissions" not in manifest
    assert "content_scripts" not in manifest
    for path in manifest["icons"].values():
        assert (FOLDER / path).is_file()
