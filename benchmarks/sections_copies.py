"""Sections of what is found: copies, strangers, look-alikes, duplicates, and edits named."""

from __future__ import annotations

from typing import Any

from common import figure, table

_HARD = ("crop 30 %", "screenshot 40 %", "collage 25 %", "picture in picture 15 %", "photo of a screen")
_FASTER = 2.0  # times as fast, from which a peer's speed is worth a line


def copies(result: dict[str, Any]) -> str:
    contenders, rows = result["contenders"], result["edits"]
    peers = contenders[1:]
    titles = ["edit", "bar", "Wherefrom", *peers, "area, median overlap", "edits named: recall", "precision"]
    lines = [
        [
            name,
            row["bar"],
            *(_share(row["recall"].get(one)) for one in contenders),
            *(figure(row[key]) for key in ("area_overlap_median", "edits_recall", "edits_precision")),
        ]
        for name, row in rows.items()
    ]
    totals = {one: sum(row["wrong"].get(one, 0) for row in rows.values()) for one in contenders}
    lines.append(["wrong claims, all edits", "", *(totals[one] for one in contenders), "", "", ""])
    lines.append(
        [
            "median ms a query",
            "",
            *(figure(result["ms_per_query"].get(one), 1) for one in contenders),
            *[""] * 3,
        ]
    )
    text = (
        f"{result['originals']} originals among {result['indexed']} indexed pictures, each edited by "
        "every edit "
        "of the suite, saved as JPEG at quality 90 and searched for. Recall@1 as a claim: the nearest is the "
        "original, and claimed; a wrong claim is any other picture within the threshold. The last three "
        "columns "
        "hold Wherefrom's evidence to what was done. Everybody on the same files in the same run; the peers "
        "compare with every indexed picture.\n\n"
        + "\n".join(f"- {one}: {usual}." for one, usual in result.get("usual", {}).items())
    )
    slow = ", ".join(result.get("slow", []))
    if slow:
        text += f"\n\nOn the first {result['slow_originals']} originals alone, because slow: {slow}."
    below = [
        f"{name} ({_share(row['recall']['wherefrom'])} of {row['bar']:.2f})"
        for name, row in rows.items()
        if row["bar"] is not None and row["recall"]["wherefrom"] < row["bar"]
    ]
    told = f"Below their bars: {', '.join(below)}." if below else "No edit is below its bar."
    return "\n\n".join([text, table(titles, lines), told, _unrelated(result), _wrong(result)])


def _unrelated(result: dict[str, Any]) -> str:
    lines = [
        (one, counts["queries_claimed"], counts["pictures_claimed"])
        for one, counts in result["unrelated"].items()
    ]
    styles = [(row["style"], row["indexed"], row["searched"], len(row["claims"])) for row in result["styles"]]
    return (
        f"{result['held_out']} pictures held out of the index, searched for as they are:\n\n"
        + table(("", "pictures with a claim", "claims"), lines)
        + "\n\nPictures with nothing in common but a style, some searched for among others (Wherefrom):\n\n"
        + table(("style", "indexed", "searched", "claims"), styles)
    )


def _wrong(result: dict[str, Any]) -> str:
    pairs: dict[tuple[str, str], int] = {}
    for claim in result["wrong"]:
        pair = claim["original"], claim["match"]
        pairs[pair] = pairs.get(pair, 0) + 1
    if not pairs:
        return "No other picture than the original was claimed by Wherefrom."
    most = sorted(pairs.items(), key=lambda item: -item[1])[:10]
    told = "\n".join(f"- {one} for {other}, {count} times" for (one, other), count in most)
    return f"Wrong claims of Wherefrom, the {len(most)} most frequent pairs of {len(pairs)}:\n\n{told}"


def copies_lost(result: dict[str, Any]) -> list[str]:
    found = []
    for one in result["contenders"][1:]:
        better = [
            f"{name} ({_share(row['recall'][one])}, Wherefrom "
            f"{_share(row.get('beside', row['recall']).get(one))})"
            for name, row in result["edits"].items()
            if one in row["recall"] and row["recall"][one] > _ours(row, one)
        ]
        if better:
            found.append(f"{one} finds more copies after: {', '.join(better)}.")
        ours = result["ms_per_query"]["wherefrom"]
        theirs = result["ms_per_query"].get(one)
        if theirs and ours > _FASTER * theirs:
            found.append(f"{one} answers {ours / theirs:.0f} times as fast ({figure(theirs, 1)} ms a query).")
        fewer = result["unrelated"][one]["queries_claimed"]
        if fewer < result["unrelated"]["wherefrom"]["queries_claimed"]:
            found.append(f"{one} claims fewer held-out pictures ({fewer}).")
    return found


def _ours(row: dict[str, Any], one: str) -> float:
    """Wherefrom's recall over the originals that a peer was tried on."""
    known = row.get("beside", {}).get(one)
    return float(row["recall"]["wherefrom"] if known is None else known)


def copies_headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    rows = result["edits"]
    plain = [row["recall"]["wherefrom"] for row in rows.values() if row["bar"] == 0.99]
    hard = [(name, rows[name]["recall"]["wherefrom"]) for name in _HARD if name in rows]
    found = []
    if plain:
        found.append(
            (
                f"copies found first, {result['originals']} originals: {len(plain)} edits (JPEG q10, 25 "
                "% size, "
                "tone, filters, blur, noise, mirrored, turned by any angle, stretched, framed, captioned, "
                "written on, cropped to half)",
                f"{_share(min(plain))} to {_share(max(plain))} each",
            )
        )
    if hard:
        found.append((", ".join(name for name, _ in hard), ", ".join(_share(one) for _, one in hard)))
    claimed = result["unrelated"]["wherefrom"]["queries_claimed"]
    found.append(("held-out pictures claimed", f"{claimed or 'none'} of {result['held_out']}"))
    return found


