"""The server, and how it answers."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from tests.odd_s3.oddities import Odd
from tests.s3 import BUCKET, S3Server


@dataclass
class Upload:
    key: str
    parts: dict[int, bytes] = field(default_factory=dict)


class OddServer(ThreadingHTTPServer):
    """The server; what is in `odd` may change between two requests. `requests` has the first line of each."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.odd: set[Odd] = set()
        self.requests: list[str] = []
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.uploads: dict[str, Upload] = {}
        self.serial = itertools.count(1)

    @property
    def s3(self) -> S3Server:
        """How to reach it."""
        return S3Server(f"http://127.0.0.1:{self.server_port}", tells_uploads=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gives up an answer is nothing to tell of."""


class Answers(BaseHTTPRequestHandler):
    """Reads a request, and answers it."""

    protocol_version = "HTTP/1.1"
    server: OddServer
    disable_nagle_algorithm = True

    def log_request(self, code: object = "-", size: object = "-") -> None:
        del code, size
        self.server.requests.append(self.requestline)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _asked(self) -> tuple[str, dict[str, str], bytes]:
        """Key, query and body of the request."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/"), query, body

    def _is(self, *odd: Odd) -> bool:
        return not self.server.odd.isdisjoint(odd)

    def parse_request(self) -> bool:
        """Read the head of a request, and answer it already where that does not depend on what it asks."""
        if not super().parse_request():
            return False
        if not self._is(Odd.NONSENSE, Odd.NO_ANSWER):
            return True
        self._asked()
        if self._is(Odd.NONSENSE):
            self._answer(200, b"<!DOCTYPE html><html><body>Welcome<br></body></html>")
        else:
            self.close_connection = True
        return False

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def _xml(self, root: str, inner: str) -> None:
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{inner}</{root}>'.encode()
        if self._is(Odd.BROKEN_LISTS) and root.startswith("List"):
            self._head(200, {"Content-Length": str(len(body))})
            self.wfile.write(body[:-9])
            self.close_connection = True
        else:
            self._answer(200, body)

    def _answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, in_doubt: bool = False
    ) -> None:
        """Answer; `in_doubt`: with what is odd about the lengths of objects."""
        headers = dict(headers or {})
        if in_doubt and self._is(Odd.NO_LENGTH):
            self._head(status, headers | {"Transfer-Encoding": "chunked"})
            chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            self.wfile.write(chunk + b"0\r\n\r\n")
        elif in_doubt and self._is(Odd.CUT):
            self.close_connection = True
            self._head(status, headers | {"Connection": "close"})
            self.wfile.write(body[: len(body) // 2])
        elif in_doubt and self._is(Odd.BROKEN):
            self.close_connection = True
            self._head(status, headers | {"Content-Length": str(len(body))})
            self.wfile.write(body[: len(body) // 2])
        else:
            length = "many" if in_doubt and self._is(Odd.GARBLED_LENGTH) else str(len(body))
            self.close_connection = self.close_connection or length == "many"
            self._head(status, headers | ({"Content-Length": length} if status != 204 else {}))
            self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def etag_of(body: bytes) -> str:
    """What most servers call the bytes."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def iso(moment: float) -> str:
    """As S3 dates in XML."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))
