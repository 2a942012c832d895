"""Bytes on their way into the blob store: gathered into batches, one thread hop a batch, one after the other.

The hop hashes and writes, while the loop receives the next batches. A small file takes a single hop for everything,
from opening to fsync.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import ClassVar
from weakref import WeakSet

from modelyard.blobs.store import BlobStore, BlobWriter, Buffer, WriterClosed
from modelyard.errors import BadRequest
from modelyard.hops import Reply, hand_on
from modelyard.memory_pages import give_back
from modelyard.terms.digests import DigestCheck

Hold = Callable[[int], None]  # raises for a file of more bytes than it may have

BATCH_BYTES = 256 * 1024
READY = 1  # batches under way when one more is handed on, while nobody else has any
LARGE_BYTES = 1024 * 1024
MANY = 8  # large ones at once
PAUSE_SECONDS = 1.0  # between two times that memory is given back


class FileTooLarge(BadRequest):
    """400 for a file over the limit, in GitLab's words."""

    def __init__(self) -> None:
        super().__init__("Artifact file is too large")


class DigestMismatch(BadRequest):
    """400 for bytes that are not the ones that their sender announced."""

    def __init__(self) -> None:
        super().__init__("The content does not match its digest")


@dataclass(frozen=True, slots=True)
class Expectations:
    """What must hold of the bytes before they are kept."""

    representation: Mapping[str, bytes]  # Repr-Digest and its kin: digests of the file
    content: Mapping[str, bytes]  # Content-Digest and its kin: digests of the request body, or of the file in it
    body: DigestCheck | None  # has seen the whole body, where that is more than the file


class Batches:
    """Pieces gathered into batches, each written by a thread while the next one is received.

    While nobody else has batches, one more lies ready, which the thread hands on itself: else it waits, after each,
    until the loop has heard of it, and one upload is a sixth slower. It is queued behind what the batch before has
    queued, its writes to the disk. Beside others no core is idle, and four are slower by it.
    """

    _busy: ClassVar[WeakSet[Batches]] = WeakSet()  # that have handed one on, and have not landed

    def __init__(self, executor: Executor, write: Callable[[list[Buffer]], None]) -> None:
        self._executor = executor
        self._write = write
        self._batch: list[Buffer] = []
        self._batched = 0
        self._in_flight: deque[asyncio.Future[None]] = deque()
        self._ready: deque[tuple[list[Buffer], Reply[None]]] = deque()
        self._handing_on = threading.Lock()
        self._writing = self._broken = False

    async def add(self, piece: Buffer) -> None:
        """Take the next piece. Raises what writing an earlier one has raised."""
        self._batch.append(piece)
        self._batched += len(piece)
        if self._batched >= BATCH_BYTES:
            alone = len(self._busy) == (self in self._busy)
            await self._land(READY if alone else 0)
            self._hand_on(self.rest())

    async def landed(self) -> None:
        """Return when all batches but the one that is being gathered are written. Raises what that has raised."""
        try:
            await self._land(0)
        finally:
            self._busy.discard(self)

    def rest(self) -> list[Buffer]:
        """What is gathered so far, which is the caller's to write from then on."""
        batch, self._batch, self._batched = self._batch, [], 0
        return batch

    async def _land(self, most: int) -> None:
        while self._in_flight and (len(self._in_flight) > most or self._in_flight[0].done()):
            await self._in_flight[0]
            self._in_flight.popleft()

    def _hand_on(self, batch: list[Buffer]) -> None:
        reply = Reply[None]()
        self._busy.add(self)
        self._in_flight.append(reply.awaited)
        with self._handing_on:
            self._ready.append((batch, reply))
            begin, self._writing = not self._writing, True
        if begin:
            self._submit()

    def _submit(self) -> None:
        try:
            self._executor.submit(self._write_next)
        except RuntimeError as error:  # it takes nothing more
            with self._handing_on:
                dropped, self._ready, self._writing = self._ready, deque(), False
            for _batch, reply in dropped:
                reply.fail(error)

    def _write_next(self) -> None:
        """Write the batch whose turn it is, unless nobody waits for it or one before it was not written."""
        with self._handing_on:
            batch, reply = self._ready.popleft()
        self._broken = self._broken or reply.is_unwanted
        if self._broken:
            reply.fail(WriterClosed("bytes before these were not written"))
        else:
            self._broken = not reply.tell(partial(self._write, batch))
        del batch  # its memory is free for the next ones
        with self._handing_on:
            self._writing = more = bool(self._ready)
        if more:
            self._submit()


