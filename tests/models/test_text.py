"""Texts come to a model as its card says, and what is not the card's is refused in a sentence."""

from __future__ import annotations

import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.models.graphs import card
from tests.models.texts import TABLE, WORDS, kept, text_model, tokenizer, wordy
from tests.pictures import assert_sentence, mutated
from wherefrom.errors import ModelError, ModelMissing, UsageError
from wherefrom.models.cards import Card
from wherefrom.models.text import TextEncoder

pytest.importorskip("onnxruntime")
pytest.importorskip("tokenizers")


def brute(text: str, described: Card) -> NDArray[np.float64]:
    """The twin: what is read out of the words by hand."""
    said = described.text
    assert said is not None
    words = (text.lower() if said.lower else text).split()
    numbers = [WORDS.index(word) if word in WORDS else 2 for word in words][: said.length - 1]
    numbers.append(1)
    if not said.mask:
        numbers += [said.pad] * (said.length - len(numbers))
    found = TABLE[numbers].astype(np.float64).sum(axis=0)
    return np.asarray(found / np.linalg.norm(found))


@pytest.mark.parametrize("kind", ["int64", "int32"])
@pytest.mark.parametrize(
    "changes", [{}, {"lower": True}, {"pad": 4}, {"length": 3}, {"mask": "attention_mask"}]
)
def test_texts_come_as_the_card_says(tmp_path: Path, changes: dict[str, Any], kind: str) -> None:
    described = wordy(**changes)
    made = TextEncoder(described, kept(tmp_path, text_model(kind, mask="mask" in changes)))
    for text in ("dog", "red dog", "Red dog", "red  cat\ndog", "a blue dog red cat red dog", "cat " * 500):
        found = made.encode(text)
        assert found.dtype == np.float32
        assert found.shape == (3,)
        assert abs(float(np.linalg.norm(found)) - 1) < 1e-6
        assert np.allclose(found, brute(text, described), atol=1e-6)
    assert (
        made.encode("red dog")
        == TextEncoder.of_files(
            described, tmp_path / "wordy@text.onnx", tmp_path / "wordy@tokenizer.json", threads=2
        ).encode("red dog")
    ).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*WORDS[3:], "blue"]), min_size=1, max_size=12), st.integers(1, 9))
def test_any_words_come_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], length: int
) -> None:
    described = wordy(length=length)
    made = TextEncoder(described, kept(tmp_path_factory.mktemp("words")))
    assert np.allclose(made.encode(" ".join(words)), brute(" ".join(words), described), atol=1e-6)
    assert len(made.tokens(" ".join(words))) == min(len(words) + 1, length)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_a_vector_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    made = TextEncoder(wordy(lower=True), kept(tmp_path_factory.mktemp("words")))
    for one in (text, text + "\ud800", "\0" + text):
        try:
            assert made.encode(one).shape == (3,)
        except UsageError as error:
            assert_sentence(error)
            assert not one.strip() or not one.split()


@pytest.mark.parametrize("text", ["", "  ", "\n\t "])
def test_no_words_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="no words") as caught:
        TextEncoder(wordy(), kept(tmp_path)).encode(text)
    assert_sentence(caught.value)


def test_threads_share_an_encoder(tmp_path: Path) -> None:
    made = TextEncoder(wordy(), kept(tmp_path))
    texts = [" ".join(random.Random(seed).choices(WORDS[3:], k=4)) for seed in range(60)]
    with ThreadPoolExecutor(4) as pool:
        for text, found in zip(texts, pool.map(made.encode, texts), strict=True):
            assert np.allclose(found, brute(text, made.card), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (b"no model", {}),
        (b"", {}),
        (text_model(output="other"), {}),
        (text_model(dimension=2), {}),
        (text_model(length=7), {}),
        (text_model(mask=True), {}),
        (text_model(), {"mask": "attention_mask"}),
        (text_model(), {"input": "words"}),
        (text_model(), {"pad": 7}),
        (text_model(table=TABLE * 0), {}),
        (text_model(table=np.full_like(TABLE, np.inf)), {}),
    ],
)
def test_another_model_than_the_cards_is_refused(
    tmp_path: Path, model: bytes, changes: dict[str, Any]
) -> None:
    with pytest.raises(ModelError) as caught:
        TextEncoder(wordy(**changes), kept(tmp_path, model)).encode("red dog")
    assert_sentence(caught.value)
    assert "wordy" in str(caught.value)


@pytest.mark.parametrize("words", [b"", b"{}", b"[]", b"\xff", tokenizer()[:-9], tokenizer(WORDS[:2])])
def test_another_tokenizer_is_refused(tmp_path: Path, words: bytes) -> None:
    with pytest.raises(ModelError, match="tokenizer of wordy") as caught:
        TextEncoder(wordy(), kept(tmp_path, None, words)).encode("red dog")
    assert_sentence(caught.value)


def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    chance = random.Random(5)
    for _ in range(150):
        kept(tmp_path, None, mutated(tokenizer(), chance))
        try:
            TextEncoder(wordy(), tmp_path).encode("red dog")
        except ModelError as error:
            assert_sentence(error)
    for _ in range(100):
        kept(tmp_path, mutated(text_model(), chance))
        try:
            TextEncoder(wordy(), tmp_path).encode("red dog")
        except ModelError as error:
            assert_sentence(error)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(tmp_path)
    with pytest.raises(UsageError, match="takes no words"):
        TextEncoder(card(), tmp_path)
    with pytest.raises(ValueError, match="threads"):
        TextEncoder(wordy(), tmp_path, threads=0)
    for library, cure in (("tokenizers", "'wherefrom[text]'"), ("onnxruntime", "onnxruntime")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            with pytest.raises(ModelMissing) as caught:
                TextEncoder(wordy(), tmp_path)
            assert str(caught.value).endswith(f"pip install {cure}.")
            assert_sentence(caught.value)
    for name in ("wordy@text.onnx", "wordy@tokenizer.json"):
        (tmp_path / name).unlink()
        with pytest.raises(ModelMissing, match=r"--text TEXT\.onnx --tokenizer") as caught:
            TextEncoder(wordy(), tmp_path)
        assert_sentence(caught.value)
        kept(tmp_path)
