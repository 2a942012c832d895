"""What OpenAPI says of uploads and downloads, for the routes that carry files."""

from __future__ import annotations

from typing import Any

from modelyard.routes.http.refusals import Message, refusing
from modelyard.routes.http.routing import SHAPE

BYTES = {"type": "string", "format": "binary"}
OCTETS = "application/octet-stream"
TEXT_HEADER = {"schema": {"type": "string"}, "required": True}
NUMBER_HEADER = {"schema": {"type": "integer"}, "required": True}
MAYBE_HEADER = TEXT_HEADER | {"required": False}
VALIDATORS = {"ETag": TEXT_HEADER, "Repr-Digest": {**TEXT_HEADER, "description": "RFC 9530, sha-256."}}
_UNCHANGED = VALIDATORS | {"Last-Modified": TEXT_HEADER}

_SERVED = _UNCHANGED | {
    "Accept-Ranges": TEXT_HEADER,
    "Content-Disposition": TEXT_HEADER,
    "Digest": MAYBE_HEADER | {"description": "As `Want-Digest` asks."},
}

STORED: dict[str, Any] = {
    "description": "The file is durable.",
    "headers": VALIDATORS | {"Last-Modified": MAYBE_HEADER | {"description": "Where it came in this request."}},
}
CREATED = STORED | {"headers": STORED["headers"] | {"Location": TEXT_HEADER}, SHAPE: Message}
DOWNLOADED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The bytes.",
        "content": {OCTETS: {"schema": BYTES}},
        "headers": _SERVED,
    },
    206: {
        "description": "The ranges that were asked for.",
        "content": {OCTETS: {"schema": BYTES}, "multipart/byteranges": {"schema": BYTES}},
        "headers": _SERVED | {"Content-Range": MAYBE_HEADER | {"description": "Of one range."}},
    },
    302: {"description": "Where the bytes are to be had.", "headers": {"Location": TEXT_HEADER}},
    304: {"description": "The client has the file already.", "headers": _UNCHANGED},
    **refusing(412, 416),
}
BODY: dict[str, Any] = {"requestBody": {"content": {OCTETS: {"schema": BYTES}}}}
FORM = {"type": "object", "required": ["file"], "properties": {"file": BYTES}}
BODY_OR_FORM: dict[str, Any] = {
    "requestBody": {"content": {"multipart/form-data": {"schema": FORM}, OCTETS: {"schema": BYTES}}}
}
SESSION_HEADER: dict[str, Any] = {
    "name": "X-Modelyard-Session",
    "in": "header",
    "required": False,
    "description": "The id of an upload that goes on, or its URL: the body is what `Content-Range` says of the file.",
    "schema": {"type": "string", "maxLength": 4096},
}
OFFER: dict[str, Any] = {
    "name": "X-Modelyard-Upload",
    "in": "header",
    "required": False,
    "description": "`RemoteObject.ID` of an upload to the bucket that is complete: the request carries no bytes, and "
    "answers when they have been read back and verified.",
    "schema": {"type": "string", "maxLength": 4096},
}