class Crowd:
    """The large ones that are on their way at once: when a crowd has gone, its batches have left holes in the heap."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._here = self._most = 0
        self._next = 0.0

    def comes(self) -> None:
        """One more."""
        with self._changing:
            self._here += 1
            self._most = max(self._most, self._here)

    def goes(self) -> None:
        """One less; behind the last of many, what they held is given back: 32 uploads in chunks had left 17 MiB."""
        with self._changing:
            self._here -= 1
            if self._here:
                return
            many, self._most = self._most >= MANY, 0
            if not many or time.monotonic() < self._next:
                return
            self._next = time.monotonic() + PAUSE_SECONDS
        give_back()


_crowd = Crowd()


class Ingest:
    """One file on its way into the store. Always `close()` it; nothing stays unless `publish()` was reached."""

    def __init__(self, store: BlobStore, executor: Executor, expectations: Expectations, hold: Hold) -> None:
        self.size = 0
        self._store = store
        self.executor = executor
        self._expected = expectations
        self._hold = hold
        self._checks = [DigestCheck(expected) for expected in (expectations.representation, expectations.content)]
        self._writer: BlobWriter | None = None
        self._batches = Batches(executor, self._write)
        self._opening = threading.Lock()
        self._closed = self._is_large = False

    async def receive(self, pieces: AsyncIterator[Buffer]) -> str:
        """Take the whole file, verify it and make it durable; the answer is its SHA-256.

        Raises what `hold` does as soon as a limit is passed, DigestMismatch, BlobError, and whatever `pieces` raises.
        """
        await self.take(pieces)
        return await hand_on(self.executor, self.finish)

    async def take(self, pieces: AsyncIterator[Buffer]) -> None:
        """Take the whole file, whose last bytes are not written yet; `finish` is next. Raises as `receive` does."""
        async for piece in pieces:
            self.size += len(piece)
            self._hold(self.size)
            if self.size >= LARGE_BYTES and not self._is_large:
                self._is_large = True
                _crowd.comes()
            await self._batches.add(piece)
        await self._batches.landed()

    def finish(self) -> str:
        """Verify what was taken and make it durable; blocks. The answer is its SHA-256. Raises as `receive` does."""
        self._write(self._batches.rest())
        writer = self._open()
        sha256 = writer.digest()
        self._verify(sha256)
        writer.publish()
        return sha256

    def publish_again(self) -> None:
        """Put the bytes back into the store if they were collected as garbage since; blocks."""
        self._open().publish()

    async def close(self) -> None:
        """Let go of everything; waits for a write in flight, also when the request is being cancelled."""
        if not self._closed:
            await asyncio.shield(hand_on(self.executor, self.release))

    def _open(self) -> BlobWriter:
        with self._opening:
            if self._closed:
                raise WriterClosed("the upload has ended")
            if self._writer is None:
                self._writer = self._store.begin()
            return self._writer

    def _write(self, batch: list[Buffer]) -> None:
        self._open().write(batch)
        for check in self._checks:
            for piece in batch if check.algorithms else ():
                check.update(piece)

    def _verify(self, sha256: str) -> None:
        representation, content = self._checks
        body = self._expected.body
        # Content-Digest covers a form as a whole (RFC 9530 section 2); people send their file's digest and mean it.
        # Either proves that the file arrived whole.
        if not representation.matches(sha256) or not (content.matches(sha256) or (body and body.matches())):
            raise DigestMismatch

    def release(self) -> None:
        """`close` from a thread; blocks, and may be called again."""
        with self._opening:  # A write that is opening one just now ends that first: nobody else would close it.
            self._closed = True
            if self._writer is not None:
                self._writer.close()
            if self._is_large:
                self._is_large = False
                _crowd.goes()
