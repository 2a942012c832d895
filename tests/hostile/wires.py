"""What comes back over a bare socket, taken apart by rules of our own: every answer, and whether the server hung up."""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from typing import Any

MARK = b"GET /-/health?mark HTTP/1.1\r\nHost: mark\r\n\r\n"  # a request that anything may be followed by


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Conversation:
    """All that a server said on one connection."""

    replies: list[Reply]
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [reply.status for reply in self.replies]


def converse(port: int, *pieces: bytes, replies: int = 100, half_close: bool = False) -> Conversation:
    """Send the pieces, and read until the server hangs up or has given that many answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):  # of a server that has heard enough
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return _listen(connection, replies)


def _listen(connection: socket.socket, wanted: int) -> Conversation:
    received = bytearray()
    while True:
        found = split_replies(bytes(received))
        if len(found) >= wanted:
            return Conversation(found, closed=False)
        try:
            data = connection.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            return Conversation(found, closed=True)
        received += data


def split_replies(received: bytes) -> list[Reply]:
    """The whole answers at the head of what was received. Fails for what is no answer."""
    found: list[Reply] = []
    while (end := received.find(b"\r\n\r\n")) >= 0:
        first, *lines = received[:end].decode("latin-1").split("\r\n")
        version, status = first.split(" ")[:2]
        assert version == "HTTP/1.1", f"no answer begins with {first!r}"
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["content-length"])
        body = received[end + 4 : end + 4 + length]
        if len(body) < length:
            break
        found.append(Reply(int(status), headers, body))
        received = received[end + 4 + length :]
    return found
