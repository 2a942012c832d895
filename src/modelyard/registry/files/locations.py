"""The hot lookup: all that authorize, upload and download must know before a byte moves, in one statement.

It joins credential, user, project, role, version or candidate, package and the newest file of a name. Each part may be
absent; what that means is the policy's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from modelyard.access.identity import TokenFacts
from modelyard.access.policy import ProjectFacts
from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository, storable
from modelyard.registry.marks import DAMAGE, Marks, marks_of, project_scope, user_scope
from modelyard.registry.people.tokens import MADE_WITH, MAKER, TOKEN_COLUMNS
from modelyard.registry.statements import built_once
from modelyard.registry.tables import (
    Blob,
    Candidate,
    LoggedModel,
    Member,
    ModelVersion,
    Package,
    PackageFile,
    Project,
    Token,
    User,
)
from modelyard.terms.paths import OwnerKind, OwnerRef, ProjectRef


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a package, ready to be served."""

    id: int
    name: str
    sha256: str
    size: int
    created_at: Milliseconds
    damaged: bool = False  # its bytes are known to be others


@dataclass(frozen=True, slots=True)
class Location:
    """What lies at an address; None for each part that is not there."""

    token: TokenFacts | None
    project: ProjectFacts | None
    owner_id: int | None  # id of the version or candidate itself
    package_id: int | None
    file: StoredFile | None
    storage_limit: int | None  # the project's own, in bytes; see `registry.files.storage`
    role_ends_at: Milliseconds | None  # until when all of this can hold
    marks: Marks  # of the state that all of this was found in
    linked: bool = False  # whether versions follow the files, or they are one's that follows; only writers are told


class LocationRepository(Repository):
    """Finds what an address in the file API names."""

    def find(
        self, digest: str | None, project: ProjectRef, owner: OwnerRef, name: str, *, to_change: bool = False
    ) -> Location:
        """Look up an address for whoever holds the token of that digest (None: nobody)."""
        values = {
            "digest": digest,
            "project": _project_key(project),
            "owner": storable(owner.key) if isinstance(owner.key, int) else owner.key,
            "name": name,
            "now": now(),
        }
        statement = lookup_statement(isinstance(project, int), owner.kind, to_change)
        return _location(self.row(statement, values), name)

    def place(self, digest: str | None, project: ProjectRef) -> Location:
        """A project as a location without an owner, for whoever holds the token of that digest (None: nobody)."""
        values = {"digest": digest, "project": _project_key(project), "now": now()}
        row = self.row(_PROJECT_STATEMENTS[isinstance(project, int)], values)
        return Location(_token(row), _project(row), None, None, None, row[_OWNER_AT - 2], row[_OWNER_AT - 1], ())

    def find_project(self, digest: str, project: ProjectRef) -> tuple[TokenFacts | None, ProjectFacts | None]:
        """Whose the token of that digest is, and the project as they see it."""
        values = {"digest": digest, "project": _project_key(project), "now": now()}
        row = self.row(_PROJECT_STATEMENTS[isinstance(project, int)], values)
        return _token(row), _project(row)


_PROJECT_AT = len(TOKEN_COLUMNS)
_OWNER_AT = _PROJECT_AT + 7
_FILE_AT = _OWNER_AT + 2
_MARKS_AT = _FILE_AT + 5


def _project_key(project: ProjectRef) -> int | str:
    return storable(project) if isinstance(project, int) else project.lower()


def _token(row: Sequence[Any]) -> TokenFacts | None:
    return TokenFacts(*row[:_PROJECT_AT]) if row[0] is not None else None


def _project(row: Sequence[Any]) -> ProjectFacts | None:
    project_id, path, namespace, visibility, role = row[_PROJECT_AT : _OWNER_AT - 2]
    return ProjectFacts(project_id, f"{namespace}/{path}", visibility, role) if project_id is not None else None


def _location(row: Sequence[Any], name: str) -> Location:
    owner_id, package_id = row[_OWNER_AT:_FILE_AT]
    file_id, sha256, size, created_at, damaged_at = row[_FILE_AT:_MARKS_AT]
    project_mark, user_mark, damage, *linked = row[_MARKS_AT:]
    file = StoredFile(file_id, name, sha256, size, created_at, damaged_at is not None) if file_id is not None else None
    token, project = _token(row), _project(row)
    return Location(
        token=token,
        project=project,
        owner_id=owner_id,
        package_id=package_id,
        file=file,
        storage_limit=row[_OWNER_AT - 2],
        role_ends_at=row[_OWNER_AT - 1],
        marks=_marks(token, project, owner_id, (project_mark, user_mark, damage)),
        linked=any(linked),
    )


def _marks(
    token: TokenFacts | None, project: ProjectFacts | None, owner_id: int | None, found: tuple[int, int, int]
) -> Marks:
    """None where nothing is found that could be made under the name that was asked for without setting a mark."""
    if project is None or owner_id is None:
        return ()
    project_mark, user_mark, damage = found
    beside = ((project_scope(project.id), project_mark), (DAMAGE, damage))
    return ((user_scope(token.user_id), user_mark), *beside) if token is not None else beside


