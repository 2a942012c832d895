"""Which refusals an operation has, and what OpenAPI says of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelyard.errors import TooManyRequests
from modelyard.routes.http.routing import Face

_TEXT = {"schema": {"type": "string"}, "required": True}
_MAYBE_TEXT = {"schema": {"type": "string"}, "required": False}
_NUMBER = {"schema": {"type": "integer"}, "required": True}
REASONS = {
    400: "What was sent is against the rules.",
    401: "No credential, or one that is not valid.",
    403: "The caller may see the resource, but may not do this.",
    404: "There is nothing of that id or name, or the caller may not know of it.",
    405: "It needs another method, which `Allow` names, or a token of a project.",
    408: "The body did not come in time.",
    409: "It is there already, or another request has been first.",
    410: "It cannot be finished any more.",
    412: "A condition of the request does not hold.",
    413: "The body is larger than any that makes sense here.",
    415: "The body is compressed, or of a type that is not taken here.",
    416: "The file has no such range.",
    422: "What was sent is against the rules.",
    423: "Another request is at it; worth a retry.",
    429: "Too many requests, failed logins or uploads at a time; worth a retry later.",
    460: "The bytes do not match their checksum, and were discarded.",
    501: "Not offered; clients that know the API then go another way.",
    503: "The database or the blob store is away for the moment.",
    507: "The disk is full; nothing was stored.",
}
HEADERS = {
    401: {"WWW-Authenticate": _TEXT},
    405: {"Allow": _TEXT},
    415: {"Accept-Encoding": _TEXT},
    416: {"Content-Range": _TEXT, "Accept-Ranges": _TEXT},
    423: {"Retry-After": _NUMBER},
    429: {"Retry-After": _NUMBER},
    503: {"Retry-After": _NUMBER},
}


def of_all(method: str, path: str, operation: dict[str, Any], face: Face) -> Iterator[int]:
    """The refusals that every operation of this kind has."""
    yield from (429, 503)
    if not face.strangers:
        yield from (401, 403)
    elif method != "GET":
        yield 403  # to pages of other sites
    if "{" in path:
        yield 404
    if operation.get("parameters") or "requestBody" in operation:
        yield face.invalid
    if "requestBody" in operation:
        yield from (408, 413, 415)
    if method not in {"GET", "OPTIONS"}:
        yield 507


def told(status: int, face: Face, schema: dict[str, Any]) -> dict[str, Any]:
    """A refusal as a response that operations refer to; `schema` is what its face's have in them."""
    content = {"application/json": {"schema": schema}}
    if status == TooManyRequests.status and face.plain:
        content["text/plain"] = {"schema": {"type": "string"}}
    headers = {"X-Request-Id": _TEXT, **HEADERS.get(status, {}), **dict.fromkeys(face.headers, _MAYBE_TEXT)}
    return {"description": REASONS[status], "headers": headers, "content": content}
