"""What a version has in it, changed at once: many files in a handful of statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor

from modelyard.access.identity import Identity
from modelyard.blobs.store import BlobStore
from modelyard.errors import BadRequest
from modelyard.registry.files.following import Followed
from modelyard.registry.repository import Registry
from modelyard.registry.tables import ModelVersion
from modelyard.services.files import following, packages
from modelyard.services.files.following import Copy
from modelyard.services.files.quota import Quota, within
from modelyard.services.hub.manifests import Entry
from modelyard.terms.paths import OwnerKind, OwnerRef

NO_FACTS: Mapping[str, object] = {}


class Contents:
    """Changes the files of versions, whose bytes are in the store."""

    def __init__(self, store: BlobStore, executor: Executor, quota: Quota) -> None:
        self._store = store
        self._executor = executor
        self.quota = quota

    def change(
        self,
        registry: Registry,
        caller: Identity,
        version: ModelVersion,
        added: Sequence[Entry],
        removed: Sequence[str],
        facts: Mapping[str, object] = NO_FACTS,
    ) -> None:
        """Add files to a version and take others from it, in a write transaction that holds the project and all blobs.

        `facts`: what the audit trail is told besides. Raises BadRequest for bytes that are not there any more, and
        OverQuota.
        """
        self._require_bytes(registry, {entry.sha256 for entry in added})
        package = registry.packages.of_version(version.id)
        if package is None:
            package = packages.make_for_version(registry, version.project_id, version.id, caller)
        following.stop(registry, version.id)
        copies = self._copies(registry, version, added)
        files = [(entry.name, entry.sha256, entry.size) for entry in added]
        with within(registry, version.project_id, self.quota.limit(registry, version.project_id)):
            registry.packages.delete_named(package.id, removed)
            registry.blobs.know({entry.sha256: entry.size for entry in added})
            registry.packages.add_files(package.id, files, caller.user_id)
            for entry, copy in copies:
                registry.packages.add_copies([(copy.package_id, copy.name)], entry.sha256, entry.size, caller.user_id)
        if added or removed:
            told = {"change": "files", "added": len(added), "removed": len(removed), **facts}
            registry.audit.note("package_files_changed", package, told)

    def _require_bytes(self, registry: Registry, digests: Collection[str]) -> None:
        """Raise BadRequest unless the store has all of them, which it goes on having: nobody removes any meanwhile.

        What a file points at is there; many of the others are looked for at a time, as a bucket takes long for each.
        """
        wanted = sorted(set(digests) - registry.blobs.in_use(sorted(digests)))
        for digest, found in zip(wanted, self._executor.map(self._store.stat, wanted), strict=True):
            if found is None:
                raise BadRequest.plain(f"The bytes of {digest} are not here any more: send them again")

    def _copies(self, registry: Registry, version: ModelVersion, added: Sequence[Entry]) -> list[tuple[Entry, Copy]]:
        """What those versions get that follow the version's candidate."""
        candidate = registry.runs.of_versions([version.id]).get(version.id)
        if candidate is None or not registry.following.is_followed(Followed(candidate.id)):
            return []
        owner, copies = OwnerRef(OwnerKind.VERSION, version.id), []
        for entry in added:
            location = registry.locations.find(None, version.project_id, owner, entry.name, to_change=True)
            copies += [(entry, copy) for copy in following.hold(registry, location, owner, entry.name)]
        return copies
