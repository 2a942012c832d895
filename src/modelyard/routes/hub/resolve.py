"""A file of a repository at a revision: what every download asks.

The operation takes the bare request and reads its own path, so that `direct` can call it without FastAPI.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fastapi import Depends, Request, Response

from modelyard.access.tokens import read_credential
from modelyard.routes.http.path_params import FileName
from modelyard.routes.http.routing import Traits
from modelyard.routes.http.transferred import DOWNLOADED, TEXT_HEADER
from modelyard.routes.http.transfers import (
    download_headers,
    files_of,
    hand_out,
    may_be_redirected,
    redirection,
    representation_of,
)
from modelyard.routes.hub.common import (
    COMMIT,
    REPOSITORY,
    Part,
    Revision,
    hub_router,
    read_id,
    read_name,
    read_revision,
)
from modelyard.services.hub.files import HubFiles, HubRequest
from modelyard.terms.repositories import RepositoryId
from modelyard.wire.digests import etag_of
from modelyard.wire.headers import RawHeaders, combined, encoded
from modelyard.wire.representation import answer_download
from modelyard.wire.send import BytesResponse

router = hub_router()

PATH = f"{REPOSITORY}/resolve/{{revision}}/{{name:path}}"
MAX_REMEMBERED = 512  # characters of an address; anybody can make up 4 096 of 16 KiB


async def _addressed(owner: Part, repository: Part, revision: Revision, name: FileName) -> None:
    """Says to OpenAPI what the path names; the operation reads it itself."""


def _linked(told: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a download, and which headers these clients find in it as well."""
    return {**told, "headers": told["headers"] | dict.fromkeys((COMMIT, "X-Linked-Etag", "X-Linked-Size"), TEXT_HEADER)}


@router.head(PATH, include_in_schema=False)
@router.get(
    PATH,
    summary="Download a file of a model",
    response_class=Response,
    dependencies=[Depends(_addressed)],
    responses={**DOWNLOADED, **{status: _linked(told) for status, told in DOWNLOADED.items() if told}},
)
@Traits(direct=True, public=True)
async def resolve(request: Request) -> Response:
    """The bytes, whole or in ranges, for whoever sees the model; HEAD is answered from what is known of them."""
    asked: HubFiles = request.app.state.hub_files
    credential, files = read_credential(request.scope["headers"]), files_of(request)
    located = await asked.locate(HubRequest.by(credential, *_asked(request)))
    file = located.readable()
    more = _repository_headers(located.commit, file.sha256, file.size)
    if request.method == "HEAD":
        files.uses.note(located)
        answer = answer_download("HEAD", combined(request.scope["headers"]), representation_of(file))
        return BytesResponse(answer.status, answer.headers + more, b"")
    if files.bypass.redirects and may_be_redirected(request):
        redirected = redirection(await files.bypass.url_of(located, file, download_headers), more)
        if redirected is not None:
            return redirected
    return hand_out(request, await files.downloads.hand_out(located, file), files, more)


@lru_cache(maxsize=4096)
def _repository_headers(commit: str, sha256: str, size: int) -> RawHeaders:
    """What the clients ask for; those that are redirected know size and digest by the headers that say `Linked`."""
    return encoded({COMMIT: commit, "X-Linked-Etag": etag_of(sha256), "X-Linked-Size": str(size)})


def _asked(request: Request) -> tuple[RepositoryId | None, str, str]:
    path = request.scope["path_params"]
    owner, repository, revision, name = path["owner"], path["repository"], path["revision"], path["name"]
    parse = _parsed if len(owner) + len(repository) + len(revision) + len(name) <= MAX_REMEMBERED else _parse
    return parse(owner, repository, revision, name)


def _parse(owner: str, repository: str, revision: str, name: str) -> tuple[RepositoryId | None, str, str]:
    return read_id(owner, repository), read_revision(revision), read_name(name)


_parsed = lru_cache(maxsize=4096)(_parse)
