"""Commits: the files of a version at one time, which a client that was told the id may come back to.

The id is made from the files, so nothing need know of a change: whoever asks next is told another id. The files are
kept under it before it is told. So a download that began before a change goes on with the old list, on every replica
and after a restart, for as long as the bytes are there.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError

from modelyard.access.identity import Identity
from modelyard.clock import Milliseconds, now
from modelyard.errors import BadRequest, RevisionNotFound
from modelyard.registry.dialects import is_out_of_space
from modelyard.registry.engine import Database
from modelyard.registry.hub.commits import Stamp
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Commit, ModelVersion
from modelyard.services.files.recent import Recent
from modelyard.services.hub.manifests import NO_FILES, Manifest, commit_without_version
from modelyard.services.hub.repositories import Repository, find_repository
from modelyard.services.hub.revisions import find_version
from modelyard.terms.repositories import RepositoryId, is_commit

log = structlog.get_logger()

MAX_FILES = 100_000  # of a version that this API shows
MAX_REMEMBERED = 10_000  # versions whose commits a process knows
MAX_REMEMBERED_BYTES = 16 * 1024 * 1024  # of manifests


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository at a revision; `version` is None where the model has none yet, whose commit has no files."""

    repository: Repository
    version: ModelVersion | None
    commit: str
    manifest: Manifest
    changed_at: Milliseconds  # when the newest of its files came
    package_id: int | None = None
    kept: bool = True  # whether the commit can be come back to already


class Commits:
    """Finds the commits of versions, and keeps those that are told. For use on any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._oids = Recent[str](MAX_REMEMBERED)  # of kept commits, by version and stamp
        self._manifests = Recent[Manifest](MAX_REMEMBERED_BYTES, lambda manifest: len(manifest.text) + 1)  # by oid
        self._lock = threading.Lock()

    def snapshot(self, registry: Registry, caller: Identity, asked: RepositoryId | None, revision: str) -> Snapshot:
        """A repository at a revision, as the caller may know it; `keep` it before its commit is told.

        Raises RepositoryNotFound, GatedRepository, RevisionNotFound, and BadRequest for a version with too many files.
        """
        return self.at(registry, find_repository(registry, caller, asked), revision)

    def at(self, registry: Registry, repository: Repository, revision: str) -> Snapshot:
        """A repository at a revision. Raises RevisionNotFound and BadRequest, as `snapshot`."""
        if is_commit(revision):
            return self._kept(registry, repository, revision)
        version = find_version(registry, repository.model, revision)
        return self.current(registry, repository, version)

    def current(
        self, registry: Registry, repository: Repository, version: ModelVersion | None, *, changed: bool = False
    ) -> Snapshot:
        """A repository at one of its versions, with the files that it has now. Raises BadRequest.

        `changed`: by the transaction itself, which may come to nothing; then others get the ids of its rows.
        """
        if version is None:
            oid = commit_without_version(repository.model.id)
            return Snapshot(repository, None, oid, NO_FILES, repository.model.created_at)
        stamp = registry.commits.stamp(version.id)
        known = self._known(registry, repository, version, stamp) if not changed else None
        if known is not None:
            return known
        if stamp.package_id is None:
            manifest = NO_FILES
        else:
            files = registry.commits.files(stamp.package_id, MAX_FILES + 1)
            if len(files) > MAX_FILES:
                raise BadRequest(f"Version {version.version} has more than {MAX_FILES} files")
            manifest = Manifest.of(files)
        oid = manifest.commit_of(version.id)
        kept = registry.commits.is_kept(oid)
        if kept and not changed:
            self._remember(oid, manifest, version.id, stamp)
        return Snapshot(
            repository, version, oid, manifest, stamp.changed_at or version.created_at, stamp.package_id, kept
        )

    async def keep(self, *snapshots: Snapshot) -> None:
        """Let commits be come back to. Where the database has no room for them, they can be told all the same."""
        commits = [commit_of(each, each.version) for each in snapshots if each.version is not None and not each.kept]
        if not commits:
            return

        def work(registry: Registry) -> None:
            for commit in commits:
                registry.commits.keep(commit)

        try:
            await self._database.write(work)
        except DBAPIError as error:
            if not is_out_of_space(error):
                raise
            advice = "free space: until then, nothing can be found again by the commits that are told"
            log.warning("commits not kept for want of room", commits=len(commits), advice=advice)

    def _kept(self, registry: Registry, repository: Repository, oid: str) -> Snapshot:
        if oid == commit_without_version(repository.model.id):
            return Snapshot(repository, None, oid, NO_FILES, repository.model.created_at)
        told = registry.commits.told(repository.model.id, oid)
        version = registry.versions.of_model(repository.model.id, told.version_id) if told else None
        manifest = self._manifest(registry, oid) if version else None
        if told is None or version is None or manifest is None:
            raise RevisionNotFound(oid)
        return Snapshot(repository, version, oid, manifest, told.changed_at, told.package_id)

    def _known(
        self, registry: Registry, repository: Repository, version: ModelVersion, stamp: Stamp
    ) -> Snapshot | None:
        """What is told of a version whose files are those that this process knows already."""
        with self._lock:
            oid = self._oids.get((version.id, stamp))
        manifest = self._manifest(registry, oid) if oid is not None else None
        if oid is None or manifest is None:
            return None
        changed_at = stamp.changed_at or version.created_at
        return Snapshot(repository, version, oid, manifest, changed_at, stamp.package_id)

    def _manifest(self, registry: Registry, oid: str) -> Manifest | None:
        """The files of a commit that is kept; None for one that is so no more."""
        with self._lock:
            known = self._manifests.get(oid)
        if known is not None:
            return known
        kept = registry.commits.manifest(oid)
        if kept is None:
            return None
        manifest = Manifest.inflated(kept)
        self._remember(oid, manifest)
        return manifest

    def _remember(self, oid: str, manifest: Manifest, version_id: int = 0, stamp: Stamp | None = None) -> None:
        with self._lock:
            self._manifests.put(oid, manifest)
            if stamp is not None:
                self._oids.put((version_id, stamp), oid)


def commit_of(snapshot: Snapshot, version: ModelVersion) -> Commit:
    """The row under which a commit is kept."""
    kept = snapshot.manifest.deflated()
    return Commit(
        oid=snapshot.commit,
        model_version_id=version.id,
        manifest=kept,
        size=len(kept),
        changed_at=snapshot.changed_at,
        created_at=now(),
    )
