"""What all answers of tus have in common, refusals too, and the headers by which it speaks, for OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from fastapi import Request, Response

from modelyard.errors import BodyTooLarge, Locked
from modelyard.routes.http import draft, failures, resuming
from modelyard.routes.http.refusals import Message, TokenError
from modelyard.routes.http.refusals import ParameterError as ParameterErrorShape
from modelyard.routes.http.routing import Face, Route
from modelyard.routes.http.transferred import BYTES, MAYBE_HEADER, NUMBER_HEADER, TEXT_HEADER, VALIDATORS
from modelyard.services.files.ingest import FileTooLarge
from modelyard.services.resuming.sessions import WrongOffset
from modelyard.wire import tus

Endpoint = Callable[..., Awaitable[Response]]

PASSING = frozenset({429, 500, 503, 504, 507})  # refusals that may be none the next time


class UploadRoute(Route):
    """A route of tus."""

    face = Face(
        "Upload", Message | ParameterErrorShape | TokenError, headers=("Tus-Resumable", "Tus-Version", "Upload-Offset")
    )


NUMBER = "^[0-9]{1,19}$"


def _header(name: str, description: str, *, required: bool = False, **rules: object) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": tus.MAX_METADATA, **rules}
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


TUS = _header("Tus-Resumable", "The version.", required=True, enum=[tus.VERSION])
CREATING = [
    TUS,
    _header("Upload-Length", "Bytes of the file.", pattern=NUMBER),
    _header("Upload-Defer-Length", "The length is told later.", enum=["1"]),
    _header("Upload-Metadata", "`path` or `filename`, in base64: where the file is to be.", required=True),
]
APPENDING = [
    TUS,
    _header("Upload-Offset", "Where these bytes begin.", required=True, pattern=NUMBER),
    _header("Upload-Length", "Bytes of the file, where it was not told.", pattern=NUMBER),
    _header("Upload-Checksum", "Algorithm (sha1, sha256, sha512, md5) and digest of these bytes in base64."),
]
SPOKEN = {"Tus-Resumable": TEXT_HEADER}
TOLD = SPOKEN | {
    "Upload-Offset": NUMBER_HEADER,
    "Upload-Expires": MAYBE_HEADER | {"description": "Until the file is there."},
    **{name: header | {"required": False} for name, header in VALIDATORS.items()},
}
CHUNK: dict[str, Any] = {"requestBody": {"content": {tus.CHUNK_TYPE: {"schema": BYTES}}}}


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
