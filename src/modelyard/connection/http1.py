"""HTTP/1.1 on the socket: uvicorn's protocol, with answers in our shape where it gives none.

uvicorn answers an unreadable request in plain text, and drops a client that ends its body early without a word.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from weakref import WeakMethod

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from modelyard.connection.bulk import BulkProtocol
from modelyard.connection.framing import bad_request
from modelyard.connection.outlet import Outlet
from modelyard.departures import CLIENT, Client
from modelyard.terms.addresses import plain
from modelyard.wire.send import OUTLET


class Http1State(ServerState):
    """What all connections of a server share."""

    stopping = False  # each answer is the last one on its connection


class _Transport:
    """A connection's transport, for a request that may have a body: its answer does not close it before that has come.

    To close on bytes that nobody has read resets the connection, which takes the answer, a challenge say, from a client
    that still sends (RFC 9112 section 9.6).
    """

    def __init__(self, connection: Http1Protocol) -> None:
        self._connection = connection
        self._transport = connection.transport

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close, perhaps later."""
        self._connection.close_after_body()


class Http1Protocol(BulkProtocol):
    """One client connection."""

    _running: RequestResponseCycle | None = None  # the request that is answered; `cycle` is the last that was read
    _last_body = False  # the connection ends with the body that is being received
    _opens_outlet: WeakMethod[Any] | None = None  # weak, or the scopes of requests would hold their connection
    awaits_reader = False  # what is sent past the transport waits for the socket

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a connection, and know both ends by the usual spelling of their addresses."""
        super().connection_made(transport)
        if sys.platform == "linux" and not transport.get_extra_info("sslcontext"):
            self._opens_outlet = WeakMethod(self.outlet)
        if self.client and self.server:
            self.client = (plain(self.client[0]), self.client[1])
            self.server = (plain(self.server[0]), self.server[1])

    def outlet(self) -> Outlet | None:
        """A way for the file of the running answer; None where that cannot be had."""
        running = self._running
        if running is None or running.scope["method"] == "HEAD" or self.transport.is_closing():
            return None
        try:
            return Outlet(self, running)
        except OSError:  # no descriptor is left
            return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self.cycle is not None:
            self.cycle.transport = self.transport  # or they would hold each other
        running, self._running = self._running, None
        if running is None:
            return
        if not running.response_complete:
            running.transport, running.disconnected = self.transport, True
            running.message_event.set()
        client: Client = running.scope[CLIENT]  # type: ignore[literal-required] # a key of our own
        client.leave()

    @property
    def is_new(self) -> bool:
        """Whether no request has come yet."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None

    def close_after_answer(self) -> None:
        """Say in a running request's answer that it is the last one, unless the answer has begun."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_started:
            cycle.keep_alive = False

    def close_after_body(self) -> None:
        """Close after the last answer, or, if the body of its request still comes, when that has ended.

        Until then its bytes are dropped, and have to get on, as on a connection that is kept alive.
        """
        cycle: RequestResponseCycle = self.cycle
        if not (cycle.response_complete and cycle.more_body) or cycle.disconnected:
            self.transport.close()
        elif self._deaf:  # to where the body ends as well
            self._linger()
        else:
            self._last_body = True
            self.transport.write_eof()

    def on_message_complete(self) -> None:
        """Know that the request has ended, and perhaps the connection with it."""
        super().on_message_complete()
        if self._last_body:
            self._deaf = True
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if isinstance(self.server_state, Http1State) and self.server_state.stopping:
            cycle.keep_alive = False
        self._running = cycle
        cycle.scope[CLIENT] = Client()  # type: ignore[literal-required] # as above
        cycle.scope[OUTLET] = self._opens_outlet  # type: ignore[literal-required] # as above
        if cycle.scope["method"] not in {"GET", "HEAD"}:
            cycle.transport = _Transport(self)  # type: ignore[assignment] # all of a transport that a cycle asks
        super()._start_asgi_task(cycle, app)

    def eof_received(self) -> None:
        """Answer a client that closed its side in the middle of a body: it may still be listening."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_started:
            self.send_400_response("The request body ended early")

    def send_400_response(self, msg: str) -> None:
        """Answer 400 in GitLab's shape and close."""
        self.refuse(bad_request(msg.rstrip(".")))
