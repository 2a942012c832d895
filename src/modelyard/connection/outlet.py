"""Large files to the socket by the thread that has them, past the event loop and the transport's buffer.

It reads a piece and sends it while the processor's cache still has it, and the loop only waits for the socket to have
room. CPU seconds and seconds for a GiB on one core, the client on another: 0.3 to 0.35; by hops of the loop, a block
each, 0.5 to 0.57, and by sendfile(2) from this thread 0.5 to 0.7. All else is read and written as ever.
"""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from modelyard.connection.http1 import Http1Protocol

TURN_SECONDS = 0.01  # after which others get the thread, small uploads among them
QUICK_MILLISECONDS = 2  # in which a fast client has made room: to wait that long in the thread is cheaper than a hop


class Outlet:
    """The way of one answer to its socket. See `wire.send.Outlet`."""

    def __init__(self, connection: Http1Protocol, cycle: RequestResponseCycle) -> None:
        """Open it. Raises OSError where no descriptor is left."""
        self._connection = connection
        self._cycle = cycle
        self._lock = Lock()
        self._over = False
        # Of our own: a thread may still send when the connection is gone, and its number another's.
        self._socket = os.dup(connection.transport.get_extra_info("socket").fileno())
        self._writable = select.poll()
        self._writable.register(self._socket, select.POLLOUT)

    async def ready(self) -> bool:
        """Return when all that was written before is on its way; whether anything can be sent after it."""
        transport, flow = self._connection.transport, self._connection.flow
        if transport.get_write_buffer_size():
            transport.set_write_buffer_limits(high=0)  # then it tells when there is nothing left
            try:
                await flow.drain()
            finally:
                transport.set_write_buffer_limits()
        return not (self._cycle.disconnected or self._cycle.chunked_encoding or transport.is_closing())

    def send(self, some: Callable[[int, int], int], length: int) -> int:
        """Send `length` bytes, fewer where the client or the store is not quick; in a thread.

        `some` is given the socket and how many went before, and sends more of them, at least one. Raises EOFError where
        it sent none, and what it raises for the first ones; for later ones it is asked again, the next time.
        """
        try:
            with self._lock:
                return self._send(some, length, time.monotonic() + TURN_SECONDS)
        finally:
            if self._over:
                self.close()

    def _send(self, some: Callable[[int, int], int], length: int, until: float) -> int:
        sent = 0
        while sent < length and not self._over and time.monotonic() < until:
            try:
                went = some(self._socket, sent)
                if not went:
                    raise EOFError
                sent += went
            except BlockingIOError:
                if not self._writable.poll(QUICK_MILLISECONDS):
                    break
            except Exception:
                if not sent:
                    raise
                break
        return sent

    def sent(self, size: int) -> None:
        """Count bytes of the answer."""
        self._cycle.expected_content_length -= size

    async def room(self) -> None:
        """Return when the socket takes more, or is broken."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self._socket, ready.set)
        self._connection.awaits_reader = True
        try:
            await ready.wait()
        finally:
            self._connection.awaits_reader = False
            loop.remove_writer(self._socket)

    def close(self) -> None:
        """Let go of the socket, as soon as nothing is being sent; never blocks."""
        self._over = True
        if self._lock.acquire(blocking=False):  # else whoever sends just now does it
            descriptor, self._socket = self._socket, -1
            self._lock.release()
            if descriptor >= 0:
                os.close(descriptor)
