"""Takes screenshots of every view and state of the page into a folder, to be looked at.

    python tests/page/screenshots.py FOLDER [--readme docs/pictures] [--only TEXT]

The photographs are those of scikit-image, which are freely licensed; what cannot be had of them (10,000
images, a server that is busy) is answered by the script in the server's stead.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import wherefrom
from tests.page.test_people import many
from tests.page.watching import PHONE, launched
from tests.server.running import served

MODEL = "efficientnet-lite0-int8"
NAMES = (
    *("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "clock", "gravel", "grass", "brick"),
    *("hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "text", "cell", "horse"),
)
WIDE = {"width": 1440, "height": 900}
HUGE = {"width": 2300, "height": 1200}
LIGHT, DARK = {"color_scheme": "light"}, {"color_scheme": "dark"}
ON_PHONE = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
LOOKS: dict[str, dict[str, Any]] = {
    "wide-light": {"viewport": WIDE, **LIGHT},
    "wide-dark": {"viewport": WIDE, **DARK},
    "phone-light": {**ON_PHONE, **LIGHT},
    "phone-dark": {**ON_PHONE, **DARK},
}

Shot = Callable[[Page, "House"], None]


class House:
    """Where the server is, and the pictures to search for."""

    def __init__(self, url: str, empty: str, folder: Path, more: Path) -> None:
        self.url, self.empty, self.folder, self.more = url + "/", empty, folder, more

    def search(self, page: Page, name: str, route: str = "") -> None:
        page.goto(self.url + route)
        page.locator("input[type=file]").first.wait_for(state="attached")
        page.locator("input[type=file]").first.set_input_files(self.folder / name)


def photographs(folder: Path) -> None:
    """The photographs, and what was made of one of them."""
    from skimage import data

    made = folder / "travel" / "2024"
    made.mkdir(parents=True)
    for name in NAMES:
        pixels = getattr(data, name)()
        image = Image.fromarray(pixels.astype("uint8") * (255 if pixels.dtype == bool else 1)).convert("RGB")
        image.thumbnail((1200, 1200))
        image.save(folder / f"{name}.jpg", quality=90, exif=signed(name))
    cat = Image.open(folder / "chelsea.jpg")
    width, height = cat.size
    ImageOps.mirror(cat).save(made / "mirrored.jpg", quality=90)
    cat.crop((width // 6, height // 8, width * 5 // 6, height)).save(made / "detail.png")
    ImageOps.grayscale(cat).save(made / "قطة رمادية نائمة في الشمس.jpg", quality=90)
    cat.resize((width // 2, height // 2)).save(made / "חתול על הספה.webp")
    captioned = cat.copy()
    ImageDraw.Draw(captioned).rectangle((0, height - 60, width, height), fill="black")
    ImageDraw.Draw(captioned).text((20, height - 46), "WHEN IT IS MONDAY", fill="white", font_size=30)
    captioned.save(
        made / "a caption, and a file name so long that it has to be cut somewhere before it ends.jpg"
    )
    sheet = Image.new("RGB", (1260, 860), "white")
    for at, name in (
        ((10, 10), "rocket"),
        ((640, 10), "coffee"),
        ((10, 435), "chelsea"),
        ((640, 435), "coins"),
    ):
        sheet.paste(Image.open(folder / f"{name}.jpg").resize((610, 410)), at)
    sheet.save(made / "collage.jpg", quality=90)
    gravel = Image.open(folder / "gravel.jpg")
    gravel.crop((0, 0, 512, 40)).resize((2400, 188)).save(made / "panorama.jpg")
    gravel.crop((100, 0, 140, 500)).save(made / "strip.jpg")
    Image.new("RGB", (640, 480), (120, 140, 160)).save(made / "plain.png")


def signed(name: str) -> Image.Exif:
    """EXIF with somebody who made it, for one of them."""
    exif = Image.Exif()
    if name == "chelsea":
        exif[0x013B], exif[0x8298] = "Stefan van der Walt", "CC0, by the photographer"
    return exif


def queries(folder: Path, pictures: Path) -> None:
    """What is searched for."""
    cat = Image.open(pictures / "chelsea.jpg")
    width, height = cat.size
    part = ImageOps.mirror(cat).crop((0, 0, int(width * 0.82), height))
    ImageDraw.Draw(part).rectangle((16, 16, 176, 66), fill="#f6c945")
    ImageDraw.Draw(part).text((32, 26), "for sale", fill="#222", font_size=28)
    part.save(folder / "edited.jpg", quality=85)
    (folder / "same.jpg").write_bytes((pictures / "chelsea.jpg").read_bytes())
    turned = Image.open(pictures / "astronaut.jpg").rotate(12, resample=Image.Resampling.BICUBIC)
    turned.crop((70, 70, 440, 440)).save(folder / "turned.jpg", quality=85)
    Image.effect_noise((640, 480), 80).save(folder / "noise.jpg", quality=85)
    Image.new("RGB", (500, 400), "#8899aa").save(folder / "blank.png")
    (folder / "notes.txt").write_text("no picture")


# What is photographed: each brings the page into a state


def start(page: Page, house: House) -> None:
    page.goto(house.url)
    page.wait_for_selector(".held:has-text('pictures')")


def dropping(page: Page, house: House) -> None:
    start(page, house)
    page.evaluate("document.querySelector('wherefrom-app').toggleAttribute('data-dropping', true)")


def empty(page: Page, house: House) -> None:
    page.goto(house.url + "#view=images&collection=empty")
    page.wait_for_selector(".state")


def start_empty(page: Page, house: House) -> None:
    page.goto(house.url + "#collection=empty")
    page.wait_for_selector(".held a")


def answered(page: Page, house: House, name: str) -> None:
    house.search(page, name)
    page.wait_for_selector(".verdict h1")
    page.wait_for_selector("#tier-alike .ghosts", state="detached")


def results(page: Page, house: House) -> None:
    answered(page, house, "edited.jpg")


def exact(page: Page, house: House) -> None:
    answered(page, house, "same.jpg")


def region(page: Page, house: House) -> None:
    results(page, house)
    page.get_by_role("button", name="Search a part").click()


def filtering(page: Page, house: House) -> None:
    results(page, house)
    page.locator("summary", has_text="Filter").click()


def more(page: Page, house: House) -> None:
    results(page, house)
    page.locator("summary", has_text="More").click()


def nothing(page: Page, house: House) -> None:
    answered(page, house, "noise.jpg")


def blank(page: Page, house: House) -> None:
    answered(page, house, "blank.png")


def failed(page: Page, house: House) -> None:
    house.search(page, "notes.txt")
    page.wait_for_selector(".state")


def busy(page: Page, house: House) -> None:
    page.route("**/api/v1/search?*", lambda _: None)
    house.search(page, "edited.jpg")
    page.wait_for_timeout(3200)


def offline(page: Page, house: House) -> None:
    page.route("**/api/v1/search?*", lambda route: route.abort())
    house.search(page, "edited.jpg")
    page.wait_for_selector(".state")


def overloaded(page: Page, house: House) -> None:
    problem = {"title": "Busy", "status": 503, "code": "busy", "detail": "Too many wait."}
    reply = {"content_type": "application/problem+json", "headers": {"Retry-After": "9"}}
    page.route(
        "**/api/v1/search?*", lambda route: route.fulfill(status=503, body=json.dumps(problem), **reply)
    )
    house.search(page, "edited.jpg")
    page.wait_for_selector(".state")


def forgotten(page: Page, house: House) -> None:
    page.goto(house.url + "#token=gone")
    page.wait_for_selector(".state")


def key(page: Page, house: House) -> None:
    problem = {"title": "Unauthorised", "status": 401, "code": "unauthorised", "detail": "This needs a key."}
    page.route("**/api/v1/search?*", lambda route: route.fulfill(status=401, body=json.dumps(problem)))
    house.search(page, "edited.jpg")
    page.wait_for_selector("dialog.ask")


def camera(page: Page, house: House) -> None:
    page.goto(house.url)
    page.get_by_role("button", name="Take a photo").click()
    page.wait_for_timeout(1500)


def proof(view: str, query: str = "edited.jpg", tick: str = "") -> Shot:
    def shown(page: Page, house: House) -> None:
        house.search(page, query)
        page.locator("#tier-copies .card-link, #tier-same .card-link").first.click()
        page.locator(f"[data-how={view}]").click()
        if tick:
            page.get_by_label(tick).check()
        page.wait_for_selector(".kin li, .facts section p.soft")

    return shown


def proof_facts(page: Page, house: House) -> None:
    proof("sides")(page, house)
    page.get_by_text("All figures").click()
    page.get_by_text("All figures").scroll_into_view_if_needed()


def proof_alike(page: Page, house: House) -> None:
    answered(page, house, "blank.png")
    page.locator("#tier-alike .card-link").first.click()
    page.wait_for_selector("dialog.proof")


def images(page: Page, house: House) -> None:
    page.goto(house.url + "#view=images")
    page.wait_for_selector(".card img")


def ten_thousand(page: Page, house: House) -> None:
    images(page, house)
    image = page.evaluate("fetch('api/v1/images?limit=1&q=coffee').then((answer) => answer.json())")[
        "images"
    ][0]
    page.route("**/api/v1/images?*", many(image, 10_000))
    page.goto("about:blank")
    images(page, house)


def unknown_name(page: Page, house: House) -> None:
    page.goto(house.url + "#view=images&q=zeppelin")
    page.wait_for_selector(".state")


def image(page: Page, house: House) -> None:
    images(page, house)
    page.locator(".card-link").nth(3).click()
    page.wait_for_selector("dialog.proof")


def removed(page: Page, house: House) -> None:
    image(page, house)
    page.get_by_role("button", name="Remove from the collection").click()
    page.wait_for_selector(".notice")


def duplicates(page: Page, house: House) -> None:
    page.goto(house.url + "#view=duplicates")
    page.locator(".state, .group").first.wait_for()
    if page.locator(".state").count():
        page.get_by_role("button", name="Look").first.click()
    page.locator(".group").first.wait_for()


def no_duplicates_yet(page: Page, house: House) -> None:
    page.goto(house.url + "#view=duplicates&collection=empty")
    page.wait_for_selector(".state")


def add(page: Page, house: House) -> None:
    page.goto(house.url + "#view=add")
    page.locator("#folder").fill(str(house.more))
    page.get_by_role("button", name="Index", exact=True).click()
    page.wait_for_selector(".report")


def rtl(page: Page, house: House) -> None:
    results(page, house)
    page.evaluate("document.documentElement.dir = 'rtl'")


STATES: dict[str, Shot] = {
    "start": start,
    "start-empty": start_empty,
    "dropping": dropping,
    "camera": camera,
    "key": key,
    "busy": busy,
    "offline": offline,
    "overloaded": overloaded,
    "failed": failed,
    "forgotten": forgotten,
    "nothing": nothing,
    "blank": blank,
    "results": results,
    "results-exact": exact,
    "results-region": region,
    "results-filter": filtering,
    "results-more": more,
    "results-rtl": rtl,
    "proof-sides": proof("sides"),
    "proof-points": proof("sides", tick="Points that agree"),
    "proof-turned": proof("sides", "turned.jpg"),
    "proof-slider": proof("slider"),
    "proof-slider-turned": proof("slider", "turned.jpg"),
    "proof-blink": proof("blink"),
    "proof-difference": proof("difference"),
    "proof-facts": proof_facts,
    "proof-alike": proof_alike,
    "images": images,
    "images-10000": ten_thousand,
    "images-none": unknown_name,
    "images-empty": empty,
    "image": image,
    "image-removed": removed,
    "duplicates": duplicates,
    "duplicates-never": no_duplicates_yet,
    "add": add,
}


@contextmanager
def housed() -> Iterator[House]:
    """A server of the photographs."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        pictures, asked, more = root / "archive" / "photos", root / "asked", root / "scans"
        asked.mkdir()
        more.mkdir()
        photographs(pictures)
        queries(asked, pictures)
        for number in range(4):  # strangers to what is searched for, and one that is broken
            Image.effect_noise((300, 200), 40 + 20 * number).save(more / f"scan {number}.png")
        (more / "half.jpg").write_bytes(b"\xff\xd8\xff\xe0")
        for store, source in (("photos", pictures), ("empty", None)):
            with wherefrom.open(root / f"{store}.wherefrom", create=True) as collection:
                if source is not None:
                    collection.add(source)
        stores = [f"{store}={root / store}.wherefrom" for store in ("photos", "empty")]
        with served(*stores, options=("--index-root", str(root), "--workers", "1"), model=MODEL) as running:
            yield House(running.url, "empty", asked, more)


