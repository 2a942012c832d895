"""Versions of registered models. Each is a candidate too, and has a package for its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from modelyard.errors import DoesNotExist, InvalidValue, MLflowError
from modelyard.registry.people.audit import changed
from modelyard.registry.repository import Registry
from modelyard.registry.search.pages import decode_token, encode_token
from modelyard.registry.tables import Model, ModelVersion
from modelyard.services.files import packages
from modelyard.services.models import sources
from modelyard.services.models.stages import Stage
from modelyard.services.tracking.experiments import Search
from modelyard.services.tracking.limits import MAX_DESCRIPTION, check_length, check_registry_tags
from modelyard.terms.filters import parse_filter, parse_orders
from modelyard.terms.paths import NOBODY, parse_id

UPDATED = "ml_model_version_updated"  # in the audit trail


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version with all that is known of it."""

    version: ModelVersion
    model_name: str
    logged_model_id: str | None
    tags: Mapping[str, str]
    aliases: Sequence[str]  # without the semantic version
    message: str = ""  # what is less than was asked
    origin: Mapping[str, str] | None = None  # the job that made it, if one did; see `services.identity.origins`


def find_model(registry: Registry, project_id: int, name: str) -> Model:
    """The model of exactly that name. Raises DoesNotExist."""
    model = registry.models.by_name(project_id, name)
    if model is None:
        raise DoesNotExist(f"Registered model '{name}' not found")
    return model


def find_version(registry: Registry, model: Model, version: str) -> ModelVersion | None:
    """A model's version by its id or its semantic version."""
    if parse_id(version) != NOBODY:
        return registry.versions.of_model(model.id, parse_id(version))
    return registry.versions.by_semver(model.id, version)


def named_version(registry: Registry, project_id: int, name: str, version: str) -> ModelVersion:
    """A version by its model's name and its own id or semantic version. Raises DoesNotExist."""
    found = find_version(registry, find_model(registry, project_id, name), version)
    if found is None:
        raise DoesNotExist(f"Model version (name={name}, version={version}) not found")
    return found


def get_version(registry: Registry, project_id: int, name: str, version: str) -> VersionView:
    """A version. Raises DoesNotExist."""
    return version_views(registry, [named_version(registry, project_id, name, version)])[0]


def download_location(registry: Registry, project_id: int, name: str, version: str) -> tuple[ModelVersion, str]:
    """A version, and where its files lie that are not here; see `sources.location_of`. Raises DoesNotExist."""
    found = named_version(registry, project_id, name, version)
    return found, sources.location_of(registry, found)


def update_version(
    registry: Registry, project_id: int, name: str, version: str, description: str | None
) -> VersionView:
    """Change a version's description, unless it is None. Raises InvalidValue, and MLflowError UPDATE_FAILED for an
    unknown version, as GitLab does.
    """
    try:
        found = named_version(registry, project_id, name, version)
    except DoesNotExist as error:
        raise MLflowError("UPDATE_FAILED", f"Model version (name={name}, version={version}) not found") from error
    if description is not None and description != found.description:
        check_length("Description", description, MAX_DESCRIPTION)
        registry.audit.note(UPDATED, found, {"change": "description", "model": name})
        found.description = description
        registry.session.flush()
    return version_views(registry, [found])[0]


def delete_version(registry: Registry, project_id: int, name: str, version: str) -> None:
    """Remove a version with its candidate and files; a run that was promoted keeps its own. Raises DoesNotExist."""
    model = find_model(registry, project_id, name)
    delete_version_row(registry, model, named_version(registry, project_id, name, version))


def delete_version_row(registry: Registry, model: Model, version: ModelVersion) -> None:
    """Remove a version of a model, as `delete_version` does."""
    facts = {"remove": "ml_model_version", "model": model.name}
    registry.audit.note("ml_model_version_destroyed", version, facts)
    candidate = registry.runs.of_versions([version.id]).get(version.id)
    if candidate is not None and candidate.experiment_id != model.default_experiment_id:
        packages.demote(registry, candidate)
    elif candidate is not None:
        registry.runs.delete(candidate)
    registry.versions.delete(version)


