"""A commit: all of its files appear together, or none does.

Bytes are durable before the one transaction that names them; it checks everything once more, as a token may be revoked,
or the version deleted, while they are on their way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from modelyard.access.identity import Identity
from modelyard.blobs.store import Buffer
from modelyard.errors import BadRequest, EntryNotFound, PreconditionFailed
from modelyard.registry.engine import Database
from modelyard.registry.hub.commits import Made
from modelyard.registry.hub.uploads import Sender
from modelyard.registry.repository import Registry
from modelyard.services.files.ingest import Hold
from modelyard.services.files.quota import require_room
from modelyard.services.files.transfers import Transfers
from modelyard.services.hub import versions
from modelyard.services.hub.commits import MAX_FILES, Commits, Snapshot, commit_of
from modelyard.services.hub.contents import Contents
from modelyard.services.hub.manifests import Entry
from modelyard.services.hub.operations import Add, Copy, Delete, Operation, Received
from modelyard.services.hub.reception import Reception, Room
from modelyard.services.hub.repositories import Repository
from modelyard.services.hub.revisions import find_version
from modelyard.services.hub.writing import hold, sender_of, writable
from modelyard.services.people.authentication import authenticate
from modelyard.terms.repositories import RepositoryId, is_commit

MAX_FOLDERS = 100  # that one commit deletes: each is looked for among all files


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit that is there, and of which repository."""

    repository: RepositoryId
    oid: str


class Committing:
    """Makes commits."""

    def __init__(self, database: Database, files: Transfers, commits: Commits, contents: Contents) -> None:
        self._database = database
        self._files = files
        self._commits = commits
        self._contents = contents

    async def commit(
        self,
        credential: str | None,
        asked: RepositoryId | None,
        revision: str,
        lines: AsyncIterator[Buffer],
        room: Room,
    ) -> Committed:
        """Make a commit of what comes in. It is there when this returns; the same again changes nothing.

        Raises as `writing.writable`, RevisionNotFound, PreconditionFailed where it was made for another commit than
        the current one, EntryNotFound, BadRequest, BodyTooLarge, FileTooLarge and OverQuota.
        """
        holds = await self._database.read(lambda registry: self._admit(registry, credential, asked, revision))
        self._files.in_flight("up", 1)
        try:
            received = await Reception(self._files.store, self._files.io, holds, room).receive(lines)
        finally:
            self._files.in_flight("up", -1)
        return await self._database.write(lambda registry: self._make(registry, credential, asked, revision, received))

    def _admit(self, registry: Registry, credential: str | None, asked: RepositoryId | None, revision: str) -> Hold:
        """What holds the size of each file in a commit that may be made; refuses one that may not."""
        repository = writable(registry, authenticate(registry, credential), asked)
        require_branch(revision)
        find_version(registry, repository.model, revision)
        room, most = self._contents.quota.left(registry, repository.facts.id), self._files.max_file_size
        return partial(require_room, most=most, room=room)

    def _make(
        self,
        registry: Registry,
        credential: str | None,
        asked: RepositoryId | None,
        revision: str,
        received: Received,
    ) -> Committed:
        caller = authenticate(registry, credential)
        registry.locks.all_blobs()
        repository = hold(registry, caller, asked)
        version = find_version(registry, repository.model, revision)
        before = self._commits.current(registry, repository, version)
        request = received.digest(caller.user_id, revision)
        if registry.commits.request_of(before.commit) == request:
            return Committed(repository.id, before.commit)  # its answer was lost
        header = received.header
        if header is None:
            raise BadRequest.plain("The commit has no header")
        if header.parent is not None and header.parent != before.commit:
            raise PreconditionFailed(f"{revision} is at {before.commit} by now, no more at {header.parent}")
        changing = _Changing(registry, caller, repository, before, self._commits)
        changing.apply(received.operations)
        added, removed = changing.difference()
        made = Made(request, header.title, header.message, caller.user_id)
        if added or removed:
            version = version or versions.add(registry, caller, repository.model)
            facts = {"commit": header.title} if header.title else {}
            self._contents.change(registry, caller, version, added, removed, facts)
            sent = {each.sha256 for each in received.operations if isinstance(each, Add) and not each.inline}
            registry.uploads.forget_objects(sender_of(caller, repository), sorted(sent))
        came = {each.sha256 for each in received.operations if isinstance(each, Add) and each.inline}
        registry.blobs.repaired(sorted(came))
        after = self._commits.current(registry, repository, version, changed=True)
        if after.version is not None:
            registry.commits.keep(commit_of(after, after.version))
            if added or removed:
                registry.commits.note_made(after.commit, made)
        return Committed(repository.id, after.commit)


