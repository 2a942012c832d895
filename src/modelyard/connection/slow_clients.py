"""Clients that are too slow, or too many: connections that would be held for nothing are ended.

What counts is that a transfer gets on, never how long it takes: 100 GB over a slow line are as welcome as any. Nothing
is timed while the server itself is what the other side waits for. One look at all connections each second does it all;
a request costs 0.2 µs more, and a look 1 µs for each connection.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from modelyard.connection.framing import LINGER_SECONDS, Refusal
from modelyard.connection.http1 import Http1Protocol

log = structlog.get_logger()

WATCH = "connection_watch"  # the key in the application's lifespan state, by which connections find their watch
LOOK_SECONDS = 1.0
LOOKS_WITHIN_A_TIMEOUT = 4
TOO_MANY_CONNECTIONS = Refusal(503, "Service Unavailable", "Too many connections", {"Retry-After": "5"})

_KERNEL_TELLS = sys.platform == "linux"
_TCP_INFO = struct.Struct("=120xQQ")  # tcpi_bytes_acked and tcpi_bytes_received in struct tcp_info of linux/tcp.h


@dataclass(frozen=True, slots=True)
class Patience:
    """What a client may take; 0 stands for no limit."""

    head: float  # seconds from the first byte of a request's head, or from the connection's start, to the head's end
    stall: float  # seconds in which a body or an answer must get on
    rate: int  # bytes that earn one second of `stall` back; 0: any progress earns them all

    def earned(self, moved: int) -> float:
        """The seconds that a client gets back for bytes that moved."""
        if self.rate:
            return moved / self.rate
        return self.stall if moved else 0.0


class Debt(Enum):
    """What a client owes the server: to send a head or a body, or to take its answer."""

    HEAD = "request head"
    BODY = "request body"
    READING = "answer"


class Watch:
    """Looks after the connections of one server, of which `most` may be open at a time; 0: any number."""

    def __init__(self, patience: Patience, most: int) -> None:
        self.patience = patience
        self._most = most
        self.connections: set[WatchedProtocol] = set()

    @property
    def full(self) -> bool:
        """Whether there are more connections than may be."""
        return 0 < self._most < len(self.connections)

    async def run(self) -> None:
        """Look at all connections again and again, until cancelled."""
        timeouts = [seconds for seconds in (self.patience.head, self.patience.stall) if seconds]
        pause = min([LOOK_SECONDS, *(seconds / LOOKS_WITHIN_A_TIMEOUT for seconds in timeouts)])
        loop = asyncio.get_running_loop()
        last = loop.time()
        while timeouts:
            await asyncio.sleep(pause)
            # When the loop itself stood still, no client could get on.
            elapsed, last = min(loop.time() - last, 2 * pause), loop.time()
            for connection in tuple(self.connections):
                try:
                    connection.look(self.patience, elapsed)
                except Exception:
                    log.exception("a connection cannot be watched")  # the others still can


class WatchedProtocol(Http1Protocol):
    """One client connection, ended when the client keeps it waiting."""

    _watch: Watch | None = None
    _ended: object = None  # the scope of the last request that was received whole
    _received = 0  # bytes of bodies
    _debt: tuple[Debt, object] | None = None
    _moved = 0  # bytes at the last look
    _left = 0.0  # seconds of patience

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a connection, or turn it away at once when there are too many."""
        super().connection_made(transport)
        self._watch = self.app_state.get(WATCH)
        if self._watch is not None:
            self._watch.connections.add(self)
            if self._watch.full:
                self._turn_away()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._watch is not None:
            self._watch.connections.discard(self)
        super().connection_lost(exc)

    def on_body(self, body: bytes) -> None:
        """Count the bytes of a body."""
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Know that the client has sent all of its request."""
        self._ended = self.scope
        super().on_message_complete()

    def look(self, patience: Patience, elapsed: float) -> None:
        """End the connection if the client has used up its time; `elapsed` seconds have passed since the last look."""
        owed = self._owed()
        if owed is None:
            return  # it is not the client's turn: its time stands still
        debt, moved = (owed, self.cycle), self._progress(owed)
        allowed = patience.head if owed is Debt.HEAD else patience.stall
        if debt != self._debt:
            self._debt, self._left = debt, allowed
        elif allowed:
            earned = 0.0 if owed is Debt.HEAD else patience.earned(moved - self._moved)
            self._left = min(allowed, self._left - elapsed + earned)
            if self._left <= 0:
                self._give_up(owed)
        self._moved = moved

    def _owed(self) -> Debt | None:
        """What the server waits for; None when it has work to do, or when the connection idles between requests."""
        cycle: RequestResponseCycle | None = self.cycle
        if self.awaits_reader or self.transport.get_write_buffer_size():
            return Debt.READING
        if self.transport.is_closing():
            return None
        if cycle is None:
            return Debt.HEAD
        if self._ended is not cycle.scope:
            paused = self.flow.read_paused or cycle.body or cycle.waiting_for_100_continue
            return None if paused and not cycle.response_complete else Debt.BODY
        begun = cycle.response_complete and self.timeout_keep_alive_task is None  # uvicorn's timer ends with a byte
        return Debt.HEAD if begun else None

    def _progress(self, owed: Debt) -> int:
        """A count of bytes that grows as the client pays its debt: what it sent, or acknowledged.

        How much its socket takes is a poor sign of a reader: it does so in leaps of a megabyte, for which a slow one
        needs minutes.
        """
        acked, received = self._kernel_counts()
        if owed is Debt.READING:
            return acked or -self.transport.get_write_buffer_size()
        return received or self._received

    def _kernel_counts(self) -> tuple[int, int]:
        """Bytes that the client acknowledged, and that came from it; zeros from a kernel that does not tell."""
        info = b""
        if _KERNEL_TELLS:
            connection: socket.socket = self.transport.get_extra_info("socket")
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        return _TCP_INFO.unpack(info.ljust(_TCP_INFO.size, b"\0"))

    def _give_up(self, owed: Debt) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        scope = cast("MutableMapping[str, Any]", self.scope or {})  # None before the first request
        request_id: str = scope.get("request_id") or secrets.token_hex(16)
        client = self.client[0] if self.client else None
        log.warning("client timed out", waiting_for=owed.value, client=client, request_id=request_id)
        unanswered = scope and (cycle is None or cycle.scope is not scope or not cycle.response_started)
        if unanswered and owed is not Debt.READING:
            refusal = Refusal(408, "Request Timeout", f"The {owed.value} did not come")
            scope["answered"] = refusal.status
            self._dismiss(refusal, request_id)
        else:
            self.transport.abort()  # the client does not read, or sends what nobody asks for any more

    def _turn_away(self) -> None:
        log.warning("too many connections", client=self.client[0] if self.client else None)
        self._dismiss(TOO_MANY_CONNECTIONS, secrets.token_hex(16))

    def _dismiss(self, refusal: Refusal, request_id: str) -> None:
        """Say why, and end the connection; whoever works on its request is told that it is gone."""
        self._answer(refusal, request_id)
        self.connection_lost(ConnectionAbortedError())
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)
