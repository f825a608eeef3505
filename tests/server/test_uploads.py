"""Bodies: read whole whatever their pieces, and refused where they are too large, too many or no form."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from wherefrom.errors import Busy, TooLarge, UsageError, WherefromError
from wherefrom.server.uploads import MOST_PARTS, MOST_TEXT, Body, Budget, Form, body_of

BOUNDARY = "xyz"
NAMES = st.sampled_from(["image", "first", "title", "page"])


def request_of(pieces: Sequence[bytes], headers: dict[str, str], budget: Budget) -> Request:
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        body = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    app = SimpleNamespace(state=SimpleNamespace(budget=budget, config=SimpleNamespace(max_upload=100_000)))
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw, "app": app}, receive)


def form_of(pieces: Sequence[bytes], budget: Budget | None = None, boundary: str = BOUNDARY) -> Form:
    async def main() -> Form:
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        async with body_of(request_of(pieces, headers, budget or Budget(1_000_000))) as body:
            return await body.form()

    return asyncio.run(main())


def read(pieces: Sequence[bytes], most: int, headers: dict[str, str], **options: Any) -> bytes:
    async def main() -> bytes:
        request = request_of(pieces, headers, options.pop("budget", Budget(1_000_000)))
        body = Body(request, most, **options)
        try:
            return await body.read()
        finally:
            body.release()

    return asyncio.run(main())


def part(name: str, data: bytes, file: str | None = None) -> bytes:
    extra = f'; filename="{file}"' if file is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + data + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(NAMES, st.binary(max_size=200), st.booleans()), max_size=6),
    st.lists(st.integers(0, 2_000), max_size=12),
)
def test_a_form_is_the_same_in_any_pieces(parts: list[tuple[str, bytes, bool]], places: list[int]) -> None:
    parts = [(name, data, file) for name, data, file in parts if f"--{BOUNDARY}".encode() not in data]
    body = b"".join(part(name, data, "a.jpg" if file else None) for name, data, file in parts) + END
    files = [(name, data) for name, data, file in parts if file or name in ("image", "first")]
    texts = [(name, data) for name, data, file in parts if not (file or name in ("image", "first"))]
    try:
        wanted = {name: data.decode() for name, data in texts}
    except UnicodeDecodeError:
        with pytest.raises(UsageError, match="UTF-8"):
            form_of(cut(body, places))
        return
    form = form_of(cut(body, places))
    assert [(one.part, one.data) for one in form.files] == files
    assert form.texts == wanted


@settings(max_examples=150)
@given(st.binary(max_size=400), st.integers(0, 600), st.binary(max_size=20))
def test_damaged_forms_are_refused_in_a_sentence(noise: bytes, place: int, more: bytes) -> None:
    whole = part("image", b"x" * 100, "a.jpg") + part("title", b"t") + END
    for body in (noise, whole[:place] + more + whole[place:], whole[:place], whole[:place] + noise):
        with contextlib.suppress(UsageError):  # and nothing else
            form_of([body])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (part("title", b"x" * (MOST_TEXT + 1)) + END, "longer than"),
        (b"".join(part("image", b"") for _ in range(MOST_PARTS + 1)) + END, "at most"),
        (f"--{BOUNDARY}\r\nX: {'y' * 9000}\r\n\r\n".encode() + END, "headers|malformed"),
        (f"--{BOUNDARY}\r\n".encode() + b"A: b\r\n" * 3000 + b"\r\n" + END, "headers|malformed"),
        (f"--{BOUNDARY}\r\nContent-Type: image/png\r\n\r\nx\r\n".encode() + END, "no name"),
        (part("image", b"x"), "ends before"),
        (b"", "ends before"),
    ],
)
def test_what_no_form_may_have(body: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        form_of([body])


@pytest.mark.parametrize("boundary", ["", "b" * 71, '""'])
def test_a_boundary_is_needed(boundary: str) -> None:
    with pytest.raises(UsageError, match=r"boundary|malformed|ends before"):
        form_of([END], boundary=boundary)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a b.jpg", "a b.jpg"),
        ("../../etc/passwd", "passwd"),
        (r"C:\pictures\a.jpg", "a.jpg"),
        ("..", None),
        ("a\x01\u202eb.jpg", "ab.jpg"),
    ],
)
def test_names_of_files_are_names_alone(name: str, plain: str | None) -> None:
    form = form_of([part("image", b"x", name.replace("\\", "\\\\")) + END])
    assert form.files[0].name == plain


def test_a_body_is_refused_by_its_stated_length_and_by_its_real_one() -> None:
    assert read([b"abc", b"def"], 6, {}) == b"abcdef"
    with pytest.raises(TooLarge):
        read([], 6, {"Content-Length": "7"})
    with pytest.raises(TooLarge):
        read([b"abc", b"def", b"g"], 6, {})
    with pytest.raises(TooLarge):
        read([b"abcdefg"], 6, {"Content-Length": "1"})


def test_all_bodies_together_stay_below_the_budget() -> None:
    budget = Budget(10)
    with pytest.raises(Busy, match="uploaded at once"):
        read([b"abcdef", b"ghijkl"], 100, {}, budget=budget)
    assert budget.left == 10
    assert read([b"abcdefghij"], 100, {}, budget=budget) == b"abcdefghij"
    assert budget.left == 10


@pytest.mark.parametrize("body", [b"", b"[1]", b"nul", b"{", b"[" * 50_000, b'"x"', b"\xff"])
def test_json_is_an_object(body: bytes) -> None:
    async def main() -> None:
        async with body_of(request_of([body], {}, Budget(1_000_000))) as one:
            await one.json()

    with pytest.raises(WherefromError):
        asyncio.run(main())
