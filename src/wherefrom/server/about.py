"""Routes that tell of the service itself: status, health, readiness."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, PlainTextResponse

from wherefrom.server.access import Caller, needs
from wherefrom.server.acting import may_act
from wherefrom.server.keys import Scope
from wherefrom.server.searching import gives_originals
from wherefrom.version import __version__

router = APIRouter(tags=["service"])


@router.get("/api/v1/status", summary="What is served, and how busy it is.")
async def status(request: Request, caller: Annotated[Caller, Depends(needs(Scope.SEARCH))]) -> JSONResponse:
    """Versions, collections, the queue, limits, and what the caller may do."""
    service, config = request.app.state.service, request.app.state.config
    settings = config.settings
    card = settings.card
    counts = [await service.run(name, len) for name in service.names]
    told: dict[str, Any] = {
        "version": __version__,
        "collections": [
            {"name": name, "images": count, "default": place == 0}
            for place, (name, count) in enumerate(zip(service.names, counts, strict=True))
        ],
        "queue": service.busy,
        "uptime_s": round(time.time() - service.started, 1),
        "limits": {
            "max_upload": config.max_upload,
            "max_bytes": settings.max_bytes,
            "max_pixels": settings.max_pixels,
            "deadline_s": config.deadline,
        },
        "scopes": caller.scopes,
        "allowed": {
            "originals": gives_originals(request),
            "index": bool(config.index_roots),
            "file_actions": may_act(request),
        },
        "model": None if card is None else card.name,
        "text_search": card is not None and card.text is not None,
    }
    return JSONResponse(told)


@router.get("/healthz", include_in_schema=False, dependencies=[Depends(needs(None))])
async def health() -> PlainTextResponse:
    """Whether the process answers at all."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", include_in_schema=False, dependencies=[Depends(needs(None))])
async def ready(request: Request) -> PlainTextResponse:
    """Whether searches are answered."""
    if request.app.state.service.ready:
        return PlainTextResponse("ready\n")
    return PlainTextResponse("not ready\n", 503)
