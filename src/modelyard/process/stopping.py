"""A stop that no client notices: those behind a load balancer are led elsewhere, the others finish.

A connection that is closed while it rests may be in use again by the time the other side hears of it, and a request
that is lost so is not sent again unless it is one that may be repeated. So nothing is closed without a word. First, for
`shutdown_delay` seconds, the server goes on, says by `/-/readiness` that it is not ready, and ends each connection with
the next answer, which carries `Connection: close`. A load balancer that closes what rests for less than the delay
holds no connection after it. Then the server stops listening, but takes those that were already let in by the kernel,
waits for what they ask, and gives running requests `shutdown_timeout` seconds.

A worker that another one follows has no such hurry. It leaves new connections to that one at once, ends its own with
the next answer, those that rest after the usual time, and gives running requests all the time that they take.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import structlog
from uvicorn.config import Config
from uvicorn.server import Server

from modelyard.connection.http1 import Http1Protocol, Http1State

log = structlog.get_logger()

TICK_SECONDS = 0.05
RETIRE = signal.SIGUSR1  # tells a worker that another one follows
FIRST_REQUEST_SECONDS = 1.0  # within which a connection that was let in sends what it was opened for


class StoppingServer(Server):
    """uvicorn's server with such a stop, after SIGTERM. SIGINT, or a second signal, stops it without the delay."""

    def __init__(self, config: Config, delay: int) -> None:
        super().__init__(config)
        self.server_state = self.state = Http1State()
        self._delay = delay
        self._retiring = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, with an ear for more signals."""
        if threading.current_thread() is threading.main_thread():
            number, obey = (signal.SIGHUP, self._stay) if self.config.workers == 1 else (RETIRE, self._retire)
            asyncio.get_running_loop().add_signal_handler(number, obey)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lead clients elsewhere, then stop as uvicorn does."""
        self.state.stopping = True
        for connection in self._connections():
            connection.close_after_answer()
        if self._retiring:
            await self._outlast()
        self.lifespan.state["stopping"] = True
        if self._delay and self._captured_signals == [signal.SIGTERM]:
            log.info("stopping", delay=self._delay)
            await self._while(lambda: self._captured_signals == [signal.SIGTERM], self._delay)
        await self._stop_listening()
        await self._while(lambda: any(each.is_new for each in self._connections()), FIRST_REQUEST_SECONDS)
        await super().shutdown(sockets)

    def _retire(self) -> None:
        self._retiring = self.should_exit = True

    def _stay(self) -> None:
        log.info("SIGHUP ends nothing", advice="it replaces workers where there are several; SIGTERM stops the server")

    async def _outlast(self) -> None:
        """Serve the connections that are here until they have ended, or a signal says to stop."""
        log.info("another worker follows", connections=len(self.server_state.connections))
        for server in self.servers:
            server.close()
        await asyncio.sleep(TICK_SECONDS)  # until those are here that the loop has let in
        for patience in (self.config.timeout_keep_alive, math.inf):
            await self._while(lambda: bool(self.server_state.connections) and not self._captured_signals, patience)
            for connection in self._connections():
                connection.shutdown()  # if it rests

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
