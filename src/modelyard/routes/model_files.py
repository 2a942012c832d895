"""The model registry's file API: authorize, upload and download, by version id or `candidate:<iid>`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from modelyard.access.tokens import read_credential
from modelyard.errors import BadRequest, PreconditionFailed
from modelyard.registry.locations import StoredFile
from modelyard.routes.params import parameters, query_documented, read_query, validate
from modelyard.routes.urls import own_url
from modelyard.services.files import Address, Download, FileService, Precondition
from modelyard.services.ingest import Expectations
from modelyard.wire.conditions import Outcome, evaluate
from modelyard.wire.digests import DigestCheck, MalformedDigest, parse_digest_field
from modelyard.wire.headers import combined
from modelyard.wire.paths import parse_file_name, parse_owner, parse_project
from modelyard.wire.ranges import ByteRange
from modelyard.wire.receive import FORM_OVERHEAD_BYTES, file_pieces, is_form
from modelyard.wire.representation import Representation, answer_download
from modelyard.wire.send import FileResponse

router = APIRouter(
    prefix="/api/v4/projects/{project}/packages/ml_models/{model_version_id}/files", tags=["model files"]
)

AUTHORIZE_SUFFIX = "/authorize"
UPLOAD_BODY = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        }
    }
}


class Claim(BaseModel):
    """What a client may declare of a file before it sends it."""

    size: int | None = Field(None, ge=0, description="Bytes that the file has.")
    sha256: str | None = Field(None, pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the file in hex.")


class UploadOptions(BaseModel):
    """Parameters in the query of an upload."""

    status: Literal["default", "hidden"] | None = Field(None, description="Status that the whole package gets.")


async def _files(request: Request) -> FileService:
    service: FileService = request.app.state.files
    return service


async def _address(
    project: Annotated[str, Path(description="Project id, or URL-encoded path.")],
    model_version_id: Annotated[str, Path(description="Version id, or `candidate:` and a candidate's iid.")],
    name: Annotated[str, Path(description="`(*path/):file_name`")],
) -> Address:
    file_name = parse_file_name(name)
    return Address(parse_project(project), parse_owner(model_version_id), file_name)


FileAddress = Annotated[Address, Depends(_address)]
Files = Annotated[FileService, Depends(_files)]


@router.put("/{name:path}/authorize", summary="Check an upload before its bytes are sent")
async def authorize(request: Request, address: FileAddress, files: Files, claim: Claim = parameters(Claim)) -> Response:
    """Answer all that the upload would answer, but for its body. It promises nothing: the upload checks again."""
    current = await files.authorize(read_credential(request.scope["headers"]), address, claim.size)
    _precondition(combined(request.scope["headers"]))(current)
    return JSONResponse(
        {
            "MaximumSize": files.max_file_size,
            "UploadHashFunctions": ["sha256"],
            "Method": "PUT",
            "URL": own_url(request).removesuffix(AUTHORIZE_SUFFIX),
            "Exists": {"SHA256": current.sha256, "Size": current.size} if current else None,
        }
    )


@router.put(
    "/{name:path}",
    status_code=201,
    summary="Upload a file",
    openapi_extra=UPLOAD_BODY | query_documented(UploadOptions),
)
async def upload(request: Request, address: FileAddress, files: Files) -> Response:
    """Take a form with a part named `file`, or any other body as the bytes themselves; 201 means durable."""
    credential = read_credential(request.scope["headers"])
    options = validate(UploadOptions, read_query(request))
    headers = combined(request.scope["headers"])
    expectations = _expectations(headers, files.max_file_size)
    precondition = _precondition(headers)
    precondition(await files.authorize(credential, address, _declared_size(headers)))
    pieces = file_pieces(request.stream(), headers.get("content-type"), expectations.body)
    stored = await files.upload(credential, address, pieces, expectations, precondition, options.status)
    location = {"Location": own_url(request)}
    return JSONResponse({"message": "201 Created"}, 201, location | _representation(stored).validator_headers)


@router.head("/{name:path}", include_in_schema=False)
@router.get("/{name:path}", summary="Download a file", response_class=Response)
async def download(request: Request, address: FileAddress, files: Files) -> Response:
    """Answer with the bytes, whole or in ranges, as conditions and ranges of RFC 9110 ask."""
    opened = await files.download(read_credential(request.scope["headers"]), address)
    try:
        answer = answer_download(request.method, combined(request.scope["headers"]), _representation(opened.file))
    except BaseException:
        opened.reader.close()
        raise
    if answer.framing is None and (opened.content is not None or not answer.parts):
        opened.reader.close()
        return _small(answer.status, answer.headers, opened, answer.parts)
    return FileResponse(answer.status, answer.headers, files.source(opened.reader), answer.parts, answer.framing)


def _small(status: int, headers: dict[str, str], opened: Download, parts: list[ByteRange]) -> Response:
    content = (opened.content or b"")[parts[0].start : parts[0].stop] if parts else b""
    return Response(content, status, headers)


def _representation(file: StoredFile) -> Representation:
    return Representation(file.name, file.sha256, file.size, file.created_at // 1000)


def _precondition(headers: Mapping[str, str]) -> Precondition:
    """The request's `If-Match` and its kin, to be held against the file that the upload would follow."""

    def check(current: StoredFile | None) -> None:
        validators = _representation(current).validators if current else None
        if evaluate("PUT", headers, validators) is not Outcome.PROCEED:
            raise PreconditionFailed

    return check


def _declared_size(headers: Mapping[str, str]) -> int | None:
    """The least size in bytes that the file can have by its Content-Length; None for a chunked body."""
    length = headers.get("content-length")
    if length is None:
        return None
    return max(0, int(length) - FORM_OVERHEAD_BYTES) if is_form(headers.get("content-type")) else int(length)


def _expectations(headers: Mapping[str, str], max_size: int) -> Expectations:
    """What the request says of its bytes. Raises BadRequest for what cannot be held."""
    if "content-range" in headers:
        # RFC 9110 section 14.5: to store a part as if it were the whole would lose the rest silently.
        raise BadRequest("Content-Range is not supported in an upload")
    try:
        representation = parse_digest_field(headers.get("repr-digest"))
        content = parse_digest_field(headers.get("content-digest"))
    except MalformedDigest as error:
        raise BadRequest(str(error)) from error
    form = is_form(headers.get("content-type"))
    return Expectations(
        max_size, representation, content, DigestCheck(content, own_sha256=True) if form and content else None
    )
