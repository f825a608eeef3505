"""Sessions: a model's file, opened once and run on batches of pictures.

The runtime is imported when the first session opens. Sessions are made for worker processes that live under
a limit on their address space: no arena that grows and keeps, no threads that spin while they wait, one
thread of computation unless more are asked for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import ModelError, ModelMissing
from wherefrom.models.cards import ROLES, Card
from wherefrom.models.external import has_external_data

Floats = NDArray[np.float32]

_LOG = logging.getLogger(__name__)
_PROVIDERS = {"cuda": "CUDAExecutionProvider", "rocm": "ROCMExecutionProvider"}
_SOFTENED = 1.1  # times that a picture shrinks from which it is softened before
_QUIET = 4  # only what is fatal: the rest is raised, and said in our words


class Session:
    """A model that is ready to run. One session may be used from several threads at once."""

    def __init__(self, card: Card, runtime: Any, batch: int | None) -> None:
        """Not made directly: see `open_session`. `batch` is the one batch size it takes, None for any."""
        self.card = card
        self._runtime = runtime
        self._batch = batch
        self._roles = list(card.outputs)
        self._names = [card.outputs[role] for role in self._roles]

    @property
    def device(self) -> str:
        """Where it computes: `cpu`, or the name of the kind of accelerator."""
        first = self._runtime.get_providers()[0]
        return next((name for name, provider in _PROVIDERS.items() if provider == first), "cpu")

    def run(self, batch: Floats, roles: Sequence[str] | None = None) -> dict[str, Floats]:
        """The outputs of a batch of prepared pictures, float32 (n, 3, height, width), by their roles.

        `roles` takes only some of them. A model that gives `tokens` gives the first of them as `vector` too.
        An output is float32, with n as its first length. Raises `ModelError` when the model fails or gives
        numbers that are not finite, and ValueError for a batch of another shape or type.
        """
        height, width = self.card.input_size
        if batch.dtype != np.float32 or batch.shape[1:] != (3, height, width):
            raise ValueError(f"a batch is float32 (n, 3, {height}, {width}), not {batch.dtype} {batch.shape}")
        wanted = [role for role in self._roles if roles is None or role in roles]
        if "tokens" in self._roles and roles is not None and "vector" in roles and "tokens" not in wanted:
            wanted.append("tokens")
        if not len(batch) or not wanted:
            raise ValueError("a batch holds at least one picture, and at least one role is asked for")
        if self.card.layout == "NHWC":
            batch = np.ascontiguousarray(batch.transpose(0, 2, 3, 1))
        step = self._batch or len(batch)
        parts = [self._some(batch[start : start + step], wanted) for start in range(0, len(batch), step)]
        found = {role: np.concatenate([part[role] for part in parts]) for role in wanted}
        if "tokens" in found:
            found.setdefault("vector", np.ascontiguousarray(found["tokens"][:, 0]))
        return found if roles is None else {role: found[role] for role in roles if role in found}

    def _some(self, batch: Floats, roles: list[str]) -> dict[str, Floats]:
        short = 0 if self._batch is None else self._batch - len(batch)
        if short:
            batch = np.concatenate([batch, np.zeros((short, *batch.shape[1:]), np.float32)])
        names = [self.card.outputs[role] for role in roles]
        try:
            outputs = self._runtime.run(names, {self.card.input: np.ascontiguousarray(batch)})
        except Exception as error:  # the runtime's own classes, which it does not export
            raise ModelError(_failed(self.card, "failed while running", error)) from error
        found = {}
        for role, output in zip(roles, outputs, strict=True):
            values = np.asarray(output, np.float32)
            if values.ndim < 2 or len(values) != len(batch) or (ROLES[role] and values.ndim != ROLES[role]):
                raise ModelError(f"The model {self.card.name} gives {role} of the shape {values.shape}.")
            if not np.isfinite(values).all():
                raise ModelError(f"The model {self.card.name} gives {role} that are no finite numbers.")
            found[role] = values[: len(batch) - short]
        return found


def open_session(card: Card, path: str | os.PathLike[str], threads: int = 1, device: str = "cpu") -> Session:
    """Open the file of a model and hold it against its card.

    `threads` compute one batch together. `device` is `cpu`, `cuda` or `rocm`; what is not there gives way to
    the processor, with a notice in the log. Raises `ModelMissing` without the runtime or the file, and
    `ModelError` for a file that is no model, is damaged, or whose inputs and outputs are not the card's.
    """
    if threads < 1 or device not in ("cpu", *_PROVIDERS):
        raise ValueError(f"threads are 1 or more, and the device is cpu, {' or '.join(_PROVIDERS)}")
    if not Path(path).is_file():
        raise ModelMissing(
            f"The file of the model {card.name} is not there: wherefrom models add {card.name}."
        )
    try:
        runtime = opened(path, threads, device)
    except ModelError:
        raise
    except Exception as error:  # the runtime's own classes, which it does not export
        raise ModelError(_failed(card, "cannot be opened", error)) from error
    return Session(card, runtime, _checked(card, runtime))


def opened(path: str | os.PathLike[str], threads: int, device: str = "cpu") -> Any:
    """The runtime's session of an ONNX file, sparing of memory and quiet.

    Raises `ModelMissing` without the runtime, `ModelError` for a model that keeps data in other files,
    ValueError for what is no model, and the runtime's own errors, which it does not export.
    """
    if has_external_data(path):
        raise ModelError(
            f"The model {os.fspath(path)} keeps weights in other files, which are not read: it may name any. "
            f"Save it as one file, and use that."
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelMissing("Models need ONNX Runtime: pip install onnxruntime.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not _sums_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = _QUIET
    providers = _providers(device, onnxruntime.get_available_providers())
    return onnxruntime.InferenceSession(os.fspath(path), options, providers=providers)


@cache
def _sums_exactly() -> bool:
    """Whether the processor sums products of 8 bits in 32: those without VNNI do so in 16, and saturate.

    Asking the runtime for exact sums takes twice the time, also where they are exact anyhow. Where nothing is
    known of the processor, it is asked; other kinds than x86 pass over it.
    """
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _providers(device: str, there: Sequence[str]) -> list[str]:
    provider = _PROVIDERS.get(device)
    if provider is not None and provider not in there:
        _LOG.warning("There is no %s here: models run on the processor.", device)
        provider = None
    return ["CPUExecutionProvider"] if provider is None else [provider, "CPUExecutionProvider"]


def _failed(card: Card, what: str, error: Exception) -> str:
    """A sentence about what the runtime says, of which the first line is for people."""
    said = " ".join(str(error).split())[:200].rstrip(". ") or type(error).__name__
    return f"The model {card.name} {what} ({said}). Remove it and install it again."


def _checked(card: Card, runtime: Any) -> int | None:
    """The batch size that the model insists on, if it does. Raises `ModelError` if it is not the card's."""
    inputs = {one.name: one for one in runtime.get_inputs()}
    outputs = {one.name: one for one in runtime.get_outputs()}
    if set(inputs) != {card.input}:
        raise _other(card, f"it takes {_listed(inputs)}, not {card.input}")
    given = inputs[card.input]
    height, width = card.input_size
    shape = (3, height, width) if card.layout == "NCHW" else (height, width, 3)
    if given.type != "tensor(float)" or len(given.shape) != 4 or not _agree(given.shape[1:], shape):
        raise _other(
            card, f"it takes {given.type} {given.shape}, not float32 (n, {', '.join(map(str, shape))})"
        )
    for role, name in card.outputs.items():
        if name not in outputs:
            raise _other(card, f"it gives {_listed(outputs)}, but no {name}")
        one = outputs[name]
        lengths = one.shape
        if one.type not in ("tensor(float)", "tensor(float16)") or len(lengths) < 2:
            raise _other(card, f"it gives {name} as {one.type} {lengths}")
        if ROLES[role] and len(lengths) != ROLES[role]:
            raise _other(card, f"it gives {role} in {len(lengths)} dimensions, not in {ROLES[role]}")
        if (place := _LENGTH_AT.get(role)) is not None and not _agree([lengths[place]], [card.dimension]):
            raise _other(card, f"it gives {role} of {lengths[place]} numbers, not of {card.dimension}")
    first = given.shape[0]
    return first if isinstance(first, int) and first > 0 else None


