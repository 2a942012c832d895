"""Models: one with its files, and lists of them."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Annotated, NotRequired

import orjson
from fastapi import Request
from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from modelyard.access.policy import Visibility
from modelyard.clock import iso
from modelyard.registry.repository import Registry
from modelyard.routes.http.answers import Answer, Sha256, Timestamp
from modelyard.routes.http.call import ApiCall, Call
from modelyard.routes.http.params import Parameters, comma_separated, parameters
from modelyard.routes.http.routing import Traits
from modelyard.routes.hub.common import MODELS, REPOSITORY, AskedId, Revision, at_revision, hub_router, read_revision
from modelyard.services.hub.commits import Snapshot
from modelyard.services.hub.manifests import Entry
from modelyard.terms.lfs import blob_id, pointer
from modelyard.terms.repositories import MAIN, RepositoryId

router = hub_router(MODELS + REPOSITORY)

MAX_PROPERTIES = 100  # that one asks for; clients know some thirty


class Lfs(TypedDict):
    """A file as Git LFS knows it."""

    sha256: Sha256
    size: int
    pointerSize: int


class Sibling(TypedDict):
    """A file of a model; all but its name only with `blobs`."""

    rfilename: str
    size: NotRequired[int]
    blobId: NotRequired[str]
    lfs: NotRequired[Lfs]


class SecurityStatus(TypedDict):
    """Whether files were scanned, and what was found."""

    scansDone: bool
    filesWithIssues: list[str]


class ModelInfo(TypedDict):
    """A model at a revision; with `expand`, only what that names, and the id."""

    id: str
    modelId: NotRequired[str]
    author: NotRequired[str]
    sha: NotRequired[str]
    createdAt: NotRequired[Timestamp]
    lastModified: NotRequired[Timestamp]
    private: NotRequired[bool]
    gated: NotRequired[bool]
    disabled: NotRequired[bool]
    tags: NotRequired[list[str]]
    siblings: NotRequired[list[Sibling]]
    usedStorage: NotRequired[int]
    securityRepoStatus: NotRequired[SecurityStatus]


class InfoQuery(Parameters):
    """What is told of a model."""

    blobs: bool = Field(False, description="With size and digest of each file.")
    securityStatus: bool = Field(False, description="With what is known of scans.")  # noqa: N815 - the API's own name
    expand: Annotated[list[str], Field(max_length=MAX_PROPERTIES), BeforeValidator(comma_separated)] = Field(
        [], description="Only these properties; those that are not known are left out."
    )


@router.get("", summary="Show a model")
@Traits(public=True)
async def show_model(
    request: Request, call: ApiCall, asked: AskedId, query: InfoQuery = parameters(InfoQuery, public=True)
) -> Answer[ModelInfo]:
    """Its newest version, for whoever sees it."""
    return await _show(request, call, asked, MAIN, query)


@router.get("/revision/{revision}", summary="Show a model at a revision")
@Traits(public=True)
async def show_model_at_revision(
    request: Request,
    call: ApiCall,
    asked: AskedId,
    revision: Revision,
    query: InfoQuery = parameters(InfoQuery, public=True),
) -> Answer[ModelInfo]:
    """For whoever sees it."""
    return await _show(request, call, asked, read_revision(revision), query)


async def _show(
    request: Request, call: Call, asked: RepositoryId | None, revision: str, query: InfoQuery
) -> Answer[ModelInfo]:
    return Answer(await at_revision(request, call, asked, revision, partial(_written, query)))


def _written(query: InfoQuery, _registry: Registry, snapshot: Snapshot) -> bytes:
    """The answer in JSON, written on the thread that read it: a model may have many files."""
    wanted = frozenset(query.expand)
    return orjson.dumps(info_of(snapshot, wanted, blobs=query.blobs, security=query.securityStatus))


def info_of(snapshot: Snapshot, wanted: Collection[str], *, blobs: bool, security: bool) -> ModelInfo:
    """A model as the API shows it; `wanted`: only these properties, empty: all that are usual."""
    repository, manifest = snapshot.repository, snapshot.manifest
    info: ModelInfo = {
        "id": str(repository.id),
        "modelId": str(repository.id),
        "author": repository.id.namespace,
        "sha": snapshot.commit,
        "createdAt": iso(repository.model.created_at),
        "lastModified": iso(snapshot.changed_at),
        "private": repository.facts.visibility != Visibility.PUBLIC,
        "gated": False,
        "disabled": False,
        "tags": [],
    }
    if not wanted or "siblings" in wanted:
        info["siblings"] = [sibling_of(entry, blobs=blobs) for entry in manifest.entries()]
    if not wanted or "usedStorage" in wanted:
        info["usedStorage"] = manifest.size
    if security:
        info["securityRepoStatus"] = {"scansDone": False, "filesWithIssues": []}
    if not wanted:
        return info
    kept = {"id", *wanted} | ({"securityRepoStatus"} if security else set())
    return {name: value for name, value in info.items() if name in kept}  # type: ignore[return-value]


def sibling_of(entry: Entry, *, blobs: bool) -> Sibling:
    """A file as model info shows it."""
    if not blobs:
        return {"rfilename": entry.name}
    return {
        "rfilename": entry.name,
        "size": entry.size,
        "blobId": blob_id(entry.sha256, entry.size),
        "lfs": {
            "sha256": entry.sha256,
            "size": entry.size,
            "pointerSize": len(pointer(entry.sha256, entry.size)),
        },
    }
