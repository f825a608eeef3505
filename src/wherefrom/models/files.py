"""Files of models and their records: a card with the hash and size of the very file that it lies beside."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from wherefrom.errors import ModelError
from wherefrom.models.cards import Card, Text, from_plain

MAX_BYTES = 4 * 1024**3
"""No model's file is larger."""

_PIECE = 1 << 20
_RECORD_BYTES = 128 * 1024


def recorded(path: Path) -> Card | None:
    """The card in a record, None where there is none. Raises `ModelError` for a damaged one."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_RECORD_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"The record {path.name} is damaged: remove the model and install it again."
        ) from error
    if not isinstance(said, dict) or not said.get("sha256") or not said.get("bytes"):
        raise _damaged(path)
    return from_plain(said, path.name)


def _damaged(path: Path) -> ModelError:
    return ModelError(f"The record {path.name} is damaged: remove the model and install it again.")


def is_build(path: Path, card: Card) -> bool:
    """Whether a file is what was built from this card's checkpoint, and sound."""
    try:
        record = recorded(path.with_suffix(".json"))
    except ModelError:
        return False
    return record is not None and record.built == card.built and is_sound(path, record)


def is_sound(path: Path, card: Card) -> bool:
    """Whether a file has the size and hash that its record names."""
    return _is(path, card.sha256, card.bytes)


def text_files(folder: Path, name: str) -> tuple[Path, Path]:
    """Where the text side of a model lies: its ONNX file and its tokenizer."""
    return folder / f"{name}@text.onnx", folder / f"{name}@tokenizer.json"


def text_is_sound(folder: Path, card: Card) -> bool:
    """Whether both files of a card's text side have the sizes and hashes that its record names."""
    if card.text is None:
        return False
    model, tokenizer = text_files(folder, card.name)
    return _is(model, card.text.sha256, card.text.bytes) and _is(
        tokenizer, card.text.tokenizer_sha256, card.text.tokenizer_bytes
    )


def _is(path: Path, sha256: str | None, size: int | None) -> bool:
    try:
        if path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def as_here(text: Text | None, here: Text | None) -> Text | None:
    """What a card says of its text side, with the hashes that a record says of the files that are here."""
    if text is None or here is None:
        return text
    names = ("sha256", "bytes", "tokenizer_sha256", "tokenizer_bytes")
    hashes: dict[str, Any] = {name: getattr(here, name) or getattr(text, name) for name in names}
    return replace(text, **hashes)


def check_named(path: Path, found: str, due: str | None, name: str) -> None:
    """Raise `ModelError` for a file whose hash is not the one, if any, that the card of a name says."""
    if due is not None and due != found:
        raise ModelError(
            f"The file {path.name} is not the one that the card {name} names: its SHA-256 is {found}."
        )


def copied(source: Path, target: Path) -> str:
    """Copy a file and give the SHA-256 of what was copied, in hex. Raises `ModelError`."""
    total, known = 0, hashlib.sha256()
    try:
        with source.open("rb") as given:
            if not stat.S_ISREG(os.fstat(given.fileno()).st_mode):
                raise ModelError(f"The file {source.name} is not a regular file.")
            with target.open("wb") as taken:
                while piece := given.read(_PIECE):
                    total += len(piece)
                    if total > MAX_BYTES:
                        raise ModelError(f"The file {source.name} is larger than {MAX_BYTES} bytes.")
                    known.update(piece)
                    taken.write(piece)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(f"The file {source.name} cannot be copied: {reason}.") from error
    return known.hexdigest()


def install(record: Card, place: Path, target: Path, others: Sequence[tuple[Path, Path]] = ()) -> None:
    """Put a file and its record in place, and the `others` before them, each at once.

    In between, files and record do not agree: that is noticed.
    """
    note = place.with_name(f"{place.name}.json")
    try:
        note.write_text(json.dumps(record.as_json()), encoding="utf-8")
        moves = [*others, (place, target)]
        for path, _ in moves:
            path.chmod(0o644)  # others on this machine may use the folder too
        for path in (note, *(path for path, _ in moves)):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        for path, final in moves:
            path.replace(final)
        note.replace(target.with_suffix(".json"))
    finally:
        note.unlink(missing_ok=True)


def remove(path: Path) -> bool:
    """Remove a file; False if there is none."""
    try:
        path.unlink()
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(f"The file {path.name} cannot be removed: {reason}.") from error


@cache
def temporary_folder() -> str:
    """A folder that lasts as long as this process."""
    import atexit
    import shutil

    folder = tempfile.mkdtemp(prefix="wherefrom-models-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