_LENGTH_AT = {"features": 1, "vector": 1, "tokens": 2}  # which length of a role is the card's dimension


def _agree(stated: Sequence[object], wanted: Sequence[int]) -> bool:
    """Whether lengths are those wanted, or vary."""
    return all(not isinstance(one, int) or one in (-1, due) for one, due in zip(stated, wanted, strict=True))


def _listed(names: dict[str, Any]) -> str:
    return ", ".join(sorted(names))[:100] or "nothing"


def _other(card: Card, why: str) -> ModelError:
    return ModelError(f"The file is not the model that the card {card.name} describes: {why}.")


# From pixels to what a model takes


def prepared(picture: NDArray[np.uint8], card: Card) -> Floats:
    """What the model of a card takes, float32 (1, 3, height, width), from a picture uint8 (h, w, 3) in RGB.

    Sizes come by means over whole pixels, as many as fit, and linearly between softened ones from there:
    exact means over areas cost a seventh of the network's time, and rank no better. Raises ValueError
    for another shape or type.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise ValueError(f"a picture is uint8 (h, w, 3), not {picture.dtype} {picture.shape}")
    height, width = card.input_size
    if card.crop == "centre":
        picture = picture[_middle(picture.shape[:2], card)]
    sized = (width, height)
    if card.crop == "pad":
        scale = min(width / picture.shape[1], height / picture.shape[0])
        sized = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = _resized(np.ascontiguousarray(picture), sized)
    if small.shape[:2] != (height, width):
        fitted = np.full((height, width, 3), card.fill, np.uint8)
        fitted[: small.shape[0], : small.shape[1]] = small
        small = fitted
    if card.channels == "BGR":
        small = small[:, :, ::-1]
    gain = (card.unit / np.array(card.std)).astype(np.float32)
    shift = (np.array(card.mean) / np.array(card.std)).astype(np.float32)
    planes: Floats = np.ascontiguousarray(small.transpose(2, 0, 1)).astype(np.float32)
    planes *= gain[:, None, None]
    planes -= shift[:, None, None]
    return planes[None]


def _middle(shape: tuple[int, ...], card: Card) -> tuple[slice, slice]:
    """The rectangle of the input's shape around the middle, `share` as large as the largest that fits."""
    height, width = shape[:2]
    scale = card.share * min(height / card.input_size[0], width / card.input_size[1])
    tall = min(height, max(1, round(card.input_size[0] * scale)))
    wide = min(width, max(1, round(card.input_size[1] * scale)))
    top, left = (height - tall) // 2, (width - wide) // 2
    return slice(top, top + tall), slice(left, left + wide)


def _resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resized to (width, height)."""
    import cv2

    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    across, down = (max(1, have // want) for have, want in zip(picture.shape[1::-1], size, strict=True))
    if across > 1 or down > 1:  # means of whole pixels, which are quick; what is left is less than twice
        tall, wide = picture.shape[0] // down, picture.shape[1] // across
        whole = picture[: tall * down, : wide * across]
        picture = np.asarray(cv2.resize(whole, (wide, tall), interpolation=cv2.INTER_AREA), np.uint8)
    if (picture.shape[1], picture.shape[0]) != size:
        shrinks = max(picture.shape[1] / size[0], picture.shape[0] / size[1])
        if shrinks > _SOFTENED:  # what would alias
            sigma = 0.35 * (shrinks**2 - 1) ** 0.5
            picture = np.asarray(cv2.GaussianBlur(picture, (3, 3), sigma), np.uint8)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return picture
