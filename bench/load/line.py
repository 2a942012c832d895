"""A long line where the kernel has no netem: a relay that holds bytes as long as they would travel.

As a program (`python -m bench.load.line PORT TARGET SECONDS WINDOW`) it listens on PORT, and leads to the port TARGET.
Each connection begins with a round trip, and has a window as TCP has it (RFC 5681 section 3.1): ten segments at
first, then a byte more for each that is acknowledged, until WINDOW bytes are under way. Nothing is lost on it.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from bench.process import HOST

FIRST_WINDOW = 10 * 1460  # RFC 6928
PIECE = 256 * 1024
KEPT = 64 * 1024  # in the relay's own sockets, which are no part of the line


class Way:
    """One direction of a connection; `seconds` from one end to the other."""

    def __init__(self, source: socket.socket, sink: socket.socket, seconds: float, window: int) -> None:
        self._source, self._sink = source, sink
        self._seconds, self._most = seconds, window
        self._window, self._under_way = FIRST_WINDOW, 0
        self._acknowledged = asyncio.Event()
        self._held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def carry(self) -> None:
        """Carry bytes until there are no more."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take())
            both.create_task(self._give())

    async def _take(self) -> None:
        loop, content = asyncio.get_running_loop(), b"-"
        while content:
            while (room := self._window - self._under_way) <= 0:
                self._acknowledged.clear()
                await self._acknowledged.wait()
            content = await loop.sock_recv(self._source, min(room, PIECE))
            self._under_way += len(content)
            self._held.put_nowait((loop.time() + self._seconds, content))

    async def _give(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            arrives, content = await self._held.get()
            await asyncio.sleep(arrives - loop.time())
            if not content:
                self._sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(self._sink, content)
            loop.call_later(self._seconds, self._acknowledge, len(content))

    def _acknowledge(self, count: int) -> None:
        self._under_way -= count
        self._window = min(self._most, self._window + count)
        self._acknowledged.set()


async def relay(port: int, target: int, seconds: float, window: int) -> None:
    """Listen until the task is ended."""
    loop, running = asyncio.get_running_loop(), set()
    with socket.create_server((HOST, port), backlog=128) as listening:
        listening.setblocking(False)
        while True:
            near, _ = await loop.sock_accept(listening)
            task = loop.create_task(_connect(near, target, seconds, window))
            running.add(task)
            task.add_done_callback(running.discard)


async def _connect(near: socket.socket, target: int, seconds: float, window: int) -> None:
    with near, socket.socket() as far:
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KEPT)
        await asyncio.sleep(2 * seconds)
        try:
            await asyncio.get_running_loop().sock_connect(far, (HOST, target))
            async with asyncio.TaskGroup() as both:
                both.create_task(Way(near, far, seconds, window).carry())
                both.create_task(Way(far, near, seconds, window).carry())
        except* OSError:  # either end has left
            pass


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
