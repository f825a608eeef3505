"""Routes that search and compare."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse

from wherefrom.errors import UsageError
from wherefrom.records import digest_of
from wherefrom.search.answer import Kind as Kinds
from wherefrom.search.request import SearchRequest
from wherefrom.server.access import needs
from wherefrom.server.asked import MOST, SORTS, arranged
from wherefrom.server.keys import Scope
from wherefrom.server.shapes import ID, CollectionName, Comparison, Kind, SearchAnswer, Token, problems
from wherefrom.server.tokens import Kept, Tokens
from wherefrom.server.uploads import Body, body_of, fetched, wrong_body

router = APIRouter(tags=["search"], dependencies=[Depends(needs(Scope.SEARCH))])
_TAKEN = "multipart/form-data with a part `image`, a picture as it is (image/*), or application/json"
_KIND = "|".join(Kinds)
_NUMBER = r" *[0-9]{1,6}(\.[0-9]{1,9})? *"
_REGION = f"^{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}$"
_ID = f"^{ID}$"
_IDS = f"^{ID}(,{ID}){{0,19}}$"
_KINDS = f"^(all|claims|({_KIND})(,({_KIND})){{0,4}})$"
_CURSOR = "^m[0-9]{1,4}$"
_SORT = f"^({'|'.join(SORTS)})$"


class Options(BaseModel):
    """What is asked of a search."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(
        None, max_length=8192, description="A picture's address, fetched from the network."
    )
    id: str | None = Field(None, pattern=_ID, description="An image of the collection.")
    token: str | None = Field(
        None, max_length=100, description="A search before: its picture is searched again."
    )
    region: str | None = Field(
        None, pattern=_REGION, max_length=200, description="left,top,right,bottom in pixels of the query."
    )
    object: int | None = Field(
        None, ge=1, le=1000, description="The first, second … thing that the query shows."
    )
    kinds: str | None = Field(None, pattern=_KINDS, description="claims, all, or kinds with commas.")
    filter: str | None = Field(None, max_length=4000, description="Only images that this lets through.")
    sort: str = Field("best", pattern=_SORT, description="The order of the matches.")
    limit: int = Field(20, ge=1, le=MOST, description="Matches of a page.")
    min_score: float | None = Field(None, ge=0, le=100, description="Only matches of this score or more.")
    precision: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Only matches from the score at which at least this share is correct.",
    )
    text: str | None = Field(None, min_length=1, max_length=1000, description="What look-alikes should show.")
    colours: str | None = Field(None, min_length=1, max_length=500, description="Such as red:2, #ffcc00.")
    ignore_background: bool = Field(False, description="Colours count without the background.")
    like: str | None = Field(None, pattern=_IDS, description="Ids, with commas, of images to be like.")
    unlike: str | None = Field(None, pattern=_IDS, description="Ids, with commas, of images to be unlike.")

    @property
    def asked(self) -> SearchRequest:
        """For the service, with as many matches as an answer keeps; raises UsageError."""
        return SearchRequest(
            self.kinds,
            MOST,
            self.region,
            self.object,
            self.min_score,
            self.precision,
            self.filter or None,
            _ids(self.like),
            _ids(self.unlike),
            self.text,
            self.colours,
            self.ignore_background,
        )


class InQuery(Options):
    """The same in the query string."""

    collection: str | None = Field(None, max_length=100, description="A collection that is served.")


SIGHTINGS = 20
"""Places of an image that an answer tells of; the rest is at its `sightings_url`."""

