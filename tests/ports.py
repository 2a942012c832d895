"""Ports for servers that are started with a number, or again at their old one."""

from __future__ import annotations

import random
import socket

# Below those that the system gives to connections, one of which could take the port before the server does.
RANGE = range(20_000, 32_000)


def free_port() -> int:
    """A TCP port of this machine that nothing listens on, and that no connection will be given."""
    while True:
        port = random.choice(RANGE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
