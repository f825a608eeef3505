"""Sections of what must not go wrong: outcomes and crashes."""

from __future__ import annotations

from typing import Any

from common import figure, table


def outcomes(result: dict[str, Any]) -> str:
    first, second = result["first"], result["second"]
    rows: list[tuple[object, ...]] = [
        (name, first[name], second[name]) for name in ("offered", "added", "known")
    ]
    for status in ("skipped", "failed"):
        for code in sorted({*first[status], *second[status]}):
            rows.append((f"{status}: {code}", first[status].get(code, 0), second[status].get(code, 0)))
    rows.append(("seconds", first["seconds"], second["seconds"]))
    rows += [("peak memory, MB", *(round(run["peak_memory"] / 1e6) for run in (first, second)))]
    text = (
        f"{result['files']:,} files of which {result['hostile']} are hostile, of "
        f"{result['hostile_kinds']} kinds "
        "(cut, damaged, empty, no pictures, bombs, endless, pipes, broken links), indexed twice by "
        "`wherefrom index`. Every file has to have one outcome, every refusal a reason, and the second run "
        "has "
        f"to be 20 times as quick: it was {figure(result['ratio'], 0)} times. Most of the first run's "
        "time goes "
        "into waiting for files that never end."
    )
    return f"{text}\n\n{table(('', 'first run', 'second run'), rows, 1)}" + _problems(result["problems"])


def outcomes_headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    found = len(result["problems"])
    told = "every one has an outcome and every refusal a reason" if not found else f"{found} problems"
    return [(f"{result['files']:,} files, {result['hostile']} of them hostile", told)]


def crash(result: dict[str, Any]) -> str:
    text = (
        f"{result['kills']} kills (`kill -9`) at random instants of `index` and `remove`, after "
        f"{result['acknowledged_added']:,} acknowledged additions and {result['acknowledged_removed']:,} "
        "acknowledged removals in all. After each, `check` has to be clean, every acknowledged image there "
        "and found, every acknowledged removal gone, and nothing there that belongs to no file."
    )
    return text + (_problems(result["problems"]) or " It was so, each time.")


def crash_headline(result: dict[str, Any]) -> list[tuple[str, str]]:
    lost = len(result["problems"])
    return [
        (
            f"kills at random instants: {result['kills']}, after {result['acknowledged_added']:,} "
            "acknowledged additions",
            "nothing lost, nothing half there" if not lost else f"{lost} problems",
        )
    ]


def _problems(problems: list[str]) -> str:
    if not problems:
        return ""
    return "\n\n**Problems:**\n\n" + "\n".join(f"- {one}" for one in problems[:20])
