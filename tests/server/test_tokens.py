"""Searches that are kept: for a time, and in so many bytes."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherefrom.errors import NotFound
from wherefrom.server.tokens import Tokens


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_kept_comes_back_as_it_was() -> None:
    tokens = Tokens()
    answer = {"matches": [{"id": "a", "score": 99.5}], "query": {"notes": ["é"]}}
    token = tokens.keep("photos", b"picture", answer)
    kept = tokens.get(token)
    assert (kept.collection, kept.source, kept.answer) == ("photos", b"picture", answer)
    assert len(token) >= 22
    with pytest.raises(NotFound, match="search again"):
        tokens.get(token[:-1])


def test_it_goes_after_its_time() -> None:
    clock = Clock()
    tokens = Tokens(seconds=60, clock=clock)
    first = tokens.keep("photos", b"", {})
    clock.now = 30
    second = tokens.keep("photos", b"", {})
    clock.now = 61
    with pytest.raises(NotFound):
        tokens.get(first)
    assert tokens.get(second)
    clock.now = 91
    with pytest.raises(NotFound):
        tokens.get(second)
    assert (len(tokens), tokens.size) == (0, 0)


@given(st.lists(st.integers(0, 3_000), max_size=60))
def test_never_more_bytes_than_there_may_be(sizes: list[int]) -> None:
    tokens = Tokens(most=10_000)
    made = []
    for size in sizes:
        made.append(tokens.keep("photos", os.urandom(size), {}))
        assert tokens.size <= 10_000
    left = []
    for token in made:
        try:
            left.append(tokens.get(token).size)
        except NotFound:
            assert not left, "the oldest go first"
    assert sum(left) == tokens.size
    assert bool(left) == bool(sizes)
