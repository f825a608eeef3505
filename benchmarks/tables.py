"""Tables and paragraphs of RESULTS.md out of results, as `sections.md` says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from benchmarks.case import HERE

Result = Any
"""What a benchmark gives, as JSON holds it."""


def figure(value: object, digits: int = 2) -> str:
    """A cell: thousands parted, numbers with a fraction rounded to `digits`, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value).replace("|", "/").replace("\n", " ")


def one(value: Any) -> str:
    """A number with one digit after the point."""
    return figure(value, 1)


def share(value: float | None) -> str:
    """A share of 1."""
    return "" if value is None else f"{value:.3f}"


FORMATS: dict[str, Callable[[Any], str]] = {
    ".1": one,
    "share": share,
    "count": lambda some: str(len(some)),
    "counts": lambda some: ", ".join(f"{name} {count}" for name, count in some.items()),
    "first3": lambda some: ", ".join(some[:3]),
    "name": lambda name: name or "nothing",
    "on": lambda value: "on" if value else "off",
}
"""How cells are written, by name."""


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], digits: int = 2) -> str:
    """A table in Markdown; rows that are short are filled."""
    lines = [" | ".join(titles), " | ".join("---" for _ in titles)]
    lines += [
        " | ".join([figure(cell, digits) for cell in row] + [""] * (len(titles) - len(row))) for row in rows
    ]
    return "\n".join(f"| {line} |" for line in lines)


def at(result: Result, key: str) -> Any:
    """What a key leads to (`stages_ms.verify`), written as it says; LookupError where it leads nowhere."""
    path, _, form = key.partition("=")
    for name in path.split("."):
        result = result[name]
    return FORMATS[form](result) if form else result


def _rows(found: Any) -> list[Result]:
    """Rows of a list, or of a mapping, each with its own name."""
    if not isinstance(found, dict):
        return list(found)
    return [
        {"name": name} | (row if isinstance(row, dict) else {"value": row}) for name, row in found.items()
    ]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line[1:-1].split("|")]


def _table(paragraph: str, result: Result) -> str:
    head, *lines = paragraph.splitlines()
    key, _, digits = head[1:].strip().partition(" ")
    titles, *specs = map(_cells, lines)
    if key == "what":  # each line a figure of its own
        rows = [[what, at(result, name), bar] for what, name, bar in specs]
    else:
        rows = [[at(row, name) for name in specs[0]] for row in _rows(result.get(key, []))]
    return table(titles, rows, int(digits or 2)) if rows else ""


@cache
def _sections() -> dict[str, list[str]]:
    text = (HERE / "sections.md").read_text(encoding="utf-8")
    parts = (part.split("\n", 1) for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:])
    return {name.strip(): [one.strip() for one in rest.split("\n\n")] for name, rest in parts}


def section(name: str, result: Result) -> str:
    """The section of that name about a result; paragraphs that are empty are left out."""
    return "\n\n".join(said for text in _sections()[name] if (said := _paragraph(text, result)).strip())


def _paragraph(text: str, result: Result) -> str:
    if text.startswith("= "):
        return _table(text, result)
    if text.startswith("?"):
        key, _, text = text[1:].partition(" ")
        if not result.get(key):
            return ""
    return text.format(**result)
