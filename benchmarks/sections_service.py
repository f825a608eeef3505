"""Sections of the service: under load, and as the page feels."""

from __future__ import annotations

from typing import Any

from common import figure, table


def service(result: dict[str, Any]) -> str:
    rows: list[tuple[object, ...]] = [
        ("answers a second, the library by itself", result["library_per_s"], ""),
        ("answers a second, the service", result["service_per_s"], ""),
        ("ratio, median of the rounds", result["ratio"], "at least 0.8"),
        ("ratio, least and most", f"{min(result['ratios'])} to {max(result['ratios'])}", ""),
        ("a client waits, p50, ms", result["p50_ms"], ""),
        ("p95, ms", result["p95_ms"], ""),
        ("p99, ms", result["p99_ms"], ""),
        ("p99 over p50", result["p99_over_p50"], "at most 6"),
        ("of a core that the clients take", result["clients_cpu"], ""),
        ("answers that differ from the library's", result["different"], "0"),
    ]
    memory, flood, bad, crash = (result[name] for name in ("memory", "flood", "malformed", "crash"))
    names = ("first_mb", "half_mb", "last_mb", "rise_mb", "scatter_mb", "mb_per_10000", "flat")
    sizes = [[part, *(memory[part][name] for name in names)] for part in ("server", "searching")]
    statuses = ", ".join(f"{status}: {count}" for status, count in bad["statuses"].items())
    parts = [
        f"{result['images']:,} images, {result['uploads']} uploads of {result['upload_bytes'] / 1e3:.0f} kB "
        f"in the mean (500 pixels, edited), {result['rounds']} rounds; {result['clients']} clients over "
        "loopback, "
        "search processes and library processes one a core, in turn, no model.\n\n"
        + table(("what", "figure", "bar"), rows, 3),
        f"Memory that no file backs, over {memory['requests']:,} requests after {memory['kept_mb']} MB of "
        "past searches were kept, which is all that ever is; the line is through the later half.\n\n"
        + table(
            (
                "process",
                "at first, MB",
                "at half",
                "at last",
                "the line rises, MB",
                "scatter, MB",
                "MB in 10,000",
                "flat",
            ),
            sizes,
            1,
        ),
        f"{flood['clients']} clients for {flood['seconds']} s, who ask again at once, before a queue of "
        f"{flood['queue']}: {flood['answered']:,} answered (the slowest in {flood['slowest_s']} s), "
        f"{flood['turned_away']:,} turned away with 503, {flood['without_retry_after']} of them without "
        f"Retry-After; memory {flood['grown_mb']:+} MB.",
        f"{bad['offered']:,} malformed uploads (cut, damaged, noise, bombs, broken forms and JSON): "
        f"{statuses}. {bad['replaced']} search processes were lost.",
        f"{crash['kills']} times `kill -9` while {crash['adders']} clients add: of {crash['answered']:,} "
        f"answered additions {crash['lost']} were lost; `check` finds {len(crash['damage'])} problems.",
    ]
    if result["problems"]:
        parts.append("**Below the bar:** " + " ".join(result["problems"]))
    return "\n\n".join(parts)


def service_headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (
            f"the service, {result['clients']} clients, {result['images']:,} images, uploads of 500 pixels",
            f"{figure(result['service_per_s'], 1)} answers a second, {100 * result['ratio']:.0f} % of the "
            "library's rate in as many processes",
        ),
        (
            f"`kill -9` while {result['crash']['adders']} clients add, {result['crash']['kills']} times",
            f"{result['crash']['lost']} of {result['crash']['answered']:,} answered additions lost",
        ),
    ]


def page_feel(result: dict[str, Any]) -> str:
    if "skipped" in result:
        return f"Not measured: {result['skipped']}"
    drop, long = result["drop_ms"], result["long_tasks"]
    rows: list[tuple[object, ...]] = [
        ("from drop to the first card painted, median, ms", drop["median"], "at most 300"),
        ("least and most, ms", f"{drop['min']} to {drop['max']}", ""),
        ("of that: the server's search, median, ms", result["search_ms"], ""),
        ("of that: from the answer to the paint, median, ms", result["paint_ms"], ""),
        ("long tasks while scrolling, over 50 ms", long["scrolling"]["count"], "0"),
        ("the longest, ms of a core", long["scrolling"]["longest"], ""),
        ("by the clock, in which others have a part", long["scrolling"]["by_the_clock"]["count"], ""),
        ("long tasks while cards are added", long["adding"]["count"], "0"),
        ("the longest, ms of a core", long["adding"]["longest"], ""),
        ("by the clock", long["adding"]["by_the_clock"]["count"], ""),
        ("bytes to the first paint", result["first_paint_bytes"], "under 100,000"),
        ("messages on the console", len(result["console"]), "0"),
    ]
    return (
        f"Chromium {result['browser']}, {result['images']:,} images, {result['drops']} drops of 500-pixel "
        f"JPEG files, {result['cards']:,} cards scrolled through, browser and service on the same "
        f"{result['cores']} cores.\n\n"
        + table(("what", "figure", "bar"), rows, 0)
        + _below(result["problems"])
    )


def page_feel_headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    if "skipped" in result:
        return []
    return [
        (
            f"from a picture's drop on the page to its first match on screen, {result['images']:,} images",
            f"{result['drop_ms']['median']:.0f} ms in the median",
        )
    ]


def _below(problems: list[str]) -> str:
    return "\n\n**Below the bar:** " + " ".join(problems) if problems else ""
