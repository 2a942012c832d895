"""A proxy between a client and the server: it tells which requests there were, and is as bad as it is told to be.

It imports nothing but the standard library, as the clients' environments have what they have.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from harness import SERVER

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


class Recorder(ThreadingHTTPServer):
    """The proxy; `calls` are methods and decoded paths, in their order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[str, str]] = []
        self.ranges: list[str] = []  # that were asked for
        self.cuts: list[int] = []  # bytes after which the next answers to GET with so many are cut off
        self.lost: list[str] = []  # ends of paths to which the next answer is lost
        self.refused: list[str] = []  # what is in paths of which the next request is refused with 429

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def taken(self) -> list[tuple[str, str]]:
        """The calls since the last time."""
        found, self.calls = self.calls, []
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def log_message(self, *_arguments: Any) -> None:
        pass

    def _pass_on(self) -> None:
        path = unquote(self.path.partition("?")[0])
        self.server.calls.append((self.command, path))
        self.server.ranges += [self.headers["Range"]] if self.headers["Range"] else []
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.server.refused and self.server.refused[0] in path:
            self.server.refused.pop(0)
            self._answer(429, {"Retry-After": "1"}, b"")
            return
        connection = http.client.HTTPConnection(urlsplit(SERVER).netloc, timeout=120)
        connection.request(self.command, self.path, body or None, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if self.server.lost and path.endswith(self.server.lost[0]):
            self.server.lost.pop(0)
            self.close_connection = True
            return
        self._answer(answer.status, dict(answer.getheaders()), content)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        given = {name.lower() for name in headers}
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if "content-length" not in given and status not in {204, 304}:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cuts = self.server.cuts
        if self.command == "GET" and cuts and len(content) > cuts[0]:
            content = content[: cuts.pop(0)]
            self.close_connection = True
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815 - the server's own names


@contextmanager
def recording() -> Iterator[Recorder]:
    """A running proxy."""
    with Recorder() as recorder:
        thread = threading.Thread(target=recorder.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield recorder
        finally:
            recorder.shutdown()
            thread.join()
