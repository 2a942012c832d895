"""An upload by tus 1.0.0 in pieces of one size, on one connection, as fast as the kernel sends a file."""

from __future__ import annotations

import base64
import http.client
import time
from pathlib import Path
from urllib.parse import urlsplit

from bench.contenders.target import Target
from bench.metrics import MIB, SPEED, Metrics
from bench.process import HOST

PIECE_BYTES = 64 * MIB


def upload(target: Target, path: Path) -> Metrics:
    """Upload a file to where the target is, and time it from the creation to the last answer."""
    size, begun = path.stat().st_size, time.perf_counter()
    connection = http.client.HTTPConnection(HOST, target.port, timeout=120)
    location = urlsplit(create(connection, target, size)).path
    with path.open("rb") as file:
        for offset in range(0, size, PIECE_BYTES):
            length = min(PIECE_BYTES, size - offset)
            begin_piece(connection, target, location, offset, length)
            connection.sock.sendfile(file, offset, length)
            end_piece(connection, location)
    connection.close()
    return {SPEED: size / MIB / (time.perf_counter() - begun)}


def create(connection: http.client.HTTPConnection, target: Target, size: int) -> str:
    """Begin an upload of so many bytes to where the target is, and return its URL."""
    base, _, name = target.path.partition("/files/")
    told = {"Upload-Length": str(size), "Upload-Metadata": f"path {base64.b64encode(name.encode()).decode()}"}
    connection.request("POST", f"{base}/uploads", headers=_headers(target) | told)
    created = connection.getresponse()
    created.read()
    return created.headers["Location"]


def begin_piece(
    connection: http.client.HTTPConnection, target: Target, location: str, offset: int, length: int
) -> None:
    """Send the head of a PATCH; its bytes follow on the connection's socket."""
    piece = {"Upload-Offset": str(offset), "Content-Length": str(length)}
    connection.putrequest("PATCH", location)
    for key, value in (_headers(target) | piece | {"Content-Type": "application/offset+octet-stream"}).items():
        connection.putheader(key, value)
    connection.endheaders()


def end_piece(connection: http.client.HTTPConnection, location: str) -> None:
    """Return when the bytes of a PATCH are durable. Raises RuntimeError."""
    answer = connection.getresponse()
    answer.read()
    if answer.status != http.client.NO_CONTENT:
        raise RuntimeError(f"{location}: {answer.status}")


def _headers(target: Target) -> dict[str, str]:
    return dict(header.split(": ", 1) for header in target.headers) | {"Tus-Resumable": "1.0.0"}
