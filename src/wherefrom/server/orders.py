"""Routes for jobs: begin, list, follow, cancel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from wherefrom.errors import Busy, UsageError
from wherefrom.server.access import needs
from wherefrom.server.jobs import Job, Jobs
from wherefrom.server.keys import Scope
from wherefrom.server.searching import valid
from wherefrom.server.shapes import problems
from wherefrom.server.uploads import body_of, wrong_body

LOOK = 0.25
"""Seconds between looks at a job that is followed."""

HEARTBEAT = 15.0
"""Seconds of silence after which a follower is told that the line is still there."""

_FOLLOWERS = 100
_NO_STORE = {"Cache-Control": "no-store"}

_EVENTS: dict[str, Any] = {
    "description": "Events named `job`, each a job.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}

router = APIRouter(tags=["jobs"], dependencies=[Depends(needs(Scope.ADMIN))])
JobId = Annotated[str, Path(max_length=40, description="A job's id.")]
CollectionName = Annotated[str | None, Query(max_length=100, description="A collection that is served.")]


class Order(BaseModel):
    """A job to be done."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["index", "duplicates", "check", "rebuild", "backup"]
    path: str | None = Field(
        None, max_length=4096, description="index: the folder, below one that is allowed."
    )
    prune: bool | None = Field(None, description="index: mark files that have vanished.")
    retry: bool | None = Field(None, description="index: read files again that were refused.")
    turned: bool | None = Field(
        None, description="duplicates: also mirrored and turned ones; true by default."
    )
    parts: bool | None = Field(
        None, description="duplicates: also crops, which takes longer; true by default."
    )
    directory: str | None = Field(
        None,
        max_length=4096,
        description="backup: a directory that is new or empty, below one that is allowed.",
    )


class Progress(BaseModel):
    """How far a job is."""

    done: int
    total: int | None
    rate: float | None = Field(description="Things done a second.")


class JobError(BaseModel):
    """Why a job failed."""

    code: str
    message: str


class ToldJob(BaseModel):
    """A job."""

    id: str
    kind: str
    collection: str
    options: dict[str, Any]
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: Progress
    report: dict[str, Any] | None = Field(description="What came of it, by kind; null until it is done.")
    error: JobError | None
    created: str
    started: str | None
    finished: str | None


class ToldJobs(BaseModel):
    """Jobs, newest first."""

    jobs: list[ToldJob]


@router.post(
    "/api/v1/jobs",
    summary="Have a job done.",
    status_code=202,
    response_model=ToldJob,
    responses=problems(400, 403, 404, 408, 409, 413, 415, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
        }
    },
)
async def begin(request: Request, collection: CollectionName = None) -> JSONResponse:
    """Answered at once; `/api/v1/jobs/{id}/events` tells how it goes. One job at a time writes."""
    async with body_of(request) as body:
        if body.type != "application/json":
            raise wrong_body(body, "application/json with `kind`")
        order: Order = valid(Order, await body.read(64 * 1024))
    name = request.app.state.service.name_of(collection)
    options = order.model_dump(exclude={"kind"}, exclude_none=True)
    job = await asyncio.to_thread(_jobs(request).submit, order.kind, name, options)
    return JSONResponse(job.as_json(), 202, _NO_STORE | {"Location": f"/api/v1/jobs/{job.id}"})


@router.get("/api/v1/jobs", summary="The jobs that are remembered.", response_model=ToldJobs)
def every(request: Request) -> JSONResponse:
    """Newest first: those that wait or are at work, and the last hundred that are over."""
    return JSONResponse({"jobs": [job.as_json() for job in _jobs(request).list()]}, headers=_NO_STORE)


@router.get("/api/v1/jobs/{id}", summary="A job.", response_model=ToldJob, responses=problems(404))
def one(request: Request, id: JobId) -> JSONResponse:
    """How far it is, and what came of it."""
    return JSONResponse(_jobs(request).get(id).as_json(), headers=_NO_STORE)


@router.delete(
    "/api/v1/jobs/{id}", summary="Cancel a job.", response_model=ToldJob, responses=problems(404, 409)
)
def cancel(request: Request, id: JobId) -> JSONResponse:
    """One that is at work takes a moment to stop; what it has done stays done."""
    return JSONResponse(_jobs(request).cancel(id).as_json(), headers=_NO_STORE)


@router.get(
    "/api/v1/jobs/{id}/events",
    summary="Follow a job.",
    response_class=StreamingResponse,
    responses=problems(400, 404, 503) | {200: _EVENTS},
)
async def follow(
    request: Request,
    id: JobId,
    last: Annotated[
        str | None, Header(alias="Last-Event-ID", max_length=40, description="The last event that was seen.")
    ] = None,
) -> Response:
    """Server-sent events: the job as it is now and at each change, until it is over.

    Each event is the whole job, so that whoever was cut off misses nothing.
    """
    jobs = _jobs(request)
    job = jobs.get(id)
    try:
        seen = int(last) if last else 0
    except ValueError:
        raise UsageError("Last-Event-ID is the number of an event.") from None
    if jobs.followers >= _FOLLOWERS:
        raise Busy("Too many follow jobs; ask for the job itself.", 10)
    return StreamingResponse(
        events(jobs, job, seen),
        media_type="text/event-stream",
        headers=_NO_STORE | {"X-Accel-Buffering": "no"},
    )


async def events(jobs: Jobs, job: Job, seen: int) -> AsyncIterator[str]:
    """The events of a job after number `seen`, and heartbeats, until it is over or the server closes."""
    quiet = 0.0
    jobs.followers += 1
    try:
        yield "retry: 2000\n\n"
        while True:
            version, final = job.version, job.state.is_final
            if version > seen or (final and seen > version):
                seen, quiet = version, 0.0
                yield f"id: {version}\nevent: job\ndata: {json.dumps(job.as_json())}\n\n"
            if final or jobs.closing.is_set():
                return
            await asyncio.sleep(LOOK)
            quiet += LOOK
            if quiet >= HEARTBEAT:
                quiet = 0.0
                yield ": still there\n\n"
    finally:
        jobs.followers -= 1


def _jobs(request: Request) -> Jobs:
    found: Jobs = request.app.state.jobs
    return found
