"""Errors as `application/problem+json` (RFC 9457): the sentence of the error tree, and its code."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from wherefrom.errors import Busy, TooManyRequests, WherefromError
from wherefrom.server.logs import unforeseen

MEDIA = "application/problem+json"
_log = logging.getLogger("wherefrom.server")
_CODES = {404: "no-route", 405: "no-method", 400: "usage"}


class Problem(BaseModel):
    """What went wrong."""

    type: str = Field(description="Where the error is explained.", examples=["/docs/errors#not-found"])
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="A sentence for the person who must act.")
    code: str = Field(description="A word for programs.")
    id: str | None = Field(
        None, description="Where the fault is ours: the id under which the log tells of it."
    )


def number_of(request: Request) -> str:
    """The id of a request, by which the log speaks of it."""
    return str(request.scope.get("state", {}).get("number", ""))


def problem(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: str
) -> JSONResponse:
    """The response that tells of a problem, with `more` members."""
    title = HTTPStatus(status).phrase
    body = {"type": f"/docs/errors#{code}", "title": title, "status": status, "detail": detail, "code": code}
    body |= more
    return JSONResponse(body, status, headers, media_type=MEDIA)


def problem_of(error: WherefromError) -> JSONResponse:
    """The response that tells of an error."""
    headers = {}
    if isinstance(error, Busy | TooManyRequests):
        headers["Retry-After"] = str(error.retry_after)
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(error.http_status, error.code, str(error), headers)


def handle(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Have an app, whose routes are those of some routers, answer every error with a problem."""
    routes = [route for router in routers for route in router.routes if isinstance(route, Route)]

    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, WherefromError)
        if error.http_status == 500:
            _log.error("%s", error, extra={"code": error.code})
        request.state.code = error.code
        return problem_of(error)

    async def frameworks(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers) if error.headers else {}
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(routes, request))
        code = _CODES.get(error.status_code, "usage")
        return problem(error.status_code, code, _sentence(request, error), headers)

    async def shapes(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return problem(400, "usage", _told(error.errors()))

    async def anything(request: Request, error: Exception) -> JSONResponse:
        number = number_of(request)
        _log.error("Request %s failed", number, exc_info=error)
        return problem(500, "error", unforeseen(number), id=number)

    app.add_exception_handler(WherefromError, ours)
    app.add_exception_handler(HTTPException, frameworks)
    app.add_exception_handler(RequestValidationError, shapes)
    app.add_exception_handler(Exception, anything)


def _allowed(routes: Sequence[Route], request: Request) -> list[str]:
    """The methods of all routes with a request's path."""
    methods: set[str] = set()
    for route in routes:
        if route.path_regex.match(request.url.path):
            methods |= route.methods or set()
    return sorted(methods)


def _sentence(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:
        return "There is nothing at this address; /docs lists what there is."
    if error.status_code == 405:
        return f"{request.method[:20]} is not supported here; see /docs."
    return str(error.detail)


def _told(errors: Any) -> str:
    said = []
    for one in list(errors)[:3]:
        where = ".".join(str(part) for part in one["loc"][1:]) or "the body"
        said.append(f"{where}: {one['msg']}")
    return "The request cannot be used. " + "; ".join(said) + "."
