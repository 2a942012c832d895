"""MLflow's multipart uploads: begun, completed and aborted here, their parts sent to URLs of their own.

Its client uses them by itself where server-info tells of them, for files of 500 MiB and more, in parts of 10 MiB.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote

from fastapi import Request
from pydantic import Field
from typing_extensions import TypedDict

from modelyard.access.tokens import read_credential
from modelyard.errors import DoesNotExist, InvalidValue, MLflowError
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, Url, answer
from modelyard.routes.http.params import parameters
from modelyard.routes.http.path_params import FileName, ProjectKey
from modelyard.routes.http.refusals import refusing
from modelyard.routes.http.urls import base_url
from modelyard.routes.mlflow.common import mlflow_router
from modelyard.routes.mlflow.messages import Message
from modelyard.services.files.locating import Address, FileRequest
from modelyard.services.resuming.claims import UploadNotFound
from modelyard.services.resuming.parts import MAX_PARTS, PartUploads
from modelyard.terms.paths import API, MLFLOW, MLFLOW_ARTIFACTS, UPLOADS
from modelyard.wire import tus
from modelyard.wire.paths import parse_artifact_path, parse_file_name, parse_project, split_project

router = mlflow_router(f"{MLFLOW_ARTIFACTS.removeprefix(MLFLOW)}/mpu", "mlflow artifacts")

_SEPARATORS = re.compile(r"[/\\]")  # of the client's own machine, whichever that is


class CreateParts(Message):
    """A file on the client's machine."""

    path: str = Field(description="Where it lies there; only its last part is the name of the file.")
    num_parts: int = Field(ge=1, description="How many parts will be sent.")


class SentPart(Message):
    """A part that was sent."""

    part_number: int = Field(ge=1)
    etag: str


class EndParts(Message):
    """An upload that is aborted."""

    path: str
    upload_id: str


class CompleteParts(EndParts):
    """All parts of an upload."""

    parts: Annotated[list[SentPart], Field(max_length=MAX_PARTS, fail_fast=True)]


class Credential(TypedDict):
    """Where a part goes, and with which headers."""

    url: Url
    part_number: int
    headers: dict[str, str]


class Created(TypedDict):
    """An upload whose parts may be sent."""

    upload_id: str
    credentials: list[Credential]


def parts_of(request: Request) -> PartUploads | None:
    """The service; None where the store has no such uploads."""
    found: PartUploads | None = request.app.state.parts
    return found


@router.post("/create/{path:path}", summary="Begin an upload in parts", responses=refusing(429, 501))
async def create(
    request: Request, project: ProjectKey, path: FileName, wanted: CreateParts = parameters(CreateParts)
) -> Answer[Created]:
    """To the directory of the path, by the name of the client's file. Each part has a URL of its own, a secret."""
    address, parts = _address(project, path, wanted.path), parts_of(request)
    if parts is None or wanted.num_parts > MAX_PARTS:
        # The one server error that MLflow's client takes for an answer: it sends the file whole.
        message = "Multipart upload is not supported for the current artifact repository"
        raise MLflowError("NOT_IMPLEMENTED", f"{message}: it has at most {MAX_PARTS} parts", 501)
    begun = await parts.begin(FileRequest.by(read_credential(request.scope["headers"]), address), wanted.num_parts)
    base = f"{base_url(request)}{API}{UPLOADS}/{begun.uid}/parts"
    credentials: list[Credential] = [
        {"url": f"{base}/{number}?signature={signature}", "part_number": number, "headers": {}}
        for number, signature in enumerate(begun.signatures, 1)
    ]
    response: Answer[Created] = answer({"upload_id": begun.uid, "credentials": credentials})
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/complete/{path:path}", summary="Make a file of the parts of an upload", responses=refusing(503))
async def complete(
    request: Request, project: ProjectKey, path: FileName, told: CompleteParts = parameters(CompleteParts)
) -> Answer[Nothing]:
    """The file is there when this answers; asked again it answers the same. 503 says to ask again."""
    etags = {part.part_number: part.etag.strip('"') for part in told.parts}
    if len(etags) < len(told.parts):
        raise InvalidValue("A part is named twice")
    parts, uid = _known(request, told.upload_id)
    try:
        await parts.complete(read_credential(request.scope["headers"]), uid, _address(project, path, told.path), etags)
    except UploadNotFound as error:
        raise DoesNotExist(f"No upload {uid} exists") from error
    return answer(NOTHING)


@router.post("/abort/{path:path}", summary="Forget an upload in parts")
async def abort(
    request: Request, project: ProjectKey, path: FileName, told: EndParts = parameters(EndParts)
) -> Answer[Nothing]:
    """A file that it has become already stays."""
    parts, uid = _known(request, told.upload_id)
    try:
        await parts.abort(read_credential(request.scope["headers"]), uid, _address(project, path, told.path))
    except UploadNotFound as error:
        raise DoesNotExist(f"No upload {uid} exists") from error
    return answer(NOTHING)


def _known(request: Request, upload_id: str) -> tuple[PartUploads, str]:
    parts = parts_of(request)
    if parts is None or not tus.UID.fullmatch(upload_id):
        raise DoesNotExist("No such upload exists")
    return parts, upload_id


def _address(project: str, path: str, local: str) -> Address:
    """Where the file goes: below the directory of the path, by the last part of its path on the client's machine."""
    other, path = split_project(path)
    owner, directory = parse_artifact_path(path)
    name = quote(_SEPARATORS.split(local)[-1], safe="")
    full = f"{directory}/{name}" if directory else name
    return Address(parse_project(project) if other is None else other, owner, parse_file_name(full))
