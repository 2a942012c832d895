"""HTTP/1.1 on the socket: uvicorn's protocol, with answers in our shape where it gives none.

uvicorn answers an unreadable request in plain text, and drops a client that ends its body early without a word.
"""

from __future__ import annotations

import asyncio

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from modelyard.addresses import plain
from modelyard.wire.bulk import BulkProtocol
from modelyard.wire.framing import bad_request


class Http1State(ServerState):
    """What all connections of a server share."""

    stopping = False  # each answer is the last one on its connection


class Http1Protocol(BulkProtocol):
    """One client connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a connection, and know both ends by the usual spelling of their addresses."""
        super().connection_made(transport)
        if self.client and self.server:
            self.client = (plain(self.client[0]), self.client[1])
            self.server = (plain(self.server[0]), self.server[1])

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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if isinstance(self.server_state, Http1State) and self.server_state.stopping:
            cycle.keep_alive = False
        super()._start_asgi_task(cycle, app)

    def eof_received(self) -> None:
        """Answer a client that closed its side in the middle of a body: it may still be listening."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_started:
            self.send_400_response("The request body ended early")

    def send_400_response(self, msg: str) -> None:
        """Answer 400 in GitLab's shape and close."""
        self.refuse(bad_request(msg.rstrip(".")))
