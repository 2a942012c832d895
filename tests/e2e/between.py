"""A proxy between a client, or a server, and what it talks to: it tells what it has seen, and may lead elsewhere."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Seen:
    """A request that passed; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    status: int


class Between(ThreadingHTTPServer):
    """The proxy. `target` may change at any time; `before` is called with each request before it is passed on."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.scheme = "http"
        self.seen: list[Seen] = []
        self.before: Callable[[str, str], None] = lambda _method, _path: None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Between

    def log_message(self, *_arguments: Any) -> None:
        pass

    def _pass_on(self) -> None:
        self.server.before(self.command, self.path)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        connection = http.client.HTTPConnection(urlsplit(self.server.target).netloc, timeout=120)
        connection.request(self.command, self.path, body or None, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Seen(self.command, self.path, headers, answer.status))
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None and answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815 - the server's own names


@contextmanager
def between(target: str, certificate: Path | None = None) -> Iterator[Between]:
    """A proxy before `target`; with a certificate (and its key in the same file) it is one of https."""
    with Between(target) as proxy:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
            proxy.scheme = "https"
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


def certificate_in(folder: Path) -> Path:
    """A certificate of this machine that vouches for itself, with its key."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    with certificate.open("a") as file:
        file.write(key.read_text())
    return certificate
