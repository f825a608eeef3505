"""What a server's settings come to: its door, its jobs, and where it may listen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wherefrom.errors import UsageError
from wherefrom.server.access import Door
from wherefrom.server.jobs import Jobs, Tools
from wherefrom.server.keys import FILE_NAME, Rate
from wherefrom.server.labour import WORK, WRITERS
from wherefrom.server.limiting import is_loopback
from wherefrom.server.watch import KeyWatch

if TYPE_CHECKING:
    from wherefrom.server.config import Config
    from wherefrom.server.service import Service


def key_file(config: Config) -> Path:
    """Where the keys of a server are: as set, or in the directory of its first collection."""
    named = config.settings.key_file
    return Path(named).expanduser() if named else config.collections[0][1] / FILE_NAME


def door_of(config: Config) -> Door:
    """The door of a server, which `close` lets go. Raises CollectionError for keys that cannot be read."""
    return Door(
        KeyWatch(key_file(config)),
        rate=Rate.parse(config.rate) if config.rate else None,
        anonymous=Rate.parse(config.anonymous_rate) if config.anonymous_rate else None,
        origins=config.allow_origins,
        hosts=config.allow_hosts,
        near=is_loopback(config.host),
    )


def jobs_of(service: Service, config: Config) -> Jobs:
    """The jobs of a server, which `close` ends."""
    tools = Tools(
        service.collection,
        dict(config.collections),
        config.settings,
        config.collections[0][1],
        index_roots=config.index_roots,
        backup_roots=config.backup_roots,
    )
    return Jobs(tools, WORK, WRITERS)


def check_host(host: str, door: Door) -> None:
    """Raise UsageError for an address that others can reach, as long as there are no keys."""
    if not is_loopback(host) and not door.locked:
        raise UsageError(
            f"Without keys the service listens on this machine alone, and {host} can be reached by others. "
            f"Make a key first: wherefrom keys create NAME"
        )
