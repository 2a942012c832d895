"""Readers who take a download slowly, many at once, in a process of their own.

As a program it takes a JSON object with the fields of `Wanted` on standard input, prints a line when every reader has
its first bytes, reads on until standard input ends, and prints `{"mean": …, "least": …}`, the KiB/s that they got.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from bench.contenders.target import Target
from bench.metrics import SLOW_SPEED, Metrics
from bench.process import HOST

SIPS_PER_SECOND = 4
RECEIVE_BUFFER = 64 * 1024  # bytes; a larger one would take in seconds of a slow download at once


@dataclass(frozen=True)
class Wanted:
    """Who reads what: `count` readers of one file at `kib_s` each."""

    port: int
    path: str
    headers: tuple[str, ...]
    count: int
    kib_s: int


@contextmanager
def reading_slowly(target: Target, count: int, kib_s: int) -> Iterator[Metrics]:
    """Keep `count` slow readers beside the block; what they got is in the metrics after it."""
    wanted = Wanted(target.port, target.path, target.headers, count, kib_s)
    command = [sys.executable, "-m", "bench.load.slow_readers"]
    root, pipe = Path(__file__).parents[2], subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603
        assert process.stdin is not None  # noqa: S101 - for the type checker: both are pipes
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(json.dumps(asdict(wanted)) + "\n")
        process.stdin.flush()
        if not process.stdout.readline():
            raise RuntimeError("the slow readers were not served")
        metrics: Metrics = {}
        yield metrics
        process.stdin.close()
        metrics[SLOW_SPEED] = json.loads(process.stdout.readline())["mean"]


async def _read_all(wanted: Wanted) -> None:
    counts = [0] * wanted.count
    served = asyncio.Event()
    readers = [asyncio.create_task(_read(wanted, counts, index, served)) for index in range(wanted.count)]
    await served.wait()
    begun, before = time.perf_counter(), list(counts)
    _say({"ready": wanted.count})
    await asyncio.to_thread(sys.stdin.read)
    seconds = time.perf_counter() - begun
    rates = [(now - then) / 1024 / seconds for now, then in zip(counts, before, strict=True)]
    _say({"mean": fmean(rates), "least": min(rates)})
    for reader in readers:
        reader.cancel()


async def _read(wanted: Wanted, counts: list[int], index: int, served: asyncio.Event) -> None:
    loop, sip = asyncio.get_running_loop(), wanted.kib_s * 1024 // SIPS_PER_SECOND
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        connection.setblocking(False)
        await loop.sock_connect(connection, (HOST, wanted.port))
        lines = (f"GET {wanted.path} HTTP/1.1", f"Host: {HOST}:{wanted.port}", *wanted.headers, "", "")
        await loop.sock_sendall(connection, "\r\n".join(lines).encode())
        due = loop.time()
        while received := len(await loop.sock_recv(connection, sip)):
            counts[index] += received
            if not served.is_set() and all(counts):
                served.set()
            due += received / (wanted.kib_s * 1024)
            await asyncio.sleep(max(0.0, due - loop.time()))


def _say(fact: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_read_all(Wanted(**json.loads(sys.stdin.readline()))))
