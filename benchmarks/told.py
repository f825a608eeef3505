"""What is made of results beside what `sections.md` says: texts for its braces, what peers do better,
figures.

A *teller* gives a result with more keys; `lost` are sentences of what a peer does better, and a `headline` is
rows (what, figure) of the README's table.
"""

from __future__ import annotations

from typing import Any

from benchmarks.tables import Result, figure, one, share, table

Lines = list[tuple[str, str]]
_HARD = ("crop 30 %", "screenshot 40 %", "collage 25 %", "picture in picture 15 %", "photo of a screen")
_FASTER = 2.0  # times as fast, from which a peer's speed is worth a line
_BATCH = 64


def below(title: str, problems: list[str]) -> str:
    return f"**{title}:**\n\n" + "\n".join(f"- {one}" for one in problems[:20]) if problems else ""


# What is found


def copies(result: Result) -> Result:
    contenders, rows = result["contenders"], result["edits"]
    said = "\n".join(f"- {name}: {usual}." for name, usual in result["usual"].items())
    if slow := ", ".join(result["slow"]):
        said += f"\n\nOn the first {result['slow_originals']} originals alone, because slow: {slow}."
    keys = ("area_overlap_median", "edits_recall", "edits_precision")
    lines = [
        [
            name,
            row["bar"],
            *(share(row["recall"].get(who)) for who in contenders),
            *(row[key] for key in keys),
        ]
        for name, row in rows.items()
    ]
    wrong = [sum(row["wrong"].get(who, 0) for row in rows.values()) for who in contenders]
    lines.append(["wrong claims, all edits", "", *wrong])
    lines.append(["median ms a query", "", *(one(result["ms_per_query"].get(who)) for who in contenders)])
    titles = ["edit", "bar", "Wherefrom", *contenders[1:], "area, median overlap", "edits named: recall"]
    low = [
        f"{name} ({share(row['recall']['wherefrom'])} of {row['bar']:.2f})"
        for name, row in rows.items()
        if row["bar"] is not None and row["recall"]["wherefrom"] < row["bar"]
    ]
    bars = f"Below their bars: {', '.join(low)}." if low else "No edit is below its bar."
    pairs: dict[tuple[str, str], int] = {}
    for claim in result["wrong"]:
        pair = claim["original"], claim["match"]
        pairs[pair] = pairs.get(pair, 0) + 1
    most = sorted(pairs.items(), key=lambda item: -item[1])[:10]
    mistakes = (
        f"Wrong claims of Wherefrom, the {len(most)} most frequent pairs of {len(pairs)}:\n\n"
        + "\n".join(f"- {original} for {other}, {count} times" for (original, other), count in most)
    )
    return result | {
        "peers": said,
        "robustness": f"{table([*titles, 'precision'], lines)}\n\n{bars}",
        "wrong_pairs": mistakes if most else "No other picture than the original was claimed by Wherefrom.",
    }


def copies_lost(result: Result) -> list[str]:
    found, unrelated, times = list[str](), result["unrelated"], result["ms_per_query"]
    for who in result["contenders"][1:]:
        both = [
            (name, row["recall"][who], row.get("beside", {}).get(who, row["recall"]["wherefrom"]))
            for name, row in result["edits"].items()
            if who in row["recall"]
        ]
        better = [f"{name} ({share(his)}, Wherefrom {share(ours)})" for name, his, ours in both if his > ours]
        found += [f"{who} finds more copies after: {', '.join(better)}."] if better else []
        ours, theirs = times["wherefrom"], times.get(who)
        if theirs and ours > _FASTER * theirs:
            found.append(f"{who} answers {ours / theirs:.0f} times as fast ({one(theirs)} ms a query).")
        fewer = unrelated[who]["queries_claimed"]
        if fewer < unrelated["wherefrom"]["queries_claimed"]:
            found.append(f"{who} claims fewer held-out pictures ({fewer}).")
    return found


def copies_headline(result: Result) -> Lines:
    rows = result["edits"]
    plain = [row["recall"]["wherefrom"] for row in rows.values() if row["bar"] == 0.99]
    hard = [(name, share(rows[name]["recall"]["wherefrom"])) for name in _HARD if name in rows]
    what = (
        f"copies found first, {result['originals']} originals: {len(plain)} edits (JPEG q10, 25 % size, "
        "tone, filters, blur, noise, mirrored, turned by any angle, stretched, framed, captioned, written "
        "on, cropped to half)"
    )
    found = [(what, f"{share(min(plain))} to {share(max(plain))} each")] if plain else []
    if hard:
        found.append((", ".join(name for name, _ in hard), ", ".join(said for _, said in hard)))
    claimed = result["unrelated"]["wherefrom"]["queries_claimed"]
    return [*found, ("held-out pictures claimed", f"{claimed or 'none'} of {result['held_out']}")]


