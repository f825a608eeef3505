"""The quality gate passes, and says what is wrong when something is: faults are planted in the real parts.

Everything is built once: the processes of one run of the tests share a folder, which the first one fills.
"""

from __future__ import annotations

import fcntl
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wherefrom
from tests.quality import bed as pictures
from tests.quality.gate import (
    FLOORS,
    Bed,
    Probe,
    faults,
    index_faults,
    probes_of,
    proof_faults,
    search_faults,
    stranger_faults,
)
from wherefrom.engine import indexes
from wherefrom.engine.base import Engine
from wherefrom.engine.catalog import Catalog
from wherefrom.engine.codes import code_source
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.engine.hamming import HammingIndex
from wherefrom.engine.vectors import VectorsIndex
from wherefrom.engine.words import WordsIndex
from wherefrom.features.embedding import dimension_of
from wherefrom.features.registry import versions_of
from wherefrom.features.vocabulary import DIMENSIONS, LEAVES, vocabulary
from wherefrom.search import judging, verify
from wherefrom.search.answer import Match
from wherefrom.search.placing import Proof
from wherefrom.search.query import Query
from wherefrom.search.verify import Geometry

FIND = import_module("wherefrom.search.find")  # the package has a function of that name
SOME = 64  # probes that are looked at where a fault shows in nearly every one


@dataclass(frozen=True, eq=False, repr=False)
class Built:
    """The pictures of the gate and a collection of them."""

    bed: Bed
    probes: list[Probe]
    collection: wherefrom.Collection
    engine: Engine
    folder: Path

    def trials(self, *edits: str) -> list[Any]:
        return [trial for trial in self.bed.trials if trial.edit in edits]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if base.name.startswith("popen-") else base) / "quality-gate"
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = home / "bed"
        if not kept.exists():
            bed = pictures.made(home / "pictures")
            with wherefrom.open(home / "c.wherefrom", create=True, settings=bed.settings) as collection:
                assert not collection.add(home / "pictures").failed
            probes = probes_of(bed.indexed, bed.settings)
            (home / "new").write_bytes(pickle.dumps((bed, probes)))
            (home / "new").rename(kept)
    bed, probes = pickle.loads(kept.read_bytes())
    with ExitStack() as stack:
        collection = stack.enter_context(wherefrom.open(home / "c.wherefrom", settings=bed.settings))
        yield Built(
            bed, probes, collection, stack.enter_context(closing(engine_of(home / "c.wherefrom", bed))), home
        )


def engine_of(directory: Path, bed: Bed) -> EmbeddedEngine:
    card = bed.settings.card
    return EmbeddedEngine(directory, versions=versions_of(card), dimension=dimension_of(card))


def test_the_gate(built: Built) -> None:
    """What every change has to pass."""
    assert len(built.bed.indexed) >= 300
    found = faults(built.collection, built.engine, built.bed, built.probes)
    assert found == []  # by itself, or else pytest writes all the pictures out before it says what is wrong


def test_an_edit_of_which_nothing_is_found_is_named(built: Built) -> None:
    """The floors are of the answers: other originals than the true ones are wrong, and missed."""
    trials = [replace(trial, original="sha256:" + "0" * 64) for trial in built.trials("mirror")]
    missed, wrong = search_faults(built.collection, trials)
    assert missed.startswith("Recall of mirror: 4 of 4 copies missed")
    assert wrong.startswith("Wrong claims for mirror: 4")


def test_evidence_that_is_not_true_is_named(built: Built) -> None:
    trials = [
        replace(trial, outline=np.array([[0, 0], [9, 0], [9, 9], [0, 9.0]]), names=frozenset({"turn"}))
        for trial in built.trials("crop 70 %")
    ]
    areas, named, _ = search_faults(built.collection, trials)
    assert areas.startswith("Areas of crop 70 %")
    assert named.startswith("Named edits of crop 70 %: 0 of 4")


def test_a_kind_that_is_not_expected_is_named(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FLOORS, "mirror", FLOORS["jpeg q10"])
    (fault,) = search_faults(built.collection, built.trials("mirror"))
    assert fault == "Kinds of mirror: copy instead of same."


def test_pictures_that_are_there_are_claimed(built: Built) -> None:
    (fault,) = stranger_faults(built.collection, built.bed.indexed[:2])
    assert fault.startswith("Held-out pictures: 2 of 2 claimed (astronaut.png, coffee.png)")


# Verification switched off


def everything_is_proven(query: Query, _image: object, points: Any, variants: Sequence[int]) -> Proof | None:
    """As `judging.proof_of`, without a look at the keypoints."""
    rows = np.arange(min(20, len(points), len(query.variants[0].keypoints)))
    if not len(rows) or not variants:
        return None
    geometry = Geometry(np.eye(3), rows, rows, 5.0, 0.9, 1.0, 1.0, 1.0, None)
    return Proof(geometry, query.variants[0], points)


def unrefuted(match: Match, *_: object) -> Match:
    """As `pixels.looked_at`, without a look at the pixels."""
    return match