def recall(result: dict[str, Any]) -> str:
    rows = result["recall_at_1"]
    text = (
        f"{result['originals']} originals among {result['indexed']} indexed pictures, searched for by "
        "copies that "
        "show the whole; it counts when the first match is the original and claimed. Median search "
        f"{figure(result['search_ms_p50'], 1)} ms."
    )
    lines = [
        (name, _share(row["recall"]), figure(row["lowest_score"], 1), ", ".join(row["missed"][:3]))
        for name, row in rows.items()
    ]
    scores = [(band, total, true) for band, (true, total) in result["true_by_score"].items()]
    claims = result["claims_on_unrelated"]
    told = (
        f"Claims on {result['unrelated']} pictures that were kept out of the index: {len(claims) or 'none'}."
    )
    listed = "".join(f"\n- {claim['query']}: {claim['match']} ({claim['kind']})" for claim in claims[:10])
    return "\n\n".join(
        [
            text,
            table(("edit", "recall@1 as a claim", "lowest score", "missed"), lines),
            "What scores meant:\n\n" + table(("score", "matches", "of them true"), scores),
            told + ("\n" + listed if listed else ""),
        ]
    )


def strangers(result: dict[str, Any]) -> str:
    within = ", ".join(f"{distance} bits: {count}" for distance, count in result["within"].items()) or "none"
    return (
        f"How near the fingerprints of unrelated pictures come: {result['pictures']:,} pictures, "
        f"{result['codes_compared']:,} comparisons of codes. Pairs within 76 bits: {within}."
    )


def similar(result: dict[str, Any]) -> str:
    parts = []
    if "kinds" in result:
        folders = result["kinds"]
        first = next(iter(folders.values()))["contenders"]
        titles = [
            "precision@1",
            *(f"{n} ({f['pictures']} of {f['kinds']} kinds)" for n, f in folders.items()),
        ]
        lines = [[one, *(_share(f["contenders"][one]["p1"]) for f in folders.values())] for one in first]
        parts.append(
            "Each picture is searched for among the others of its folder. What is shipped has learnt "
            "from both "
            "folders: this says what it does with these pictures, and nothing of others (see the end of this "
            f"page for pictures held out).\n\n{table(titles, lines)}"
        )
        steps = result["steps_ms"].items()
        parts.append(f"Steps on one thread:\n\n{table(('step', 'median ms'), steps)}")
    if "copies" in result:
        found = result["copies"]
        who = ("with", "without")
        lines = [[name, *(_share(row[one]) for one in who)] for name, row in found["recall"].items()]
        for title, key in (("wrong claims", "wrong"), ("median ms", "ms"), ("95 % within, ms", "slowest_ms")):
            lines.append([title, *(found[key][one] for one in who)])
        titles = ["edit", "with embeddings", "without"]
        parts.append(f"{result['originals']} originals, recall@1 as a claim:\n\n{table(titles, lines, 1)}")
    if "walls" in result:
        lines = [[name, _share(row["recall"]), row["wrong"]] for name, row in result["walls"].items()]
        parts.append(
            f"Photographs as prints, on screens and on walls, among {result['among']} pictures (bar "
            "0.95):\n\n" + table(("", "first, as a claim", "wrong claims"), lines)
        )
    return "\n\n".join(parts)


def similar_lost(result: dict[str, Any]) -> list[str]:
    return [
        f"{one} is better than Wherefrom's ranking in {name} ({_share(row['p1'])}, "
        f"Wherefrom {_share(folder['contenders']['Wherefrom']['p1'])})."
        for name, folder in result.get("kinds", {}).items()
        for one, row in folder["contenders"].items()
        if row["p1"] > folder["contenders"]["Wherefrom"]["p1"]
    ]


def duplicates(result: dict[str, Any]) -> str:
    lines = [
        [
            "on" if row["parts"] else "off",
            row["groups"],
            row["pairs"],
            _share(row["precision"]),
            _share(row["recall"]),
            row["ms_per_image"],
        ]
        for row in result["rows"]
    ]
    titles = ("parts", "groups", "pairs", "precision", "recall", "ms an image")
    return (
        f"{result['images']:,} images with published near-duplicates among them, {result['true_pairs']} true "
        "pairs. What is held to be a duplicate was tuned on the same pictures.\n\n" + table(titles, lines)
    )


def changes(result: dict[str, Any]) -> str:
    rows = [
        [
            name,
            row["wanted"] or "nothing",
            row["visible"],
            _share(row["recall"]),
            ", ".join(f"{key} {count}" for key, count in row["wrongly"].items()),
        ]
        for name, row in result["edits"].items()
    ]
    named = [[name, _share(value)] for name, value in result["precision"].items()]
    return (
        f"{result['pictures']} photographs that the thresholds were not chosen on, with a transform that "
        "is off by "
        f"up to a pixel; {figure(result['ms']['median'], 1)} ms a call "
        f"({figure(result['ms']['processor'], 1)} of processor time).\n\n"
        + table(("edit", "to be named", "visible in", "recall", "named wrongly"), rows)
        + "\n\n"
        + table(("name", "precision"), named)
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
