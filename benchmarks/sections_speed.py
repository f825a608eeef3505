"""Sections of how fast and how small: searches, indexing, and the indexes by themselves."""

from __future__ import annotations

from typing import Any

from common import figure, table

_BATCH = 64


def search_scale(result: list[dict[str, Any]]) -> str:
    stages = ("features", "recall", "verify")
    rows = [
        [
            row["images"],
            figure(row["p50_ms"], 1),
            figure(row["p95_ms"], 1),
            *(figure(row["stages_ms"][stage], 1) for stage in stages),
            f"{row['first']:.3f}",
            row["resident_gb"],
        ]
        for row in result
    ]
    more = [
        [
            row["images"],
            row["filled_a_second"],
            row["one_more_ms"],
            row["derived_a_second"],
            row["bytes_an_image"],
        ]
        for row in result
    ]
    return (
        "All cores, warm; edited uploads (crop 50 %, text over, rotated by 15 degrees, JPEG q30, "
        "screenshot), from "
        "bytes to answer. Fillers are features of real pictures, perturbed: see the script.\n\n"
        + table(
            ("images", "p50, ms", "p95, ms", *stages, "found first", "resident, GB"),
            rows,
        )
        + "\n\n"
        + table(
            (
                "images",
                "added with known features, images/s",
                "one more, ms",
                "words derived, images/s",
                "bytes an image",
            ),
            more,
        )
        + "\n\nMost of an added image's time is the making of fillers."
    )


def search_scale_headline(result: list[dict[str, Any]]) -> list[tuple[str, str]]:
    last = result[-1]
    return [
        (
            f"a search of {last['images']:,} pictures, from the bytes of an upload",
            f"{last['p50_ms']:.0f} ms in the median, {last['p95_ms']:.0f} ms in 95 of 100",
        ),
        ("bytes of disk an image, for copies", figure(last["bytes_an_image"])),
    ]


def _sets(result: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in result.items() if isinstance(part, dict) and "rows" in part}


def indexing(result: dict[str, Any]) -> str:
    sets = _sets(result)
    names = list(next(iter(sets.values()))["rows"])
    rows = [
        [
            name,
            *(
                f"{r['median_ms']} ({r['min_ms']} to {r['max_ms']})"
                for r in (s["rows"][name] for s in sets.values())
            ),
        ]
        for name in names
    ]
    rows.append(["rate over the fastest peer's", *(s["times_the_fastest_peer"] for s in sets.values())])
    rows.append(["rate over decoding alone, ours", *(s["of_decode_alone"] for s in sets.values())])
    counts = ", ".join(f"{s['files']} files of {s['median_bytes'] / 1e3:,.0f} kB" for s in sets.values())
    return (
        "One core; milliseconds a picture, median of the rounds and the extremes. Peers read, decode and "
        "hash; "
        "`wherefrom index` reads, decodes, finds fingerprint, keypoints, embedding and palette, and writes "
        "them "
        f"durably, searchable at once. {counts}, in the median.\n\n" + table(("", *sets), rows)
    )


def indexing_lost(result: dict[str, Any]) -> list[str]:
    return [
        f"{name} takes {row['median_ms']} ms for a {title}, Wherefrom "
        f"{part['rows']['wherefrom index']['median_ms']} "
        "(which computes more)."
        for title, part in _sets(result).items()
        for name, row in part["rows"].items()
        if "alone" not in name and row["median_ms"] < part["rows"]["wherefrom index"]["median_ms"]
    ]


def indexing_headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    first = next((part for name, part in _sets(result).items() if "as found" in name), None)
    if first is None:
        return []
    return [
        (
            "adding a 500-pixel photograph with all that finds copies and look-alikes, one core",
            f"{figure(first['rows']['wherefrom index']['median_ms'], 1)} ms",
        )
    ]


_SCANS = {
    "nearest10": "10 nearest, one query",
    "nearest10_batch64": f"10 nearest, batch of {_BATCH}",
    "radius31": "radius 31, one query",
    "radius31_batch64": f"radius 31, batch of {_BATCH}",
    "radius62": "radius 62, one query",
    "radius62_batch64": f"radius 62, batch of {_BATCH}",
}


