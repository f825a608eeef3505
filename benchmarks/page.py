"""RESULTS.md and the README's table, made of the JSON that the benchmarks left, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import HERE, figure, table
from sections import SECTIONS

FORMAT = 1
FAILED = ".failed.json"
"""Ends the name of the record of a run that failed where an earlier one had not."""

BEGIN, END = "<!-- measured: written by `make bench` -->", "<!-- /measured -->"
BY_HAND = HERE / "by_hand.md"
"""What is measured elsewhere, by programs that take hours: appended as it is."""

Record = dict[str, Any]
"""One job's run: job, ok, options, result, problem, seconds, started, source, commit, machine, versions,
pictures, below (whether the script found something below its bar)."""


def records_of(folder: Path) -> dict[str, Record]:
    """The records that were kept, by job, in the order of the page; not those of another format."""
    found: dict[str, Record] = {}
    for name in SECTIONS:
        record = record_of(folder, name)
        if record is None:
            continue
        later = folder / f"{name}{FAILED}"
        if later.exists():
            record["failed_since"] = json.loads(later.read_text())["problem"]
        found[name] = record
    return found


def record_of(folder: Path, name: str) -> Record | None:
    """What was kept of a job; None where there is nothing that can be read."""
    try:
        record = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None
    fits = isinstance(record, dict) and record.get("format") == FORMAT and record.get("job") == name
    return record if fits else None


def results(records: dict[str, Record]) -> str:
    """RESULTS.md, whole."""
    parts = [
        "# Results",
        "Written by `make bench` from [results](results), one file of JSON for each script; nothing here is "
        "typed in but what stands under its last heading. Ratios within one run say more than absolute "
        "times.",
        _ground(records),
        _better(records),
    ]
    for name, record in records.items():
        section = SECTIONS[name]
        parts += [f"## {section.title}", _line(record, records), _body(name, record)]
    if BY_HAND.exists():
        parts.append(BY_HAND.read_text().strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def measured(records: dict[str, Record]) -> str:
    """The README's table."""
    rows = [row for name, record in records.items() for row in told(SECTIONS[name].headline, record) or []]
    return table(("what", "figure"), rows)


def with_measured(readme: str, rows: str) -> str:
    """A README whose text between the markers is these rows. Raises ValueError without markers."""
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The README has no place for the table: it needs the lines {BEGIN} and {END}.")
    return f"{head}{BEGIN}\n\n{rows}\n\n{END}{tail}"


def lost(records: dict[str, Record]) -> list[str]:
    """All that a peer does better, as computed."""
    return [line for name, record in records.items() for line in told(SECTIONS[name].lost, record) or []]


def told(teller: Callable[[Any], Any], record: Record) -> Any:
    """What a section makes of a result; None where a script failed or its result is not as it should be."""
    if not record["ok"]:
        return None
    try:
        return teller(record["result"])
    except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError):
        return None


def _ground(records: dict[str, Record]) -> str:
    """What everything was measured on; more than one line where the runs differ."""
    lines = []
    for machine in _different(record["machine"] for record in records.values()):
        fast = " with AVX-512 VPOPCNTDQ" if machine["avx512_vpopcntdq"] else ""
        lines.append(
            f"- Machine: {machine['cores']} cores of {machine['cpu']}{fast}, {machine['memory_gb']} GB, "
            f"{machine['system']}, Python {machine['python']}."
        )
    for versions in _different(record["versions"] for record in records.values()):
        told = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "python")
        lines.append(f"- Versions: {told}.")
    lines += [f"- Pictures: {one}." for one in _different(record["pictures"] for record in records.values())]
    failed = [one for one in records.values() if one.get("failed_since")]
    for one in failed:
        lines.append(f"- {SECTIONS[one['job']].title}: an earlier result; later {one['failed_since']}")
    missing = [SECTIONS[name].title for name in SECTIONS if name not in records]
    if missing:
        lines.append(f"- Not run: {', '.join(missing)}.")
    return "\n".join(lines)


def _better(records: dict[str, Record]) -> str:
    lines = lost(records)
    told = "\n".join(f"- {line}" for line in lines) if lines else "Nothing, in what was measured."
    return f"## What peers do better\n\n{told}"


def _line(record: Record, records: dict[str, Record]) -> str:
    """What was run, when and how long; of which source where not all are of one."""
    command = " ".join([f"`{record['script']}", *record["options"]]) + "`"
    words = f"{command}, {record['started'][:10]}, {figure(record['seconds'] / 60, 1)} minutes"
    if len(_different(one["source"] for one in records.values())) > 1:
        words += f", of commit {record['commit']}"
    below = " Something is below its bar." if record.get("below") else ""
    return f"{words}.{below}"


def _body(name: str, record: Record) -> str:
    if not record["ok"]:
        return f"**Did not end as it should:** {record['problem']}"
    body = told(SECTIONS[name].body, record)
    return "**Its result has not what this page expects.**" if body is None else str(body)


def _different(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