def recall(result: Result) -> Result:
    claims = result["claims_on_unrelated"]
    return result | {
        "claimed": len(claims) or "none",
        "claims": "\n".join(f"- {one['query']}: {one['match']} ({one['kind']})" for one in claims[:10]),
        "scores": {band: {"of": of, "true": true} for band, (true, of) in result["true_by_score"].items()},
    }


def strangers(result: Result) -> Result:
    pairs = ", ".join(f"{distance} bits: {count}" for distance, count in result["within"].items())
    return result | {"pairs": pairs or "none"}


def similar(result: Result) -> Result:
    kinds, rows, found = "", dict[str, Any](), result.get("copies")
    if folders := result.get("kinds"):
        titles = [f"{name} ({f['pictures']} of {f['kinds']} kinds)" for name, f in folders.items()]
        first = next(iter(folders.values()))["contenders"]
        lines = [[who, *(share(f["contenders"][who]["p1"]) for f in folders.values())] for who in first]
        kinds = table(["precision@1", *titles], lines)
    if found:
        rows = {name: {who: share(row[who]) for who in row} for name, row in found["recall"].items()}
        rows |= {
            "wrong claims": found["wrong"],
            "median ms": found["ms"],
            "95 % within, ms": found["slowest_ms"],
        }
    return result | {"kinds_table": kinds, "embedded": rows}


def similar_lost(result: Result) -> list[str]:
    return [
        f"{who} is better than Wherefrom's ranking in {name} ({share(row['p1'])}, Wherefrom {share(ours)})."
        for name, folder in result.get("kinds", {}).items()
        for ours in [folder["contenders"]["Wherefrom"]["p1"]]
        for who, row in folder["contenders"].items()
        if row["p1"] > ours
    ]


# What is fast


def scale_headline(result: Result) -> Lines:
    last = result[-1]
    times = f"{last['p50_ms']:.0f} ms in the median, {last['p95_ms']:.0f} ms in 95 of 100"
    return [
        (f"a search of {last['images']:,} pictures, from the bytes of an upload", times),
        ("bytes of disk an image, for copies", figure(last["bytes_an_image"])),
    ]


def _sets(result: Result) -> dict[str, Any]:
    return {name: part for name, part in result.items() if isinstance(part, dict) and "rows" in part}


def indexing(result: Result) -> Result:
    sets = _sets(result)
    rows: list[list[object]] = [
        [name, *("{median_ms} ({min_ms} to {max_ms})".format(**part["rows"][name]) for part in sets.values())]
        for name in next(iter(sets.values()))["rows"]
    ]
    rows.append(["rate over the fastest peer's", *(part["times_the_fastest_peer"] for part in sets.values())])
    rows.append(["rate over decoding alone, ours", *(part["of_decode_alone"] for part in sets.values())])
    counts = [f"{one['files']} files of {one['median_bytes'] / 1e3:,.0f} kB" for one in sets.values()]
    return {"counts": ", ".join(counts), "sets": table(("", *sets), rows)}


def indexing_lost(result: Result) -> list[str]:
    return [
        f"{name} takes {row['median_ms']} ms for a {title}, Wherefrom {ours} (which computes more)."
        for title, part in _sets(result).items()
        for ours in [part["rows"]["wherefrom index"]["median_ms"]]
        for name, row in part["rows"].items()
        if "alone" not in name and row["median_ms"] < ours
    ]


def indexing_headline(result: Result) -> Lines:
    what = "adding a 500-pixel photograph with all that finds copies and look-alikes, one core"
    found = [part for name, part in _sets(result).items() if "as found" in name]
    return [(what, f"{one(part['rows']['wherefrom index']['median_ms'])} ms") for part in found]


_SCANS = {
    f"{key}{size}": f"{said}, {many}"
    for key, said in (("nearest10", "10 nearest"), ("radius31", "radius 31"), ("radius62", "radius 62"))
    for size, many in (("", "one query"), ("_batch64", f"batch of {_BATCH}"))
}
_NO_GRAPH: dict[str, Any] = {"build_s": None, "recall": None, "ms": {"p50": None, "p95": None}}
_PEERS = {"faiss_": "FAISS", "usearch_": "USearch"}


