"""Routes that tell what is in a collection: collections, labels, sightings, groups of duplicates."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from wherefrom.collection import Collection
from wherefrom.errors import Conflict, NotFound, UsageError
from wherefrom.records import Image
from wherefrom.server.access import needs
from wherefrom.server.found import Found
from wherefrom.server.jobs import Job, Jobs
from wherefrom.server.keys import Scope
from wherefrom.server.remembered import Remembered
from wherefrom.server.shapes import ID, Sighting, problems

router = APIRouter(tags=["contents"])
CollectionName = Annotated[str | None, Query(max_length=100, description="A collection that is served.")]
Cursor = Annotated[str | None, Query(max_length=12_000, description="`next` of the page before.")]


_COUNTED = 500  # groups that are all looked at for their totals


class ToldCollection(BaseModel):
    """A collection that is served."""

    name: str
    images: int
    bytes: int = Field(description="Of the images' files, together.")
    model: str | None
    default: bool


class ToldCollections(BaseModel):
    """The collections, the default first."""

    collections: list[ToldCollection]


class ToldLabel(BaseModel):
    """A label, and how many images have it; a category has its own name as its parent."""

    name: str
    parent: str
    images: int


class ToldLabels(BaseModel):
    """Labels, most images first."""

    labels: list[ToldLabel]


class ToldSighting(Sighting):
    """A place where an image was seen."""

    id: str


class ToldSightings(BaseModel):
    """Sightings, in order of uri."""

    sightings: list[ToldSighting]
    next: str | None


class Removed(BaseModel):
    """How many images it was."""

    removed: int


class ToldGroups(BaseModel):
    """Groups of images that are one picture, largest first."""

    groups: list[dict[str, Any]]
    total: int
    files: int = Field(description="In all groups.")
    bytes_to_free: int = Field(description="By removing what could go, in all groups.")
    next: str | None
    job: str


@router.get(
    "/api/v1/collections",
    summary="The collections served.",
    response_model=ToldCollections,
    dependencies=[Depends(needs(Scope.SEARCH))],
)
async def collections(request: Request) -> JSONResponse:
    """The first is the default."""
    service = request.app.state.service
    card = request.app.state.config.settings.card
    sizes = _cache(request, "sizes")
    told = []
    for place, name in enumerate(service.names):
        count, size = await service.run(name, lambda held: (len(held), sizes.of(held, _size)), how="long")
        model = None if card is None else card.name
        told.append({"name": name, "images": count, "bytes": size, "model": model, "default": place == 0})
    return JSONResponse({"collections": told})


@router.get(
    "/api/v1/labels",
    summary="What the images show.",
    response_model=ToldLabels,
    dependencies=[Depends(needs(Scope.SEARCH))],
    responses=problems(404, 409),
)
async def labels(request: Request, collection: CollectionName = None) -> Response:
    """Labels and categories, each with how many images the filter `label:NAME` lets through."""
    from wherefrom.server.images import etagged

    counts = _cache(request, "labels")
    told = await request.app.state.service.run(collection, lambda held: counts.of(held, _labels), how="long")
    return etagged(request, {"labels": told})


@router.get(
    "/api/v1/sightings",
    summary="Where images were seen.",
    response_model=ToldSightings,
    dependencies=[Depends(needs(Scope.SEARCH))],
    responses=problems(400, 404),
)
async def sightings(
    request: Request,
    uri: Annotated[str, Query(max_length=8192, description="What their uris begin with.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
    collection: CollectionName = None,
) -> JSONResponse:
    """In order of uri; those that are gone are told too."""
    page = await request.app.state.service.run(
        collection, lambda held: held.sightings(uri, after=cursor or None, limit=limit), how="long"
    )
    return JSONResponse({"sightings": [{"id": id} | at.as_json() for id, at in page.rows], "next": page.next})


@router.delete(
    "/api/v1/sightings",
    summary="Take a place back.",
    response_model=Removed,
    dependencies=[Depends(needs(Scope.ADMIN))],
    responses=problems(400, 404, 409),
)
async def forget(
    request: Request,
    uri: Annotated[str, Query(min_length=1, max_length=8192, description="The whole uri.")],
    collection: CollectionName = None,
) -> JSONResponse:
    """Images seen nowhere else are removed; others are gone from there."""
    if "://" not in uri:
        raise UsageError("Give the whole uri, such as https://example.org/a.jpg or file:///pictures/a.jpg.")
    removed = await request.app.state.service.run(collection, lambda held: held.forget(uri))
    return JSONResponse({"removed": removed})


class Decided(BaseModel):
    """Of how many images it was."""

    images: int


@router.post(
    "/api/v1/decisions",
    summary="Say what duplicates are.",
    response_model=Decided,
    dependencies=[Depends(needs(Scope.ADMIN))],
    responses=problems(400, 404, 409),
)
async def decide(
    request: Request,
    ids: Annotated[str, Query(max_length=20_000, pattern=f"^{ID}(,{ID})*$", description="Ids, with commas.")],
    decision: Annotated[Literal["apart", "both", "none"], Query(description="What they are to each other.")],
    collection: CollectionName = None,
) -> JSONResponse:
    """`apart`: no duplicates of each other. `both`: all are kept. `none` takes back what was said.

    It is remembered, and heeded when duplicates are looked for. A single id stands for its files.
    """

    named = ids.split(",")

    def work(held: Collection) -> None:
        done = {"apart": held.not_duplicates, "both": held.keep_both, "none": held.undecide}
        done[decision](named)

    await request.app.state.service.run(collection, work)
    return JSONResponse({"images": len(set(named))})


@router.get(
    "/api/v1/duplicates",
    summary="Images that are one picture.",
    response_model=ToldGroups,
    dependencies=[Depends(needs(Scope.SEARCH))],
    responses=problems(400, 404, 409),
)
async def duplicates(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    cursor: Cursor = None,
    collection: CollectionName = None,
) -> JSONResponse:
    """The groups that the last job `duplicates` found, without images that were removed since.

    The first image of a group is the one to keep, and why; each other one tells from which it comes and how.
    """
    service = request.app.state.service
    name = service.name_of(collection)
    stated = _page_in(cursor) if cursor else None
    job, found = await found_of(request, name)
    if stated is not None and stated[0] != job.id:
        raise Conflict("Duplicates have been looked for anew meanwhile: begin with the first page again.")
    start = stated[1] if stated else 0
    groups = await service.run(name, lambda held: _page(held, found, start, limit))
    told = [_dressed(request, name, group) for group in groups]
    facts = await service.run(name, lambda held: _totals(held, job, found), how="long")
    more = _cursor([job.id, start + limit]) if start + limit < found.groups else None
    return JSONResponse({"groups": told, **facts, "next": more, "job": job.id})


async def found_of(request: Request, name: str) -> tuple[Job, Found]:
    """The last job that looked for duplicates of a collection, and what it found. Raises NotFound."""
    jobs = _jobs(request)
    job = jobs.last_done("duplicates", name)
    service = request.app.state.service
    found = None if job is None else await service.run(name, lambda _: _found(jobs, name, job))
    if job is None or found is None:
        raise NotFound('Duplicates have not been looked for yet: begin a job of the kind "duplicates".')
    return job, found


def _totals(held: Collection, job: Job, found: Found) -> dict[str, int]:
    """What all groups come to: as they are now where they are few, else as they were found."""
    if found.groups > _COUNTED:
        report = job.report or {}
        files, free = report.get("files", 0), report.get("bytes_to_free", 0)
        return {"total": found.groups, "files": files, "bytes_to_free": free}
    groups = _page(held, found, 0, found.groups)
    pictures = [group for group in groups if group["kind"] != "parts"]
    files = sum(len(group["images"]) for group in pictures)
    free = sum(group["bytes_to_free"] for group in pictures)
    return {"total": len(groups), "files": files, "bytes_to_free": free}


def _found(jobs: Jobs, name: str, job: Job) -> Found | None:
    return jobs.found.of(job.id, lambda: Found.of(jobs.state, name, job.id))


def _page(held: Collection, found: Found, start: int, limit: int) -> list[dict[str, Any]]:
    try:
        rows = found.page(start, limit)
    except OSError as error:
        raise NotFound("These groups are not kept any more: look for duplicates again.") from error
    told = (_group(held, number, row) for number, row in enumerate(rows, start + 1))
    return [group for group in told if group is not None]


def _group(held: Collection, number: int, row: dict[str, Any]) -> dict[str, Any] | None:
    """A group as it is now; None when no two images of it are left."""
    known: dict[str, Image] = {}
    for id in {row["keep"]["id"], *(one["id"] for one in row["others"])}:
        known.update((image.id, image) for image in held.find(id))
    keep = {**row["keep"], "kind": None, "score": None, "sentence": row["keep"]["why"]}
    keep["suggestion"] = "part" if row.get("kind") == "parts" else "keep"
    members = [one for one in (keep, *row["others"]) if one["id"] in known and _is_there(one, known)]
    if len(members) < 2 or members[0] is not keep:
        return None
    images = [
        known[one["id"]].as_json()
        | {name: one.get(name) for name in ("uri", "kind", "score", "parent", "edits", "direction")}
        | {"suggestion": one.get("suggestion", "spare"), "why": one.get("why", "")}
        | {"sentence": one["sentence"] or ("the same bytes" if one["kind"] == "identical" else "")}
        for one in members
    ]
    return {
        "id": str(number),
        "keep": images[0]["id"],
        "why": row["keep"]["why"],
        "images": images,
        "parts": row["parts"],
        "kind": row.get("kind", "picture"),
        "choice": row.get("choice", False),
        "bytes_to_free": sum(int(str(one["bytes"])) for one in images[1:] if one["suggestion"] == "spare"),
    }


def _is_there(member: dict[str, Any], known: dict[str, Image]) -> bool:
    """Whether a file of a group is still where it was when groups were made."""
    places = [one for one in known[member["id"]].sightings if one.uri == member.get("uri")]
    return not places or all(one.gone is None and one.there is not False for one in places)


def _dressed(request: Request, name: str, group: dict[str, Any]) -> dict[str, Any]:
    from wherefrom.server.searching import dressed

    for image in group["images"]:
        image.update(dressed(request, name, image))
    return group


def _size(held: Collection) -> int:
    return held.total_bytes


def _labels(held: Collection) -> list[dict[str, object]]:
    return [one.as_json() for one in held.labels()]


def _cache(request: Request, name: str) -> Remembered[Any]:
    """What was computed of the collections, kept with the app."""
    state = request.app.state
    if not hasattr(state, "remembered"):
        state.remembered = {}
    kept: dict[str, Remembered[Any]] = state.remembered
    return kept.setdefault(name, Remembered())


def _jobs(request: Request) -> Jobs:
    found: Jobs = request.app.state.jobs
    return found


def _cursor(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _parts_in(cursor: str) -> list[Any]:
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        parts = None
    if not isinstance(parts, list) or len(parts) != 2:
        raise UsageError("This cursor is none that was given here: take `next` of the page before.")
    return parts


def _page_in(cursor: str) -> tuple[str, int]:
    job, start = _parts_in(cursor)
    if not isinstance(job, str) or type(start) is not int or not 0 <= start < 1 << 40:
        raise UsageError("This cursor is none that was given here: take `next` of the page before.")
    return job, start
