"""The processes that attack, and what they were answered."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from bench.machine import CLIENT_CORES, pinned
from bench.process import HOST
from bench.siege.attacks import API, ATTACKS, TRICKLE, Host

TRICKLING = 25  # connections of one attacker
TRICKLED = 6_300_000  # bytes of 8 000 000 that come at once
NICENESS = 10  # so that whoever is measured on the same core comes first
HALF_CLOSED = "none"  # instead of a status

_SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def attacking(port: int, host: Host, kinds: Sequence[str], each: int) -> Iterator[Counter[str]]:
    """`each` attackers of every kind, until the block ends; then their statuses are in the counter."""
    statuses: Counter[str] = Counter()
    processes = []
    with pinned(CLIENT_CORES):
        for kind in kinds:
            for _ in range(each):
                ours, theirs = _SPAWN.Pipe()
                process = _SPAWN.Process(target=_attack, args=(theirs, port, host, kind), daemon=True)
                process.start()
                processes.append((process, ours))
    for _, pipe in processes:
        pipe.recv()  # it has begun
    try:
        yield statuses
    finally:
        for _, pipe in processes:
            pipe.send(None)
        for process, pipe in processes:
            with suppress(EOFError):
                found: Mapping[str, int] = pipe.recv()
                statuses.update(found)
            process.join()


def _attack(pipe: Connection, port: int, host: Host, kind: str) -> None:
    os.nice(NICENESS)
    statuses: Counter[str] = Counter()
    trickle = [_begun(port) for _ in range(TRICKLING)] if kind == TRICKLE else []
    requests = ATTACKS[kind](host) if kind != TRICKLE else iter(())
    pipe.send(None)
    while not pipe.poll():
        if kind == TRICKLE:
            _trickle(trickle, port, statuses)
        else:
            statuses[_status(port, next(requests))] += 1
    pipe.send(dict(statuses))


def _status(port: int, content: bytes) -> str:
    """The status that a request is answered with; the answer is read to its end."""
    try:
        with socket.create_connection((HOST, port), timeout=120) as connection:
            with suppress(ConnectionError):
                connection.sendall(content)
            head = connection.recv(65_536)
            while connection.recv(1 << 20):
                pass
    except OSError:
        return HALF_CLOSED
    return head[9:12].decode() or HALF_CLOSED


def _begun(port: int) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=60)
    head = (
        f"GET {API}/projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n"
    )
    with suppress(OSError):
        connection.sendall(head.encode() + b" " * TRICKLED)
    return connection


def _trickle(connections: list[socket.socket], port: int, statuses: Counter[str]) -> None:
    time.sleep(0.5)
    for index, connection in enumerate(connections):
        try:
            connection.settimeout(0.001)
            connection.sendall(b" " * 550)
            answer = connection.recv(65_536)
        except TimeoutError:
            continue
        except OSError:
            answer = b""
        statuses[answer[9:12].decode() or HALF_CLOSED] += 1
        connection.close()
        connections[index] = _begun(port)


KINDS = (*ATTACKS, TRICKLE)
