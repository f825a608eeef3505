"""Lines of the log, as JSON or for a terminal; nothing in one can draw on a terminal or forge another line.

Names of files, addresses and whatever else callers choose may stand in a message or a traceback: what a
terminal would obey is marked there (`wherefrom.printing`), a message stays one line, and the lines of a
traceback are set in.
"""

from __future__ import annotations

import json
import logging
import secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from wherefrom.errors import WherefromError
from wherefrom.printing import plain, plain_lines

_log = logging.getLogger("wherefrom.server")
_LEVELS = {"wherefrom": logging.INFO, "uvicorn": logging.WARNING, "asyncio": logging.WARNING}
_TRACE = 20_000  # characters of a traceback that are told, its end


class JsonLines(logging.Formatter):
    """A log record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": plain(record.getMessage()),
        }
        said: dict[str, Any] = getattr(record, "said", {})
        line |= {
            name: plain(value) if isinstance(value, str) else value
            for name, value in said.items()
            if value is not None
        }
        if trace := _trace(self, record):
            line["trace"] = plain_lines(trace)
        return json.dumps(line, ensure_ascii=False)


class PlainLines(logging.Formatter):
    """A log record for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and those of a traceback below it."""
        said: dict[str, Any] = getattr(record, "said", {})
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        if said:
            return plain(f"{clock} {said['status']} {said['method']} {said['route']} {said['ms']:.0f} ms")
        text = plain(f"{clock} {record.levelname.lower()}: {record.getMessage()}")
        trace = plain_lines(_trace(self, record))
        return "\n".join([text, *(f"  {line}" for line in trace.split("\n") if line)])


def set_up_logs(form: str, wanted: Callable[[], bool] = lambda: True) -> None:
    """Log to stderr, as JSON or for a terminal, while it is `wanted`; uvicorn's own lines too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda _: wanted())
    handler.setFormatter(JsonLines() if form == "json" else PlainLines())
    for name, level in _LEVELS.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def unforeseen(number: str) -> str:
    """The sentence for what went wrong here and was not foreseen."""
    return f"Something went wrong here; the log of the service says what, under the id {number}."


def failed(doing: str, trace: str | None = None, number: str | None = None) -> WherefromError:
    """Log that something failed that was not foreseen, and give the error to tell, with the id of that line.

    `trace` is the traceback of another process, None for the exception that is being handled; `number` is an
    id that there is already.
    """
    number = number or secrets.token_hex(8)
    more = {} if trace is None else {"trace": trace[-_TRACE:]}
    _log.error("%s failed, under the id %s", doing, number, exc_info=trace is None, extra=more)
    return WherefromError(unforeseen(number))


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    told: str = getattr(record, "trace", "")
    return told or (formatter.formatException(record.exc_info) if record.exc_info else "")
