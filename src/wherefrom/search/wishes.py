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
from wherefrom.search.request import SearchRequest
from wherefrom.search.similar import Wish
from wherefrom.settings import Settings


def read_wishes(request: SearchRequest, source: Callable[[Any], Any], settings: Settings) -> Wish:
    """The wishes of a request as numbers; `source` gives what to read for a picture.

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
        embedded(request.like),
        embedded(request.unlike),
        _vector_of(request.text, settings) if request.text else None,
        parse_colours(request.colours) if request.colours else (),
        request.ignore_background,
    )


def _vector_of(text: str, settings: Settings) -> NDArray[np.float32]:
    from wherefrom.models.store import Store
    from wherefrom.models.text import TextEncoder

    card = settings.card
    if card is None or card.text is None:
        which = "Without a model nothing" if card is None else f"The model {card.name} cannot"
        raise UsageError(
            f"{which} {'can be searched' if card is None else 'search'} by words. "
            f"Add one that can: wherefrom models list"
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
