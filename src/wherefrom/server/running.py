"""Runs the service: the socket, uvicorn, and the end."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable

import uvicorn

from wherefrom.errors import CollectionMissing, UsageError, WherefromError
from wherefrom.server.access import Door
from wherefrom.server.app import create_app
from wherefrom.server.config import Config
from wherefrom.server.keys import mark_of
from wherefrom.server.logs import set_up_logs
from wherefrom.server.protocol import Protocol
from wherefrom.server.safety import check_host, door_of
from wherefrom.server.service import Service

_GRACE = 30  # seconds that requests under way are given at the end
_HEAD = 128 * 1024  # bytes of a request's head


def run(config: Config, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it; `say` is told where, and what.

    Raises UsageError for an address that cannot be listened on, or may not be without keys, and whatever
    opening the collections raises.
    """
    _check_names(config)
    door = door_of(config)
    check_host(config.host, door)
    channel = listening(config)
    service = _Telling(config, lambda: _tell(config, door, channel, say))
    # What keeps it from starting is raised below, as a sentence: the log need not say it too.
    set_up_logs(config.log_format, lambda: service.problem is None)
    server = _Server(
        uvicorn.Config(
            create_app(service, config, door),
            http=Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=_GRACE,
            h11_max_incomplete_event_size=_HEAD,
        )
    )
    # The signal is raised again when all is done, and a start that failed ends in an exit.
    with contextlib.closing(channel), contextlib.suppress(KeyboardInterrupt, SystemExit):
        server.run(sockets=[channel])
    if service.problem is not None:
        raise service.problem
    if not server.started:
        raise WherefromError("The service could not be started; the log above says why.")


class _Server(uvicorn.Server):
    """A server whose words are ours."""

    def _log_started_message(self, listeners: object) -> None:
        pass

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go who follows jobs, which would have no end, and wait for everybody else."""
        jobs = getattr(getattr(self.config.app, "state", None), "jobs", None)
        if jobs is not None:
            jobs.closing.set()
        await super().shutdown(sockets)


class _Telling(Service):
    """A service that says when it is ready, and keeps what kept it from being so."""

    def __init__(self, config: Config, told: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = told
        self.problem: WherefromError | None = None

    async def start(self) -> None:
        """Start, and say so."""
        try:
            await super().start()
        except WherefromError as error:
            self.problem = error
            raise
        self._told()


def listening(config: Config) -> socket.socket:
    """The socket to listen on; raises UsageError when it cannot be had."""
    try:
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        # Named as TCP, or asyncio would not turn off Nagle's algorithm: an answer's body would wait for the
        # acknowledgement of its head, 40 ms.
        channel = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _unusable(config, error) from error
    try:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        channel.bind(address)
        channel.listen(1024)
    except OSError as error:
        channel.close()
        raise _unusable(config, error) from error
    return channel


def _unusable(config: Config, error: OSError) -> UsageError:
    reason = (error.strerror or str(error)).lower()
    return UsageError(
        f"Port {config.port} of {config.host} cannot be listened on ({reason}). "
        f"Give another with --port, or end what is there."
    )


def _check_names(config: Config) -> None:
    names = config.names
    for name in names:
        if not (0 < len(name) <= 100 and name.isprintable() and not set(name) & set("/?#&=,%+")):
            raise UsageError(f"A collection cannot be named {name!r}: give it a name with -c NAME=DIR.")
        if names.count(name) > 1:
            raise UsageError(f"Two collections are named {name}: tell them apart with -c NAME=DIR.")
    for _, directory in config.collections:
        if not directory.exists():
            raise CollectionMissing(
                f"There is no collection at {directory}. Make one with: wherefrom index FOLDER -c {directory}"
            )


def address_of(host: str, port: int) -> str:
    """An address that leads to a socket from this machine, however wide it listens."""
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _tell(config: Config, door: Door, channel: socket.socket, say: Callable[[str], None]) -> None:
    say(f"Wherefrom is at {address_of(*channel.getsockname()[:2])}/")
    if config.public_url:
        say(f"Others reach it at {config.public_url}/")
    for place, (name, directory) in enumerate(config.collections):
        say(f"  {name}{' (the default)' if place == 0 and len(config.collections) > 1 else ''}: {directory}")
    if door.shut is not None:
        say(f"There were keys, and {door.shut} holds none: nobody is let in.")
        say("To let somebody in: wherefrom keys create NAME")
        say(f"To open it to this computer without keys: delete {door.shut} and {mark_of(door.shut)}")
    elif door.keyless:
        say("No keys yet: only this computer can connect, with full access.")
        say("To let others in: wherefrom keys create NAME")
    say("Ctrl-C ends it.")
