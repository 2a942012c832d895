"""One upload, at its own URL: asked for, gone on with and cancelled, by tus and by the IETF's draft."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from modelyard.access.tokens import read_credential
from modelyard.errors import MethodNotAllowed, ParameterError
from modelyard.routes.http import draft, resuming
from modelyard.routes.http.known import known_first
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.transferred import SPOKEN as DRAFT
from modelyard.routes.uploads.spoken import (
    APPENDING,
    CHUNKS,
    DRAFT_KNOWN,
    DRAFT_TOLD,
    EITHER,
    FINISHED,
    KNOWN,
    MEANT,
    ONE,
    OVERRIDE,
    OVERRIDING,
    SPOKEN,
    TOLD,
    UploadKey,
    UploadRoute,
    is_draft,
    of_either,
    piece_of,
    require_version,
    spoken,
    told_of,
)
from modelyard.terms.paths import API
from modelyard.wire.headers import combined

router = APIRouter(prefix=API, tags=["resumable uploads"], route_class=UploadRoute)


@router.head(
    ONE,
    summary="Show where an upload goes on",
    response_class=Response,
    openapi_extra={"parameters": EITHER},
    responses={
        200: {"description": "To clients of tus.", "headers": KNOWN},
        204: {"description": "To clients of the draft.", "headers": DRAFT_KNOWN},
        **refusing(404, 409, 410, 412, 413, 423),
    },
)
@spoken
async def where(request: Request, upload_id: UploadKey) -> Response:
    """Tell where the upload goes on. Whoever has written it until now writes nothing more."""
    headers = combined(request.scope["headers"])
    async with known_first(request):
        if is_draft(headers):
            return await draft.where(request, resuming.uid_of(upload_id), headers)
        require_version(headers)
    session = await resuming.uploads_of(request).where(
        read_credential(request.scope["headers"]), resuming.uid_of(upload_id)
    )
    told = {"Cache-Control": "no-store"} | told_of(session)
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
    openapi_extra=CHUNKS | {"parameters": APPENDING},
    responses={
        201: FINISHED | {"description": "To clients of the draft: the file is there."},
        204: {
            "description": "What `Upload-Offset` tells is durable; where that is the length, the file is there.",
            "headers": of_either(TOLD, DRAFT_TOLD),
        },
        **draft.PROBLEMS,
        **refusing(404, 410, 412, 413, 415, 423, 429, 460),
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
    openapi_extra={"parameters": EITHER},
    responses={
        204: {"description": "It is gone; a file that it has become stays.", "headers": of_either(SPOKEN, DRAFT)},
        **refusing(404, 412, 423),
    },
)
@spoken
async def cancel(request: Request, upload_id: UploadKey) -> Response:
    """Forget it, and whoever writes it."""
    return await _cancel(request, upload_id)


@router.post(
    ONE,
    status_code=204,
    summary="Send another method",
    response_class=Response,
    openapi_extra=CHUNKS | {"parameters": OVERRIDING},
    responses={
        201: FINISHED | {"description": "As PATCH answers."},
        204: {"description": "As PATCH or DELETE answers.", "headers": of_either(TOLD, DRAFT_TOLD, {})},
        **draft.PROBLEMS,
        **refusing(404, 405, 410, 412, 413, 415, 423, 429, 460),
    },
)
@spoken
async def overridden(request: Request, upload_id: UploadKey) -> Response:
    """Do what `X-HTTP-Method-Override` says, for clients that cannot send it as the method."""
    meant = dict(zip(MEANT, (_append, _cancel), strict=True)).get(request.headers.get(OVERRIDE, "").upper())
    async with known_first(request):
        if meant is None:
            raise MethodNotAllowed("DELETE, HEAD, OPTIONS, PATCH")
    return await meant(request, upload_id)


async def _append(request: Request, upload_id: str) -> Response:
    headers = combined(request.scope["headers"])
    if is_draft(headers):
        return await draft.append(request, resuming.uid_of(upload_id), headers)
    async with known_first(request):
        require_version(headers)
        offset = resuming.number_of(headers, "Upload-Offset")
        if offset is None:
            raise ParameterError("Upload-Offset is missing")
        piece = piece_of(request, headers, offset, resuming.number_of(headers, "Upload-Length"))
    session = await resuming.received(request, resuming.uid_of(upload_id), piece)
    return Response(status_code=204, headers=told_of(session))


async def _cancel(request: Request, upload_id: str) -> Response:
    async with known_first(request):
        headers = combined(request.scope["headers"])
        if not is_draft(headers):
            require_version(headers)
    await resuming.uploads_of(request).cancel(read_credential(request.scope["headers"]), resuming.uid_of(upload_id))
    return Response(status_code=204)
