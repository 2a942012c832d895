"""The right to write an upload: a newcomer has it within two seconds, and whoever had it writes nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from modelyard.blobs.resumable import Checkpoint, Hold, ResumableBlobStore
from modelyard.clock import now
from modelyard.errors import Locked, NotFound
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Upload
from modelyard.services.resuming.sessions import checkpoint_of
from modelyard.services.resuming.writers import Writers

T = TypeVar("T")

WAIT_SECONDS = 2.0
PAUSE_SECONDS = 0.02


class UploadNotFound(NotFound):
    """404 for an upload that is not there, or another's."""

    def __init__(self) -> None:
        super().__init__("Upload")


@dataclass(frozen=True, slots=True)
class Claim:
    """An upload that nobody else writes, as it was when that began."""

    upload: Upload
    checkpoint: Checkpoint
    hold: Hold


class Claims:
    """Gives the right to write."""

    def __init__(self, database: Database, store: ResumableBlobStore, executor: Executor, writers: Writers) -> None:
        self._database = database
        self._store = store
        self.executor = executor
        self.writers = writers

    @asynccontextmanager
    async def claimed(self, upload: Upload, *, writes: bool = True, read_at: int | None = None) -> AsyncIterator[Claim]:
        """A block in which nobody else writes; `writes`: unless the one in it does not either.

        `read_at`: the database's generation before the upload was read, which spares another read where it still is.

        Raises Locked where another does not stop in time, and UploadNotFound where the upload has gone.
        """
        hold = await self._hold(upload)
        try:
            if self._store.locks and read_at is not None and read_at == self._database.generation():
                current, checkpoint = upload, checkpoint_of((), upload, upload.writer)
            elif self._store.locks:
                current, checkpoint = await self._database.read_file(lambda registry: _current(registry, upload.uid))
            else:
                current, checkpoint = await self._database.write(
                    lambda registry: _raised(registry, upload.uid, writes=writes)
                )
            yield Claim(current, checkpoint, hold)
        finally:
            await asyncio.shield(self.run(hold.release))

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` does on a thread that may wait for the store."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, work)

    async def _hold(self, upload: Upload) -> Hold:
        # Who is in this process has the time to keep what he has received.
        await self.writers.end(upload.id, WAIT_SECONDS / 2)
        hold = await self._try(upload)
        if hold is not None:
            return hold
        await self._database.write(lambda registry: registry.resumable.raise_generation(upload.id, writes=False))
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_SECONDS
        while loop.time() < until:
            await asyncio.sleep(PAUSE_SECONDS)
            if (hold := await self._try(upload)) is not None:
                return hold
        raise Locked("Another request is at this upload")

    async def _try(self, upload: Upload) -> Hold | None:
        return await self.run(lambda: self._store.hold(upload.uid, new=upload.size == 0))


def _current(registry: Registry, uid: str) -> tuple[Upload, Checkpoint]:
    upload = _found(registry, uid)
    return upload, checkpoint_of(registry.resumable.parts(upload.id), upload, upload.writer)


def _raised(registry: Registry, uid: str, *, writes: bool) -> tuple[Upload, Checkpoint]:
    before = _found(registry, uid)
    previous = before.writer
    registry.resumable.raise_generation(before.id, writes=writes)
    upload = _found(registry, uid)
    return upload, checkpoint_of(registry.resumable.parts(upload.id), upload, previous)


def _found(registry: Registry, uid: str) -> Upload:
    upload = registry.resumable.by_uid(uid, now())
    if upload is None:
        raise UploadNotFound
    return upload
