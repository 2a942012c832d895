"""Packages: the files of a version or candidate, to list and to delete (GitLab's packages API)."""

from __future__ import annotations

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.errors import NotFound
from modelyard.registry.files.locations import Location
from modelyard.registry.files.packages import PackageFilter
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Candidate, LoggedModel, ModelVersion, Package, PackageFile
from modelyard.services.files import following
from modelyard.services.people.authentication import open_project
from modelyard.terms.paging import Page, PageRequest
from modelyard.terms.paths import OwnerKind, OwnerRef, ProjectRef


def make(registry: Registry, location: Location, owner: OwnerRef, caller: Identity) -> Package:
    """A package for whoever was located without one: on first use, and again after it was deleted."""
    if location.owner_id is None or location.project is None:
        raise NotFound
    if owner.kind is OwnerKind.VERSION:
        return make_for_version(registry, location.project.id, location.owner_id, caller)
    if owner.kind is OwnerKind.LOGGED_MODEL:
        return _make_for_logged_model(registry, registry.logged_models.by_id(location.owner_id), caller)
    candidate = registry.runs.by_id(location.owner_id)
    if candidate.model_version_id is not None:
        return make_for_version(registry, location.project.id, candidate.model_version_id, caller)
    return _make_for_candidate(registry, candidate, caller)


def make_for_version(registry: Registry, project_id: int, version_id: int, caller: Identity) -> Package:
    """A new, empty package for a version that has none."""
    version = registry.versions.by_id(project_id, version_id)
    if version is None:
        raise NotFound
    return add_for_version(registry, caller, version, registry.packages.name_and_version(version_id)[0])


def add_for_version(registry: Registry, caller: Identity, version: ModelVersion, model_name: str) -> Package:
    """A new, empty package for a version of a model of that name."""
    package = Package(
        project_id=version.project_id,
        name=model_name,
        version=version.version,
        model_version_id=version.id,
        creator_id=caller.user_id,
    )
    return registry.packages.add(package)


def promote(registry: Registry, candidate: Candidate, version_id: int, caller: Identity) -> Package:
    """Make a candidate's package that of a version as well; files stay where they are, under both ids.

    GitLab renames the package in the same way, but then loses the files under the candidate's id.
    """
    package = registry.packages.of_candidate(candidate.id)
    if package is None:
        return make_for_version(registry, candidate.project_id, version_id, caller)
    package.name, package.version = registry.packages.name_and_version(version_id)
    package.model_version_id = version_id
    registry.session.flush()
    return package


def demote(registry: Registry, candidate: Candidate) -> None:
    """Take a promotion back, as its version goes: the candidate keeps its files, and the package its old name."""
    package = registry.packages.of_version(candidate.model_version_id) if candidate.model_version_id else None
    candidate.model_version_id = None
    if package is not None:
        package.name, package.version = registry.packages.candidate_naming(candidate)
        package.model_version_id, package.candidate_id = None, candidate.id
    registry.session.flush()


def page(
    registry: Registry,
    caller: Identity,
    ref: ProjectRef,
    narrowed: PackageFilter,
    request: PageRequest,
    *,
    none: bool = False,
) -> Page[Package]:
    """A page of a project's packages; `none` for a type of packages that does not exist here."""
    project, _facts = open_project(registry, caller, ref, Action.READ)
    return Page([], 0, request) if none else registry.packages.page_of_project(project.id, narrowed, request)


def show(registry: Registry, caller: Identity, ref: ProjectRef, package_id: int) -> tuple[Package, list[Package]]:
    """A project's package, and the newest of those that are its other versions. Raises NotFound."""
    package = _find(registry, caller, ref, package_id, Action.READ)
    return package, registry.packages.other_versions(package)


def delete(registry: Registry, caller: Identity, ref: ProjectRef, package_id: int) -> None:
    """Remove a package with its files; its version or candidate stays, and gets a new one with the next upload."""
    package = _find(registry, caller, ref, package_id, Action.WRITE)
    registry.audit.note("package_destroyed", package, {"remove": "package"})
    following.stop(registry, package.model_version_id)
    registry.packages.delete(package)


def page_of_files(
    registry: Registry,
    caller: Identity,
    ref: ProjectRef,
    package_id: int,
    request: PageRequest,
    order_by: str,
    *,
    descending: bool,
) -> Page[PackageFile]:
    """A page of a package's files."""
    package = _find(registry, caller, ref, package_id, Action.READ)
    return registry.packages.files(package.id, request, order_by, descending=descending)


def delete_file(registry: Registry, caller: Identity, ref: ProjectRef, package_id: int, file_id: int) -> None:
    """Remove one file of a package. Raises NotFound."""
    package = _find(registry, caller, ref, package_id, Action.WRITE)
    file = registry.packages.file_by_id(package.id, file_id)
    if file is None:
        raise NotFound
    facts = {"remove": "file", "sha256": file.sha256, "size": file.size}
    registry.audit.note("package_file_destroyed", file, facts)
    following.stop(registry, package.model_version_id)
    registry.packages.delete_file(file)


def _find(registry: Registry, caller: Identity, ref: ProjectRef, package_id: int, action: Action) -> Package:
    project, _facts = open_project(registry, caller, ref, action)
    package = registry.packages.by_id(project.id, package_id)
    if package is None:
        raise NotFound
    return package


def _make_for_candidate(registry: Registry, candidate: Candidate, caller: Identity) -> Package:
    name, version = registry.packages.candidate_naming(candidate)
    package = Package(
        project_id=candidate.project_id,
        name=name,
        version=version,
        candidate_id=candidate.id,
        creator_id=caller.user_id,
    )
    return registry.packages.add(package)


def _make_for_logged_model(registry: Registry, model: LoggedModel, caller: Identity) -> Package:
    package = Package(
        project_id=model.project_id,
        name=registry.packages.experiment_naming(model.experiment_id),
        version=model.eid,
        logged_model_id=model.id,
        creator_id=caller.user_id,
    )
    return registry.packages.add(package)
