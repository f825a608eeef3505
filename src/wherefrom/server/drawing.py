"""Pictures that a search process makes, as WebP: thumbnails, the query upright, drawings of a proof."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wherefrom.collection import Collection
from wherefrom.errors import UsageError
from wherefrom.search.answer import Edit, Evidence

if TYPE_CHECKING:
    from PIL import Image

HOWS = ("sides", "difference", "aligned", "blink-a", "blink-b")
"""Side by side with what both show; where they differ; the match in the query's frame, clear where it shows
nothing; the query, and the match in its frame on grey, in the same size."""

_QUALITY = 82
_GREY = (128, 128, 128)


def thumbnail(collections: Mapping[str, Collection], *, name: str, id: str, size: int) -> bytes:
    """An image whose longer side is at most `size` pixels."""
    return picture(collections, name=name, source=id, size=size)


def picture(collections: Mapping[str, Collection], *, name: str, source: bytes | str, size: int) -> bytes:
    """A picture (bytes, or the id of an image) upright, its longer side at most `size` pixels."""
    collection = collections[name]
    return _webp(_reduced(_image(collection, _bytes(collection, source), size)[0], size))


def proof(
    collections: Mapping[str, Collection],
    *,
    name: str,
    source: bytes | str,
    id: str,
    evidence: dict[str, Any],
    how: str,
    size: int,
) -> bytes:
    """A drawing of why an image is a match for a query; raises UsageError where there is nothing to draw."""
    from PIL import Image

    from wherefrom.search.draw import difference, draw, warped

    told, collection = evidence_of(evidence), collections[name]
    if told.transform is None and how != "blink-a":
        raise UsageError("How the two pictures lie on each other is not known: there is nothing to draw.")
    query, query_size = _image(collection, _bytes(collection, source), size)
    query = _reduced(query, size)
    if how == "blink-a":
        return _webp(query)
    match, match_size = _image(collection, collection.original(id), size)
    sizes = {"query_size": query_size, "match_size": match_size}
    if how == "sides":
        return _webp(draw(told, query, match, height=max(64, size // 2), **sizes))
    if how == "difference":
        return _webp(difference(told, query, match, **sizes))
    laid = warped(told, query, match, **sizes)
    if how == "aligned":
        return _webp(laid)
    sheet = Image.new("RGB", laid.size, _GREY)
    sheet.paste(laid, mask=laid.getchannel("A"))
    return _webp(sheet)


def evidence_of(told: Mapping[str, Any]) -> Evidence:
    """The evidence that `Evidence.as_json` told of."""

    def polygon(points: Any) -> Any:
        return None if points is None else tuple((x, y) for x, y in points)

    return Evidence(
        method=told["method"],
        distance=told["distance"],
        inliers=told["inliers"],
        transform=None if told["transform"] is None else tuple(tuple(row) for row in told["transform"]),  # type: ignore[arg-type]
        query_area=polygon(told["query_area"]),
        match_area=polygon(told["match_area"]),
        query_coverage=told["coverage"]["query"],
        match_coverage=told["coverage"]["match"],
        edits=tuple(Edit(one["name"], one["amount"], polygon(one["area"])) for one in told["edits"]),
        points=tuple(tuple(point) for point in told["points"]),
        agreement=told["agreement"],
        similarity=told["similarity"],
    )


def _bytes(collection: Collection, source: bytes | str) -> bytes:
    return collection.original(source) if isinstance(source, str) else source


def _image(collection: Collection, data: bytes, size: int) -> tuple[Image.Image, tuple[int, int]]:
    """The picture in colour at `size` or more where it has that, and the size of the whole."""
    from PIL import Image

    from wherefrom.decoding import decoded
    from wherefrom.picture.limits import SMALL_SIDE

    found = decoded(data, limits=collection.settings.limits, least=max(SMALL_SIDE, size))
    return Image.fromarray(found.pixels).convert("RGB"), (found.facts.width, found.facts.height)


def _reduced(image: Image.Image, size: int) -> Image.Image:
    image.thumbnail((size, size), reducing_gap=2.0)
    return image


def _webp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
