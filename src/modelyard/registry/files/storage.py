"""How many bytes the files of a project have, and how many they may have.

The database counts by triggers (revision 0003), in the transaction in which a file comes or goes. Each file counts with
its whole size, whatever other files point at the same blob, as in GitLab.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from modelyard.registry.base import Repository
from modelyard.registry.tables import Blob, Package, PackageFile, Project, ProjectStorage


@dataclass(frozen=True, slots=True)
class Count:
    """A project's bytes as they were counted, and as they are."""

    project: str  # its path
    counted: int
    actual: int


class StorageRepository(Repository):
    """Bytes by project."""

    def used(self, project_id: int) -> int:
        """The bytes of all files of a project."""
        return int(self.connection.execute(_USED, {"id": project_id}).scalar_one())

    def used_by(self, project_ids: Sequence[int]) -> dict[int, int]:
        """The bytes of all files of each project."""
        found: dict[int, int] = dict.fromkeys(project_ids, 0)
        for project_id, size in self.tuples(_USED_BY, {"ids": project_ids}) if project_ids else ():
            found[project_id] = int(size)
        return found

    def total(self) -> int:
        """The bytes of all files of all projects."""
        return int(self.connection.execute(_TOTAL).scalar_one())

    def stored(self) -> tuple[int, int]:
        """How many blobs are known, and their bytes: files with the same content share one."""
        count, size = self.connection.execute(_STORED).one()
        return count, int(size)

    def limit(self, project_id: int) -> int | None:
        """The bytes that an administrator allows a project: 0 is no limit, None the server's default."""
        found: int | None = self.connection.execute(_LIMIT, {"id": project_id}).scalar_one()
        return found

    def miscounted(self) -> list[Count]:
        """The projects whose count differs from the sum over all of their files."""
        rows = self.session.execute(_MISCOUNTED)
        return [Count(f"{namespace}/{path}", int(counted), int(actual)) for namespace, path, counted, actual in rows]


# Built once: building a statement takes several times as long as running it.
_LIMIT = select(Project.storage_limit).where(Project.id == bindparam("id"))
_TOTAL = select(func.coalesce(func.sum(ProjectStorage.size), 0))
_STORED = select(func.count(), func.coalesce(func.sum(Blob.size), 0)).select_from(Blob)
_USED = select(func.coalesce(func.sum(ProjectStorage.size), 0)).where(ProjectStorage.project_id == bindparam("id"))
_USED_BY = (
    select(ProjectStorage.project_id, func.sum(ProjectStorage.size))
    .where(ProjectStorage.project_id.in_(bindparam("ids", expanding=True)))
    .group_by(ProjectStorage.project_id)
)
_COUNTED = select(ProjectStorage.project_id, func.sum(ProjectStorage.size).label("size")).group_by(
    ProjectStorage.project_id
)
_ACTUAL = (
    select(Package.project_id, func.sum(PackageFile.size).label("size"))
    .join(PackageFile, PackageFile.package_id == Package.id)
    .group_by(Package.project_id)
)
_counted, _actual = _COUNTED.subquery("counted"), _ACTUAL.subquery("actual")
_COLUMNS = func.coalesce(_counted.c.size, 0), func.coalesce(_actual.c.size, 0)
_MISCOUNTED = (
    select(Project.namespace_path, Project.path, *_COLUMNS)
    .outerjoin(_counted, _counted.c.project_id == Project.id)
    .outerjoin(_actual, _actual.c.project_id == Project.id)
    .where(_COLUMNS[0] != _COLUMNS[1])
    .order_by(Project.id)
)
