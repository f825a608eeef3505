"""The app: routes, and what goes around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from wherefrom.server import problems
from wherefrom.server.access import AccessHeaders, Door
from wherefrom.server.config import Config
from wherefrom.server.documenting import schema_of
from wherefrom.server.gate import Gate
from wherefrom.server.headers import Heads, SafeHeaders
from wherefrom.server.observing import Figures, Observing
from wherefrom.server.pictures import Pictures
from wherefrom.server.safety import door_of, jobs_of
from wherefrom.server.service import Service
from wherefrom.server.tokens import Tokens
from wherefrom.version import __version__

_EXPOSED = ["ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID"]


def create_app(service: Service, config: Config, door: Door | None = None) -> FastAPI:
    """The app of a service, which it starts and stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            await asyncio.to_thread(app.state.door.open)
            app.state.jobs = jobs = await asyncio.to_thread(jobs_of, service, config)
            try:
                yield
            finally:
                await asyncio.to_thread(jobs.close)
                await asyncio.to_thread(app.state.door.close)

    app = FastAPI(
        title="Wherefrom",
        version=__version__,
        summary="Where does this picture come from?",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.service = service
    app.state.config = config
    app.state.door = door or door_of(config)
    app.state.budget = service.budget
    app.state.tokens = Tokens()
    app.state.pictures = Pictures(at_once=2 * config.worker_count)
    app.state.figures = figures = Figures()
    service.on_answer, service.on_outcomes = figures.searched, figures.added
    routers = _routers()
    problems.handle(app, routers)
    for router in routers:
        app.include_router(router)
    app.openapi = cache(lambda: schema_of(app))  # type: ignore[method-assign]
    # The last one added is the first that a request meets.
    app.add_middleware(Gate, most=config.max_upload)
    app.add_middleware(AccessHeaders)
    if config.allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(config.allow_origins),
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "If-None-Match"],
            expose_headers=_EXPOSED,
            max_age=600,
        )
    app.add_middleware(Heads)
    app.add_middleware(SafeHeaders, shared=bool(config.allow_origins))
    app.add_middleware(Observing, figures=figures)
    return app


def _routers() -> list[APIRouter]:
    """Every room's routes. A router names its whole paths, `/api/v1` included."""
    from wherefrom.server import (
        about,
        acting,
        compat,
        contents,
        documenting,
        images,
        observing,
        orders,
        pages,
        pictures,
        searching,
    )

    ours = [searching.router, images.router, pictures.router, contents.router, acting.router]
    ours += [orders.router, about.router]
    extra = [observing.router, documenting.router, pages.router_of()]
    return [*ours, *compat.routers(), *extra]
