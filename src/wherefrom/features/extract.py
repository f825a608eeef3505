"""All features of a picture, in the form in which they are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from wherefrom.features import fingerprint, keypoints
from wherefrom.features.embedding import Model, embedder
from wherefrom.models.cards import from_plain
from wherefrom.picture.picture import Picture

FINGERPRINT = "pdq"
KEYPOINTS = "keypoints"
PALETTE = "palette"
EMBEDDING = "embedding"

VERSIONS = {FINGERPRINT: fingerprint.VERSION, KEYPOINTS: keypoints.VERSION}
"""The version of each kind of feature by which copies are found."""


@dataclass(frozen=True, slots=True)
class Features:
    """What is computed from one picture: bytes by kind, and the fingerprint's quality (0 to 100)."""

    data: dict[str, bytes]
    quality: int


@dataclass(frozen=True)
class Recipe:
    """What is computed of a picture: up to `kept` keypoints, and an embedding by a model, if there is one."""

    kept: int = keypoints.KEPT
    model: Model | None = None

    def prepare(self) -> None:
        """Load what is loaded once."""
        keypoints.prepare()
        if self.model is not None:
            embedder(self.model)

    def extract(self, picture: Picture, colour: Callable[[], Picture] | None = None) -> Features:
        """Every feature of a picture; `colour` gives it in colour where it is luma of a coloured one."""
        from wherefrom.features.registry import View, features

        seen = cache(colour) if colour is not None and picture.pixels.ndim == 2 else lambda: picture
        view = View(picture, seen)
        data = {kind: one.packed(one.extract(view, self)) for kind, one in features().items()}
        return Features(data, fingerprint.Fingerprint.from_bytes(data[FINGERPRINT]).quality)

    def as_plain(self) -> dict[str, Any]:
        """The recipe in numbers, texts, lists and dicts."""
        model = self.model
        plain = (
            None
            if model is None
            else {
                "card": model.card.as_json(),
                "path": model.path,
                "device": model.device,
            }
        )
        return {"kept": self.kept, "model": plain}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Recipe:
        """The inverse of `as_plain`. Raises ModelError for a card that is wrong."""
        model = plain["model"]
        if model is None:
            return cls(plain["kept"])
        return cls(plain["kept"], Model(from_plain(model["card"], "given"), model["path"], model["device"]))
