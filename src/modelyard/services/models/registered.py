"""Registered models, their tags and the aliases of their versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelyard.access.identity import Identity
from modelyard.errors import AlreadyExists, DoesNotExist
from modelyard.registry.people.audit import changed
from modelyard.registry.repository import Registry
from modelyard.registry.search.pages import decode_token, encode_token
from modelyard.registry.tables import Model, ModelVersion
from modelyard.services.models.names import LATEST, check_alias, check_model_name
from modelyard.services.models.semver import SemanticVersion
from modelyard.services.models.stages import Stage
from modelyard.services.models.versions import (
    VersionView,
    delete_version_row,
    find_model,
    find_version,
    version_views,
)
from modelyard.services.tracking.experiments import Search, add_experiment
from modelyard.services.tracking.limits import MAX_DESCRIPTION, check_length, check_registry_tags
from modelyard.terms.filters import parse_filter, parse_orders
from modelyard.terms.paths import NOBODY, parse_id


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model with its tags, its aliases with the ids of their versions, and the latest version of each stage."""

    model: Model
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    latest: Sequence[VersionView]


def create_model(
    registry: Registry, caller: Identity, project_id: int, name: str, description: str, tags: Mapping[str, str]
) -> ModelView:
    """Register a model, with the experiment `[model]<name>` for its candidates. Raises InvalidValue, AlreadyExists."""
    _check_free(registry, project_id, name)
    check_model_name(name)
    check_length("Description", description, MAX_DESCRIPTION)
    check_registry_tags(tags)
    experiment = add_experiment(registry, caller, project_id, f"[model]{name}", {})
    model = Model(
        project_id=project_id,
        name=name,
        description=description,
        user_id=caller.user_id,
        default_experiment_id=experiment.id,
    )
    registry.models.add(model, tags)
    registry.audit.note("ml_model_created", model, {"add": "ml_model"})
    return ModelView(model, tags, {}, [])


def get_model(registry: Registry, project_id: int, name: str) -> ModelView:
    """The model of exactly that name. Raises DoesNotExist."""
    return _views(registry, [find_model(registry, project_id, name)])[0]


def update_model(registry: Registry, project_id: int, name: str, description: str | None) -> ModelView:
    """Change a model's description, unless it is None. Raises DoesNotExist, InvalidValue."""
    model = find_model(registry, project_id, name)
    if description is not None and description != model.description:
        check_length("Description", description, MAX_DESCRIPTION)
        registry.audit.note("ml_model_updated", model, {"change": "description"})
        model.description = description
        registry.session.flush()
    return _views(registry, [model])[0]


def rename_model(registry: Registry, project_id: int, name: str, new_name: str) -> ModelView:
    """Give a model another name. Raises DoesNotExist, InvalidValue, AlreadyExists."""
    model = find_model(registry, project_id, name)
    if new_name != name:
        check_model_name(new_name)
        _check_free(registry, project_id, new_name)
        registry.experiments.default_of(model).name = f"[model]{new_name}"
        registry.audit.note("ml_model_updated", model, changed("name", name, new_name))
        registry.models.rename(model, new_name)
    return _views(registry, [model])[0]


def delete_model(registry: Registry, project_id: int, name: str) -> None:
    """Remove a model with its versions, candidates and files; promoted runs keep theirs. Raises DoesNotExist."""
    model = find_model(registry, project_id, name)
    experiment = registry.experiments.default_of(model)
    for version in registry.versions.all_of(model.id):
        delete_version_row(registry, model, version)
    registry.audit.note("ml_model_destroyed", model, {"remove": "ml_model"})
    registry.models.delete(model)
    registry.experiments.delete(experiment)


def search_models(registry: Registry, project_id: int, search: Search) -> tuple[list[ModelView], str | None]:
    """A page of models and the token of the next. Raises InvalidValue."""
    cursor = decode_token(search.page_token, "models", project_id, search.identity)
    clauses, orders = parse_filter(search.filter), parse_orders(search.order_by)
    found, following = registry.models.search(project_id, clauses, orders, cursor, search.limit)
    return _views(registry, found), encode_token(following, "models", project_id, search.identity)


