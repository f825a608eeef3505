"""Accounts: the stage at which an image was lost is told, and agrees with what the search did."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import wherefrom
from tests.scenes import encoded, folder_of, picture
from wherefrom.errors import NotFound, UsageError
from wherefrom.evaluate.edits import edit
from wherefrom.records import digest_of
from wherefrom.search import account as accounts
from wherefrom.search import verdict
from wherefrom.search.answer import Kind
from wherefrom.search.recall import CLAIM_RADIUS
from wherefrom.search.telling import stages
from wherefrom.settings import Settings

COUNT = 6
PLAIN = Settings(workers=1, model="none")


def soft() -> Image.Image:
    """Enough for a fingerprint, and hardly a keypoint."""
    y, x = np.mgrid[:300, :400]
    waves = 128 + 60 * np.sin(x / 40) * np.cos(y / 37 + 1) + 40 * np.sin((x + y) / 90)
    return Image.fromarray(waves.astype(np.uint8))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("account")
    folder_of(root / "in", COUNT)
    (root / "in" / "soft.png").write_bytes(encoded(soft(), "PNG"))
    (root / "in" / "blank.png").write_bytes(encoded(Image.new("RGB", (300, 200), "grey"), "PNG"))
    return root


@pytest.fixture(scope="module")
def photos(root: Path) -> Iterator[wherefrom.Collection]:
    with wherefrom.open(root / "c", create=True, settings=PLAIN) as opened:
        opened.add(root / "in")
        yield opened


@pytest.fixture
def ids(photos: wherefrom.Collection, root: Path) -> dict[str, str]:
    return {path.name: photos.find(path)[0].id for path in sorted((root / "in").iterdir())}


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["mirror", "crop 50 %", "text over", "rotate 15", "grey", "collage 25 %"])
def test_what_is_found_is_told_with_its_place(
    photos: wherefrom.Collection, ids: dict[str, str], name: str
) -> None:
    query = jpeg(edit(name, picture(1), 3))
    told = photos.why(query, ids["picture 001.jpg"])
    answer = photos.search(query)
    assert told.stage == "found"
    assert told.place == [match.id for match in answer].index(ids["picture 001.jpg"]) + 1
    assert told.found is not None
    assert (told.found.kind, told.found.score) == (answer[told.place - 1].kind, answer[told.place - 1].score)
    assert told.geometry.verdict in ("proves", "suggests") or told.fingerprint.near
    assert "found in place" in told.reason
    assert told.pixels.looked
    assert not told.pixels.refuted
    if told.found.evidence.distance is not None:
        assert told.fingerprint.distance == told.found.evidence.distance
    if told.found.evidence.inliers is not None:
        assert told.geometry.inliers == told.found.evidence.inliers


def test_a_stranger_is_nominated_and_not_proven(photos: wherefrom.Collection, ids: dict[str, str]) -> None:
    query = jpeg(picture(77))
    named = 0
    for name in (f"picture {number:03}.jpg" for number in range(COUNT)):
        told = photos.why(query, ids[name])
        assert told.stage == ("geometry" if told.words.nominated else "recall")
        named += told.words.nominated
        assert told.found is None
        assert told.geometry.verdict == "none"
        assert told.geometry.lacks
        assert told.fingerprint.distance is not None
        assert told.fingerprint.distance > CLAIM_RADIUS
        assert not told.fingerprint.near
        assert not told.pixels.looked
        assert told.reason.endswith(".")
    assert named


def test_places_are_those_of_the_index(photos: wherefrom.Collection, ids: dict[str, str]) -> None:
    from wherefrom.search.judging import word_queries
    from wherefrom.search.query import Query

    data = jpeg(edit("crop 30 %", picture(2), 1))
    found = photos.engine.near_words(word_queries(Query.read(data, PLAIN)), 1_000)
    votes = [vote.key for vote in found]
    for identifier in ids.values():
        key = photos.engine.keys_of([digest_of(identifier)])[digest_of(identifier)]
        expected = votes.index(key) + 1 if key in votes else None
        assert photos.why(data, identifier).words.place == expected


def test_what_nothing_nominates_is_lost_at_recall(photos: wherefrom.Collection, ids: dict[str, str]) -> None:
    told = photos.why(jpeg(picture(3)), ids["soft.png"])
    assert told.stage == "recall"
    assert told.geometry.image < 12
    assert "keypoints" in told.reason
    assert f"more than {CLAIM_RADIUS}" in told.reason
    told = photos.why(jpeg(picture(3)), ids["blank.png"])
    assert told.stage == "recall"
    assert not told.fingerprint.image_usable
    assert told.fingerprint.distance is None
    assert "the image has too little in it" in told.reason


def test_a_blank_query_is_lost_before_all(photos: wherefrom.Collection, ids: dict[str, str]) -> None:
    told = photos.why(jpeg(Image.new("RGB", (200, 200), "white")), ids["picture 000.jpg"])
    assert told.stage == "query"
    assert not told.words.asked
    assert "too little in the query" in told.reason


def test_what_a_filter_leaves_out_is_lost_there(photos: wherefrom.Collection, ids: dict[str, str]) -> None:
    told = photos.why(jpeg(picture(0)), ids["picture 000.jpg"], filter="type:png")
    assert told.stage == "filter"
    assert told.geometry.verdict == "proves"
    assert told.words.place is None


def test_what_pixels_refute_is_lost_there(
    photos: wherefrom.Collection, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (verdict, accounts):
        monkeypatch.setattr(module, "refutes", lambda *_: True)
    told = photos.why(jpeg(edit("crop 50 %", picture(4), 2)), ids["picture 004.jpg"])
    assert told.stage == "pixels"
    assert told.geometry.verdict == "proves"
    assert told.pixels.refuted
    assert "refute" in told.reason


def test_keypoints_that_speak_against_a_fingerprint_are_told(
    photos: wherefrom.Collection, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wherefrom.search import find

    for module in (find, accounts):
        monkeypatch.setattr(module, "proof_of", lambda *_: None)
        monkeypatch.setattr(module, "should_agree", lambda *_: True)
    told = photos.why(jpeg(picture(5), 60), ids["picture 005.jpg"])
    assert told.stage == "geometry"
    assert told.fingerprint.near
    assert "keypoints speak against it" in told.reason


def test_what_comes_after_those_asked_for_is_told(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 1)
    (tmp_path / "in" / "small.png").write_bytes(encoded(edit("resize 50 %", picture(0)), "PNG"))
    with wherefrom.open(tmp_path / "c", create=True, settings=PLAIN) as opened:
        opened.add(tmp_path / "in")
        query = jpeg(edit("text over", picture(0)))
        answer = opened.search(query)
        assert len(answer) == 2
        told = opened.why(query, answer[1].id, limit=1)
        assert told.stage == "rank"
        assert "place 2" in told.reason
        told = opened.why(query, answer[0].id, kinds=[Kind.PARTIAL])
        assert told.stage == "rank"
        assert f"found as {answer[0].kind.value}" in told.reason
        assert opened.why(query, answer[0].id, min_score=100).stage == "rank"
        assert opened.why(query, answer[0].id).stage == "found"


def test_accounts_agree_with_searches_over_many_edits(
    photos: wherefrom.Collection, ids: dict[str, str]
) -> None:
    chance = np.random.default_rng(0)
    seen = set()
    for number in range(8):
        name = ("crop 20 %", "photo of a screen", "blur 4", "swirl 120")[number % 4]
        image = edit(name, picture(int(chance.integers(COUNT))), number)
        query = jpeg(image.resize((max(24, image.width // 3), max(24, image.height // 3))), 30)
        answer = photos.search(query)
        for identifier in ids.values():
            told = photos.why(query, identifier)
            assert (told.stage == "found") == (identifier in [match.id for match in answer])
            seen.add(told.stage)
            plain: Any = json.loads(json.dumps(told.as_json()))
            said = stages(plain)
            assert [stage for stage, _ in said] == ["fingerprint", "words", "looks", "keypoints", "pixels"]
            assert all(sentence.endswith(".") and "None" not in sentence for _, sentence in said)
            assert plain["stage"] == told.stage
            assert plain["reason"].endswith(".")
    assert {"found", "geometry", "recall"} <= seen


def test_what_is_not_there_is_refused(photos: wherefrom.Collection, ids: dict[str, str]) -> None:
    with pytest.raises(NotFound):
        photos.why(jpeg(picture(0)), "sha256:" + "0" * 64)
    with pytest.raises(UsageError):
        photos.why(jpeg(picture(0)), "no id")
    told = photos.why(ids["picture 000.jpg"], ids["picture 000.jpg"])
    assert (told.stage, told.place) == ("found", 1)
