"""All files below a folder, to be handed out together."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.errors import BadRequest, FileNotFound
from modelyard.registry.files.locations import StoredFile
from modelyard.registry.repository import Registry
from modelyard.services.files.opening import require_whole

MAX_FILES = 100_000


def files_below(registry: Registry, package_id: int | None, folder: str) -> Sequence[StoredFile]:
    """The newest file of each name in a folder (empty: the top) at any depth, by name.

    Raises FileNotFound where there is none, BadRequest for more than MAX_FILES, and InternalError if one is damaged.
    """
    found = registry.folders.below(package_id, folder, MAX_FILES + 1) if package_id is not None else []
    if not found:
        raise FileNotFound
    if len(found) > MAX_FILES:
        raise BadRequest(f"There are more than {MAX_FILES} files: take one folder at a time")
    for file in found:
        require_whole(file)
    return sorted(found, key=lambda file: file.name)
