"""What tests share: where the measuring pictures lie, when they are there; and what makes them quick."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# As the command line and its workers do: more threads on small matrices wait for each other, and the tests
# run in as many processes as there are cores. NumPy has not been imported yet.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")

# For the same reason one process decodes: to start a second takes longer than some small pictures do. Tests
# of what happens between several ask for them.
os.environ.setdefault("WHEREFROM_WORKERS", "1")

# Nor is a network run over every picture that is added: tests of look-alikes, and of what their users have
# by default, ask for `default_model`.
os.environ.setdefault("WHEREFROM_MODEL", "none")

# Nothing of a test is known to whoever runs it.
os.environ.setdefault("WHEREFROM_REGISTRY", "none")

# Collections are written durably, thousands of them: in memory that takes no time, on a disk minutes in which
# nothing is computed. A test cannot tell the two apart, short of a power cut.
MEMORY, ROOM = Path("/dev/shm"), 2 * 1024**3
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None  # as pytest has asked before

# Hypothesis draws the same examples in every run, or else a change fails for what another one did. Who looks
# for what no run has drawn yet asks for other ones each time: HYPOTHESIS_PROFILE=explore.
settings.register_profile("suite", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("explore", derandomize=False, deadline=None, max_examples=200, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which engine searches are tested on."""
    parser.addoption("--engine", choices=("embedded", "memory"), help="run tests/search on this engine alone")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the shared pictures where they are not."""
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason="the shared measuring pictures are not beside this checkout")
    for item in items:
        if "shared" in item.keywords:
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """What has been imported stays: let no collection of garbage go through all of it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def default_model() -> Iterator[None]:
    """For a module: collections have the model that they have where nobody chose one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WHEREFROM_MODEL")
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared measuring pictures; for tests marked `shared` alone."""
    return SHARED
