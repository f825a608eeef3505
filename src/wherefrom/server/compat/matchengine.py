"""MatchEngine's REST API for each collection: `/NAME/rest/` and the verbs add, search, compare, delete ...

A key is the user name or the password of HTTP's basic authentication, or comes as everywhere else. Parameters
may be in the query string or in a form; verbs that change something are taken by GET as well, as MatchEngine
takes them, but never for a page of another site.
"""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from wherefrom.errors import CollectionError, FetchError, NotFound, ServiceError, UsageError, WherefromError
from wherefrom.outcome import Outcome, Status
from wherefrom.receiving import Upload
from wherefrom.server.access import needs
from wherefrom.server.compat import entries
from wherefrom.server.compat import matchengine_shapes as shapes
from wherefrom.server.compat.filepaths import PREFIX, name_of, uri_of
from wherefrom.server.compat.matchengine_shapes import Wanted
from wherefrom.server.compat.reading import Json, one_of, whole_number
from wherefrom.server.compat.routing import Given, check_no_browser, given_of, searched, telling
from wherefrom.server.keys import Scope
from wherefrom.server.pictures import proof
from wherefrom.server.uploads import fetched

MOST_ADDED = 100
"""Images in one request."""

_FETCHED_AT_ONCE = 3  # of one request

_MAY_SEARCH = [Depends(needs(Scope.SEARCH))]
_MAY_ADD = [Depends(needs(Scope.ADD))]
_MAY_REMOVE = [Depends(needs(Scope.ADMIN))]
_PATH = "/{collection}/rest/"
_DONE = (Status.ADDED, Status.KNOWN)


def _told(request: Request, error: WherefromError) -> Response:
    # Errors of the call itself are told in the body, as there; by status goes what concerns the connection.
    apart = isinstance(error, ServiceError | CollectionError) or error.http_status in (413, 500)
    if error.http_status == 401:  # for clients that send no password before they are asked
        challenge = getattr(request.state, "challenge", "Bearer")
        request.state.challenge = f'{challenge}, Basic realm="wherefrom", charset="UTF-8"'
    method = request.url.path.rstrip("/").rpartition("/")[2]
    answer = shapes.reply(method, errors=[str(error)], did=0)
    return _response(request, answer, error.http_status if apart else 200)


router = APIRouter(route_class=telling(_told), include_in_schema=False)


