"""Bodies of requests, read with limits as they stream in: raw bytes, JSON and multipart forms.

Nothing of a body is kept beyond what its route may take, and all bodies together stay below a budget. How
long one may take, and that nobody's is read who was not let in, is seen to by `gate.py`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from wherefrom.errors import Busy, SlowRequest, UsageError, WrongBody
from wherefrom.picture.formats import HEAD, sniff
from wherefrom.server.gate import too_large

MOST_PARTS = 128
MOST_TEXT = 64 * 1024
"""Bytes of a form's field, and of a JSON body."""

_HEAD = 8 * 1024  # bytes of a part's headers
_PICTURES = "image/", "application/octet-stream"
_CURLS_OWN = "application/x-www-form-urlencoded"


class Budget:
    """Bytes that all bodies may take together."""

    def __init__(self, most: int) -> None:
        self.left = self.most = most

    def take(self, count: int) -> None:
        """Raises Busy when they are not there."""
        if count > self.left:
            raise Busy("Too much is being uploaded at once; try again in a moment.", 2)
        self.left -= count

    def give(self, count: int) -> None:
        """Give them back."""
        self.left += count


@dataclass(slots=True)
class File:
    """A file of a form."""

    part: str
    data: bytes = field(repr=False)
    name: str | None = None


@dataclass(slots=True)
class Form:
    """A form: its files, and the last text of each field."""

    files: list[File] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


class Body:
    """A request's body within its limits. `taken` is what it has of the budget."""

    def __init__(self, request: Request, most: int) -> None:
        self._request, self._most = request, most
        self._budget: Budget = request.app.state.budget
        self.taken = 0
        told = request.headers.get("content-length", "")
        self._length = int(told) if told.isascii() and told.isdigit() else None

    @property
    def type(self) -> str:
        """The media type, in lower case and without parameters; empty for none."""
        return self._request.headers.get("content-type", "").partition(";")[0].strip().lower()

    def release(self) -> None:
        """Give back what it has of the budget."""
        self._budget.give(self.taken)
        self.taken = 0

    async def fetch(self, url: str) -> bytes:
        """What a URL points to, which counts like a body: the room for it is taken before it is fetched.

        Raises Busy where there is none, and what `Service.fetch` raises.
        """
        service = self._request.app.state.service
        most, size = service.most_fetched, 0
        self._budget.take(most)
        self.taken += most
        try:
            data: bytes = await service.fetch(url)
            size = len(data)
        finally:
            self._budget.give(most - size)
            self.taken -= most - size
        return data

    async def read(self, most: int | None = None) -> bytes:
        """All of it. Raises TooLarge, SlowRequest or Busy."""
        data = bytearray()
        async for chunk in self._stream(most):
            data += chunk
        return bytes(data)

    async def picture(self, taken: str) -> bytes:
        """The picture that the body is; empty where there is none.

        Its type says so; or it has none, or the one that curl gives to all that `--data-binary` sends, and it
        begins as pictures do. Raises WrongBody with what is `taken`, or what `read` raises.
        """
        if self.type.startswith(_PICTURES):
            return await self.read()
        if self.type not in ("", _CURLS_OWN):
            raise wrong_body(self, taken)
        data, is_one = bytearray(), False
        async for chunk in self._stream():
            data += chunk
            if not is_one and len(data) >= HEAD and not (is_one := sniff(bytes(data)) is not None):
                raise wrong_body(self, taken)
        if not is_one and (data or self.type) and sniff(bytes(data)) is None:
            raise wrong_body(self, taken)
        return bytes(data)

    async def json(self) -> dict[str, Any]:
        """The JSON object that it is; raises UsageError for anything else."""
        data = await self.read(MOST_TEXT)
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            raise UsageError("The body is no JSON.") from None
        if not isinstance(found, dict):
            raise UsageError("The body is a JSON object: {…}.")
        return found

    async def form(self) -> Form:
        """The multipart form that it is; raises UsageError for anything else."""
        _, options = parse_options_header(self._request.headers.get("content-type", ""))
        boundary = options.get(b"boundary", b"")
        if not 0 < len(boundary) <= 70:
            raise UsageError("A multipart body needs a boundary, which its Content-Type names.")
        reader = _FormReader(boundary)
        async for chunk in self._stream():
            reader.feed(chunk)
        return reader.finished()

    async def _stream(self, most: int | None = None) -> AsyncIterator[bytes]:
        most = self._most if most is None else min(most, self._most)
        if self._length is not None and self._length > most:
            raise too_large(most)
        size = 0
        try:
            async for chunk in self._request.stream():
                size += len(chunk)
                if size > most:
                    raise too_large(most)
                self._budget.take(len(chunk))
                self.taken += len(chunk)
                yield chunk
        except ClientDisconnect:
            raise SlowRequest("The body broke off before its end.") from None


