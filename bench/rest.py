"""A small JSON client on one connection that stays open, as the clients of all these APIs keep theirs."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

from bench.process import HOST

JsonObject = dict[str, Any]
FIRST_REFUSAL = 400
IDLE_SECONDS = 2  # servers close a connection that rests, the quickest of them after 5 seconds


class Client:
    """Requests to one server, with a bearer token or none."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=120)
        self._used = time.monotonic()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Send `body` as JSON and return the JSON object of the answer. Raises RuntimeError for a refusal."""
        sent = None if body is None else json.dumps(body).encode()
        read = self.send(method, path, sent, "application/json")
        decoded = json.loads(read or b"{}")
        return decoded if isinstance(decoded, dict) else {"items": decoded}

    def send(self, method: str, path: str, body: bytes | None = None, kind: str = "application/octet-stream") -> bytes:
        """Send a body as it is and return that of the answer. Raises RuntimeError for a refusal."""
        if time.monotonic() - self._used > IDLE_SECONDS:
            self.close()  # the next request opens it again
        headers = self._headers if body is None else self._headers | {"Content-Type": kind}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        read = response.read()
        self._used = time.monotonic()
        if response.status >= FIRST_REFUSAL:
            raise RuntimeError(f"{method} {path} was answered with {response.status}: {read[:300].decode()}")
        return read

    def timed(self, path: str) -> float:
        """Milliseconds that one GET takes, its whole answer read."""
        begun = time.perf_counter()
        self.send("GET", path)
        return (time.perf_counter() - begun) * 1000

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
