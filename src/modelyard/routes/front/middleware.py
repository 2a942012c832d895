"""What happens to every request before it is routed: its path stays encoded, and it gets an id and a log line."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard import departures, origin
from modelyard.errors import InternalError, ShortRead, Unavailable
from modelyard.routes.http import failures
from modelyard.wire.paths import normalize_path
from modelyard.wire.send import SENT_BESIDE

log = structlog.get_logger()

# Told of each request that is over: its scope, the answer's status, bytes received and sent, and seconds.
Observe = Callable[[Scope, int, int, int, float], None]

PRIVATE = (  # GitLab's own headers
    (b"cache-control", b"max-age=0, private, must-revalidate"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
)
MAX_LOGGED_PATH = 2048  # characters of one; a name takes up to 3 072, and anybody may send 16 KiB
_SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class RawPath:
    """Lets routes match the path while it is percent-encoded: each route decodes its segments, once."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with the encoded path as its path."""
        if scope["type"] == "http":
            raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
            scope["path"] = normalize_path(raw_path)
        await self.app(scope, receive, send)


class RequestLog:
    """Gives every request an id, returns it as `X-Request-Id`, and logs one line when the answer is over."""

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self.app = app
        self.observe = observe
        self._log = structlog.get_logger().bind()  # as configured by now: to ask that for each line takes 3 µs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request; the log line carries no query and no header, so never a token."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(request_id(scope), receive, send)
        # For an answer that the connection gives by itself, and sets `answered` then.
        scope["request_id"] = exchange.request_id
        origin.begin(origin.Origin(_address(scope), exchange.request_id))
        departures.begin(scope.get(departures.CLIENT))
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            # Only a stop that has waited for its full time cancels requests. An answer that has begun stays short of
            # its Content-Length: the server closes the connection.
            log.warning("request cut off by the stop", advice="MODELYARD_SHUTDOWN_TIMEOUT gives transfers more time")
            if not exchange.begun_sending:
                await failures.answer(Request(scope), Unavailable())(scope, receive, exchange.send)
        except ShortRead:
            pass  # The log says which file; the server closes the connection of an answer that is not complete.
        except Exception:
            log.exception("unexpected failure")
            if exchange.begun_sending:
                raise  # the server closes the connection, so that nobody takes what was sent for the whole
            await failures.answer(Request(scope), InternalError())(scope, receive, exchange.send)
        finally:
            exchange.status = scope.get("answered", exchange.status)
            exchange.sent += scope.get(SENT_BESIDE, 0)
            seconds = time.perf_counter() - exchange.begun
            self.observe(scope, exchange.status, exchange.received, exchange.sent, seconds)
            self._log_request(scope, exchange, seconds)

    def _log_request(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        self._log.info(
            "request",
            method=scope["method"],
            path=scope["path"][:MAX_LOGGED_PATH],
            status=exchange.status,
            bytes=exchange.sent,
            ms=round(seconds * 1000, 2),
            client=_address(scope),
        )


class _Exchange:
    """What was received of one request's body, and sent of its answer."""

    def __init__(self, request_id: str, receive: Receive, send: Send) -> None:
        self.request_id = request_id
        self.received = 0
        self.status = departures.CLIENT_CLOSED_REQUEST
        self.begun_sending = False
        self.sent = 0
        self.begun = time.perf_counter()
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun_sending = True
            self.status = message["status"]
            message["headers"] = [*_kept_private(message), (b"x-request-id", self.request_id.encode())]
        else:
            self.sent += len(message.get("body", b""))
        await self._send(message)


def _kept_private(message: Message) -> Iterable[tuple[bytes, bytes]]:
    """The headers of an answer; it says itself how it may be cached, or is its client's alone.

    A cache in front knows of `Authorization`, but not that `PRIVATE-TOKEN` opens what the next client may not see.
    """
    headers: Sequence[tuple[bytes, bytes]] = message.get("headers", ())
    for name, _value in headers:  # `any` would take twice as long for each answer
        if name == b"cache-control":
            return headers
    return (*headers, *PRIVATE)


def request_id(scope: Scope) -> str:
    """The client's `X-Request-Id` when it is short and plain, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return f"{random.getrandbits(128):032x}"


def _address(scope: Scope) -> str | None:
    """The client's address, as a trusted proxy says it."""
    return scope["client"][0] if scope.get("client") else None
