"""For everybody: nothing that axe finds, phone and dark, keyboard, keys, sizes, nothing from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, Route, expect

from tests.page.conftest import MODEL, House, Look
from tests.page.watching import PHONE, watched
from tests.server.running import served
from wherefrom.server.keys import Keys, Scope
from wherefrom.server.pages import FOLDER

RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],  # of what passes, no node is described: half the time
}


def faults(page: Page) -> str:
    """What axe finds, as text."""
    page.wait_for_timeout(350)  # what fades in is there
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate("(rules) => axe.run(document, rules).then((result) => result.violations)", RULES)
    return "\n".join(
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:4]]}" for one in found
    )


def test_axe_finds_nothing_in_any_view(look: Look, house: House) -> None:
    one = look(color_scheme="light")
    one.expected |= {404}
    page = one.open()
    expect(page.locator(".held")).to_contain_text("pictures")
    assert faults(page) == ""
    page = one.search(house.queries / "edited.jpg")
    page.get_by_role("button", name="Search a part").click()
    assert faults(page) == ""
    page.keyboard.press("Escape")
    page.locator("summary", has_text="Filter").click()
    assert faults(page) == ""
    page.keyboard.press("Escape")
    page.locator("#tier-copies .card-link").first.click()
    for view in ("sides", "slider", "blink", "difference"):
        page.locator(f"[data-how={view}]").click()
        expect(page.locator(".fitted > *")).to_be_visible()
        assert faults(page) == ""
    page = one.search(house.queries / "unknown.jpg")
    assert faults(page) == ""
    page = one.open("#view=images")
    page.locator(".card-link").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert faults(page) == ""
    page = one.open("#view=add")
    page.locator("#folder").wait_for()
    assert faults(page) == ""
    page = one.open("#token=forgotten")
    expect(page.locator(".state")).to_be_visible()
    assert faults(page) == ""


def test_axe_finds_nothing_on_a_phone_in_the_dark(look: Look, house: House) -> None:
    one = look(color_scheme="dark", viewport=PHONE, has_touch=True, is_mobile=True)
    one.expected |= {404}
    page = one.search(house.queries / "edited.jpg")
    assert faults(page) == ""
    page.locator("#tier-copies .card-link").first.click()
    expect(page.locator(".fitted > *")).to_be_visible()
    assert faults(page) == ""
    page = one.open("#view=images")
    expect(page.locator(".card").first).to_be_visible()
    assert faults(page) == ""
    page = one.open("#view=duplicates")
    page.locator(".state, .group").first.wait_for()
    if page.locator(".state").count():
        assert faults(page) == ""
        page.get_by_role("button", name="Look").first.click()
    expect(page.locator(".group").first).to_be_visible()
    assert faults(page) == ""


def test_nothing_is_wider_than_a_small_phone(look: Look, house: House) -> None:
    one = look(viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    one.expected |= {404}
    for route in ("", "#view=images", "#view=duplicates", "#view=add"):
        page = one.open(route) if route else one.search(house.queries / "edited.jpg")
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, route


def test_all_of_a_search_is_done_by_keyboard(look: Look, house: House) -> None:
    page = look(own=True).open()
    page.on("filechooser", lambda _: None)  # from here on the browser asks us, and opens no window
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    choose = page.get_by_role("button", name="Choose a picture")
    for _ in range(12):
        page.keyboard.press("Tab")
        if choose.evaluate("(button) => button === document.activeElement"):
            break
    expect(choose).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(house.queries / "edited.jpg")
    page.locator("#tier-copies .card-link").first.wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.card-link')"):
            break
    seen = page.evaluate("getComputedStyle(document.activeElement, '::after').outlineStyle")
    assert seen == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_what_happens_is_announced(look: Look, house: House) -> None:
    page = look().search(house.queries / "edited.jpg")
    expect(page.get_by_role("status").first).to_contain_text("found.")


def test_dark_light_and_the_choice_between_them(look: Look) -> None:
    page = look(color_scheme="dark").open()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    button = page.get_by_role("button", name="Appearance")
    button.click()
    expect(button).to_have_accessible_name("Appearance: Light")
    assert page.evaluate(ground) != dark
    page.reload()
    assert page.evaluate(ground) != dark


def test_a_key_is_asked_for_kept_for_the_tab_and_shows_pictures(
    browser: Browser, house: House, tmp_path: Path
) -> None:
    shutil.copytree(house.folder.with_name("small.wherefrom"), tmp_path / "own.wherefrom")
    secret, _ = Keys(tmp_path / "own.wherefrom" / "keys.db", create=True).create("somebody", Scope.SEARCH)
    with (
        served(tmp_path / "own.wherefrom", options=("--workers", "1"), model=MODEL) as running,
        watched(browser, running.url) as one,
    ):
        one.expected |= {401}
        page = one.open()
        page.locator("input[type=file]").first.set_input_files(house.queries / "edited.jpg")
        dialog = page.get_by_role("dialog", name="This server asks for a key")
        dialog.get_by_label("Key").fill("wherefrom_wrong")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("did not accept")
        dialog.get_by_label("Key").fill(secret)
        page.keyboard.press("Enter")
        expect(page.locator(".verdict h1")).to_contain_text("The same picture as")
        card = page.locator("#tier-copies .card img").first
        expect(card).not_to_have_js_property("naturalWidth", 0)
        assert page.evaluate("Object.values(localStorage).join()") == ""
        page.reload()
        expect(page.locator(".verdict h1")).to_contain_text("The same picture as")


def test_a_wrong_key_keeps_the_dialog_on_the_first_page_too(
    browser: Browser, house: House, tmp_path: Path
) -> None:
    shutil.copytree(house.folder.with_name("small.wherefrom"), tmp_path / "own.wherefrom")
    Keys(tmp_path / "own.wherefrom" / "keys.db", create=True).create("somebody", Scope.SEARCH)
    with (
        served(tmp_path / "own.wherefrom", options=("--workers", "1"), model=MODEL) as running,
        watched(browser, running.url) as one,
    ):
        one.expected |= {401}
        page = one.open()
        page.get_by_role("button", name="Enter a key").click()
        dialog = page.get_by_role("dialog", name="This server asks for a key")
        dialog.get_by_label("Key").fill("wherefrom_wrong")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("did not accept")
        expect(dialog).to_be_visible()


def test_an_address_that_another_site_leads_to_is_fetched_only_when_the_person_says_so(look: Look) -> None:
    one = look(own=True)
    asked: list[str] = []

    def no(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    one.page.on("dialog", no)
    one.page.goto(f"{one.url}#url=https%3A%2F%2Fevil.test%2Fa.jpg", referer="https://evil.test/")
    expect(one.page.get_by_role("heading", level=1)).to_be_visible()
    assert len(asked) == 1
    assert "https://evil.test/a.jpg" in asked[0]
    assert "evil.test" not in one.page.evaluate("location.hash")
    assert not any("/api/v1/search" in url for url in one.asked)


def test_the_first_paint_takes_less_than_100_kb(look: Look) -> None:
    one = look(own=True)
    one.page.add_init_script(
        """new MutationObserver((_, watch) => {
            if (!document.querySelector("h1")) return;
            window.painted = performance.now();
            watch.disconnect();
        }).observe(document, {childList: true, subtree: true});"""
    )
    one.page.goto(one.url)
    one.page.wait_for_selector("h1")
    # What is loaded in advance, a moment later, is no part of it however slow the machine is.
    sizes = one.page.evaluate(
        """() => ["navigation", "resource"]
            .flatMap((kind) => performance.getEntriesByType(kind))
            .filter((one) => one.startTime <= window.painted)
            .map((one) => one.decodedBodySize)"""
    )
    assert len(sizes) > 10
    assert 50_000 < sum(sizes) < 100_000
    assert all("/api/" in url or url.startswith(one.url) for url in one.asked)


def test_files_of_the_page_are_short_and_have_nothing_inline_or_from_elsewhere() -> None:
    names = sorted(path for path in FOLDER.rglob("*") if path.suffix in (".js", ".css", ".html"))
    assert len(names) > 20
    for path in names:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 400, path
        elsewhere = [url for url in re.findall(r"https?://[^\s\"'`)]+", text) if "www.w3.org" not in url]
        assert elsewhere in ([], ["https://…"]), (path, elsewhere)
        assert "innerHTML" not in text
        assert "homography" not in text
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)


def test_of_5000_images_only_those_in_sight_are_drawn(look: Look, house: House) -> None:
    one = look(own=True)
    page = one.page
    with httpx.Client(trust_env=False) as client:
        image = client.get(f"{house.url}/api/v1/images", params={"limit": 1}).json()["images"][0]
    page.route("**/api/v1/images?*", many(image, 5000))
    page.goto(one.url + "#view=images")
    page.wait_for_selector(".card")
    page.evaluate(
        """async () => {
            const late = Date.now() + 40000;
            while (document.querySelectorAll(".card").length < 5000 && Date.now() < late) {
                scrollTo(0, document.documentElement.scrollHeight);
                await new Promise((after) => setTimeout(after, 20));
            }
            scrollTo(0, document.documentElement.scrollHeight / 2);
            await new Promise((after) => setTimeout(after, 300));
        }"""
    )
    assert page.locator(".card").count() == 5000
    drawn = page.evaluate(
        """() => {
            const first = [...document.querySelectorAll(".cards > :first-child")];
            return first.filter((one) => one.checkVisibility({contentVisibilityAuto: true})).length;
        }"""
    )
    assert drawn < 10
    page.unroute_all(behavior="ignoreErrors")


def many(image: dict[str, Any], total: int) -> Callable[[Route], None]:
    """Answers to a request for images with `total` that there are not; all show one that there is."""

    def answer(route: Route) -> None:
        query = dict(parse_qsl(urlsplit(route.request.url).query))
        start, limit = int(query.get("cursor", 0)), int(query["limit"])
        images = [image | {"width": 200 + number % 700} for number in range(start, min(start + limit, total))]
        more = start + limit if start + limit < total else None
        body = {"images": images, "total": total, "next": None if more is None else str(more)}
        route.fulfill(status=200, content_type="application/json", body=json.dumps(body))

    return answer