def hamming(result: Result) -> Result:
    scan, mih, graphs = result.get("scan", {}), result.get("mih"), result.get("graphs", [])
    rows: dict[str, Any] = {}
    if "limit_ms" in scan:

        def cell(name: str) -> str:
            row = scan.get(name)
            return f"{one(row['ms']['p50'])} ms, {figure(row['queries_per_s'], 0)} queries/s" if row else ""

        columns = {"ours": "", "faiss": "faiss_", "usearch": "usearch_"}
        rows = {
            said: {key: cell(who + name) for key, who in columns.items()} for name, said in _SCANS.items()
        }
        rows["reading the codes once"] = {"ours": f"{one(scan['limit_ms'])} ms", "faiss": "", "usearch": ""}
    return result | {
        "skipped": scan.get("skipped"),
        "scans": rows,
        "multi_index": [mih] if mih else [],
        "graphs": [{"wide": row.get("skipped"), **_NO_GRAPH} | row for row in graphs],
        "graph_codes": next((row["codes"] for row in graphs if "codes" in row), 0),
    }


def hamming_lost(result: Result) -> list[str]:
    scan, found = result.get("scan", {}), []
    for name, title in _SCANS.items():
        for prefix, peer in _PEERS.items():
            if name in scan and prefix + name in scan:
                ours, theirs = (scan[key]["ms"]["p50"] for key in (name, prefix + name))
                if theirs < ours:
                    found.append(f"{peer} scans faster: {title} {theirs:.1f} ms, Wherefrom {ours:.1f} ms.")
    return found


def hamming_headline(result: Result) -> Lines:
    scan, rows = result.get("scan", {}), []
    if "nearest10" in scan:
        told = f"{scan['p50_ms']:.1f} ms"
        if "faiss_p50_ms" in scan:
            times = scan["batch64_qps"] / scan["faiss_batch64_qps"]
            told += (
                f" (FAISS {scan['faiss_p50_ms']:.1f}); a batch of {_BATCH} {times:.1f} times as fast as FAISS"
            )
        rows.append((f"{scan['codes']:,} fingerprints, every one looked at, one core", told))
    if mih := result.get("mih"):
        what = f"{mih['codes']:,} fingerprints, all within 31 bits, one thread"
        rows.append((what, f"{mih['p50_ms']:.2f} ms"))
    return rows


_VECTORS = {
    "faiss_sq8": "FAISS, exact, 8 bits",
    "faiss_ivf": "FAISS IVF, 8 bits",
    "faiss_hnsw": "FAISS HNSW, 8 bits",
    "hnswlib": "hnswlib",
    "usearch": "USearch, 8 bits",
}


def _kinds(result: Result) -> dict[str, Any]:
    return {name: part for name, part in result.items() if name not in ("machine", "versions")}


def _size(part: Result) -> float:
    return float((part["columns_bytes"] + part["cells_bytes"]) / part["rows"])


def vectors(result: Result) -> Result:
    return {"vectors": "\n\n".join(_vectors(kind, part) for kind, part in _kinds(result).items())}


def _vectors(kind: str, part: Result) -> str:
    cells, plain = part["cells"], part["columns_bytes"] / part["rows"]
    name = "Wherefrom, cells" if part["covered"] else "Wherefrom"
    rows: list[list[object]] = [
        [name, cells["recall"], "", cells["p50_ms"], part["cells_s"], _size(part)],
        ["Wherefrom, exact", 1.0, "", part["exact"]["p50_ms"], part["columns_s"], plain],
    ]
    keys = ("recall", "nearly", "p50_ms", "build_s", "bytes_per_row")
    for peer, title in _VECTORS.items():
        if (row := part.get(peer)) is not None:
            rows.append([title, *(row.get(key) for key in keys)] if isinstance(row, dict) else [title, row])
    rows.append(["reading all vectors once", "", "", part["limit"]["p50_ms"]])
    titles = ("", f"recall@{part['k']}", "near misses forgiven", "p50, ms", "built in s", "bytes a row")
    shares = [[row["share"], row["recall"], row["p50_ms"], row["exact_p50_ms"]] for row in part["filters"]]
    return (
        f"{part['rows']:,} made vectors of kind `{kind}` ({part['queries']} queries one by one, one core). A "
        "peer's setting is raised until its recall, near misses forgiven, reaches 0.99. One row more is seen "
        f"by a search after {figure(part['changes']['add_p50_ms'])} ms.\n\n{table(titles, rows, 3)}\n\n"
        "With a filter that lets a share through:\n\n"
        + table(("share", "recall", "p50, ms", "exact, p50, ms"), shares, 4)
    )


