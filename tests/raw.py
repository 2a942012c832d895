"""Requests byte by byte over a bare socket, for what no client library would send."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

from tests.live import LiveServer


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def exchange(server: LiveServer, *pieces: bytes, half_close: bool = False) -> Answer:
    """Send the pieces one by one, optionally close our side, and read one answer."""
    with server.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return read_answer(connection)


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """Read one final answer, past any interim ones."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response.status, response.msg, response.read())


def put_head(server: LiveServer, path: str, *headers: str, token: str | None = None) -> bytes:
    """The head of a PUT on a path below the API's base, as root unless another token is given."""
    lines = [
        f"PUT /api/v4{path} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {token or server.root_token}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode("utf-8")
