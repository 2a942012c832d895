"""Files of versions as they are, and as they were when a client was told their commit."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, bindparam, delete, func, or_, select, true, update

from modelyard.clock import Milliseconds
from modelyard.registry.base import Repository
from modelyard.registry.dialects import upsert
from modelyard.registry.tables import Commit, ModelVersion, Package, PackageFile, User

MAX_COMMITS = 1_000  # of one version …
MAX_KEPT_BYTES = 64 * 1024 * 1024  # … and of their manifests, as they are kept

CurrentFile = tuple[str, str, int]  # name, digest, bytes


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which rows of files a version has, in numbers; it differs from an earlier one if any has come or gone since.

    A row never changes, and no id is given twice.
    """

    package_id: int | None
    files: int
    last_id: int
    sum_of_ids: int
    changed_at: Milliseconds  # when the newest of the files came; 0 without any


@dataclass(frozen=True, slots=True)
class Told:
    """A commit that was told."""

    version_id: int
    package_id: int | None
    changed_at: Milliseconds  # when the newest of its files came


@dataclass(frozen=True, slots=True)
class Listed:
    """A commit in a history; its words and the name of who made it where a client did so by this API."""

    oid: str
    changed_at: Milliseconds
    title: str | None = None
    message: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """How a client has made a commit: by which request, by its digest, and in whose words."""

    request: str
    title: str
    message: str
    author_id: int | None


# Built once: building a statement takes several times as long as running it.
_STAMP = (
    select(
        Package.id,
        func.count(PackageFile.id),
        func.coalesce(func.max(PackageFile.id), 0),
        func.coalesce(func.sum(PackageFile.id), 0),
    )
    .outerjoin(PackageFile, PackageFile.package_id == Package.id)
    .where(Package.model_version_id == bindparam("version"))
    .group_by(Package.id)
)
_CHANGED_AT = select(func.coalesce(func.max(PackageFile.created_at), 0)).where(PackageFile.id == bindparam("id"))
_NEWEST = (
    select(func.max(PackageFile.id)).where(PackageFile.package_id == bindparam("package")).group_by(PackageFile.name)
)
_FILES = (
    select(PackageFile.name, PackageFile.sha256, PackageFile.size)
    .where(PackageFile.id.in_(_NEWEST))
    .limit(bindparam("limit"))
)
_OF_MODEL = (
    select(Commit.model_version_id, Package.id, Commit.changed_at)
    .join(ModelVersion, ModelVersion.id == Commit.model_version_id)
    .outerjoin(Package, Package.model_version_id == ModelVersion.id)
    .where(Commit.oid == bindparam("oid"), ModelVersion.model_id == bindparam("model"))
)
_LISTED = select(Commit.oid, Commit.changed_at, Commit.title, Commit.message, User.username).outerjoin(
    User, User.id == Commit.author_id
)
_MANIFEST = select(Commit.manifest).where(Commit.oid == bindparam("oid"))


class CommitRepository(Repository):
    """The files of versions, and the commits that were told of them."""

    def stamp(self, version_id: int) -> Stamp:
        """Which files a version has now, in numbers."""
        row = self.connection.execute(_STAMP, {"version": version_id}).one_or_none()
        if row is None:
            return Stamp(None, 0, 0, 0, 0)
        package_id, files, last_id, total = row
        changed_at = self.connection.execute(_CHANGED_AT, {"id": last_id}).scalar_one()
        return Stamp(package_id, files, last_id, int(total), changed_at)

    def files(self, package_id: int, limit: int) -> list[CurrentFile]:
        """The newest file of each name in a package, in no order; at most `limit`."""
        rows = self.tuples(_FILES, {"package": package_id, "limit": limit})
        return [(name, sha256, size) for name, sha256, size in rows]

    def told(self, model_id: int, oid: str) -> Told | None:
        """The commit of that id, if it was told of a version of the model."""
        row = self.connection.execute(_OF_MODEL, {"model": model_id, "oid": oid}).one_or_none()
        return Told(*row) if row else None

    def manifest(self, oid: str) -> bytes | None:
        """The files of a commit, as they are kept."""
        found: bytes | None = self.connection.execute(_MANIFEST, {"oid": oid}).scalar_one_or_none()
        return found

    def is_kept(self, oid: str) -> bool:
        """Whether the commit of that id can be come back to."""
        return self.session.scalar(select(Commit.id).where(Commit.oid == oid)) is not None

    def keep(self, commit: Commit) -> None:
        """Keep a commit, if its version is still there; the oldest of the version go when there are too many."""
        version = self.session.scalar(select(ModelVersion.id).where(ModelVersion.id == commit.model_version_id))
        if version is None:
            return
        row = {name: getattr(commit, name) for name in _COLUMNS}
        self.session.execute(upsert(self.dialect, Commit).values(row).on_conflict_do_nothing(index_elements=["oid"]))
        self.session.execute(delete(Commit).where(Commit.id.in_(_too_many(commit.model_version_id))))

    def request_of(self, oid: str) -> str | None:
        """The digest of the request that made the commit of that id, if one did."""
        return self.session.scalar(select(Commit.request).where(Commit.oid == oid))

    def note_made(self, oid: str, made: Made) -> None:
        """Know how a commit that is kept came about."""
        values = {"request": made.request, "title": made.title, "message": made.message, "author_id": made.author_id}
        self.session.execute(update(Commit).where(Commit.oid == oid).values(values))

    def listed(self, oid: str) -> Listed | None:
        """The commit of that id, if it is kept."""
        row = self.session.execute(_LISTED.where(Commit.oid == oid)).one_or_none()
        return Listed(*row) if row is not None else None

    def before(self, version_id: int, oid: str, offset: int, limit: int) -> list[Listed]:
        """The commits of a version that were told before one of its own, the last first."""
        told = select(Commit.id).where(Commit.oid == oid).scalar_subquery()
        mine = (Commit.model_version_id == version_id) & (Commit.oid != oid)
        # One that is not kept yet is the newest.
        earlier = _LISTED.where(mine, func.coalesce(Commit.id < told, true()))
        rows = self.session.execute(earlier.order_by(Commit.id.desc()).offset(offset).limit(limit))
        return [Listed(*row) for row in rows]


_COLUMNS = ("oid", "model_version_id", "manifest", "size", "changed_at", "created_at")


def _too_many(version_id: int) -> Select[int]:
    newest_first = Commit.id.desc()
    placed = (
        select(
            Commit.id,
            func.row_number().over(order_by=newest_first).label("place"),
            func.sum(Commit.size).over(order_by=newest_first).label("size"),
        )
        .where(Commit.model_version_id == version_id)
        .subquery()
    )
    over = or_(placed.c.place > MAX_COMMITS, placed.c.size > MAX_KEPT_BYTES)
    return select(placed.c.id).where(over, placed.c.place > 1)
