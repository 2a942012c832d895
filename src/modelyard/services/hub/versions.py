"""Branches and tags as clients ask for them: versions, each with the files that the revision has which it begins at."""

from __future__ import annotations

from modelyard.access.identity import Identity
from modelyard.errors import BadRequest, Conflict, RevisionNotFound
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Model, ModelVersion
from modelyard.services.hub.commits import Commits
from modelyard.services.hub.contents import Contents
from modelyard.services.hub.revisions import parse_version
from modelyard.services.hub.writing import hold
from modelyard.services.models.new_versions import VERSION_TAG, NewVersion, create_version
from modelyard.services.models.versions import delete_version_row
from modelyard.terms.repositories import MAIN, RepositoryId


def create(
    registry: Registry,
    caller: Identity,
    asked: RepositoryId | None,
    name: str,
    start: str | None,
    commits: Commits,
    contents: Contents,
) -> None:
    """Make a version with the files of a revision, by the blobs that are there; None: without any.

    Raises as `writing.hold`, BadRequest for a name that is no version's, Conflict for one that is there,
    RevisionNotFound, and OverQuota.
    """
    registry.locks.all_blobs()
    repository = hold(registry, caller, asked)
    model = repository.model
    wanted = parse_version(name)
    if name == MAIN:
        raise Conflict(f"'{MAIN}' is always there: the newest version")
    if wanted is None:
        raise BadRequest.plain(f"'{name}' is no version: branches and tags are semantic versions here, such as 1.2.0")
    if registry.versions.by_semver(model.id, wanted.text) is not None:
        raise Conflict(f"Version {wanted.text} already exists")
    entries = list(commits.at(registry, repository, start).manifest.entries()) if start is not None else []
    version = add(registry, caller, model, wanted.text)
    contents.change(registry, caller, version, entries, [])


def add(registry: Registry, caller: Identity, model: Model, version: str | None = None) -> ModelVersion:
    """Make an empty version of a model; None: the next one, or the first."""
    tags = {VERSION_TAG: version} if version is not None else {}
    new = NewVersion(model.name, tags=tags)
    return create_version(registry, caller, model.project_id, new, lambda _source: None).version


def delete(registry: Registry, caller: Identity, asked: RepositoryId | None, name: str) -> None:
    """Remove a version with its files. Raises as `writing.hold`, BadRequest for `main`, and RevisionNotFound."""
    repository = hold(registry, caller, asked)
    if name == MAIN:
        raise BadRequest.plain(f"'{MAIN}' is no version of its own: name the one that is to go")
    wanted = parse_version(name)
    version = registry.versions.by_semver(repository.model.id, wanted.text) if wanted is not None else None
    if version is None:
        raise RevisionNotFound(name)
    delete_version_row(registry, repository.model, version)
