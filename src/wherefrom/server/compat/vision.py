"""Google Cloud Vision's `images:annotate`, version 1: WEB_DETECTION and LABEL_DETECTION over a collection.

A key comes as `?key=`, in `X-Goog-Api-Key`, or as a bearer's token. The collection is the one that
`collection` names, or the project in the path where it has the name of one, or else the first.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from wherefrom.errors import (
    FeatureMismatch,
    FetchError,
    ModelError,
    PictureError,
    TooManyRequests,
    UsageError,
    WherefromError,
)
from wherefrom.server.access import needs
from wherefrom.server.compat import vision_shapes as shapes
from wherefrom.server.compat.reading import Json
from wherefrom.server.compat.routing import searched, signed, telling
from wherefrom.server.keys import Scope
from wherefrom.server.limiting import Standing
from wherefrom.server.uploads import body_of, fetched

_VALUES = 20_000
_MAY_SEARCH = [Depends(needs(Scope.SEARCH))]


def _told(_: Request, error: WherefromError) -> Response:
    return JSONResponse(shapes.failure(error.http_status, str(error)), error.http_status)


router = APIRouter(route_class=telling(_told), include_in_schema=False)


@router.post("/v1/projects/{project}/locations/{location}/images:annotate", dependencies=_MAY_SEARCH)
@router.post("/v1/projects/{project}/images:annotate", dependencies=_MAY_SEARCH)
@router.post("/v1/images:annotate", dependencies=_MAY_SEARCH)
async def annotate(request: Request, project: str = "") -> Response:
    """A response for each request of a batch, in order; what is wrong with one is told in its own."""
    service = request.app.state.service
    name = request.query_params.get("collection") or (project if project in service.names else None)
    name = service.name_of(name)
    async with body_of(request) as body:
        batch = shapes.requests_of(await asyncio.to_thread(_json, await body.read()))
        _count(request, len(batch) - 1)
        # All are waited for, so that none goes on with a body that has been let go.
        done = await asyncio.gather(*(_response(request, name, one) for one in batch), return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return JSONResponse({"responses": done})


def _json(data: bytes) -> Any:
    # Each value takes far more room once it is read than here; base64 has none of these characters.
    if sum(data.count(mark) for mark in (b"{", b"[", b",")) > _VALUES:
        raise UsageError(f"The JSON payload has more than {_VALUES:,} values.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError("Invalid JSON payload received.") from None


def _count(request: Request, more: int) -> None:
    """Have the other images of a batch count too; raises TooManyRequests where they are too many."""
    standing: Standing | None = getattr(request.state, "standing", None)
    if standing is None or not more:
        return
    if standing.left < more:
        raise TooManyRequests(
            f"Each image counts as a request, and {standing.left + 1} of {standing.rate} are left: wait "
            f"{standing.reset} seconds, or send fewer at once.",
            standing.reset,
        )
    for _ in range(more):
        request.app.state.door.caller(request, Scope.SEARCH)


async def _response(request: Request, name: str, one: Any) -> Json:
    try:
        wanted = await asyncio.to_thread(shapes.wanted_of, one)  # megabytes of base64
        source = wanted.image
        if isinstance(source, str):
            source = await fetched(request, source)
        return shapes.found(await _searched(request, name, source, wanted), wanted, _image_url(request, name))
    except (shapes.Refused, PictureError, FetchError, UsageError, ModelError) as error:
        return {"error": shapes.told(error)}


async def _searched(request: Request, name: str, source: bytes, wanted: shapes.Wanted) -> Json:
    """Everything that is like the picture; copies alone where no model tells what looks alike."""
    if wanted.web is None and wanted.labels is None:
        return {"query": {"labels": []}, "matches": []}
    try:
        answer, _, _ = await searched(request, name, source, kinds="all", keep=False)
    except (ModelError, FeatureMismatch):
        if wanted.labels is not None:
            raise
        answer, _, _ = await searched(request, name, source, keep=False)
    return answer


def _image_url(request: Request, name: str) -> Any:
    def url(identifier: str) -> str:
        return signed(request, "/rest/image/", "image", name, identifier, collection=name, target=identifier)

    return url
