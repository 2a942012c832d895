"""Receiving files: what an upload is allowed is said before its body, and held while the bytes come in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass

from modelyard.access.identity import Identity
from modelyard.access.policy import Action
from modelyard.blobs.store import BlobStore, Buffer
from modelyard.registry.files.locations import StoredFile
from modelyard.services.files.ingest import Expectations, Ingest
from modelyard.services.files.locating import FileLookup, FileRequest, Located
from modelyard.services.files.quota import Quota, Room, require_room
from modelyard.services.files.recording import Arrival, Precondition, Recorder
from modelyard.services.files.uses import InFlight, Uses


@dataclass(frozen=True, slots=True)
class Permit:
    """What an upload may do that was authorized: where it goes and for whom, and how large it may be."""

    located: Located
    caller: Identity
    max_size: int  # bytes; 0 = no limit
    room: Room | None  # what the project has left for it; None: no limit

    @property
    def current(self) -> StoredFile | None:
        """The file that it would follow."""
        return self.located.location.file

    def hold(self, size: int) -> None:
        """Raise FileTooLarge or OverQuota for a file of so many bytes."""
        require_room(size, self.max_size, self.room)


class Uploads:
    """Authorizes uploads, and takes their bytes in."""

    def __init__(
        self,
        lookup: FileLookup,
        uses: Uses,
        quota: Quota,
        recorder: Recorder,
        store: BlobStore,
        executor: Executor,
        max_file_size: int,
        in_flight: InFlight,
    ) -> None:
        self.max_file_size = max_file_size
        self._lookup = lookup
        self._uses = uses
        self._quota = quota
        self._recorder = recorder
        self._store = store
        self._executor = executor
        self._in_flight = in_flight

    async def authorize(self, request: FileRequest, size: int | None) -> Permit:
        """Check all that an upload of `size` bytes would check before its body.

        Raises TokenError, Unauthorized, ProjectNotFound, Forbidden, NotFound, FileTooLarge and OverQuota, in the order
        of checks.
        """
        located = await self._lookup.find(request)
        caller = located.judge(Action.WRITE)
        self._uses.note(located)
        permit = Permit(located, caller, self.max_file_size, await self._quota.room(located))
        if size is not None:
            permit.hold(size)
        return permit

    async def receive(
        self,
        permit: Permit,
        pieces: AsyncIterator[Buffer],
        expectations: Expectations,
        precondition: Precondition,
        status: str | None,
    ) -> StoredFile:
        """Keep a file. It is durable, and its record committed, when this returns.

        Raises as `Ingest.take` and `Recorder.keep_arrived` do.
        """
        ingest, located = Ingest(self._store, self._executor, expectations, permit.hold), permit.located
        self._in_flight("up", 1)
        try:
            await ingest.take(pieces)
            return await self._recorder.keep_arrived(
                ingest, lambda content: Arrival(located.request, content, precondition, status, located.location)
            )
        finally:
            self._in_flight("up", -1)
            await ingest.close()