@router.api_route(_PATH + "ping", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
@router.api_route(_PATH + "ping/", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
async def ping(request: Request, collection: str) -> Response:
    """Whether the collection is served."""
    request.app.state.service.name_of(collection)
    return _response(request, shapes.reply("ping"))


@router.api_route(_PATH + "count", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
@router.api_route(_PATH + "count/", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
async def count(request: Request, collection: str) -> Response:
    """How many filepaths there are."""
    counted = await request.app.state.service.run(collection, entries.count, how="long")
    return _response(request, shapes.reply("count", [counted]))


@router.api_route(_PATH + "list", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
@router.api_route(_PATH + "list/", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
async def list_(request: Request, collection: str) -> Response:
    """The filepaths, in the order in which the images were added."""
    async with given_of(request) as given:
        start = whole_number(given.texts.get("offset"), "offset", 0)
        limit = whole_number(given.texts.get("limit"), "limit", 20, -1)
    end = None if limit < 1 else start + limit
    found, is_cut = await request.app.state.service.run(
        collection, lambda held: entries.page(held, start, end), how="long"
    )
    # Whoever asked for all of them must not take these for all.
    errors = (
        [f"There are more than one answer has: go on with offset={start + len(found)}."] if is_cut else []
    )
    return _response(request, shapes.reply("list", found, errors))


@router.api_route(_PATH + "search", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
@router.api_route(_PATH + "search/", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
async def search(request: Request, collection: str) -> Response:
    """Find where a picture comes from: `image`, `url` or `filepath`."""
    async with given_of(request) as given:
        wanted = Wanted.of(given.texts)
        name = request.app.state.service.name_of(collection)
        source, shown = await _picture(request, name, given, "")
        answer, token, _ = await searched(request, name, source, keep=wanted.overlay)
    return _response(request, shapes.found(answer, wanted, token, shown))


@router.api_route(_PATH + "compare", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
@router.api_route(_PATH + "compare/", methods=["GET", "POST"], dependencies=_MAY_SEARCH)
async def compare(request: Request, collection: str) -> Response:
    """Whether two pictures are one: `image1`, `url1` or `filepath1`, and the same with 2."""
    async with given_of(request) as given:
        wanted = Wanted.of(given.texts)
        name = request.app.state.service.name_of(collection)
        first, _ = await _picture(request, name, given, "1")
        second, shown = await _picture(request, name, given, "2")
        match = await request.app.state.service.compare(name, first, second)
    return _response(request, shapes.compared(match, wanted, shown))


@router.get(_PATH + "overlay/", dependencies=_MAY_SEARCH)
async def overlay(request: Request, collection: str) -> Response:
    """The query beside a match, with what both show."""
    request.app.state.service.name_of(collection)
    token, target = (request.query_params.get(name, "") for name in ("query", "target"))
    return await proof(request, token, target, "sides", 1024)


@router.api_route(_PATH + "add", methods=["GET", "POST"], dependencies=_MAY_ADD)
@router.api_route(_PATH + "add/", methods=["GET", "POST"], dependencies=_MAY_ADD)
async def add(request: Request, collection: str) -> Response:
    """Add pictures under filepaths: `image` or `images[0]` …, or `url` or `urls[0]` …"""
    check_no_browser(request)
    service = request.app.state.service
    async with given_of(request) as given:
        name = service.name_of(collection)
        pictures, errors = await _offered(request, given)
        before = await service.run(name, lambda held: {path: entries.at(held, path) for path in pictures})
        outcomes: list[Outcome] = await service.add(
            name,
            [Upload(data, uri=uri_of(path)) for path, data in pictures.items()],
            request.state.caller.name,
        )
    added = {path: one for path, one in zip(pictures, outcomes, strict=True) if one.status in _DONE}
    errors += [
        f"{path}: {one.reason}" for path, one in zip(pictures, outcomes, strict=True) if path not in added
    ]
    replaced = [
        old
        for path, one in added.items()
        for old in before[path]
        if old != one.id and uri_of(path).startswith(PREFIX)
    ]
    if replaced:
        await service.run(name, lambda held: entries.remove_unseen(held, replaced))
    return _response(request, shapes.reply("add", errors=errors, did=len(added)))


@router.api_route(_PATH + "delete", methods=["GET", "POST", "DELETE"], dependencies=_MAY_REMOVE)
@router.api_route(_PATH + "delete/", methods=["GET", "POST", "DELETE"], dependencies=_MAY_REMOVE)
async def delete(request: Request, collection: str) -> Response:
    """Take filepaths back: `filepath`, or `filepaths[0]` …"""
    check_no_browser(request)
    async with given_of(request) as given:
        paths = list(shapes.numbered(given.texts.items(), "filepath", "filepaths").values())
    if not paths:
        raise UsageError("Name what is to be deleted: filepath, or filepaths[0], filepaths[1] …")
    lost = await request.app.state.service.run(
        collection, lambda held: [path for path in paths if not entries.forget(held, path)]
    )
    errors = [f"{path}: Failed to remove from index." for path in lost]
    return _response(request, shapes.reply("delete", errors=errors, did=len(paths) - len(lost)))


def _response(request: Request, answer: Json, status: int = 200) -> Response:
    """An answer as it was asked for; JSON where that cannot be told."""
    if "callback" in request.query_params:
        sentence = "No callback is made here, which would let any page read the answer: ask for plain JSON."
        return JSONResponse(shapes.reply(answer["method"], errors=[sentence], did=0))
    try:
        form = one_of(request.query_params.get("format"), "format", ("json", "xml"))
    except UsageError as error:
        return JSONResponse(shapes.reply(answer["method"], errors=[str(error)], did=0))
    if form == "xml":
        return Response(shapes.as_xml(answer), status, media_type="text/xml; charset=utf-8")
    return JSONResponse(answer, status)


async def _picture(request: Request, name: str, given: Given, number: str) -> tuple[bytes | str, str]:
    """A picture by one of its parameters, and what the client calls it."""
    file = given.file(f"image{number}")
    if file is not None:
        return file.data, given.texts.get(f"filepath{number}") or file.name or "image"
    url, path = given.texts.get(f"url{number}"), given.texts.get(f"filepath{number}")
    if url:
        return await _fetched(request, url), name_of(url)
    if not path:
        raise UsageError(f"Give a picture: image{number}, url{number} or filepath{number}.")
    found: list[str] = await request.app.state.service.run(name, lambda held: entries.at(held, path))
    if not found:
        raise NotFound(f"{path}: There is no image with this filepath in the collection.")
    return found[0], path


async def _fetched(request: Request, url: str, turn: asyncio.Semaphore | None = None) -> bytes:
    try:
        async with turn or contextlib.nullcontext():
            found = await fetched(request, url)
    except (UsageError, FetchError) as error:
        raise FetchError(f"{url}: Failed to download file. {error}") from error
    return found


async def _offered(request: Request, given: Given) -> tuple[dict[str, bytes], list[str]]:
    """The pictures to add by filepath, and what is wrong with the others."""
    paths = shapes.numbered(given.texts.items(), "filepath", "filepaths")
    files = shapes.numbered(((file.part, file) for file in given.files), "image", "images")
    urls = shapes.numbered(given.texts.items(), "url", "urls")
    if bool(files) == bool(urls):
        raise UsageError("Give pictures to add: image, or images[0] …; or url, or urls[0] …")
    if max(len(files), len(urls)) > MOST_ADDED:
        raise UsageError(f"Add at most {MOST_ADDED} images in one request.")
    found: dict[str, bytes] = {}
    errors: list[str] = []
    for place, file in files.items():
        found[paths.get(place) or file.name or file.part] = file.data
    turn = asyncio.Semaphore(_FETCHED_AT_ONCE)
    got = await asyncio.gather(
        *(_fetched(request, url, turn) for url in urls.values()), return_exceptions=True
    )
    for (place, url), one in zip(urls.items(), got, strict=True):
        if isinstance(one, FetchError):
            errors.append(str(one))
        elif isinstance(one, BaseException):
            raise one
        else:
            found[paths.get(place) or name_of(url)] = one
    return found, errors
