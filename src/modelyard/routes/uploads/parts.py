"""Parts of uploads, sent to URLs that carry the right to do so: MLflow's clients send no token there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import WithJsonSchema

from modelyard.access.tokens import read_credential
from modelyard.errors import BadRequest
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.transferred import BODY, TEXT_HEADER
from modelyard.routes.http.transfers import expectations_of
from modelyard.routes.uploads.spoken import ONE, UploadKey, UploadRoute
from modelyard.services.resuming.parts import PartUploads
from modelyard.terms.paths import API, parse_id
from modelyard.wire import tus
from modelyard.wire.headers import combined
from modelyard.wire.receive import is_form

router = APIRouter(prefix=API, tags=["resumable uploads"], route_class=UploadRoute)

PartNumber = Annotated[
    str, Path(description="From 1 on."), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 10_000})
]
SIGNATURE = {
    "name": "signature",
    "in": "query",
    "required": True,
    "description": "As the URL was told.",
    "schema": {"type": "string", "maxLength": 128},
}


@router.put(
    f"{ONE}/parts/{{number}}",
    summary="Send a part of an upload",
    response_class=Response,
    openapi_extra=BODY | {"parameters": [SIGNATURE]},
    responses={
        200: {"description": "The part is durable, and `ETag` is its SHA-256.", "headers": {"ETag": TEXT_HEADER}},
        **refusing(404, 413, 415),
    },
)
@Traits(public=True)
async def receive(request: Request, upload_id: UploadKey, number: PartNumber) -> Response:
    """In any order, several at once, and again in place of what came before; the URL is the permission."""
    headers, signature = combined(request.scope["headers"]), request.query_params.get("signature", "")
    parts: PartUploads = request.app.state.parts
    credential = read_credential(request.scope["headers"])
    uid = upload_id if tus.UID.fullmatch(upload_id) else ""  # which is none: who asks is looked at first
    part = await parts.admit(uid, parse_id(number), signature, credential)
    if is_form(headers.get("content-type")):
        raise BadRequest("A part is no form")
    expected = expectations_of(headers)
    declared = None if "transfer-encoding" in headers else int(headers.get("content-length", "0"))
    sha256 = await parts.receive(part, request.stream(), declared, expected)
    return Response(headers={"ETag": f'"{sha256}"'})
