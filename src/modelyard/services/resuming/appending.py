"""Bytes that go on with an upload: written behind the last checkpoint, saved from time to time, and at the end.

What was told to be there is durable, and recorded, before anybody is told. Where a client goes, what had come stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TypeVar

from modelyard.blobs.resumable import Checkpoint, ResumableWriter
from modelyard.blobs.store import Buffer
from modelyard.clock import now
from modelyard.errors import BodyTooLarge, ChecksumMismatch
from modelyard.registry.engine import Database
from modelyard.registry.tables import Upload
from modelyard.services.files.ingest import Batches, Hold
from modelyard.services.resuming.sessions import InconsistentLength, Piece, Superseded
from modelyard.services.resuming.writers import Writer

T = TypeVar("T")

Record = Callable[[Checkpoint, str | None], Awaitable[None]]  # with the SHA-256 of all, where that is all


class Recording:
    """Records what is durable of an upload, for one writer, in the row as well as in what is known of it here.

    `locked`: nobody else can go on before the writer has ended, so that what he has is kept.
    """

    def __init__(self, database: Database, upload: Upload, length: int | None, seconds: int, *, locked: bool) -> None:
        self._database = database
        self._upload = upload
        self._length = length
        self._seconds = seconds  # until it expires
        self._generation = None if locked else upload.generation
        self.checkpoint = Checkpoint(upload.uid)

    async def record(self, checkpoint: Checkpoint, sha256: str | None) -> None:
        """Record a checkpoint. Raises Superseded where another goes on with the upload."""
        upload, size = self._upload, checkpoint.size
        length, expires_at = size if sha256 is not None else self._length, now() + self._seconds * 1000
        values: dict[str, object] = {"size": size, "length": length, "sha256": sha256, "expires_at": expires_at}
        values |= {"hash_state": checkpoint.state, "place": checkpoint.place}
        recorded = await self._database.write(
            lambda registry: registry.resumable.record(upload.id, self._generation, values, checkpoint.parts),
            brief=True,
        )
        if not recorded:
            raise Superseded
        upload.size, upload.length, upload.sha256, upload.expires_at = size, length, sha256, expires_at
        self.checkpoint = checkpoint


class Append:
    """One request's bytes on their way into an upload."""

    def __init__(
        self,
        writer: ResumableWriter,
        executor: Executor,
        piece: Piece,
        length: int | None,
        hold: Hold,
        record: Record,
        save_seconds: float,
        turn: Writer,
    ) -> None:
        self._writer = writer
        self._executor = executor
        self._piece = piece
        self._length = length  # of the whole file, as far as it is known before these bytes have come
        self._hold = hold
        self._record = record
        self._save_seconds = save_seconds
        self._turn = turn
        self._size = piece.offset
        self._batches = Batches(executor, self._write)

    async def run(self) -> str | None:
        """Take all of it; the answer is the SHA-256 of the file where it is complete.

        Raises BodyTooLarge for more bytes than the file has, InconsistentLength for fewer, what `hold` does,
        ChecksumMismatch, BlobError, what `record` raises, and what the bytes' own source does, after what had come by
        then is recorded.
        """
        broken = await self._receive()
        if broken is None and self._piece.ends and self._length not in {None, self._size}:
            raise InconsistentLength(f"The file has {self._length} bytes, and ended after {self._size}")
        await self._batches.landed()
        if broken is not None and self._piece.check is not None:
            raise broken  # nothing is kept of what cannot be held against its checksum
        checkpoint, sha256 = await self._run(lambda: self._finish(whole=broken is None))
        await self._record(checkpoint, sha256)
        if broken is not None:
            raise broken
        return sha256

    async def _receive(self) -> Exception | None:
        """Take the bytes as they come; the answer is what has cut them short."""
        source, loop = aiter(self._piece.content), asyncio.get_running_loop()
        saved_at = loop.time()
        while True:
            try:
                piece = await self._turn.next(source)
            except StopAsyncIteration:
                return None
            except Exception as error:  # whatever it is: what came before is as good as ever
                return error
            self._take(len(piece))
            await self._batches.add(piece)
            if self._piece.check is None and (loop.time() >= saved_at + self._save_seconds or self._writer.due):
                await self._batches.landed()
                await self._record(await self._run(lambda: self._writer.save(last=False)), None)
                saved_at = loop.time()

    def _take(self, size: int) -> None:
        self._size += size
        if self._length is not None and self._size > self._length:
            raise BodyTooLarge(f"The file has {self._length} bytes")
        self._hold(self._size)

    def _write(self, batch: list[Buffer]) -> None:
        if self._piece.check is not None:
            for each in batch:
                self._piece.check.update(each)
        self._writer.write(batch)

    def _finish(self, *, whole: bool) -> tuple[Checkpoint, str | None]:
        self._write(self._batches.rest())
        if self._piece.check is not None and not self._piece.check.matches():
            raise ChecksumMismatch
        checkpoint = self._writer.save(last=True)
        complete = whole and (self._piece.ends or self._size == self._length)
        return checkpoint, self._writer.digest() if complete else None

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
