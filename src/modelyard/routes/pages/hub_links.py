"""The links that Hugging Face's clients print, and people send each other: they lead to the pages of models, versions
and files.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from modelyard.access.identity import Identity
from modelyard.errors import NotFound, RepositoryNotFound, RevisionNotFound
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Model, ModelVersion
from modelyard.routes.pages import project
from modelyard.routes.pages.subject import Subject
from modelyard.routes.pages.visit import Visit
from modelyard.services.hub.commits import Commits
from modelyard.terms.repositories import MAIN, RepositoryId
from modelyard.wire.paths import decode_segment

subject = Subject()

REPOSITORY = "/{owner:part}/{repository:part}"


@subject.get(REPOSITORY + "/commit/{revision}")
@subject.get(REPOSITORY + "/tree/{revision}")
async def to_version(request: Request) -> Response:
    """303 to the page of the version that a commit, or another revision, is of."""
    return await _lead(request, "")


@subject.get(REPOSITORY + "/tree/{revision}/{path:path}")
async def to_folder(request: Request) -> Response:
    """303 to the page of a folder."""
    return await _lead(request, f"/tree/{request.path_params['path']}")


@subject.get(REPOSITORY + "/blob/{revision}/{path:path}")
async def to_file(request: Request) -> Response:
    """303 to the page of a file."""
    return await _lead(request, f"/blob/{request.path_params['path']}")


@subject.get("/{project:long_id}")
async def to_model(request: Request) -> Response:
    """303 to the page of the model that `namespace__project/model` names; a project of that path comes first."""
    try:
        return await project.show(request)
    except NotFound:
        owner, _, repository = request.path_params["project"].partition("/")
        request.path_params.update(owner=owner, repository=repository, revision=MAIN)
        return await _lead(request, None)


async def _lead(request: Request, path: str | None) -> Response:
    """303 to a version's page, or one below it, None: to its model's."""
    visit, commits, params = Visit(request), _commits(request), request.path_params
    asked, revision = _decoded(params["owner"], params["repository"], params["revision"])

    def work(registry: Registry, caller: Identity) -> tuple[str, Model, ModelVersion | None]:
        snapshot = commits.snapshot(registry, caller, asked, revision)
        return snapshot.repository.facts.path, snapshot.repository.model, snapshot.version

    place, model, version = await visit.find(work)
    if version is None or path is None:
        return visit.redirect(visit.links.model(place, model.id))
    return visit.redirect(visit.links.version(place, model.id, version.id, path))


def _decoded(owner: str, repository: str, revision: str) -> tuple[RepositoryId | None, str]:
    """What the parts of a path name. Raises RepositoryNotFound and RevisionNotFound."""
    try:
        asked = RepositoryId.of(decode_segment(owner), decode_segment(repository))
    except ValueError as error:
        raise RepositoryNotFound from error
    try:
        return asked, decode_segment(revision)
    except ValueError as error:
        raise RevisionNotFound(revision) from error


def _commits(request: Request) -> Commits:
    found: Commits = request.app.state.commits
    return found
