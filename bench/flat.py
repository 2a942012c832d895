"""Memory of the client's commands with a small file and with a very large one, which takes no room on any disk.

    python -m bench.flat [--gib 100]

`myd push` sends a sparse file to a sink, which hashes what comes and keeps nothing; `myd cat` brings as many zeros to
nowhere. The sink answers what these two ask for as the server does, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bench import tools
from bench.metrics import GIB, MIB
from bench.process import HOST

PIECE = memoryview(bytearray(256 * 1024))
TARGET = "root/flat/model@1.0.0"
UPLOAD = "0" * 32
VERSION = {"model_version": {"name": "model", "version": "1", "aliases": ["1.0.0"]}}


class Sink(BaseHTTPRequestHandler):
    """One connection; what is sent in one request is the whole file."""

    protocol_version = "HTTP/1.1"
    size = 0  # of the file that it has
    sha256 = ""

    def do_GET(self) -> None:
        """The version, lists of nothing, and the file."""
        if "/files/" in self.path:
            self._head({"Content-Length": str(self.size), "ETag": f'"{self.sha256}"'})
            left = self.size
            while left:
                left -= self.wfile.write(PIECE[:left])
            return
        self._tell(VERSION if "model-versions/get" in self.path else [])

    def do_HEAD(self) -> None:
        """What the file is."""
        self._head({"Content-Length": str(self.size), "Repr-Digest": _repr_digest(self.sha256)})

    def do_PUT(self) -> None:
        """Whether a file would be taken."""
        self._tell({})

    def do_POST(self) -> None:
        """An upload begins."""
        self._head({"Location": f"/api/v4/uploads/{UPLOAD}", "Upload-Offset": "0", "Content-Length": "0"}, 201)

    def do_PATCH(self) -> None:
        """All of its bytes."""
        hasher, left, piece = hashlib.sha256(), int(self.headers["Content-Length"]), memoryview(bytearray(len(PIECE)))
        Sink.size = left
        while left and (count := self.rfile.readinto(piece[:left])):
            hasher.update(piece[:count])
            left -= count
        Sink.sha256 = hasher.hexdigest()
        self._head({"Upload-Offset": str(self.size), "Repr-Digest": _repr_digest(self.sha256)}, 204)

    def log_message(self, *_told: object) -> None:
        """Nobody reads it."""

    def _tell(self, fields: object) -> None:
        body = json.dumps(fields).encode()
        self._head({"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@click.command()
@click.option("--gib", default=100, show_default=True)
def main(gib: int) -> None:
    """Print the peak memory of each command, and its seconds."""
    with TemporaryDirectory() as folder, _sink() as port:
        for size in (GIB, gib * GIB):
            path = Path(folder) / "sparse.bin"
            with path.open("wb") as file:
                file.truncate(size)
            for arguments in (["push", str(path), TARGET], ["cat", TARGET, path.name]):
                peak, seconds = _measured(port, Path(folder), arguments)
                click.echo(f"{arguments[0]:5}{size // GIB:4} GiB: {peak / MIB:.0f} MiB of memory, {seconds:.0f} s")


@contextmanager
def _sink() -> Iterator[int]:
    with ThreadingHTTPServer((HOST, 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _measured(port: int, home: Path, arguments: list[str]) -> tuple[int, float]:
    """Peak memory in bytes, and seconds; a process of its own waits for the command, so that no other one counts."""
    environment = os.environ | {"MODELYARD_URL": f"http://{HOST}:{port}", "MODELYARD_TOKEN": "none"}
    environment |= {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "CACHE", "STATE")}
    command = [str(tools.modelyard().with_name("myd")), *arguments, "--quiet"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - its own
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with {process.returncode}")
    return _bytes(usage), time.perf_counter() - begun


def _bytes(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _repr_digest(sha256: str) -> str:
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


if __name__ == "__main__":
    main()
