"""What a service is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wherefrom.settings import Settings

PORT = 8765
QUEUE = 64
DEADLINE = 30.0
MAX_UPLOAD = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Config:
    """What a service is started with.

    `collections` are (name, directory), the default first. `workers` is how many processes search, 0 for one
    per core; `queue` how many requests may wait for them; `deadline` in how many seconds one is answered, or
    told to come again. `originals` lets the bytes of images out, None where only while no key is needed;
    `file_actions` lets callers of the scope `admin` move files to this machine's bin, None only while no key
    is needed and no page of others is let in; `metrics_open` shows `/metrics` to all;
    `public_url` is where others reach the service, for links that it gives, empty for the name by which it
    was asked; `index_roots` are the folders below which the job `index` may read, `allow_origins` the pages
    of others that a browser may let call the API. `backup_roots` are those below which the job `backup` may
    write; `allow_hosts` further names of this machine under which it is asked without keys; `rate`, such as
    100/minute, is that of keys without one of their own, `anonymous_rate` that of each address where no key
    is needed, empty for no limit.
    `max_upload` caps a request's body in bytes, and `in_memory` all bodies that are held at once.
    """

    collections: tuple[tuple[str, Path], ...]
    settings: Settings = field(default_factory=Settings)
    host: str = "127.0.0.1"
    port: int = PORT
    workers: int = 0
    queue: int = QUEUE
    deadline: float = DEADLINE
    originals: bool | None = None
    file_actions: bool | None = None
    metrics_open: bool = False
    public_url: str = ""
    index_roots: tuple[Path, ...] = ()
    backup_roots: tuple[Path, ...] = ()
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    rate: str = ""
    anonymous_rate: str = ""
    max_upload: int = MAX_UPLOAD
    in_memory: int = 512 * 1024 * 1024
    log_format: str = "json"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the collections, the default first."""
        return tuple(name for name, _ in self.collections)

    @property
    def worker_count(self) -> int:
        """How many processes search."""
        return self.workers or self.settings.worker_count
