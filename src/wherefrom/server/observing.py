"""What operators see: a line of JSON for each request, and figures for Prometheus.

A line names the route and never the whole URL; what is uploaded, searched for or found is in none of them.
Labels have few values: routes as they are written, methods that there are, status codes, stages, kinds.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wherefrom.outcome import Outcome
from wherefrom.server.access import needs
from wherefrom.server.keys import Scope as KeyScope
from wherefrom.server.service import Service

router = APIRouter(include_in_schema=False)
log = logging.getLogger("wherefrom.server")
requests_log = logging.getLogger("wherefrom.server.requests")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_HUNG_UP = 499  # who asked was gone before there was an answer
_QUICK = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Figures:
    """The figures of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "wherefrom_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "wherefrom_request_seconds",
            "Time from a request to its answer.",
            ("route",),
            registry=self.registry,
            buckets=_QUICK,
        )
        self.stages = Histogram(
            "wherefrom_search_stage_seconds",
            "Time that searches spend in a stage.",
            ("stage",),
            registry=self.registry,
            buckets=_QUICK,
        )
        self.matches = Counter(
            "wherefrom_matches", "Matches found by searches, by kind.", ("kind",), registry=self.registry
        )
        self.searches = Counter(
            "wherefrom_searches",
            "Searches, by whether something was found.",
            ("found",),
            registry=self.registry,
        )
        self.outcomes = Counter(
            "wherefrom_added", "Pictures offered, by outcome.", ("status",), registry=self.registry
        )
        self.waiting = Gauge(
            "wherefrom_queue_waiting", "Requests that wait for a process.", registry=self.registry
        )
        self.running = Gauge(
            "wherefrom_queue_running", "Requests that a process is at.", registry=self.registry
        )
        self.replaced = Gauge(
            "wherefrom_processes_replaced", "Search processes that hung or died.", registry=self.registry
        )
        self.images = Gauge("wherefrom_images", "Images.", ("collection",), registry=self.registry)
        self.kept = Gauge("wherefrom_searches_kept_bytes", "Bytes of searches kept.", registry=self.registry)

    def searched(self, answer: dict[str, Any]) -> None:
        """Count an answer."""
        for stage, milliseconds in answer["timings_ms"].items():
            self.stages.labels(stage).observe(milliseconds / 1e3)
        for match in answer["matches"]:
            self.matches.labels(match["kind"]).inc()
        self.searches.labels("yes" if answer["matches"] else "no").inc()

    def added(self, outcomes: Sequence[Outcome]) -> None:
        """Count what became of pictures that were offered."""
        for one in outcomes:
            self.outcomes.labels(one.status.value).inc()


@router.get("/metrics", dependencies=[Depends(needs(KeyScope.SEARCH, opened_by="metrics_open"))])
async def metrics(request: Request) -> Response:
    """The figures, for Prometheus."""
    figures: Figures = request.app.state.figures
    service: Service = request.app.state.service
    figures.waiting.set(service.pool.waiting)
    figures.running.set(service.pool.running)
    figures.replaced.set(service.pool.replaced)
    figures.kept.set(request.app.state.tokens.size)
    for name in service.names:
        figures.images.labels(name).set(await service.run(name, len))
    return Response(generate_latest(figures.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class Observing:
    """Counts, times and logs requests; ASGI middleware."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        number = secrets.token_hex(8)
        scope.setdefault("state", {})["number"] = number
        status, size = 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", number.encode())]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
            status = status or _HUNG_UP
        finally:
            self._tell(scope, number, status or 500, size, time.perf_counter() - start)

    def _tell(self, scope: Scope, number: str, status: int, size: int, seconds: float) -> None:
        found = scope.get("route")
        route = "page" if getattr(found, "name", "") == "page" else getattr(found, "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._figures.requests.labels(route, method, str(status)).inc()
        self._figures.seconds.labels(route).observe(seconds)
        state = scope.get("state", {})
        said = {
            "id": number,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(1e3 * seconds, 1),
            "bytes": size,
            "caller": getattr(state.get("caller"), "name", None),
            "code": state.get("code"),
        }
        level = logging.DEBUG if route in ("/healthz", "/readyz", "page") else logging.INFO
        requests_log.log(level, "request", extra={"said": said})
