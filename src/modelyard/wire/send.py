"""Sending a file: ASGI responses that have a thread send what is large, where there is an outlet to the socket for it.

Else they read large blocks off the loop, one while the socket sends the last.

Measured on one core against nginx's sendfile: 64 KiB a thread hop gives a fifth of its speed, 1 MiB all of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from modelyard.errors import ShortRead
from modelyard.wire.headers import RawHeaders
from modelyard.wire.pace import Pace
from modelyard.wire.ranges import ByteRange, MultipartRanges

ToSocket = Callable[[Callable[[int, int], int], int], int]

# The scope's keys of a function that opens an Outlet, or a weak reference to it; and of the bytes that went there.
OUTLET = "modelyard.outlet"
SENT_BESIDE = "modelyard.sent_beside"
DIRECT_BYTES = 1024 * 1024  # of a range, from which on it goes by the outlet
PIECE_BYTES = 16 * 1024 * 1024  # at once: some milliseconds of a thread, also where they come from the disk


class Outlet(Protocol):
    """A way to the client's socket past all that messages pass, for part of an answer whose length was told."""

    async def ready(self) -> bool:
        """Return when all that was sent before is on its way; whether anything can be sent after it."""

    def send(self, some: Callable[[int, int], int], length: int) -> int:
        """Send `length` bytes, fewer where that takes long; in a thread.

        `some` is given the socket and how many went before, and sends more of them, at least one. Raises what it does,
        and EOFError where it sends none.
        """

    def sent(self, size: int) -> None:
        """Count bytes that went there."""

    async def room(self) -> None:
        """Return when the socket takes more, or is broken."""

    def close(self) -> None:
        """Give it back, as soon as nothing is being sent; never blocks."""


class Source(Protocol):
    """The bytes of one file, read off the event loop."""

    async def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` on; fewer only at the end."""

    async def close(self) -> None:
        """Give the file back."""


class SendingSource(Source, Protocol):
    """A source that can also send its bytes."""

    async def send(self, to_socket: ToSocket, offset: int, length: int) -> int | None:
        """Send up to `length` bytes from `offset` on: how many, 0 for want of room, None where they must be read."""


async def blocks(source: Source, part: ByteRange) -> AsyncGenerator[bytes]:
    """The bytes of a range in blocks, at the client's pace. Raises ShortRead.

    A server asks for the next block while its transport still sends the last, so reading ahead would gain nothing.
    """
    offset, pace = part.start, Pace()
    while offset < part.stop:
        block = await source.read(offset, min(pace.block_bytes, part.stop - offset))
        if not block:
            raise ShortRead(f"no bytes at {offset} of a range up to {part.stop}")
        offset += len(block)
        begun = time.perf_counter()
        yield block
        pace.moved(len(block), time.perf_counter() - begun)


class BytesResponse(Response):
    """An answer whose bytes are at hand, with headers that need no more work."""

    def __init__(self, status: int, headers: RawHeaders, content: bytes) -> None:
        self.background = None  # FastAPI's routes look at it
        self.status_code = status
        self.raw_headers = list(headers)
        self.body = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


class FileResponse(Response):
    """An answer with the whole file, one range of it, or several as multipart/byteranges."""

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        source: SendingSource,
        parts: Sequence[ByteRange],
        framing: MultipartRanges | None,
    ) -> None:
        super().__init__(status_code=status)
        self.raw_headers = list(headers)
        self.source = source
        self.parts = parts
        self.framing = framing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; stop early when the client goes away."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body"})
                return
            await until_disconnect(receive, self._send_body(scope, send))
        finally:
            await self.source.close()

    async def _send_body(self, scope: Scope, send: Send) -> None:
        for part in self.parts:
            if self.framing:
                await send(_body(self.framing.part_head(part)))
            sent = await self._send_past(scope, part) if part.stop - part.start >= DIRECT_BYTES else 0
            async with aclosing(blocks(self.source, ByteRange(part.start + sent, part.stop))) as stream:
                async for block in stream:
                    await send(_body(block))
        await send({"type": "http.response.body", "body": self.framing.tail if self.framing else b""})

    async def _send_past(self, scope: Scope, part: ByteRange) -> int:
        """Send as much of a range as goes by an outlet, and tell how much that is."""
        opens = scope.get(OUTLET)
        connection = opens and opens()
        outlet: Outlet | None = connection and connection()
        if outlet is None:
            return 0
        position = part.start
        try:
            if not await outlet.ready():
                return 0
            while position < part.stop:
                wanted = min(PIECE_BYTES, part.stop - position)
                size = await self.source.send(outlet.send, position, wanted)
                if size is None:
                    break
                position += size
                outlet.sent(size)
                if size < wanted:
                    await outlet.room()
            return position - part.start
        finally:
            scope[SENT_BESIDE] = scope.get(SENT_BESIDE, 0) + position - part.start
            outlet.close()


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}


async def until_disconnect(receive: Receive, work: Awaitable[None]) -> None:
    """Run `work`, but cancel it when the client disconnects: the server swallows what is sent to nobody."""
    sending = asyncio.ensure_future(work)
    watching = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        if not sending.done():
            sending.cancel()
        await asyncio.gather(sending, watching, return_exceptions=True)
    if not sending.cancelled():
        sending.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
