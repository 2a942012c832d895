"""A stop that no client notices: those behind a load balancer are led elsewhere, the others finish.

A connection that is closed while it rests may be in use again by the time the other side hears of it, and a request
that is lost so is not sent again unless it is one that may be repeated. So nothing is closed without a word. First, for
`shutdown_delay` seconds, the server goes on, says by `/-/readiness` that it is not ready, and ends each connection with
the next answer, which carries `Connection: close`. A load balancer that closes what rests for less than the delay
holds no connection after it. Then the server stops listening, but takes those that were already let in by the kernel,
waits for what they ask, and gives running requests `shutdown_timeout` seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator

import structlog
from uvicorn.config import Config
from uvicorn.server import Server

from modelyard.wire.http1 import Http1Protocol, Http1State

log = structlog.get_logger()

TICK_SECONDS = 0.05
FIRST_REQUEST_SECONDS = 1.0  # within which a connection that was let in sends what it was opened for


class StoppingServer(Server):
    """uvicorn's server with such a stop, after SIGTERM. SIGINT, or a second signal, stops it without the delay."""

    def __init__(self, config: Config, delay: int) -> None:
        super().__init__(config)
        self.server_state = self.state = Http1State()
        self._delay = delay

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lead clients elsewhere, then stop as uvicorn does."""
        self.lifespan.state["stopping"] = self.state.stopping = True
        for connection in self._connections():
            connection.close_after_answer()
        if self._delay and self._captured_signals == [signal.SIGTERM]:
            log.info("stopping", delay=self._delay)
            await self._while(lambda: self._captured_signals == [signal.SIGTERM], self._delay)
        await self._stop_listening()
        await self._while(lambda: any(each.is_new for each in self._connections()), FIRST_REQUEST_SECONDS)
        await super().shutdown(sockets)

    async def _stop_listening(self) -> None:
        listening = [
            socket.socket(fileno=os.dup(each.fileno())) for server in self.servers for each in server.sockets or ()
        ]
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # or the loop would go on taking connections from under our hands
        for listener in listening:
            with listener:  # closed as soon as nobody waits
                while waiting := list(_let_in(listener)):
                    for connection in waiting:
                        await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        protocol: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _connections(self) -> list[Http1Protocol]:
        return [each for each in self.server_state.connections if isinstance(each, Http1Protocol)]

    async def _while(self, goes_on: Callable[[], bool], seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while goes_on() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - nothing tells of a change
            await asyncio.sleep(TICK_SECONDS)


def _let_in(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that the kernel has set up and nobody has taken."""
    listener.setblocking(False)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        yield connection
