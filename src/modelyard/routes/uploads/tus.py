"""tus 1.0.0 (https://tus.io/protocols/resumable-upload), for tus-js-client, Uppy, tuspy and others.

Concatenation is not offered: it copies, and hashes late, and browsers gain little by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from modelyard import departures
from modelyard.access.tokens import read_credential
from modelyard.errors import BadRequest, ParameterError
from modelyard.routes.http import resuming
from modelyard.routes.http.bodies import has_body, read_query
from modelyard.routes.http.known import known_first
from modelyard.routes.http.params import validate
from modelyard.routes.http.path_params import ProjectKey, VersionKey
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.transferred import MAYBE_NUMBER, TEXT_HEADER
from modelyard.routes.http.transfers import UploadOptions
from modelyard.routes.uploads.spoken import (
    CHUNK,
    CREATING,
    ONE,
    SPOKEN,
    TOLD,
    UploadKey,
    UploadRoute,
    piece_of,
    read_header,
    require_version,
    spoken,
    told_of,
)
from modelyard.services.files.locating import Address, FileRequest
from modelyard.services.resuming.sessions import Piece, Session, Terms
from modelyard.terms.paths import API, MODEL_FILES, UPLOADS
from modelyard.wire import tus
from modelyard.wire.headers import combined
from modelyard.wire.paths import parse_named, parse_owner, parse_project

router = APIRouter(prefix=API, tags=["resumable uploads"], route_class=UploadRoute)

OF_VERSION = f"/projects/{{project}}{MODEL_FILES}/{{model_version_id}}{UPLOADS}"


async def _of_version(project: ProjectKey, model_version_id: VersionKey) -> None:
    """Says to OpenAPI what the path names, of which nothing is looked at."""


async def _one(upload_id: UploadKey) -> None:
    """Says so, too."""


OPTIONS: dict[str, Any] = {
    "status_code": 204,
    "summary": "Show what is spoken here",
    "response_class": Response,
    "responses": {
        204: {
            "description": "Versions and extensions of tus.",
            "headers": SPOKEN
            | dict.fromkeys(("Tus-Version", "Tus-Extension", "Tus-Checksum-Algorithm"), TEXT_HEADER)
            | {"Tus-Max-Size": MAYBE_NUMBER},
        },
        **refusing(404),
    },
}


@router.options(OF_VERSION, dependencies=[Depends(_of_version)], **OPTIONS)
@router.options(ONE, dependencies=[Depends(_one)], **OPTIONS)
@Traits(public=True)
@spoken
async def options(request: Request) -> Response:
    """Tell what is spoken here, to everybody but whoever has a credential that is not valid."""
    async with known_first(request, public=True) as visitor:
        await visitor.identify()
    headers = {
        "Tus-Version": tus.VERSION,
        "Tus-Extension": tus.EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
    }
    if most := resuming.uploads_of(request).max_file_size:
        headers["Tus-Max-Size"] = str(most)
    return Response(status_code=204, headers=headers)


@router.post(
    OF_VERSION,
    status_code=201,
    summary="Begin an upload that can go on",
    response_class=Response,
    openapi_extra=CHUNK | {"parameters": CREATING},
    responses={
        201: {"description": "It goes on at `Location`.", "headers": TOLD | {"Location": TEXT_HEADER}},
        **refusing(409, 410, 412, 413, 415, 423, 429, 460),
    },
)
@Traits(query=UploadOptions)
@spoken
async def create(request: Request, project: ProjectKey, model_version_id: VersionKey) -> Response:
    """Where the body has the type of a PATCH, it is the first piece."""
    headers = combined(request.scope["headers"])
    async with known_first(request) as visitor:
        if has_body(headers):
            await visitor.introduce()
        require_version(headers)
        length, terms, name = _asked(request, headers)
        address = Address(parse_project(project), parse_owner(model_version_id), name)
        first = piece_of(request, headers, 0, length) if has_body(headers) else None
    uploads, credential = resuming.uploads_of(request), read_credential(request.scope["headers"])
    session = await uploads.begin(FileRequest.by(credential, address), length, terms)
    if first is not None:
        session = await _begun_with(request, session, first)
    return Response(status_code=201, headers={"Location": resuming.location_of(request, session)} | told_of(session))


async def _begun_with(request: Request, session: Session, first: Piece) -> Session:
    """The upload after its first bytes; where these are refused, or end early, nobody knows of it, and it goes."""
    try:
        return await resuming.received(request, session.uid, first)
    except BaseException:
        departures.begin(None)  # whoever has gone has nobody else to do it
        await resuming.uploads_of(request).cancel(read_credential(request.scope["headers"]), session.uid)
        raise


def _asked(request: Request, headers: Mapping[str, str]) -> tuple[int | None, Terms, str]:
    """Length, terms and name of a new upload. Raises ParameterError and BadRequest."""
    if "upload-concat" in headers:
        raise BadRequest("Upload-Concat is not offered")
    options = validate(UploadOptions, read_query(request))
    length = read_header(tus.length, headers)
    named = read_header(tus.metadata, headers.get("upload-metadata"))
    name = named.get("path") or named.get("filename")
    if name is None:
        raise ParameterError("Upload-Metadata has neither path nor filename")
    return length, resuming.terms_of(headers, options.status, headers.get("upload-metadata")), parse_named(name)
