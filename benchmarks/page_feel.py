"""How the page feels on a large collection: from the drop of a picture to its first match on screen.

    pip install 'wherefrom[serve]' playwright
    python benchmarks/page_feel.py [--images 100000] [--drops 15] [--cards 5000] [--folder DIR]
                                   [--at DIR] [--json]

Chromium and the service share this machine's cores, as they do for who tries it. A drop is an event with a
JPEG file of 500 pixels, an edited copy of an image of the collection; its clock runs from the event to the
frame after that in which the first card of the answer stood on the page. Then the collection's images are
scrolled through until `--cards` of them are there, and back: tasks of the page that take more than 50 ms of a
core are counted, and beside them those that the browser calls long by the clock, in which other processes
on the same cores have their part. Bytes to the first paint are those of all answers until then, as sent.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import common
from common import say
from filled import filled, uploads
from serving import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSER = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
BARS = {"drop_ms": 300.0, "long_ms": 50.0, "first_paint_bytes": 100_000}
_WARM = 3  # drops that are not counted
_AHEAD = 600  # images beyond those scrolled through that the page may load: they have thumbnails, too
_PAUSE = 600  # ms between drops, so that each finds a page at rest

WATCHING = """
window.long = [];
new PerformanceObserver((list) => window.long.push(...list.getEntries().map((one) => one.duration)))
    .observe({type: "longtask", buffered: true});
