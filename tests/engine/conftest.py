"""What tests of the engine share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from wherefrom.engine import mih


@pytest.fixture(scope="session", autouse=True)
def _planned_once() -> Iterator[None]:
    """Layouts are planned once for each number of rows, and not anew for hundreds of small indexes.

    For few rows there are most layouts to choose from: that takes longer than all the rest of sealing.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mih, "_ball", cache(mih._ball))
        patch.setattr(mih, "plan", cache(mih.plan))
        yield
