"""The floor of an upload: one thread that reads a socket and hashes, one that writes past the page cache, then a sync.

As a program (`python -m bench.contenders.floor PORT FOLDER [BUCKET]`) it takes `PUT /hashed-N`, `PUT /written-N`, which
leaves the hash out, `PUT /apart-N`, where a third thread hashes, `PUT /hash`, which takes no body and hashes as many
bytes of its memory as `Content-Length` says, and to the bucket of that URL `PUT /sent-N`, by one loop, and
`PUT /passed-N`, by threads (`floor_of_buckets.py`). Each connection has threads of its own.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
from pathlib import Path
from queue import SimpleQueue

from bench.contenders.blocks import BLOCK, huge_page
from bench.contenders.floor_of_buckets import Fill, send_by_one_loop, send_by_threads
from bench.contenders.target import Target
from bench.machine import SERVER_CORES, Cores
from bench.process import HOST, Server, free_port

BLOCKS = 6
PAGE = 4096
HEAD_BYTES = 64 << 10


class Floor:
    """The running floor."""

    def __init__(self, folder: Path, cores: Cores = SERVER_CORES, bucket: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.port = free_port()
        command = [sys.executable, "-m", "bench.contenders.floor", str(self.port), str(folder), bucket]
        self.server = Server(command, folder / "server.log", {"PYTHONPATH": str(Path(__file__).parents[2])}, cores)
        self.server.wait_until_ready(self.port, "/ready")

    def clear(self) -> None:
        """Remove what was kept, which nobody reads: two dozen files of a GiB fill many a disk."""
        for kept in self._folder.glob("apart-*"):
            kept.unlink()

    def file(self, name: str) -> Target:
        """The path `name`: `hash`, or one that begins with `hashed-`, `written-`, `apart-`, `sent-` or `passed-`."""
        return Target(self.port, f"/{name}")


class _Disk:
    """A file that a thread of its own writes, block by block, while the next ones are filled."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_DIRECT)
        self._filled: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        for _ in range(BLOCKS):
            self._free.put(huge_page())
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def block(self) -> memoryview:
        """The next block to be filled."""
        return self._free.get()

    def take(self, block: memoryview, size: int) -> None:
        """Write the first `size` bytes of a block soon."""
        self._filled.put((block, size))

    def sync(self, size: int) -> None:
        """Return when all is on the disk; the file has `size` bytes."""
        self._filled.put(None)
        self._thread.join()
        os.ftruncate(self._descriptor, size)
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def _write(self) -> None:
        while (filled := self._filled.get()) is not None:
            block, size = filled
            pages = block[: -(-size // PAGE) * PAGE]
            try:
                written = os.write(self._descriptor, pages)
            except OSError:
                written = 0
            if written < len(pages):
                os._exit(1)  # the disk is full, or takes nothing past the cache: curl will say that it hears nothing
            self._free.put(block)


class _Hashing:
    """A thread that hashes blocks and gives them to the disk, while the next ones are received."""

    def __init__(self, disk: _Disk) -> None:
        self._disk = disk
        self._filled: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._hash)
        self._thread.start()

    def take(self, block: memoryview, size: int) -> None:
        """Hash the first `size` bytes of a block soon, and write them then."""
        self._filled.put((block, size))

    def end(self) -> None:
        """Return when all is hashed."""
        self._filled.put(None)
        self._thread.join()

    def _hash(self) -> None:
        digest = hashlib.sha256()
        while (filled := self._filled.get()) is not None:
            block, size = filled
            digest.update(block[:size])
            self._disk.take(block, size)


def serve(port: int, folder: Path, bucket: str) -> None:
    """Answer one request a connection, forever."""
    with socket.create_server((HOST, port)) as listener:
        while True:
            connection, _address = listener.accept()
            threading.Thread(target=_answer, args=(connection, folder, bucket)).start()


def _answer(connection: socket.socket, folder: Path, bucket: str) -> None:
    with connection:
        head, _, begun = _read_head(connection).partition(b"\r\n\r\n")
        if b"expect: 100-continue" in head.lower():
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        path, length = head.split(b" ")[1].decode(), _length(head)
        if path == "/hash":
            _hash_memory(length)
        elif path.startswith(("/sent", "/passed")):
            send = send_by_one_loop if path.startswith("/sent") else send_by_threads
            send(_filling(connection, begun), f"{bucket}{path}", length)
        elif length:
            _receive(connection, folder / path[1:], begun, length)
        status = b"201 Created" if length else b"200 OK"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def _receive(connection: socket.socket, kept: Path, begun: bytes, length: int) -> None:
    digest, missing, incoming = hashlib.sha256(), length, kept.with_name(f"incoming-{kept.name}")
    disk = _Disk(incoming)
    apart = _Hashing(disk) if kept.name.startswith("apart") else None
    while missing:
        block, size = disk.block(), min(BLOCK, missing)
        _fill(connection, block[:size], begun)
        if apart:
            apart.take(block, size)
        else:
            disk.take(block, size)
            if kept.name.startswith("hashed"):
                digest.update(block[:size])
        begun, missing = b"", missing - size
    if apart:
        apart.end()
    disk.sync(length)
    incoming.rename(kept)
    _sync(kept.parent)


def _filling(connection: socket.socket, begun: bytes) -> Fill:
    """What fills views with the body, of which some has come with the head."""
    rest = [begun]

    def fill(view: memoryview) -> None:
        _fill(connection, view, rest.pop() if rest else b"")

    return fill


def _fill(connection: socket.socket, view: memoryview, begun: bytes) -> None:
    view[: len(begun)] = begun
    view = view[len(begun) :]
    while view:
        received = connection.recv_into(view, 0, socket.MSG_WAITALL)
        if not received:
            raise ConnectionError("the upload ended early")
        view = view[received:]


def _hash_memory(length: int) -> None:
    digest, block = hashlib.sha256(), os.urandom(BLOCK)
    for _ in range(length // BLOCK):
        digest.update(block)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(HEAD_BYTES)
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
    serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
