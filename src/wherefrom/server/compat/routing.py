"""Routes of foreign APIs: what they have in common, and errors in the shape of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from wherefrom.errors import Busy, Forbidden, TooManyRequests, UsageError, WherefromError
from wherefrom.search.request import SearchRequest
from wherefrom.server.asked import MOST
from wherefrom.server.compat.links import Signer
from wherefrom.server.compat.reading import Json
from wherefrom.server.logs import failed
from wherefrom.server.problems import number_of
from wherefrom.server.uploads import File, Form, body_of, wrong_body

LINK_SECONDS = 24 * 3600
"""How long a link that carries its own permission counts."""

Told = Callable[[Request, WherefromError], Response]
"""Makes the answer to a request that failed, in the shape of an API."""


def telling(told: Told) -> type[APIRoute]:
    """The class of the routes of an API, which tells of all errors in its own shape."""

    class Route(APIRoute):
        """A route of a foreign API."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    response: Response = await handle(request)
                    return response
                except WherefromError as error:
                    problem = error
                except (HTTPException, RequestValidationError):
                    problem = UsageError("The request cannot be used.")
                except Exception:  # noqa: BLE001 - whatever it is, it is told in this shape too
                    problem = failed("A request", number=number_of(request))
                request.state.code = problem.code
                response = told(request, problem)
                if isinstance(problem, Busy | TooManyRequests):
                    response.headers["Retry-After"] = str(problem.retry_after)
                return response

            return answer

    return Route


@dataclass(frozen=True, slots=True)
class Given:
    """The parameters of a request, of its query string and its form, and the files with it."""

    texts: dict[str, str]
    files: list[File]

    def file(self, name: str) -> File | None:
        """The file of a name, None where there is none or it is empty."""
        return next((file for file in self.files if file.part == name and file.data), None)


@asynccontextmanager
async def given_of(request: Request) -> AsyncIterator[Given]:
    """What came with a request, which counts among what is uploaded as long as it is used.

    Raises TooLarge, SlowRequest, Busy, WrongBody or UsageError.
    """
    texts = dict(request.query_params)
    async with body_of(request) as body:
        form = Form()
        if body.type == "multipart/form-data":
            form = await body.form()
        elif body.type == "application/x-www-form-urlencoded":
            form.texts = _urlencoded(await body.read(64 * 1024))
        elif await body.read(1024):
            raise wrong_body(body, "multipart/form-data")
        yield Given(texts | form.texts, form.files)


def _urlencoded(data: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=256))
    except ValueError:
        raise UsageError("The form cannot be read: it is UTF-8 with at most 256 fields.") from None


async def searched(
    request: Request, name: str, source: bytes | str, *, kinds: str | None = None, keep: bool = True
) -> tuple[Json, str, float]:
    """The answer to one search, its token (empty unless it is kept), and the seconds that it took."""
    start = time.perf_counter()
    answer: Json = await request.app.state.service.search(name, source, SearchRequest(kinds, MOST))
    token = ""
    if keep and answer["matches"]:
        token = await asyncio.to_thread(request.app.state.tokens.keep, name, source, answer)
    return answer, token, time.perf_counter() - start


def signer_of(request: Request) -> Signer:
    """What signs links in this run of the server."""
    state = request.app.state
    if not hasattr(state, "signer"):
        state.signer = Signer()
    signer: Signer = state.signer
    return signer


def signed(request: Request, path: str, *parts: str, **query: str) -> str:
    """A whole URL that carries its own permission for these parts: for a day, while the key is live."""
    until, key = str(int(time.time()) + LINK_SECONDS), request.state.caller.name
    signature = signer_of(request).sign(*parts, until, key)
    return address(request, path, **query, until=until, by=key, signature=signature)


def check_signature(request: Request, *parts: str) -> None:
    """Raises Forbidden unless the request is one of our links that still counts."""
    given = request.query_params
    until, key = given.get("until", ""), given.get("by", "")
    if not signer_of(request).signed(given.get("signature", ""), *parts, until, key):
        raise Forbidden("This link is not one that was given here, or the service has been started since.")
    if int(until) < time.time():
        raise Forbidden("This link has expired: search again for a new one.")
    if not request.app.state.door.counts(key):
        raise Forbidden("The key by which this link was given counts no more.")


def check_no_browser(request: Request) -> None:
    """Raises Forbidden for a change that a page of another site makes a browser ask for.

    Clients of these APIs change things by plain GETs and forms with a password, both of which a browser sends
    for any page.
    """
    site = request.headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin"):
        raise Forbidden("This is not done for a page of another site.")


def address(request: Request, path: str, **query: str) -> str:
    """A whole URL of this service: where others reach it, or else under the name by which it was asked."""
    public: str = request.app.state.config.public_url
    base = URL(public) if public else request.base_url
    return str(base.replace(path=base.path.rstrip("/") + path).include_query_params(**query))
