"""Whose files are meant: versions, candidates and logged models, each with the package that holds its files."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.errors import DoesNotExist
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate, LoggedModel, ModelVersion, Package
from modelyard.terms.paths import OwnerKind, OwnerRef


@dataclass(frozen=True, slots=True)
class Owner:
    """A package, None as long as there are no files, and whom it belongs to."""

    project_id: int
    package: Package | None
    candidate_id: int | None = None
    version_id: int | None = None  # also of a candidate that is a version
    logged_model_id: int | None = None
    run_id: str = ""  # of the run that its files came from
    own_run_id: str = ""  # of the run that it is itself, where it is one

    @property
    def run_ids(self) -> tuple[str, str]:
        """The runs that the files belong to."""
        return self.run_id, self.own_run_id


def find_owner(registry: Registry, project_id: int, ref: OwnerRef) -> Owner:
    """What an address names. Raises DoesNotExist."""
    if ref.kind is OwnerKind.LOGGED_MODEL:
        model = registry.logged_models.by_eid(project_id, str(ref.key))
        if model is not None:
            return of_logged_model(registry, model)
    elif ref.kind is OwnerKind.CANDIDATE:
        candidate = registry.runs.by_iid(project_id, int(ref.key))
        if candidate is not None:
            return of_candidate(registry, candidate)
    else:
        version = registry.versions.by_id(project_id, int(ref.key))
        if version is not None:
            return of_version(registry, version)
    raise DoesNotExist(f"No {ref.kind.value} {ref.key} exists")


def of_candidate(registry: Registry, candidate: Candidate) -> Owner:
    """A candidate with its package, which is its version's when it was promoted."""
    version_id = candidate.model_version_id
    package = registry.packages.of_version(version_id) if version_id else registry.packages.of_candidate(candidate.id)
    return Owner(candidate.project_id, package, candidate.id, version_id, None, candidate.eid, candidate.eid)


def of_version(registry: Registry, version: ModelVersion) -> Owner:
    """A version with its package, its candidate, and the logged model and run that it was made from."""
    package, candidate = registry.packages.of_version(version.id), registry.runs.of_versions([version.id])[version.id]
    lineage = version.logged_model_id, version.run_id, candidate.eid
    return Owner(version.project_id, package, candidate.id, version.id, *lineage)


def of_logged_model(registry: Registry, model: LoggedModel) -> Owner:
    """A logged model with its package."""
    package = registry.packages.of_logged_model(model.id)
    return Owner(model.project_id, package, logged_model_id=model.id, run_id=model.source_run_id)
