"""The hot lookup: all that authorize, upload and download must know before a byte moves, in one statement.

It joins credential, user, project, role, version or candidate, package and the newest file of a name. Each part may be
absent; what that means is the policy's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Row,
    Select,
    and_,
    bindparam,
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
from modelyard.registry.tables import (
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
from modelyard.registry.tokens import TOKEN_COLUMNS
from modelyard.wire.paths import OwnerKind, OwnerRef, ProjectRef


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a package, ready to be served."""

    id: int
    name: str
    sha256: str
    size: int
    created_at: Milliseconds


@dataclass(frozen=True, slots=True)
class Location:
    """What lies at an address; None for each part that is not there."""

    token: TokenFacts | None
    project: ProjectFacts | None
    owner_id: int | None  # id of the version or candidate itself
    package_id: int | None
    file: StoredFile | None
    role_ends_at: Milliseconds | None  # until when all of this can hold


class LocationRepository(Repository):
    """Finds what an address in the file API names."""

    def find(self, digest: str | None, project: ProjectRef, owner: OwnerRef, name: str) -> Location:
        """Look up an address for whoever holds the token of that digest (None: nobody)."""
        values = {
            "digest": digest,
            "project": storable(project) if isinstance(project, int) else project.lower(),
            "owner": storable(owner.key) if isinstance(owner.key, int) else owner.key,
            "name": name,
            "now": now(),
        }
        # Past the session, whose machinery for entities costs more than the statement itself.
        statement = lookup_statement(isinstance(project, int), owner.kind)
        return _location(self.session.connection().execute(statement, values).one(), name)


_PROJECT_AT = len(TOKEN_COLUMNS)
_OWNER_AT = _PROJECT_AT + 6
_FILE_AT = _OWNER_AT + 2


def _location(row: Row[*tuple[Any, ...]], name: str) -> Location:
    project_id, path, namespace, visibility, role, role_ends_at = row[_PROJECT_AT:_OWNER_AT]
    owner_id, package_id = row[_OWNER_AT:_FILE_AT]
    file_id, sha256, size, created_at = row[_FILE_AT:]
    return Location(
        token=TokenFacts(*row[:_PROJECT_AT]) if row[0] is not None else None,
        project=ProjectFacts(project_id, f"{namespace}/{path}", visibility, role) if project_id is not None else None,
        owner_id=owner_id,
        package_id=package_id,
        file=StoredFile(file_id, name, sha256, size, created_at) if file_id is not None else None,
        role_ends_at=role_ends_at,
    )


_OWNERS: dict[OwnerKind, type[Candidate | LoggedModel | ModelVersion]] = {
    OwnerKind.CANDIDATE: Candidate,
    OwnerKind.LOGGED_MODEL: LoggedModel,
    OwnerKind.VERSION: ModelVersion,
}


@cache
def lookup_statement(project_by_id: bool, kind: OwnerKind) -> Select[*tuple[Any, ...]]:
    """The statement for one of the six forms of an address; building it anew would cost more than running it."""
    one = select(literal_column("1").label("one")).subquery("one")
    owner = _OWNERS[kind]
    newest = aliased(PackageFile)
    newest_id = (
        select(func.max(newest.id)).where(newest.package_id == Package.id, newest.name == bindparam("name"))
    ).scalar_subquery()
    joins: list[tuple[Any, ColumnElement[bool]]] = [
        (Token, Token.digest == bindparam("digest")),
        (User, User.id == Token.user_id),
        (Project, (Project.id if project_by_id else Project.path_key) == bindparam("project")),
        (Member, _membership()),
        (owner, _owner_matches(kind)),
        (Package, _package_matches(kind)),
        (PackageFile, PackageFile.id == newest_id),
    ]
    source: FromClause = one
    for table, condition in joins:
        source = source.outerjoin(table, condition)
    return select(
        *TOKEN_COLUMNS,
        Project.id,
        Project.path,
        Project.namespace_path,
        Project.visibility,
        Member.access_level,
        Member.expires_at,
        owner.id,
        Package.id,
        PackageFile.id,
        PackageFile.sha256,
        PackageFile.size,
        PackageFile.created_at,
    ).select_from(source)


def _membership() -> ColumnElement[bool]:
    in_time = or_(Member.expires_at.is_(None), Member.expires_at > bindparam("now"))
    return and_(Member.project_id == Project.id, Member.user_id == User.id, in_time)


def _owner_matches(kind: OwnerKind) -> ColumnElement[bool]:
    key: BindParameter[Any] = bindparam("owner")
    if kind is OwnerKind.CANDIDATE:
        return and_(Candidate.project_id == Project.id, Candidate.iid == key, Candidate.deleted_at.is_(None))
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
