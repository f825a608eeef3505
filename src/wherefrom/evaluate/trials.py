"""What a run of an evaluation leaves behind: trials, alarms, and the facts of the run.

All three go to JSON and back without loss (`as_plain`, `from_plain`): they are what the journal of a run
holds and what its report is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self


class Claim(NamedTuple):
    """An image that an answer claimed: its id, the kind of match and the score, 0 to 100."""

    id: str
    kind: str
    score: float


class FalseClaim(NamedTuple):
    """An image that was claimed for a picture that is not there: its id, where it was seen, kind, score."""

    id: str
    uri: str
    kind: str
    score: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One edit of one original, searched for.

    `original` is the id of the image and `uri` where its file is; `edit` is one of `EDITS`, `family` and
    `strength` place it on a curve (None where it has no degree), and `seed` is what chance was made of.
    `claims` are in the order of the answer, `rank` is the place of the original among them, from 1, None
    where it is not. `related` are the ids of other images that are this picture beyond doubt: claiming them
    is no mistake. `kind_expected` are the kinds that are right. `overlap` and `match_overlap` are
    intersection over union, 0 to 1, of the areas in the query and in the match with the truth, None where
    nothing can be compared. `expected` and `named` are names of edits, `timings_ms` those of the answer.
    `account` is what each stage said of the original when it was not found (`Account.as_json`).
    """

    original: str
    uri: str
    edit: str
    family: str
    strength: float | None
    seed: int
    claims: tuple[Claim, ...] = ()
    rank: int | None = None
    kind_expected: tuple[str, ...] = ()
    overlap: float | None = None
    match_overlap: float | None = None
    expected: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    related: tuple[str, ...] = ()
    account: Mapping[str, Any] | None = None

    def as_plain(self) -> dict[str, Any]:
        """The trial in numbers, texts, lists and dicts."""
        return asdict(self) | {"claims": [list(claim) for claim in self.claims]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `as_plain`."""
        return cls(
            **{
                **plain,
                "claims": tuple(Claim(*claim) for claim in plain["claims"]),
                **_tuples(plain, "kind_expected", "expected", "named", "related"),
            }
        )


@dataclass(frozen=True, slots=True)
class Alarm:
    """A picture held out of the index, searched for: whatever is claimed is a false alarm.

    `id` is that of its bytes. `duplicates` are the ids of images that turned out to be the same picture
    beyond doubt, and were left out of the search.
    """

    uri: str
    id: str
    claims: tuple[FalseClaim, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    duplicates: tuple[str, ...] = ()

    def as_plain(self) -> dict[str, Any]:
        """The alarm in numbers, texts, lists and dicts."""
        return asdict(self) | {"claims": [list(claim) for claim in self.claims]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `as_plain`."""
        claims = tuple(FalseClaim(*claim) for claim in plain["claims"])
        return cls(**{**plain, "claims": claims, **_tuples(plain, "duplicates")})


class Skip(NamedTuple):
    """A picture, or one edit of it, that was not tried, and why, as a sentence."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a run.

    `version` is Wherefrom's; `source` the folder or collection, `images` how many were searched through;
    `sampled` and `held_out` how many originals and held-out pictures were tried, `blank` how many had too
    little in them for any search and were left out of the sample, `skipped` what could not be tried. `edits`
    says how often each edit was tried. `settings` are those that decide what is found, `features` the
    versions of features by kind, `bytes` what the collection takes on the disk by part. `started` is ISO
    8601 UTC, `seconds` how long the run took, all its parts together where it was stopped and resumed;
    `machine` the number of cores, the processor's name and the platform.
    """

    version: str
    seed: int
    suite: str
    source: str
    images: int
    sampled: int
    held_out: int
    blank: int = 0
    skipped: tuple[Skip, ...] = ()
    edits: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    features: Mapping[str, str] = field(default_factory=dict)
    bytes: Mapping[str, int] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0
    machine: Mapping[str, Any] = field(default_factory=dict)

    def as_plain(self) -> dict[str, Any]:
        """The facts in numbers, texts, lists and dicts."""
        return asdict(self) | {"skipped": [list(skip) for skip in self.skipped]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `as_plain`."""
        return cls(**{**plain, "skipped": tuple(Skip(*skip) for skip in plain["skipped"])})


def _tuples(plain: Mapping[str, Any], *names: str) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(plain[name]) for name in names}
