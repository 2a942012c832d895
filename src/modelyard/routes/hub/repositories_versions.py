"""Branches and tags, which are versions here."""

from __future__ import annotations

from fastapi import Request
from pydantic import Field

from modelyard.errors import RevisionNotFound
from modelyard.routes.http.answers import NOTHING, Answer, Nothing, answer
from modelyard.routes.http.call import ApiCall, Call
from modelyard.routes.http.params import Parameters, parameters
from modelyard.routes.http.refusals import refusing
from modelyard.routes.hub.common import (
    MODELS,
    REPOSITORY,
    AskedId,
    Revision,
    commits_of,
    hub_router,
    read_revision,
)
from modelyard.services.hub import versions
from modelyard.services.hub.contents import Contents
from modelyard.terms.repositories import MAIN, RepositoryId

router = hub_router(MODELS + REPOSITORY)


class NewBranch(Parameters):
    """Where a branch begins."""

    startingPoint: str | None = Field(None, description="A revision; `main` without one.")  # noqa: N815 - the API's own
    emptyBranch: bool = Field(False, description="Whether it is to have no files.")  # noqa: N815 - as above
    overwrite: bool = Field(False, description="A branch that is there is never overwritten.")


class NewTag(Parameters):
    """A tag's name."""

    tag: str = Field(description="A semantic version.")
    message: str | None = Field(None, description="Not kept.")


def contents_of(request: Request) -> Contents:
    """What changes the files of versions."""
    contents: Contents = request.app.state.contents
    return contents


@router.post("/branch/{revision}", summary="Create a branch", responses=refusing(409))
async def create_branch(
    request: Request, call: ApiCall, asked: AskedId, revision: Revision, new: NewBranch = parameters(NewBranch)
) -> Answer[Nothing]:
    """A version with the files of where it begins, by the same blobs; 409 for one that is there."""
    return await _create(
        request, call, asked, read_revision(revision), new.startingPoint or MAIN, empty=new.emptyBranch
    )


@router.post("/tag/{revision}", summary="Create a tag", responses=refusing(409))
async def create_tag(
    request: Request, call: ApiCall, asked: AskedId, revision: Revision, new: NewTag = parameters(NewTag)
) -> Answer[Nothing]:
    """As a branch, from the revision in the path."""
    return await _create(request, call, asked, new.tag, read_revision(revision), empty=False)


@router.delete("/branch/{revision}", summary="Delete a branch")
async def delete_branch(call: ApiCall, asked: AskedId, revision: Revision) -> Answer[Nothing]:
    """The version, with its files."""
    return await _delete(call, asked, revision)


@router.delete("/tag/{revision}", summary="Delete a tag")
async def delete_tag(call: ApiCall, asked: AskedId, revision: Revision) -> Answer[Nothing]:
    """The version, with its files."""
    return await _delete(call, asked, revision)


async def _create(
    request: Request, call: Call, asked: RepositoryId | None, name: str, start: str, *, empty: bool
) -> Answer[Nothing]:
    if not start.isprintable():
        raise RevisionNotFound(start)
    commits, contents = commits_of(request), contents_of(request)
    await call.write(
        lambda registry, caller: versions.create(
            registry, caller, asked, name, None if empty else start, commits, contents
        )
    )
    return answer(NOTHING)


async def _delete(call: Call, asked: RepositoryId | None, revision: Revision) -> Answer[Nothing]:
    name = read_revision(revision)
    await call.write(lambda registry, caller: versions.delete(registry, caller, asked, name))
    return answer(NOTHING)
