"""A proxy before a real server that cuts, delays and falsifies what a hook says: a bad line, or a bad proxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.tracing import untraced

PIECE = 64 * 1024


@dataclass(frozen=True)
class Request:
    """A request that goes through."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Meddling:
    """What happens to a request.

    `answer`: instead of the server's; `up`, `down`: bytes of bodies after which it is cut; `then`: done before that.
    """

    answer: bytes | None = None
    up: int | None = None
    down: int | None = None
    stalls: bool = False  # where it would be cut, nothing more comes instead
    then: Callable[[], object] = lambda: None
    flips: bool = False  # the first byte of the answer's body
    loses: bool = False  # the whole answer


Hook = Callable[[Request], Meddling | None]


def answer(status: str, body: bytes = b"", **headers: str) -> Meddling:
    """An answer of the proxy's own, which says that it closes; headers with `_` for `-`."""
    told = {"Content-Length": str(len(body)), "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return Meddling(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)


@dataclass
class Meddler:
    """The proxy. It counts what bodies it lets through in each direction."""

    port: int
    upstream: int
    hook: Hook = lambda _request: None
    requests: list[Request] = field(default_factory=list)
    up: int = 0
    down: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: str) -> list[Request]:
        """The requests by a method."""
        return [request for request in self.requests if request.method == method]

    def serve(self, client: socket.socket) -> None:
        """One connection, for one request."""
        with client, suppress(OSError):
            request, rest = _request(client)
            if request is None:
                return
            self.requests.append(request)
            meddling = self.hook(request) or Meddling()
            if meddling.answer is not None:
                self._take(client, request, rest)
                client.sendall(meddling.answer)
                return
            with socket.create_connection(("127.0.0.1", self.upstream)) as server:
                self._send(client, server, request, rest, meddling)
                if meddling.loses:
                    server.recv(PIECE)
                else:
                    self._answer(client, server, meddling)

    def _take(self, client: socket.socket, request: Request, rest: bytes) -> None:
        left = int(request.headers.get("content-length", "0")) - len(rest)
        while left > 0 and (piece := client.recv(min(PIECE, left))):
            left -= len(piece)

    def _send(
        self, client: socket.socket, server: socket.socket, request: Request, rest: bytes, meddling: Meddling
    ) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items() if name != "connection")
        server.sendall(f"{request.method} {request.path} HTTP/1.1\r\n{head}connection: close\r\n\r\n".encode("latin-1"))
        left = int(request.headers.get("content-length", "0"))
        limit, sent = meddling.up, 0
        while left:
            piece = rest or client.recv(min(PIECE, left))
            rest = b""
            if limit is not None and sent + len(piece) > limit:
                server.sendall(piece[: limit - sent])
                self.up += limit - sent
                self._end(client, meddling)
            server.sendall(piece)
            left, sent, self.up = left - len(piece), sent + len(piece), self.up + len(piece)
            if not piece:
                raise ConnectionError

    def _answer(self, client: socket.socket, server: socket.socket, meddling: Meddling) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = server.recv(PIECE)
            if not piece:
                return
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        client.sendall(head.replace(b"\r\nconnection: keep-alive", b"") + b"\r\nConnection: close\r\n\r\n")
        sent = 0
        while True:
            if meddling.flips and body:
                body = bytes([body[0] ^ 1]) + body[1:] if not sent else body
            if meddling.down is not None and sent + len(body) > meddling.down:
                client.sendall(body[: meddling.down - sent])
                self.down += meddling.down - sent
                self._end(client, meddling)
            client.sendall(body)
            sent, self.down = sent + len(body), self.down + len(body)
            body = server.recv(PIECE)
            if not body:
                return

    def _end(self, client: socket.socket, meddling: Meddling) -> None:
        meddling.then()
        if meddling.stalls:
            client.settimeout(20)
            with suppress(OSError):
                while client.recv(PIECE):  # until the client has enough of it
                    pass
        raise ConnectionError


def _request(client: socket.socket) -> tuple[Request | None, bytes]:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(PIECE)
        if not piece:
            return None, b""
        head += piece
    lines, _, rest = head.partition(b"\r\n\r\n")
    first, *fields = lines.decode("latin-1").split("\r\n")
    method, path, _version = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    return Request(method, path, headers), rest


@contextmanager
def meddling(upstream: int, hook: Hook = lambda _request: None) -> Iterator[Meddler]:
    """A proxy before the server on that port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        meddler = Meddler(listener.getsockname()[1], upstream, hook)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=untraced(meddler.serve), args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield meddler
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
