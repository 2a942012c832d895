"""What all of Hugging Face's API shares: its face, names out of paths, pages, one question to a repository."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from pydantic import WithJsonSchema
from typing_extensions import TypedDict

from modelyard.access.identity import Identity
from modelyard.errors import ParameterError, RevisionNotFound
from modelyard.registry.repository import Registry
from modelyard.routes.http.answers import Answer
from modelyard.routes.http.call import Call
from modelyard.routes.http.routing import Face, Route
from modelyard.routes.http.urls import own_url
from modelyard.services.hub.commits import Commits, Snapshot
from modelyard.terms.paths import MAX_NAME_BYTES
from modelyard.terms.repositories import MAX_PART, PART, RepositoryId
from modelyard.wire.hub import CODE, MESSAGE
from modelyard.wire.paths import decode_segment

T = TypeVar("T")

COMMIT = "X-Repo-Commit"
MODELS = "/api/models"
REPOSITORY = "/{owner}/{repository}"
MAX_REVISION = 3 * 512  # characters of one in a path, up to three of which stand for a byte
PAGED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"Link": {"schema": {"type": "string"}, "required": False, "description": "next (RFC 8288)."}}}
}

Part = Annotated[str, WithJsonSchema({"type": "string", "maxLength": MAX_PART, "pattern": PART})]
Revision = Annotated[str, WithJsonSchema({"type": "string", "maxLength": MAX_REVISION})]


class HubError(TypedDict):
    """A refusal; what a client acts on is the code, which is in a header, as the sentence is."""

    error: str


class HubRoute(Route):
    """A route of Hugging Face's API."""

    face = Face("Hub", HubError, headers=(CODE, MESSAGE, COMMIT), plain=False)


def hub_router(prefix: str = "") -> APIRouter:
    """A router for a part of the API."""
    return APIRouter(prefix=prefix, tags=["Hugging Face"], route_class=HubRoute)


def page(request: Request, content: bytes, following: tuple[str, object] | None) -> Answer[Any]:
    """A page of a list that is JSON already, with `Link` to the next by the parameter that is `following`, if any."""
    if following is None:
        return Answer(content)
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != following[0]]
    return Answer(content, headers={"Link": f'<{own_url(request)}?{urlencode([*kept, following])}>; rel="next"'})


def commits_of(request: Request) -> Commits:
    """What finds and keeps the commits of versions."""
    commits: Commits = request.app.state.commits
    return commits


async def _repository_id(owner: Part, repository: Part) -> RepositoryId | None:
    return read_id(owner, repository)


def read_id(owner: str, repository: str) -> RepositoryId | None:
    """The id in two segments of a path, still encoded; None for one that no repository can have."""
    try:
        return RepositoryId.of(decode_segment(owner), decode_segment(repository))
    except ValueError:
        return None


def read_revision(segment: str) -> str:
    """The revision in a segment of a path, still encoded. Raises RevisionNotFound for what none can be."""
    try:
        revision = decode_segment(segment)
    except ValueError as error:
        raise RevisionNotFound(segment) from error
    if len(segment) > MAX_REVISION or not revision.isprintable():
        raise RevisionNotFound(segment)
    return revision


def read_name(path: str) -> str:
    """The name of a file or folder in what is left of a path, still encoded, also where its slashes are.

    Raises ParameterError for what cannot be read, or is longer than any.
    """
    try:
        name = decode_segment(path)
    except ValueError as error:
        raise ParameterError("path is invalid") from error
    if len(name.encode()) > MAX_NAME_BYTES:
        raise ParameterError("path is invalid")
    return name


# A repository's id in the path; it may be one that no repository can have.
AskedId = Annotated[RepositoryId | None, Depends(_repository_id)]


async def at_revision(
    request: Request,
    call: Call,
    asked: RepositoryId | None,
    revision: str,
    use: Callable[[Registry, Snapshot], T],
) -> T:
    """What `use` makes, on the thread that reads, of a repository at a revision, as far as the caller may know it.

    Its commit is kept by then, so that it may be told. Raises as `Commits.snapshot`.
    """
    commits = commits_of(request)

    def work(registry: Registry, caller: Identity) -> tuple[Snapshot, T]:
        snapshot = commits.snapshot(registry, caller, asked, revision)
        return snapshot, use(registry, snapshot)

    snapshot, made = await call.search_public(work)
    await commits.keep(snapshot)
    return made


async def told(request: Request, call: Call, use: Callable[[Registry, Identity], tuple[Sequence[Snapshot], T]]) -> T:
    """What `use` makes, on the thread that reads, beside snapshots whose commits it tells; they are kept by then."""
    snapshots, made = await call.search_public(use)
    await commits_of(request).keep(*snapshots)
    return made