def vectors_lost(result: Result) -> list[str]:
    found = []
    for kind, part in _kinds(result).items():
        for name, title in _VECTORS.items():
            row, exact, better = part.get(name), name == "faiss_sq8", list[str]()
            if not isinstance(row, dict):
                continue
            mine, size = part["exact" if exact else "cells"]["p50_ms"], _size(part)
            if row["p50_ms"] < mine:
                times = f"answers in {row['p50_ms']:.2f} ms (Wherefrom {mine:.2f}"
                better.append(f"{times}, recall {row['recall']:.3f})")
            if row["bytes_per_row"] < size:
                better.append(f"takes {row['bytes_per_row']:.0f} bytes a row (Wherefrom {size:.0f})")
            if row["build_s"] < part["cells_s"] and not exact:
                better.append(f"is built in {row['build_s']} s (Wherefrom {part['cells_s']})")
            found += [f"{title}, {kind}: {'; '.join(better)}."] if better else []
    return found


def vectors_headline(result: Result) -> Lines:
    kind, part = next(iter(_kinds(result).items()))
    told = f"{part['cells']['p50_ms']:.2f} ms, recall {part['cells']['recall']:.3f}"
    peers = [
        (part[name]["p50_ms"], title) for name, title in _VECTORS.items() if isinstance(part.get(name), dict)
    ]
    if peers:
        best, title = min(peers)
        told += f" (the fastest peer, {title}: {best:.2f} ms)"
    return [(f"the 10 nearest of {part['rows']:,} vectors ({kind}), one core", told)]


def updates(result: Result) -> Result:
    both = zip(result["added_a_second"], result["search_ms"], strict=True)
    rows: list[dict[str, Any]] = [{"name": n, "rate": rate, "ms": ms} for n, (rate, ms) in enumerate(both, 1)]
    return result | {"tenths": [*rows, {"name": "all", "rate": result["added_a_second_overall"], "ms": ""}]}


# What must not go wrong


def outcomes(result: Result) -> Result:
    first, second = result["first"], result["second"]
    rows = [(name, first[name], second[name]) for name in ("offered", "added", "known")]
    for status in ("skipped", "failed"):
        for code in sorted({*first[status], *second[status]}):
            rows.append((f"{status}: {code}", first[status].get(code, 0), second[status].get(code, 0)))
    rows.append(("seconds", first["seconds"], second["seconds"]))
    rows.append(("peak memory, MB", *(round(run["peak_memory"] / 1e6) for run in (first, second))))
    both = [dict(zip(("name", "first", "second"), row, strict=True)) for row in rows]
    return result | {"both": both, "below": below("Problems", result["problems"])}


def outcomes_headline(result: Result) -> Lines:
    found = len(result["problems"])
    said = "every one has an outcome and every refusal a reason" if not found else f"{found} problems"
    return [(f"{result['files']:,} files, {result['hostile']} of them hostile", said)]


def crash(result: Result) -> Result:
    always = "" if result["problems"] else " It was so, each time."
    return result | {"always": always, "below": below("Problems", result["problems"])}


def crash_headline(result: Result) -> Lines:
    lost, added = len(result["problems"]), result["acknowledged_added"]
    said = f"{lost} problems" if lost else "nothing lost, nothing half there"
    return [(f"kills at random instants: {result['kills']}, after {added:,} acknowledged additions", said)]


def service(result: Result) -> Result:
    return result | {
        "upload_kb": round(result["upload_bytes"] / 1e3),
        "least_and_most": f"{min(result['ratios'])} to {max(result['ratios'])}",
        "processes": {name: result["memory"][name] for name in ("server", "searching")},
        "statuses": ", ".join(f"{status}: {n}" for status, n in result["malformed"]["statuses"].items()),
        "found": len(result["crash"]["damage"]),
        "below": below("Below the bar", result["problems"]),
    }


def service_headline(result: Result) -> Lines:
    kills, images, rate = result["crash"], result["images"], one(result["service_per_s"])
    what = f"the service, {result['clients']} clients, {images:,} images, uploads of 500 pixels"
    part = f"{100 * result['ratio']:.0f} % of the library's rate in as many processes"
    killed = f"`kill -9` while {kills['adders']} clients add, {kills['kills']} times"
    lost = f"{kills['lost']} of {kills['answered']:,} answered additions lost"
    return [(what, f"{rate} answers a second, {part}"), (killed, lost)]


def page_feel(result: Result) -> Result:
    if "skipped" in result:
        return {"every": f"Not measured: {result['skipped']}"}
    return result | {
        "least_and_most": f"{result['drop_ms']['min']} to {result['drop_ms']['max']}",
        "messages": len(result["console"]),
        "below": below("Below the bar", result["problems"]),
    }


def page_feel_headline(result: Result) -> Lines:
    if "skipped" in result:
        return []
    what = f"from a picture's drop on the page to its first match on screen, {result['images']:,} images"
    return [(what, f"{result['drop_ms']['median']:.0f} ms in the median")]


def anything(result: Result) -> Result:
    rows = [(name, str(value)) for name, value in result.items() if not isinstance(value, (list, dict))]
    return {"every": table(("what", "figure"), rows)}
