"""Searches are tested on several engines.

`pytest tests/search --engine memory` runs all of them in memory. Without it all run on the embedded engine,
and what is at the core of search (`BOTH`) on the other one besides, where a fixture holds the collection.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines import ENGINES, Opener

BOTH = ("test_find", "test_account", "test_similar", "test_lookup")
_HELD = {"collection", "photos", "engine"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which engines a test is run with."""
    core = metafunc.module.__name__.rpartition(".")[2] in BOTH and _HELD & {*metafunc.fixturenames}
    if core and metafunc.config.getoption("engine") is None:
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
