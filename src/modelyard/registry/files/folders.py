"""Files of a package as folders of them, with how much lies in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    SQLColumnExpression,
    Text,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from modelyard.clock import Milliseconds
from modelyard.registry.base import Repository, contains
from modelyard.registry.dialects import ilike, position
from modelyard.registry.files.locations import StoredFile
from modelyard.registry.files.packages import inside, tree
from modelyard.registry.statements import built_once
from modelyard.registry.tables import Blob, Package, PackageFile

_NEWER = aliased(PackageFile)
HIDDEN = exists().where(  # one look at the index for each file; `IN` the newest of each name is asked anew for each
    _NEWER.package_id == PackageFile.package_id, _NEWER.name == PackageFile.name, _NEWER.id > PackageFile.id
)


@dataclass(frozen=True, slots=True)
class Content:
    """How much lies in a version or a folder, at any depth."""

    files: int = 0
    size: int = 0  # bytes


@dataclass(frozen=True, slots=True)
class Node:
    """A file, or a folder with all that lies in it at any depth."""

    name: str  # within its folder; the whole name for what was found
    folder: bool
    content: Content
    changed_at: Milliseconds
    sha256: str | None = None  # of a file
    file_id: int | None = None


@dataclass(frozen=True, slots=True)
class Inside:
    """A part of what lies in a folder, and how much all of it is; None where only a later part was looked at."""

    nodes: list[Node]
    content: Content | None


class FolderRepository(Repository):
    """What lies in folders; of several files with one name, the newest."""

    def within(self, package_id: int, folder: str, after: tuple[str, bool] | None, limit: int) -> Inside:
        """What lies directly in a folder (empty: the top), folders first: at most `limit`, after one of them."""
        prefix = f"{folder}/" if folder else ""
        name, was_folder = after or ("", True)
        folders, whole = self._folders(package_id, prefix, name, limit) if was_folder else ([], None)
        beneath = sum(folder.content.files for folder in folders)
        if len(folders) < limit and (whole is None or beneath < whole.files):  # else there is nothing but folders
            beyond = "" if was_folder else name
            folders += self._files(package_id, prefix, beyond, limit - len(folders))
        return Inside(folders, whole)

    def _folders(self, package_id: int, prefix: str, after: str, limit: int) -> tuple[list[Node], Content | None]:
        """The folders directly in a folder; and where they are its first ones, how much lies in it, from the same look
        at all files in it.
        """
        asked = _within(package_id, prefix) | {"after": after, "beyond": prefix + after, "limit": limit + 1}
        rows = self.tuples(_folders(below=bool(prefix), later=bool(after)), asked)
        content = None if after else Content(int(rows[0][4]), int(rows[0][5])) if rows else Content()
        nodes = [Node(name, True, Content(files, int(size)), at) for name, files, size, at, *_whole in rows if name]
        return nodes[:limit], content

    def _files(self, package_id: int, prefix: str, after: str, limit: int) -> list[Node]:
        """The files directly in a folder; the index on names has them in order, and is read no further than they go."""
        asked = _within(package_id, prefix) | {"beyond": prefix + after, "limit": limit}
        rows = self.tuples(_files(below=bool(prefix)), asked)
        return [Node(name[len(prefix) :], False, Content(1, size), *more) for name, size, *more in rows]

    def below(self, package_id: int, folder: str, limit: int) -> list[StoredFile]:
        """The files in a folder (empty: the top) at any depth, in no order; at most `limit`."""
        prefix = f"{folder}/" if folder else ""
        columns = (PackageFile.id, PackageFile.name, PackageFile.sha256, PackageFile.size, PackageFile.created_at)
        there = _newest_inside(package_id, prefix).with_only_columns(*columns, Blob.damaged_at)
        rows = self.tuples(there.join(Blob, Blob.sha256 == PackageFile.sha256).limit(limit))
        return [StoredFile(id_, name, sha256, size, at, bad is not None) for id_, name, sha256, size, at, bad in rows]

    def found(self, package_id: int, text: str, limit: int) -> list[Node]:
        """The files with a text in their names, whatever its case, by name."""
        matching = _newest_inside(package_id, "").where(ilike(PackageFile.name, contains(text)))
        rows = self.session.scalars(matching.order_by(PackageFile.name).limit(limit))
        return [_file(row) for row in rows]

    def file(self, package_id: int, name: str) -> Node | None:
        """The newest file of a name."""
        mine = (PackageFile.package_id == package_id) & (PackageFile.name == name)
        row = self.session.scalar(select(PackageFile).where(mine).order_by(PackageFile.id.desc()).limit(1))
        return _file(row) if row is not None else None

    def ending(self, version_id: int, name: str) -> str | None:
        """The whole name of the highest file of a version that has that name in any folder."""
        mine = select(PackageFile.name).join(Package, Package.id == PackageFile.package_id)
        named = or_(PackageFile.name == name, PackageFile.name.endswith(f"/{name}", autoescape=True))
        found = mine.where(Package.model_version_id == version_id, named)
        return self.session.scalar(found.order_by(func.length(PackageFile.name), PackageFile.name).limit(1))

    def first(self, package_id: int) -> Node | None:
        """The first file by its name."""
        mine = select(PackageFile).where(PackageFile.package_id == package_id)
        row = self.session.scalar(mine.order_by(PackageFile.name, PackageFile.id.desc()).limit(1))
        return _file(row) if row is not None else None

    def content(self, package_id: int, name: str) -> Content:
        """What goes with a file or a folder of a name: files by their names, and bytes, those of older ones too."""
        counted = select(func.count(func.distinct(PackageFile.name)), func.coalesce(func.sum(PackageFile.size), 0))
        row = self.session.execute(counted.where(tree(package_id, name))).one()
        return Content(row[0], int(row[1]))

    def home_of(self, project_id: int, file_id: int) -> tuple[PackageFile, Package] | None:
        """A file of a project by its id, and its package."""
        mine = (PackageFile.id == file_id) & (Package.project_id == project_id)
        joined = select(PackageFile, Package).join(Package, Package.id == PackageFile.package_id)
        row = self.session.execute(joined.where(mine)).one_or_none()
        return (row[0], row[1]) if row else None


def _newest_inside(package_id: int, prefix: str) -> Select[PackageFile]:
    return select(PackageFile).where(inside(package_id, prefix), ~HIDDEN)


# Built once: building a statement takes a good part of the time that a page of files takes.


def _within(package_id: int, prefix: str) -> dict[str, object]:
    """The values of `_mine` and `_parts`."""
    end = prefix[:-1] + chr(ord("/") + 1) if prefix else ""
    return {"package": package_id, "prefix": prefix, "end": end, "begin": len(prefix) + 1}


def _mine(*, below: bool) -> ColumnElement[bool]:
    """The newest files of a package; `below`: of a folder in it."""
    mine = and_(PackageFile.package_id == bindparam("package"), ~HIDDEN)
    return and_(mine, PackageFile.name > bindparam("prefix"), PackageFile.name < bindparam("end")) if below else mine


def _parts(*, below: bool) -> tuple[SQLColumnExpression[str], SQLColumnExpression[int]]:
    """A file's name within a folder, and where in it a slash is; 0 where none is."""
    name: SQLColumnExpression[str] = PackageFile.name
    rest = func.substr(name, bindparam("begin", type_=Integer), type_=Text()) if below else name
    return rest, position(rest, "/")


@built_once
def _folders(*, below: bool, later: bool) -> Select[*tuple[Any, ...]]:
    rest, slash = _parts(below=below)
    child = func.substr(rest, 1, slash)  # with the slash; empty for a file
    name, files, size = func.rtrim(child, "/"), func.count(), func.sum(PackageFile.size)
    whole = func.sum(files).over(), func.sum(size).over()
    there = select(name.label("child"), files, size, func.max(PackageFile.created_at), *whole).where(_mine(below=below))
    if later:
        there = there.where(slash > 0, name > bindparam("after"), PackageFile.name > bindparam("beyond"))
    return there.group_by(child).order_by(name).limit(bindparam("limit"))


@built_once
def _files(*, below: bool) -> Select[*tuple[Any, ...]]:
    _rest, slash = _parts(below=below)
    columns = (PackageFile.name, PackageFile.size, PackageFile.created_at, PackageFile.sha256, PackageFile.id)
    there = select(*columns).where(_mine(below=below), slash == 0, PackageFile.name > bindparam("beyond"))
    return there.order_by(PackageFile.name).limit(bindparam("limit"))


def _file(row: PackageFile) -> Node:
    return Node(row.name, False, Content(1, row.size), row.created_at, row.sha256, row.id)
