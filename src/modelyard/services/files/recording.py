"""The record of a file whose bytes are durable: made in one transaction, in which everything is checked once more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.blobs.store import BlobStore, Buffer
from modelyard.registry.engine import Database
from modelyard.registry.files.locations import Location, StoredFile
from modelyard.registry.people.audit import Target
from modelyard.registry.repository import Registry
from modelyard.registry.tables import PackageFile
from modelyard.services.files import following, packages
from modelyard.services.files.following import Copy
from modelyard.services.files.ingest import Ingest
from modelyard.services.files.locating import FileRequest, find, find_to_change
from modelyard.services.files.quota import Quota

T = TypeVar("T")

Precondition = Callable[[StoredFile | None], None]  # raises when the current file forbids the request
Beside = Callable[[Registry], object]  # what is to be written with a record, or not at all


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are in the store; `publish_again` puts them back if they were collected as garbage since."""

    sha256: str
    size: int
    publish_again: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes that are to be the newest file at an address, unless the file that is there forbids it."""

    request: FileRequest
    content: Content
    precondition: Precondition
    status: str | None  # that the whole package gets
    seen: Location | None = None  # what lay there when the upload was permitted


@dataclass(frozen=True, slots=True)
class Admitted:
    """An arrival that may be recorded, until the end of the transaction in which it was judged."""

    arrival: Arrival
    location: Location
    caller: Identity
    copies: Sequence[Copy]  # for those who follow


class Recorder:
    """Records arrivals. All permissions are checked again then: a token may be revoked, or a version deleted, while
    the bytes are on their way.
    """

    def __init__(self, database: Database, store: BlobStore, quota: Quota) -> None:
        self._database = database
        self._store = store
        self._quota = quota

    async def keep(self, arrival: Arrival, beside: Beside | None = None) -> StoredFile:
        """Record a file, and what is written `beside` it. The record is committed when this returns.

        Raises as `Located.judge`, whatever the precondition raises, and OverQuota.
        """

        return await self._database.write(self._keeping(arrival, beside), brief=True)

    async def keep_arrived(self, ingest: Ingest, arrival: Callable[[Content], Arrival]) -> StoredFile:
        """`keep` the file that `ingest` has taken whole, once it is durable. Raises as `Ingest.finish` and `keep`."""

        def durable() -> Callable[[Registry], StoredFile]:
            return self._keeping(arrival(_finished(ingest)))

        return await self._database.write_after(ingest.executor, durable, ingest.release)

    def _keeping(self, arrival: Arrival, beside: Beside | None = None) -> Callable[[Registry], StoredFile]:
        def work(registry: Registry) -> StoredFile:
            registry.locks.blob(arrival.content.sha256, at_once=False)
            admitted = self.admit(registry, arrival)
            with self._quota.within(registry, admitted.location):
                if beside is not None:
                    beside(registry)
                return record(registry, admitted)

        return work

    def admit(self, registry: Registry, arrival: Arrival) -> Admitted:
        """Judge an arrival in a write transaction that holds its blob: nobody else changes the file from now on.

        Where several are recorded together, all are admitted first, as the quota is the last to be locked.
        """
        located = find_to_change(registry, arrival.request, arrival.seen)
        caller = located.judge(Action.WRITE)
        registry.act(caller, located.location.project)
        copies: Sequence[Copy] = ()
        if located.location.linked:
            registry.packages.forget_reserved(PackageFile)  # what orders it with what a source gives is held just now
            address = arrival.request.address
            copies = following.hold(registry, located.location, address.owner, address.name)
            located = find(registry, arrival.request)
        arrival.precondition(located.location.file)
        self._restore(arrival.content)
        return Admitted(arrival, located.location, caller, copies)

    async def keep_bytes(
        self, ingest: Ingest, pieces: AsyncIterator[Buffer], record: Callable[[Registry, Content], T]
    ) -> T:
        """Take in bytes that are no file yet, and record what they are, in one transaction that holds them.

        Parts of an upload that has ended are removed at once: those that come again just then are put back.
        Raises as `Ingest.receive`, and whatever `record` raises.
        """

        def durable() -> Callable[[Registry], T]:
            content = _finished(ingest)

            def work(registry: Registry) -> T:
                self.hold(registry, content)
                return record(registry, content)

            return work

        try:
            await ingest.take(pieces)
            return await self._database.write_after(ingest.executor, durable, ingest.release)
        finally:
            await ingest.close()

    def hold(self, registry: Registry, content: Content) -> None:
        """Hold bytes in a write transaction, before all else in it: they are there, and nobody removes them."""
        registry.locks.blob(content.sha256)
        self._restore(content)

    def _restore(self, content: Content) -> None:
        if self._store.stat(content.sha256) is None:
            content.publish_again()


def _finished(ingest: Ingest) -> Content:
    return Content(ingest.finish(), ingest.size, ingest.publish_again)


def record(registry: Registry, admitted: Admitted) -> StoredFile:
    """Make an arrival the newest file at its address, and give it to those who follow."""
    file = _newest(registry, admitted)
    following.pass_on(registry, admitted.copies, file, admitted.caller)
    return file


def _newest(registry: Registry, admitted: Admitted) -> StoredFile:
    """The file with the content, which may be the newest already."""
    arrival, location, caller = admitted.arrival, admitted.location, admitted.caller
    address, sha256, size = arrival.request.address, arrival.content.sha256, arrival.content.size
    package_id = location.package_id or packages.make(registry, location, address.owner, caller).id
    if arrival.status is not None:
        _set_status(registry, package_id, arrival.status)
    if location.file is not None and location.file.sha256 == sha256 and not location.file.damaged:
        return location.file
    registry.blobs.ensure(sha256, size)
    if location.file is not None and location.file.sha256 == sha256:
        return replace(location.file, damaged=False)
    file = registry.packages.add_file(package_id, address.name, sha256, size, caller.user_id)
    facts = {"add": "file", "sha256": sha256, "size": size}
    registry.audit.note("package_file_created", Target.file(file.id, file.name), facts)
    return file


def _set_status(registry: Registry, package_id: int, status: str) -> None:
    package = registry.packages.located(package_id)
    registry.audit.note_changes("package_updated", package, {"status": package.status}, {"status": status})
    package.status = status
