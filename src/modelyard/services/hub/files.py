"""Files of repositories: found by repository, revision and name, and remembered as the file API's are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from modelyard.access.identity import ANONYMOUS, Identity, identify
from modelyard.access.tokens import digest_of
from modelyard.clock import now
from modelyard.errors import EntryNotFound, RepositoryNotFound
from modelyard.registry.engine import Database
from modelyard.registry.files.locations import Location, StoredFile
from modelyard.registry.marks import DAMAGE, FORGOTTEN_BLOBS, Marks, project_scope, user_scope
from modelyard.registry.repository import Registry
from modelyard.services.files.lookup import Lookup
from modelyard.services.hub.commits import Commits, Snapshot
from modelyard.services.hub.repositories import Repository, find_model, may_read, project_of
from modelyard.terms.paths import NOBODY
from modelyard.terms.repositories import RepositoryId


class HubRequest(NamedTuple):
    """Which file is asked for, and by whom; `repository` is None for an id that none can have."""

    holder: str | None  # the digest of the credential; None for nobody's
    repository: RepositoryId | None
    revision: str
    name: str

    @classmethod
    def by(cls, credential: str | None, repository: RepositoryId | None, revision: str, name: str) -> HubRequest:
        """The request of whoever presents a credential, None for none."""
        return cls(digest_of(credential) if credential is not None else None, repository, revision, name)


@dataclass(slots=True)
class HubLocated:
    """What lies where a request leads: a file of a commit, or none of that name."""

    request: HubRequest
    location: Location
    commit: str
    untold: Snapshot | None  # of which the commit is, until it is kept; by then nobody is told

    def readable(self) -> StoredFile:
        """The file, if the caller may read it; else it raises the refusal that is due: TokenError, Unauthorized,
        RepositoryNotFound, GatedRepository or EntryNotFound.
        """
        may_read(_caller(self.request, self.location), self.location.project)
        if self.location.file is None:
            raise EntryNotFound(self.request.name, self.commit)
        return self.location.file


class HubFiles:
    """Finds files of repositories."""

    def __init__(self, database: Database, commits: Commits) -> None:
        self._commits = commits
        self._lookup = Lookup(database, self._find)

    async def locate(self, request: HubRequest) -> HubLocated:
        """What lies there; its commit may be told.

        Raises TokenError, Unauthorized, RepositoryNotFound, GatedRepository, RevisionNotFound and BadRequest.
        """
        located = await self._lookup.find(request)
        if located.untold is not None:
            await self._commits.keep(located.untold)
            located.untold = None  # what is remembered is not to hold the names of all files
        return located

    def _find(self, registry: Registry, request: HubRequest) -> HubLocated:
        asked = request.repository
        place = registry.locations.place(request.holder, project_of(asked) if asked is not None else NOBODY)
        facts = may_read(_caller(request, place), place.project)
        if asked is None:
            raise RepositoryNotFound
        repository = Repository(asked, facts, find_model(registry, facts, asked))
        snapshot = self._commits.at(registry, repository, request.revision)
        version_id = snapshot.version.id if snapshot.version is not None else None
        file = _file(registry, snapshot, request.name)
        marks = _marks(registry, place) if file is not None or snapshot.manifest.find(request.name) is None else ()
        location = replace(place, owner_id=version_id, package_id=snapshot.package_id, file=file, marks=marks)
        return HubLocated(request, location, snapshot.commit, None if snapshot.kept else snapshot)


def _marks(registry: Registry, place: Location) -> Marks:
    """Of what a file of a commit depends on. A file of an old one is gone when its content is forgotten."""
    if place.project is None:
        return ()
    users = [user_scope(place.token.user_id)] if place.token is not None else []
    return registry.marks.of([*users, project_scope(place.project.id), DAMAGE, FORGOTTEN_BLOBS])


def _caller(request: HubRequest, location: Location) -> Identity:
    return ANONYMOUS if request.holder is None else identify(location.token, now())


def _file(registry: Registry, snapshot: Snapshot, name: str) -> StoredFile | None:
    """A file of a commit, as long as its bytes are known: those of an old commit may have been collected."""
    entry = snapshot.manifest.find(name)
    damaged = registry.blobs.is_damaged(entry.sha256) if entry is not None else None
    if entry is None or damaged is None:
        return None
    return StoredFile(0, name, entry.sha256, entry.size, snapshot.changed_at, damaged)