def require_branch(revision: str) -> None:
    """Refuse a revision that never changes. Raises BadRequest."""
    if is_commit(revision):
        raise BadRequest.plain("A commit is made on a version or on main, not on another commit")


class _Changing:
    """The files of a version as a commit leaves them."""

    def __init__(
        self, registry: Registry, caller: Identity, repository: Repository, before: Snapshot, commits: Commits
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._sender: Sender = sender_of(caller, repository)
        self._before = before
        self._commits = commits
        self._old = {entry.name: entry for entry in before.manifest.entries()}
        self._new = dict(self._old)
        self._folders = 0

    def apply(self, operations: list[Operation]) -> None:
        """Do what a commit says, in its order. Raises BadRequest, EntryNotFound and RevisionNotFound."""
        named = [each.sha256 for each in operations if isinstance(each, Add) and not each.inline]
        sizes = self._registry.uploads.sizes(self._sender, sorted(set(named)))
        known = {entry.sha256: entry.size for entry in self._old.values()}
        for operation in operations:
            if isinstance(operation, Add):
                self._new[operation.name] = _entry(operation, sizes, known)
            elif isinstance(operation, Copy):
                self._new[operation.name] = self._copied(operation)
            else:
                self._delete(operation)

    def difference(self) -> tuple[list[Entry], list[str]]:
        """The files that are other ones by now or new, and the names of those that are gone. Raises BadRequest."""
        added = [entry for name, entry in self._new.items() if self._old.get(name) != entry]
        removed = [name for name in self._old if name not in self._new]
        if len(self._new) > MAX_FILES:
            raise BadRequest.plain(f"A version has {MAX_FILES} files at most")
        if added:
            self._refuse_folders(added)
        return added, removed

    def _copied(self, copy: Copy) -> Entry:
        snapshot = self._before
        if copy.revision is not None:
            snapshot = self._commits.at(self._registry, self._repository, copy.revision)
        found = snapshot.manifest.find(copy.source)
        if found is None:
            raise EntryNotFound(copy.source, snapshot.commit)
        return Entry(copy.name, found.sha256, found.size)

    def _delete(self, deletion: Delete) -> None:
        gone = [deletion.name] if deletion.name in self._new else []
        if deletion.folder:
            self._folders += 1
            if self._folders > MAX_FOLDERS:
                raise BadRequest.plain(f"A commit deletes {MAX_FOLDERS} folders at most")
            gone = [name for name in self._new if name.startswith(f"{deletion.name}/")]
        if not gone:
            what = "folder" if deletion.folder else "file"
            error = EntryNotFound(deletion.name, self._before.commit)
            error.body["error"] = f"A {what} with this name doesn't exist: {deletion.name}"
            raise error
        for name in gone:
            del self._new[name]

    def _refuse_folders(self, added: list[Entry]) -> None:
        """Raise BadRequest for a name that is a file's and a folder's: nobody could download both."""
        folders = {folder for name in self._new for folder in _folders(name)}
        for entry in added:
            if entry.name in folders or any(folder in self._new for folder in _folders(entry.name)):
                raise BadRequest.plain(f"{entry.name}: a file and a folder cannot have one name")


def _folders(name: str) -> list[str]:
    """All folders that a file is in."""
    segments = name.split("/")
    return ["/".join(segments[:depth]) for depth in range(1, len(segments))]


def _entry(add: Add, sizes: dict[str, int], known: dict[str, int]) -> Entry:
    """The file that is added, whose bytes the caller has sent, or could read already."""
    size = add.size if add.inline else sizes.get(add.sha256, known.get(add.sha256))
    if size is None:
        raise BadRequest.plain(f"{add.name}: the bytes of {add.sha256} have not been sent to this repository")
    if add.size is not None and add.size != size:
        raise BadRequest.plain(f"{add.name}: {add.sha256} has {size} bytes, not {add.size}")
    return Entry(add.name, add.sha256, size)
