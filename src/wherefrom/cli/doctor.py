"""The command that looks at everything else: doctor."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from wherefrom.cli.common import as_json, done, in_collection, print_json, put
from wherefrom.printing import counted, size

if TYPE_CHECKING:
    from wherefrom.doctor import Examination, Finding

_WIDTH = 90
_STEPS = {
    "decode_luma": "decode, luma alone",
    "decode_colour": "decode, in colour",
    "features": "what finds copies",
    "embedding": "an embedding",
    "scan": "a million fingerprints, by NumPy",
}


@click.command(short_help="Say what is installed, what is slow, and why.")
@in_collection
@click.option("--quick", is_flag=True, help="Measure nothing.")
@as_json
def doctor(collection: str | None, quick: bool, json_output: bool) -> None:
    """Say what is installed, what the collection is like, what is slow and why, and what cures it.

    Changes nothing and uses no network. Ends in 0 where nothing is broken, whatever could be better; in 4
    where the collection cannot be used, and in 2 where the settings or the installation are wrong.
    """
    from wherefrom.doctor import examine

    seen = examine(collection, measured=not quick)
    if json_output:
        print_json(seen.as_json())
    else:
        for heading, lines in (
            ("Installed", _installed(seen)),
            ("Machine", _machine(seen)),
            ("Settings", _settings(seen)),
            ("Collection", _collection(seen)),
            ("Speed", _speed(seen)),
        ):
            put(heading)
            for line in lines:
                put("\n".join(textwrap.wrap(line, _WIDTH, initial_indent="  ", subsequent_indent="    ")))
        put()
        for finding in seen.findings:
            put("\n".join(_told(finding)))
        broken = sum(finding.level.value == "broken" for finding in seen.findings)
        advice = len(seen.findings) - broken
        if broken:
            put(f"{counted(broken, 'problem')}, {counted(advice, 'suggestion')}.")
        else:
            put(f"No problems, {counted(advice, 'suggestion')}." if advice else "No problems.")
    done(seen.exit)


def _told(finding: Finding) -> Iterator[str]:
    mark = "broken: " if finding.level.value == "broken" else "advice: "
    yield from textwrap.wrap(mark + finding.what, _WIDTH, subsequent_indent="        ")
    yield from textwrap.wrap(
        "cure: " + finding.cure, _WIDTH, initial_indent="  ", subsequent_indent="        "
    )


def _installed(seen: Examination) -> Iterator[str]:
    there = seen.installed
    yield ", ".join(f"{name} {version or 'missing'}" for name, version in there.versions.items())
    read = [str(one["title"]) for one in there.formats if one["read"]]
    yield "reads " + ", ".join(read)
    lacking = [f"{one['title']} ({_extra(one['extra'])})" for one in there.formats if _could(one)]
    if lacking:
        yield "could read " + ", ".join(lacking)
    some = [name for name, packages in there.extras.items() if all(packages.values())]
    others = [name for name in there.extras if name not in some]
    yield f"extras: {', '.join(some) or 'none'}" + (f"; not installed: {', '.join(others)}" if others else "")
    yield f"ONNX Runtime computes on {', '.join(there.providers) or 'nothing'}"
    model = there.model
    yield f"model: {model['name']}, {_state(model)}"


def _state(model: dict[str, object]) -> str:
    if model["state"] == "built in" and model["file"] is None:
        return "not built yet: the first picture that is added builds it, in seconds"
    return str(model["state"])


def _could(one: dict[str, object]) -> bool:
    return not one["read"] and one["extra"] is not None


def _extra(extra: object) -> str:
    return f"pip install 'wherefrom[{extra}]'"


def _machine(seen: Examination) -> Iterator[str]:
    here = seen.machine
    quota = "" if here.quota is None else f", the time of {here.quota:g} granted"
    yield f"{here.processor or 'processor unknown'}: {here.allowed} of {here.cores} cores{quota}"
    yield f"vector instructions: {', '.join(here.simd) or 'unknown'}; NumPy uses {_simd(seen)}"
    if here.memory is not None:
        limit = "" if here.memory_limit is None else f", limited to {size(here.memory_limit)}"
        free = "" if here.available is None else f", {size(here.available)} free"
        yield f"memory: {size(here.memory)}{free}{limit}" + (
            f", {size(here.swapped)} swapped out" if here.swapped else ""
        )
    if here.temporary_free is not None:
        yield f"temporary files: {here.temporary}, {size(here.temporary_free)} free"


def _simd(seen: Examination) -> str:
    return ", ".join(seen.installed.numpy_simd) or "the oldest alone"


def _settings(seen: Examination) -> Iterator[str]:
    chosen = seen.chosen
    yield f"file: {chosen.file or 'none'}"
    for name, (value, where) in chosen.stated.items():
        yield f"{name} = {value} (from {where})"
    if not chosen.stated:
        yield "all defaults"


def _collection(seen: Examination) -> Iterator[str]:
    kept = seen.collection
    if not kept.there:
        yield f"none at {kept.path}; made by: wherefrom index FOLDER"
        return
    yield kept.path
    if not kept.opened:
        yield "cannot be used: see below"
        return
    yield f"{counted(kept.images, 'image')} in {counted(kept.sightings, 'place')}; checked: {kept.checked}"
    parts = ", ".join(f"{name} {size(count)}" for name, count in kept.bytes.items() if count)
    each = "" if kept.bytes_an_image is None else f"; {kept.bytes_an_image:,.0f} bytes an image"
    yield parts + each
    yield "features: " + ", ".join(f"{kind} {' and '.join(all_)}" for kind, all_ in kept.versions.items())
    if kept.refused:
        yield "files refused: " + ", ".join(f"{code} {count:,}" for code, count in kept.refused.items())
    if kept.writer:
        yield f"being written to by {kept.writer}"
    if kept.disk is not None:
        room = "" if kept.room is None else f", room for about {counted(kept.room, 'more image')}"
        yield f"disk: {kept.disk.kind}, {size(kept.disk.free)} free{room}"


def _speed(seen: Examination) -> Iterator[str]:
    from wherefrom.doctor.speed import USUAL

    if seen.speed is None:
        yield "not measured"
        return
    for step, ms in seen.speed.ms.items():
        if ms is not None:
            yield f"{_STEPS[step]}: {ms:.1f} ms ({USUAL[step]:g} on the machine of the benchmarks)"
    if (rate := seen.speed.per_second) is not None:
        yield f"adds about {rate:.0f} pictures of 1000×750 a second on one core"
