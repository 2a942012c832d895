"""Pieces of memory on their way to a bucket's connection: on a bare socket the kernel waits for room, not Python.

Python would ask for room before each call, and for its lock behind each.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

from modelyard.blobs.store import Buffer

_TIMEVAL = struct.Struct("@ll")  # seconds and microseconds


def send_all(line: socket.socket, pieces: Iterable[Buffer], silence: float) -> None:
    """Send all pieces. Raises OSError, also for a server that takes nothing for `silence` seconds, or twice that."""
    if type(line) is socket.socket:
        _wait_in_the_kernel(line, silence)
    else:  # TLS, which has Python's waits
        line.settimeout(silence)
    for piece in pieces:
        line.sendall(piece)


def _wait_in_the_kernel(line: socket.socket, silence: float) -> None:
    line.settimeout(None)
    seconds, rest = divmod(silence, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(seconds), int(rest * 1e6)))
