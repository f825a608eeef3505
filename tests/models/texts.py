"""Small text models for tests: an ONNX file that takes tokens, and a tokenizer.json of seven words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.models.graphs import MEANS
from wherefrom.models import graph as protocol
from wherefrom.models.cards import Card, from_plain
from wherefrom.models.graph import Graph

WORDS = ["<pad>", "<eos>", "<unk>", "red", "dog", "cat", "Red"]
TABLE = np.array(
    [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.5], [3, 0, 1], [0, 2, 0], [0, 0, 4], [-3, 1, 0]], np.float32
)
"""The vector of each word; that of a text is their mean, over all of its tokens."""

WORDY: dict[str, Any] = MEANS | {
    "name": "wordy",
    "task": "embedding+text",
    "text": {"input": "input_ids", "output": "vector", "length": 6},
}


def wordy(**changes: Any) -> Card:
    """A card whose pictures go through the model of `graphs.means`; changes are to its text side."""
    return from_plain(WORDY | {"text": WORDY["text"] | changes}, "wordy.toml")


def text_model(
    kind: str = "int64",
    length: int | str = "length",
    dimension: int = 3,
    mask: bool = False,
    table: Any = TABLE,
    output: str = "vector",
) -> bytes:
    """The means of the words' vectors; with a mask, the sums of those that it takes in."""
    graph = Graph("words")
    _declare(graph, "input_ids", kind, length)
    words = graph.constant("table", np.asarray(table, np.float32)[:, :dimension])
    graph.node("Gather", (words, "input_ids"), "each", axis=0)
    if mask:
        _declare(graph, "attention_mask", kind, length)
        graph.node("Cast", ("attention_mask",), "shares", to=1)
        graph.node("Unsqueeze", ("shares", graph.constant("last", np.array([2], np.int64))), "column")
        graph.node("Mul", ("each", "column"), "masked")
        graph.node(
            "ReduceSum", ("masked", graph.constant("middle", np.array([1], np.int64))), output, keepdims=0
        )
    else:
        graph.node("ReduceMean", ("each",), output, axes=[1], keepdims=0)
    graph.output(output, ("n", dimension))
    return graph.to_bytes({})


def _declare(graph: Graph, name: str, kind: str, length: int | str) -> None:
    """An input of whole numbers, which no network of pictures has."""
    shape = b"".join(protocol._bytes(1, protocol._text(2, "n")) for _ in range(1))
    stated = protocol._text(2, length) if isinstance(length, str) else protocol._varint(1, length)
    shape += protocol._bytes(1, stated)
    tensor = protocol._varint(1, protocol._TYPES[kind]) + protocol._bytes(2, shape)
    graph._inputs.append(protocol._text(1, name) + protocol._bytes(2, protocol._bytes(1, tensor)))


def tokenizer(words: list[str] = WORDS, end: bool = True) -> bytes:
    """Words by blanks, and an end; it cuts and fills up in a way that no card says."""
    special = [
        {"id": words.index(word), "content": word, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for word in ("<pad>", "<eos>")
    ]
    single: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": 0}}]
    finish = {"SpecialToken": {"id": "<eos>", "type_id": 0}}
    pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}]
    known = {"<eos>": {"id": "<eos>", "ids": [words.index("<eos>")], "tokens": ["<eos>"]}}
    said = {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 9},
            "direction": "Left",
            "pad_to_multiple_of": None,
            "pad_id": 1,
            "pad_type_id": 0,
            "pad_token": "<eos>",
        },
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [*single, finish],
            "pair": pair,
            "special_tokens": known,
        }
        if end
        else None,
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {word: number for number, word in enumerate(words)},
            "unk_token": "<unk>",
        },
    }
    return json.dumps(said).encode()


def kept(folder: Path, model: bytes | None = None, words: bytes | None = None) -> Path:
    """A folder with the files of `wordy`'s text side, as a store keeps them."""
    (folder / "wordy@text.onnx").write_bytes(text_model() if model is None else model)
    (folder / "wordy@tokenizer.json").write_bytes(tokenizer() if words is None else words)
    return folder
