"""Routes that act on duplicates: files that could go are moved to the system's bin of this machine, and back.

Nothing that a page says is believed but which files are meant: what could go is what the last job
`duplicates` found, less what was decided since, and `wherefrom.acting` reads both files right before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from wherefrom.errors import Conflict, Forbidden, NotFound
from wherefrom.server.access import needs
from wherefrom.server.contents import CollectionName, found_of
from wherefrom.server.keys import Scope
from wherefrom.server.searching import valid
from wherefrom.server.shapes import ID, problems
from wherefrom.server.uploads import body_of, wrong_body
from wherefrom.sources.folder import file_uri

if TYPE_CHECKING:
    from wherefrom.acting.doing import Acted, Result
    from wherefrom.collection import Collection
    from wherefrom.groups import Duplicate, Group
    from wherefrom.records import Image, Sighting

MOST = 1_000
"""Files that one request may move."""

_BODY = 10 << 20  # as many as may be named, at the longest places
_STALE = "Duplicates have been looked for anew meanwhile: begin with the first page again."

router = APIRouter(tags=["contents"], dependencies=[Depends(needs(Scope.ADMIN))])


class NamedFile(BaseModel):
    """A file of a group: its image and its place."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=f"^{ID}$")
    uri: str = Field(min_length=1, max_length=8192)


class Spares(BaseModel):
    """Files of a group that are to go, and the one that stays."""

    model_config = ConfigDict(extra="forbid")

    job: str = Field(max_length=40, description="`job` of the answer that the group is of.")
    group: str = Field(pattern="^[1-9][0-9]{0,9}$", description="The group's `id`.")
    keep: NamedFile
    spare: list[NamedFile] = Field(min_length=1, max_length=MOST, description="Those that are `spare`.")


class Gone(BaseModel):
    """A file that is in the bin now."""

    id: str
    uri: str
    bytes: int


class Passed(BaseModel):
    """A file that nothing was done to."""

    id: str
    uri: str
    why: str


class ToldActed(BaseModel):
    """What was done."""

    run: str = Field(description="Its name, for taking it back.")
    done: list[Gone]
    passed: list[Passed]
    freed: int = Field(description="Bytes that emptying the bin frees.")


class Undone(BaseModel):
    """A file that was to come back."""

    uri: str
    why: str | None = Field(description="Why it did not; null where it did.")


class ToldUndone(BaseModel):
    """What was taken back."""

    undone: list[Undone]


def may_act(request: Request) -> bool:
    """Whether files may be moved: as the server was told, or else while it is one's own machine's alone."""
    config = request.app.state.config
    said: bool | None = config.file_actions
    alone: bool = request.app.state.door.keyless and not config.allow_origins
    return alone if said is None else said


@router.post(
    "/api/v1/duplicates/trash",
    summary="Move files that could go to the bin.",
    response_model=ToldActed,
    responses=problems(400, 403, 404, 408, 409, 413, 415, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Spares"}}},
        }
    },
)
async def trash(request: Request, collection: CollectionName = None) -> JSONResponse:
    """Only files that are `spare` in the group, as the last job `duplicates` found it; else 409, and none.

    Right before each, it and the file that stays are read and are what was indexed, or it is passed over.
    Allowed while the server has no keys and listens on its own machine alone, or by `--allow-file-actions`.
    """
    _check(request)
    async with body_of(request) as body:
        if body.type != "application/json":
            raise wrong_body(body, "application/json with `job`, `group`, `keep` and `spare`")
        wanted: Spares = valid(Spares, await body.read(_BODY))
    service = request.app.state.service
    name = service.name_of(collection)
    job, found = await found_of(request, name)
    if job.id != wanted.job:
        raise Conflict(_STALE)

    def work(held: Collection) -> Acted:
        rows = found.page(int(wanted.group) - 1, 1)
        if not rows:
            raise Conflict(_STALE)
        return held.act([_group_of(held, rows[0], wanted)], "trash")

    acted: Acted = await service.change(name, work)
    return JSONResponse(
        {
            "run": acted.run,
            "done": [_place(one) | {"bytes": one.step.bytes} for one in acted.done],
            "passed": [*_passed(acted.passed), *_left(wanted, acted)],
            "freed": acted.freed,
        }
    )


