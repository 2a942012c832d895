"""The model registry's file API: authorize, upload and download, by version id or `candidate:<iid>`.

These operations take the bare request and read their own path, since no other is as hot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Literal, NotRequired, TypeVar

import orjson
from fastapi import Depends, Path, Request, Response
from typing_extensions import TypedDict

from modelyard.access.tokens import read_credential
from modelyard.errors import MethodNotAllowed
from modelyard.routes.gitlab.claims import Claim, read_stated, refuse_other_facts, sent_file
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.http import draft, resuming
from modelyard.routes.http.answers import Answer, BytesAnswer, Sha256, Url
from modelyard.routes.http.bodies import has_body, read_query
from modelyard.routes.http.known import known_first
from modelyard.routes.http.params import validate
from modelyard.routes.http.path_params import FileName, ProjectKey, VersionKey
from modelyard.routes.http.refusals import Message, refusing
from modelyard.routes.http.routing import SHAPE, Traits
from modelyard.routes.http.transferred import BEGIN, CREATED, CREATED_OR_BEGUN, DOWNLOADED, NUMBER_HEADER, UPLOAD
from modelyard.routes.http.transfers import UploadOptions, files_of, precondition_of, serve, store
from modelyard.routes.http.urls import own_url
from modelyard.services.files.locating import Address, FileRequest
from modelyard.services.files.remote import Offer
from modelyard.terms.paths import files_path
from modelyard.wire.encodings import refuse_encoded
from modelyard.wire.headers import combined, encoded
from modelyard.wire.paths import parse_file_name, parse_owner, parse_project

router = gitlab_router(files_path("{project}", "{model_version_id}"), "model files")

PERMITTED = (
    "The upload is permitted. `RemoteObject` is there where the client may upload to the bucket by itself: it PUTs each"
    " part of `PartSize` bytes to its URL, POSTs the ETags to `CompleteURL` as S3's CompleteMultipartUpload, and then"
    " PUTs an empty body to `URL` with `ID` as `X-Modelyard-Upload`."
)


class StoredNow(TypedDict):
    """The file that the upload would follow."""

    SHA256: Sha256
    Size: int


class MultipartUpload(TypedDict):
    """Where the parts of an upload go."""

    PartSize: int
    PartURLs: Sequence[Url]
    CompleteURL: Url
    AbortURL: Url


class RemoteObject(TypedDict):
    """An upload past this server, in the shape in which GitLab's Rails gives it to Workhorse."""

    ID: str
    Timeout: int
    GetURL: Url
    MultipartUpload: MultipartUpload


class UploadPermission(TypedDict):
    """What an upload may be, and where it goes."""

    MaximumSize: int
    UploadHashFunctions: list[str]
    Method: Literal["PUT"]
    URL: Url
    Exists: StoredNow | None
    RemoteObject: NotRequired[RemoteObject]


T = TypeVar("T")

COMPLETE, SESSION = "upload-complete", "x-modelyard-session"  # of uploads that go on
NO_HEADERS: Mapping[str, str] = {}
AUTHORIZE_SUFFIX = "/authorize"
MAX_REMEMBERED = 512  # characters of an address; anybody can make up 4 096 of 16 KiB
PATH = "/{name:path}"


async def _addressed(
    project: ProjectKey,
    model_version_id: VersionKey,
    name: Annotated[FileName, Path(description="`(*path/):file_name`")],
) -> None:
    """Says to OpenAPI what the path names; the operations read it themselves."""


ADDRESSED = [Depends(_addressed)]


@router.put(
    PATH + AUTHORIZE_SUFFIX,
    summary="Check an upload before its bytes are sent",
    dependencies=ADDRESSED,
    responses={
        200: {"description": PERMITTED, SHAPE: UploadPermission},
        201: CREATED | {"description": "A file whose own name is `authorize` is durable."},
        **refusing(408, 412, 413, 415),
    },
)
@Traits(direct=True, query=Claim)
async def authorize(request: Request) -> Answer[UploadPermission] | Answer[Message]:
    """Answer all that the upload would answer, but for its body. It promises nothing: the upload checks again.

    A file whose own name is `authorize` is taken where its type or its bytes show that it is one.
    """
    headers, address = combined(request.scope["headers"]), _address(request)
    async with known_first(request) as visitor:
        if has_body(headers):
            await visitor.introduce()
        request, is_file = await sent_file(request, headers)
        if is_file:
            return await _upload(request, AUTHORIZE_SUFFIX)
        refuse_encoded(headers)
        stated = await read_stated(request)
        claim = validate(Claim, read_query(request) | stated)
    credential, files = read_credential(request.scope["headers"]), files_of(request)
    permit = await files.uploads.authorize(FileRequest.by(credential, address), claim.size)
    current = permit.current
    refuse_other_facts(stated)
    precondition_of(headers)(current)
    body: UploadPermission = {
        "MaximumSize": files.uploads.max_file_size,
        "UploadHashFunctions": ["sha256"],
        "Method": "PUT",
        "URL": own_url(request).removesuffix(AUTHORIZE_SUFFIX),
        "Exists": {"SHA256": current.sha256, "Size": current.size} if current and not current.damaged else None,
    }
    offer = await files.bypass.offer(permit, claim.size, claim.sha256) if claim.size else None
    if offer is None:
        return _json(body)
    body["RemoteObject"] = _remote_object(offer)
    return _json(body, headers={"Cache-Control": "no-store"})


