"""What became of what was offered: every file gets exactly one outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Status(Enum):
    """The four outcomes."""

    ADDED = "added"
    KNOWN = "known"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one thing offered.

    `id` is the image's, None when there is none; `reason` is a sentence and `code` its word for
    programs (see `wherefrom.errors`), both None for what was added or known. `before` is True for what was
    refused in an earlier run, and has not been read again since it has not changed. `note` is a sentence on
    what was read although its file is not quite sound.
    """

    status: Status
    uri: str
    id: str | None = None
    reason: str | None = None
    code: str | None = None
    before: bool = False
    note: str | None = None

    def as_json(self) -> dict[str, object]:
        """The outcome in the shape that all faces share."""
        return {
            "status": self.status.value,
            "uri": self.uri,
            "id": self.id,
            "reason": self.reason,
            "code": self.code,
            "before": self.before,
            "note": self.note,
        }


@dataclass(slots=True)
class Report:
    """The outcomes of one `add`. `added` + `known` + `skipped` + `failed` is what was offered.

    `gone` counts the places that were marked as gone, `moved` those among them whose file was met elsewhere.
    `taken_out` counts images that were taken out of the index since they are left out now. `interrupted` is
    True when it was stopped before everything had been looked at; what is in the report is done all the same.
    """

    added: list[Outcome] = field(default_factory=list)
    known: list[Outcome] = field(default_factory=list)
    skipped: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    gone: int = 0
    moved: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    taken_out: int = 0

    @property
    def offered(self) -> int:
        """How many things were offered and got an outcome."""
        return len(self.added) + len(self.known) + len(self.skipped) + len(self.failed)

    @property
    def noted(self) -> list[Outcome]:
        """Those whose files were read although they are damaged or not whole."""
        return [one for one in (*self.added, *self.known) if one.note is not None]

    def record(self, outcome: Outcome) -> None:
        """Put an outcome into its list."""
        lists = {
            Status.ADDED: self.added,
            Status.KNOWN: self.known,
            Status.SKIPPED: self.skipped,
            Status.FAILED: self.failed,
        }
        lists[outcome.status].append(outcome)

    def as_json(self) -> dict[str, object]:
        """The report in the shape that all faces share."""
        return {
            "offered": self.offered,
            "added": len(self.added),
            "known": len(self.known),
            "incomplete": [{"uri": one.uri, "note": one.note} for one in self.noted],
            "skipped": [_reasoned(one) for one in self.skipped],
            "failed": [_reasoned(one) for one in self.failed],
            "gone": self.gone,
            "moved": self.moved,
            "taken_out": self.taken_out,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
        }


def _reasoned(one: Outcome) -> dict[str, object]:
    return {"uri": one.uri, "reason": one.reason, "code": one.code, "before": one.before}
