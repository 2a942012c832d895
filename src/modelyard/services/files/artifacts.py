"""MLflow's view of files: directories to list, and trees to delete, over the packages of the file API."""

from __future__ import annotations

from modelyard.access.identity import Identity
from modelyard.registry.files.packages import PLACE, Child
from modelyard.registry.repository import Registry
from modelyard.registry.search.pages import Cursor, check_cursor, decode_token, encode_token
from modelyard.registry.tables import Candidate
from modelyard.services.files import following
from modelyard.services.files.owners import find_owner, of_candidate
from modelyard.services.tracking.runs import find_run
from modelyard.terms.paths import OwnerRef

MAX_CHILDREN = 10_000  # of a directory on one page; most clients never ask for the next


def list_directory(registry: Registry, project_id: int, owner: OwnerRef, directory: str) -> list[Child]:
    """What lies directly in a directory; nothing for a file, or for what is not there. Raises DoesNotExist."""
    package = find_owner(registry, project_id, owner).package
    return registry.packages.children(package.id, _kept(registry, package.id, directory)) if package else []


def list_run_directory(
    registry: Registry, project_id: int, run_id: str, directory: str, page_token: str | None
) -> tuple[Candidate, list[Child], str | None]:
    """A run, a page of what lies directly in one of its directories, and the token of the next.

    Raises DoesNotExist, InvalidValue.
    """
    candidate = find_run(registry, project_id, run_id)
    cursor = decode_token(page_token, "artifacts", run_id, directory)
    check_cursor(cursor, [PLACE])
    package = of_candidate(registry, candidate).package
    found: list[Child] = []
    if package is not None:
        kept = _kept(registry, package.id, directory)
        found = registry.packages.children(package.id, kept, cursor.after, MAX_CHILDREN + 1)
    last = found[MAX_CHILDREN - 1] if len(found) > MAX_CHILDREN else None
    rest = Cursor(after=last.place) if last else None
    return candidate, found[:MAX_CHILDREN], encode_token(rest, "artifacts", run_id, directory)


def file_shown_as(registry: Registry, project_id: int, owner: OwnerRef, path: str) -> str | None:
    """The name of the file that MLflow's clients show as `path`, where none has that name. Raises DoesNotExist."""
    package = find_owner(registry, project_id, owner).package
    return registry.shown_names.kept_as(package.id, path) if package else None


def delete_tree(registry: Registry, _caller: Identity, project_id: int, owner: OwnerRef, path: str) -> None:
    """Remove a file, or a directory with all that is in it, if it is there: MLflow takes that as done.

    Raises DoesNotExist for whose files they are.
    """
    found = find_owner(registry, project_id, owner)
    package = found.package
    if package is None or not registry.packages.has_files(package.id, path):
        return
    following.stop(registry, found.version_id)
    if registry.packages.delete_tree(package.id, path):
        registry.audit.note("package_files_destroyed", package, {"remove": "files", "path": path})


def _kept(registry: Registry, package_id: int, directory: str) -> str:
    """The directory of that name, or the one that MLflow's clients show by it."""
    if not directory or registry.packages.has_files(package_id, directory):
        return directory
    return registry.shown_names.kept_as(package_id, directory) or directory