def _remote_object(offer: Offer) -> RemoteObject:
    upload = offer.upload
    return {
        "ID": offer.id,
        "Timeout": offer.seconds,
        "GetURL": upload.get_url,
        "MultipartUpload": {
            "PartSize": upload.part_size,
            "PartURLs": upload.part_urls,
            "CompleteURL": upload.complete_url,
            "AbortURL": upload.abort_url,
        },
    }


@router.put(
    PATH,
    status_code=201,
    summary="Upload a file",
    dependencies=ADDRESSED,
    openapi_extra=UPLOAD,
    responses={
        201: CREATED_OR_BEGUN,
        202: {"description": "The upload goes on.", "headers": {"Upload-Offset": NUMBER_HEADER}, SHAPE: Message},
        **refusing(409, 410, 412, 423),
    },
)
@Traits(direct=True, query=UploadOptions)
async def upload(request: Request) -> Answer[Message]:
    """Take a form with a part named `file`, or any other body as the bytes themselves; 201 means durable."""
    return await _upload(request)


async def _upload(request: Request, suffix: str = "") -> Answer[Message]:
    address, headers = _address(request, suffix), combined(request.scope["headers"])
    if COMPLETE in headers and (begun := await draft.begin(request, address, headers)):
        return begun
    created: Message = {"message": "201 Created"}
    if SESSION in headers:
        session = await resuming.put_on(request, address, headers, headers[SESSION])
        if not session.finished:
            going_on: Message = {"message": "202 Accepted"}
            return _json(going_on, 202, {"Upload-Offset": str(session.offset)})
        return _json(created, 201, {"Location": own_url(request), **resuming.validators_of(session)})
    stored = await store(request, address, files_of(request), headers)
    return _json(created, 201, {"Location": own_url(request), **stored})


@router.post(
    PATH,
    status_code=201,
    summary="Begin an upload that goes on by the IETF's draft",
    dependencies=ADDRESSED,
    openapi_extra=BEGIN,
    responses={201: CREATED_OR_BEGUN, **refusing(405, 409, 410, 412, 423)},
)
@Traits(direct=True, special=True, query=UploadOptions)
async def begin(request: Request) -> Answer[Message]:
    """As PUT does, since that draft lets clients begin by any method."""
    if COMPLETE not in combined(request.scope["headers"]):
        async with known_first(request):
            raise MethodNotAllowed("GET, HEAD, PUT")
    return await _upload(request)


@router.head(PATH, include_in_schema=False)
@router.get(
    PATH,
    summary="Download a file",
    response_class=Response,
    dependencies=ADDRESSED,
    responses=DOWNLOADED,
)
@Traits(direct=True, public=True)
async def download(request: Request) -> Response:
    """Answer with the bytes, whole or in ranges, as conditions and ranges of RFC 9110 ask."""
    return await serve(request, _address(request), files_of(request))


def _address(request: Request, suffix: str = "") -> Address:
    path = request.scope["path_params"]
    project, owner, name = path["project"], path["model_version_id"], path["name"] + suffix
    parse = _parsed if len(project) + len(owner) + len(name) <= MAX_REMEMBERED else _parse
    return parse(project, owner, name)


def _parse(project: str, model_version_id: str, name: str) -> Address:
    parsed_name = parse_file_name(name)
    return Address(parse_project(project), parse_owner(model_version_id), parsed_name)


_parsed = lru_cache(maxsize=4096)(_parse)


def _json(body: T, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> Answer[T]:
    content = orjson.dumps(body)
    own = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    return BytesAnswer(status, encoded({**own, **headers}), content)
