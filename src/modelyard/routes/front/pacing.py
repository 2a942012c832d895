"""Whoever is refused again and again while others ask waits for his refusals, and they are answered meanwhile.

It adds 2 µs to a request.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard.errors import Forbidden
from modelyard.routes.front.browsers import session_credential
from modelyard.routes.http import failures
from modelyard.routes.http.counted import COUNTED
from modelyard.services.traffic.shares import Shares, refusal_seconds
from modelyard.services.traffic.throttling import mark_of, network_of

CREDENTIAL = "modelyard.credential"  # the scope's key of the headers that carry one, as they are; empty without any
_CREDENTIALS = frozenset({b"authorization", b"private-token", b"job-token"})
_REFUSED = range(400, 500)
MAX_COUNTED_BYTES = 1 << 30  # of a body that is said to come


class Pacing:
    """Tells the shares who asks, and holds back refusals whose client has had his."""

    def __init__(self, app: ASGIApp, shares: Shares, external_url: str | None = None) -> None:
        self.app = app
        self.shares = shares
        self.external_url = external_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on one request. A body that is not read yet waits with its client for the refusal."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        shares = self.shares
        credential = b"\n".join([value for name, value in scope["headers"] if name in _CREDENTIALS])
        if not credential:
            try:
                credential = session_credential(scope, self.external_url)
            except Forbidden as error:
                await failures.answer(Request(scope), error)(scope, receive, send)
                return
        scope[CREDENTIAL] = credential
        counted: list[float] = []
        scope[COUNTED] = counted
        client = mark_of(credential) if credential else network_of(scope["client"][0] if scope["client"] else "")

        async def paced(message: Message) -> None:
            if message["type"] == "http.response.start" and (message["status"] in _REFUSED or counted):
                shares.took(client, refusal_seconds(_body_bytes(scope)))
                if wait := shares.wait(client):
                    await asyncio.sleep(min([wait, *counted]))
            await send(message)

        shares.enter(client)
        try:
            await self.app(scope, receive, paced)
        finally:
            shares.leave(client)


def _body_bytes(scope: Scope) -> int:
    """What the body has, or 1 MiB for one in chunks."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return min(int(value), MAX_COUNTED_BYTES)
        if name == b"transfer-encoding":
            return 1 << 20
    return 0
