"""Requests: the same words for library, command line and HTTP, checked once."""

from __future__ import annotations

from typing import Any

import pytest

from wherefrom.errors import UsageError
from wherefrom.search.answer import CLAIMS, Kind
from wherefrom.search.calibration import Calibration, Level
from wherefrom.search.request import SearchRequest, kinds_of, region_of


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        (None, set(CLAIMS)),
        ("claims", set(CLAIMS)),
        ("all", set(Kind)),
        ("same", {Kind.SAME}),
        (" same , copy", {Kind.SAME, Kind.COPY}),
        ("claims,similar", set(Kind)),
        (["copy", "claims"], set(CLAIMS)),
        (frozenset(Kind), set(Kind)),
        ([Kind.PARTIAL], {Kind.PARTIAL}),
    ],
)
def test_kinds(said: Any, kinds: set[Kind]) -> None:
    assert kinds_of(said) == kinds
    assert SearchRequest(said).wanted == kinds


def test_wishes_want_all_kinds_unless_some_are_named() -> None:
    assert SearchRequest(colours="red").wanted == set(Kind)
    assert SearchRequest("same", colours="red").wanted == {Kind.SAME}


@pytest.mark.parametrize("said", ["", "copies", ["same", "nothing"], [], "same,,copy", "ALL"])
def test_unknown_kinds_are_refused(said: Any) -> None:
    with pytest.raises(UsageError, match=r"^(Unknown kind|Name a kind)"):
        SearchRequest(said)


@pytest.mark.parametrize("said", ["1,2,3,4", (1, 2, 3, 4), [1.0, 2.0, 3.0, 4.0], " 1, 2 ,3,4.0"])
def test_regions(said: Any) -> None:
    assert region_of(said) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 0},
        {"min_score": 101},
        {"min_score": -1},
        {"precision": 0.2},
        {"precision": 1.0},
        {"min_score": 95, "precision": 0.99},
        {"region": "1,2,3"},
        {"region": (1, 2, 3)},
        {"region": "a,b,c,d"},
        {"region": (0, 0, 1, 1), "object": 1},
        {"colours": "no colour at all"},
    ],
)
def test_what_is_invalid_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SearchRequest(**options)


def test_a_precision_is_read_by_the_calibration() -> None:
    levels = (Level(95.0, 400, 390, 0.9), Level(99.5, 300, 300, 0.991))
    known = Calibration(levels, 0.95, 400, 100, 1000, "2026-01-01", "0.2.0", {})
    request = SearchRequest(precision=0.99)
    assert request.least_score(None) == 99.0
    assert request.least_score(known) == 99.5
    assert SearchRequest(min_score=97).least_score(known) == 97
    assert SearchRequest().least_score(known) == 0


def test_a_request_travels() -> None:
    request = SearchRequest("copy", 5, (1, 2, 3, 4), min_score=95.0, filter="width>3", like=("sha256:1",))
    assert SearchRequest.from_plain(request.as_plain()) == request
    with_lists = request.as_plain() | {"region": [1, 2, 3, 4], "like": ["sha256:1"]}
    assert SearchRequest.from_plain(with_lists) == request