@asynccontextmanager
async def body_of(request: Request, most: int | None = None) -> AsyncIterator[Body]:
    """A request's body, whose part of the budget is given back at the end."""
    body = Body(request, request.app.state.config.max_upload if most is None else most)
    request.state.body = body
    try:
        yield body
    finally:
        body.release()


async def fetched(request: Request, url: str) -> bytes:
    """What a URL points to, held like the request's body (`Body.fetch`), which has to be open."""
    body: Body = request.state.body
    return await body.fetch(url)


def wrong_body(body: Body, taken: str) -> WrongBody:
    """The error for a body of a type that a route does not take."""
    said = f"{body.type[:60]!r}" if body.type else "none"
    return WrongBody(f"The body's type, {said}, is not taken here: send {taken}.")


class _FormReader:
    """Takes a form apart as it comes in."""

    def __init__(self, boundary: bytes) -> None:
        self._form = Form()
        self._data, self._head = bytearray(), 0
        self._field, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._parts, self._ended = 0, False
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._grow(self._field, data[start:end]),
            "on_header_value": lambda data, start, end: self._grow(self._value, data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._more,
            "on_part_end": self._end,
            "on_end": self._finish,
        }
        self._parser = MultipartParser(boundary, callbacks)
        self._name, self._file = "", False
        self._file_name: str | None = None

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise UsageError("The multipart body is malformed.") from None

    def finished(self) -> Form:
        if not self._ended:
            raise UsageError("The multipart body ends before its last boundary.")
        return self._form

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise UsageError(f"A form has at most {MOST_PARTS} parts.")
        self._data, self._head, self._headers = bytearray(), 0, {}

    def _grow(self, text: bytearray, more: bytes) -> None:
        self._head += len(more)
        if self._head > _HEAD:
            raise UsageError("A part of the form has too long headers.")
        text += more

    def _header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name")
        if kind != b"form-data" or name is None:
            raise UsageError("A part of the form has no name.")
        self._name = name.decode("utf-8", "replace")
        file_name = options.get(b"filename")
        self._file = file_name is not None
        self._file_name = _plain_name(file_name) if file_name else None

    def _more(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]
        if not self._file and len(self._data) > MOST_TEXT and self._name not in ("image", "first", "second"):
            raise UsageError(f"The field {self._name[:40]!r} is longer than {MOST_TEXT:,} bytes.")

    def _end(self) -> None:
        if self._file or self._name in ("image", "first", "second"):
            self._form.files.append(File(self._name, bytes(self._data), self._file_name))
        else:
            try:
                self._form.texts[self._name] = self._data.decode("utf-8")
            except UnicodeDecodeError:
                raise UsageError(f"The field {self._name[:40]!r} is not UTF-8.") from None
        self._data = bytearray()

    def _finish(self) -> None:
        self._ended = True


def _plain_name(name: bytes) -> str | None:
    """A file's name as people know it: without folders and control characters."""
    text = name.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    return "".join(one for one in text if one.isprintable())[:200].strip(". ") or None
