"""A match and how we know: every way to look at it, and the way back."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.page.conftest import House, Look

ORIGINAL = '#tier-copies .card-link[aria-label*="original 0"]'


def test_a_match_opens_into_its_proof_and_closes_to_the_card_it_came_from(look: Look, house: House) -> None:
    page = look().search(house.queries / "edited.jpg")
    before = page.url
    card = page.locator(ORIGINAL)
    card.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.wait_for_url("**match=sha256*")
    expect(dialog.locator(".proof-verdict")).to_contain_text("The same picture as")
    expect(dialog.locator(".outline").first).to_be_attached()
    expect(dialog.get_by_role("heading", name="How we know")).to_be_visible()
    expect(dialog.locator(".plain-list")).to_contain_text("the same arrangement")
    expect(dialog.locator(".places")).to_contain_text("original 0.jpg")
    expect(dialog.locator(".rows").first).to_contain_text("JPEG")
    expect(dialog.locator(".kin li").first).to_be_attached()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.wait_for_url(before)
    expect(card).to_be_focused()
    page.go_forward()
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_be_hidden()


def test_points_and_areas_are_drawn_where_the_evidence_says(look: Look, house: House) -> None:
    page = look().search(house.queries / "edited.jpg")
    page.locator(ORIGINAL).click()
    page.get_by_label("Points that agree").check()
    expect(page.locator(".points")).to_have_css("opacity", "1")
    places = page.evaluate(
        """() => {
            const sides = [...document.querySelectorAll(".side")].map((side) => side.getBoundingClientRect());
            const inside = (dot) => {
                const {x, y, width, height} = dot.getBoundingClientRect();
                const [cx, cy] = [x + width / 2, y + height / 2];
                const held = (side) =>
                    Math.abs(cx - (side.left + side.right) / 2) <= side.width / 2 + 2 &&
                    Math.abs(cy - (side.top + side.bottom) / 2) <= side.height / 2 + 2;
                return sides.some(held);
            };
            const dots = [...document.querySelectorAll(".points circle")];
            return [dots.length, dots.filter(inside).length];
        }"""
    )
    assert places[0] > 20
    assert places[0] == places[1]
    page.get_by_label("Areas that both show").uncheck()
    expect(page.locator(".areas")).to_have_css("opacity", "0")


def test_slider_blink_and_difference_are_ways_to_look_at_it(look: Look, house: House) -> None:
    page = look(reduced_motion="reduce").search(house.queries / "edited.jpg")
    page.locator(ORIGINAL).click()
    tabs = page.get_by_role("tablist")
    tabs.get_by_role("tab", name="Side by side").focus()
    page.keyboard.press("ArrowRight")
    expect(tabs.get_by_role("tab", name="Slider")).to_have_attribute("aria-selected", "true")
    page.wait_for_url("**how=slider*")
    slide = page.get_by_role("slider")
    cut = "getComputedStyle(document.querySelector('.sliding')).getPropertyValue('--cut')"
    assert page.evaluate(cut) == "50%"
    slide.focus()
    page.keyboard.press("Home")
    assert page.evaluate(cut) == "0%"
    for image in page.locator(".frame img").all():
        expect(image).not_to_have_js_property("naturalWidth", 0)
    tabs.get_by_role("tab", name="Blink").click()
    which = page.locator(".which")
    expect(which).to_have_text("Your picture")
    page.wait_for_timeout(1200)
    expect(which).to_have_text("Your picture")  # nothing moves unasked where less motion is wanted
    page.get_by_role("button", name="Show the other").click()
    expect(which).to_have_text("The match")
    page.get_by_role("button", name="Start").click()
    expect(which).to_have_text("Your picture", timeout=3000)
    page.get_by_role("button", name="Stop").click()
    tabs.get_by_role("tab", name="Difference").click()
    difference = page.get_by_role("tabpanel", name="Difference").locator(".frame img")
    expect(difference).not_to_have_js_property("naturalWidth", 0)


def test_figures_are_one_press_further_down_and_the_transform_is_in_words(look: Look, house: House) -> None:
    page = look().search(house.queries / "edited.jpg")
    page.locator(ORIGINAL).click()
    dialog = page.get_by_role("dialog")
    assert "homography" not in dialog.inner_text().lower()
    expect(dialog.locator(".matrix")).to_be_hidden()
    dialog.get_by_text("All figures").click()
    expect(dialog.locator(".matrix td")).to_have_count(9)
    expect(dialog.locator(".figures p").first).to_contain_text("the match is mirrored")


def test_a_proof_has_an_address_of_its_own_and_neighbours(look: Look, house: House) -> None:
    one = look()
    page = one.search(house.queries / "edited.jpg")
    page.locator("#tier-copies .card-link").nth(1).click()
    page.get_by_role("tab", name="Difference").click()
    page.wait_for_url("**how=difference*")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("tab", name="Difference")).to_have_attribute("aria-selected", "true")
    title = dialog.locator("#proof-title").inner_text()
    dialog.get_by_role("button", name="Match before").click()
    expect(dialog.locator("#proof-title")).not_to_have_text(title)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".verdict h1")).to_be_visible()


def test_what_looks_alike_has_no_proof_and_says_so(look: Look, house: House) -> None:
    page = look().search(house.queries / "unknown.jpg")
    page.locator("#tier-alike .card-link").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("tab")).to_have_count(0)
    expect(dialog.locator(".way-tools")).to_contain_text("Nothing shows that they are the same picture.")


def test_every_view_fits_into_a_phone(look: Look, house: House) -> None:
    page = look(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True).search(
        house.queries / "edited.jpg"
    )
    page.locator(ORIGINAL).click()
    for view in ("Side by side", "Slider", "Blink", "Difference"):
        page.get_by_role("tab", name=view).click()
        expect(page.get_by_role("tabpanel", name=view).locator(".fitted > *")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        held = page.evaluate(
            """() => {
                const place = (name) => document.querySelector(name).getBoundingClientRect();
                const [inner, outer] = [place(".fitted > *"), place(".stage")];
                return inner.left >= outer.left && inner.right <= outer.right && inner.bottom <= outer.bottom;
            }"""
        )
        assert held, view
