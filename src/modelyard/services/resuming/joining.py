"""Parts that become one file while they come: what has no gap before it is read, hashed and written behind the others,
so that little is left to do when the client says that all are there.

One process at a time does so, whoever has the lock on the file. How far it is is recorded with the upload, so that any
process goes on. Only in stores with locks: to a bucket, all bytes would go once more for each process that takes parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

import structlog

from modelyard import departures
from modelyard.blobs.resumable import Checkpoint, Hold, ResumableBlobStore, ResumableWriter
from modelyard.blobs.store import BlobError, BlobMissing, Buffer
from modelyard.clock import now
from modelyard.errors import ApiError, BadRequest
from modelyard.registry.engine import Database
from modelyard.registry.repository import Registry
from modelyard.registry.tables import Upload
from modelyard.services.files.ingest import Hold as Limit
from modelyard.services.resuming.appending import Append
from modelyard.services.resuming.claims import Claim, Claims
from modelyard.services.resuming.joined import Joined, Part
from modelyard.services.resuming.sessions import Piece, Superseded

log = structlog.get_logger()

AHEAD_BYTES = 64 << 20  # of an upload: what has fewer is joined quickly enough at the end
READ_BYTES = 1 << 20
LOOK_SECONDS = 1.0  # between two looks for parts that have come by other processes
IDLE_SECONDS = 60.0  # without a part, after which it is left to whoever takes the next one


class _Paused(Exception):
    """Nothing more is joined for now; what is, is kept."""


class _Over(_Paused):
    """The upload has ended, or is gone."""


@dataclass
class _Ahead:
    """Parts of one upload on their way into one file, before all of them have come."""

    upload: Upload
    parts: list[Part] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    paused: bool = False
    task: asyncio.Task[None] | None = None

    async def comes(self) -> None:
        """Wait for the next part, for a while. Raises _Paused."""
        self.wake.clear()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self.wake.wait()
        except TimeoutError:
            pass


class Joining:
    """Joins the parts of uploads."""

    def __init__(self, database: Database, store: ResumableBlobStore, claims: Claims, seconds: int) -> None:
        self._database = database
        self._store = store
        self._claims = claims
        self._seconds = seconds  # until an upload expires
        self._ahead: dict[int, _Ahead] = {}

    def came(self, upload: Upload, size: int) -> None:
        """A part has come; all that are there have `size` bytes."""
        if not self._store.locks or size < AHEAD_BYTES:
            return
        ahead = self._ahead.get(upload.id)
        if ahead is None:
            ahead = self._ahead[upload.id] = _Ahead(upload)
            ahead.task = asyncio.create_task(self._join_ahead(ahead))
        ahead.wake.set()

    async def pause(self, upload_id: int) -> None:
        """Join nothing more of an upload ahead, in this process."""
        ahead = self._ahead.get(upload_id)
        if ahead is not None and ahead.task is not None:
            ahead.paused = True
            ahead.wake.set()
            await asyncio.wait({ahead.task})

    async def stop(self) -> None:
        """Join nothing more ahead."""
        for upload_id in list(self._ahead):
            await self.pause(upload_id)

    async def joined(self, claim: Claim, parts: Sequence[Part], limit: Limit) -> tuple[ResumableWriter, str] | None:
        """All parts in one file, and its SHA-256; the writer is the caller's to close. None: nothing was joined ahead.

        Raises BadRequest for a part that is not there any more, and as `Append.run`.
        """
        before = Joined.recorded(claim.upload, parts)
        if not before.size:
            return None
        try:
            writer = await self._claims.run(partial(claim.hold.resume, _checkpoint(claim.upload, before)))
        except BlobMissing:
            return None
        try:
            content = self.content(parts, before.size)
            sha256 = await self._append(writer, claim.upload, parts, before.size, content, limit, ends=True)
        except BaseException:
            await asyncio.shield(self._claims.run(writer.close))
            raise
        return writer, str(sha256)

    async def content(self, parts: Sequence[Part], begin: int = 0) -> AsyncGenerator[Buffer]:
        """The bytes of parts, from a place in all of them on. Raises BadRequest for one that is not there any more."""
        for part in parts:
            if begin >= part.size:
                begin -= part.size
                continue
            try:
                reader = await self._claims.run(partial(self._store.open, part.sha256))
            except BlobMissing as error:
                raise BadRequest(f"Part {part.number} is not there any more") from error
            try:
                for offset in range(begin, part.size, READ_BYTES):
                    yield await self._claims.run(partial(reader.read, offset, READ_BYTES))
            finally:
                await self._claims.run(reader.close)
            begin = 0

    async def discard(self, upload: Upload) -> None:
        """Remove what was joined of an upload that is over, unless another process is at it, which does so then."""
        if self._store.locks:
            await self._claims.run(partial(self._store.discard, Checkpoint(upload.uid)))

    async def _join_ahead(self, ahead: _Ahead) -> None:
        departures.begin(None)  # it is nobody's who asks
        upload = ahead.upload
        try:
            hold = await self._claims.run(partial(self._store.hold, upload.uid, new=True))
            if hold is not None:  # else another process is at it
                try:
                    await self._go_on(ahead, hold)
                finally:
                    await asyncio.shield(self._claims.run(hold.release))
        except _Over:
            await self.discard(upload)
        except (_Paused, Superseded):
            pass
        except (BlobError, ApiError) as error:
            log.warning("parts are not joined ahead", upload=upload.uid, error=str(error))
        finally:
            self._ahead.pop(upload.id, None)

    async def _go_on(self, ahead: _Ahead, hold: Hold) -> None:
        """Join what comes. Raises _Paused, and Superseded where another process completes the upload."""
        found = await self._database.read_file(lambda registry: registry.resumable.by_uid(ahead.upload.uid, now()))
        if found is None:
            raise _Over
        ahead.parts = await self._following(found, 0)
        before = Joined.recorded(found, ahead.parts)
        writer = await self._claims.run(partial(hold.resume, _checkpoint(found, before)))
        try:
            content = self._coming(ahead, before.size)
            await self._append(writer, found, ahead.parts, before.size, content, _any_size)
        finally:
            await asyncio.shield(self._claims.run(writer.close))

    async def _coming(self, ahead: _Ahead, begin: int) -> AsyncGenerator[Buffer]:
        """The bytes of parts as they come. Raises _Paused."""
        new, loop = ahead.parts, asyncio.get_running_loop()
        came_at = loop.time()
        while not ahead.paused and loop.time() < came_at + IDLE_SECONDS:
            if not new:
                await ahead.comes()
            async with aclosing(self.content(list(new), begin)) as content:
                async for piece in content:
                    if ahead.paused:
                        raise _Paused
                    yield piece
                    came_at = loop.time()
            begin = 0
            new = await self._following(ahead.upload, len(ahead.parts))
            ahead.parts.extend(new)
        raise _Paused

    async def _following(self, upload: Upload, number: int) -> list[Part]:
        """The parts that are there after one, up to the first gap. Raises _Over."""

        def work(registry: Registry) -> list[tuple[int, int, str]] | None:
            is_open = upload.id in registry.resumable.generations([upload.id])
            return registry.resumable.parts(upload.id, after=number) if is_open else None

        rows = await self._database.read_file(work)
        if rows is None:
            raise _Over
        return [Part(*row) for expected, row in enumerate(rows, number + 1) if row[0] == expected]

    async def _append(
        self,
        writer: ResumableWriter,
        upload: Upload,
        parts: Sequence[Part],
        offset: int,
        content: AsyncGenerator[Buffer],
        limit: Limit,
        *,
        ends: bool = False,
    ) -> str | None:
        """Write bytes behind those that are there, and record from time to time how many there are then."""

        async def record(checkpoint: Checkpoint, _sha256: str | None) -> None:
            place = Joined.of(parts, checkpoint.size).encoded()
            values = {"place": place, "hash_state": checkpoint.state, "expires_at": now() + self._seconds * 1000}
            await self._database.write(lambda registry: registry.resumable.record(upload.id, None, values), brief=True)

        async with aclosing(content):
            with self._claims.writers.writing(upload.id, upload.generation) as turn:
                piece, seconds = Piece(offset, content, None, ends=ends), self._store.save_seconds
                return await Append(writer, self._claims.executor, piece, None, limit, record, seconds, turn).run()


def _checkpoint(upload: Upload, joined: Joined) -> Checkpoint:
    return Checkpoint(upload.uid, joined.size, upload.hash_state if joined.size else b"")


def _any_size(size: int) -> None:
    """What a file may have is asked in the end."""
