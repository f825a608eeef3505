"""Labels: the classes in their order, and confidence that adds up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherefrom.models.labels import TOLD_SHARE, Label, calibrated, classes, confidences


def logits(**high: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    found = np.zeros(1000, np.float32)
    for name, value in high.items():
        found[classes().names.index(name.replace("_", " "))] = value
    return found


def test_classes_are_in_the_order_of_wordnet() -> None:
    known = classes()
    assert len(known.ids) == len(known.names) == len(known.parents) == 1000
    assert list(known.ids) == sorted(known.ids)
    assert len(set(known.ids)) == len(set(known.names)) == 1000
    assert all(len(one) == 9 and one[0] == "n" for one in known.ids)
    assert all(name == name.strip() and name for name in known.names)


def test_categories_are_few_and_none_is_empty() -> None:
    known = classes()
    assert 60 <= len(known.categories) <= 110
    assert set(known.parents.tolist()) == set(range(len(known.categories)))
    counts = Counter(known.categories[parent] for parent in known.parents)
    assert counts["dog"] == 118
    assert max(counts, key=lambda name: counts[name]) == "dog"


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("golden retriever", "dog"),
        ("tabby cat", "cat"),
        ("Granny Smith apple", "fruit"),
        ("crane (bird)", "water bird"),
        ("crane (machine)", "farm or work machine"),
        ("cardigan", "clothing"),
        ("Cardigan corgi", "dog"),
        ("grand piano", "musical instrument"),
        ("toilet paper", "household item"),
    ],
)
def test_known_parents(name: str, parent: str) -> None:
    known = classes()
    assert known.categories[known.parents[known.names.index(name)]] == parent


@pytest.mark.shared
def test_identifiers_are_those_of_the_photographs(shared: Path) -> None:
    known = set(classes().ids)
    found = [path.name.partition("_")[0] for path in (shared / "images" / "photos").glob("n*.jpg")]
    assert len(found) == 360
    assert set(found) <= known


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 5), st.floats(0.1, 60))
def test_confidence_is_as_brute_force_has_it(seed: int, temperature: float, spread: float) -> None:
    given_ = (np.random.default_rng(seed).normal(0, spread, 1000)).astype(np.float32)
    shares = confidences(given_, temperature)
    wanted = np.exp((given_.astype(np.longdouble) - given_.max()) / temperature)
    assert np.abs(shares - wanted / wanted.sum()).max() < 1e-9
    known = classes()
    labels = calibrated(given_, 5, temperature)
    assert len({label.parent for label in labels}) == len(labels) <= 5
    for label in labels:
        inside = [i for i in range(1000) if known.categories[known.parents[i]] == label.parent]
        best = max(inside, key=lambda i: shares[i])
        if shares[best] >= TOLD_SHARE:
            assert label == Label(known.names[best], label.parent, float(shares[best]))
        else:
            total = float(shares[inside].sum())
            assert total >= TOLD_SHARE
            assert label.name == label.parent
            assert label.confidence == pytest.approx(total)


def test_one_class_that_stands_out_is_named() -> None:
    (label,) = calibrated(logits(golden_retriever=20))
    assert (label.name, label.parent) == ("golden retriever", "dog")
    assert label.confidence > 0.99


def test_several_of_a_kind_give_the_kind() -> None:
    (label,) = calibrated(logits(golden_retriever=20, beagle=20, pug=20))
    assert (label.name, label.parent) == ("dog", "dog")
    assert label.confidence > 0.99


def test_nothing_is_said_where_nothing_is_sure() -> None:
    assert calibrated(np.zeros(1000, np.float32)) == []
    assert calibrated(logits(beagle=20, lemon=20, volcano=20)) == []
    assert calibrated(logits(beagle=20), most=0) == []


@pytest.mark.parametrize(
    ("wrong", "temperature"),
    [(np.zeros(999), 1.0), (np.full(1000, np.nan), 1.0), (np.zeros(1000), 0.0), (np.zeros((1, 1000)), 1.0)],
)
def test_wrong_logits_are_refused(
    wrong: np.ndarray[tuple[int, ...], np.dtype[np.float64]], temperature: float
) -> None:
    with pytest.raises(ValueError, match="logits"):
        calibrated(wrong.astype(np.float32), 3, temperature)
