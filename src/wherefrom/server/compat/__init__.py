"""Other services' APIs, so that their clients work here unchanged: thin mappings over one search."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """The routes of every foreign API."""
    from wherefrom.server.compat import matchengine, tineye, vision

    return [tineye.router, vision.router, matchengine.router]
