"""The page for people and the files that it needs: read once, served with ETags, from this machine alone."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from wherefrom.errors import NotFound
from wherefrom.server.access import needs
from wherefrom.server.headers import PAGE

FOLDER = Path(__file__).parent / "page"
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_TYPES |= {".webmanifest": "application/manifest+json", ".html": "text/html", ".css": "text/css"}


@dataclass(frozen=True, slots=True)
class _Held:
    stamp: tuple[int, int]
    data: bytes
    tag: str


class Files:
    """The files below a folder, by their paths: only those that were there when it was listed."""

    def __init__(self, folder: Path) -> None:
        self._paths = {
            "/" + path.relative_to(folder).as_posix(): path
            for path in (sorted(folder.rglob("*")) if folder.is_dir() else ())
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        }
        self._held: dict[str, _Held] = {}

    @property
    def names(self) -> list[str]:
        """The paths, each with a slash before it."""
        return list(self._paths)

    def get(self, name: str) -> tuple[_Held, str]:
        """A file and its media type; raises NotFound for anything else."""
        path = self._paths.get(name)
        try:
            if path is None:
                raise FileNotFoundError
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            held = self._held.get(name)
            if held is None or held.stamp != stamp:
                data = path.read_bytes()
                tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
                held = self._held[name] = _Held(stamp, data, tag)
        except OSError:
            raise NotFound("There is nothing at this address.") from None
        media = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return held, media


def router_of(folder: Path = FOLDER) -> APIRouter:
    """A route for each file below a folder, and `/` for its index.html."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(None))])
    files = Files(folder)

    async def file(request: Request) -> Response:
        path = request.url.path
        return _served(request, files, "/index.html" if path == "/" else path)

    for name in ("/", *files.names):
        router.add_api_route(name, file, methods=["GET"], name="page")
    return router


def _served(request: Request, files: Files, name: str) -> Response:
    held, media = files.get(name)
    headers = {"ETag": held.tag, "Cache-Control": "no-cache", "Content-Security-Policy": PAGE}
    if held.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if media.startswith("text/") or media.endswith(("+xml", "+json")):
        media += "; charset=utf-8"
    return Response(held.data, headers=headers | {"Content-Type": media})
