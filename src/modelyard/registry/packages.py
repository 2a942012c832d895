"""Packages and their files."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from modelyard.registry.base import Repository, contains, storable
from modelyard.registry.tables import Candidate, Experiment, Model, ModelVersion, Package, PackageFile
from modelyard.wire.paging import Page, PageRequest

ORDERS = {
    "created_at": Package.created_at,
    "name": Package.name,
    "version": Package.version,
    "type": Package.created_at,
}
FILE_ORDERS = {"id": PackageFile.id, "created_at": PackageFile.created_at, "file_name": PackageFile.name}

LISTED = "default"  # the status of a package that is not hidden
MAX_OTHER_VERSIONS = 100  # GitLab sends them all; a model may have thousands


@dataclass(frozen=True, slots=True)
class PackageFilter:
    """How a listing of packages is narrowed and ordered (GitLab's packages API)."""

    name: str | None = None  # found anywhere in the package's name
    version: str | None = None
    status: str = LISTED
    order_by: str = "created_at"
    descending: bool = False


class PackageRepository(Repository):
    """The package of a version or candidate, and the files in it."""

    def page_of_project(self, project_id: int, narrowed: PackageFilter, request: PageRequest) -> Page[Package]:
        """A page of a project's packages."""
        statement = select(Package).where(Package.project_id == project_id, Package.status == narrowed.status)
        if narrowed.name:
            statement = statement.where(Package.name.ilike(contains(narrowed.name), escape="\\"))
        if narrowed.version:
            statement = statement.where(Package.version == narrowed.version)
        column = ORDERS[narrowed.order_by]
        orders = (column.desc(), Package.id.desc()) if narrowed.descending else (column.asc(), Package.id.asc())
        return self.page(statement.order_by(*orders), request)

    def by_id(self, project_id: int, package_id: int) -> Package | None:
        """A project's package."""
        mine = (Package.id == storable(package_id)) & (Package.project_id == project_id)
        return self.session.scalar(select(Package).where(mine))

    def other_versions(self, package: Package) -> list[Package]:
        """The newest listed packages of the same name in the project, without the package itself."""
        named = (Package.project_id == package.project_id) & (Package.name == package.name)
        others = select(Package).where(named, Package.status == LISTED, Package.id != package.id)
        return list(self.session.scalars(others.order_by(Package.id.desc()).limit(MAX_OTHER_VERSIONS)))

    def of_candidate(self, candidate_id: int) -> Package | None:
        """A candidate's own package, if it has one yet."""
        return self.session.scalar(select(Package).where(Package.candidate_id == candidate_id))

    def add(self, package: Package) -> Package:
        """Insert a package."""
        self.session.add(package)
        self.session.flush()
        return package

    def delete(self, package: Package) -> None:
        """Remove a package with its files; its version or candidate stays."""
        self.session.delete(package)
        self.session.flush()

    def files(
        self, package_id: int, request: PageRequest, order_by: str = "id", *, descending: bool = False
    ) -> Page[PackageFile]:
        """A page of a package's files."""
        column = FILE_ORDERS[order_by]
        orders = (column.desc(), PackageFile.id.desc()) if descending else (column.asc(), PackageFile.id.asc())
        return self.page(select(PackageFile).where(PackageFile.package_id == package_id).order_by(*orders), request)

    def file_by_id(self, package_id: int, file_id: int) -> PackageFile | None:
        """One file of a package."""
        mine = (PackageFile.id == storable(file_id)) & (PackageFile.package_id == package_id)
        return self.session.scalar(select(PackageFile).where(mine))

    def add_file(self, file: PackageFile) -> PackageFile:
        """Insert a file; its blob must be known."""
        self.session.add(file)
        self.session.flush()
        return file

    def delete_file(self, file: PackageFile) -> None:
        """Remove a file; the one before it of the same name is served again."""
        self.session.delete(file)
        self.session.flush()

    def name_and_version(self, version_id: int) -> tuple[str, str]:
        """What GitLab calls a version's package: the model's name and the semantic version."""
        statement = select(Model.name, ModelVersion.version).join(Model, Model.id == ModelVersion.model_id)
        return self.session.execute(statement.where(ModelVersion.id == version_id)).one()

    def candidate_naming(self, candidate: Candidate) -> tuple[str, str]:
        """What GitLab calls a candidate's package: the model's name or `ml_experiment_<iid>`, and `candidate_<iid>`."""
        statement = select(Model.name, Experiment.iid).select_from(Experiment)
        statement = statement.outerjoin(Model, Model.default_experiment_id == Experiment.id)
        model, iid = self.session.execute(statement.where(Experiment.id == candidate.experiment_id)).one()
        return model or f"ml_experiment_{iid}", f"candidate_{candidate.iid}"