@router.post(
    "/api/v1/duplicates/undo",
    summary="Take back what was done to files.",
    response_model=ToldUndone,
    responses=problems(400, 403, 404, 409, 503),
)
async def undo(
    request: Request,
    run: Annotated[str, Query(pattern="^[0-9a-f]{12}$", description="`run` of the answer that did it.")],
    collection: CollectionName = None,
) -> JSONResponse:
    """Files are put back where they were, unless something else is there by now. Allowed where moving is."""
    _check(request)
    back = await request.app.state.service.change(collection, lambda held: held.undo_acts(run))
    if not back:
        raise NotFound("There is nothing of this to undo: it was undone, or never done.")
    return JSONResponse({"undone": [{"uri": file_uri(path), "why": why} for path, why in back]})


def _check(request: Request) -> None:
    if not may_act(request):
        raise Forbidden(
            "Files are not moved from here: this server has keys or is reached by others. "
            "To allow it to callers with an admin key, start it with: wherefrom serve --allow-file-actions"
        )


def _group_of(held: Collection, row: dict[str, Any], wanted: Spares) -> Group:
    """The group of a row with those files that are wanted as the spare ones; the others stay.

    Raises Conflict where the file to keep is another, or one that is wanted is none that could go.
    """
    from wherefrom.groups import Group

    keep = row["keep"]
    if (keep["id"], keep["uri"]) != (wanted.keep.id, wanted.keep.uri):
        raise Conflict("Another file of this group is kept: look for duplicates again.")
    asked = {(one.id, one.uri) for one in wanted.spare}
    could = {
        (one["id"], one["uri"])
        for one in row["others"]
        if one.get("suggestion") == "spare" and row.get("kind") == "picture"
    }
    for _, uri in sorted(asked - could):
        raise Conflict(f"This file is none that could go, and nothing was done: {uri[:400]}")
    image = held.get(keep["id"])
    others = (_other(held, one, (one["id"], one["uri"]) in asked) for one in row["others"])
    return Group(image, _at(image, keep["uri"]), keep["why"], tuple(one for one in others if one is not None))


def _other(held: Collection, row: dict[str, Any], is_wanted: bool) -> Duplicate | None:
    """Another file of a group, as it stands now; None where it is not in the collection any more."""
    from wherefrom.groups import Duplicate
    from wherefrom.search.answer import Kind

    found = held.find(row["id"])
    if not found:
        return None
    place = _at(found[0], row["uri"])
    one = Duplicate(found[0], place, Kind(row["kind"]), row["distance"], row["parent"], row["score"])
    is_there = place is not None and place.gone is None and place.there is True
    if is_wanted:
        return replace(one, why=row["why"])
    # What is not there any more stays for nobody.
    return replace(one, suggestion="keep" if is_there else "spare", place=place if is_there else None)


def _at(image: Image, uri: str | None) -> Sighting | None:
    return next((one for one in image.sightings if one.uri == uri), None)


def _place(one: Result) -> dict[str, Any]:
    return {"id": one.step.id, "uri": file_uri(one.step.path)}


def _passed(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [_place(one) | {"why": one.why} for one in results]


def _left(wanted: Spares, acted: Acted) -> list[dict[str, Any]]:
    """What was wanted and is none that could go by now, as by a decision, or since its place is gone."""
    told = {(one.step.id, file_uri(one.step.path)) for one in (*acted.done, *acted.passed)}
    return [
        {"id": one.id, "uri": one.uri, "why": "it could not go any more"}
        for one in wanted.spare
        if (one.id, one.uri) not in told
    ]
