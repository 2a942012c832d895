"""The model registry's file API: authorize, upload and download, by version id or `candidate:<iid>`.

These operations take the bare request and read their own path, so that `direct` can call them without FastAPI.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import orjson
from fastapi import Request, Response

from modelyard.access.tokens import read_credential
from modelyard.routes.gitlab.claims import Claim, read_stated, refuse_other_facts, sent_file
from modelyard.routes.gitlab.face import gitlab_router
from modelyard.routes.gitlab.model_files_schema import OFFER, PERMISSION, UPLOAD_BODY, described
from modelyard.routes.http.bodies import has_body, read_query
from modelyard.routes.http.known import known_first
from modelyard.routes.http.params import query_documented, validate
from modelyard.routes.http.transfers import UploadOptions, files_of, precondition_of, serve, store
from modelyard.routes.http.urls import own_url
from modelyard.services.files.locating import Address, FileRequest
from modelyard.services.files.remote import Offer
from modelyard.wire.encodings import refuse_encoded
from modelyard.wire.headers import combined, encoded
from modelyard.wire.paths import parse_file_name, parse_owner, parse_project
from modelyard.wire.send import BytesResponse

router = gitlab_router("/projects/{project}/packages/ml_models/{model_version_id}/files", "model files")

NO_HEADERS: Mapping[str, str] = {}
AUTHORIZE_SUFFIX = "/authorize"
MAX_REMEMBERED = 512  # characters of an address; anybody can make up 4 096 of 16 KiB
PATH = "/{name:path}"


async def authorize(request: Request) -> Response:
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
    body: dict[str, object] = {
        "MaximumSize": files.uploads.max_file_size,
        "UploadHashFunctions": ["sha256"],
        "Method": "PUT",
        "URL": own_url(request).removesuffix(AUTHORIZE_SUFFIX),
        "Exists": {"SHA256": current.sha256, "Size": current.size} if current and not current.damaged else None,
    }
    offer = await files.bypass.offer(permit, claim.size, claim.sha256) if claim.size else None
    if offer is None:
        return _json(body)
    return _json(body | {"RemoteObject": _remote_object(offer)}, headers={"Cache-Control": "no-store"})


def _remote_object(offer: Offer) -> dict[str, object]:
    """An upload past this server, in the shape in which GitLab's Rails gives it to Workhorse."""
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


async def upload(request: Request) -> Response:
    """Take a form with a part named `file`, or any other body as the bytes themselves; 201 means durable."""
    return await _upload(request)


async def _upload(request: Request, suffix: str = "") -> Response:
    stored = await store(request, _address(request, suffix), files_of(request))
    return _json({"message": "201 Created"}, 201, {"Location": own_url(request), **stored})


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


def _json(body: dict[str, object], status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    content = orjson.dumps(body)
    own = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    return BytesResponse(status, encoded({**own, **headers}), content)


router.add_api_route(
    PATH + AUTHORIZE_SUFFIX,
    authorize,
    methods=["PUT"],
    summary="Check an upload before its bytes are sent",
    openapi_extra=described(query_documented(Claim), PERMISSION),
)
router.add_api_route(
    PATH,
    upload,
    methods=["PUT"],
    status_code=201,
    summary="Upload a file",
    openapi_extra=described(UPLOAD_BODY, query_documented(UploadOptions), OFFER),
)
router.add_api_route(
    PATH,
    download,
    methods=["GET"],
    summary="Download a file",
    response_class=Response,
    openapi_extra=described(),
)
router.add_api_route(PATH, download, methods=["HEAD"], include_in_schema=False)