"""
DROP = """([data, name]) => new Promise((resolve, reject) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const moved = new DataTransfer();
    moved.items.add(new File([bytes], name, {type: "image/jpeg"}));
    const before = document.querySelector(".tier .card");
    const clock = setTimeout(() => reject(new Error("no card came")), 20000);
    const look = () => {
        const card = document.querySelector(".tier .card");
        if (!card || card === before) return;
        watch.disconnect();
        const there = performance.now();
        // The frame that paints it has begun when this is called, and is over when the message comes.
        requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => {
                clearTimeout(clock);
                const sent = performance.getEntriesByType("resource").filter((one) => one.startTime >= start
                    && one.name.includes("/api/v1/search?"));
                resolve({painted: performance.now() - start, built: there - start,
                    sent: sent.length ? sent[0].startTime - start : null,
                    answered: sent.length ? sent[0].responseEnd - start : null});
            };
            channel.port2.postMessage(null);
        });
    };
    const watch = new MutationObserver(look);
    watch.observe(document.body, {childList: true, subtree: true});
    const start = performance.now();
    const how = {dataTransfer: moved, bubbles: true, cancelable: true};
    document.body.dispatchEvent(new DragEvent("drop", how));
})"""
ADD = """async (count) => {
    const late = Date.now() + 90000, cards = () => document.querySelectorAll(".card").length;
    while (cards() < count && Date.now() < late) {
        scrollTo(0, document.documentElement.scrollHeight);
        await new Promise((after) => setTimeout(after, 30));
    }
    return cards();
}"""
SCROLL = """async () => {
    const whole = document.documentElement.scrollHeight;
    for (let share = 1; share > 0; share -= 0.004) {
        scrollTo(0, share * whole);
        await new Promise(requestAnimationFrame);
    }
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--drops", type=int, default=15)
    parser.add_argument("--cards", type=int, default=5_000)
    parser.add_argument("--folder", type=Path, default=common.pictures()[0])
    parser.add_argument("--at", type=Path, help="where the collection is kept, for the next run too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    reason = lacking()
    if reason:
        result: dict[str, Any] = {"skipped": reason, "problems": []}
    else:
        with tempfile.TemporaryDirectory() as scratch:
            result = measured(options, options.at or Path(scratch))
    print(json.dumps(result) if options.json else text(result))
    return int(bool(result["problems"]))


def lacking() -> str:
    """Why there is nothing to measure with; empty where there is."""
    if not BROWSER.exists():
        return f"there is no browser at {BROWSER}; Debian's package chromium has it."
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "the browser's driver is not installed: pip install playwright."
    return ""


def measured(options: argparse.Namespace, home: Path) -> dict[str, Any]:
    """All figures, and what is below its bar."""
    from playwright.sync_api import sync_playwright

    cards = min(options.cards, options.images)
    made = filled(home, options.folder, options.images, shown=min(cards + _AHEAD, options.images // 2))
    sent = uploads(made.wanted, options.drops + _WARM)
    with served(made.directory) as service, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(BROWSER), args=ARGUMENTS)
        try:
            said: list[str] = []
            size = first_paint(browser, service.url, said)
            rows = dropped(browser, service.url, sent, said)
            long, found = scrolled(browser, service.url, cards, said)
            version = browser.version
        finally:
            browser.close()
    painted = [row["painted"] for row in rows]
    result = {
        "browser": version,
        "cores": common.machine()["cores"],
        "images": made.images,
        "drops": len(rows),
        "drop_ms": {
            "median": round(statistics.median(painted)),
            "min": round(min(painted)),
            "max": round(max(painted)),
            "p90": round(statistics.quantiles(painted, n=10)[-1]),
        },
        "search_ms": _median(row["answered"] - row["sent"] for row in rows),
        "sending_ms": _median(row["sent"] for row in rows),
        "paint_ms": _median(row["painted"] - row["answered"] for row in rows),
        "library_ms": _median(row["library"] for row in rows),
        "cards": found,
        "long_tasks": long,
        "first_paint_bytes": size,
        "console": sorted(set(said)),
    }
    return result | {"problems": problems(result, cards)}


def _median(values: Any) -> int:
    return round(statistics.median(values))


def first_paint(browser: Browser, url: str, said: list[str]) -> int:
    """Bytes of the answers that came before the page was painted for the first time, heads included."""
    say("First paint")
    page = opened(browser, said)
    page.goto(url)
    page.wait_for_selector("main > *")
    # The driver's word counts all that the page loads by itself, which is more than what it waits for.
    sizes: float = page.evaluate(
        """() => new Promise((resolve) => setTimeout(() => {
            const painted = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 1e9;
            const sent = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
            const before = sent.filter((one) => one.responseEnd <= painted);
            resolve(before.reduce((sum, one) => sum + one.transferSize, 0));
        }, 500))"""
    )
    page.context.close()
    return round(sizes)


def dropped(browser: Browser, url: str, sent: list[bytes], said: list[str]) -> list[dict[str, float]]:
    """Times of drops in ms: `sent`, `answered`, `built` and `painted` since the event."""
    page = opened(browser, said)
    page.goto(url)
    page.wait_for_selector("main > *")
    rows = []
    for number, data in enumerate(sent):
        say(f"Drop {number + 1} of {len(sent)}")
        page.wait_for_timeout(_PAUSE)
        with page.expect_response(lambda one: "/api/v1/search?" in one.url) as answer:
            try:
                row = page.evaluate(DROP, [base64.b64encode(data).decode(), f"dropped {number}.jpg"])
            except Exception as error:
                if "no card came" not in str(error):
                    raise
                continue  # nothing was found
        row["library"] = answer.value.json()["timings_ms"]["total"]
        if number >= _WARM:
            rows.append(row)
    page.context.close()
    return rows


def scrolled(browser: Browser, url: str, cards: int, said: list[str]) -> tuple[dict[str, Any], int]:
    """Long tasks while cards are added and while they are scrolled through, and how many cards there are."""
    say(f"Scrolling {cards:,} cards")
    page = opened(browser, said)
    page.goto(f"{url}/#view=images")
    page.wait_for_selector(".card")
    page.wait_for_timeout(500)
    adding, found = _traced(browser, page, ADD, cards)
    page.wait_for_timeout(1_000)
    scrolling, _ = _traced(browser, page, SCROLL, None)
    page.context.close()
    return {"adding": adding, "scrolling": scrolling}, found


def _traced(browser: Browser, page: Page, script: str, given: Any) -> tuple[dict[str, Any], int]:
    """Tasks of the page's thread while a script runs, by what they took of a core and by the clock."""
    page.evaluate("window.long.length = 0")
    browser.start_tracing(page=page, categories=["toplevel"])
    found: int = page.evaluate(script, given)
    page.wait_for_timeout(300)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    names = [one for one in events if one.get("name") == "thread_name"]
    main = {(one["pid"], one["tid"]) for one in names if one["args"]["name"] == "CrRendererMain"}
    tasks = [
        one["tdur"] / 1e3
        for one in events
        if (one.get("pid"), one.get("tid")) in main and "RunTask" in one["name"] and "tdur" in one
    ]
    return _told(tasks) | {"by_the_clock": _told(page.evaluate("window.long.splice(0)"))}, found


def _told(tasks: list[float]) -> dict[str, Any]:
    return {"count": sum(one > BARS["long_ms"] for one in tasks), "longest": round(max(tasks, default=0.0))}


def opened(browser: Browser, said: list[str]) -> Page:
    """A page in a context of its own; what its console says is collected."""
    page = browser.new_context(viewport={"width": 1360, "height": 900}, locale="en-GB").new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda message: _heard(said, message.text, message.location["url"]))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.add_init_script(WATCHING)
    return page


def _heard(said: list[str], text: str, url: str) -> None:
    # A filler may be found, too, and has no file: that is our doing, not the page's.
    if not ("404" in text and "/thumbnail?" in url):
        said.append(f"{text} ({url})")


def problems(result: dict[str, Any], cards: int) -> list[str]:
    """What is below its bar, as sentences."""
    long, drop = result["long_tasks"], result["drop_ms"]["median"]
    found = {
        f"The first card is on screen after {drop} ms.": drop > BARS["drop_ms"],
        f"{long['scrolling']['count']} long tasks while scrolling.": long["scrolling"]["count"] > 0,
        f"{long['adding']['count']} long tasks while cards are added.": long["adding"]["count"] > 0,
        f"{result['first_paint_bytes']:,} bytes to the first paint.": result["first_paint_bytes"]
        >= BARS["first_paint_bytes"],
        f"The console says: {'; '.join(result['console'][:3])}": bool(result["console"]),
        f"Only {result['cards']:,} cards came.": result["cards"] < cards,
    }
    return [words for words, wrong in found.items() if wrong]


def text(result: dict[str, Any]) -> str:
    """Markdown, as RESULTS.md has it."""
    import sections_service

    return sections_service.page_feel(result)


if __name__ == "__main__":
    sys.exit(main())
