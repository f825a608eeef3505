"""Texts: words to vectors that lie in one space with those of pictures.

A model of the task `embedding+text` has two files for that beside the picture's: an ONNX file that takes
tokens, and a `tokenizer.json`, the format of the library `tokenizers`, which is imported when it is needed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import ModelError, ModelMissing, UsageError
from wherefrom.models.cards import Card, Text
from wherefrom.models.files import text_files
from wherefrom.models.session import opened

_CHARACTERS = 64  # for each token that a model takes: what comes after them is not looked at
_TOKENIZER_BYTES = 256 * 1024**2
_WHOLE = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class TextEncoder:
    """The side of a model that takes words. Thread-safe."""

    def __init__(self, card: Card, folder: str | os.PathLike[str], threads: int = 1) -> None:
        """Open the files of a card's text side that a store keeps in `folder`; see `Store.text_folder`.

        `threads` compute one text together. Raises `UsageError` for a card that takes no words,
        `ModelMissing` without a library or a file, and `ModelError` for a file that is damaged or not what
        the card says.
        """
        check_installed(card, Path(folder))
        self._open(card, *text_files(Path(folder), card.name), threads)

    @classmethod
    def of_files(cls, card: Card, model: Path, tokenizer: Path, threads: int = 1) -> Self:
        """The same of files that lie anywhere. Raises the same."""
        made = cls.__new__(cls)
        made._open(card, model, tokenizer, threads)
        return made

    def _open(self, card: Card, model: Path, tokenizer: Path, threads: int) -> None:
        if threads < 1:
            raise ValueError("threads are 1 or more")
        self.card = card
        self._text = _takes_words(card)
        self._tokenizer = _tokenizer(card, self._text, tokenizer)
        self._runtime = _runtime(card, model, threads)
        self._kinds = _checked(card, self._text, self._runtime)

    def encode(self, text: str) -> NDArray[np.float32]:
        """The vector of a text, float32 (d,) of unit length; the cosine to a picture's says how well it fits.

        Raises `UsageError` for a text without words, `ModelError` when the model fails.
        """
        ids = self.tokens(text)
        real = np.arange(self._text.length) < len(ids)
        filled = np.full(self._text.length, self._text.pad, np.int64)
        filled[: len(ids)] = ids
        given = {self._text.input: filled} | ({self._text.mask: real} if self._text.mask else {})
        feed = {name: values.astype(self._kinds[name])[None] for name, values in given.items()}
        try:
            (output,) = self._runtime.run([self._text.output], feed)
        except Exception as error:  # the runtime's own classes, which it does not export
            raise _failed(self.card, "failed while running", error) from error
        vector = np.asarray(output, np.float32)
        if vector.shape != (1, self.card.dimension):
            raise _other(self.card, f"it gives {self._text.output} of the shape {vector.shape}")
        length = float(np.linalg.norm(vector.astype(np.float64)))
        if not np.isfinite(length) or length < 1e-9:
            raise ModelError(f"The text model of {self.card.name} gives a vector without a usable length.")
        return np.asarray(vector[0] / length, np.float32)

    def tokens(self, text: str) -> list[int]:
        """The numbers of a text's tokens, up to `Card.text.length` of them. Raises what `encode` raises."""
        words = text[: _CHARACTERS * self._text.length].encode("utf-8", "replace").decode("utf-8")
        words = " ".join(words.split())
        if not words:
            raise UsageError("There are no words in the text: write what the pictures should show.")
        with _guarded(self.card, "cannot be used on a text"):
            ids: list[int] = self._tokenizer.encode(words.lower() if self._text.lower else words).ids
        return ids[: self._text.length]


def described(card: Card, files: Sequence[tuple[Path, str]]) -> Text:
    """What a card says of its text side, with the hashes and sizes of its two files, once they were tried.

    `files` are the ONNX file and the tokenizer, each with its SHA-256. Raises what `TextEncoder` raises.
    """
    (model, model_hash), (tokenizer, tokenizer_hash) = files
    TextEncoder.of_files(card, model, tokenizer).encode("a")
    return replace(
        _takes_words(card),
        sha256=model_hash,
        bytes=model.stat().st_size,
        tokenizer_sha256=tokenizer_hash,
        tokenizer_bytes=tokenizer.stat().st_size,
    )


