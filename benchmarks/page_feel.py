"""How the page feels on a large collection: from the drop of a picture to its first match on screen.

Chromium and the service share this machine's cores, as they do for who tries it. A drop is an event with a
JPEG file of 500 pixels, an edited copy of an image of the collection; its clock runs from the event to the
frame after that in which the first card of the answer stood on the page. Then the collection's images are
scrolled through until `cards` of them are there, and back: tasks of the page that take more than 50 ms of a
core are counted, and beside them those that the browser calls long by the clock, in which other processes
on the same cores have their part. Bytes to the first paint are those of all answers until then, as sent.
"""

from __future__ import annotations

import base64
import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import cores, place_of, say
from benchmarks.filled import filled, uploads
from benchmarks.serving import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSER = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
BARS = {"drop_ms": 300.0, "long_ms": 50.0, "first_paint_bytes": 100_000}
SCRIPTS = Path(__file__).with_name("page_feel.js")
_WARM = 3  # drops that are not counted
_AHEAD = 600  # images beyond those scrolled through that the page may load: they have thumbnails, too
_PAUSE = 600  # ms between drops, so that each finds a page at rest


def run(
    images: int = 100_000,
    drops: int = 15,
    cards: int = 5_000,
    folder: str | None = None,
    at: str | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """`at` is where the collection is kept, for the next run too."""
    if not BROWSER.exists():
        return {
            "skipped": f"there is no browser at {BROWSER}; Debian's package chromium has it.",
            "problems": [],
        }, []
    with tempfile.TemporaryDirectory() as scratch:
        result = measured(Path(at or scratch), place_of(folder), images, drops, min(cards, images))
    return result, result["problems"]


def measured(home: Path, folder: Path, images: int, drops: int, cards: int) -> dict[str, Any]:
    """All figures, and what is below its bar."""
    from playwright.sync_api import sync_playwright

    made, said = filled(home, folder, images, shown=min(cards + _AHEAD, images // 2)), list[str]()
    sent = uploads(made.wanted, drops + _WARM)
    with served(made.directory) as service, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(BROWSER), args=ARGUMENTS)
        try:
            with opened(browser, service.url, "main > *", said) as page:
                size = round(page.evaluate(script("painted")))
            rows = dropped(browser, service.url, sent, said)
            with opened(browser, f"{service.url}/#view=images", ".card", said) as page:
                page.wait_for_timeout(500)
                adding, found = traced(browser, page, "add", cards)
                page.wait_for_timeout(1_000)
                scrolling, _ = traced(browser, page, "scroll", None)
            version = browser.version
        finally:
            browser.close()
    painted = [row["painted"] for row in rows]
    result: dict[str, Any] = {
        "browser": version,
        "cores": cores(),
        "images": made.images,
        "drops": len(rows),
        "drop_ms": {
            name: round(of(painted))
            for name, of in (("median", statistics.median), ("min", min), ("max", max))
        },
        "search_ms": round(statistics.median(row["answered"] - row["sent"] for row in rows)),
        "paint_ms": round(statistics.median(row["painted"] - row["answered"] for row in rows)),
        "library_ms": round(statistics.median(row["library"] for row in rows)),
        "cards": found,
        "long_tasks": {"adding": adding, "scrolling": scrolling},
        "first_paint_bytes": size,
        "console": sorted(set(said)),
    }
    drop = result["drop_ms"]["median"]
    low = {
        f"The first card is on screen after {drop} ms.": drop > BARS["drop_ms"],
        f"{scrolling['count']} long tasks while scrolling.": scrolling["count"],
        f"{adding['count']} long tasks while cards are added.": adding["count"],
        f"{size:,} bytes to the first paint.": size >= BARS["first_paint_bytes"],
        f"The console says: {'; '.join(result['console'][:3])}": result["console"],
        f"Only {found:,} cards came.": found < cards,
    }
    return result | {"problems": [words for words, wrong in low.items() if wrong]}


def script(name: str) -> str:
    """A function of `page_feel.js`, as a script that gives it."""
    return f"(given) => {{ {SCRIPTS.read_text(encoding='utf-8')}\nreturn {name}(given); }}"


def dropped(browser: Browser, url: str, sent: list[bytes], said: list[str]) -> list[dict[str, float]]:
    """Times of drops in ms: `sent`, `answered` and `painted` since the event, and the `library`'s own."""
    rows = []
    with opened(browser, url, "main > *", said) as page:
        for number, data in enumerate(sent):
            say(f"Drop {number + 1} of {len(sent)}")
            page.wait_for_timeout(_PAUSE)
            with page.expect_response(lambda one: "/api/v1/search?" in one.url) as answer:
                given = [base64.b64encode(data).decode(), f"dropped {number}.jpg"]
                row = page.evaluate(script("drop"), given)
            if row is not None and number >= _WARM:  # None: nothing was found
                rows.append(row | {"library": answer.value.json()["timings_ms"]["total"]})
    return rows


def traced(browser: Browser, page: Page, name: str, given: Any) -> tuple[dict[str, Any], int]:
    """Tasks of the page's thread while a script runs, by what they took of a core and by the clock."""
    page.evaluate("window.long.length = 0")
    browser.start_tracing(page=page, categories=["toplevel"])
    found: int = page.evaluate(script(name), given)
    page.wait_for_timeout(300)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    names = [one for one in events if one.get("name") == "thread_name"]
    main = {(one["pid"], one["tid"]) for one in names if one["args"]["name"] == "CrRendererMain"}
    tasks = [
        one["tdur"] / 1e3
        for one in events
        if (one.get("pid"), one.get("tid")) in main and "RunTask" in one["name"] and "tdur" in one
    ]
    return counted(tasks) | {"by_the_clock": counted(page.evaluate("window.long.splice(0)"))}, found


def counted(tasks: list[float]) -> dict[str, Any]:
    return {"count": sum(one > BARS["long_ms"] for one in tasks), "longest": round(max(tasks, default=0.0))}


@contextmanager
def opened(browser: Browser, url: str, there: str, said: list[str]) -> Iterator[Page]:
    """A page in a context of its own, once something is there; what its console says is collected."""
    page = browser.new_context(viewport={"width": 1360, "height": 900}, locale="en-GB").new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda message: heard(said, message.text, message.location["url"]))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.add_init_script(f"{SCRIPTS.read_text(encoding='utf-8')}\nwatchLong();")
    page.goto(url)
    page.wait_for_selector(there)
    yield page
    page.context.close()


def heard(said: list[str], text: str, url: str) -> None:
    # A filler may be found, too, and has no file: that is our doing, not the page's.
    if not ("404" in text and "/thumbnail?" in url):
        said.append(f"{text} ({url})")
