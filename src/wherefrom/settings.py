"""Settings: one typed object from defaults, a TOML file and the environment, in that order.

The file is `$WHEREFROM_CONFIG`, or `wherefrom.toml` in the present folder when there is one. A setting `name`
is read from the environment as `WHEREFROM_NAME`. Arguments of a call or a command come last and win.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from wherefrom.errors import UsageError
from wherefrom.features.embedding import NO_MODEL, Model
from wherefrom.features.extract import Recipe
from wherefrom.features.keypoints import KEPT
from wherefrom.former import COLLECTION, PREFIX, default_collection, settings_file, variable
from wherefrom.models.cards import Card
from wherefrom.picture.limits import DEFAULT_LIMITS, Limits
from wherefrom.processes.memory import share

_LEAST_MEMORY = 512 * 1024**2
_DEVICES = ("cpu", "cuda", "rocm")


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set.

    `collection` is where the command line looks; `workers` is how many processes decode, 0 for one per
    core; `max_bytes`, `max_pixels`, `max_scaled_pixels` and `decode_seconds` are the caps of
    `wherefrom.picture.decode.Limits`; `max_memory` is how many bytes a process that decodes may have, and one
    that searches for the service may take, 0 for a share of what the machine has; `fetch_seconds` is how long
    a URL may take; `keypoints` is how many of
    an image are kept: fewer take less room, more find smaller parts; `model` names the model that computes
    embeddings, empty for the one that `wherefrom models use` chose, and "none" for no look-alikes;
    `detector` names one that finds the things in a query, empty for where the model itself looks; `device` is
    what models compute on, `cpu`, `cuda` or `rocm`: what is not there gives way to the processor, with a
    notice; `key_file` is where the keys of the service are kept, empty for `keys.db` in the first collection;
    `registry` is the file in which the command line lists the collections it knows, empty for one in the
    user's folder of state, "none" for no list; `allow_private` names networks that are not public,
    such as 10.1.0.0/16, with spaces or commas between, from which URLs may be fetched all the same.
    """

    collection: str = COLLECTION
    workers: int = 0
    max_bytes: int = DEFAULT_LIMITS.bytes
    max_pixels: int = DEFAULT_LIMITS.pixels
    max_scaled_pixels: int = DEFAULT_LIMITS.scaled_pixels
    decode_seconds: float = DEFAULT_LIMITS.seconds
    max_memory: int = 0
    fetch_seconds: float = 30.0
    keypoints: int = KEPT
    model: str = ""
    detector: str = ""
    device: str = "cpu"
    key_file: str = ""
    registry: str = ""
    allow_private: str = ""

    @property
    def limits(self) -> Limits:
        """The caps on a picture."""
        memory = self.max_memory or share(0.5, 1024**3, DEFAULT_LIMITS.memory)
        return Limits(self.max_bytes, self.max_pixels, self.max_scaled_pixels, self.decode_seconds, memory)

    @property
    def private_networks(self) -> tuple[str, ...]:
        """The networks that are not public from which URLs may be fetched."""
        return tuple(self.allow_private.replace(",", " ").split())

    @property
    def recipe(self) -> Recipe:
        """What is computed of a picture; the model's file is built on the first occasion.

        Raises UsageError for a model that has no card, ModelMissing or ModelError where it cannot be had.
        """
        if (card := self.card) is None:
            return Recipe(self.keypoints)
        from wherefrom.models.store import default_directory

        return Recipe(self.keypoints, Model(card, _file_of(card, default_directory()), self.device))

    @property
    def card(self) -> Card | None:
        """The card of the model that computes embeddings, None for no model. Raises what `recipe` raises."""
        if self.model == NO_MODEL:
            return None
        from wherefrom.models.store import Store

        store = Store()
        return store.card(store.current(self.model))

    @property
    def worker_count(self) -> int:
        """How many processes decode."""
        if self.workers > 0:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=4)
def _file_of(card: Card, directory: Path) -> str:
    """The file of a model, which is built or checked once: that takes longer than a pass of the network."""
    from wherefrom.models.store import Store

    return str(Store(directory).path(card.name))


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the file and the environment.

    Raises UsageError for a file that cannot be read, an unknown name, or a value of the wrong type or sign.
    """
    values: dict[str, int | float | str] = {}
    path, named = settings_file(environment)
    if named or path.is_file():
        try:
            stated = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"The settings file {path} cannot be read: {error}.") from error
        for name, value in stated.items():
            values[name] = _checked(name, value, f"{path}: {name}")
    for field in fields(Settings):
        if (text := variable(field.name.upper(), environment)) is not None:
            values[field.name] = _checked(field.name, text, PREFIX + field.name.upper())
    values.setdefault("collection", default_collection())
    return Settings(**values)  # type: ignore[arg-type]


def _checked(name: str, value: object, where: str) -> int | float | str:
    kinds = {field.name: type(field.default) for field in fields(Settings)}
    if name not in kinds:
        raise UsageError(f"{where} is no setting; there are {', '.join(kinds)}.")
    kind = kinds[name]
    if kind is str:
        if name == "device" and value not in _DEVICES:
            raise UsageError(f"{where} is one of {', '.join(_DEVICES)}, not {value!r}.")
        return str(value)
    try:
        number = float(str(value)) if kind is float else int(str(value))
    except ValueError:
        raise UsageError(f"{where} is a number, not {value!r}.") from None
    if isinstance(value, bool) or number < 0 or (number == 0 and name not in ("workers", "max_memory")):
        raise UsageError(f"{where} cannot be {value!r}.")
    if name == "max_memory" and 0 < number < _LEAST_MEMORY:
        raise UsageError(f"{where} cannot be below {_LEAST_MEMORY:,} bytes: no decoder would start.")
    return number