def check_installed(card: Card, folder: Path) -> None:
    """Raise `UsageError` for a card that takes no words, `ModelMissing` without its files in `folder`."""
    _takes_words(card)
    if not all(path.is_file() for path in text_files(folder, card.name)):
        raise ModelMissing(
            f"The text side of the model {card.name} is not installed. Get its ONNX file and its "
            f"tokenizer.json yourself ({card.source}), then: wherefrom models import IMAGE.onnx --card "
            f"{card.name} --text TEXT.onnx --tokenizer tokenizer.json."
        )


def _takes_words(card: Card) -> Text:
    if card.text is None:
        raise UsageError(f"The model {card.name} takes no words: choose one of the task embedding+text.")
    return card.text


def _tokenizer(card: Card, text: Text, path: Path) -> Any:
    """A tokenizer that cuts as the card says, and does not fill up."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModelMissing("Texts need the library tokenizers: pip install 'wherefrom[text]'.") from error
    try:
        with path.open("rb") as file:
            data = file.read(_TOKENIZER_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(f"The tokenizer of the model {card.name} cannot be read: {reason}.") from error
    if len(data) > _TOKENIZER_BYTES:
        raise ModelError(f"The tokenizer of the model {card.name} is larger than {_TOKENIZER_BYTES} bytes.")
    with _guarded(card, "cannot be opened"):
        made = Tokenizer.from_buffer(data)
        made.no_padding()
        made.enable_truncation(max_length=text.length)
    return made


@contextlib.contextmanager
def _guarded(card: Card, what: str) -> Iterator[None]:
    """Raise `ModelError` for whatever the tokenizer raises: where it panics, that is no Exception."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise _failed(card, what, error, "tokenizer") from error
        raise


def _runtime(card: Card, path: Path, threads: int) -> Any:
    """Open the ONNX file, with a session made as those of pictures are."""
    try:
        return opened(path, threads)
    except ModelMissing:
        raise
    except Exception as error:  # the runtime's own classes, which it does not export
        raise _failed(card, "cannot be opened", error) from error


def _checked(card: Card, text: Text, runtime: Any) -> dict[str, Any]:
    """The types of the inputs. Raises `ModelError` where inputs or outputs are not the card's."""
    inputs = {one.name: one for one in runtime.get_inputs()}
    outputs = {one.name: one for one in runtime.get_outputs()}
    wanted = {text.input, *([text.mask] if text.mask else [])}
    if set(inputs) != wanted:
        raise _other(card, f"it takes {_listed(inputs)}, not {_listed(wanted)}")
    for name, one in inputs.items():
        if one.type not in _WHOLE or not _fits(one.shape, (1, text.length)):
            raise _other(card, f"it takes {name} as {one.type} {one.shape}, not (n, {text.length}) tokens")
    if text.output not in outputs:
        raise _other(card, f"it gives {_listed(outputs)}, but no {text.output}")
    shape = outputs[text.output].shape
    if not _fits(shape, (1, card.dimension)):
        raise _other(card, f"it gives {text.output} of the shape {shape}, not (n, {card.dimension})")
    return {name: _WHOLE[one.type] for name, one in inputs.items()}


def _fits(stated: list[Any], wanted: tuple[int, ...]) -> bool:
    """Whether lengths are those wanted, or vary."""
    return len(stated) == len(wanted) and all(
        not isinstance(one, int) or one in (-1, due) for one, due in zip(stated, wanted, strict=True)
    )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))[:100] or "nothing"


def _failed(card: Card, what: str, error: BaseException, part: str = "text model") -> ModelError:
    said = " ".join(str(error).split())[:200].rstrip(". ") or type(error).__name__
    return ModelError(f"The {part} of {card.name} {what} ({said}). Remove the model and install it again.")


def _other(card: Card, why: str) -> ModelError:
    return ModelError(f"The file is not the text model that the card {card.name} describes: {why}.")
