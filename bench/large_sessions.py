"""Memory of the server while an upload that goes on becomes very large, on a disk that has no room for it.

    python -m bench.large_sessions [--gib 1 --gib 10 --gib 100] [--piece-mib 1024]

All bytes are zeros, so the server's files are sparse: what is received is hashed, and only the length is kept.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import click

from bench import tree
from bench.contenders.modelyard import Modelyard
from bench.contenders.target import Target
from bench.load import tus
from bench.metrics import GIB, MIB
from bench.process import HOST

ZEROS = memoryview(bytes(4 * MIB))


def serve() -> None:
    """The command `modelyard`, whose blobs in a folder keep no bytes but zeros."""
    from modelyard.blobs._local_writer import LocalBlobWriter  # noqa: PLC0415 - in the server's process alone
    from modelyard.cli import cli  # noqa: PLC0415

    def keep_length(self: LocalBlobWriter, chunks: Sequence[memoryview]) -> None:
        os.ftruncate(self._file.descriptor, self._size + sum(map(len, chunks)))

    LocalBlobWriter._append = keep_length  # type: ignore[method-assign]
    cli()


@click.command()
@click.option("--gib", "sizes", multiple=True, type=int, default=(1, 10, 100), show_default=True)
@click.option("--piece-mib", default=1024, show_default=True, help="MiB of each PATCH")
def main(sizes: Sequence[int], piece_mib: int) -> None:
    """Print the peak of memory for each size."""
    work = Path(".bench")
    work.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=work) as folder:
        home = Path(folder).resolve()
        server = Modelyard(_program(home), home / "server", settings={"MODELYARD_MAX_FILE_SIZE": "0"})
        try:
            server.wait()
            for gib in sizes:
                tree.reset_peak(server.server.pid)
                begun = time.perf_counter()
                _upload(server.file(f"of-{gib}-gib"), gib * GIB, piece_mib * MIB)
                seconds, peak = time.perf_counter() - begun, tree.peak_mib(server.server.pid)
                click.echo(f"{gib} GiB: {peak:.0f} MiB of memory at most, {gib * 1024 / seconds:.0f} MiB/s")
        finally:
            server.server.stop()


def _program(folder: Path) -> Path:
    program = folder / "modelyard"
    root = Path(__file__).resolve().parent.parent
    code = f"import sys\nsys.path.insert(0, {str(root)!r})\nfrom bench.large_sessions import serve\nserve()\n"
    program.write_text(f"#!{sys.executable}\n{code}")
    program.chmod(0o700)
    return program


def _upload(target: Target, size: int, piece_bytes: int) -> None:
    connection = HTTPConnection(HOST, target.port, timeout=300)
    location = urlsplit(tus.create(connection, target, size)).path
    for offset in range(0, size, piece_bytes):
        length = min(piece_bytes, size - offset)
        tus.begin_piece(connection, target, location, offset, length)
        _send_zeros(connection.sock, length)
        tus.end_piece(connection, location)
    connection.close()


def _send_zeros(connection: socket.socket, length: int) -> None:
    while length:
        length -= connection.send(ZEROS[:length])


if __name__ == "__main__":
    main()
