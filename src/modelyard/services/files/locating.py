"""What a request for a file comes down to in the registry: where it leads, who may do what there, and its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from modelyard.access.identity import ANONYMOUS, Identity, identify, require_scope
from modelyard.access.policy import Action, require
from modelyard.access.tokens import digest_of
from modelyard.clock import now
from modelyard.errors import FileNotFound, NotFound
from modelyard.registry.files.locations import Location, StoredFile
from modelyard.registry.repository import Registry
from modelyard.registry.tables import PackageFile
from modelyard.services.files import packages
from modelyard.terms.paths import OwnerRef, ProjectRef

Precondition = Callable[[StoredFile | None], None]  # raises when the current file forbids the request


@dataclass(frozen=True, slots=True)
class Address:
    """A file in the API: `/projects/:id/packages/ml_models/:model_version_id/files/(*path/):file_name`, decoded."""

    project: ProjectRef
    owner: OwnerRef
    name: str


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are in the store; `publish_again` puts them back if they were collected as garbage since."""

    sha256: str
    size: int
    publish_again: Callable[[], None]


def find(registry: Registry, credential: str | None, address: Address, *, to_change: bool = False) -> Location:
    """What lies at an address, as far as whoever holds the credential may care."""
    digest = credential_digest(credential)
    return registry.locations.find(digest, address.project, address.owner, address.name, to_change=to_change)


def find_to_change(registry: Registry, credential: str | None, address: Address) -> Location:
    """What lies at an address, where nobody else changes the file of that name from now on.

    Without a package there is nothing to hold yet; then a constraint lets only one writer make it.
    """
    location = find(registry, credential, address, to_change=True)
    if location.project is None:
        return location
    part = f"file {location.package_id} {address.name}"
    if not registry.locks.project(location.project.id, part):
        return location
    return find(registry, credential, address, to_change=True)


def credential_digest(credential: str | None) -> str | None:
    """The digest under which a credential is known; None for none."""
    return digest_of(credential) if credential is not None else None


def judge(location: Location, credential: str | None, action: Action) -> Identity:
    """Who asks, if they may do `action` at the location; else the refusal that is due."""
    caller = identify(location.token, now()) if credential is not None else ANONYMOUS
    require_scope(caller, writing=action is not Action.READ)
    require(caller, location.project, action)
    if location.owner_id is None:
        raise NotFound
    return caller


def readable(location: Location, credential: str | None) -> StoredFile:
    """The file at the location, if the caller may read it; else the refusal that is due."""
    judge(location, credential, Action.READ)
    if location.file is None:
        raise FileNotFound
    return location.file


def record(
    registry: Registry, location: Location, caller: Identity, address: Address, content: Content, status: str | None
) -> StoredFile:
    """Make the content the newest file at the address, unless it is already."""
    sha256, size = content.sha256, content.size
    package_id = location.package_id or packages.make(registry, location, address.owner, caller).id
    if status is not None:
        _set_status(registry, package_id, status)
    if location.file is not None and location.file.sha256 == sha256 and not location.file.damaged:
        return location.file
    registry.blobs.ensure(sha256, size)
    if location.file is not None and location.file.sha256 == sha256:
        return replace(location.file, damaged=False)
    file = registry.packages.add_file(
        PackageFile(package_id=package_id, name=address.name, sha256=sha256, size=size, creator_id=caller.user_id)
    )
    registry.audit.note("package_file_created", file, {"add": "file", "sha256": sha256, "size": size})
    return StoredFile(file.id, file.name, sha256, size, file.created_at)


def _set_status(registry: Registry, package_id: int, status: str) -> None:
    package = registry.packages.located(package_id)
    registry.audit.note_changes("package_updated", package, {"status": package.status}, {"status": status})
    package.status = status
