"""tus 1.0.0 (https://tus.io/protocols/resumable-upload), for tus-js-client, Uppy, tuspy and others.

Concatenation is not offered: it copies, and hashes late, and browsers gain little by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import WithJsonSchema

from modelyard import departures
from modelyard.access.tokens import read_credential
from modelyard.errors import (
    BadRequest,
    MethodNotAllowed,
    ParameterError,
    TusVersion,
    UnsupportedMediaType,
)
from modelyard.routes.http import draft, resuming
from modelyard.routes.http.bodies import has_body, read_query
from modelyard.routes.http.known import known_first
from modelyard.routes.http.params import validate
from modelyard.routes.http.path_params import ProjectKey, VersionKey
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.transferred import TEXT_HEADER
from modelyard.routes.http.transfers import UploadOptions
from modelyard.routes.uploads.spoken import APPENDING, CHUNK, CREATING, SPOKEN, TOLD, TUS, UploadRoute, is_draft, spoken
from modelyard.services.files.locating import Address, FileRequest
from modelyard.services.resuming.sessions import Piece, Session, Terms
from modelyard.terms.digests import DigestCheck
from modelyard.terms.paths import API, MODEL_FILES, UPLOADS
from modelyard.wire import tus
from modelyard.wire.headers import combined
from modelyard.wire.paths import parse_named, parse_owner, parse_project

router = APIRouter(prefix=API, tags=["resumable uploads"], route_class=UploadRoute)

OF_VERSION = f"/projects/{{project}}{MODEL_FILES}/{{model_version_id}}{UPLOADS}"
ONE = f"{UPLOADS}/{{upload_id}}"
OVERRIDE = "x-http-method-override"

UploadKey = Annotated[
    str,
    Path(description="As `Location` has told it."),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
]


@router.options(OF_VERSION, status_code=204, include_in_schema=False)
@router.options(ONE, status_code=204, include_in_schema=False)
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
        _require_version(headers)
        length, terms, name = _asked(request, headers)
        address = Address(parse_project(project), parse_owner(model_version_id), name)
        first = _piece(request, headers, 0, length) if has_body(headers) else None
    uploads, credential = resuming.uploads_of(request), read_credential(request.scope["headers"])
    session = await uploads.begin(FileRequest.by(credential, address), length, terms)
    if first is not None:
        session = await _begun_with(request, session, first)
    return Response(status_code=201, headers={"Location": resuming.location_of(request, session)} | _told(session))


@router.head(ONE, include_in_schema=False)
@spoken
async def where(request: Request, upload_id: UploadKey) -> Response:
    """Tell where the upload goes on. Whoever has written it until now writes nothing more."""
    headers = combined(request.scope["headers"])
    async with known_first(request):
        if is_draft(headers):
            return await draft.where(request, resuming.uid_of(upload_id), headers)
        _require_version(headers)
    session = await resuming.uploads_of(request).where(
        read_credential(request.scope["headers"]), resuming.uid_of(upload_id)
    )
    told = {"Cache-Control": "no-store"} | _told(session)
    if session.length is None:
        told["Upload-Defer-Length"] = "1"
    else:
        told["Upload-Length"] = str(session.length)
    if session.metadata:
        told["Upload-Metadata"] = session.metadata
    return Response(headers=told)


@router.patch(
    ONE,
    status_code=204,
    summary="Go on with an upload",
    response_class=Response,
    openapi_extra=CHUNK | {"parameters": APPENDING},
    responses={
        204: {
            "description": "What `Upload-Offset` tells is durable; where that is the length, the file is there.",
            "headers": TOLD,
        },
        **refusing(404, 409, 410, 412, 413, 415, 423, 429, 460),
    },
)
@spoken
async def append(request: Request, upload_id: UploadKey) -> Response:
    """Take the next bytes. When all are there, the file is."""
    return await _append(request, upload_id)


@router.delete(
    ONE,
    status_code=204,
    summary="Cancel an upload",
    response_class=Response,
    openapi_extra={"parameters": [TUS]},
    responses={
        204: {"description": "It is gone; a file that it has become stays.", "headers": SPOKEN},
        **refusing(404, 412, 423),
    },
)
@spoken
async def cancel(request: Request, upload_id: UploadKey) -> Response:
    """Forget it, and whoever writes it."""
    return await _cancel(request, upload_id)


@router.post(ONE, status_code=204, include_in_schema=False)
@spoken
async def overridden(request: Request, upload_id: UploadKey) -> Response:
    """Do what `X-HTTP-Method-Override` says, for clients that cannot send it as the method."""
    meant = {"PATCH": _append, "DELETE": _cancel}.get(request.headers.get(OVERRIDE, "").upper())
    async with known_first(request):
        if meant is None:
            raise MethodNotAllowed("DELETE, HEAD, OPTIONS, PATCH")
    return await meant(request, upload_id)


async def _append(request: Request, upload_id: str) -> Response:
    headers = combined(request.scope["headers"])
    if is_draft(headers):
        return await draft.append(request, resuming.uid_of(upload_id), headers)
    async with known_first(request):
        _require_version(headers)
        offset = resuming.number_of(headers, "Upload-Offset")
        if offset is None:
            raise ParameterError("Upload-Offset is missing")
        piece = _piece(request, headers, offset, resuming.number_of(headers, "Upload-Length"))
    session = await resuming.received(request, resuming.uid_of(upload_id), piece)
    return Response(status_code=204, headers=_told(session))


async def _cancel(request: Request, upload_id: str) -> Response:
    async with known_first(request):
        headers = combined(request.scope["headers"])
        if not is_draft(headers):
            _require_version(headers)
    await resuming.uploads_of(request).cancel(read_credential(request.scope["headers"]), resuming.uid_of(upload_id))
    return Response(status_code=204)


async def _begun_with(request: Request, session: Session, first: Piece) -> Session:
    """The upload after its first bytes; where these are refused, or end early, nobody knows of it, and it goes."""
    try:
        return await resuming.received(request, session.uid, first)
    except BaseException:
        departures.begin(None)  # whoever has gone has nobody else to do it
        await resuming.uploads_of(request).cancel(read_credential(request.scope["headers"]), session.uid)
        raise


def _piece(request: Request, headers: Mapping[str, str], offset: int, length: int | None) -> Piece:
    """What a request carries. Raises UnsupportedMediaType and ParameterError."""
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != tus.CHUNK_TYPE:
        raise UnsupportedMediaType(f"The bytes of an upload have the type {tus.CHUNK_TYPE}")
    expected = _read(tus.checksum, headers.get("upload-checksum"))
    check = DigestCheck(expected, own_sha256=True) if expected else None
    return resuming.piece_of(request, headers, offset, length, check=check)


def _asked(request: Request, headers: Mapping[str, str]) -> tuple[int | None, Terms, str]:
    """Length, terms and name of a new upload. Raises ParameterError and BadRequest."""
    if "upload-concat" in headers:
        raise BadRequest("Upload-Concat is not offered")
    options = validate(UploadOptions, read_query(request))
    length = _read(tus.length, headers)
    named = _read(tus.metadata, headers.get("upload-metadata"))
    name = named.get("path") or named.get("filename")
    if name is None:
        raise ParameterError("Upload-Metadata has neither path nor filename")
    return length, resuming.terms_of(headers, options.status, headers.get("upload-metadata")), parse_named(name)


def _require_version(headers: Mapping[str, str]) -> None:
    if headers.get("tus-resumable") != tus.VERSION:
        raise TusVersion(tus.VERSION)


def _told(session: Session) -> dict[str, str]:
    """What every answer tells of an upload."""
    headers = {"Upload-Offset": str(session.offset)}
    if session.sha256 is None:
        headers["Upload-Expires"] = tus.date(session.expires_at)
    return headers | resuming.validators_of(session)


def _read(read: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - what `read` takes and gives
    try:
        return read(*arguments)
    except tus.MalformedHeader as error:
        raise ParameterError(str(error)) from error