def latest_versions(registry: Registry, project_id: int, name: str, stages: Sequence[str]) -> list[VersionView]:
    """The highest version of each stage, or of those that are named; a semantic version or an id names just itself, as
    clients ask for `models:/name/1.0.0` as a stage. Raises DoesNotExist for the model, InvalidValue for no stage.
    """
    model = find_model(registry, project_id, name)
    latest = registry.versions.latest_of_stages([model.id])
    if stages:
        named = [version for each in stages for version in _named(registry, model, latest, each)]
        latest = list({version.id: version for version in named}.values())
    return version_views(registry, latest)


def set_tag(registry: Registry, project_id: int, name: str, key: str, value: str) -> None:
    """Set a tag of a model. Raises DoesNotExist, InvalidValue."""
    check_registry_tags({key: value})
    model = find_model(registry, project_id, name)
    registry.models.set_tag(model, key, value)
    registry.audit.note("ml_model_updated", model, {"change": "tag", "tag": key})


def delete_tag(registry: Registry, project_id: int, name: str, key: str) -> None:
    """Remove a tag of a model, if it is there: MLflow takes that as done. Raises DoesNotExist for the model."""
    model = find_model(registry, project_id, name)
    if registry.models.delete_tag(model, key):
        registry.audit.note("ml_model_updated", model, {"remove": "tag", "tag": key})


def set_alias(registry: Registry, project_id: int, name: str, alias: str, version: str) -> None:
    """Let an alias name a version. Raises DoesNotExist, InvalidValue."""
    check_alias(alias)
    model = find_model(registry, project_id, name)
    found = find_version(registry, model, version)
    if found is None:
        raise DoesNotExist(f"Model version (name={name}, version={version}) not found")
    registry.models.set_alias(model, alias, found)
    registry.audit.note("ml_model_updated", model, {"change": "alias", "alias": alias, "to": found.version})


def delete_alias(registry: Registry, project_id: int, name: str, alias: str) -> None:
    """Remove an alias, if it is there. Raises DoesNotExist for the model."""
    model = find_model(registry, project_id, name)
    if registry.models.delete_alias(model, alias):
        registry.audit.note("ml_model_updated", model, {"remove": "alias", "alias": alias})


def by_alias(registry: Registry, project_id: int, name: str, alias: str) -> VersionView:
    """The version that an alias names; every semantic version is an alias of itself, as in GitLab, and `latest` of the
    highest, as in MLflow. Raises DoesNotExist.
    """
    model, versions = find_model(registry, project_id, name), registry.versions
    if alias.lower() == LATEST:
        version = versions.latest(model.id)
    else:
        version = versions.by_alias(model.id, alias) or versions.by_semver(model.id, alias)
    if version is None:
        raise DoesNotExist(f"Registered model alias {alias} not found")
    return version_views(registry, [version])[0]


def _named(registry: Registry, model: Model, latest: Sequence[ModelVersion], text: str) -> list[ModelVersion]:
    if parse_id(text) == NOBODY and SemanticVersion.parse(text) is None:
        stage = Stage.of(text)
        return [version for version in latest if version.stage == stage]
    version = find_version(registry, model, text)
    return [version] if version else []


def _check_free(registry: Registry, project_id: int, name: str) -> None:
    if registry.models.by_name(project_id, name) is not None:
        raise AlreadyExists(f"Registered model '{name}' already exists")
    if registry.experiments.by_name(project_id, f"[model]{name}") is not None:
        raise AlreadyExists(f"An experiment is already named '[model]{name}'")


def _views(registry: Registry, models: Sequence[Model]) -> list[ModelView]:
    ids = [model.id for model in models]
    tags, aliases = registry.models.tags(ids), registry.models.aliases(ids)
    latest: dict[int, list[VersionView]] = {}
    for view in version_views(registry, registry.versions.latest_of_stages(ids)):
        latest.setdefault(view.version.model_id, []).append(view)
    return [ModelView(m, tags.get(m.id, {}), aliases.get(m.id, {}), latest.get(m.id, [])) for m in models]
