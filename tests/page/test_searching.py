"""Ways into a search, and what its answer shows."""

from __future__ import annotations

import base64
import csv
import functools
import http.server
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, Route, expect

import wherefrom
from tests.page.conftest import RIGHT_TO_LEFT, House, Look
from tests.page.watching import watched
from tests.server.running import served
from wherefrom.settings import Settings


def dropped(page: Page, file: Path, kind: str = "drop") -> None:
    """Drop or paste a file as a person does: with a DataTransfer."""
    page.evaluate(
        """([data, name, kind]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const moved = new DataTransfer();
            moved.items.add(new File([bytes], name, {type: "image/jpeg"}));
            const event = kind === "drop"
                ? new DragEvent("drop", {dataTransfer: moved, bubbles: true, cancelable: true})
                : new ClipboardEvent("paste", {clipboardData: moved, bubbles: true, cancelable: true});
            document.body.dispatchEvent(event);
        }""",
        [base64.b64encode(file.read_bytes()).decode(), file.name, kind],
    )


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """A site on this machine with the files of a folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_dropped_picture_is_searched_at_once_and_the_answer_says_where_it_comes_from(
    look: Look, house: House
) -> None:
    page = look().open()
    dropped(page, house.queries / "edited.jpg")
    verdict = page.locator(".verdict h1")
    expect(verdict).to_contain_text("The same picture as")
    expect(verdict).to_contain_text("mirrored")
    expect(page.locator("wherefrom-query img")).to_be_visible()
    copies = page.locator("#tier-copies")
    expect(copies.locator("h2")).to_contain_text("Edited copies")
    card = copies.locator(".card").first
    expect(card).to_contain_text("cropped")
    expect(card).to_contain_text("400 × 300".replace(" ", "\u202f"))
    expect(card).to_contain_text("since")
    expect(page.locator("#tier-alike .card").first).to_be_visible()
    assert "token=" in page.url


def test_a_pasted_picture_and_one_that_is_the_very_same_file(look: Look, house: House) -> None:
    page = look().open()
    dropped(page, house.queries / "same.jpg", "paste")
    expect(page.locator(".verdict h1")).to_contain_text("This is exactly original 0.jpg")
    expect(page.locator("#tier-same .card").first).to_contain_text("The very same file")


def test_a_second_picture_takes_the_place_of_the_first(look: Look, house: House) -> None:
    page = look().open()
    dropped(page, house.queries / "edited.jpg")
    expect(page.locator(".verdict h1")).to_contain_text("The same picture as")
    dropped(page, house.queries / "same.jpg")
    expect(page.locator(".verdict h1")).to_contain_text("This is exactly original 0.jpg")
    expect(page.locator("#tier-same .card").first).to_be_visible()
    dropped(page, house.queries / "unknown.jpg")
    expect(page.get_by_role("heading", name="No copy was found")).to_be_visible()


def test_an_address_is_fetched_by_the_server_and_makes_a_link_that_lasts(look: Look, house: House) -> None:
    one = look()
    page = one.open()
    with site(house.queries) as url:
        page.get_by_label("Address of a picture").fill(f"{url}/edited.jpg")
        page.keyboard.press("Enter")
        expect(page.locator(".verdict h1")).to_contain_text("The same picture as")
        assert "url=http" in page.url
        page.reload()
        expect(page.locator(".verdict h1")).to_contain_text("The same picture as")
        one.expected |= {403, 502}
        page.evaluate("location.hash = 'url=' + encodeURIComponent('http://10.0.0.1/a.jpg')")
        expect(page.get_by_role("heading", name="This address may not be fetched")).to_be_visible()


def test_a_photo_of_the_camera_is_searched(look: Look) -> None:
    page = look(permissions=["camera"]).open()
    page.get_by_role("button", name="Take a photo").click()
    shoot = page.get_by_role("button", name="Take the photo")
    expect(shoot).to_be_enabled()
    shoot.click()
    expect(page.locator(".verdict h1")).to_be_visible()
    expect(page.locator("dialog")).to_have_count(0)


def test_nothing_found_says_why_and_what_to_try(look: Look, house: House) -> None:
    page = look().search(house.queries / "unknown.jpg")
    expect(page.get_by_role("heading", name="No copy was found")).to_be_visible()
    expect(page.locator(".nothing-why")).to_contain_text("No match among")
    expect(page.locator(".nothing-why li").first).to_be_visible()
    expect(page.locator("#tier-alike .card").first).to_be_visible()


def test_what_is_no_picture_is_said_in_a_sentence(look: Look, house: House) -> None:
    one = look()
    one.expected |= {415}
    page = one.open()
    page.locator("input[type=file]").first.set_input_files(house.queries / "text.txt")
    expect(page.get_by_role("heading", name="This is not a picture")).to_be_visible()
    page.get_by_role("button", name="Another picture").last.click()
    expect(page.get_by_role("heading", name="Where does this picture come from?")).to_be_visible()


def test_a_part_is_chosen_by_keyboard_and_searched_again(look: Look, house: House) -> None:
    page = look().search(house.queries / "edited.jpg")
    page.get_by_role("button", name="Search a part").focus()
    page.keyboard.press("Enter")
    box = page.locator(".region-box")
    expect(box).to_be_focused()
    before = box.get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    assert box.get_attribute("aria-label") != before
    page.keyboard.press("Enter")
    page.wait_for_url("**region=*")
    expect(page.locator(".verdict h1")).to_be_visible()
    expect(page.get_by_text("A part of your picture was searched.")).to_be_visible()
    page.go_back()
    expect(page.locator(".region-box")).to_be_hidden()
    expect(page.locator(".verdict h1")).to_contain_text("The same picture as")


def test_a_part_is_drawn_with_the_mouse_and_typed_in_numbers(look: Look, house: House) -> None:
    page = look().search(house.queries / "edited.jpg")
    area = page.locator(".surface").bounding_box()
    assert area is not None
    page.mouse.move(area["x"] + area["width"] * 0.3, area["y"] + area["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.9, area["y"] + area["height"] * 0.9, steps=4)
    page.mouse.up()
    page.wait_for_url("**region=*")
    page.get_by_text("By numbers").click()
    left = page.get_by_role("spinbutton", name="Left")
    left.fill("10")
    left.press("Enter")
    page.wait_for_url("**region=10*")
    page.get_by_role("button", name="Search the whole picture").click()
    page.wait_for_url(lambda url: "region" not in url)


def test_a_thing_that_was_found_in_it_is_searched_alone(look: Look, house: House) -> None:
    page = look().search(house.queries / "edited.jpg")
    things = page.locator(".thing-button")
    expect(page.locator("#tier-alike .card").first).to_be_visible()
    if things.count():
        things.first.click()
        page.wait_for_url("**region=*")
        expect(page.locator(".verdict h1")).to_be_visible()


def test_order_filter_tier_and_back_are_in_the_address(look: Look, house: House) -> None:
    page = look().search(house.queries / "edited.jpg")
    page.get_by_label("Sort").select_option("smallest")
    page.wait_for_url("**sort=smallest*")
    expect(page.locator("#tier-copies .card-name").first).to_have_text(RIGHT_TO_LEFT)
    expect(page.locator("#tier-alike .card").first).to_be_visible()
    page.get_by_role("navigation", name="Kinds of match").get_by_text("Alike").click()
    expect(page.locator("#tier-copies")).to_be_hidden()
    page.go_back()
    expect(page.locator("#tier-copies")).to_be_visible()
    page.locator("summary", has_text="Filter").click()
    page.get_by_label("Path or address contains").fill("edited")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**filter=*")
    expect(page.locator("#tier-copies .card")).not_to_have_count(0)
    places = page.locator("#tier-copies .card-place")
    expect(places.filter(has_not_text="edited")).to_have_count(0)  # once the new answer is there
    page.locator("summary", has_text="Filter").click()
    assert page.get_by_label("Path or address contains").input_value() == "edited"


def test_answers_are_saved_and_shared(look: Look, house: House) -> None:
    page = look(permissions=["clipboard-read", "clipboard-write"]).search(house.queries / "edited.jpg")
    expect(page.locator("#tier-alike .card").first).to_be_visible()
    texts = {}
    for name, ending in (("Save as JSON", "json"), ("Save as CSV", "csv")):
        page.locator("summary", has_text="More").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        assert download.value.suggested_filename.endswith(ending)
        texts[ending] = Path(download.value.path()).read_text(encoding="utf-8-sig")
    matches = json.loads(texts["json"])["matches"]
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [row["id"] for row in rows] == [match["id"] for match in matches]
    assert {"copy", "similar"} <= {row["kind"] for row in rows}
    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Share a link").click()
    expect(page.locator(".notice")).to_contain_text("The link was copied.")
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_a_search_that_the_server_forgot_is_said_so(look: Look) -> None:
    one = look()
    one.expected |= {404}
    page = one.open("#token=forgotten")
    expect(page.get_by_role("heading", name="This search is no longer kept")).to_be_visible()


def test_a_server_that_is_away_is_tried_again(look: Look, house: House) -> None:
    one = look()
    one.expected |= {0}
    page = one.open()
    expect(page.locator(".held")).to_contain_text("pictures")
    page.wait_for_timeout(400)
    page.context.set_offline(True)
    page.locator("input[type=file]").first.set_input_files(house.queries / "edited.jpg")
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator(".verdict h1")).to_contain_text("The same picture as")


def test_what_takes_long_is_named_and_a_dead_link_is_no_unknown_format(look: Look, house: House) -> None:
    one = look(own=True)
    page = one.open()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/v1/search*", hold, times=1)
    page.locator("input[type=file]").first.set_input_files(house.queries / "edited.jpg")
    expect(page.locator(".late")).to_contain_text("Still sending your picture.")
    expect(page.locator(".progress-words")).to_contain_text("Sending")
    held[0].continue_()
    expect(page.locator(".verdict h1")).to_be_visible()
    one.expected = {404, 502}
    with site(house.queries) as url:
        page = one.open(f"#url={quote(url + '/gone.jpg', safe='')}")
        expect(page.get_by_role("heading", name="The address could not be fetched")).to_be_visible()
        expect(page.get_by_text("It is searched all the same")).to_be_hidden()
    page = one.open("#token=" + 24 * "x")
    expect(page.get_by_role("heading", name="This search is no longer kept")).to_be_visible()
    expect(page.get_by_text("It is searched all the same")).to_be_hidden()


def test_a_server_that_is_gone_is_said_when_a_card_is_pressed(
    browser: Browser, house: House, tmp_path: Path
) -> None:
    with wherefrom.open(tmp_path / "photos", create=True, settings=Settings(model="none")) as collection:
        collection.add(house.folder / "original 0.jpg")
    with (
        served(tmp_path / "photos", options=("--workers", "1")) as running,
        watched(browser, running.url) as one,
    ):
        page = one.open("#view=add")
        off = page.get_by_text("Adding folders from this page is off. To allow one, start the server with:")
        expect(off).to_be_visible()
        page = one.search(house.queries / "edited.jpg")
        one.expected = {0}
        running.end()
        page.locator("a.card-link").first.click()
        expect(page.locator("#wherefrom-notices")).to_contain_text("The server does not answer")
        expect(page).not_to_have_url(re.compile("match="))
