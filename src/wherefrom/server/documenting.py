"""The API's own description: OpenAPI 3.1, and pages made of it that need nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, JSONResponse, Response

from wherefrom.errors import error_classes
from wherefrom.server.access import needs
from wherefrom.server.problems import Problem
from wherefrom.server.shapes import problems

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(None))])
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_ABOUT = """Find where a picture comes from: every copy of it however edited, what looks like it, and proof.

Errors are `application/problem+json` (RFC 9457); `/docs/errors` lists their codes. Where keys are needed they
come as `Authorization: Bearer KEY` or `X-API-Key: KEY`, with the scope search, add or admin, each of which
includes those before it. Lists are paged by `cursor`, which is the `next` of the page before."""

_PICTURE = {"type": "string", "format": "binary", "description": "A picture's file."}


def schema_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an app."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=_ABOUT, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _add_shapes(schemas)
    for operations in document["paths"].values():
        for operation in operations.values():
            _complete(operation)
    return document


def _complete(operation: dict[str, Any]) -> None:
    """Name what every route may answer, and leave out what none does."""
    responses = operation.setdefault("responses", {})
    told = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if told.get("$ref", "").endswith("HTTPValidationError"):
        del responses["422"]
    everywhere = (400, 401, 403, 404, 429, 503) if operation.get("security") else (400,)
    for status, said in problems(*everywhere).items():
        responses.setdefault(str(status), said)
    operation["responses"] = dict(sorted(responses.items()))


def _add_shapes(schemas: dict[str, Any]) -> None:
    """The shapes of bodies that are read as they stream in."""
    from wherefrom.server.acting import Spares
    from wherefrom.server.images import Attached, FromUrl, Said
    from wherefrom.server.orders import Order
    from wherefrom.server.searching import Compared, Options

    for shape in (Problem, Options, Compared, FromUrl, Attached, Order, Spares):
        made = shape.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(made.pop("$defs", {}))
        schemas[shape.__name__] = made
    options = _texts(Options.model_json_schema()["properties"])
    schemas["SearchForm"] = _form({"image": _PICTURE, **options}, [])
    schemas["CompareForm"] = _form({"first": _PICTURE, "second": _PICTURE}, ["first", "second"])
    said = _texts(Said.model_json_schema()["properties"])
    said["fields"] = {"type": "string", "description": "A JSON object of names and values."}
    pictures = {"type": "array", "items": _PICTURE, "minItems": 1, "maxItems": 100}
    schemas["AddForm"] = _form({"image": pictures, **said}, ["image"])


def _form(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    form = {"type": "object", "properties": properties}
    return form | ({"required": required} if required else {})


def _texts(properties: dict[str, Any]) -> dict[str, Any]:
    """Properties as fields of a form, where null is not to be had."""
    found = {}
    for name, one in properties.items():
        whole = {key: value for key, value in one.items() if key not in ("anyOf", "default", "title")}
        kinds = [kind for kind in one.get("anyOf", []) if kind.get("type") != "null"]
        found[name] = (kinds[0] if kinds else {}) | whole
    return found


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi(), headers={"Cache-Control": "no-cache"})


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The API for people."""
    return _page("The API", "".join(_told(request.app.openapi())))


@router.get("/docs/errors")
async def errors() -> Response:
    """Every error."""
    rows = "".join(
        f'<tr id="{one.code}"><th><code>{one.code}</code></th><td>{one.http_status}</td>'
        f"<td>{escape((one.__doc__ or '').split(chr(10))[0])}</td></tr>"
        for one in sorted(error_classes(), key=lambda one: one.code)
    )
    return _page(
        "Errors",
        "<p>Errors are <code>application/problem+json</code>: <code>detail</code> is a sentence for people, "
        "<code>code</code> one of these words for programs.</p>"
        f"<table><tr><th>code</th><th>status</th><th>when</th></tr>{rows}</table>",
    )


