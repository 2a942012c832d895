"""The model registry's file API: authorize, upload and download, by version id or `candidate:<iid>`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from modelyard.access.tokens import read_credential
from modelyard.routes.params import parameters, query_documented
from modelyard.routes.transfers import Files, UploadOptions, precondition_of, serve, store
from modelyard.routes.urls import own_url
from modelyard.services.files import Address
from modelyard.wire.headers import combined
from modelyard.wire.paths import parse_file_name, parse_owner, parse_project

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


async def _address(
    project: Annotated[str, Path(description="Project id, or URL-encoded path.")],
    model_version_id: Annotated[str, Path(description="Version id, or `candidate:` and a candidate's iid.")],
    name: Annotated[str, Path(description="`(*path/):file_name`")],
) -> Address:
    file_name = parse_file_name(name)
    return Address(parse_project(project), parse_owner(model_version_id), file_name)


FileAddress = Annotated[Address, Depends(_address)]


@router.put("/{name:path}/authorize", summary="Check an upload before its bytes are sent")
async def authorize(request: Request, address: FileAddress, files: Files, claim: Claim = parameters(Claim)) -> Response:
    """Answer all that the upload would answer, but for its body. It promises nothing: the upload checks again."""
    current = await files.authorize(read_credential(request.scope["headers"]), address, claim.size)
    precondition_of(combined(request.scope["headers"]))(current)
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
    headers = {"Location": own_url(request), **await store(request, address, files)}
    return JSONResponse({"message": "201 Created"}, 201, headers)


@router.head("/{name:path}", include_in_schema=False)
@router.get("/{name:path}", summary="Download a file", response_class=Response)
async def download(request: Request, address: FileAddress, files: Files) -> Response:
    """Answer with the bytes, whole or in ranges, as conditions and ranges of RFC 9110 ask."""
    return await serve(request, address, files)