def test_verification_that_proves_all_that_words_nominate(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FIND, "proof_of", everything_is_proven)
    monkeypatch.setattr(FIND, "looked_at", unrefuted)
    strangers = stranger_faults(built.collection, built.bed.strangers)
    assert strangers
    assert strangers[0].startswith("Held-out pictures: ")
    named = search_faults(built.collection, built.trials("crop 50 %")[:3])
    assert any(fault.startswith("Wrong claims for crop 50 %") for fault in named)


def test_verification_that_accepts_any_geometry_shows_although_pixels_refute_it(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "proves", lambda *_, **__: True)
    (fault,) = proof_faults(built.engine, built.probes)
    assert "unrelated pairs proven" in fault


def test_verification_that_proves_nothing(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "verify", lambda *_: None)
    monkeypatch.setattr(verify, "verify", lambda *_: None)
    found = search_faults(built.collection, built.trials("crop 50 %", "collage 25 %"))
    assert any(fault.startswith("Recall of crop 50 %: 4 of 4") for fault in found)
    assert any(fault.startswith("Recall of collage 25 %: 4 of 4") for fault in found)
    (fault,) = proof_faults(built.engine, built.probes[:SOME])
    assert fault.startswith(f"Verification: {SOME} of {SOME} copies not proven")


# A wrong vocabulary


def other_leaves() -> Any:
    """The vocabulary with its leaves in another order: each word has another number."""
    known = vocabulary()
    order = np.random.default_rng(1).permutation(len(known.leaves) // LEAVES)
    leaves = known.leaves.reshape(-1, LEAVES, DIMENSIONS)[order].reshape(known.leaves.shape)
    return replace(known, branches=known.branches[order], leaves=leaves)


def other_projection() -> Any:
    """The vocabulary with its dimensions turned into each other: other words and other signatures."""
    known = vocabulary()
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(DIMENSIONS, DIMENSIONS)))
    return replace(known, projection=(known.projection @ turn).astype(np.float32))


@pytest.mark.parametrize("wrong", [other_leaves, other_projection])
def test_a_wrong_vocabulary(
    built: Built, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[], object]
) -> None:
    """Computed with another one than the collection's pictures, whatever the version says."""
    other = wrong()
    monkeypatch.setattr("wherefrom.features.keypoints.vocabulary", lambda: other)
    found = index_faults(built.engine, probes_of(built.bed.indexed[-SOME:], built.bed.settings))
    assert len(found) == 1
    assert found[0].startswith("Words index: ")
    if wrong is other_projection:  # with words alone wrong, embeddings bring the pictures up in their place
        named = search_faults(built.collection, built.trials("crop 30 %"))
        assert any(fault.startswith("Recall of crop 30 %") for fault in named)


# An index that drops one in a hundred


def dropped(numbers: Any) -> Any:
    """Which of these keys are lost: one in a hundred, three of the collection's."""
    return np.asarray(numbers) % 100 == 50


def without(found: Any, lost: Any) -> Any:
    """What an index found, without some of it."""
    names = type(found).__annotations__  # of a tuple with names or a dataclass
    return type(found)(**{name: np.asarray(getattr(found, name))[~lost] for name in names})


def drop_codes(real: Any) -> Any:
    def within(self: HammingIndex, *asked: Any) -> Any:
        found = real(self, *asked)
        return without(found, dropped(found.entry // 2))

    return within


def drop_keys(name: str) -> Callable[[Any], Any]:
    def patch(real: Any) -> Any:
        def search(self: object, *asked: Any, **options: Any) -> Any:
            found = real(self, *asked, **options)
            return without(found, dropped(getattr(found, name)))

        return search

    return patch


@pytest.mark.parametrize(
    ("index", "method", "patch", "named"),
    [
        (HammingIndex, "within", drop_codes, "Fingerprint index"),
        (WordsIndex, "search", drop_keys("keys"), "Words index"),
        (VectorsIndex, "search", drop_keys("key"), "Vectors index"),
    ],
)
def test_an_index_that_drops_one_in_a_hundred(
    built: Built, monkeypatch: pytest.MonkeyPatch, index: Any, method: str, patch: Any, named: str
) -> None:
    monkeypatch.setattr(index, method, patch(getattr(index, method)))
    (fault,) = index_faults(built.engine, built.probes)
    assert fault.startswith(f"{named}: 3 of 334 pictures not nominated")


def test_an_index_that_was_derived_from_less_than_all(
    built: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Lost on the way from the catalog, not on the way out: what a broken derivation would do."""

    def with_gaps(catalog: Catalog) -> Any:
        source = code_source(catalog)
        pack = source._pack

        def packed(keys: list[int], data: list[bytes]) -> Any:
            entries, codes = pack(keys, data)
            kept = ~dropped(entries // 2)
            return entries[kept], codes[kept]

        source._pack = packed
        return source

    shutil.copytree(built.folder / "c.wherefrom", tmp_path / "c.wherefrom")
    monkeypatch.setattr(indexes, "code_source", with_gaps)
    with closing(engine_of(tmp_path / "c.wherefrom", built.bed)) as engine:
        engine.rebuild()
        (fault,) = index_faults(engine, built.probes)
    assert fault.startswith("Fingerprint index: 3 of 334 pictures not nominated")
