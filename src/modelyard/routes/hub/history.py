"""What revisions a model has, and what a version was before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NotRequired

import orjson
from fastapi import Request
from pydantic import Field
from typing_extensions import TypedDict

from modelyard.access.identity import Identity
from modelyard.clock import iso
from modelyard.registry.hub.commits import Listed
from modelyard.registry.repository import Registry
from modelyard.registry.tables import ModelVersion
from modelyard.routes.http.answers import Answer, Timestamp
from modelyard.routes.http.call import ApiCall
from modelyard.routes.http.params import Parameters, parameters
from modelyard.routes.http.routing import Traits
from modelyard.routes.hub.common import (
    MODELS,
    PAGED,
    REPOSITORY,
    AskedId,
    Revision,
    at_revision,
    commits_of,
    hub_router,
    page,
    read_revision,
    told,
)
from modelyard.routes.hub.trees import title_of
from modelyard.services.hub.commits import Snapshot
from modelyard.services.hub.repositories import find_repository
from modelyard.terms.repositories import MAIN

router = hub_router(MODELS + REPOSITORY)

MAX_TAGS = 500  # the highest versions
MAX_COMMITS = 100  # on a page
MAX_PAGE = 2**31


class Ref(TypedDict):
    """A name for a commit."""

    name: str
    ref: str
    targetCommit: str


class Refs(TypedDict):
    """All names for commits: the newest version as the branch `main`, and versions as tags."""

    branches: list[Ref]
    tags: list[Ref]
    converts: list[Ref]
    pullRequests: NotRequired[list[Ref]]


class Author(TypedDict):
    """Who made a commit."""

    user: str


class HistoryItem(TypedDict):
    """A commit that was told."""

    id: str
    title: str
    message: str
    date: Timestamp
    authors: list[Author]


class RefsQuery(Parameters):
    """What is told beside branches and tags."""

    include_prs: bool = Field(False, description="There are no pull requests here.")


class HistoryQuery(Parameters):
    """Which page of a history is told."""

    p: int = Field(0, ge=0, le=MAX_PAGE, description="Page, counted from 0.")
    limit: int = Field(MAX_COMMITS, ge=1, description=f"Of commits on a page, {MAX_COMMITS} at most.")


@router.get("/refs", summary="List revisions")
@Traits(public=True)
async def list_refs(
    request: Request, call: ApiCall, asked: AskedId, query: RefsQuery = parameters(RefsQuery, public=True)
) -> Answer[Refs]:
    """For whoever sees the model."""
    commits = commits_of(request)

    def work(registry: Registry, caller: Identity) -> tuple[list[Snapshot], bytes]:
        repository = find_repository(registry, caller, asked)
        versions: Sequence[ModelVersion | None] = registry.versions.highest(repository.model.id, MAX_TAGS)
        snapshots = [commits.current(registry, repository, version) for version in versions or [None]]
        refs: Refs = {
            "branches": [{"name": MAIN, "ref": f"refs/heads/{MAIN}", "targetCommit": snapshots[0].commit}],
            "tags": [_tag(snapshot, snapshot.version.version) for snapshot in snapshots if snapshot.version],
            "converts": [],
        }
        if query.include_prs:
            refs["pullRequests"] = []
        return snapshots, orjson.dumps(refs)

    return Answer(await told(request, call, work))


def _tag(snapshot: Snapshot, version: str) -> Ref:
    return {"name": version, "ref": f"refs/tags/{version}", "targetCommit": snapshot.commit}


@router.get("/commits/{revision}", summary="List commits", responses=PAGED)
@Traits(public=True)
async def list_commits(
    request: Request,
    call: ApiCall,
    asked: AskedId,
    revision: Revision,
    query: HistoryQuery = parameters(HistoryQuery, public=True),
) -> Answer[list[HistoryItem]]:
    """What a version is, and was before, as far as anybody was told; for whoever sees the model."""
    content, more = await at_revision(request, call, asked, read_revision(revision), partial(_page, query))
    return page(request, content, ("p", query.p + 1) if more else None)


def _page(query: HistoryQuery, registry: Registry, snapshot: Snapshot) -> tuple[bytes, bool]:
    """The answer in JSON, and whether another page follows."""
    limit = min(query.limit, MAX_COMMITS)
    first, oid = query.p * limit, snapshot.commit
    commits = [registry.commits.listed(oid) or Listed(oid, snapshot.changed_at)] if first == 0 else []
    version = snapshot.version
    if version is not None:
        # The commit itself is the first of all.
        wanted = limit + 1 - len(commits)
        commits += registry.commits.before(version.id, oid, max(0, first - 1), wanted)
    user = registry.users.by_id(version.user_id) if version is not None and version.user_id is not None else None
    items = [_item(each, snapshot, user.username if user is not None else None) for each in commits[:limit]]
    return orjson.dumps(items), len(commits) > limit


def _item(listed: Listed, snapshot: Snapshot, creator: str | None) -> HistoryItem:
    """A commit in the words of who made it; one that came about otherwise is told as its version, and who made that."""
    user = listed.author if listed.title is not None else creator
    return {
        "id": listed.oid,
        "title": title_of(snapshot, listed),
        "message": listed.message or "",
        "date": iso(listed.changed_at),
        "authors": [{"user": user}] if user is not None else [],
    }
