"""Large request bodies on the socket: received into blocks that are handed on whole, past the parser and its copies.

uvicorn copies a byte four times on its way to the application, 64 KiB at a time, and stops the socket in between.
Here the kernel writes it where it is hashed from, and where it goes to the disk from (`blobs/_direct.py`). CPU seconds
per GiB on one core, 0.61 of them for the hash: 0.93, and 0.83 for bare loops, of which one receives and hashes and one
writes (the floor of `put-raw` in `bench/`). A thread that reads the socket itself was tried: its uploads were
2.5 % faster, which is too little for a second way with its bound on threads and its way back.

Everything else is uvicorn's: the head, bodies in chunks, short ones, and the answer.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import TYPE_CHECKING

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from modelyard.connection.framing import FramedProtocol
from modelyard.memory_pages import Blocks
from modelyard.wire.pace import Pace

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

BLOCK_BYTES = 2 * 1024 * 1024  # with 1 MiB switching threads costs more, 4 MiB do not fit into its cache
BLOCKS_HELD = 4  # of large ones: one that is received, one that is hashed, and two that are written
LARGE_BYTES = 1024 * 1024  # from which on a body is worth the change of protocols
LITTLE_BYTES = 16 * 1024  # up to which what has come is copied out of its block
PATIENCE_SECONDS = 1.0  # after which what has come is handed on, so that nothing waits for a slow sender's next byte
UNSENT_BYTES = 1024 * 1024

# The scope's key of a function that is to be told at which byte of the body the file begins.
FILE_BEGINS = "modelyard.file_begins"

_NO_BLOCK = memoryview(bytearray())
_BOUNDS_UNSENT = sys.platform == "linux"


class BulkProtocol(FramedProtocol):
    """One client connection, which carries large transfers well."""

    earned = 0  # by the pace of the large bodies that came on it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a connection; the kernel is not to hoard for slow readers.

        It takes up to 4 MiB of an answer for each of them, which is memory too, and a leap that looks like speed.
        """
        super().connection_made(transport)
        if _BOUNDS_UNSENT:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        length = _content_length(cycle)
        if length >= LARGE_BYTES:
            app = LargeBody(self, cycle, length).given_to(app)  # type: ignore[arg-type, assignment] # two names of one
        super()._start_asgi_task(cycle, app)