_PROJECT_COLUMNS = (
    *TOKEN_COLUMNS,
    Project.id,
    Project.path,
    Project.namespace_path,
    Project.visibility,
    Member.access_level,
    Project.storage_limit,
    Member.expires_at,
)
_OWNERS: dict[OwnerKind, type[Candidate | LoggedModel | ModelVersion]] = {
    OwnerKind.CANDIDATE: Candidate,
    OwnerKind.LOGGED_MODEL: LoggedModel,
    OwnerKind.VERSION: ModelVersion,
}


@built_once
def lookup_statement(project_by_id: bool, kind: OwnerKind, to_change: bool = False) -> Select[*tuple[Any, ...]]:
    """The statement for one of the six forms of an address; building it anew would cost more than running it."""
    owner = _OWNERS[kind]
    newest = aliased(PackageFile)
    newest_id = (
        select(func.max(newest.id)).where(newest.package_id == Package.id, newest.name == bindparam("name"))
    ).scalar_subquery()
    joins: list[tuple[Any, ColumnElement[bool]]] = [
        (owner, _owner_matches(kind)),
        (Package, _package_matches(kind)),
        (PackageFile, PackageFile.id == newest_id),
        (Blob, Blob.sha256 == PackageFile.sha256),
    ]
    return select(
        *_PROJECT_COLUMNS,
        owner.id,
        Package.id,
        PackageFile.id,
        PackageFile.sha256,
        PackageFile.size,
        PackageFile.created_at,
        Blob.damaged_at,
        *marks_of(Project.id, User.id),
        *((_linked(kind),) if to_change else ()),
    ).select_from(_joined(_project_source(project_by_id), joins))


def _project_source(by_id: bool) -> FromClause:
    """One row: a token, its user, a project and the user's membership in it, as far as they are there."""
    one = select(literal_column("1").label("one")).subquery("one")
    joins: list[tuple[Any, ColumnElement[bool]]] = [
        (Token, Token.digest == bindparam("digest")),
        (MAKER, MADE_WITH),
        (User, User.id == Token.user_id),
        (Project, (Project.id if by_id else Project.path_key) == bindparam("project")),
        (Member, _membership()),
    ]
    return _joined(one, joins)


def _joined(source: FromClause, joins: Sequence[tuple[Any, ColumnElement[bool]]]) -> FromClause:
    for table, condition in joins:
        source = source.outerjoin(table, condition)
    return source


def _membership() -> ColumnElement[bool]:
    in_time = or_(Member.expires_at.is_(None), Member.expires_at > bindparam("now"))
    return and_(Member.project_id == Project.id, Member.user_id == User.id, in_time)


def _owner_matches(kind: OwnerKind) -> ColumnElement[bool]:
    key: BindParameter[Any] = bindparam("owner")
    if kind is OwnerKind.CANDIDATE:
        # Deleted or not: a run that can be restored has its files, as in MLflow.
        return and_(Candidate.project_id == Project.id, Candidate.iid == key)
    if kind is OwnerKind.LOGGED_MODEL:
        return and_(LoggedModel.eid == key, LoggedModel.project_id == Project.id)
    return and_(ModelVersion.id == key, ModelVersion.project_id == Project.id)


def _package_matches(kind: OwnerKind) -> ColumnElement[bool]:
    """The files of a candidate that became a version are the version's, under both ids."""
    if kind is OwnerKind.CANDIDATE:
        return or_(Package.candidate_id == Candidate.id, Package.model_version_id == Candidate.model_version_id)
    if kind is OwnerKind.LOGGED_MODEL:
        return Package.logged_model_id == LoggedModel.id
    return Package.model_version_id == ModelVersion.id


def _linked(kind: OwnerKind) -> ColumnElement[bool]:
    """Whether versions follow the files, or the files are those of a version that follows others."""
    other = aliased(ModelVersion)
    if kind is OwnerKind.LOGGED_MODEL:
        return exists().where(other.followed_model_id == LoggedModel.id)
    if kind is OwnerKind.CANDIDATE:
        follows = exists().where(other.id == Candidate.model_version_id, _follows(other))
        return follows | exists().where(other.followed_candidate_id == Candidate.id)
    candidate = select(Candidate.id).where(Candidate.model_version_id == ModelVersion.id).correlate(ModelVersion)
    return _follows(ModelVersion) | exists().where(other.followed_candidate_id == candidate.scalar_subquery())


def _follows(version: type[ModelVersion]) -> ColumnElement[bool]:
    return or_(version.followed_candidate_id.is_not(None), version.followed_model_id.is_not(None))


_PROJECT_STATEMENTS = {by_id: select(*_PROJECT_COLUMNS).select_from(_project_source(by_id)) for by_id in (False, True)}
