"""What OpenAPI says of uploads and downloads, for the routes that carry files."""

from __future__ import annotations

from typing import Any

from modelyard.routes.http.refusals import Message, refusing
from modelyard.routes.http.routing import SHAPE
from modelyard.wire import resumption

MAX_HEADER = 4096  # characters
NUMBER = "^[0-9]{1,19}$"
BYTES = {"type": "string", "format": "binary"}
OCTETS = "application/octet-stream"
TEXT_HEADER = {"schema": {"type": "string"}, "required": True}
NUMBER_HEADER = {"schema": {"type": "integer"}, "required": True}
MAYBE_HEADER = TEXT_HEADER | {"required": False}
MAYBE_NUMBER = NUMBER_HEADER | {"required": False}
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


def header(name: str, description: str, *, required: bool = False, **rules: object) -> dict[str, Any]:
    """A header of requests, by the rules of its schema."""
    schema = {"type": "string", "maxLength": MAX_HEADER, **rules}
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


SESSION_HEADER = header(
    "X-Modelyard-Session",
    "The id of an upload that goes on, or its URL: the body is what `Content-Range` says of the file.",
)
OFFER = header(
    "X-Modelyard-Upload",
    "`RemoteObject.ID` of an upload to the bucket that is complete: the request carries no bytes, and "
    "answers when they have been read back and verified.",
)

# The IETF's draft of resumable uploads; see `http.draft`.
INTEROP = header(resumption.INTEROP, "Which draft of the IETF is spoken: 6 or 8.", enum=sorted(resumption.SPOKEN))
LENGTH = header("Upload-Length", "Bytes of the file, where they are known.", pattern=NUMBER)
COMPLETE = header(
    "Upload-Complete", "`?0`: more bytes are to come, and go to `Location`.", enum=sorted(resumption.BOOLEANS)
)
# Nobody looks at what they say beside a file that comes at once.
_BEGINNING = [header(each["name"], f"{each['description']} For `Upload-Complete: ?0`.") for each in (LENGTH, INTEROP)]
UPLOAD = BODY_OR_FORM | {"parameters": [OFFER, SESSION_HEADER, COMPLETE, *_BEGINNING]}
BEGIN = BODY_OR_FORM | {"parameters": [COMPLETE | {"required": True}, *_BEGINNING]}
SPOKEN = {resumption.INTEROP: MAYBE_HEADER | {"description": "As the request has it."}}
_BEGUN = SPOKEN | {
    "Upload-Offset": MAYBE_NUMBER | {"description": "Of an upload that goes on."},
    "Upload-Complete": MAYBE_HEADER,
    "Upload-Limit": MAYBE_HEADER,
    **{name: told | {"required": False} for name, told in STORED["headers"].items()},
}
CREATED_OR_BEGUN = CREATED | {
    "description": "The file is durable, or an upload has begun that goes on at `Location`.",
    "headers": CREATED["headers"] | _BEGUN,
}
