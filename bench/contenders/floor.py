"""The floor of an upload: one thread that reads a socket, hashes, writes and syncs, and nothing else.

As a program (`python -m bench.contenders.floor PORT FOLDER`) it takes `PUT /hashed`, `PUT /written`, which leaves the
hash out, and `PUT /hash`, which takes no body and hashes as many bytes of its own memory as `Content-Length` says.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from pathlib import Path

from bench.contenders.target import Target
from bench.process import HOST, Server, free_port

BATCH = 1 << 20  # bytes that are received, hashed and written at once


class Floor:
    """The running floor; every upload replaces the one before."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        command = [sys.executable, "-m", "bench.contenders.floor", str(self.port), str(folder)]
        self.server = Server(command, folder / "server.log", {"PYTHONPATH": str(Path(__file__).parents[2])})
        self.server.wait_until_ready(self.port, "/ready")

    def file(self, name: str) -> Target:
        """The path `name`: `hashed`, `written` or `hash`."""
        return Target(self.port, f"/{name}")


def serve(port: int, folder: Path) -> None:
    """Answer one request a connection, forever."""
    buffer = bytearray(BATCH)
    with socket.create_server((HOST, port)) as listener:
        while True:
            connection, _address = listener.accept()
            with connection:
                _answer(connection, folder, buffer)


def _answer(connection: socket.socket, folder: Path, buffer: bytearray) -> None:
    head, _, begun = _read_head(connection).partition(b"\r\n\r\n")
    if b"expect: 100-continue" in head.lower():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    path, length = head.split(b" ")[1], _length(head)
    if path == b"/hash":
        _hash_memory(buffer, length)
    elif length:
        _receive(connection, folder, buffer, begun, length, hashed=path == b"/hashed")
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def _receive(
    connection: socket.socket, folder: Path, buffer: bytearray, begun: bytes, length: int, *, hashed: bool
) -> None:
    digest, view, missing = hashlib.sha256(begun), memoryview(buffer), length - len(begun)
    descriptor = os.open(folder / "incoming", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.write(descriptor, begun)
    while missing:
        filled = _fill(connection, view[: min(BATCH, missing)])
        if hashed:
            digest.update(view[:filled])
        os.write(descriptor, view[:filled])
        missing -= filled
    os.fsync(descriptor)
    os.close(descriptor)
    (folder / "incoming").rename(folder / "kept")
    _sync(folder)


def _fill(connection: socket.socket, view: memoryview) -> int:
    filled = 0
    while filled < len(view):
        received = connection.recv_into(view[filled:])
        if not received:
            raise ConnectionError("the upload ended early")
        filled += received
    return filled


def _hash_memory(buffer: bytearray, length: int) -> None:
    digest = hashlib.sha256()
    for _ in range(length // BATCH):
        digest.update(buffer)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(BATCH)
        if not received:
            return b"GET /closed HTTP/1.1\r\n\r\n"
        head += received
    return head


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
