"""Pictures that are made when asked for: thumbnails, queries and proofs; kept while there is room."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from wherefrom.errors import Busy, Forbidden, NotFound, UsageError
from wherefrom.picture.formats import FORMATS
from wherefrom.records import digest_of
from wherefrom.server.access import needs
from wherefrom.server.drawing import HOWS
from wherefrom.server.keys import Scope
from wherefrom.server.searching import gives_originals, kept_of
from wherefrom.server.shapes import Answers, CollectionName, ImageId, Token, problems

router = APIRouter(tags=["pictures"], dependencies=[Depends(needs(Scope.SEARCH))])

BYTES = 64 * 1024 * 1024
"""Of all pictures that are kept."""

_WAITING = 512
_BYTES: Answers = {
    200: {"content": {"image/*": {}, "application/octet-stream": {}}, "description": "The bytes."},
    304: {"description": "It has not changed."},
}
_WEBP: Answers = {
    200: {"content": {"image/webp": {}}, "description": "The picture."},
    304: {"description": "It has not changed."},
}
_FOREVER = "private, max-age=31536000, immutable"
_FOR_NOW = "private, max-age=900"


class Pictures:
    """Pictures by what they are of; each is made once, though many ask, and few are made at a time."""

    def __init__(self, at_once: int, most: int = BYTES) -> None:
        self._most, self.size = most, 0
        self._made: OrderedDict[Any, bytes] = OrderedDict()
        self._making: dict[Any, asyncio.Future[bytes]] = {}
        self._turn = asyncio.Semaphore(at_once)

    async def get(self, key: Any, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The picture of a key, made now if it is not there. Raises what making raises, and Busy."""
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        if key not in self._making:
            if len(self._making) >= _WAITING:
                raise Busy("Too many pictures are being made; try again in a moment.")
            task = self._making[key] = asyncio.ensure_future(self._make(make))
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(self._making[key])

    async def _make(self, make: Callable[[], Awaitable[bytes]]) -> bytes:
        async with self._turn:
            return await make()

    def _done(self, key: Any, task: asyncio.Future[bytes]) -> None:
        del self._making[key]
        if task.cancelled() or task.exception() is not None:
            return
        self._made[key] = task.result()
        self.size += len(task.result())
        while self.size > self._most:
            self.size -= len(self._made.popitem(last=False)[1])


@router.get(
    "/api/v1/images/{id}/thumbnail",
    summary="An image, small.",
    response_class=Response,
    responses=_WEBP | problems(400, 404, 413, 415, 422, 503),
)
async def thumbnail(
    request: Request,
    id: ImageId,
    size: Annotated[int, Query(ge=64, le=1024, description="Pixels of the longer side, at most.")] = 256,
    collection: CollectionName = None,
) -> Response:
    """It is made of a file in which the image was seen, or of its bytes as they were received."""
    service = request.app.state.service
    name, tag = service.name_of(collection), f'"{digest_of(id).hex()[:32]}-{size}"'
    await service.run(name, lambda held: held.get(id))
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": _FOREVER})
    data = await _pictures(request).get(
        (name, id, size), lambda: service.draw("thumbnail", name, id=id, size=size)
    )
    return Response(data, media_type="image/webp", headers={"ETag": tag, "Cache-Control": _FOREVER})


@router.get(
    "/api/v1/images/{id}/original",
    summary="An image's bytes.",
    response_class=Response,
    responses=_BYTES | problems(400, 403, 404, 503),
)
async def original(request: Request, id: ImageId, collection: CollectionName = None) -> Response:
    """As they are in a file in which the image was seen, or as they were received; where this is allowed."""
    if not gives_originals(request):
        raise Forbidden("This service does not give originals; it is started with --originals for that.")
    service = request.app.state.service
    tag = f'"{digest_of(id).hex()}"'
    image = await service.run(collection, lambda held: held.get(id))
    headers = {
        "ETag": tag,
        "Cache-Control": _FOREVER,
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = await service.run(collection, lambda held: held.original(id))
    media, ending = _media(image.format)
    name = quote(f"{id[7:23]}.{ending}")
    # What browsers would run as a page of ours, such as SVG, is only ever saved.
    shown = "inline" if media in _SHOWN else "attachment"
    return Response(
        data, media_type=media, headers=headers | {"Content-Disposition": f'{shown}; filename="{name}"'}
    )


@router.get(
    "/api/v1/searches/{token}/image",
    summary="The picture of a search, upright.",
    response_class=Response,
    responses=_WEBP | problems(400, 404, 413, 415, 422, 503),
)
async def query(
    request: Request,
    token: Token,
    size: Annotated[int, Query(ge=64, le=2048, description="Pixels of the longer side, at most.")] = 1024,
) -> Response:
    """As long as the search is kept."""
    kept = kept_of(request, token)
    if kept.source is None:
        raise NotFound("That search had no picture.")
    tag = f'"{token}-{size}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": _FOR_NOW})
    service = request.app.state.service
    data = await _pictures(request).get(
        (token, size),
        lambda: service.draw("picture", kept.collection, source=kept.source, size=size),
    )
    return Response(data, media_type="image/webp", headers={"ETag": tag, "Cache-Control": _FOR_NOW})


@router.get(
    "/api/v1/searches/{token}/proofs/{id}",
    summary="Why an image is a match, as a drawing.",
    response_class=Response,
    responses=_WEBP | problems(400, 404, 413, 415, 422, 503),
)
async def proof(
    request: Request,
    token: Token,
    id: ImageId,
    how: Annotated[str, Query(pattern=f"^({'|'.join(HOWS)})$", description=", ".join(HOWS))] = "sides",
    size: Annotated[int, Query(ge=128, le=2048, description="Pixels of the query's longer side.")] = 1024,
) -> Response:
    """Side by side, where they differ, or the match laid into the query's frame."""
    kept = kept_of(request, token)
    tag = f'"{token}-{digest_of(id).hex()[:32]}-{how}-{size}"'
    headers = {"ETag": tag, "Cache-Control": _FOR_NOW}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    answer = await asyncio.to_thread(lambda: kept.answer)
    match = next((one for one in answer["matches"] if one["id"] == id), None)
    if match is None:
        raise NotFound("This image is no match of that search.")
    if kept.source is None or match["kind"] == "similar":
        raise UsageError("What merely looks alike has no proof that could be drawn.")
    service = request.app.state.service
    what = {"source": kept.source, "id": id, "evidence": match["evidence"], "how": how, "size": size}
    data = await _pictures(request).get(tag, lambda: service.draw("proof", kept.collection, **what))
    return Response(data, media_type="image/webp", headers=headers)


_SHOWN = {"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp"}


def _media(format: str) -> tuple[str, str]:
    """A format's media type and the ending of its files."""
    if format not in FORMATS:
        return "application/octet-stream", "bin"
    media = FORMATS[format].mime
    return (media if media in _SHOWN else "application/octet-stream"), {"jpeg": "jpg"}.get(format, format)


def _pictures(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.pictures
    return pictures
