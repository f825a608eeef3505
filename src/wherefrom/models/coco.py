"""The 80 kinds of things that detectors know: the classes of COCO (Lin et al. 2014), by category."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("coco.tsv")


@dataclass(frozen=True, slots=True)
class Kinds:
    """The classes in the order of a detector's outputs: number in COCO's annotations, name, and category."""

    ids: tuple[int, ...]
    names: tuple[str, ...]
    parents: tuple[str, ...]

    def parent(self, name: str) -> str:
        """The category of a class by its name. Raises KeyError for a name that none has."""
        return _parents()[name]


@cache
def kinds() -> Kinds:
    """The classes that come with the package."""
    rows = [line.split("\t") for line in _FILE.read_text(encoding="utf-8").splitlines()]
    ids, names, parents = zip(*rows, strict=True)
    return Kinds(tuple(map(int, ids)), names, parents)


@cache
def _parents() -> dict[str, str]:
    return dict(zip(kinds().names, kinds().parents, strict=True))