class LargeBody(asyncio.BufferedProtocol):
    """Stands in for the connection's protocol from when the application asks for the body until its last byte.

    Messages carry a view whose memory is used again once nobody has a view of it. It lies as the file does in its
    pages, which begins where the body does, unless the application says otherwise by FILE_BEGINS.
    """

    def __init__(self, connection: BulkProtocol, cycle: RequestResponseCycle, length: int) -> None:
        self._connection = connection
        self._cycle = cycle
        self._length = length  # bytes of the body
        self._missing = length  # of them, those that are not received yet
        self._file_begins = 0
        self._blocks = Blocks()
        self._block = _NO_BLOCK
        self._filled = 0
        # An upload in pieces is as fast as it was: to begin anew took 32 of 64 MiB, and blocks of many sizes.
        self._pace = Pace(BLOCK_BYTES, BLOCKS_HELD, connection.earned)
        self._asked = self._standing_in = False

    def given_to(self, app: ASGIApp) -> ASGIApp:
        """The application, as it would be called with this body."""

        async def with_body(scope: Scope, _receive: Receive, send: Send) -> None:
            scope[FILE_BEGINS] = self._begin_file
            try:
                await app(scope, self.receive, send)
            finally:
                del scope[FILE_BEGINS]  # which would keep this body, and its memory, until cycles are collected

        return with_body

    def _begin_file(self, position: int) -> None:
        self._file_begins = position

    async def receive(self) -> Message:
        """The next part of the body, as ASGI has it."""
        if not self._asked:
            self._asked = True
            if self._is_worth_it():
                return self._stand_in()
        if self._standing_in:
            return await self._next_block()
        return self._left_over() or await self._cycle.receive()  # type: ignore[return-value]

    def _is_worth_it(self) -> bool:
        cycle = self._cycle
        self._missing -= len(cycle.body)
        return cycle.more_body and not cycle.disconnected and self._missing >= LARGE_BYTES

    def _stand_in(self) -> Message:
        """Take the connection over; the message is what uvicorn has received so far."""
        cycle = self._cycle
        cycle.flow.pause_reading()
        cycle.transport.set_protocol(self)
        self._standing_in = True
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        begun, cycle.body = cycle.body, bytearray()
        cycle.message_event.clear()
        return _message(begun, more=True)

    async def _next_block(self) -> Message:
        cycle = self._cycle
        self._begin_block()
        begun = time.perf_counter()
        cycle.flow.resume_reading()
        await self._arrival()
        if self._is_over():
            return self._last_block()
        cycle.flow.pause_reading()
        cycle.message_event.clear()
        self._pace.moved(self._filled, time.perf_counter() - begun)
        block = self._received()
        self._block, self._filled = _NO_BLOCK, 0
        if not self._missing:
            self._stand_back()
        return _message(block, more=self._missing > 0)

    def _left_over(self) -> Message | None:
        """What uvicorn had received when the client left, which it would drop."""
        cycle = self._cycle
        if not cycle.body or not (cycle.disconnected or cycle.response_complete):
            return None
        received, cycle.body = cycle.body, bytearray()
        return _message(received, more=True)

    def _last_block(self) -> Message:
        """What had come when the client left, and then that he has: an upload may go on there."""
        received, self._filled = self._received(), 0
        return _message(received, more=True) if received else {"type": "http.disconnect"}

    def _received(self) -> bytes | memoryview:
        """What is in the block; little is copied, so that the few bytes of a dawdler do not hold many blocks."""
        received = self._block[: self._filled]
        return received if self._filled > LITTLE_BYTES else bytes(received)

    async def _arrival(self) -> None:
        """Return when the block is full or the body at its end, and sooner when the client dawdles or is gone."""
        event, loop = self._cycle.message_event, asyncio.get_running_loop()
        while not event.is_set():
            timer = loop.call_later(PATIENCE_SECONDS, event.set)  # a sixth of what asyncio.timeout takes
            try:
                await event.wait()
            finally:
                timer.cancel()
            if self._filled or self._is_over():
                return
            event.clear()

    def _is_over(self) -> bool:
        return self._cycle.disconnected or self._cycle.response_complete

    def _begin_block(self) -> None:
        offset = self._length - self._missing - self._file_begins
        block = self._blocks.take(self._pace.block_bytes, offset)
        self._block, self._filled = block[: self._missing] if self._missing else block, 0

    def _stand_back(self) -> None:
        """Give the connection back for its next request; nothing is being read. The old parser waits for this body."""
        connection = self._connection
        connection.parser = httptools.HttpRequestParser(connection)
        connection.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._cycle.transport.set_protocol(connection)
        self._standing_in = False
        connection.earned = self._pace.earned
        # uvloop holds on to this protocol as long as the connection lives: it no longer counts, and has no blocks.
        self._pace, self._blocks = Pace(), Blocks()
        self._block, self._filled = _NO_BLOCK, 0
        connection.on_message_complete()
        self._cycle.message_event.clear()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        del sizehint
        if self._filled == len(self._block):
            self._begin_block()
        return self._block[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Count them; when the answer is over, and nobody reads them, they are forgotten."""
        self._filled += nbytes
        self._missing -= nbytes
        if self._cycle.response_complete or self._cycle.disconnected:
            self._connection._unset_keepalive_if_required()  # as uvicorn does for all that it receives
            self._skip_to_the_end()
        elif self._filled == len(self._block) or not self._missing:
            self._cycle.flow.pause_reading()
            self._cycle.message_event.set()

    def _skip_to_the_end(self) -> None:
        if not self._missing and not self._cycle.disconnected:
            self._cycle.flow.pause_reading()
            self._stand_back()
            self._cycle.flow.resume_reading()

    def eof_received(self) -> None:
        """Tell the connection."""
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the connection."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Tell the connection."""
        self._connection.resume_writing()


def _content_length(cycle: RequestResponseCycle) -> int:
    """Bytes of the body; 0 where it has none or comes in chunks. The parser has held that it is one number."""
    if cycle.scope["method"] in {"GET", "HEAD"}:
        return 0
    return next((int(value) for name, value in cycle.scope["headers"] if name == b"content-length"), 0)


def _message(body: bytes | bytearray | memoryview, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}
