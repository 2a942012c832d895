"""Pieces of memory on their way to a bucket's connection."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from modelyard.blobs.s3.lines import send_all

CONTENT = random.Random(8).randbytes(3 << 20)


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection, of which the second waits for no more than a few seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        theirs, _ = listener.accept()
        with theirs:
            theirs.settimeout(5)
            yield ours, theirs


def received(line: socket.socket, size: int = 100_000, pause: float = 0.0) -> bytes:
    """All that comes until the other side is at its end."""
    found = []
    while new := line.recv(size):
        found.append(new)
        time.sleep(pause)
    return b"".join(found)


@pytest.mark.parametrize("pieces", [1, 3, 77])
def test_all_that_is_sent_comes_as_it_is_whatever_it_is_cut_into(pieces: int) -> None:
    step = -(-len(CONTENT) // pieces)
    cut = [bytearray(CONTENT[begin : begin + step]) for begin in range(0, len(CONTENT), step)]
    with connected() as (ours, theirs), ThreadPoolExecutor(1) as executor:
        coming = executor.submit(received, theirs)
        send_all(ours, [b"head ", *cut, b"", b" end"], 10)
        ours.shutdown(socket.SHUT_WR)
        assert coming.result() == b"head " + CONTENT + b" end"


def test_a_server_that_takes_nothing_more_is_given_up() -> None:
    with connected() as (ours, _theirs), pytest.raises(OSError, match=r"."):
        send_all(ours, [CONTENT] * 20, 0.05)


def test_one_that_is_slow_is_waited_for_as_long_as_it_takes_something() -> None:
    with connected() as (ours, theirs), ThreadPoolExecutor(1) as executor:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        coming = executor.submit(received, theirs, 16 << 10, 0.008)  # takes one and a half seconds
        send_all(ours, [CONTENT], 1)
        ours.shutdown(socket.SHUT_WR)
        assert coming.result() == CONTENT
