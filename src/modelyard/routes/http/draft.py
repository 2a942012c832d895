"""The IETF's draft of resumable uploads, by careful creation: the URL of an upload is told before its bytes are sent.

No 104 is ever sent: http.client, urllib3 and requests take it for the final answer. Whoever sends all bytes with the
creation (`Upload-Complete: ?1`) has an ordinary upload.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired

import orjson
from fastapi import Request, Response
from typing_extensions import TypedDict

from modelyard import departures
from modelyard.access.tokens import read_credential
from modelyard.errors import BadRequest, MessageError, ParameterError, UnsupportedMediaType
from modelyard.routes.http import resuming
from modelyard.routes.http.answers import Answer
from modelyard.routes.http.bodies import has_body, read_query
from modelyard.routes.http.known import known_first
from modelyard.routes.http.params import validate
from modelyard.routes.http.refusals import Message
from modelyard.routes.http.routing import SHAPE
from modelyard.routes.http.transfers import UploadOptions
from modelyard.services.files.locating import Address, FileRequest
from modelyard.services.resuming.sessions import InconsistentLength, Session, WrongOffset
from modelyard.wire import resumption
from modelyard.wire.receive import is_form

Problem = TypedDict(
    "Problem",
    {
        "type": str,
        "title": str,
        "status": int,
        "message": str,
        "expected-offset": NotRequired[int],
        "provided-offset": NotRequired[int],
    },
)
Problem.__doc__ = "A refusal in the draft's shape (RFC 9457) and in GitLab's."
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {SHAPE: Problem, "content": {resumption.PROBLEM_TYPE: {}}} for status in (400, 409)
}


def speaks(headers: Mapping[str, str]) -> bool:
    """Whether a request to an upload's URL is one of the draft's."""
    return "upload-complete" in headers or resumption.INTEROP.lower() in headers


async def begin(request: Request, address: Address, headers: Mapping[str, str]) -> Answer[Message] | None:
    """Begin an upload to a file's own URL; None where all of its bytes come with the request.

    Raises ParameterError, BadRequest, and as `ResumableUploads.begin` and `append` do.
    """
    async with known_first(request) as visitor:
        if _complete(headers):
            return None
        if has_body(headers):
            await visitor.introduce()
        _require_spoken(headers)
        if is_form(headers.get("content-type")):
            raise BadRequest("A form cannot go on")
        options = validate(UploadOptions, read_query(request))
        terms, length = resuming.terms_of(headers, options.status), resuming.number_of(headers, "Upload-Length")
    uploads, credential = resuming.uploads_of(request), read_credential(request.scope["headers"])
    session = await uploads.begin(FileRequest.by(credential, address), length, terms)
    if has_body(headers):
        try:
            session = await resuming.received(request, session.uid, resuming.piece_of(request, headers, 0))
        except BaseException:
            departures.begin(None)  # whoever has gone has nobody else to do it
            await uploads.cancel(credential, session.uid)
            raise
    location = {"Location": resuming.location_of(request, session)}
    return _created(location | _limits(request) | _told(session, headers))


async def where(request: Request, uid: str, headers: Mapping[str, str]) -> Response:
    """Tell where an upload goes on."""
    _require_spoken(headers)
    session = await resuming.uploads_of(request).where(read_credential(request.scope["headers"]), uid)
    length = {} if session.length is None else {"Upload-Length": str(session.length)}
    told = {"Cache-Control": "no-store"} | length | _limits(request) | _told(session, headers)
    return Response(status_code=204, headers=told)


async def append(request: Request, uid: str, headers: Mapping[str, str]) -> Response:
    """Take the next bytes; the answer to the last ones is that of an ordinary upload."""
    async with known_first(request):
        _require_spoken(headers)
        offset, ends = resuming.number_of(headers, "Upload-Offset"), _complete(headers)
        if offset is None or ends is None:
            raise ParameterError("Upload-Offset and Upload-Complete are needed")
        if headers.get("content-type", "").split(";")[0].strip().lower() != resumption.CHUNK_TYPE:
            raise UnsupportedMediaType(f"The bytes of an upload have the type {resumption.CHUNK_TYPE}")
        length = resuming.number_of(headers, "Upload-Length")
        piece = resuming.piece_of(request, headers, offset, length, ends=ends)
    try:
        session = await resuming.received(request, uid, piece)
    except WrongOffset as error:
        problem = _problem(error, resumption.MISMATCHING_OFFSET)
        places: Problem = {**problem, "expected-offset": error.offset, "provided-offset": offset}
        return _refused(places, error.headers | {"Upload-Offset": str(error.offset)})
    except InconsistentLength as error:
        return _refused(_problem(error, resumption.INCONSISTENT_LENGTH), error.headers)
    told = _told(session, headers)
    if not session.finished:
        return Response(status_code=204, headers=told)
    return _created(told | {"Location": resuming.file_location(request, session)})


def _created(headers: Mapping[str, str]) -> Answer[Message]:
    created: Message = {"message": "201 Created"}
    return Answer(orjson.dumps(created), 201, headers)


def _told(session: Session, headers: Mapping[str, str]) -> dict[str, str]:
    told = {"Upload-Offset": str(session.offset), "Upload-Complete": "?1" if session.finished else "?0"}
    if (version := headers.get(resumption.INTEROP.lower())) is not None:
        told[resumption.INTEROP] = version
    return told | resuming.validators_of(session)


def _limits(request: Request) -> dict[str, str]:
    uploads = resuming.uploads_of(request)
    return {"Upload-Limit": resumption.limits(uploads.max_file_size, uploads.beginning.bounds.seconds)}


def _complete(headers: Mapping[str, str]) -> bool | None:
    try:
        return resumption.complete(headers)
    except ValueError as error:
        raise ParameterError(str(error)) from error


def _require_spoken(headers: Mapping[str, str]) -> None:
    if not resumption.is_spoken(headers):
        raise BadRequest(f"{resumption.INTEROP} is none of {', '.join(sorted(resumption.SPOKEN))}")


def _problem(error: MessageError, kind: str) -> Problem:
    said = str(error.body["message"])
    return {"type": kind, "title": said, "status": error.status, "message": said}


def _refused(problem: Problem, headers: Mapping[str, str]) -> Response:
    return Response(orjson.dumps(problem), problem["status"], headers, resumption.PROBLEM_TYPE)
