"""TinEye's commercial REST API: `/rest/search/`, `/rest/image_count/` and `/rest/remaining_searches/`.

A key goes into the header `x-api-key`. Searches find claims alone, of the collection that `collection` names,
or else the first. Links to images and overlays carry their own permission, as TinEye's do.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from wherefrom.errors import BlockedAddress, UsageError, WherefromError
from wherefrom.server.access import needs
from wherefrom.server.compat import tineye_shapes as shapes
from wherefrom.server.compat.routing import (
    Given,
    check_signature,
    given_of,
    searched,
    signed,
    telling,
)
from wherefrom.server.keys import Scope
from wherefrom.server.limiting import Standing
from wherefrom.server.pictures import proof, thumbnail
from wherefrom.server.uploads import fetched

_MAY_SEARCH = [Depends(needs(Scope.SEARCH))]
_MAY_ALL = [Depends(needs(None))]  # who has a link that is signed


def _told(_: Request, error: WherefromError) -> Response:
    code, messages = shapes.told(error)
    return JSONResponse(shapes.failure(code, *messages), code)


router = APIRouter(route_class=telling(_told), include_in_schema=False)


@router.api_route("/rest/search", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
@router.api_route("/rest/search/", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
async def search(request: Request) -> Response:
    """Find where a picture comes from: the file `image_upload`, or `image_url`."""
    async with given_of(request) as given:
        wanted = shapes.Wanted.of(given.texts)
        name = request.app.state.service.name_of(given.texts.get("collection"))
        source = await _picture(request, given)
        if isinstance(source, Response):
            return source
        answer, token, seconds = await searched(request, name, source)
    if simple := shapes.too_simple(answer):
        return _failed(400, *simple)

    def image(identifier: str) -> str:
        return signed(request, "/rest/image/", "image", name, identifier, collection=name, target=identifier)

    def overlay(identifier: str) -> str:
        return signed(request, "/rest/overlay/", "overlay", token, identifier, query=token, target=identifier)

    return JSONResponse(shapes.found(answer, wanted, shapes.Links(image, overlay), seconds))


@router.get("/rest/image_count", dependencies=_MAY_SEARCH)
@router.get("/rest/image_count/", dependencies=_MAY_SEARCH)
async def image_count(request: Request) -> Response:
    """How many images there are in the collection."""
    start = time.perf_counter()
    count = await request.app.state.service.run(request.query_params.get("collection"), len)
    return JSONResponse(shapes.body(count, time.perf_counter() - start))


@router.get("/rest/remaining_searches", dependencies=_MAY_SEARCH)
@router.get("/rest/remaining_searches/", dependencies=_MAY_SEARCH)
async def remaining_searches(request: Request) -> Response:
    """How many searches the key has left in its present window."""
    now = datetime.now(UTC)
    standing: Standing | None = getattr(request.state, "standing", None)
    if standing is None:
        return JSONResponse(shapes.remaining(None, now, None, 0.0))
    end = now + timedelta(seconds=standing.reset)
    return JSONResponse(
        shapes.remaining(standing.left, end - timedelta(seconds=standing.rate.seconds), end, 0.0)
    )


@router.get("/rest/overlay/", dependencies=_MAY_ALL)
async def overlay(request: Request) -> Response:
    """The query beside a match, with what both show: for whoever has the link."""
    token, target = (request.query_params.get(name, "") for name in ("query", "target"))
    check_signature(request, "overlay", token, target)
    return await proof(request, token, target, "sides", 1024)


@router.get("/rest/image/", dependencies=_MAY_ALL)
async def image(request: Request) -> Response:
    """A match, small: for whoever has the link."""
    name, target = (request.query_params.get(name, "") for name in ("collection", "target"))
    check_signature(request, "image", name, target)
    return await thumbnail(request, target, 300, name)


async def _picture(request: Request, given: Given) -> bytes | Response:
    file = given.file("image_upload")
    if file is not None:
        return file.data
    url = given.texts.get("image_url", "")
    if not url:
        if any(one.part == "image_upload" for one in given.files):
            return _failed(400, shapes.BAD_IMAGE, "The file is empty.")
        return _failed(400, shapes.BAD_URL, "Please supply an image or a URL for searching.")
    try:
        found = await fetched(request, url)
    except (UsageError, BlockedAddress) as error:
        return _failed(400, shapes.BAD_URL, str(error))
    return found


def _failed(code: int, *messages: str) -> Response:
    return JSONResponse(shapes.failure(code, *messages), code)
