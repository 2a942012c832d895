"""HTTP/1.1 on the socket: uvicorn's protocol, with answers in our shape where it gives none.

uvicorn answers an unreadable request in plain text, and drops a client that ends its body early without a word.
"""

from __future__ import annotations

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from modelyard.wire.framing import FramedProtocol, Refusal


class Http1Protocol(FramedProtocol):
    """One client connection."""

    def eof_received(self) -> None:
        """Answer a client that closed its side in the middle of a body: it may still be listening."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_started:
            self.send_400_response("The request body ended early")

    def send_400_response(self, msg: str) -> None:
        """Answer 400 in GitLab's shape and close."""
        self.refuse(Refusal(HTTPStatus.BAD_REQUEST, msg.rstrip(".")))
