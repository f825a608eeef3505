"""RESULTS.md and the README's table, made of the JSON that the benchmarks left, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.case import HERE, Case
from benchmarks.tables import figure, section, table

FORMAT = 1
FAILED = ".failed.json"
"""Ends the name of the record of a run that failed where an earlier one had not."""

BEGIN, END = "<!-- measured: written by `make bench` -->", "<!-- /measured -->"
BY_HAND = HERE / "by_hand.md"
"""What is measured elsewhere, by programs that take hours: appended as it is."""

Record = dict[str, Any]
"""One run of a case: job, ok, options, result, problem, seconds, started, source, commit, machine, versions,
pictures, below (whether something is below its bar)."""


def records_of(folder: Path, cases: Sequence[Case]) -> dict[str, Record]:
    """The records that were kept, by name, in the order of the page; not those of another format."""
    found: dict[str, Record] = {}
    for case in cases:
        record = record_of(folder, case.name)
        if record is None:
            continue
        later = folder / f"{case.name}{FAILED}"
        if later.exists():
            record["failed_since"] = json.loads(later.read_text())["problem"]
        found[case.name] = record
    return found


def record_of(folder: Path, name: str) -> Record | None:
    """What was kept of a case; None where there is nothing that can be read."""
    try:
        record = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None
    fits = isinstance(record, dict) and record.get("format") == FORMAT and record.get("job") == name
    return record if fits else None


def with_measured(readme: str, rows: str) -> str:
    """A README whose text between the markers is these rows. Raises ValueError without markers."""
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The README has no place for the table: it needs the lines {BEGIN} and {END}.")
    return f"{head}{BEGIN}\n\n{rows}\n\n{END}{tail}"


def told(teller: Callable[[Any], Any] | None, record: Record) -> Any:
    """What a case makes of its result; None where it failed or its result is not as it should be."""
    if teller is None or not record["ok"]:
        return None
    try:
        return teller(record["result"])
    except (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Page:
    """The cases in their order, and the records of those that ran."""

    cases: Sequence[Case]
    records: dict[str, Record]

    def results(self, by_hand: Path = BY_HAND) -> str:
        """RESULTS.md, whole."""
        lost = [line for case in self._ran() for line in told(case.lost, self.records[case.name]) or []]
        better = "\n".join(f"- {line}" for line in lost) or "Nothing, in what was measured."
        parts = [
            "# Results",
            "Written by `make bench` from [results](results), one file of JSON for each script; nothing here "
            "is typed in but what stands under its last heading. Ratios within one run say more than "
            "absolute times.",
            self._ground(),
            f"## What peers do better\n\n{better}",
        ]
        for case in self._ran():
            record = self.records[case.name]
            parts += [f"## {case.title}", self._line(record), _body(case, record)]
        if by_hand.exists():
            parts.append(by_hand.read_text().strip())
        return "\n\n".join(part for part in parts if part) + "\n"

    def measured(self) -> str:
        """The README's table."""
        rows = [row for case in self._ran() for row in told(case.headline, self.records[case.name]) or []]
        return table(("what", "figure"), rows)

    def _ran(self) -> list[Case]:
        return [case for case in self.cases if case.name in self.records]

    def _ground(self) -> str:
        """What everything was measured on; more than one line where the runs differ."""
        records, lines = self.records.values(), []
        for machine in _different(record["machine"] for record in records):
            fast = " with AVX-512 VPOPCNTDQ" if machine["avx512_vpopcntdq"] else ""
            lines.append(
                f"- Machine: {machine['cores']} cores of {machine['cpu']}{fast}, {machine['memory_gb']} GB, "
                f"{machine['system']}, Python {machine['python']}."
            )
        for versions in _different(record["versions"] for record in records):
            named = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "python")
            lines.append(f"- Versions: {named}.")
        lines += [f"- Pictures: {one}." for one in _different(record["pictures"] for record in records)]
        for case in self._ran():
            if since := self.records[case.name].get("failed_since"):
                lines.append(f"- {case.title}: an earlier result; later {since}")
        missing = [one.title for one in self.cases if one.name not in self.records and not one.hand]
        if missing:
            lines.append(f"- Not run: {', '.join(missing)}.")
        return "\n".join(lines)

    def _line(self, record: Record) -> str:
        """What was run, when and how long; of which source where not all are of one."""
        command = " ".join([f"`{record['script']}", *record["options"]]) + "`"
        words = f"{command}, {record['started'][:10]}, {figure(record['seconds'] / 60, 1)} minutes"
        if len(_different(one["source"] for one in self.records.values())) > 1:
            words += f", of commit {record['commit']}"
        below = " Something is below its bar." if record.get("below") else ""
        return f"{words}.{below}"


def _body(case: Case, record: Record) -> str:
    if not record["ok"]:
        return f"**Did not end as it should:** {record['problem']}"

    def body_of(result: Any) -> str:
        more = case.teller(result) if case.teller else result
        return section("any" if "every" in more else case.section or case.name, more)

    body = told(body_of, record)
    return "**Its result has not what this page expects.**" if body is None else str(body)


def _different(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
