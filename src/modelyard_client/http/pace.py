"""A limit to the bytes a second that all connections have together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from modelyard_client.stopping import Stop

PIECE_BYTES = 256 * 1024


class Pace:
    """`limit`: bytes a second; None: as fast as it goes."""

    def __init__(self, stop: Stop, limit: int | None = None) -> None:
        self.limits = limit is not None
        self._stop = stop
        self._limit = limit or 0
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, count: int) -> None:
        """Wait until so many bytes more may cross the wire. Raises Interrupted."""
        if not self.limits:
            return
        with self._lock:
            now = time.monotonic()
            begins = max(now, self._free_at)
            self._free_at = begins + count / self._limit
        if begins > now:
            self._stop.wait(begins - now)

    def body(self, content: bytes) -> bytes | Iterator[bytes]:
        """Content as a request's body, in pieces that wait for their turn where there is a limit."""
        return self._pieces(content) if self.limits else content

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        for at in range(0, len(content), PIECE_BYTES):
            piece = content[at : at + PIECE_BYTES]
            self.take(len(piece))
            yield piece
