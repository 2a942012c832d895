"""The OpenAPI document, completed: who may ask, what every answer looks like, how refusals do, and where answers lead.

It is made when it is first asked for. Paths and methods are the routes' own; the rest is in `openapi_operations`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from starlette.routing import BaseRoute

from modelyard.errors import TooManyRequests
from modelyard.routes.mlflow.common import ROOT
from modelyard.routes.openapi.operations import (
    ANSWERS,
    ANYBODY,
    API,
    AUTHORIZE,
    BYTES,
    DOWNLOAD,
    EMPTY,
    HEADERS,
    JSON,
    KEYSET,
    KEYSET_PAGING,
    LINKS,
    NOT_OFFERED,
    OCTETS,
    PAGING,
    PARAMETERS,
    PLAIN,
    PUBLIC,
    REASONS,
    SECURITY_SCHEMES,
    SIGNED_IN,
    STATUSES,
    TEXT_HEADER,
    UPLOAD,
    VALIDATORS,
)
from modelyard.routes.openapi.schemas import schemas_of
from modelyard.routes.openapi.shapes import SCHEMAS, TEXT, Schema, ref


def complete(document: dict[str, Any], routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The document of FastAPI with all that is missing, in place."""
    answers, shapes = schemas_of(routes)
    components = document.setdefault("components", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    components["schemas"] = {**SCHEMAS, **shapes, **_hoisted(document)}
    components["responses"] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete_operation(f"{method.upper()} {path}", operation, components["responses"], answers)
    for source, (parameter, value, targets) in LINKS.items():
        _link(document["paths"], source, parameter, value, targets)
    return document


def _link(paths: dict[str, Any], source: str, parameter: str, value: str, targets: Iterable[str]) -> None:
    """Say where an answer leads; the project stays that of the request, unless it is what the answer names."""
    operation = _operation(paths, source)
    parameters = {"project": "$request.path.project"} if "{project}" in source else {}
    parameters[parameter] = value
    status = min(operation["responses"])
    names = [_operation(paths, target)["operationId"] for target in targets]
    operation["responses"][status]["links"] = {name: {"operationId": name, "parameters": parameters} for name in names}


def _operation(paths: dict[str, Any], key: str) -> dict[str, Any]:
    method, _, path = key.partition(" ")
    operation: dict[str, Any] = paths[path][method.lower()]
    return operation


def _hoisted(document: object) -> dict[str, Schema]:
    """The schemas that models brought along under `$defs`, taken from there."""
    found: dict[str, Schema] = {}
    if isinstance(document, dict):
        for name, schema in document.pop("$defs", {}).items():
            found |= {name: schema, **_hoisted(schema)}
        for value in document.values():
            found |= _hoisted(value)
    elif isinstance(document, list):
        for value in document:
            found |= _hoisted(value)
    return found


def _complete_operation(
    key: str, operation: dict[str, Any], shared: dict[str, Any], answers: dict[str, Schema]
) -> None:
    path = key.partition(" ")[2]
    if path.startswith(API):
        operation["security"] = ANYBODY if key in PUBLIC else SIGNED_IN
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["schema"] = PARAMETERS[parameter["name"]]
    (status,) = (status for status in operation["responses"] if status.startswith("2"))
    operation["responses"] = {} if key in NOT_OFFERED else _successes(key, status, answers)
    for refusal in _refusals(key, operation):
        name = f"MLflow{refusal}" if path.startswith(ROOT) else f"Refusal{refusal}"
        shared.setdefault(name, _refusal(refusal, mlflow=path.startswith(ROOT)))
        operation["responses"][str(refusal)] = {"$ref": f"#/components/responses/{name}"}
    if key == "GET /-/readiness":
        operation["responses"]["503"] = operation["responses"]["200"] | {"description": "One of them fails."}


def _successes(key: str, status: str, answers: dict[str, Schema]) -> dict[str, Any]:
    if key in DOWNLOAD:
        headers = VALIDATORS | {"Last-Modified": TEXT_HEADER}
        described = headers | {"Accept-Ranges": TEXT_HEADER, "Content-Disposition": TEXT_HEADER}
        return {
            "200": _response("The bytes.", {OCTETS: BYTES}, described),
            "206": _response("The ranges that were asked for.", {OCTETS: BYTES, "multipart/byteranges": BYTES}),
            "302": _response("Where the bytes are to be had.", {}, {"Location": TEXT_HEADER}),
            "304": _response("The client has the file already.", {}, headers),
        }
    schema = answers.get(key) or ANSWERS.get(key, EMPTY)
    content = {} if status == "204" else {PLAIN if schema is TEXT else JSON: schema}
    if key in UPLOAD:
        return {status: _response("The file is durable.", content, VALIDATORS)}
    if key == AUTHORIZE:
        kept = _response("A file whose own name is `authorize` is durable.", {JSON: ref("Message")}, VALIDATORS)
        return {status: _response("Done.", content), "201": kept}
    paging = KEYSET_PAGING if key in KEYSET else PAGING
    return {
        status: _response(
            "Done.",
            content,
            paging if any(s.get("type") == "array" for s in (schema, *schema.get("anyOf", ()))) else {},
        )
    }


def _refusals(key: str, operation: dict[str, Any]) -> Iterator[int]:
    path = key.partition(" ")[2]
    yield from (status for status, keys in STATUSES.items() if key in keys)
    if not path.startswith(API):
        return
    yield from (401, 403, 429, 503)
    if "{" in path:
        yield 404
    if operation.get("parameters") or "requestBody" in operation:
        yield 400
    if "requestBody" in operation or key == AUTHORIZE:
        yield from (408, 413, 415)
    if not key.startswith("GET"):
        yield 507


def _refusal(status: int, *, mlflow: bool) -> dict[str, Any]:
    shapes: Iterable[str] = ("MLflowError",) if mlflow else ("Message", "ParameterError", "TokenError")
    schema: Schema = {"anyOf": [ref(shape) for shape in shapes]}
    content = {JSON: schema, PLAIN: TEXT} if status == TooManyRequests.status else {JSON: schema}
    return _response(REASONS[status], content, HEADERS.get(status, {}))


def _response(description: str, content: dict[str, Schema], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"description": description, "headers": {"X-Request-Id": TEXT_HEADER, **(headers or {})}}
    return told | {"content": {kind: {"schema": schema} for kind, schema in content.items()}} if content else told
