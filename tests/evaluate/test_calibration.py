"""Calibration: what it promises, that it only gets more careful, and that it lasts with the collection."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wherefrom
from tests.evaluate import runs
from tests.evaluate.runs import image_id
from wherefrom.engine import migrations
from wherefrom.engine.catalog import FILE_NAME
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.errors import CollectionDamaged, CollectionLocked, UsageError
from wherefrom.evaluate.calibration import (
    CONFIDENCE,
    LEVELS,
    answers,
    at_least,
    calibration_of,
    needed_for,
    told,
)
from wherefrom.evaluate.trials import Alarm, Claim, FalseClaim, Trial
from wherefrom.features.extract import FINGERPRINT, VERSIONS
from wherefrom.search.answer import QueryFacts
from wherefrom.search.calibration import DOCUMENT, Calibration, Level
from wherefrom.search.rank import precision_score
from wherefrom.search.request import SearchRequest

FACTS = runs.facts(features=dict(VERSIONS))


def fitted(right: list[float], wrong: list[float]) -> Calibration:
    trials = [
        Trial(image_id(1), "file:///a", "mirror", "flip", None, n, (Claim(image_id(1), "copy", score),))
        for n, score in enumerate(right)
    ]
    alarms = [
        Alarm("file:///b", image_id(n + 9), (FalseClaim(image_id(1), "file:///a", "copy", score),))
        for n, score in enumerate(wrong)
    ]
    return calibration_of(FACTS, trials, alarms)


def calibration(*levels: tuple[float, int, int, float]) -> Calibration:
    versions = {**VERSIONS, "scores": "1"}
    return Calibration(tuple(Level(*level) for level in levels), 0.95, 10, 5, 100, "now", "1", versions)


def tail(true: int, claims: int, share: float) -> float:
    """The probability of so many true ones or more, term by term."""
    return math.fsum(
        math.comb(claims, k) * share**k * (1 - share) ** (claims - k) for k in range(true, claims + 1)
    )


@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from((0.2, 0.05, 0.00625)))
def test_the_bound_is_where_chance_becomes_doubt(true: int, claims: int, doubt: float) -> None:
    true = min(true, claims)
    bound = at_least(true, claims, doubt)
    assert 0 < bound < true / claims
    assert tail(true, claims, bound) == pytest.approx(doubt, rel=1e-6)


@pytest.mark.parametrize(
    ("true", "claims", "doubt", "bound"),
    [(0, 10, 0.05, 0.0), (0, 0, 0.05, 0.0), (10, 10, 0.05, 0.741134), (9, 10, 0.05, 0.605837)],
)
def test_known_bounds(true: int, claims: int, doubt: float, bound: float) -> None:
    assert at_least(true, claims, doubt) == pytest.approx(bound, abs=1e-6)


def test_the_promise_is_kept_over_many_runs() -> None:
    """Were the truth that 97 % at each score are true, more would be promised in at most 5 % of runs."""
    chance = np.random.default_rng(1)
    broken = 0
    for _ in range(400):
        counts = [int(chance.binomial(n, 0.97)) for n in (2000, 900, 400, 200, 100, 50, 20, 10)]
        sizes = (2000, 900, 400, 200, 100, 50, 20, 10)
        bounds = [at_least(t, n, 0.05 / len(LEVELS)) for t, n in zip(counts, sizes, strict=True)]
        broken += any(bound > 0.97 for bound in bounds)
    assert broken <= 0.07 * 400


@given(st.floats(0.5, 0.9999))
def test_so_many_claims_prove_it_and_one_less_does_not(share: float) -> None:
    enough, doubt = needed_for(share), (1 - CONFIDENCE) / len(LEVELS)
    assert at_least(enough, enough, doubt) >= share - 1e-9
    assert at_least(enough - 1, enough - 1, doubt) < share


scores = st.lists(st.sampled_from((95.0, 95.4, 96.7, 98.0, 99.1, 99.6, 99.9, 100.0)), max_size=60)


@given(scores, scores, st.lists(st.floats(0.5, 0.9999), min_size=2, max_size=6))
def test_the_score_never_falls_as_the_share_rises(
    right: list[float], wrong: list[float], shares: list[float]
) -> None:
    made = fitted(right * 9, wrong)
    asked = [made.score_for(share) for share in sorted(shares)]
    assert asked == sorted(asked)
    assert all(0 <= score <= 100 for score in asked)
    for share in shares:
        if made.reaches(share) and share >= 0.95:
            kept = [score for score in right * 9 if score >= made.score_for(share)]
            lost = [score for score in wrong if score >= made.score_for(share)]
            assert len(kept) >= share * (len(kept) + len(lost))


def test_a_sound_collection_is_asked_for_less() -> None:
    made = fitted([95.5] * 3000 + [99.9] * 3000, [])
    assert precision_score(0.99) == 99
    assert made.score_for(0.99) == 95
    assert made.score_for(0.999) == 95
    assert made.score_for(0.6) == 60  # look-alikes keep their scale


def test_a_collection_with_false_alarms_is_asked_for_more() -> None:
    made = fitted([97.5] * 3000 + [99.85] * 3000, [97.2] * 300)
    assert made.score_for(0.99) == 98
    assert made.score_for(0.9) == 90
    none = fitted([99.9] * 50, [99.9] * 50)
    assert none.score_for(0.99) == 100
    assert "no score reaches it" in answers(none)[1].said


def test_too_few_data_are_said_to_be_too_few() -> None:
    made = fitted([99.0] * 600, [])
    by_share = {answer.share: answer for answer in answers(made)}
    assert by_share[0.99].proven
    assert not by_share[0.999].proven
    assert by_share[0.999].needed == needed_for(0.999) == 5073
    assert "too few claims to prove it: 600, and 5,073 are needed" in by_share[0.999].said
    assert made.score_for(0.999) == precision_score(0.999)
    assert "No pictures were held out" in told(made)


def test_without_a_claim_scores_mean_what_they_mean() -> None:
    made = fitted([], [])
    for share in (0.5, 0.95, 0.99, 0.9999):
        assert made.score_for(share) == precision_score(share)
    with pytest.raises(UsageError, match=r"0\.5 to 0\.9999"):
        made.score_for(1.0)


@given(scores, scores)
def test_it_goes_to_json_and_back(right: list[float], wrong: list[float]) -> None:
    made = fitted(right, wrong)
    assert Calibration.from_json(made.as_json()) == made


@pytest.mark.parametrize(
    "plain",
    [
        {},
        [],
        3,
        {"format": 1},
        {"format": 1, "levels": [{"score": 95}]},
        {**calibration().as_json(), "levels": [{"score": 95.0, "claims": 1, "true": 2, "least": 0.5}]},
        {**calibration().as_json(), "more": 1},
        *({**calibration().as_json(), "features": wrong} for wrong in (None, 3, "pdq", ["pdq"], {"pdq": 1})),
        *({**calibration().as_json(), name: "x"} for name in ("confidence", "edited", "strangers", "images")),
        *({**calibration().as_json(), "levels": wrong} for wrong in (None, 3, "x", [3], {"score": 1})),
        {**calibration().as_json(), "made": 5},
    ],
)
def test_what_is_no_calibration_is_damage(plain: object) -> None:
    with pytest.raises(CollectionDamaged, match="--forget-calibration"):
        Calibration.from_json(plain)


def test_a_later_format_counts_as_none() -> None:
    assert Calibration.from_json({"format": 2}) is None


# With the collection


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[wherefrom.Collection]:
    with wherefrom.open(tmp_path / "c", create=True) as opened:
        yield opened


SOUND = calibration((95.0, 9000, 9000, 0.9994))


def test_it_is_kept_used_and_forgotten(tmp_path: Path, photos: wherefrom.Collection) -> None:
    assert photos.calibration() is None
    assert photos.least_score(0.99) == 99
    assert not photos.forget_calibration()
    photos.calibrate(SOUND)
    assert photos.calibration() == SOUND
    assert photos.least_score(0.99) == 95
    photos.close()
    with wherefrom.open(tmp_path / "c") as again:
        assert again.calibration() == SOUND
        assert again.check() == []
        again.rebuild()
        assert again.calibration() == SOUND
        again.calibrate(calibration((95.0, 10, 10, 0.6)))
        assert again.least_score(0.99) == 99
        assert again.forget_calibration()
        assert (again.calibration(), again.least_score(0.99)) == (None, 99)
        assert not again.forget_calibration()


def test_the_command_line_asks_for_what_was_calibrated(
    tmp_path: Path, photos: wherefrom.Collection, capsys: pytest.CaptureFixture[str]
) -> None:
    from wherefrom.cli.main import main

    photos.calibrate(SOUND)
    photos.close()
    asked: list[float] = []

    def ask(
        opened: wherefrom.Collection, _: object, request: SearchRequest, *__: object
    ) -> list[wherefrom.Answer]:
        asked.append(request.least_score(opened.calibration()))
        return [wherefrom.Answer(QueryFacts(1, 1, "png", 100), ())]

    with patch.object(wherefrom.Collection, "ask", ask):
        arguments = ["search", "sha256:" + "0" * 64, "-c", str(tmp_path / "c")]
        for more, due in (
            (["--precision", "0.99"], 1),
            (["--min-score", "99"], 1),
            ([], 1),
            (["--precision", "2"], 2),
            (["--precision", "0.9", "--min-score", "9"], 2),
        ):
            with pytest.raises(SystemExit) as ended:
                main([*arguments, *more])
            assert ended.value.code == due
    assert asked == [95, 99, 0]
    assert "Choose one of" in capsys.readouterr().err


def test_one_for_other_features_or_scores_lapses(photos: wherefrom.Collection) -> None:
    for features in ({}, {**VERSIONS}, {**VERSIONS, "scores": "0"}, {**SOUND.features, FINGERPRINT: "old"}):
        photos.calibrate(Calibration(SOUND.levels, 0.95, 1, 1, 1, "", "", features))
        assert photos.calibration() is None
        assert photos.least_score(0.99) == 99


def test_only_one_process_writes_it(tmp_path: Path, photos: wherefrom.Collection) -> None:
    photos.calibrate(SOUND)
    with wherefrom.open(tmp_path / "c") as other, pytest.raises(CollectionLocked):
        other.calibrate(SOUND)


class Killed(BaseException):
    """The process ends here."""


def test_a_change_that_is_killed_leaves_what_was_there(tmp_path: Path, photos: wherefrom.Collection) -> None:
    photos.calibrate(SOUND)
    with (
        patch("wherefrom.engine.documents.insert_rows", side_effect=Killed),
        pytest.raises(Killed),
    ):
        photos.calibrate(calibration())  # after the old one was deleted, before the new one is in
    assert photos.calibration() == SOUND
    photos.close()
    with wherefrom.open(tmp_path / "c") as again:
        assert again.calibration() == SOUND


def test_a_collection_from_before_has_none_and_can_have_one(tmp_path: Path) -> None:
    before = [step for step in migrations.STEPS if step[0] < "0005"]
    with patch.object(migrations, "STEPS", before):
        EmbeddedEngine(tmp_path / "c", create=True).close()
    with wherefrom.open(tmp_path / "c") as old:
        assert old.calibration() is None
        old.calibrate(SOUND)
        assert old.calibration() == SOUND
        assert old.check() == []


@pytest.mark.parametrize(
    "sql", ["data = replace(data, '9', '8')", "crc = crc + 1", "data = 'x'", "data = x'ff'"]
)
def test_damage_is_named_and_rebuilding_drops_it(
    tmp_path: Path, photos: wherefrom.Collection, sql: str
) -> None:
    photos.calibrate(SOUND)
    photos.close()
    with closing(sqlite3.connect(tmp_path / "c" / FILE_NAME)) as raw:
        raw.execute(f"UPDATE documents SET {sql}")
        raw.commit()
    with wherefrom.open(tmp_path / "c") as again:
        assert any("document calibration" in problem for problem in again.check())
        with pytest.raises(CollectionDamaged, match="wherefrom rebuild"):
            again.calibration()
        again.rebuild()
        assert again.check() == []
        assert again.calibration() is None


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), plain), max_size=6))
def test_documents_are_what_a_dict_would_hold(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, object]]
) -> None:
    held: dict[str, object] = {}
    with closing(EmbeddedEngine(tmp_path_factory.mktemp("d") / "c", create=True)) as engine:
        for name, value in changes:
            assert engine.keep_document(name, value) == (held.pop(name, None) is not None)
            if value is not None:
                held[name] = value
            assert {name: engine.document(name) for name in "ab"} == {"a": None, "b": None} | held
        assert list(engine.damage()) == []


def test_what_json_has_not_is_refused_and_nothing_changes(photos: wherefrom.Collection) -> None:
    photos.calibrate(SOUND)
    for value in (float("nan"), {1, 2}, b"bytes"):
        with pytest.raises((TypeError, ValueError)):
            photos.engine.keep_document(DOCUMENT, value)
    assert photos.calibration() == SOUND
