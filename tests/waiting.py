"""Waiting for what comes true soon, but not at once."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

SECONDS = 20


def eventually(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Return as soon as it holds; fails when it does not within so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)


def listens(port: int) -> bool:
    """Whether anybody takes connections at a port of this machine, which costs less than a request."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def within_one_minute(seconds: float) -> None:
    """Return when the clock's minute lasts as long as that: windows of limits begin with it, and a test that went on
    into the next would find less counted.
    """
    left = 60 - time.time() % 60
    if left < seconds:
        time.sleep(left)