@router.get("/docs/style.css")
async def style() -> Response:
    """How they look."""
    return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} · Wherefrom</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs/style.css">'
        f'<main><nav><a href="/">Wherefrom</a> <a href="/docs">The API</a> <a href="/docs/errors">Errors</a> '
        f'<a href="/openapi.json">OpenAPI</a></nav><h1>{title}</h1>{body}</main></html>',
        headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"},
    )


def _told(document: dict[str, Any]) -> Iterator[str]:
    for part in document["info"]["description"].split("\n\n"):
        yield f"<p>{_prose(part)}</p>"
    groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append((method, path, operation))
    for tag, found in groups.items():
        yield f"<h2>{escape(tag.capitalize())}</h2>"
        for method, path, operation in found:
            yield from _operation(method, path, operation)
    yield "<h2>Shapes</h2>"
    for name, shape in sorted(document["components"]["schemas"].items()):
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><table>'
        for field, one in shape.get("properties", {}).items():
            yield (
                f"<tr><th><code>{escape(field)}</code></th><td>{_kind(one)}</td>"
                f"<td>{_prose(one.get('description', ''))}</td></tr>"
            )
        yield "</table></details>"


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    anchor = f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}"
    yield (
        f'<details id="{escape(anchor)}"><summary><b class="{method}">{method.upper()}</b> '
        f"<code>{escape(path)}</code> <span>{escape(operation.get('summary', ''))}</span></summary>"
        f"<p>{_prose(operation.get('description', ''))}</p>"
    )
    if found := operation.get("parameters"):
        yield "<h3>Parameters</h3><table>"
        for one in found:
            yield (
                f"<tr><th><code>{escape(one['name'])}</code></th><td>{escape(one['in'])}, "
                f"{_kind(one.get('schema', {}))}</td><td>{_prose(one.get('description', ''))}</td></tr>"
            )
        yield "</table>"
    if body := operation.get("requestBody"):
        yield "<h3>Body</h3><ul>"
        for media, one in body["content"].items():
            yield f"<li><code>{escape(media)}</code> {_kind(one.get('schema', {}))}</li>"
        yield "</ul>"
    yield "<h3>Answers</h3><ul>"
    for status, one in operation["responses"].items():
        kinds = {_kind(content.get("schema", {})) for content in one.get("content", {}).values()}
        shown = ", ".join(sorted(kind for kind in kinds if kind))
        yield f"<li><b>{status}</b> {_prose(one.get('description', ''))} {shown}</li>"
    yield "</ul></details>"


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a word or two, with a link to the shape that it names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    limits = [f"{said} {schema[name]}" for name, said in _LIMITS.items() if name in schema]
    kind = "binary" if schema.get("format") == "binary" else str(schema.get("type", ""))
    if "enum" in schema:
        kind = " | ".join(map(str, schema["enum"]))
    return escape(", ".join(filter(None, [kind, *limits])))


_LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
_LIMITS |= {"default": "default"}


def _prose(text: str) -> str:
    """Text with `code` marked."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))


_STYLE = """
:root { color-scheme: light dark; --ink: #22262c; --faint: #5d646d; --paper: #faf9f6; --line: #dcdad4 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e6e1; --faint: #a4a8ae; --paper: #15171b; --line: #33373d }
}
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
main { max-width: 56rem; margin: 0 auto; padding: 1.5rem 1rem 4rem }
nav a { margin-right: 1rem } a { color: inherit }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere }
h2 { margin: 2rem 0 .5rem } h3 { font-size: .9rem; margin: .8rem 0 .2rem; color: var(--faint) }
details { border-bottom: 1px solid var(--line); padding: .4rem 0 } summary { cursor: pointer }
summary b { display: inline-block; min-width: 4.2rem; font-size: .85rem } summary span { color: var(--faint) }
table { border-collapse: collapse; width: 100%; font-size: .92rem } th { text-align: left; font-weight: 500 }
th, td { padding: .25rem .8rem .25rem 0; vertical-align: top; border-top: 1px solid var(--line) }
:target { background: color-mix(in srgb, gold 25%, transparent) }
"""
