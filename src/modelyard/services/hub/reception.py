"""The lines of a commit on their way in: read in batches on other threads, where files in them become durable.

A batch is hashed, written and synced while the next ones come, so that many small files are on their way to the disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Protocol

from modelyard.blobs.store import BlobStore, Buffer
from modelyard.errors import BadRequest, BodyTooLarge
from modelyard.services.files.ingest import Hold
from modelyard.services.hub.operations import MAX_INLINE_BYTES, Header, Operation, Received, joined, parse_line

MAX_OPERATIONS = 50_000
MAX_LINE = MAX_INLINE_BYTES * 4 // 3 + 16 * 1024
BATCH_BYTES = 64 * 1024
BATCHES = 16  # at a time
COPIES = 3  # of a line, while it is taken apart

Batch = asyncio.Future[list[Header | Operation]]


class Room(Protocol):
    """Room in memory."""

    def has(self, size: int) -> bool:
        """Whether there is room for so many bytes in all by now."""

    async def grow(self, size: int) -> None:
        """Wait for it. Raises Unavailable."""


class Reception:
    """Receives one commit."""

    def __init__(self, store: BlobStore, executor: Executor, hold: Hold, room: Room) -> None:
        self._store = store
        self._executor = executor
        self._hold = hold
        self._room = room
        self._buffer = bytearray()
        self._running: deque[tuple[int, Batch]] = deque()
        self._bytes = 0  # in batches that are running
        self._parts: list[list[Header | Operation]] = []
        self._lines = 0

    async def receive(self, pieces: AsyncIterator[Buffer]) -> Received:
        """All that the commit says; the bytes of its files are durable. Raises BadRequest, BodyTooLarge, BlobError."""
        try:
            async for piece in pieces:
                self._buffer += piece
                if len(self._buffer) >= BATCH_BYTES:
                    await self._begin(self._buffer.rfind(b"\n") + 1)
                    if len(self._buffer) > MAX_LINE:
                        raise BodyTooLarge(f"a file of more than {MAX_INLINE_BYTES} bytes is to be sent by LFS or xet")
            await self._begin(len(self._buffer))
            while self._running:
                await self._end_one()
        finally:
            await self._let_end()
        return joined(self._parts, MAX_OPERATIONS)

    async def _begin(self, end: int) -> None:
        """Let the lines before `end` be read."""
        if not end:
            return
        self._lines += self._buffer.count(b"\n", 0, end)
        if self._lines > MAX_OPERATIONS + 1:
            raise BadRequest.plain(f"A commit changes {MAX_OPERATIONS} files at most")
        batch = bytes(self._buffer[:end])
        del self._buffer[:end]
        while self._running and not self._has_room(len(batch)):
            await self._end_one()
        self._bytes += len(batch)
        await self._room.grow(self._bytes * COPIES)
        context = copy_context()
        work = asyncio.get_running_loop().run_in_executor(self._executor, context.run, self._read, batch)
        self._running.append((len(batch), work))

    def _has_room(self, size: int) -> bool:
        """Whether one more batch may run; where memory is short, one at a time does."""
        size += self._bytes
        return len(self._running) < BATCHES and size <= MAX_LINE and self._room.has(size * COPIES)

    async def _end_one(self) -> None:
        size, work = self._running.popleft()
        self._bytes -= size
        self._parts.append(await work)

    async def _let_end(self) -> None:
        """Wait for what is still running when the commit is refused: it has no more use."""
        rest = [work for _size, work in self._running]
        if rest:
            await asyncio.shield(asyncio.gather(*rest, return_exceptions=True))

    def _read(self, batch: bytes) -> list[Header | Operation]:
        return [parse_line(line, self._put) for line in batch.split(b"\n") if line and not line.isspace()]

    def _put(self, content: bytes) -> str:
        self._hold(len(content))
        with self._store.begin() as writer:
            writer.write([content])
            writer.publish()
            return writer.digest()
