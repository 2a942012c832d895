"""Folders of a version's files, page by page; one file of them; and what is found by a part of its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.errors import FileNotFound, NotFound
from modelyard.registry.files.folders import Content, Inside, Node
from modelyard.registry.files.packages import PLACE
from modelyard.registry.repository import Registry
from modelyard.registry.search.pages import Cursor, check_cursor, decode_token, encode_token
from modelyard.registry.tables import Package, PackageFile

ROWS = 100  # on a page
MAX_FOUND = 100


@dataclass(frozen=True, slots=True)
class FolderPage:
    """A page of what lies in a folder, the token of the next, and on the first page how much lies in it in all."""

    nodes: Sequence[Node]
    following: str | None
    content: Content | None


def page(registry: Registry, version_id: int, folder: str, token: str | None) -> FolderPage:
    """What lies in a folder (empty: the top) of a version's files. Raises NotFound, InvalidValue for the token."""
    package = registry.packages.of_version(version_id)
    cursor = decode_token(token, "folder", version_id, folder)
    check_cursor(cursor, [PLACE])
    after = (str(cursor.after[0]), not cursor.after[1]) if cursor.after else None
    inside = registry.folders.within(package.id, folder, after, ROWS + 1) if package else Inside([], Content())
    found = inside.nodes
    if folder and not found and after is None:
        raise NotFound("Folder")
    shown, last = found[:ROWS], found[ROWS - 1] if len(found) > ROWS else None
    rest = Cursor(after=(last.name, int(not last.folder))) if last else None
    return FolderPage(shown, encode_token(rest, "folder", version_id, folder), inside.content)


def find(registry: Registry, version_id: int, text: str) -> list[Node]:
    """The first files of a version with a text in their names."""
    package = registry.packages.of_version(version_id)
    return registry.folders.found(package.id, text, MAX_FOUND) if package and text else []


def file(registry: Registry, version_id: int, name: str) -> Node:
    """The file of a name. Raises FileNotFound."""
    package = registry.packages.of_version(version_id)
    found = registry.folders.file(package.id, name) if package else None
    if found is None:
        raise FileNotFound
    return found


def first(registry: Registry, version_id: int) -> Node | None:
    """The first file of a version by its name; None without any."""
    package = registry.packages.of_version(version_id)
    return registry.folders.first(package.id) if package else None


def content(registry: Registry, version_id: int, name: str) -> Content:
    """How much goes with a file or a folder, older files of the same names with it. Raises NotFound for nothing."""
    package = registry.packages.of_version(version_id)
    found = registry.folders.content(package.id, name) if package and name else Content()
    if not found.files:
        raise NotFound
    return found


def home_of(registry: Registry, project_id: int, file_id: int) -> tuple[PackageFile, Package]:
    """A file of a project by its id, and its package. Raises NotFound."""
    found = registry.folders.home_of(project_id, file_id)
    if found is None:
        raise NotFound
    return found