def taken(browser: Browser, house: House, options: dict[str, Any], shot: Shot, path: Path) -> None:
    """One screenshot."""
    context = browser.new_context(locale="en-GB", permissions=["camera"], **options)
    page = context.new_page()
    page.on("pageerror", lambda error: print("  error:", error, file=sys.stderr))
    try:
        shot(page, house)
        page.wait_for_load_state("networkidle") if "busy" not in path.name else None
        page.wait_for_timeout(400)
        page.screenshot(path=path, animations="disabled")
    except Exception as error:  # noqa: BLE001  the others are taken all the same
        print(f"  {path.name}: {str(error).splitlines()[0]}", file=sys.stderr)
    finally:
        page.unroute_all(behavior="ignoreErrors")
        context.close()


def for_readme(browser: Browser, house: House, folder: Path) -> None:
    """Two small ones for the README: an answer and a proof, sharp on fine screens."""
    folder.mkdir(parents=True, exist_ok=True)

    def original(page: Page, house: House) -> None:
        results(page, house)
        page.locator('#tier-copies .card-link[aria-label*="chelsea"]').click()
        page.wait_for_selector(".kin li")

    for name, shot in (("search.webp", results), ("proof.webp", original)):
        context = browser.new_context(
            viewport={"width": 1280, "height": 800}, color_scheme="light", device_scale_factor=1.25
        )
        page = context.new_page()
        for _ in range(2):  # the first search loads what the second has at hand
            page.goto("about:blank")
            shot(page, house)
            page.wait_for_load_state("networkidle")
        page.wait_for_timeout(600)
        Image.open(io.BytesIO(page.screenshot(animations="disabled"))).save(
            folder / name, quality=82, method=6
        )
        context.close()
        assert (folder / name).stat().st_size < 250_000


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description="Screenshots of every view and state of the page.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--readme", type=Path, help="where the two of the README go")
    parser.add_argument("--only", default="", help="only states, or looks, with this in their name")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, housed() as house:
        browser = launched(playwright)
        looks = LOOKS | {"huge-light": {"viewport": HUGE, **LIGHT}}
        for look, options in looks.items():
            for name, shot in STATES.items():
                if look == "huge-light" and name not in ("results", "images-10000", "proof-sides"):
                    continue
                if given.only in f"{name}.{look}":
                    taken(browser, house, options, shot, given.folder / f"{name}.{look}.png")
        if given.readme:
            for_readme(browser, house, given.readme)
        browser.close()


if __name__ == "__main__":
    main()
