"""Sums and tables of `copies.py`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import mean
from typing import Any

from peers import PEERS
from wherefrom.evaluate.edits import BARS

_SHOWN = 40


def summed(trials: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    rows = {}
    for name in names:
        tries = [trial["edits"][name] for trial in trials]
        told = [row for row in tries if "named" in row]
        right = sum(len(set(row["named"]) & set(row["expected"])) for row in told)
        named, expected = (sum(len(row[key]) for row in told) for key in ("named", "expected"))
        areas = sorted(row["overlap"] for row in told if "overlap" in row)
        contenders = list(dict.fromkeys(one for row in tries for one in row["found"]))
        rows[name] = {
            "bar": BARS.get(name),
            "recall": {
                one: mean([row["found"][one] for row in tries if one in row["found"]]) for one in contenders
            },
            # Of the originals that a contender was tried on, those that Wherefrom found.
            "beside": {
                one: mean([row["found"]["wherefrom"] for row in tries if one in row["found"]])
                for one in contenders
            },
            "wrong": {one: sum(row["wrong"].get(one, 0) for row in tries) for one in contenders},
            "area_overlap_median": areas[len(areas) // 2] if areas else None,
            "edits_recall": right / expected if expected else None,
            "edits_precision": right / named if named else None,
            "missed": sorted(
                trial["original"] for trial in trials if not trial["edits"][name]["found"]["wherefrom"]
            ),
        }
    return rows


def summed_strangers(rows: Sequence[dict[str, Any]], contenders: Sequence[str]) -> dict[str, Any]:
    return {
        one: {
            "queries_claimed": sum(row["counts"].get(one, 0) > 0 for row in rows),
            "pictures_claimed": sum(row["counts"].get(one, 0) for row in rows),
            "claims": [claim for row in rows for claim in row["claims"]] if one == "wherefrom" else [],
        }
        for one in contenders
    }


def medians(trials: Sequence[dict[str, Any]]) -> dict[str, float]:
    every: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        for one, times in trial["times"].items():
            every[one] += times
    return {one: round(1e3 * sorted(times)[len(times) // 2], 2) for one, times in every.items()}


def show(result: dict[str, Any]) -> None:
    contenders = result["contenders"]
    print(
        f"{result['originals']} originals among {result['indexed']} indexed pictures; {result['machine']}.\n"
        "\nRecall@1 as a claim:\n"
    )
    row_of("edit", "bar", *contenders)
    row_of(*["---"] * (2 + len(contenders)))
    for name, row in result["edits"].items():
        best = [f"{row['recall'][one]:.3f}" for one in contenders]
        if row["bar"] is not None and row["recall"]["wherefrom"] < row["bar"]:
            best[0] += " (below)"
        row_of(name, "" if row["bar"] is None else f"{row['bar']:.2f}", *best)
    total = {one: sum(row["wrong"][one] for row in result["edits"].values()) for one in contenders}
    row_of("wrong claims, all edits", "", *(f"{total[one]:,}" for one in contenders))
    row_of("median ms a query", "", *(f"{result['ms_per_query'][one]:.1f}" for one in contenders))
    print()
    for one in contenders[1:]:
        some = f" Tried on the first {result['slow_originals']} originals." if PEERS[one].slow else ""
        print(f"- {one}: {PEERS[one].usual}.{some}")
    print("\nWherefrom's evidence for the originals found, held to the truth:\n")
    row_of("edit", "area, median overlap", "edits named: recall", "precision")
    row_of(*["---"] * 4)
    for name, row in result["edits"].items():
        keys = ("area_overlap_median", "edits_recall", "edits_precision")
        row_of(name, *("" if row[key] is None else f"{row[key]:.2f}" for key in keys))
    print(f"\n{result['held_out']} pictures held out of the index:\n")
    row_of("", "pictures with a claim", "claims")
    row_of(*["---"] * 3)
    for one, counts in result["unrelated"].items():
        row_of(one, f"{counts['queries_claimed']:,}", f"{counts['pictures_claimed']:,}")
    print("\nPictures with nothing in common but a style:\n")
    row_of("style", "indexed", "searched", "claims")
    row_of(*["---"] * 4)
    for style in result["styles"]:
        row_of(style["style"], style["indexed"], style["searched"], len(style["claims"]))
    claims = result["unrelated"]["wherefrom"]["claims"] + [
        one for row in result["styles"] for one in row["claims"]
    ]
    for title, rows in (("Wrong claims", result["wrong"]), ("Claims on unrelated pictures", claims)):
        if rows:
            print(f"\n{title}:\n")
            for claim in rows[:_SHOWN]:
                print("-", ", ".join(claim.values()))
            if len(rows) > _SHOWN:
                print(f"- and {len(rows) - _SHOWN:,} more (all of them with --json)")


def row_of(*cells: object) -> None:
    print("|", " | ".join(str(cell) for cell in cells), "|")