_SCHEMA = "#/components/schemas/"
_BODY = {
    "requestBody": {
        "description": "The query. Options may be in the query string too; those of the body win.",
        "content": {
            "multipart/form-data": {"schema": {"$ref": _SCHEMA + "SearchForm"}},
            "application/json": {"schema": {"$ref": _SCHEMA + "Options"}},
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post(
    "/api/v1/search",
    summary="Find where a picture comes from, or what looks like it.",
    response_model=SearchAnswer,
    responses=problems(400, 404, 408, 409, 413, 415, 422, 502, 503),
    openapi_extra=_BODY,
)
async def search(request: Request, given: Annotated[InQuery, Query()]) -> JSONResponse:
    """The query is a part `image` of a form, the body itself, or named by `url`, `id` or `token`."""
    service, tokens = request.app.state.service, request.app.state.tokens
    async with body_of(request) as body:
        data, options = await _read(body, given)
        name = service.name_of(given.collection)
        source, name = await _source(request, name, data, options)
        asked = options.asked
        if source is None and asked.needs_picture:
            raise UsageError(
                "A search needs a picture: a part `image`, the body itself, `url`, `id` or `token`."
            )
        # All of the answer is found at once, so that its pages fit together.
        answer = await service.search(name, source, asked)
    token = await asyncio.to_thread(tokens.keep, name, source, answer)
    return JSONResponse(_page(request, name, token, answer, options.sort, None, 0, options.limit))


@router.get(
    "/api/v1/searches/{token}",
    summary="A page of an answer, as it was.",
    response_model=SearchAnswer,
    responses=problems(400, 404),
)
async def page(
    request: Request,
    token: Token,
    cursor: Annotated[
        str | None, Query(pattern=_CURSOR, description="The `next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 20,
    sort: Annotated[str, Query(pattern=_SORT)] = "best",
    kind: Annotated[Kind | None, Query(description="Only matches of this kind.")] = None,
) -> JSONResponse:
    """The matches after a cursor, in any order; sort and kind have to stay the same from page to page."""
    kept = kept_of(request, token)
    start = _start(cursor)
    answer = await asyncio.to_thread(lambda: kept.answer)
    return JSONResponse(_page(request, kept.collection, token, answer, sort, kind, start, limit))


@router.post(
    "/api/v1/compare",
    summary="Tell whether two pictures are one.",
    response_model=Comparison,
    responses=problems(400, 404, 408, 413, 415, 422, 502, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"$ref": _SCHEMA + "CompareForm"}},
                "application/json": {"schema": {"$ref": _SCHEMA + "Compared"}},
            },
        }
    },
)
async def compare(request: Request, collection: CollectionName = None) -> JSONResponse:
    """The match describes `second` as seen from `first`; it is null when they are not one picture."""
    service = request.app.state.service
    async with body_of(request) as body:
        name = service.name_of(collection)
        if body.type == "multipart/form-data":
            form = await body.form()
            files = {one.part: one.data for one in form.files}
            if not {"first", "second"} <= set(files):
                raise UsageError("Two pictures are compared: parts `first` and `second`.")
            sources: list[bytes | str] = [files["first"], files["second"]]
        elif body.type == "application/json":
            wanted = valid(Compared, await body.read(8192 * 3))
            sources = [await _named(request, name, one) for one in (wanted.first, wanted.second)]
        else:
            raise wrong_body(body, "multipart/form-data with `first` and `second`, or application/json")
        found = await service.compare(name, *sources)
    return JSONResponse({"match": found})


class Named(BaseModel):
    """A picture by one of its names."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(None, max_length=8192)
    id: str | None = Field(None, pattern=_ID)
    token: str | None = Field(None, max_length=100)


class Compared(BaseModel):
    """Two pictures by their names."""

    model_config = ConfigDict(extra="forbid")

    first: Named
    second: Named


def kept_of(request: Request, token: str) -> Kept:
    """What a token names; raises NotFound."""
    tokens: Tokens = request.app.state.tokens
    return tokens.get(token)


def gives_originals(request: Request) -> bool:
    """Whether files themselves are let out: as the server was told, or else only while it is keyless."""
    said: bool | None = request.app.state.config.originals
    keyless: bool = request.app.state.door.keyless
    return keyless if said is None else said


def dressed(request: Request, collection: str, match: dict[str, Any]) -> dict[str, Any]:
    """A match or image as JSON, with the addresses of its pictures."""
    suffix = "" if collection == request.app.state.config.names[0] else f"?collection={collection}"
    image = f"/api/v1/images/{match['id']}"
    original = f"{image}/original{suffix}" if gives_originals(request) else None
    places = match.get("sightings", [])
    return match | {
        "sightings": places[:SIGHTINGS],
        "sightings_total": len(places),
        "sightings_url": f"{image}/sightings{suffix}",
        "image_url": image + suffix,
        "thumbnail_url": f"{image}/thumbnail{suffix}",
        "original_url": original,
    }


async def _read(body: Body, given: InQuery) -> tuple[bytes | None, Options]:
    """The picture in a body, and the options of it and the query string."""
    plain = given.model_dump(exclude={"collection"}, exclude_unset=True)
    if body.type == "multipart/form-data":
        form = await body.form()
        pictures = [file.data for file in form.files if file.part == "image"]
        if len(pictures) > 1:
            raise UsageError("A search has one picture: one part `image`.")
        texts = {name: text for name, text in form.texts.items() if text != ""}
        return (pictures[0] if pictures else None), valid(Options, plain | texts)
    if body.type == "application/json":
        said = valid(Options, await body.read(64 * 1024)).model_dump(exclude_unset=True)
        return None, valid(Options, plain | said)
    options = valid(Options, plain)
    return await body.picture(_TAKEN) or None, options


def valid(shape: type[Any], said: bytes | dict[str, Any]) -> Any:
    """What was said, as a shape; raises UsageError. JSON is taken strictly, texts of forms are read."""
    try:
        if isinstance(said, bytes):
            return shape.model_validate_json(said, strict=True)
        return shape.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise UsageError(f"{where}: {first['msg']}.") from None


async def _source(
    request: Request, name: str, data: bytes | None, options: Options
) -> tuple[bytes | str | None, str]:
    """What to search for, and in which collection."""
    named = [one for one in (options.url, options.id, options.token) if one is not None]
    if len(named) + (data is not None) > 1:
        raise UsageError("A search has one picture: an upload, `url`, `id` or `token`.")
    if data is not None or not named:
        return data, name
    return await _named(request, name, Named(url=options.url, id=options.id, token=options.token)), name


async def _named(request: Request, name: str, picture: Named) -> bytes | str:
    if [picture.url, picture.id, picture.token].count(None) != 2:
        raise UsageError("A picture is named by one of url, id and token.")
    if picture.token is not None:
        kept = kept_of(request, picture.token)
        if kept.source is None:
            raise UsageError("That search had no picture.")
        if isinstance(kept.source, str) and kept.collection != name:
            raise UsageError("That search was for an image of another collection.")
        return kept.source
    if picture.id is not None:
        digest_of(picture.id)
        return picture.id
    assert picture.url is not None
    return await fetched(request, picture.url)


def _ids(text: str | None) -> tuple[str, ...]:
    found = tuple(one.strip() for one in (text or "").split(",") if one.strip())
    for one in found:
        digest_of(one)
    return found


def _page(
    request: Request,
    collection: str,
    token: str,
    answer: dict[str, Any],
    sort: str,
    kind: str | None,
    start: int,
    limit: int,
) -> dict[str, Any]:
    matches = answer["matches"]
    counts = {one.value: 0 for one in Kinds}
    for match in matches:
        counts[match["kind"]] += 1
    wanted = arranged([match for match in matches if kind in (None, match["kind"])], sort)
    shown = [dressed(request, collection, match) for match in wanted[start : start + limit]]
    return {
        "query": answer["query"] | {"token": token},
        "matches": shown,
        "timings_ms": answer["timings_ms"],
        "total": len(wanted),
        "counts": counts,
        "next": f"m{start + limit}" if start + limit < len(wanted) else None,
    }


def _start(cursor: str | None) -> int:
    return 0 if cursor is None else int(cursor[1:])
