"""Registered models and their semantic versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.access.identity import Identity
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate, Model, ModelVersion
from modelyard.services import packages
from modelyard.services.experiments import (
    MAX_NAME,
    add_candidate,
    already_exists,
    check_tags,
    create_experiment,
    does_not_exist,
    invalid,
    random_name,
)
from modelyard.services.semver import SemanticVersion

MAX_DESCRIPTION = 10_000  # characters
VERSION_TAG = "gitlab.version"
# GitLab's pattern of package names, which models share.
_NAME = re.compile(r"@?(?:[\w.+-]*/)*[\w.-]+(?:@(?:[\w.+-]*/)*[\w.-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a client says of a version to be made."""

    model: str
    description: str = ""
    source: str = ""
    run_id: str | None = None  # the run that becomes the version
    run_link: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def create_model(
    registry: Registry, caller: Identity, project_id: int, name: str, description: str, tags: Mapping[str, str]
) -> Model:
    """Register a model, with the experiment `[model]<name>` for its candidates. Raises MLflowError."""
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise invalid(f"Model name '{name[:MAX_NAME]}' is invalid")
    _check_description(description)
    check_tags(tags)
    if registry.models.by_name(project_id, name) is not None:
        raise already_exists(f"Registered model '{name}' already exists")
    if registry.experiments.by_name(project_id, name) is not None:
        raise already_exists(f"An experiment is already named '{name}'")
    experiment = create_experiment(registry, caller, project_id, f"[model]{name}"[:MAX_NAME], {})
    model = Model(
        project_id=project_id,
        name=name,
        description=description,
        user_id=caller.user_id,
        default_experiment_id=experiment.id,
    )
    return registry.models.add(model, tags)


def create_version(
    registry: Registry, caller: Identity, project_id: int, new: NewVersion
) -> tuple[Model, ModelVersion, Candidate]:
    """Make a version with its candidate and package; with a run id, that run is promoted to be the candidate.

    The semantic version is the tag `gitlab.version`, or the next patch of the latest. Raises MLflowError.
    """
    _check_description(new.description)
    check_tags(new.tags)
    model = registry.models.by_name(project_id, new.model)
    if model is None:
        raise does_not_exist(f"Registered model '{new.model}' not found")
    promoted = _run_to_promote(registry, project_id, new.run_id)
    version = _add_version(registry, caller, model, new)
    candidate = promoted or _own_candidate(registry, caller, model)
    candidate.model_version_id = version.id
    packages.promote(registry, candidate, version.id, caller)
    return model, version, candidate


def _check_description(description: str) -> None:
    if len(description) > MAX_DESCRIPTION:
        raise invalid(f"Description must have at most {MAX_DESCRIPTION} characters")


def _add_version(registry: Registry, caller: Identity, model: Model, new: NewVersion) -> ModelVersion:
    semver = _semantic_version(registry, model, new.tags.get(VERSION_TAG))
    version = ModelVersion(
        project_id=model.project_id,
        model_id=model.id,
        version=semver.text,
        major=semver.major,
        minor=semver.minor,
        patch=semver.patch,
        prerelease=semver.prerelease,
        description=new.description,
        source=new.source,
        run_link=new.run_link,
        user_id=caller.user_id,
    )
    return registry.models.add_version(version, new.tags)


def _semantic_version(registry: Registry, model: Model, wanted: str | None) -> SemanticVersion:
    if not wanted:
        latest = registry.models.latest_version(model.id)
        return (
            SemanticVersion.following(latest.major, latest.minor, latest.patch) if latest else SemanticVersion.first()
        )
    version = SemanticVersion.parse(wanted)
    if version is None:
        raise invalid("Version must be semantic version")
    if registry.models.version(model.id, wanted) is not None:
        raise invalid("Version has already been taken")
    return version


def _run_to_promote(registry: Registry, project_id: int, run_id: str | None) -> Candidate | None:
    if not run_id:
        return None
    candidate = registry.experiments.candidate_by_eid(project_id, run_id)
    if candidate is None:
        raise invalid("Run not found")
    if candidate.model_version_id is not None:
        raise invalid("Run has already a model version")
    return candidate


def _own_candidate(registry: Registry, caller: Identity, model: Model) -> Candidate:
    experiment = registry.experiments.default_of(model)
    return add_candidate(registry, caller, experiment, random_name(), 0, {})
