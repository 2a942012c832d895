"""Which model a repository's name means to whoever asks."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.access.identity import Identity
from modelyard.access.policy import Action, ProjectFacts, require
from modelyard.errors import Forbidden, GatedRepository, ProjectNotFound, RepositoryNotFound
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Model
from modelyard.terms.repositories import RepositoryId, long_id, short_id

MAX_NAMED = 20  # models that a refusal names


@dataclass(frozen=True, slots=True)
class Repository:
    """A model that the caller may read, with the id that it has, however it was asked for."""

    id: RepositoryId
    facts: ProjectFacts
    model: Model


def find_repository(registry: Registry, caller: Identity, asked: RepositoryId | None) -> Repository:
    """The repository of that name, whatever the case; a name that is spelled exactly comes first.

    Raises RepositoryNotFound, in the same words for what is not there and for what the caller may not see, and
    GatedRepository.
    """
    if asked is None:
        raise RepositoryNotFound
    found = registry.projects.find(project_of(asked), caller.user_id)
    facts = may_read(caller, found[1] if found else None)
    model = find_model(registry, facts, asked)
    repository_id = Namer(registry).id_of(facts, model)
    if repository_id is None:
        raise RepositoryNotFound
    return Repository(repository_id, facts, model)


def project_of(asked: RepositoryId) -> str:
    """The path of the project in which the model lies that is asked for."""
    return asked.primary_of or asked.project


def may_read(caller: Identity, project: ProjectFacts | None) -> ProjectFacts:
    """The project, if the caller may read it. Raises RepositoryNotFound and GatedRepository."""
    try:
        return require(caller, project, Action.READ)
    except ProjectNotFound as error:
        raise RepositoryNotFound from error
    except Forbidden as error:
        raise GatedRepository(str(error.body["message"])) from error


def find_model(registry: Registry, project: ProjectFacts, asked: RepositoryId) -> Model:
    """The model that is asked for in a project that the caller may read. Raises RepositoryNotFound."""
    if asked.primary_of is None:
        model = named(registry, project.id, asked.name)
        if model is None:
            raise RepositoryNotFound
    else:
        model = primary_model(registry, project)
        if model is None:
            raise _ambiguous(registry, project)
    return model


def primary_model(registry: Registry, project: ProjectFacts) -> Model | None:
    """The model that is named like its project, else the only one; None where there is no such."""
    if (model := named(registry, project.id, project.path.rpartition("/")[2])) is not None:
        return model
    models = registry.models.first(project.id, 2)
    return models[0] if len(models) == 1 else None


def named(registry: Registry, project_id: int, name: str) -> Model | None:
    """The model of that name: exactly, else the only one of that name in another case."""
    if (model := registry.models.by_name(project_id, name)) is not None:
        return model
    models = registry.models.spelled(project_id, name)
    return models[0] if len(models) == 1 else None


class Namer:
    """Gives models their ids; looks each project up once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._primary: dict[int, int | None] = {}  # ids of models by those of projects

    def id_of(self, project: ProjectFacts, model: Model) -> RepositoryId | None:
        """The id that a model has: that of its project, where it is the primary one; None for one that has none."""
        short = short_id(project.path)
        if short is not None and self._primary_of(project) == model.id:
            return short
        return long_id(project.path, model.name)

    def _primary_of(self, project: ProjectFacts) -> int | None:
        if project.id not in self._primary:
            found = primary_model(self._registry, project)
            self._primary[project.id] = found.id if found is not None else None
        return self._primary[project.id]


def _ambiguous(registry: Registry, project: ProjectFacts) -> RepositoryNotFound:
    """For a project that the caller sees, and that has several models or none."""
    models = registry.models.first(project.id, MAX_NAMED + 1)
    ids = [str(found) for model in models[:MAX_NAMED] if (found := long_id(project.path, model.name))]
    if not ids:
        return RepositoryNotFound()
    more = ", ..." if len(models) > MAX_NAMED else ""
    return RepositoryNotFound(f"{project.path} has several models; ask for one of {', '.join(ids)}{more}")
