"""Files and folders of a repository, and its history."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Annotated, Literal, NamedTuple, NotRequired

import orjson
from fastapi import Request
from pydantic import BeforeValidator, Field
from typing_extensions import TypedDict

from modelyard.access.policy import Action
from modelyard.access.tokens import digest_of, read_credential
from modelyard.clock import iso
from modelyard.errors import EntryNotFound
from modelyard.registry.hub.commits import Listed
from modelyard.registry.repository import Registry
from modelyard.routes.http.answers import Answer, Sha256, Timestamp
from modelyard.routes.http.bodies import SMALL_BODY_BYTES, Values, bodies_of
from modelyard.routes.http.call import ApiCall, Call
from modelyard.routes.http.params import (
    Parameters,
    list_fields,
    one_or_many,
    parameters,
    validate,
)
from modelyard.routes.http.path_params import FileName
from modelyard.routes.http.routing import Traits
from modelyard.routes.hub.common import (
    MODELS,
    PAGED,
    REPOSITORY,
    AskedId,
    Revision,
    at_revision,
    hub_router,
    page,
    read_name,
    read_revision,
)
from modelyard.services.hub import callers
from modelyard.services.hub.commits import Snapshot
from modelyard.services.hub.manifests import Entry
from modelyard.services.hub.trees import Node, find_nodes, nodes_in
from modelyard.services.traffic.throttling import network_of
from modelyard.terms.lfs import blob_id, pointer
from modelyard.terms.paths import MAX_NAME_BYTES
from modelyard.terms.repositories import RepositoryId

router = hub_router(MODELS + REPOSITORY)

MAX_ITEMS = 1_000  # on a page
MAX_PATHS = 1_000
MAX_CURSOR = 64  # characters
CURSOR = r"^([0-9a-f]{40}\.[0-9]{1,9})?$"


class TreeLfs(TypedDict):
    """A file as Git LFS knows it."""

    oid: Sha256
    size: int
    pointerSize: int


class LastCommit(TypedDict):
    """The commit in which a file came to be what it is."""

    id: str
    title: str
    date: Timestamp


class TreeItem(TypedDict):
    """A file, or a folder; what was last done to it only with `expand`."""

    type: Literal["file", "directory"]
    path: str
    oid: str
    size: int
    lfs: NotRequired[TreeLfs]
    lastCommit: NotRequired[LastCommit]
    securityFileStatus: NotRequired[None]


class TreeQuery(Parameters):
    """Which part of a tree is told."""

    recursive: bool = False
    expand: bool = Field(False, description="With the last commit of each.")
    limit: int = Field(MAX_ITEMS, ge=1, description=f"Of items on a page, {MAX_ITEMS} at most.")
    cursor: str = Field(
        "", max_length=MAX_CURSOR, pattern=CURSOR, description="Where the page begins, as `Link` says it."
    )


class PathsQuery(Parameters):
    """Which files and folders are told."""

    paths: Annotated[
        list[Annotated[str, Field(max_length=MAX_NAME_BYTES)]],
        Field(max_length=MAX_PATHS, fail_fast=True),
        BeforeValidator(one_or_many),
    ] = Field([], description="Those that are not there are left out.")
    expand: bool = Field(False, description="With the last commit of each.")


class Place(NamedTuple):
    """Where a page of a tree begins: the commit that the first page was of, and how many items came before."""

    commit: str
    offset: int

    @classmethod
    def read(cls, cursor: str) -> Place:
        """The place that a cursor says."""
        commit, _, offset = cursor.partition(".")
        return cls(commit, int(offset))

    def __str__(self) -> str:
        return f"{self.commit}.{self.offset}"


@router.get("/tree/{revision}", summary="List files and folders", responses=PAGED)
@Traits(public=True)
async def list_tree(
    request: Request,
    call: ApiCall,
    asked: AskedId,
    revision: Revision,
    query: TreeQuery = parameters(TreeQuery, public=True),
) -> Answer[list[TreeItem]]:
    """For whoever sees the model."""
    return await _list(request, call, asked, revision, "", query)


@router.get("/tree/{revision}/{path:path}", summary="List what lies in a folder", responses=PAGED)
@Traits(public=True)
async def list_folder(
    request: Request,
    call: ApiCall,
    asked: AskedId,
    revision: Revision,
    path: FileName,
    query: TreeQuery = parameters(TreeQuery, public=True),
) -> Answer[list[TreeItem]]:
    """For whoever sees the model."""
    return await _list(request, call, asked, revision, read_name(path).strip("/"), query)


async def _list(
    request: Request, call: Call, asked: RepositoryId | None, segment: str, folder: str, query: TreeQuery
) -> Answer[list[TreeItem]]:
    revision = read_revision(segment)
    # All pages are of the commit that the first was of, whatever changes meanwhile.
    place = Place.read(query.cursor) if query.cursor else Place(revision, 0)
    content, following = await at_revision(
        request, call, asked, place.commit, partial(_page, folder, place.offset, query)
    )
    return page(request, content, ("cursor", str(following)) if following else None)


def _page(
    folder: str, offset: int, query: TreeQuery, registry: Registry, snapshot: Snapshot
) -> tuple[bytes, Place | None]:
    """The answer in JSON, and where the next page begins. Raises EntryNotFound."""
    if folder and not snapshot.manifest.has_folder(folder):
        raise EntryNotFound(folder, snapshot.commit)
    limit = min(query.limit, MAX_ITEMS)
    nodes = nodes_in(snapshot, folder, recursive=query.recursive)
    found = list(islice(nodes, offset, offset + limit + 1))
    following = Place(snapshot.commit, offset + limit) if len(found) > limit else None
    return orjson.dumps(_items(registry, snapshot, found[:limit], expand=query.expand)), following


@router.post("/paths-info/{revision}", summary="Show files and folders")
@Traits(public=True, body=PathsQuery)
async def show_paths(request: Request, call: ApiCall, asked: AskedId, revision: Revision) -> Answer[list[TreeItem]]:
    """For whoever sees the model; also strangers send what they ask for in a body, which is read of no one else."""
    await call.read_public(lambda registry, caller: callers.check_access(registry, caller, asked, Action.READ))
    credential, client = read_credential(request.scope["headers"]), request.client
    request.scope["sender"] = digest_of(credential) if credential else network_of(client.host if client else "")
    lists = list_fields(PathsQuery)

    def read(values: Values) -> PathsQuery:
        return validate(PathsQuery, values)

    query = await bodies_of(request).read(request, read, SMALL_BODY_BYTES, lists)
    return Answer(await at_revision(request, call, asked, read_revision(revision), partial(_named, query)))


def _named(query: PathsQuery, registry: Registry, snapshot: Snapshot) -> bytes:
    return orjson.dumps(_items(registry, snapshot, find_nodes(snapshot, query.paths), expand=query.expand))


def _items(registry: Registry, snapshot: Snapshot, nodes: Iterable[Node], *, expand: bool) -> list[TreeItem]:
    items = [_item(node) for node in nodes]
    if expand:
        listed = registry.commits.listed(snapshot.commit)
        last: LastCommit = {
            "id": snapshot.commit,
            "title": title_of(snapshot, listed),
            "date": iso(snapshot.changed_at),
        }
        for item in items:
            item["lastCommit"] = last
            item["securityFileStatus"] = None
    return items


def _item(node: Node) -> TreeItem:
    if not isinstance(node, Entry):
        return {"type": "directory", "path": node.name, "oid": node.oid, "size": 0}
    return {
        "type": "file",
        "path": node.name,
        "oid": blob_id(node.sha256, node.size),
        "size": node.size,
        "lfs": {"oid": node.sha256, "size": node.size, "pointerSize": len(pointer(node.sha256, node.size))},
    }


def title_of(snapshot: Snapshot, listed: Listed | None) -> str:
    """What a commit is called: as who made it said, else as its version."""
    if listed is not None and listed.title:
        return listed.title
    return f"Version {snapshot.version.version}" if snapshot.version is not None else "No version yet"
