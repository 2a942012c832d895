"""Packages and their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import aliased

from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository, contains, storable
from modelyard.registry.dialects import position
from modelyard.registry.files.locations import StoredFile
from modelyard.registry.tables import Candidate, Experiment, Model, ModelVersion, Package, PackageFile
from modelyard.terms.paging import Page, PageRequest

ORDERS = {
    "created_at": Package.created_at,
    "name": Package.name,
    "version": Package.version,
    "type": Package.created_at,
}
PLACE = (Text(), Integer())  # of a child in its directory: its name, and whether it is a directory itself
FILE_ORDERS = {"id": PackageFile.id, "created_at": PackageFile.created_at, "file_name": PackageFile.name}

_TOUCH = (
    update(Package)
    .where(
        Package.id == bindparam("row"),
        Package.last_downloaded_at.is_(None) | (Package.last_downloaded_at < bindparam("before")),
    )
    # `updated_at` is named so that a download does not pass for a change.
    .values(last_downloaded_at=bindparam("at"), updated_at=Package.updated_at)
)

_COPY = {
    column.name: bindparam(column.name, type_=column.type)
    for column in PackageFile.__table__.columns
    if not column.primary_key
}
_SAME_NAME = aliased(PackageFile)
_NEWEST_OF_NAME = (
    select(_SAME_NAME.sha256)
    .where(_SAME_NAME.package_id == _COPY["package_id"], _SAME_NAME.name == _COPY["name"])
    .order_by(_SAME_NAME.id.desc())
    .limit(1)
    .scalar_subquery()
)
_ADD_COPY = insert(PackageFile).from_select(
    list(_COPY), select(*_COPY.values()).where(_NEWEST_OF_NAME.is_distinct_from(_COPY["sha256"]))
)

_MANY = ("name", "sha256", "size")  # of which each row has its own
_ADD_MANY = insert(PackageFile).from_select(
    list(_COPY),
    select(
        *(
            func.unnest(bindparam(f"{name}s", type_=ARRAY(column.type))) if name in _MANY else column
            for name, column in _COPY.items()
        )
    ),
)

NAMES_AT_ONCE = 500  # in one statement
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


@dataclass(frozen=True, slots=True)
class Child:
    """A file in a directory, or a directory in it (`size` is None)."""

    name: str
    size: int | None  # bytes

    @property
    def place(self) -> tuple[str, int]:
        """By this the children of a directory are sorted: a file comes before the directory of its name."""
        return self.name, int(self.size is None)


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

    def of_version(self, version_id: int) -> Package | None:
        """A version's package, if it has one."""
        return self.session.scalar(select(Package).where(Package.model_version_id == version_id))

    def of_logged_model(self, logged_model_id: int) -> Package | None:
        """A logged model's package, if it has one yet."""
        return self.session.scalar(select(Package).where(Package.logged_model_id == logged_model_id))

    def of_candidate(self, candidate_id: int) -> Package | None:
        """A candidate's own package, if it has one yet."""
        return self.session.scalar(select(Package).where(Package.candidate_id == candidate_id))

    def add(self, package: Package) -> Package:
        """Insert a package."""
        self.insert(package)
        return package

    def located(self, package_id: int) -> Package:
        """The package of that id, which was found in this transaction."""
        return self.session.get_one(Package, package_id)

    def touch(self, moments: Mapping[int, Milliseconds], pause: Milliseconds) -> None:
        """Keep when packages were last downloaded, by their ids, unless a download less than `pause` before is kept."""
        self.advance(_TOUCH, moments, pause)

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

    def add_file(self, package_id: int, name: str, sha256: str, size: int, creator_id: int | None) -> StoredFile:
        """Insert a file; its blob must be known."""
        given = {"package_id": package_id, "name": name, "sha256": sha256, "size": size, "creator_id": creator_id}
        made = self.inserted(PackageFile, given)
        return StoredFile(made["id"], name, sha256, size, made["created_at"])

    def add_files(self, package_id: int, files: Sequence[tuple[str, str, int]], creator_id: int | None) -> None:
        """Insert files by name, digest and bytes; their blobs must be known."""
        common = {"package_id": package_id, "creator_id": creator_id, "created_at": now()}
        if self.dialect == "sqlite":
            rows: list[dict[str, object]] = [{**common, "name": n, "sha256": s, "size": size} for n, s, size in files]
            if rows:
                self.write_rows(insert(PackageFile), rows)
            return
        # A statement for each would have PostgreSQL count the project's bytes for each, in ever more copies of a row.
        names, digests, sizes = zip(*files, strict=True) if files else ((), (), ())
        columns = {"name": list(names), "sha256": list(digests), "size": list(sizes)}
        self.connection.execute(_ADD_MANY, {**common, **{f"{key}s": all_ for key, all_ in columns.items()}})

    def delete_named(self, package_id: int, names: Sequence[str]) -> None:
        """Remove the files of those names with all their predecessors."""
        for at in range(0, len(names), NAMES_AT_ONCE):
            named = PackageFile.name.in_(names[at : at + NAMES_AT_ONCE])
            self.session.execute(delete(PackageFile).where(PackageFile.package_id == package_id, named))

    def add_copies(self, places: Sequence[tuple[int, str]], sha256: str, size: int, creator_id: int | None) -> None:
        """Make a blob the newest file of each name in each package where it is not already; it must be known."""
        content = {"sha256": sha256, "size": size, "creator_id": creator_id, "created_at": now()}
        rows: list[dict[str, object]] = [{"package_id": package, "name": name, **content} for package, name in places]
        if rows:
            self.write_rows(_ADD_COPY, rows)

    def has_files(self, package_id: int, path: str = "") -> bool:
        """Whether there is any file in a package: of that name, or in a directory of it (empty: the top)."""
        return self.session.scalar(select(PackageFile.id).where(tree(package_id, path)).limit(1)) is not None

    def filled(self, version_ids: Sequence[int]) -> set[int]:
        """Those of the versions that have any file."""
        any_file = exists().where(PackageFile.package_id == Package.id)
        having = select(Package.model_version_id).where(Package.model_version_id.in_(version_ids), any_file)
        return {version_id for version_id in self.session.scalars(having) if version_id is not None}

    def delete_file(self, file: PackageFile) -> None:
        """Remove a file; the one before it of the same name is served again."""
        self.session.delete(file)
        self.session.flush()

    def link_files(self, source: Package, directory: str, target: Package) -> None:
        """Give `target` the files of `source` that lie in a directory (empty: all), by the blobs that they point at."""
        prefix = f"{directory}/" if directory else ""
        newest = select(func.max(PackageFile.id)).where(inside(source.id, prefix)).group_by(PackageFile.name)
        name = func.substr(PackageFile.name, len(prefix) + 1)
        columns = (PackageFile.sha256, PackageFile.size, PackageFile.creator_id)
        files = select(literal(target.id), name, *columns, literal(now())).where(PackageFile.id.in_(newest))
        into = ("package_id", "name", "sha256", "size", "creator_id", "created_at")
        self.session.execute(insert(PackageFile).from_select(into, files.order_by(PackageFile.id)))

    def children(
        self, package_id: int, directory: str, after: tuple[object, ...] = (), limit: int | None = None
    ) -> list[Child]:
        """What lies directly in a directory (empty: the top), by name; nothing for a directory that is none.

        At most `limit` of it, that which comes after a place.
        """
        prefix = f"{directory}/" if directory else ""
        newest = select(func.max(PackageFile.id)).where(inside(package_id, prefix)).group_by(PackageFile.name)
        rest = func.substr(PackageFile.name, len(prefix) + 1)
        slash = position(rest, "/")
        child = case((slash > 0, func.substr(rest, 1, slash - 1)), else_=rest)
        is_directory = case((slash > 0, 1), else_=0)
        columns = (child, is_directory, func.max(PackageFile.size))
        statement = select(*columns).where(PackageFile.id.in_(newest)).group_by(child, is_directory)
        if after:
            statement = statement.where(tuple_(child, is_directory) > tuple_(*after))
        rows = self.session.execute(statement.order_by(child, is_directory).limit(limit))
        return [Child(name, None if is_dir else size) for name, is_dir, size in rows]

    def delete_tree(self, package_id: int, path: str) -> bool:
        """Remove the file of that name, all its predecessors and whatever lies in a directory of that name."""
        return self.changed(delete(PackageFile).where(tree(package_id, path)))

    def name_and_version(self, version_id: int) -> tuple[str, str]:
        """What GitLab calls a version's package: the model's name and the semantic version."""
        statement = select(Model.name, ModelVersion.version).join(Model, Model.id == ModelVersion.model_id)
        return self.session.execute(statement.where(ModelVersion.id == version_id)).one()

    def candidate_naming(self, candidate: Candidate) -> tuple[str, str]:
        """What GitLab calls a candidate's package: its experiment's naming, and `candidate_<iid>`."""
        return self.experiment_naming(candidate.experiment_id), f"candidate_{candidate.iid}"

    def experiment_naming(self, experiment_id: int) -> str:
        """What packages in an experiment are called: the model's name, or `ml_experiment_<iid>` without one."""
        statement = select(Model.name, Experiment.iid).select_from(Experiment)
        statement = statement.outerjoin(Model, Model.default_experiment_id == Experiment.id)
        model, iid = self.session.execute(statement.where(Experiment.id == experiment_id)).one()
        return model or f"ml_experiment_{iid}"


def tree(package_id: int, path: str) -> ColumnElement[bool]:
    """The file of a name, all its predecessors and whatever lies in a directory of that name; all files without one."""
    named = (PackageFile.package_id == package_id) & (PackageFile.name == path)
    return or_(named, inside(package_id, f"{path}/")) if path else inside(package_id, "")


def inside(package_id: int, prefix: str) -> ColumnElement[bool]:
    """Files whose name begins with `prefix`, a path that ends in a slash; a range that the index on names answers."""
    mine = PackageFile.package_id == package_id
    after_slash = chr(ord("/") + 1)
    return and_(mine, PackageFile.name > prefix, PackageFile.name < prefix[:-1] + after_slash) if prefix else mine
