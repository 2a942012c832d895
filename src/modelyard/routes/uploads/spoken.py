"""What all answers of tus have in common, refusals too, and the headers by which it speaks, for OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import WithJsonSchema

from modelyard.errors import BodyTooLarge, Locked, ParameterError, TusVersion, UnsupportedMediaType
from modelyard.routes.http import draft, failures, resuming
from modelyard.routes.http.refusals import Message, TokenError
from modelyard.routes.http.refusals import ParameterError as ParameterErrorShape
from modelyard.routes.http.routing import Face, Route
from modelyard.routes.http.transferred import (
    BYTES,
    COMPLETE,
    CREATED,
    INTEROP,
    LENGTH,
    MAYBE_HEADER,
    MAYBE_NUMBER,
    NUMBER,
    NUMBER_HEADER,
    TEXT_HEADER,
    VALIDATORS,
    header,
)
from modelyard.routes.http.transferred import SPOKEN as DRAFT
from modelyard.services.files.ingest import FileTooLarge
from modelyard.services.resuming.sessions import Piece, Session, WrongOffset
from modelyard.terms.digests import DigestCheck
from modelyard.terms.paths import UPLOADS
from modelyard.wire import resumption, tus

Endpoint = Callable[..., Awaitable[Response]]

PASSING = frozenset({429, 500, 503, 504, 507})  # refusals that may be none the next time


class UploadRoute(Route):
    """A route of tus."""

    face = Face(
        "Upload", Message | ParameterErrorShape | TokenError, headers=("Tus-Resumable", "Tus-Version", "Upload-Offset")
    )


ONE = f"{UPLOADS}/{{upload_id}}"
UploadKey = Annotated[
    str,
    Path(description="As `Location` has told it."),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
]

OVERRIDE = "X-HTTP-Method-Override"
MEANT = ("PATCH", "DELETE")  # what that header may say

# What requests have in them. Both protocols are spoken at the URL of an upload, each with headers of its own.
TUS = header("Tus-Resumable", "The version of tus, by which its clients are known.", enum=[tus.VERSION])
EITHER = [TUS, INTEROP]
CREATING = [
    TUS | {"required": True},
    LENGTH,
    header("Upload-Defer-Length", "The length is told later.", enum=["1"]),
    header("Upload-Metadata", "`path` or `filename`, in base64: where the file is to be.", required=True),
]
APPENDING = [
    *EITHER,
    header("Upload-Offset", "Where these bytes begin.", required=True, pattern=NUMBER),
    LENGTH,
    header("Upload-Checksum", "Of tus: algorithm (sha1, sha256, sha512, md5) and digest of these bytes in base64."),
    COMPLETE | {"description": "Of the draft, which needs it: `?1` where these are the last bytes."},
]
OVERRIDING = [
    header(OVERRIDE, "The method that is meant.", required=True, enum=list(MEANT)),
    *(each | {"required": False} for each in APPENDING),
]
CHUNK: dict[str, Any] = {"requestBody": {"content": {tus.CHUNK_TYPE: {"schema": BYTES}}}}
CHUNKS: dict[str, Any] = {
    "requestBody": {"content": {kind: {"schema": BYTES} for kind in (tus.CHUNK_TYPE, resumption.CHUNK_TYPE)}}
}

# What answers have in them.
_MAYBE_VALIDATORS = {name: told | {"required": False} for name, told in VALIDATORS.items()}
SPOKEN = {"Tus-Resumable": TEXT_HEADER}
TOLD = SPOKEN | {
    "Upload-Offset": NUMBER_HEADER,
    "Upload-Expires": MAYBE_HEADER | {"description": "Until the file is there."},
    **_MAYBE_VALIDATORS,
}
KNOWN = TOLD | {
    "Upload-Length": MAYBE_NUMBER,
    "Upload-Defer-Length": MAYBE_HEADER | {"description": "1, until the length is told."},
    "Upload-Metadata": MAYBE_HEADER,
}
DRAFT_TOLD = DRAFT | {"Upload-Offset": NUMBER_HEADER, "Upload-Complete": TEXT_HEADER}
DRAFT_KNOWN = DRAFT_TOLD | {"Upload-Length": MAYBE_NUMBER, "Upload-Limit": TEXT_HEADER, **_MAYBE_VALIDATORS}
FINISHED = CREATED | {"headers": VALIDATORS | DRAFT_TOLD | {"Location": TEXT_HEADER}}


def of_either(*several: dict[str, Any]) -> dict[str, Any]:
    """Headers of answers to clients of either protocol, or to several methods: those that some do not have may be
    there.
    """
    united = {name: told for headers in several for name, told in headers.items()}
    always = set(united).intersection(*several)
    return {name: told | {"required": told["required"] and name in always} for name, told in united.items()}


def spoken(endpoint: Endpoint) -> Endpoint:
    """Have all answers of an endpoint say that they are tus', refusals too.

    What passes is 423 to a HEAD: any other refusal makes tus-js-client, and with it Uppy, begin a new upload at zero.
    """

    @wraps(endpoint)
    async def speaking(*arguments: Any, **named: Any) -> Response:  # noqa: ANN401 - whatever the endpoint takes
        request: Request = named["request"]
        try:
            response = await endpoint(*arguments, **named)
        except FileTooLarge:
            most = resuming.uploads_of(request).max_file_size
            response = failures.answer(request, BodyTooLarge(f"A file has {most} bytes at most"))
        except failures.EXPECTED as error:
            if isinstance(error, WrongOffset):
                error.headers["Upload-Offset"] = str(error.offset)
            response = await failures.respond(request, error)
        if is_draft(request.headers):
            return response
        if request.method == "HEAD" and response.status_code in PASSING:
            response = failures.answer(request, Locked("The upload cannot be asked for now", retry_after=5))
        response.headers["Tus-Resumable"] = tus.VERSION
        return response

    return speaking


def is_draft(headers: Mapping[str, str]) -> bool:
    """Whether a client speaks the IETF draft, at the same URLs."""
    return "tus-resumable" not in headers and draft.speaks(headers)


def require_version(headers: Mapping[str, str]) -> None:
    """Raise TusVersion for another version of tus than the one that is spoken, or none."""
    if headers.get("tus-resumable") != tus.VERSION:
        raise TusVersion(tus.VERSION)


def piece_of(request: Request, headers: Mapping[str, str], offset: int, length: int | None) -> Piece:
    """What a request carries. Raises UnsupportedMediaType and ParameterError."""
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != tus.CHUNK_TYPE:
        raise UnsupportedMediaType(f"The bytes of an upload have the type {tus.CHUNK_TYPE}")
    expected = read_header(tus.checksum, headers.get("upload-checksum"))
    check = DigestCheck(expected, own_sha256=True) if expected else None
    return resuming.piece_of(request, headers, offset, length, check=check)


def told_of(session: Session) -> dict[str, str]:
    """What every answer tells of an upload."""
    headers = {"Upload-Offset": str(session.offset)}
    if session.sha256 is None:
        headers["Upload-Expires"] = tus.date(session.expires_at)
    return headers | resuming.validators_of(session)


def read_header(read: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - what `read` takes and gives
    """What `read` finds in headers. Raises ParameterError."""
    try:
        return read(*arguments)
    except tus.MalformedHeader as error:
        raise ParameterError(str(error)) from error
