"""Searches are tested on several engines.

`pytest tests/search --engine memory` runs all of them in memory. Without it all run on the embedded engine,
and those at the core of search (`BOTH`) on the other one besides, where a fixture holds the collection.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines import ENGINES, Opener

BOTH = {
    "test_account": ("test_what_is_found_is_told_with_its_place", "test_places_are_those_of_the_index"),
    "test_find": (
        "test_every_picture_is_found_by_a_crop_and_nothing_else_is",
        "test_a_stranger_is_not_found_and_the_answer_says_so",
        "test_the_very_file_is_identical_and_first",
        "test_a_collage_of_two_finds_both",
    ),
    "test_lookup": (),
    "test_similar": (),
}
"""Modules, and which of their tests if not all."""

_HELD = {"collection", "photos", "engine"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which engines a test is run with."""
    some = BOTH.get(metafunc.module.__name__.rpartition(".")[2])
    if some is None or not _HELD & {*metafunc.fixturenames} or metafunc.config.getoption("engine"):
        return
    if not some or metafunc.function.__name__ in some:
        metafunc.parametrize("opener", ENGINES, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def opener(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """What opens collections, for `wherefrom.open` too."""
    name = getattr(request, "param", request.config.getoption("engine") or "embedded")
    with pytest.MonkeyPatch.context() as patch:
        made = Opener(name)
        patch.setattr("wherefrom.collection.open_engine", made.open)
        yield made


@pytest.fixture(autouse=True)
def _in_a_directory(request: pytest.FixtureRequest, opener: Opener) -> None:
    """Pass over what goes by the files of a collection."""
    if opener.name != "embedded" and request.node.get_closest_marker("directory"):
        pytest.skip("it goes by the files of a collection")
