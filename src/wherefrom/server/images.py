"""Routes for images: add, list, get, change, remove."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from wherefrom.collection import Collection
from wherefrom.errors import UsageError
from wherefrom.listing import SORTS
from wherefrom.outcome import Outcome, Status
from wherefrom.receiving import Upload
from wherefrom.records import digest_of
from wherefrom.server.access import needs
from wherefrom.server.keys import Scope
from wherefrom.server.searching import dressed, valid
from wherefrom.server.shapes import (
    AboutImage,
    Answers,
    CollectionName,
    Image,
    ImageId,
    Images,
    Outcomes,
    problems,
)
from wherefrom.server.uploads import body_of, wrong_body

router = APIRouter(tags=["images"])
_SCHEMA = "#/components/schemas/"
_TAKEN = (
    "multipart/form-data with parts `image`, a picture as it is (image/*), or application/json with `url`"
)
Fields = dict[str, str | bool | float | None]
_CURSOR = r"^[0-9]{1,18}\.[0-9]{1,18}$"
_SORT = f"^({'|'.join(SORTS)})$"


_MIXED: Answers = {200: {"model": Outcomes, "description": "Not all were added or known."}}
_UNCHANGED: Answers = {304: {"description": "It has not changed."}}


class Said(BaseModel):
    """What is said of pictures that are added."""

    model_config = ConfigDict(extra="forbid")

    uri: str | None = Field(None, min_length=1, max_length=8192, description="Where the picture is.")
    page: str | None = Field(None, max_length=8192, description="The page around it.")
    title: str | None = Field(None, max_length=4000)
    alt: str | None = Field(None, max_length=4000)
    fields: Fields = Field(default_factory=dict, description="Attached to the image, to filter by.")


class Attached(BaseModel):
    """Fields for an image."""

    model_config = ConfigDict(extra="forbid")

    fields: Fields = Field(description="Names and values; null takes a field away.")


class Places(BaseModel):
    """Where an image was seen."""

    sightings: list[dict[str, Any]]
    total: int
    next: int | None = Field(description="`start` of the next page; null on the last.")


class FromUrl(Said):
    """A picture to add that is fetched."""

    url: str = Field(max_length=8192, description="The picture's address.")


@router.post(
    "/api/v1/images",
    summary="Add pictures.",
    response_model=Outcomes,
    status_code=201,
    dependencies=[Depends(needs(Scope.ADD))],
    responses=_MIXED | problems(400, 404, 408, 409, 413, 415, 502, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"$ref": _SCHEMA + "AddForm"}},
                "application/json": {"schema": {"$ref": _SCHEMA + "FromUrl"}},
                "image/*": {"schema": {"type": "string", "format": "binary"}},
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def add(request: Request, collection: CollectionName = None) -> JSONResponse:
    """Answered once everything is committed. The bytes are kept, so that proofs can be drawn."""
    service = request.app.state.service
    async with body_of(request) as body:
        name = service.name_of(collection)
        if body.type == "multipart/form-data":
            form = await body.form()
            uploads = _uploads(
                form.texts, [(one.data, one.name) for one in form.files if one.part == "image"]
            )
        elif body.type == "application/json":
            said: FromUrl = valid(FromUrl, await body.read(64 * 1024))
            data = await body.fetch(said.url)
            uploads = [_upload(said, data, None, said.uri or said.url)]
        else:
            data = await body.picture(_TAKEN)
            if not data:
                raise wrong_body(body, _TAKEN)
            uploads = [Upload(data)]
        outcomes: list[Outcome] = await service.add(name, uploads, request.state.caller.name)
    counts = {one.value: 0 for one in Status}
    for one in outcomes:
        counts[one.status.value] += 1
    told = [
        {"uri": one.uri, "id": one.id, "status": one.status.value, "reason": one.reason, "code": one.code}
        for one in outcomes
    ]
    whole = counts["skipped"] + counts["failed"] == 0
    return JSONResponse({"outcomes": told, **counts}, 201 if whole else 200)


@router.get(
    "/api/v1/images/{id}",
    summary="An image, and what it shows.",
    response_model=AboutImage,
    dependencies=[Depends(needs(Scope.SEARCH))],
    responses=_UNCHANGED | problems(400, 404, 503),
)
async def get(request: Request, id: ImageId, collection: CollectionName = None) -> Response:
    """Its facts, where it was seen, fields, labels, colours and things."""
    service = request.app.state.service
    digest_of(id)
    found = await service.run(collection, lambda held: held.get(id).as_json() | held.about(id).as_json())
    return etagged(request, dressed(request, service.name_of(collection), found))


@router.get(
    "/api/v1/images/{id}/sightings",
    summary="Where an image was seen, a page at a time.",
    response_model=Places,
    dependencies=[Depends(needs(Scope.SEARCH))],
    responses=problems(400, 404, 503),
)
async def places(
    request: Request,
    id: ImageId,
    collection: CollectionName = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    start: Annotated[int, Query(ge=0, le=10**9, description="The `next` of the page before.")] = 0,
) -> JSONResponse:
    """In the order in which answers tell of them."""
    digest_of(id)
    found = await request.app.state.service.run(collection, lambda held: held.get(id).as_json())
    every = found["sightings"]
    following = start + limit if start + limit < len(every) else None
    page = every[start : start + limit]
    return JSONResponse({"sightings": page, "total": len(every), "next": following})


@router.get(
    "/api/v1/images",
    summary="The images, a page at a time.",
    response_model=Images,
    dependencies=[Depends(needs(Scope.SEARCH))],
    responses=problems(400, 404, 503),
)
async def listing(
    request: Request,
    collection: CollectionName = None,
    filter: Annotated[
        str | None, Query(max_length=4000, description="Only images that this lets through.")
    ] = None,
    q: Annotated[str | None, Query(max_length=200, description="Words in uris, titles and credit.")] = None,
    sort: Annotated[str, Query(pattern=_SORT)] = "added",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[
        str | None, Query(pattern=_CURSOR, description="The `next` of the page before.")
    ] = None,
) -> JSONResponse:
    """Newest and oldest go by when a picture was taken, or else first seen; added is the last one first."""
    service = request.app.state.service
    name = service.name_of(collection)
    found = await service.run(
        name,
        lambda held: held.page(filter or None, words=q, sort=sort, limit=limit, after=cursor),
        how="filter" if filter or q else "long",
    )
    told = [dressed(request, name, image.as_json()) for image in found.images]
    return JSONResponse({"images": told, "total": found.total, "next": found.next})


@router.patch(
    "/api/v1/images/{id}",
    summary="Attach fields to an image.",
    response_model=Image,
    dependencies=[Depends(needs(Scope.ADD))],
    responses=problems(400, 404, 408, 409, 413, 415, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _SCHEMA + "Attached"}}},
        }
    },
)
async def attach(request: Request, id: ImageId, collection: CollectionName = None) -> JSONResponse:
    """Fields to filter by; null takes one away."""
    service = request.app.state.service
    digest_of(id)
    async with body_of(request) as body:
        if body.type != "application/json":
            raise wrong_body(body, "application/json with `fields`")
        said: Attached = valid(Attached, await body.read(64 * 1024))
    name = service.name_of(collection)

    def work(held: Collection) -> dict[str, Any]:
        held.attach(id, **said.fields)
        return held.get(id).as_json()

    return JSONResponse(dressed(request, name, await service.run(name, work)))


@router.delete(
    "/api/v1/images/{id}",
    summary="Remove an image.",
    status_code=204,
    response_class=Response,
    dependencies=[Depends(needs(Scope.ADMIN))],
    responses=problems(400, 404, 409, 503),
)
async def remove(request: Request, id: ImageId, collection: CollectionName = None) -> Response:
    """It is gone when this is answered. Files in which it was seen are left alone."""
    digest_of(id)
    await request.app.state.service.remove(collection, id)
    return Response(status_code=204)


def etagged(request: Request, document: Any) -> Response:
    """JSON with an ETag; 304 when the caller has it already."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _uploads(texts: dict[str, str], files: list[tuple[bytes, str | None]]) -> list[Upload]:
    if not files:
        raise UsageError("There is no picture in this form: its parts are named `image`.")
    plain: dict[str, Any] = {name: text for name, text in texts.items() if text != ""}
    if "fields" in plain:
        try:
            plain["fields"] = json.loads(plain["fields"])
        except (ValueError, RecursionError):
            raise UsageError("`fields` is a JSON object: names and values.") from None
    said = valid(Said, plain)
    if said.uri is not None and len(files) > 1:
        raise UsageError("Several pictures are not at one uri: add them one at a time.")
    return [_upload(said, data, name, said.uri) for data, name in files]


def _upload(said: Said, data: bytes, name: str | None, uri: str | None) -> Upload:
    return Upload(
        data,
        None if uri is None else uri.strip(" \t\r\n"),
        said.page,
        said.title,
        said.alt,
        name,
        said.fields,
    )
