"""Where a request for a file leads: what the registry has there for whoever asks, and who may do what with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from modelyard.access.identity import ANONYMOUS, Identity, identify, require_scope
from modelyard.access.policy import Action, require
from modelyard.access.tokens import digest_of
from modelyard.clock import now
from modelyard.errors import FileNotFound, NotFound
from modelyard.registry.files.locations import Location, StoredFile
from modelyard.registry.repository import Registry
from modelyard.registry.tables import PackageFile
from modelyard.services.files.lookup import Lookup
from modelyard.terms.paths import OwnerRef, ProjectRef


@dataclass(frozen=True, slots=True)
class Address:
    """A file in the API: `/projects/:id/packages/ml_models/:model_version_id/files/(*path/):file_name`, decoded."""

    project: ProjectRef
    owner: OwnerRef
    name: str


class FileRequest(NamedTuple):
    """Which file is asked for, and by whom. It holds no secret, so that it may be remembered and kept."""

    holder: str | None  # the digest of the credential; None for nobody's
    address: Address

    @classmethod
    def by(cls, credential: str | None, address: Address) -> FileRequest:
        """The request of whoever presents a credential, None for none."""
        return cls(digest_of(credential) if credential is not None else None, address)


@dataclass(frozen=True, slots=True)
class Located:
    """What lies where a request leads."""

    request: FileRequest
    location: Location

    def judge(self, action: Action) -> Identity:
        """Who asks, if they may do `action` here; else the refusal that is due.

        Raises TokenError, Unauthorized, ProjectNotFound, Forbidden and NotFound, in the order of checks.
        """
        location, caller = self.location, self.identify()
        require_scope(caller, writing=action is not Action.READ)
        require(caller, location.project, action)
        if location.owner_id is None:
            raise NotFound
        return caller

    def identify(self) -> Identity:
        """Who asks. Raises TokenError."""
        return identify(self.location.token, now()) if self.request.holder is not None else ANONYMOUS

    def readable(self) -> StoredFile:
        """The file, if the caller may read it; else the refusal that is due, as `judge` has it, or FileNotFound."""
        self.judge(Action.READ)
        if self.location.file is None:
            raise FileNotFound
        return self.location.file


FileLookup: TypeAlias = Lookup[FileRequest, Located]


def find(registry: Registry, request: FileRequest, *, to_change: bool = False) -> Located:
    """What lies at an address, as far as whoever asks may care."""
    holder, address = request
    location = registry.locations.find(holder, address.project, address.owner, address.name, to_change=to_change)
    return Located(request, location)


def find_to_change(registry: Registry, request: FileRequest, seen: Location | None = None) -> Located:
    """What lies at an address, where nobody else changes the file of that name from now on.

    Without a package there is nothing to hold yet; then a constraint lets only one writer make it. `seen` is what was
    there a moment ago for a caller who may change it: as that is mostly so still, it is held before it is looked for.
    """
    held = seen is not None and _hold(registry, request, seen)
    located = find(registry, request, to_change=True)
    if (held and _is_same(located.location, seen)) or not _hold(registry, request, located.location):
        return located
    return find(registry, request, to_change=True)


def _hold(registry: Registry, request: FileRequest, location: Location) -> bool:
    """Hold the file of that name there, and draw an id for a newer one; whether others may have written before."""
    if location.project is None:
        return False
    held = registry.locks.project(location.project.id, f"file {location.package_id} {request.address.name}")
    registry.packages.reserve(PackageFile)
    return held


def _is_same(location: Location, seen: Location | None) -> bool:
    """Whether what is held of one place is held of the other."""
    if seen is None or seen.project is None or location.project is None:
        return False
    return location.project.id == seen.project.id and location.package_id == seen.package_id
