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