def hamming(result: dict[str, Any]) -> str:
    parts = []
    scan = result.get("scan", {})
    if "skipped" in scan:
        parts.append(f"The scan was left out: {scan['skipped']}.")
    elif scan:
        rows = [
            [title, *(_scan_cell(scan.get(prefix + name)) for prefix in ("", "faiss_", "usearch_"))]
            for name, title in _SCANS.items()
        ]
        rows.append(["reading the codes once", figure(scan["limit_ms"], 1) + " ms", "", ""])
        titles = ("", "Wherefrom", "FAISS IndexBinaryFlat", "USearch, exact")
        parts.append(
            f"{scan['codes']:,} random codes, every one looked at, one core, contenders in turn, medians of "
            f"{scan['repeat']}. A radius scan can beat the reading of all codes, because it does not "
            "read all "
            f"words of them.\n\n{table(titles, rows)}"
        )
    if "mih" in result:
        parts.append(hamming_large(result))
    if result.get("graphs"):
        rows = [
            [
                one["name"],
                one["wide"],
                one["build_s"],
                f"{one['recall']:.3f}",
                one["ms"]["p50"],
                one["ms"]["p95"],
            ]
            if "skipped" not in one
            else [one["name"], one["skipped"], "", "", "", ""]
            for one in result["graphs"]
        ]
        codes = next((one["codes"] for one in result["graphs"] if "codes" in one), 0)
        parts.append(
            f"Graphs over {codes:,} codes, which find most of what is near and not all: the share of codes "
            "planted within 31 bits that come first. hnswlib has no Hamming distance and is given the "
            "bits as "
            "numbers.\n\n" + table(("", "looks at", "built in s", "found", "p50, ms", "p95, ms"), rows, 3)
        )
    return "\n\n".join(parts)


def _scan_cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return f"{figure(row['ms']['p50'], 1)} ms, {figure(row['queries_per_s'], 0)} queries/s"


def hamming_large(result: dict[str, Any]) -> str:
    row = result["mih"]
    titles = (
        "codes",
        "tables",
        "bytes a code",
        "p50, ms",
        "p95, ms",
        "planted codes found",
        "resident, GB",
        "built in s, 2 threads",
        "radius 62 by scan, 2 threads, ms",
    )
    cells = [
        row["codes"],
        row["tables"],
        row["bytes_per_code"],
        row["p50_ms"],
        row["p95_ms"],
        f"{row['recall']:.3f}",
        row["rss_gb"],
        row["build_s"],
        row["radius62_scan_ms"],
    ]
    return (
        f"Multi-index hashing: radius 31, one thread, {row['planted']:,} codes planted at distances 0 to "
        "31, every "
        f"page touched before.\n\n{table(titles, [cells])}"
    )


def hamming_lost(result: dict[str, Any]) -> list[str]:
    scan, found = result.get("scan", {}), []
    for name, title in _SCANS.items():
        for prefix, peer in (("faiss_", "FAISS"), ("usearch_", "USearch")):
            if name in scan and prefix + name in scan:
                ours, theirs = (scan[one]["ms"]["p50"] for one in (name, prefix + name))
                if theirs < ours:
                    found.append(f"{peer} scans faster: {title} {theirs:.1f} ms, Wherefrom {ours:.1f} ms.")
    return found


def hamming_headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    scan = result.get("scan", {})
    if "nearest10" not in scan:
        return []
    told = f"{scan['p50_ms']:.1f} ms"
    if "faiss_p50_ms" in scan:
        told += f" (FAISS {scan['faiss_p50_ms']:.1f})"
        times = scan["batch64_qps"] / scan["faiss_batch64_qps"]
        told += f"; a batch of {_BATCH} {times:.1f} times as fast as FAISS"
    return [
        (f"{scan['codes']:,} fingerprints, every one looked at, one core", told),
        *hamming_large_headline(result),
    ]


def hamming_large_headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    row = result.get("mih")
    if row is None:
        return []
    return [(f"{row['codes']:,} fingerprints, all within 31 bits, one thread", f"{row['p50_ms']:.2f} ms")]


_VECTOR_PEERS = {
    "faiss_sq8": "FAISS, exact, 8 bits",
    "faiss_ivf": "FAISS IVF, 8 bits",
    "faiss_hnsw": "FAISS HNSW, 8 bits",
    "hnswlib": "hnswlib",
    "usearch": "USearch, 8 bits",
}


def _vector_kinds(result: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in result.items() if name not in ("machine", "versions")}


def vectors(result: dict[str, Any]) -> str:
    parts = []
    for kind, part in _vector_kinds(result).items():
        size = (part["columns_bytes"] + part["cells_bytes"]) / part["rows"]
        cells, exact = part["cells"], part["exact"]
        rows: list[list[object]] = [
            [
                "Wherefrom, cells" if part["covered"] else "Wherefrom",
                cells["recall"],
                "",
                cells["p50_ms"],
                part["cells_s"],
                size,
            ],
            [
                "Wherefrom, exact",
                1.0,
                "",
                exact["p50_ms"],
                part["columns_s"],
                part["columns_bytes"] / part["rows"],
            ],
        ]
        for name, title in _VECTOR_PEERS.items():
            row = part.get(name)
            if isinstance(row, dict):
                told = (row["recall"], row.get("nearly"), row["p50_ms"], row["build_s"], row["bytes_per_row"])
                rows.append([title, *told])
            elif row is not None:
                rows.append([title, row, "", "", "", ""])
        rows.append(["reading all vectors once", "", "", part["limit"]["p50_ms"], "", ""])
        titles = ("", f"recall@{part['k']}", "near misses forgiven", "p50, ms", "built in s", "bytes a row")
        shares = [[f["share"], f["recall"], f["p50_ms"], f["exact_p50_ms"]] for f in part["filters"]]
        parts.append(
            f"{part['rows']:,} made vectors of kind `{kind}` ({part['queries']} queries one by one, one "
            "core). A "
            "peer's setting is raised until its recall, near misses forgiven, reaches 0.99. One row more "
            "is seen "
            f"by a search after {figure(part['changes']['add_p50_ms'])} ms.\n\n{table(titles, rows, 3)}\n\n"
            "With a filter that lets a share through:\n\n"
            + table(("share", "recall", "p50, ms", "exact, p50, ms"), shares, 4)
        )
    return "\n\n".join(parts)


