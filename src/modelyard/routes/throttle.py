"""The gate before all routes: who asks too often is answered 429 before anything is looked up.

It adds 3 µs to a request with a token, and 10 µs to one that is counted.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard.access.tokens import read_credential
from modelyard.errors import BadRequest, Forbidden, TooManyRequests, Unauthorized
from modelyard.routes import failures
from modelyard.services.throttling import Throttle, Throttled, mark_of

_CREDENTIALS = frozenset({b"authorization", b"private-token", b"job-token"})
_PROBES = frozenset({"/-/health", "/-/liveness", "/-/readiness"})
_API = "/api/v4/"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 section 9.2.1


class Gate:
    """Counts requests by who sends them, and credentials by whether they are valid."""

    def __init__(self, app: ASGIApp, throttle: Throttle) -> None:
        self.app = app
        self.throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on or refuse one request; probes always pass."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self.app(scope, receive, send)
            return
        if scope["method"] not in _SAFE and (b"sec-fetch-site", b"cross-site") in scope["headers"]:
            # A page of another site, whose reader's browser may add a password that it remembers.
            await failures.answer(Request(scope), Forbidden("Requests of other sites change nothing"))(
                scope, receive, send
            )
            return
        throttle, credential = self.throttle, _credential(scope)
        address: str = scope["client"][0] if scope["client"] else ""
        if not credential:
            refused = throttle.anonymous(address)
        else:
            mark = mark_of(credential)
            known = throttle.knows(mark)
            refused = (None if known else throttle.stranger(address, mark)) or self._count_token(scope)
            send = _noting(throttle, scope, address, mark, known, send)
        if refused is not None:
            await _refusal(scope, refused)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _count_token(self, scope: Scope) -> Throttled | None:
        """Count a request of a token, in whatever header it comes; the refusal that is due, if any."""
        if not self.throttle.counts_tokens:
            return None
        try:
            token = read_credential(scope["headers"])
        except Unauthorized:
            return None
        return self.throttle.identified(mark_of((token or "").encode()))


def _noting(throttle: Throttle, scope: Scope, address: str, mark: str, known: bool, send: Send) -> Send:
    """`send`, but learn from the answer whether the credential was valid."""

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            status = message["status"]
            if status == Unauthorized.status:
                throttle.note(address, mark, valid=False)
            elif not known and status < BadRequest.status and scope["path"].startswith(_API):
                throttle.note(address, mark, valid=True)  # all of the API holds that a credential be valid
        await send(message)

    return noting


def _credential(scope: Scope) -> bytes:
    """The headers that carry a credential, as they are; empty without any."""
    return b"\n".join([value for name, value in scope["headers"] if name in _CREDENTIALS])


def _refusal(scope: Scope, throttled: Throttled) -> PlainTextResponse:
    """GitLab's answer of its request throttle, in plain text."""
    headers = throttled.headers
    if any(name == b"expect" for name, _ in scope["headers"]):
        headers["Connection"] = "close"  # or the client would have to send the body that it holds back
    return PlainTextResponse("Retry later\n", TooManyRequests.status, headers)
