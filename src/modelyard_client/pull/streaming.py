"""A large file that comes in its order over one connection, on a line that is no slower than to hash it.

There several connections gain nothing, and cost a checksum of each piece and another look at it: here the SHA-256 of
what came so far tells, in the log, which bytes were right.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
import zlib

from modelyard_client.errors import ClientError
from modelyard_client.progress import Progress
from modelyard_client.pull.partials import NOTED_BYTES, Partial, Piece
from modelyard_client.pull.ranges import Ranges
from modelyard_client.results import RemoteFile

LEAST_BYTES = 64 << 20  # of a file that is worth it
TRIED_BYTES = 8 << 20  # that tell how fast the line is
FAST = 256 << 20  # bytes a second
NEAR_SECONDS = 0.02  # a round trip; where it takes longer, more than one connection is faster
AHEAD = 32  # pieces that wait to be hashed


class Stream:
    """One file on its way; `at` bytes are there, and are `hashed`."""

    def __init__(self, ranges: Ranges, partial: Partial, file: RemoteFile, progress: Progress) -> None:
        self.at = 0
        self.received = 0
        self._taken: list[tuple[float, int]] = []  # when the first piece was there and the last, and up to where
        self._hasher = hashlib.sha256()
        self._ranges = ranges
        self._partial = partial
        self._file = file
        self._progress = progress

    def resume(self) -> int:
        """Go to where it was left off; the answer is how many bytes need not come again.

        What is not as it was then is fetched, whose SHA-256 counts in the end alone. Raises ClientError.
        """
        stop = self._ranges.transport.stop
        for end, digest in self._partial.marks():
            before = self._hasher.copy()
            for content in self._partial.read(self.at, end, stop):
                self._hasher.update(content)
                self._progress.compared(len(content))
            if self._hasher.hexdigest() == digest:
                self.at = end
            else:
                self._hasher = before
                self._bring(end)
        return self.at - self.received

    def try_line(self) -> bool:
        """Whether it is fast: the server answered soon before, and the next bytes come so, from the first one on."""
        if self._ranges.transport.quickest > NEAR_SECONDS:
            return False
        self._taken.clear()
        self._bring(min(self.at + TRIED_BYTES, self._file.size))
        if not self._taken:
            return True
        (begun, begin), (ended, end) = self._taken[0], self._taken[-1]
        return end - begin >= FAST * (ended - begun)

    def noted(self) -> list[Piece]:
        """What is there, noted in pieces, among which others may come that leave gaps."""
        for begin in range(0, self.at, TRIED_BYTES):
            checksum, end = 0, min(begin + TRIED_BYTES, self.at)
            for content in self._partial.read(begin, end, self._ranges.transport.stop):
                checksum = zlib.crc32(content, checksum)
            self._partial.note(begin, end, checksum)
        return [(0, self.at)] if self.at else []

    def rest(self) -> str:
        """Bring all that is missing; the answer is the SHA-256. Raises ClientError."""
        self._bring(self._file.size)
        return self._hasher.hexdigest()

    def _bring(self, end: int) -> None:
        """Bring the bytes up to a place."""
        hashing = _Hashing(self._hasher, self._partial, self.at)
        try:
            for content in self._ranges.read(self._file, self.at, end) if self.at < end else ():
                self._take(content)
                hashing.add(content)
        finally:
            hashing.end()

    def _take(self, content: bytes) -> None:
        self._partial.write(content, self.at)
        self.at += len(content)
        self.received += len(content)
        self._progress.moved(len(content))
        self._taken[1:] = [(time.monotonic(), self.at)]  # the first one stays


class _Hashing:
    """Hashes what is written, beside whoever receives it where there is another processor, and marks how far it is."""

    def __init__(self, hasher: hashlib._Hash, partial: Partial, begin: int) -> None:
        self._hasher = hasher
        self._partial = partial
        self._at = self._marked = begin
        self._error: ClientError | None = None
        self._pieces: queue.Queue[bytes | None] = queue.Queue(AHEAD)
        self._thread = threading.Thread(target=self._run, daemon=True) if _processors() > 1 else None
        if self._thread is not None:
            self._thread.start()

    def add(self, content: bytes) -> None:
        """The next bytes, which are written. Raises ClientError for an earlier mark that could not be made."""
        if self._thread is None:
            self._hash(content)
            return
        if self._error is not None:
            raise self._error
        self._pieces.put(content)

    def end(self) -> None:
        """All is hashed, and marked. Raises as `add`."""
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
        if self._error is not None:
            raise self._error
        self._mark()

    def _run(self) -> None:
        for content in iter(self._pieces.get, None):
            if self._error is None:
                try:
                    self._hash(content)
                except ClientError as error:
                    self._error = error

    def _hash(self, content: bytes) -> None:
        self._hasher.update(content)
        self._at += len(content)
        if self._at - self._marked >= NOTED_BYTES:
            self._mark()

    def _mark(self) -> None:
        if self._at > self._marked:
            self._partial.mark(self._at, self._hasher.copy().hexdigest(), self._marked)
            self._marked = self._at


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
