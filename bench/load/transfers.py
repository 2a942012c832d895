"""Many whole transfers at once on bare sockets, one thread each, without a copy where the kernel can help."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from bench.contenders.target import Target
from bench.load.payload import STAMP
from bench.metrics import MIB
from bench.process import HOST

BUFFER = 1 << 20  # bytes
TIMEOUT_SECONDS = 600
Transfer = Callable[[socket.socket], int]


def all_at_once(transfers: Sequence[tuple[Target, Transfer]]) -> list[float]:
    """Begin all transfers together; the MiB/s of each, in their order."""
    together = Barrier(len(transfers))
    with ThreadPoolExecutor(len(transfers)) as threads:
        running = [threads.submit(_rate, target, transfer, together) for target, transfer in transfers]
        return [each.result() for each in running]


def upload(target: Target, path: Path) -> tuple[Target, Transfer]:
    """An upload of a file, its first bytes made new so that its content is no other upload's."""

    def transfer(connection: socket.socket) -> int:
        size = path.stat().st_size
        connection.sendall(_head("PUT", target, f"Content-Length: {size}") + secrets.token_bytes(STAMP))
        with path.open("rb") as file:
            sent = STAMP
            while sent < size:
                sent += os.sendfile(connection.fileno(), file.fileno(), sent, size - sent)
        _read_head(connection, target, b"201")
        return size

    return target, transfer


def download(target: Target) -> tuple[Target, Transfer]:
    """A download to nowhere."""

    def transfer(connection: socket.socket) -> int:
        connection.sendall(_head("GET", target))
        head, received = _read_head(connection, target, b"200")
        size, buffer = _length(head), bytearray(BUFFER)
        while received < size:
            got = connection.recv_into(buffer)
            if not got:
                raise ConnectionError(f"{target.url} ended after {received} of {size} bytes")
            received += got
        return size

    return target, transfer


def _rate(target: Target, transfer: Transfer, together: Barrier) -> float:
    with socket.create_connection((HOST, target.port), timeout=TIMEOUT_SECONDS) as connection:
        connection.settimeout(None)  # with one, Python would make the socket non-blocking, which sendfile minds
        together.wait()
        begun = time.perf_counter()
        size = transfer(connection)
        return size / MIB / (time.perf_counter() - begun)


def _head(method: str, target: Target, *headers: str) -> bytes:
    lines = (f"{method} {target.path} HTTP/1.1", f"Host: {HOST}:{target.port}", *target.headers, *headers, "", "")
    return "\r\n".join(lines).encode()


def _read_head(connection: socket.socket, target: Target, status: bytes) -> tuple[bytes, int]:
    answer = b""
    while b"\r\n\r\n" not in answer:
        got = connection.recv(BUFFER)
        if not got:
            raise ConnectionError(f"{target.url} was not answered")
        answer += got
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ")[1] != status:
        raise RuntimeError(f"{target.url} was answered with {head.splitlines()[0].decode()}")
    return head, len(body)


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next(int(value) for name, _, value in lines if name == b"content-length")
