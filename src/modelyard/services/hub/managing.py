"""Repositories that are made, changed and deleted: models, and the projects that they are the primary ones of."""

from __future__ import annotations

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, ProjectFacts, Role, Visibility, effective_role, require, sees
from modelyard.errors import BadRequest, RepositoryNotFound
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Model
from modelyard.services.hub.repositories import Namer, find_model, may_read, named, primary_model, project_of
from modelyard.services.hub.writing import hold, writable
from modelyard.services.models import registered
from modelyard.services.people import projects
from modelyard.services.people.projects import NewProject, ProjectChange
from modelyard.terms.repositories import RepositoryId

NAME_RULE = "A repository's name has letters, digits, '-', '_' and '.', at most 96, and neither '--' nor '..' in it"


def create(
    registry: Registry, caller: Identity, asked: RepositoryId | None, visibility: Visibility | None
) -> tuple[RepositoryId, bool]:
    """Make a model, with its project where that is not there and the model is to be its primary one.

    The answer is its id, and whether it is new: one that is there already stays as it is. Raises BadRequest, Forbidden,
    RepositoryNotFound, GatedRepository, InvalidFields and what `registered.create_model` raises.
    """
    if asked is None:
        raise BadRequest.plain(NAME_RULE)
    facts = _project(registry, caller, asked, visibility or Visibility.PRIVATE)
    registry.locks.project(facts.id)
    model = _existing(registry, facts, asked)
    if model is not None:
        found = Namer(registry).id_of(facts, model)
        if found is None:
            raise BadRequest.plain(NAME_RULE)
        return found, False
    registry.act(caller, require(caller, facts, Action.WRITE))
    registered.create_model(registry, caller, facts.id, asked.name, "", {})
    return Namer(registry).id_of(facts, find_model(registry, facts, asked)) or asked, True


def delete(registry: Registry, caller: Identity, asked: RepositoryId | None) -> None:
    """Remove a model with all its versions; an owner's project goes with it when there is nothing else in it."""
    repository = hold(registry, caller, asked)
    facts = repository.facts
    registered.delete_model(registry, facts.id, repository.model.name)
    owned = effective_role(caller, facts) >= Role.OWNER and caller.job_project_id is None
    if owned and registry.projects.is_empty(facts.id):
        projects.delete(registry, caller, facts.id)


def change(registry: Registry, caller: Identity, asked: RepositoryId | None, visibility: Visibility | None) -> str:
    """Change who sees a repository, which is who sees its project; the answer is how it is then."""
    repository = writable(registry, caller, asked, Action.OWN)
    if visibility is None:
        return repository.facts.visibility
    project, _facts = projects.update(registry, caller, repository.facts.id, ProjectChange(visibility=visibility))
    return project.visibility


def _project(registry: Registry, caller: Identity, asked: RepositoryId, visibility: Visibility) -> ProjectFacts:
    path = project_of(asked)
    found = registry.projects.find(path, caller.user_id)
    if found is not None and sees(caller, found[1]):
        return may_read(caller, found[1])
    if asked.primary_of is None:
        raise RepositoryNotFound(f"Repository not found: there is no project {path} that it could be in")
    new = NewProject(path=asked.name, namespace_path=asked.namespace, visibility=visibility)
    return projects.create(registry, caller, new)[1]


def _existing(registry: Registry, facts: ProjectFacts, asked: RepositoryId) -> Model | None:
    return named(registry, facts.id, asked.name) if asked.primary_of is None else primary_model(registry, facts)
