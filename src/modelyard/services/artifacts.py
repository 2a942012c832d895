"""MLflow's view of files: directories to list, and trees to delete, over the packages of the file API."""

from __future__ import annotations

from modelyard.access.identity import Identity
from modelyard.registry.packages import Child
from modelyard.registry.repository import Registry
from modelyard.services.owners import find_owner
from modelyard.wire.paths import OwnerRef


def list_directory(registry: Registry, project_id: int, owner: OwnerRef, directory: str) -> list[Child]:
    """What lies directly in a directory; nothing for a file, or for what is not there. Raises DoesNotExist."""
    package = find_owner(registry, project_id, owner).package
    return registry.packages.children(package.id, directory) if package else []


def delete_tree(registry: Registry, _caller: Identity, project_id: int, owner: OwnerRef, path: str) -> None:
    """Remove a file, or a directory with all that is in it, if it is there: MLflow takes that as done.

    Raises DoesNotExist for whose files they are.
    """
    package = find_owner(registry, project_id, owner).package
    if package is not None and registry.packages.delete_tree(package.id, path):
        registry.audit.note("package_files_destroyed", package, {"remove": "files", "path": path})