def vectors_lost(result: dict[str, Any]) -> list[str]:
    found = []
    for kind, part in _vector_kinds(result).items():
        ours, size = part["cells"], (part["columns_bytes"] + part["cells_bytes"]) / part["rows"]
        for name, title in _VECTOR_PEERS.items():
            row = part.get(name)
            if not isinstance(row, dict):
                continue
            better = []
            exact = name == "faiss_sq8"
            if row["p50_ms"] < (part["exact"] if exact else ours)["p50_ms"]:
                mine = (part["exact"] if exact else ours)["p50_ms"]
                better.append(
                    f"answers in {row['p50_ms']:.2f} ms (Wherefrom {mine:.2f}, recall {row['recall']:.3f})"
                )
            if row["bytes_per_row"] < size:
                better.append(f"takes {row['bytes_per_row']:.0f} bytes a row (Wherefrom {size:.0f})")
            if row["build_s"] < part["cells_s"] and not exact:
                better.append(f"is built in {row['build_s']} s (Wherefrom {part['cells_s']})")
            if better:
                found.append(f"{title}, {kind}: {'; '.join(better)}.")
    return found


def vectors_headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    kind, part = next(iter(_vector_kinds(result).items()))
    told = f"{part['cells']['p50_ms']:.2f} ms, recall {part['cells']['recall']:.3f}"
    best = min(
        (
            (row["p50_ms"], title)
            for name, title in _VECTOR_PEERS.items()
            if isinstance(row := part.get(name), dict)
        ),
        default=None,
    )
    if best is not None:
        told += f" (the fastest peer, {best[1]}: {best[0]:.2f} ms)"
    return [(f"the 10 nearest of {part['rows']:,} vectors ({kind}), one core", told)]


def words(result: dict[str, Any]) -> str:
    def part(columns: dict[str, str]) -> str:
        return table(list(columns.values()), [[row[one] for one in columns] for row in result["sizes"]])

    built = part(
        {
            "images": "images",
            "built_per_s": "built, images/s",
            "segments": "segments",
            "disk_bytes_an_image": "disk, bytes/image",
            "resident_mb": "resident, MB",
            "opening_ms": "opening, ms",
        }
    )
    searched = part(
        {
            "images": "images",
            "postings_walked": "postings walked",
            "p50_ms": "search p50, ms",
            "p95_ms": "p95, ms",
            "cpu_ms": "of all cores, ms",
            "limit_ms": "reading as much, ms",
            "found_first": "planted image first",
        }
    )
    added = part(
        {
            "images": "images",
            "added_mean_ms": "one more image, mean ms",
            "added_p50_ms": "p50, ms",
            "added_worst_ms": "worst (seals and merges), ms",
        }
    )
    return (
        "200 postings an image, as frequent as words are; a search is of three variants with 500 "
        "keypoints each. "
        f"Beside it the time that reading as many bytes takes.\n\n{built}\n\n{searched}\n\n{added}"
    )


def updates(result: dict[str, Any]) -> str:
    rows = [
        [number + 1, rate, ms]
        for number, (rate, ms) in enumerate(zip(result["added_a_second"], result["search_ms"], strict=True))
    ]
    rows.append(["all", result["added_a_second_overall"], ""])
    return (
        f"Fingerprints alone: {result['rows']:,} images, {result['batch']:,} a batch, each batch one "
        "transaction "
        "that has reached the disk, a sample searched for after it. Slowest batch "
        f"{result['slowest_batch_ms']:,} "
        f"ms; {result['removed_a_second']:,} removals a second; {result['bytes_an_image']:,.0f} bytes of "
        "disk an "
        "image.\n\n" + table(("tenth of the run", "images/s, durable and found", "a search, ms"), rows)
    )


def cold(result: dict[str, Any]) -> str:
    rows = [[name, r["median_s"], r["min_s"], r["max_s"]] for name, r in result["rows"].items()]
    return (
        "From shell to answer in a new process each time, the page cache warm; beside it a Python that "
        "imports "
        "NumPy and ends. The aim is a second.\n\n" + table(("", "median s", "least", "most"), rows, 3)
    )
