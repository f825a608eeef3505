"""What people say they want of look-alikes, and what is told of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import ModelMissing, UsageError, named
from wherefrom.features.colours import parse_colours
from wherefrom.features.embedding import Embedding, Shares
from wherefrom.features.palette import Palette
from wherefrom.models.labels import Label
from wherefrom.search.query import embedding_of
from wherefrom.search.similar import Wish
from wherefrom.settings import Settings


@dataclass(frozen=True)
class Wishes:
    """Pictures to be like and unlike, words, and colours, as they were given."""

    like: Sequence[Any] = ()
    unlike: Sequence[Any] = ()
    text: str | None = None
    colours: str | None = None
    ignore_background: bool = False

    @property
    def are_none(self) -> bool:
        """Whether nothing is wished for."""
        return not (self.like or self.unlike or self.text or self.colours)

    @property
    def have_a_subject(self) -> bool:
        """Whether they say enough to search by them alone."""
        return bool(self.like or self.text or self.colours)

    def read(self, source: Callable[[Any], Any], settings: Settings) -> Wish:
        """The wishes as numbers; `source` gives what to read for a picture.

        Raises a PictureError for a picture that cannot be read, UsageError for colours of no use, and
        ModelMissing or ModelError without a model that can tell.
        """

        def embedded(pictures: Sequence[Any]) -> list[Embedding]:
            found = []
            for picture in pictures:
                with named(picture):
                    shown = embedding_of(source(picture), settings)
                if shown is None:
                    raise ModelMissing("No model computes embeddings here (the setting `model` is none).")
                found.append(shown)
            return found

        return Wish(
            embedded(self.like),
            embedded(self.unlike),
            _vector_of(self.text, settings) if self.text else None,
            parse_colours(self.colours) if self.colours else (),
            self.ignore_background,
        )


def _vector_of(text: str, settings: Settings) -> NDArray[np.float32]:
    from wherefrom.models.store import Store
    from wherefrom.models.text import TextEncoder

    card = settings.card
    if card is None or card.text is None:
        name = "none" if card is None else card.name
        raise UsageError(
            f"Searching by words needs a model that has a side for them, which {name} has not. "
            f"See which do: wherefrom models list"
        )
    return TextEncoder(card, Store().text_folder(card.name)).encode(text)


@dataclass(frozen=True, slots=True)
class About:
    """What an image shows, as far as a network tells: labels, colours, and boxes of its things.

    `colours` is as `Palette.as_json` gives it; `objects` are left, top, right, bottom as shares of the width
    and the height.
    """

    labels: tuple[Label, ...] = ()
    colours: list[dict[str, object]] = field(default_factory=list)
    objects: tuple[Shares, ...] = ()

    @classmethod
    def of(cls, embedding: bytes, palette: bytes) -> Self:
        """What the features of an image say; empty bytes say nothing."""
        shown = Embedding.from_bytes(embedding) if embedding else None
        return cls(
            tuple(shown.labels()) if shown else (),
            Palette.from_bytes(palette).as_json() if palette else [],
            shown.regions if shown else (),
        )

    def as_json(self) -> dict[str, object]:
        """The shape that all faces share."""
        return {
            "labels": [label.as_json() for label in self.labels],
            "colours": self.colours,
            "objects": [[round(value, 4) for value in box] for box in self.objects],
        }