def search_versions(registry: Registry, project_id: int, search: Search) -> tuple[list[VersionView], str | None]:
    """A page of a project's versions and the token of the next. Raises InvalidValue."""
    cursor = decode_token(search.page_token, "versions", project_id, search.identity)
    clauses, orders = parse_filter(search.filter), parse_orders(search.order_by)
    found, following = registry.versions.search(project_id, clauses, orders, cursor, search.limit)
    return version_views(registry, found), encode_token(following, "versions", project_id, search.identity)


def transition(
    registry: Registry, project_id: int, name: str, version: str, stage: str, *, archive_others: bool
) -> VersionView:
    """Move a version to a stage, and perhaps all others from there to `Archived`. Raises DoesNotExist, InvalidValue."""
    wanted = Stage.of(stage)
    if archive_others and wanted not in {Stage.STAGING, Stage.PRODUCTION}:
        raise InvalidValue("Only versions in Staging or Production can be archived in passing")
    found = named_version(registry, project_id, name, version)
    for other in registry.versions.in_stage(found.model_id, wanted) if archive_others else ():
        if other is not found:
            _move(registry, name, other, Stage.ARCHIVED)
    _move(registry, name, found, wanted)
    registry.session.flush()
    return version_views(registry, [found])[0]


def set_tag(registry: Registry, project_id: int, name: str, version: str, key: str, value: str) -> None:
    """Set a tag of a version. Raises DoesNotExist, InvalidValue."""
    check_registry_tags({key: value})
    found = named_version(registry, project_id, name, version)
    registry.versions.set_tag(found, key, value)
    registry.audit.note(UPDATED, found, {"change": "tag", "tag": key, "model": name})


def delete_tag(registry: Registry, project_id: int, name: str, version: str, key: str) -> None:
    """Remove a tag of a version, if it is there. Raises DoesNotExist for the version."""
    found = named_version(registry, project_id, name, version)
    if registry.versions.delete_tag(found, key):
        registry.audit.note(UPDATED, found, {"remove": "tag", "tag": key, "model": name})


def version_views(registry: Registry, versions: Sequence[ModelVersion]) -> list[VersionView]:
    """Versions with all that is known of them, in a handful of statements."""
    ids = [version.id for version in versions]
    models = registry.models.by_ids(list({version.model_id for version in versions}))
    logged = registry.logged_models.by_ids([v.logged_model_id for v in versions if v.logged_model_id])
    tags, aliases = registry.versions.tags(ids), registry.versions.aliases(ids)
    elsewhere, origins = sources.locations_of(registry, versions), registry.versions.origins(ids)

    def view(version: ModelVersion) -> VersionView:
        model = logged.get(version.logged_model_id or 0)
        return VersionView(
            version,
            models[version.model_id].name,
            model.eid if model else None,
            tags.get(version.id, {}),
            aliases.get(version.id, []),
            files_elsewhere(elsewhere.get(version.id, "")),
            job_of(origins.get(version.id)),
        )

    return [view(version) for version in versions]


def job_of(facts: str | None) -> Mapping[str, str] | None:
    """What is kept of a job, without what its issuer did not say."""
    if facts is None:
        return None
    told: dict[str, str] = orjson.loads(facts)
    return {name: value for name, value in told.items() if value}


def files_elsewhere(location: str) -> str:
    """Says where a version's files are that are not here, if they are elsewhere."""
    return f"The files are not on this server, but at {location}" if location else ""


def _move(registry: Registry, model: str, version: ModelVersion, stage: Stage) -> None:
    if version.stage != stage:
        registry.audit.note(UPDATED, version, changed("stage", version.stage, stage) | {"model": model})
    version.stage = stage
