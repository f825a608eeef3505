"""Copies that keypoints only suggest: claimed where the pixels agree, and not without the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wherefrom
from tests.pictures import encode
from tests.scenes import picture
from wherefrom.search import find, judging, pixels
from wherefrom.search.verify import Geometry, proves, suggests


def geometry(inliers: int, **other: float) -> Geometry:
    rows = np.arange(inliers)
    stated = {"distance": 11.0, "density": 0.25, "evenness": 1.0, "query_evenness": 1.0, "clumping": 1.0}
    return Geometry(np.eye(3), rows, rows, **(stated | other), part=None)


def test_what_is_suggested_is_not_proven() -> None:
    assert suggests(geometry(20))
    assert not proves(geometry(20))
    assert proves(geometry(20, distance=8.0))
    for uneven in ({"density": 0.1}, {"evenness": 0.5}, {"query_evenness": 0.4}):
        assert suggests(geometry(20, **uneven))
        assert not proves(geometry(20, distance=8.0, **uneven))
    assert not suggests(geometry(20, distance=13.0))
    assert not suggests(geometry(7))


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on keypoints prove nothing: they suggest at most; and fingerprints say nothing."""
    monkeypatch.setattr(judging, "proves", lambda geometry, rare=False: False)
    monkeypatch.setattr(find, "recall", lambda engine, codes, within: [])


@pytest.mark.usefixtures("doubtful")
def test_a_hint_is_confirmed_by_the_pixels(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(picture(3), "PNG"))
    (tmp_path / "b.png").write_bytes(encode(picture(4), "PNG"))
    with wherefrom.open(tmp_path / "c.wherefrom", create=True) as photos:
        photos.add([tmp_path / "a.png", tmp_path / "b.png"])
        query = encode(picture(3).resize((300, 225)), "PNG")
        (match,) = photos.search(query)
        assert match.sightings[0].uri.endswith("a.png")
        assert match.kind is not wherefrom.Kind.SIMILAR
        assert (match.evidence.agreement or 0) > 0.9
        (tmp_path / "a.png").unlink()
        assert len(photos.search(query)) == 0


@pytest.mark.usefixtures("doubtful")
def test_a_hint_that_the_pixels_deny_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = pixels.confirms
    seen = []

    def confirms(*arguments: Any) -> bool:
        seen.append(true(*arguments))
        return False

    monkeypatch.setattr(find, "confirms", confirms)
    with wherefrom.open(tmp_path / "c.wherefrom", create=True) as photos:
        (tmp_path / "a.png").write_bytes(encode(picture(3), "PNG"))
        photos.add(tmp_path / "a.png")
        assert len(photos.search(encode(picture(3), "JPEG"))) == 0
    assert seen == [True]
